/*
 * From sections of statements to a configuration.  Main thread.
 *
 * Sections are applied in the order of precedence (built-in values, keys before
 * any section, [tls], listener, host) and not in that of the file.  So a default
 * may follow the listeners it is for, and a host may precede its listener.  A
 * host starts as a copy of its listener with all the listener's keys, so hosts
 * are made after all listeners.
 *
 * A list is replaced by the first statement of a section and extended by the
 * further ones; any other key may occur once.
 *
 * A heading that resembles [listener NAME] is an error and not the name of a
 * stunnel service: a slip is more likely, and the service would run under the
 * misspelt heading as its name.
 */
#include "config/parse.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/check.h"
#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/strings.h"
#include "config/stunnel.h"

/* Sections without a name of their own, in the order they are applied in. */
static const struct {
	const char *name;
	enum section_kind kind;
	enum schema_section schema;
} singles[] = {
	{ "", SECTION_TOP, SCHEMA_TOP },
	{ "global", SECTION_GLOBAL, SCHEMA_GLOBAL },
	{ "log", SECTION_LOG, SCHEMA_LOG },
	{ "tls", SECTION_TLS, SCHEMA_TLS },
	{ "ocsp", SECTION_OCSP, SCHEMA_OCSP },
	{ "admin", SECTION_ADMIN, SCHEMA_ADMIN },
};

/* The text after `word` in the heading; NULL: another heading. */
static const char *
after_word(const char *name, const char *word)
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
has_key(const struct section *section, enum config_key key)
{
	const struct schema_row *row = schema_row(key);

	for (size_t i = 0; i < section->count; i++)
		if (schema_find(SCHEMA_LISTENER, section->items[i].key) == row)
			return true;
	return false;
}

const struct statement *
parse_sni(const struct section *section)
{
	for (size_t i = 0; i < section->count; i++)
		if (fuzzy_same(section->items[i].key, "sni"))
			return &section->items[i];
	return NULL;
}

/* true: the heading is a misspelt "WORD ...". */
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

/* Many words of four letters are near "host", so the heading must also have
 * three words. */
static bool
is_misspelt_host(const struct section *section)
{
	return after_word(section->name, "host") == NULL &&
	       is_misspelt(section->name, "host") &&
	       count_words(section->name) > 2;
}

/* The kind of a section whose heading is none of clinch's. */
static enum section_kind
kind_of_service(const struct section *section)
{
	bool accepts = has_key(section, KEY_ACCEPT) || has_key(section, KEY_FD);
	bool connects = has_key(section, KEY_CONNECT);

	/* With both keys it is a service, unless the heading resembles
	 * [listener NAME].  With one of them it must not resemble any heading
	 * of clinch. */
	if (accepts && connects && !is_misspelt_listener(section))
		return SECTION_SERVICE;
	if (is_misspelt_listener(section) || is_misspelt_host(section) ||
	    after_word(section->name, "host") != NULL)
		return SECTION_UNKNOWN;
	if (!accepts && parse_sni(section) != NULL)
		return SECTION_SNI;
	return accepts || connects ? SECTION_SERVICE : SECTION_UNKNOWN;
}

bool
parse_is_own_section(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		if (strcasecmp(name, singles[i].name) == 0)
			return true;
	return after_word(name, "listener") != NULL ||
	       after_word(name, "host") != NULL;
}

/* A stunnel.conf may have a service of that name. */
static bool
is_service_called_admin(const struct section *section, enum section_kind kind)
{
	return kind == SECTION_ADMIN && has_key(section, KEY_CONNECT);
}

static enum section_kind
kind_of(const struct section *section)
{
	const char *listener = after_word(section->name, "listener");
	const char *host = after_word(section->name, "host");

	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		if (strcasecmp(section->name, singles[i].name) == 0 &&
		    !is_service_called_admin(section, singles[i].kind))
			return singles[i].kind;
	if (listener != NULL)
		return *listener != '\0' ? SECTION_LISTENER : SECTION_UNKNOWN;
	if (host != NULL && count_words(host) > 1)
		return SECTION_HOST;
	return kind_of_service(section);
}

static bool
is_listener(enum section_kind kind)
{
	return kind == SECTION_LISTENER || kind == SECTION_SERVICE;
}

static bool
is_host(enum section_kind kind)
{
	return kind == SECTION_HOST || kind == SECTION_SNI;
}

/* The name of a listener or service, or the "LISTENER PATTERN" of a host. */
static const char *
name_of(const struct section *section, enum section_kind kind)
{
	if (kind == SECTION_LISTENER)
		return after_word(section->name, "listener");
	if (kind == SECTION_HOST)
		return after_word(section->name, "host");
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

static void
refuse_section(struct diagnostics *diag, const struct section *section)
{
	const struct config_where *where = &section->where;
	const char *name = section->name;
	const char *nearest = nearest_single(name);

	if (after_word(name, "listener") != NULL)
		diag_error(diag, where,
		    "a listener needs a name: write [listener NAME]");
	else if (after_word(name, "host") != NULL)
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
		    "would have accept and connect",
		    name);
}

struct config_place *
parse_place(struct config_place *places, const struct config_place *end,
    enum config_key key)
{
	while (places != end && places->key != key)
		places = places->next;
	return places != end ? places : NULL;
}

struct config_place *
parse_record(const struct parse_scope *scope, enum config_key key,
    const struct statement *statement)
{
	struct config_place **places = &scope->listener->places;
	struct config_place *place = parse_place(
	    *places, scope->inherited, key);

	if (place == NULL) {
		place = arena_alloc(scope->parser->arena, sizeof(*place));
		if (place == NULL) {
			diag_no_memory(scope->parser->diag);
			return NULL;
		}
		place->next = *places;
		place->key = key;
		*places = place;
	}
	place->statement = statement;
	return place;
}

/* A section with a cert of its own does not inherit key and staple_file, which
 * belong to the inherited cert.  Returns true for such a section. */
static bool
drop_pairs(
    struct config_listener *listener, const struct config_place *inherited)
{
	struct config_place *places = listener->places;

	if (parse_place(places, inherited, KEY_CERT) == NULL)
		return false;
	if (parse_place(places, inherited, KEY_KEY) == NULL)
		listener->keys = (struct config_paths){ 0 };
	if (parse_place(places, inherited, KEY_STAPLE_FILE) == NULL)
		listener->staple_files = (struct config_paths){ 0 };
	return true;
}

/* Set what depends on several keys: the profile and stunnel's options. */
static void
apply_combined_keys(struct config_listener *listener)
{
	struct config_place *places = listener->places;

	/* profile = modern raises the built-in min_version, unless min_version
	 * is set, or max_version or ciphers are for TLS 1.2. */
	if (listener->profile == PROFILE_MODERN &&
	    listener->max_version != TLS_VERSION_1_2 &&
	    parse_place(places, NULL, KEY_MIN_VERSION) == NULL &&
	    parse_place(places, NULL, KEY_CIPHERS) == NULL)
		listener->min_version = TLS_VERSION_1_3;
	if (listener->min_version == TLS_VERSION_1_2 &&
	    parse_place(places, NULL, KEY_STUNNEL_NO_TLS12) != NULL)
		listener->min_version = TLS_VERSION_1_3;
	if (parse_place(places, NULL, KEY_STUNNEL_NO_TLS13) != NULL)
		listener->max_version = TLS_VERSION_1_2;
	if (parse_place(places, NULL, KEY_STUNNEL_NO_TICKETS) != NULL)
		listener->tickets = false;
	if (parse_place(places, NULL, KEY_STUNNEL_SERVER_ORDER) != NULL)
		listener->server_order = SERVER_ORDER_YES;
}

bool
parse_has_key(const struct parse_scope *scope, enum config_key key)
{
	return (schema_row(key)->sections & scope->section) != 0;
}

/* Refuse quotes and "#" comments, which other programs accept. */
static bool
check_form(const struct parse_scope *scope, const struct schema_row *row,
    const struct statement *statement, const char *value)
{
	struct diagnostics *diag = scope->parser->diag;
	size_t length = strlen(value);

	if (length > 1 && strchr("\"'", value[0]) != NULL &&
	    value[length - 1] == value[0]) {
		diag_error(diag, &statement->where,
		    "%s: a value is written without quotes: %s = %.*s",
		    statement->key, row->name,
		    length < 200 ? (int)length - 2 : 200, value + 1);
		return false;
	}
	/* A common name can contain " #". */
	if (row->type != &value_cns &&
	    (strstr(value, " #") != NULL || strstr(value, "\t#") != NULL)) {
		diag_error(diag, &statement->where,
		    "%s: \"#\" would be part of the value: begin a comment "
		    "behind a value with \";\"",
		    statement->key);
		return false;
	}
	return true;
}

static bool
read_value(const struct parse_scope *scope, const struct schema_row *row,
    const struct statement *statement, const char *value)
{
	struct value_place place = {
		.rules = &row->rules,
		.field = schema_field(
		    row, scope->parser->config, scope->listener),
		.arena = scope->parser->arena,
		.where = &statement->where,
	};
	struct err err;

	if (value[0] == '\0' && !row->may_be_empty) {
		diag_error(scope->parser->diag, &statement->where,
		    "%s needs a value", statement->key);
		return false;
	}
	if (!check_form(scope, row, statement, value))
		return false;
	if (!value_read(row->type, &place, value, &err)) {
		diag_error(scope->parser->diag, &statement->where, "%s: %s",
		    statement->key, err.text);
		return false;
	}
	return true;
}

bool
parse_again(const struct parse_scope *scope, enum config_key key,
    const struct statement *statement, const char *value)
{
	struct config_place *place = parse_record(scope, key, statement);

	if (place == NULL)
		return false;
	place->is_valid = value != NULL &&
			  read_value(scope, schema_row(key), statement, value);
	return place->is_valid;
}

bool
parse_value(const struct parse_scope *scope, enum config_key key,
    const struct statement *statement, const char *value)
{
	const struct schema_row *row = schema_row(key);
	const struct config_place *set = parse_place(
	    scope->listener->places, scope->inherited, key);

	if (set != NULL && row->type->list == 0) {
		diag_error(scope->parser->diag, &statement->where,
		    "%s is already set in %s:%u", statement->key,
		    set->statement->where.file, set->statement->where.line);
		return false;
	}
	/* Empty an inherited list.  type->list is its size; 0: no list. */
	if (set == NULL)
		memset(
		    schema_field(row, scope->parser->config, scope->listener),
		    0, row->type->list);
	return parse_again(scope, key, statement, value);
}

void
parse_refuse_key(
    const struct parse_scope *scope, const struct statement *statement)
{
	struct diagnostics *diag = scope->parser->diag;
	const struct schema_row *elsewhere = schema_find(
	    SCHEMA_TOP, statement->key);
	const char *hint = stunnel_foreign_hint(statement->key);
	const char *nearest = NULL;

	if (!diag_is_full(diag) && hint == NULL)
		nearest = schema_nearest(scope->section, statement->key);
	if (elsewhere != NULL)
		diag_error(diag, &statement->where,
		    "%s does not belong here: put it into %s", statement->key,
		    schema_section_name(elsewhere->sections));
	else if (hint != NULL)
		diag_error(diag, &statement->where,
		    "unknown key \"%.64s\": it is %s", statement->key, hint);
	else if (nearest != NULL)
		diag_error(diag, &statement->where,
		    "unknown key \"%.64s\": did you mean \"%s\"?",
		    statement->key, nearest);
	else
		diag_error(diag, &statement->where, "unknown key \"%.64s\"",
		    statement->key);
}

/* `inherited`: the listener's places before the first section of this name. */
static void
apply_section(struct parser *parser, const struct section *section,
    enum schema_section kind, const struct config_place *inherited,
    struct config_listener *listener)
{
	struct parse_scope scope = { parser, kind, listener, inherited,
		section };
	const struct schema_row *row;
	size_t others = 0;

	for (size_t i = 0; i < section->count; i++) {
		row = schema_find(kind, section->items[i].key);
		if (row != NULL)
			(void)parse_value(&scope, schema_key_of(row),
			    &section->items[i], section->items[i].value);
		else
			others++;
	}
	/* Keys of stunnel come second: some yield to a key of the section. */
	for (size_t i = 0; others > 0 && i < section->count; i++) {
		if (schema_find(kind, section->items[i].key) != NULL)
			continue;
		stunnel_apply(&scope, &section->items[i]);
		others--;
	}
}

static void
apply_defaults(struct parser *parser)
{
	struct err err;

	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);
		struct value_place place = {
			.rules = &row->rules,
			.field = schema_field(
			    row, parser->config, &parser->defaults),
			.arena = parser->arena,
			.where = &parser->whole,
		};

		if (row->initial != NULL &&
		    !value_read(row->type, &place, row->initial, &err))
			diag_error(parser->diag, &parser->whole,
			    "the default of %s: %s", row->name, err.text);
	}
	parser->builtin = parser->defaults;
}

bool
parse_next_site(const struct parser *parser, struct site *site)
{
	const struct config *config = parser->config;
	struct config_listener *listener = site->listener;

	if (listener != NULL && site->next_host < listener->host_count) {
		site->settings = &listener->hosts[site->next_host++];
		site->inherited = listener->places;
		return true;
	}
	if (site->next_listener == config->listener_count)
		return false;
	site->listener = &config->listeners[site->next_listener++];
	site->settings = site->listener;
	site->inherited = parser->defaults.places;
	site->next_host = 0;
	return true;
}

const char *
parse_name(char out[PARSE_NAME_MAX], const struct config_listener *settings)
{
	if (settings->pattern != NULL)
		snprintf(out, PARSE_NAME_MAX, "host %s of listener %.64s",
		    settings->pattern, settings->name);
	else
		snprintf(out, PARSE_NAME_MAX, "listener %.64s", settings->name);
	return out;
}

/* Set the kind of each section.  Returns the number of listeners. */
static size_t
set_kinds(struct parser *parser, const struct source *source)
{
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++) {
		parser->kinds[i] = kind_of(&source->sections[i]);
		count += is_listener(parser->kinds[i]);
	}
	return count;
}

static bool
init_parser(struct parser *parser, const struct source *source)
{
	struct config *config = parser->config;
	size_t count;

	parser->ignored = "";
	parser->kinds = arena_alloc(
	    parser->arena, source->count * sizeof(parser->kinds[0]));
	if (parser->kinds == NULL) {
		diag_no_memory(parser->diag);
		return false;
	}
	count = set_kinds(parser, source);
	if (count > PARSE_LISTENERS_MAX) {
		diag_error(parser->diag, &parser->whole,
		    "there are more than %d listeners", PARSE_LISTENERS_MAX);
		return false;
	}
	config->listeners = arena_alloc(
	    parser->arena, count * sizeof(config->listeners[0]));
	if (config->listeners == NULL)
		diag_no_memory(parser->diag);
	return config->listeners != NULL;
}

/* Apply the sections of a kind without names: several of them count as one. */
static void
apply_single(struct parser *parser, const struct source *source,
    enum section_kind kind, enum schema_section schema)
{
	const struct config_place *inherited = parser->defaults.places;

	for (size_t i = 0; i < source->count; i++)
		if (parser->kinds[i] == kind)
			apply_section(parser, &source->sections[i], schema,
			    inherited, &parser->defaults);
}

static void
add_listener(struct parser *parser, const struct section *section,
    enum section_kind kind)
{
	struct config *config = parser->config;
	struct config_listener *listener =
	    &config->listeners[config->listener_count];

	*listener = parser->defaults;
	listener->name = name_of(section, kind);
	listener->where = section->where;
	config->listener_count++;
	apply_section(parser, section, SCHEMA_LISTENER, parser->defaults.places,
	    listener);
	(void)drop_pairs(listener, parser->defaults.places);
}

static void
apply_listeners(struct parser *parser, const struct source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct section *section = &source->sections[i];

		if (is_listener(parser->kinds[i]))
			add_listener(parser, section, parser->kinds[i]);
		else if (parser->kinds[i] == SECTION_UNKNOWN)
			refuse_section(parser->diag, section);
	}
}

/* One host section and its listener. */
struct host {
	const struct section *section;
	struct config_listener *listener; /* NULL: unknown, reported */
	char *pattern;
};

/* Split "web www.example.org" or "web:www.example.org" at the last byte that is
 * one of `marks`; the name of the listener is terminated in place.  false: a
 * part is missing. */
static bool
split_host(char *listener, const char *marks, const char **pattern)
{
	char *end = listener + strlen(listener);
	char *at;

	for (at = end; at > listener && strchr(marks, at[-1]) == NULL; at--)
		;
	if (at == listener)
		return false;
	*pattern = at + strspn(at, " \t");
	for (at--; at > listener && strchr(" \t", at[-1]) != NULL; at--)
		;
	*at = '\0';
	return at > listener && **pattern != '\0';
}

static void
refuse_unknown_listener(const struct parser *parser,
    const struct section *section, const char *name)
{
	const struct config *config = parser->config;
	struct fuzzy_match match;

	fuzzy_start(&match, name);
	for (size_t i = 0;
	     i < config->listener_count && !diag_is_full(parser->diag); i++)
		fuzzy_offer(&match, config->listeners[i].name);
	if (match.best != NULL)
		diag_error(parser->diag, &section->where,
		    "there is no listener %.64s: did you mean %.64s?", name,
		    match.best);
	else
		diag_error(parser->diag, &section->where,
		    "there is no listener %.64s for this host", name);
}

/* Set the listener of a host. */
static void
set_listener(const struct parser *parser, struct host *host,
    const struct string_map *names, const char *name)
{
	struct config_listener *listeners = parser->config->listeners;
	const struct config_listener *found = string_map_find(names, name);

	/* The map holds const pointers: take the index. */
	if (found != NULL)
		host->listener = &listeners[found - listeners];
	else
		refuse_unknown_listener(parser, host->section, name);
}

/* The text "LISTENER PATTERN" or "SERVICE:PATTERN" of a host section, and the
 * bytes to split it at.  NULL: an invalid value, which has been reported. */
static const char *
host_text(
    const struct section *section, enum section_kind kind, const char **marks)
{
	*marks = " \t";
	if (kind == SECTION_HOST)
		return name_of(section, kind);
	*marks = ":";
	return parse_sni(section)->value;
}

/* Fill in the listener and the pattern of a host.  Errors are reported.  false:
 * no memory. */
static bool
read_host(const struct parser *parser, struct host *host,
    enum section_kind kind, const struct string_map *names)
{
	const char *marks, *pattern;
	const char *text = host_text(host->section, kind, &marks);
	char *name;
	struct err err;

	if (text == NULL)
		return true;
	name = arena_copy(parser->arena, text, strlen(text));
	host->pattern = arena_alloc(parser->arena, PATTERN_NAME_MAX + 1);
	if (name == NULL || host->pattern == NULL)
		return false;
	if (!split_host(name, marks, &pattern)) {
		diag_error(parser->diag, &host->section->where,
		    "sni = %.64s: write SERVICE:PATTERN, such as "
		    "https:www.example.org",
		    text);
	} else if (!pattern_normalise(host->pattern, pattern, &err)) {
		diag_error(parser->diag, &host->section->where,
		    "host %.64s: %s", pattern, err.text);
	} else {
		set_listener(parser, host, names, name);
	}
	return true;
}

/* The first listener of each name: check.c reports the others. */
static bool
map_names(const struct parser *parser, struct string_map *names)
{
	struct config *config = parser->config;
	const void **first;

	if (!string_map_init(names, parser->arena, config->listener_count))
		return false;
	for (size_t i = 0; i < config->listener_count; i++) {
		first = string_map_at(names, config->listeners[i].name);
		if (*first == NULL)
			*first = &config->listeners[i];
	}
	return true;
}

/* Fill in `hosts`, one for each host section.  false: no memory. */
static bool
read_hosts(const struct parser *parser, const struct source *source,
    struct host *hosts)
{
	struct string_map names;

	if (!map_names(parser, &names))
		return false;
	for (size_t i = 0; i < source->count; i++) {
		if (!is_host(parser->kinds[i]))
			continue;
		hosts->section = &source->sections[i];
		if (!read_host(parser, hosts, parser->kinds[i], &names))
			return false;
		hosts++;
	}
	return true;
}

/* Make room in each listener for its hosts; host_count stays 0. */
static bool
alloc_hosts(const struct parser *parser, const struct host *hosts, size_t count)
{
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		if (hosts[i].listener != NULL)
			hosts[i].listener->host_count++;
	for (size_t i = 0; i < parser->config->listener_count; i++) {
		struct config_listener *listener =
		    &parser->config->listeners[i];
		size_t room = listener->host_count;

		listener->host_count = 0;
		if (room == 0)
			continue;
		listener->hosts = arena_alloc(
		    parser->arena, room * sizeof(listener->hosts[0]));
		ok = ok && listener->hosts != NULL;
	}
	return ok;
}

static void
add_host(struct parser *parser, const struct host *from)
{
	struct config_listener *listener = from->listener;
	struct config_listener *host = &listener->hosts[listener->host_count];

	*host = *listener;
	host->hosts = NULL;
	host->host_count = 0;
	host->pattern = from->pattern;
	host->where = from->section->where;
	listener->host_count++;
	apply_section(
	    parser, from->section, SCHEMA_HOST, listener->places, host);
	host->certs_own = drop_pairs(host, listener->places);
}

/* Apply a host whose listener is unknown, so that errors in its keys are
 * reported as well. */
static void
apply_orphan(struct parser *parser, const struct host *from)
{
	struct config_listener host = parser->defaults;

	apply_section(parser, from->section, SCHEMA_HOST, host.places, &host);
}

static bool
add_hosts(struct parser *parser, const struct source *source, size_t count)
{
	struct host *hosts = arena_alloc(parser->arena, count * sizeof(*hosts));

	if (hosts == NULL || !read_hosts(parser, source, hosts) ||
	    !alloc_hosts(parser, hosts, count))
		return false;
	for (size_t i = 0; i < count; i++)
		if (hosts[i].listener != NULL)
			add_host(parser, &hosts[i]);
		else
			apply_orphan(parser, &hosts[i]);
	return true;
}

static void
apply_hosts(struct parser *parser, const struct source *source)
{
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++)
		count += is_host(parser->kinds[i]);
	if (count > PARSE_HOSTS_MAX)
		diag_error(parser->diag, &parser->whole,
		    "there are more than %d hosts: put certificates without "
		    "settings of their own into a folder named by cert_dir",
		    PARSE_HOSTS_MAX);
	else if (count > 0 && !add_hosts(parser, source, count))
		diag_no_memory(parser->diag);
}

static void
finish_sites(const struct parser *parser)
{
	struct site site = { 0 };

	/* Hosts were copied from their listener before this step, so each of
	 * them needs it, too. */
	while (parse_next_site(parser, &site))
		apply_combined_keys(site.settings);
	parser->config->ticket_key_permissions =
	    parser->defaults.key_permissions;
}

void
parse_config(struct parser *parser, const struct source *source)
{
	if (!init_parser(parser, source))
		return;
	apply_defaults(parser);
	parser->is_stunnel = stunnel_detect(parser, source);
	if (parser->is_stunnel)
		stunnel_set_defaults(parser);
	for (size_t i = 0; i < ARRAY_LEN(singles); i++)
		apply_single(
		    parser, source, singles[i].kind, singles[i].schema);
	parser->config->places = parser->defaults.places;
	apply_listeners(parser, source);
	if (parser->is_stunnel && !stunnel_number_services(parser))
		diag_no_memory(parser->diag);
	apply_hosts(parser, source);
	if (parser->ignored[0] != '\0')
		diag_note(parser->diag, &parser->whole,
		    "these keys have no effect here: %s", parser->ignored);
	finish_sites(parser);
	check_config(parser);
}
