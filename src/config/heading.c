/*
 * Headings, and the sentences for those that are none of ours.  A heading
 * with a slip in it is refused rather than taken for a stunnel service of
 * that name: it would then listen without what it was meant to have.  Main
 * thread.
 */
#include "config/heading.h"

#include <string.h>
#include <strings.h>

#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/strings.h"
#include "config/words.h"

static const struct {
	const char *name;
	enum heading heading;
} singles[] = {
	{ "global", HEADING_GLOBAL },
	{ "log", HEADING_LOG },
	{ "tls", HEADING_TLS },
	{ "ocsp", HEADING_OCSP },
};

/* What follows the word in the heading; NULL: another heading. */
static const char *
behind(const char *name, const char *word)
{
	size_t length = strlen(word);

	if (strncasecmp(name, word, length) != 0)
		return NULL;
	name += length;
	if (*name != '\0' && strchr(" \t", *name) == NULL)
		return NULL;
	return name + strspn(name, " \t");
}

static size_t
count_words(const char *text)
{
	size_t count = 0;

	for (text += strspn(text, " \t"); *text != '\0'; count++) {
		text += strcspn(text, " \t");
		text += strspn(text, " \t");
	}
	return count;
}

static bool
holds(const struct section *section, const char *key, struct schema_memo *memo)
{
	const struct schema_row *row = schema_recall(
	    memo, SCHEMA_LISTENER, key);

	for (size_t i = 0; i < section->count; i++)
		if (schema_recall(
			memo, SCHEMA_LISTENER, section->items[i].key) == row)
			return true;
	return false;
}

const struct statement *
heading_sni(const struct section *section)
{
	for (size_t i = 0; i < section->count; i++)
		if (fuzzy_same(section->items[i].key, "sni"))
			return &section->items[i];
	return NULL;
}

/* Does the heading look like "WORD ..." with a slip in it? */
static bool
is_misspelt(const char *name, const char *word)
{
	char first[16];
	size_t length = strcspn(name, " \t");
	struct fuzzy_match match;

	if (name[length] == '\0' || length >= sizeof(first))
		return false;
	memcpy(first, name, length);
	first[length] = '\0';
	fuzzy_start(&match, first);
	fuzzy_offer(&match, word);
	return match.best != NULL;
}

static bool
is_misspelt_listener(const struct section *section)
{
	return is_misspelt(section->name, "listener");
}

/* Four letters are soon near others: the rest has to look like it as well. */
static bool
is_misspelt_host(const struct section *section)
{
	return behind(section->name, "host") == NULL &&
	       is_misspelt(section->name, "host") &&
	       count_words(section->name) > 2;
}

static enum heading
service_of(const struct section *section, struct schema_memo *memo)
{
	bool accepts = holds(section, "accept", memo) ||
		       holds(section, "fd", memo);
	bool connects = holds(section, "connect", memo);

	/* One of the two is enough to see what was meant, unless the name
	 * means something else already. */
	if (accepts && connects && !is_misspelt_listener(section))
		return HEADING_SERVICE;
	if (is_misspelt_listener(section) || is_misspelt_host(section) ||
	    behind(section->name, "host") != NULL ||
	    words_later_section(section->name) != NULL)
		return HEADING_NONE;
	if (!accepts && heading_sni(section) != NULL)
		return HEADING_SNI;
	return accepts || connects ? HEADING_SERVICE : HEADING_NONE;
}

bool
heading_is_ours(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		if (strcasecmp(name, singles[i].name) == 0)
			return true;
	return behind(name, "listener") != NULL || behind(name, "host") != NULL;
}

enum heading
heading_of(const struct section *section, struct schema_memo *memo)
{
	const char *listener = behind(section->name, "listener");
	const char *host = behind(section->name, "host");

	if (section->name[0] == '\0')
		return HEADING_TOP;
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		if (strcasecmp(section->name, singles[i].name) == 0)
			return singles[i].heading;
	if (listener != NULL)
		return *listener != '\0' ? HEADING_LISTENER : HEADING_NONE;
	if (host != NULL && count_words(host) > 1)
		return HEADING_HOST;
	return service_of(section, memo);
}

bool
heading_is_listener(enum heading heading)
{
	return heading == HEADING_LISTENER || heading == HEADING_SERVICE;
}

bool
heading_is_host(enum heading heading)
{
	return heading == HEADING_HOST || heading == HEADING_SNI;
}

const char *
heading_name(const struct section *section, enum heading heading)
{
	if (heading == HEADING_LISTENER)
		return behind(section->name, "listener");
	if (heading == HEADING_HOST)
		return behind(section->name, "host");
	return section->name;
}

static const char *
nearest_single(const char *name)
{
	struct fuzzy_match match;

	fuzzy_start(&match, name);
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		fuzzy_offer(&match, singles[i].name);
	return match.best;
}

void
heading_refuse(struct diagnostics *diag, const struct section *section)
{
	const struct config_where *where = &section->where;
	const char *name = section->name;
	const char *later = words_later_section(name);
	const char *nearest = nearest_single(name);

	if (later != NULL)
		diag_error(diag, where, "[%.64s]: %s", name, later);
	else if (behind(name, "listener") != NULL)
		diag_error(diag, where,
		    "a listener needs a name: write [listener NAME]");
	else if (behind(name, "host") != NULL)
		diag_error(diag, where,
		    "a host needs its listener and a name: write [host "
		    "LISTENER PATTERN], such as [host web www.example.org]");
	else if (is_misspelt_listener(section))
		diag_error(diag, where,
		    "[%.64s] is not a known section: did you mean [listener "
		    "NAME]?",
		    name);
	else if (is_misspelt_host(section))
		diag_error(diag, where,
		    "[%.64s] is not a known section: did you mean [host "
		    "LISTENER PATTERN]?",
		    name);
	else if (nearest != NULL)
		diag_error(diag, where,
		    "[%.64s] is not a known section: did you mean [%s]?", name,
		    nearest);
	else
		diag_error(diag, where,
		    "[%.64s] is neither a known section nor a service, which "
		    "would hold accept and connect",
		    name);
}
