/*
 * How a key is found in the table, and what to suggest when it is not.  Any
 * thread.
 */
#include "config/schema.h"

#include <string.h>

#include "config/strings.h"

static bool
stands_in(const struct schema_row *row, enum schema_section section)
{
	return (row->sections & section) != 0 &&
	       (section != SCHEMA_TOP || !row->not_at_top);
}

static bool
answers_to(
    const struct schema_row *row, enum schema_section section, const char *key)
{
	return fuzzy_same(row->name, key) || fuzzy_in(row->aliases, key) ||
	       (section == SCHEMA_TLS && fuzzy_in(row->tls_aliases, key));
}

const struct schema_row *
schema_find(enum schema_section section, const char *key)
{
	for (size_t i = 0; i < schema_count(); i++)
		if (stands_in(schema_row(i), section) &&
		    answers_to(schema_row(i), section, key))
			return schema_row(i);
	return NULL;
}

static size_t
slot_of(enum schema_section section, const char *key)
{
	size_t sum = (size_t)section;

	for (; *key != '\0'; key++)
		sum = sum * 31 + (unsigned char)*key;
	return sum % SCHEMA_MEMO;
}

const struct schema_row *
schema_recall(
    struct schema_memo *memo, enum schema_section section, const char *key)
{
	size_t i = slot_of(section, key);

	if (memo == NULL)
		return schema_find(section, key);
	if (memo->slots[i].key == NULL || memo->slots[i].section != section ||
	    strcmp(memo->slots[i].key, key) != 0) {
		memo->slots[i].key = key;
		memo->slots[i].section = section;
		memo->slots[i].row = schema_find(section, key);
	}
	return memo->slots[i].row;
}

static void
offer_aliases(struct fuzzy_match *match, const struct schema_row *row)
{
	const char *best = match->best;
	char one[64];
	size_t length;

	for (const char *at = row->aliases; at != NULL && *at != '\0';
	     at += length) {
		at += strspn(at, " ");
		length = strcspn(at, " ");
		if (length >= sizeof(one))
			continue;
		memcpy(one, at, length);
		one[length] = '\0';
		fuzzy_offer(match, one);
		/* Whatever alias was near, its key is the one to name. */
		if (match->best != best)
			match->best = best = row->name;
	}
}

const char *
schema_nearest(enum schema_section section, const char *key)
{
	struct fuzzy_match match;

	fuzzy_start(&match, key);
	for (size_t i = 0; i < schema_count(); i++) {
		if (!stands_in(schema_row(i), section))
			continue;
		fuzzy_offer(&match, schema_row(i)->name);
		offer_aliases(&match, schema_row(i));
	}
	return match.best;
}

const char *
schema_section_name(unsigned sections)
{
	if (sections == SCHEMA_GLOBAL)
		return "[global]";
	if (sections == SCHEMA_LOG)
		return "[log]";
	if (sections == SCHEMA_TLS)
		return "[tls]";
	if (sections == SCHEMA_OCSP)
		return "[ocsp]";
	if (sections == SCHEMA_LISTENER)
		return "[listener NAME]";
	if (sections == (SCHEMA_LISTENER | SCHEMA_HOST))
		return "[listener NAME] or [host LISTENER PATTERN]";
	return "[tls] or [listener NAME]";
}

void *
schema_field(const struct schema_row *row, struct config *config,
    struct config_listener *listener)
{
	return (row->of_listener ? (char *)listener : (char *)config) +
	       row->offset;
}

const void *
schema_field_const(const struct schema_row *row, const struct config *config,
    const struct config_listener *listener)
{
	return (row->of_listener ? (const char *)listener
				 : (const char *)config) +
	       row->offset;
}
