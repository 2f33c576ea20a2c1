/*
 * Options as the staple thread may keep them.  Any thread; immutable after
 * birth.  The strings lie behind the struct in the same allocation: there is
 * one thing to fail and one to free.
 */
#include "staple/settings.h"

#include <stdlib.h>
#include <string.h>

enum {
	TIMEOUT_MS = 10 * 1000,
	MIN_INTERVAL_S = 5 * 60,
	MAX_INTERVAL_S = 7 * 24 * 3600,
	DEFAULT_LIFETIME_S = 24 * 3600,
	MAX_RESPONSE = 64 * 1024,
	MAX_FETCHES = 32
};

static size_t
room_for(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

/* Copy *text to *room, make it point there, and move *room behind it. */
static void
adopt(const char **text, char **room)
{
	size_t size = room_for(*text);

	if (*text == NULL)
		return;
	memcpy(*room, *text, size);
	*text = *room;
	*room += size;
}

static void
fill_in(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

struct staple_settings *
staple_settings_new(const struct staple_options *options)
{
	struct staple_options values = { 0 };
	struct staple_settings *settings;
	char *room;

	if (options != NULL)
		values = *options;
	settings = malloc(sizeof(*settings) + room_for(values.store_dir) +
			  room_for(values.ca_file) + room_for(values.proxy));
	if (settings == NULL)
		return NULL;
	room = (char *)(settings + 1);
	adopt(&values.store_dir, &room);
	adopt(&values.ca_file, &room);
	adopt(&values.proxy, &room);
	fill_in(&values.timeout_ms, TIMEOUT_MS);
	fill_in(&values.min_interval_s, MIN_INTERVAL_S);
	fill_in(&values.max_interval_s, MAX_INTERVAL_S);
	fill_in(&values.default_lifetime_s, DEFAULT_LIFETIME_S);
	fill_in(&values.max_response, MAX_RESPONSE);
	fill_in(&values.max_fetches, MAX_FETCHES);
	settings->values = values;
	atomic_init(&settings->references, 1);
	return settings;
}

struct staple_settings *
staple_settings_ref(struct staple_settings *settings)
{
	atomic_fetch_add_explicit(
	    &settings->references, 1, memory_order_relaxed);
	return settings;
}

void
staple_settings_unref(struct staple_settings *settings)
{
	if (settings != NULL && atomic_fetch_sub_explicit(&settings->references,
				    1, memory_order_acq_rel) == 1)
		free(settings);
}
