/*
 * From sections to a configuration: says what each section is, and applies
 * them in the order of precedence (built-in, before any section, [tls],
 * listener, host) rather than of the file, so that a default may stand below
 * the listeners it is for, and a host before its listener.  Main thread.
 */
#include "config/build.h"

#include <stdio.h>
#include <string.h>

#include "config/arena.h"
#include "config/check.h"
#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/strings.h"
#include "config/words.h"

/* Only services, and what may stand above them. */
static bool
has_only_services(const struct build *build, const struct source *source)
{
	bool has_service = false;

	for (size_t i = 0; i < source->count; i++) {
		enum heading heading = build->headings[i];

		if (heading == HEADING_SERVICE)
			has_service = true;
		else if (heading != HEADING_TOP && heading != HEADING_SNI)
			return false;
	}
	return has_service;
}

/* The first key that only stunnel has; NULL: none. */
static const struct statement *
find_stunnel_word(const struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		for (size_t k = 0; k < source->sections[i].count; k++)
			if (words_is_stunnel(source->sections[i].items[k].key))
				return &source->sections[i].items[k];
	return NULL;
}

/*
 * A file is stunnel's if it has services, no section that only clinch has, and
 * a word or name of stunnel's.  Then stunnel's defaults hold for its timeouts.
 * Without such a word [web] is a listener like [listener web].
 */
static bool
looks_like_stunnel(struct build *build, const struct source *source)
{
	const struct statement *word;

	if (!has_only_services(build, source))
		return false;
	if (words_is_stunnel_file(build->config->file))
		build->stunnel_reason = "its name";
	else if ((word = find_stunnel_word(source)) != NULL)
		build->stunnel_reason = word->key;
	return build->stunnel_reason != NULL;
}

static void
follow_stunnel(struct build *build)
{
	struct config_listener *defaults = &build->defaults;

	defaults->timeout_handshake_ms = 300 * 1000;
	defaults->timeout_connect_ms = 10 * 1000;
	defaults->timeout_idle_ms = 43200 * 1000;
	defaults->timeout_close_ms = 60 * 1000;
	diag_note(build->diag,
	    "%s is read as a stunnel.conf, because of %s, with stunnel's "
	    "timeouts: clinch stays in the foreground",
	    build->config->file, build->stunnel_reason);
	diag_note(build->diag,
	    "%s is read as a stunnel.conf: a port alone in accept means IPv4 "
	    "and IPv6",
	    build->config->file);
	diag_note(build->diag,
	    "%s is read as a stunnel.conf: TLS 1.2 is the lowest version "
	    "offered",
	    build->config->file);
	diag_note(build->diag,
	    "%s is read as a stunnel.conf: without ciphers, fewer are offered "
	    "than by stunnel (profile = intermediate)",
	    build->config->file);
}

/* What each section is; the number of listeners. */
static size_t
name_sections(struct build *build, const struct source *source)
{
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++) {
		build->headings[i] = heading_of(
		    &source->sections[i], build->memo);
		count += heading_is_listener(build->headings[i]);
	}
	return count;
}

static bool
init_layers(struct build *build)
{
	return layer_init(build, &build->top, NULL) &&
	       layer_init(build, &build->global, &build->top) &&
	       layer_init(build, &build->log, &build->top) &&
	       layer_init(build, &build->tls, &build->top) &&
	       layer_init(build, &build->ocsp, &build->top);
}

static bool
init_build(struct build *build, const struct source *source)
{
	struct config *config = build->config;
	size_t count;

	build->ignored = "";
	build->memo = arena_alloc(build->arena, sizeof(*build->memo));
	build->headings = arena_alloc(
	    build->arena, source->count * sizeof(build->headings[0]));
	if (build->memo == NULL || build->headings == NULL)
		goto fail;
	count = name_sections(build, source);
	if (count > BUILD_LISTENERS_MAX) {
		diag_error(build->diag,
		    &(struct config_where){ config->file, 0 },
		    "there are more than %d listeners", BUILD_LISTENERS_MAX);
		return false;
	}
	config->listeners = arena_alloc(
	    build->arena, count * sizeof(config->listeners[0]));
	build->listeners = arena_alloc(
	    build->arena, count * sizeof(build->listeners[0]));
	if (config->listeners != NULL && build->listeners != NULL &&
	    init_layers(build))
		return true;
fail:
	diag_no_memory(build->diag);
	return false;
}

/* Every section of one of the kinds that exist once. */
static void
apply_single(
    struct build *build, const struct source *source, enum heading wanted)
{
	static const enum schema_section places[] = {
		[HEADING_TOP] = SCHEMA_TOP,
		[HEADING_GLOBAL] = SCHEMA_GLOBAL,
		[HEADING_LOG] = SCHEMA_LOG,
		[HEADING_TLS] = SCHEMA_TLS,
		[HEADING_OCSP] = SCHEMA_OCSP,
	};
	struct layer *layers[] = {
		[HEADING_TOP] = &build->top,
		[HEADING_GLOBAL] = &build->global,
		[HEADING_LOG] = &build->log,
		[HEADING_TLS] = &build->tls,
		[HEADING_OCSP] = &build->ocsp,
	};

	for (size_t i = 0; i < source->count; i++)
		if (build->headings[i] == wanted)
			apply_section(build, &source->sections[i],
			    places[wanted], layers[wanted], &build->defaults);
}

static void
add_listener(
    struct build *build, const struct section *section, enum heading heading)
{
	struct config *config = build->config;
	struct config_listener *listener =
	    &config->listeners[config->listener_count];
	struct layer *layer = &build->listeners[config->listener_count];

	if (!layer_init(build, layer, &build->tls)) {
		diag_no_memory(build->diag);
		return;
	}
	*listener = build->defaults;
	listener->name = heading_name(section, heading);
	listener->where = section->where;
	config->listener_count++;
	apply_section(build, section, SCHEMA_LISTENER, layer, listener);
	layer_drop_pairs(build, layer, listener);
}

static void
apply_listeners(struct build *build, const struct source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct section *section = &source->sections[i];

		if (heading_is_listener(build->headings[i]))
			add_listener(build, section, build->headings[i]);
		else if (build->headings[i] == HEADING_NONE)
			heading_refuse(build->diag, section);
	}
}

/* "a#2" for a second [a]; NULL: no memory. */
static char *
number_name(
    const struct build *build, struct string_map *names, const char *name)
{
	char *fresh = NULL;
	unsigned number = 2;

	do
		fresh = arena_format(build->arena, "%s#%u", name, number++);
	while (fresh != NULL && string_map_find(names, fresh) != NULL);
	return fresh;
}

/* stunnel takes several services of one name.  Here a name identifies a
 * listener in logs and over reloads, so later ones get a number. */
static bool
number_doubles(const struct build *build)
{
	struct config *config = build->config;
	struct config_listener *listener;
	const void **first;
	struct string_map names;

	if (!string_map_init(&names, build->arena, config->listener_count))
		return false;
	for (size_t i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		first = string_map_at(&names, listener->name);
		if (*first != NULL) {
			listener->name = number_name(
			    build, &names, listener->name);
			if (listener->name == NULL)
				return false;
			diag_note(build->diag,
			    "%s:%u: there is another service of this name: "
			    "this one is called %.64s in logs",
			    listener->where.file, listener->where.line,
			    listener->name);
			first = string_map_at(&names, listener->name);
		}
		*first = listener;
	}
	return true;
}

bool
build_next_site(const struct build *build, struct site *site)
{
	const struct config *config = build->config;
	struct config_listener *listener = site->listener;

	if (listener != NULL && site->next_host < listener->host_count) {
		site->settings = &listener->hosts[site->next_host];
		site->layer = &build->listeners[site->next_listener - 1]
				   .hosts[site->next_host];
		site->next_host++;
		return true;
	}
	if (site->next_listener == config->listener_count)
		return false;
	site->listener = &config->listeners[site->next_listener];
	site->settings = site->listener;
	site->layer = &build->listeners[site->next_listener];
	site->next_listener++;
	site->next_host = 0;
	return true;
}

const char *
build_name(char out[BUILD_NAME_MAX], const struct config_listener *settings)
{
	if (settings->pattern != NULL)
		snprintf(out, BUILD_NAME_MAX, "host %s of listener %.64s",
		    settings->pattern, settings->name);
	else
		snprintf(out, BUILD_NAME_MAX, "listener %.64s", settings->name);
	return out;
}

static void
settle(const struct build *build)
{
	struct site site = { 0 };

	/* A host was its listener's copy before any of this: its profile
	 * brings its own versions. */
	while (build_next_site(build, &site))
		layer_conclude(build, site.layer, site.settings);
	build->config->ticket_key_permissions = build->defaults.key_permissions;
}

void
build_config(struct build *build, const struct source *source)
{
	if (!init_build(build, source))
		return;
	apply_defaults(build);
	build->is_stunnel = looks_like_stunnel(build, source);
	if (build->is_stunnel)
		follow_stunnel(build);
	apply_single(build, source, HEADING_TOP);
	apply_single(build, source, HEADING_GLOBAL);
	apply_single(build, source, HEADING_LOG);
	apply_single(build, source, HEADING_TLS);
	apply_single(build, source, HEADING_OCSP);
	apply_listeners(build, source);
	if (build->is_stunnel && !number_doubles(build))
		diag_no_memory(build->diag);
	hosts_apply(build, source);
	if (build->ignored[0] != '\0')
		diag_note(build->diag, "%s: these keys have no effect here: %s",
		    build->config->file, build->ignored);
	settle(build);
	check_config(build);
}
