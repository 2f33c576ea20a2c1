/*
 * The statements of one section, read into the fields the schema names.  A
 * list starts anew the first time a section says it, so that a listener's
 * own replaces the default, and grows after that; anything else may be said
 * once.  stunnel's options are remembered, not obeyed on the spot: they only
 * ever narrow what the keys, wherever they stand, have chosen.  Main thread.
 */
#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/build.h"
#include "config/near.h"
#include "config/report.h"
#include "config/source.h"
#include "config/words.h"

/* The section at hand. */
struct scope {
	struct build *build;
	enum schema_section section;
	struct layer *layer;
	struct config_listener *listener;
	const struct section *source;
};

static const struct schema_row *
find(const struct scope *scope, const char *key)
{
	return schema_recall(scope->build->memo, scope->section, key);
}

static void
remember_place(const struct scope *scope, const struct schema_row *row,
    const struct config_where *where)
{
	char *base = row->of_listener ? (char *)scope->listener
				      : (char *)scope->build->config;

	if (row->where != 0)
		*(struct config_where *)(void *)(base + row->where) = *where;
	if (row->mark != 0)
		*(bool *)(base + row->mark) = true;
}

/* What the forms of other programs add to a value. */
static bool
check_form(const struct scope *scope, const struct schema_row *row,
    const struct statement *statement, const char *value)
{
	struct report *report = scope->build->report;
	size_t length = strlen(value);

	if (length > 1 && strchr("\"'", value[0]) != NULL &&
	    value[length - 1] == value[0]) {
		report_error(report, &statement->where,
		    "%s: a value is written without quotes: %s = %.*s",
		    statement->key, row->name,
		    length < 200 ? (int)length - 2 : 200, value + 1);
		return false;
	}
	/* A common name may well be "client #1". */
	if (row->type != &value_cns &&
	    (strstr(value, " #") != NULL || strstr(value, "\t#") != NULL)) {
		report_error(report, &statement->where,
		    "%s: a comment behind a value begins with \";\": this "
		    "one is read as part of the value",
		    statement->key);
		return false;
	}
	return true;
}

static bool
read_value(const struct scope *scope, const struct schema_row *row,
    const struct statement *statement, const char *value)
{
	struct value_place place = {
		.rules = &row->rules,
		.field = schema_field(
		    row, scope->build->config, scope->listener),
		.arena = scope->build->arena,
		.where = &statement->where,
	};
	struct err err;

	if (value[0] == '\0' && !row->may_be_empty) {
		report_error(scope->build->report, &statement->where,
		    "%s needs a value", statement->key);
		return false;
	}
	if (!check_form(scope, row, statement, value))
		return false;
	if (!row->type->read(&place, value, &err)) {
		report_error(scope->build->report, &statement->where, "%s: %s",
		    statement->key, err.text);
		return false;
	}
	remember_place(scope, row, &statement->where);
	if (isdigit((unsigned char)value[0]) && row == find(scope, "verify"))
		scope->layer->verify_by_word = true;
	return true;
}

/* A statement as this value (NULL: a broken one) of a key.  true: the field
 * has it now. */
static bool
apply_value(const struct scope *scope, const struct schema_row *row,
    const struct statement *statement, const char *value)
{
	const struct config_where **said =
	    &scope->layer->said[schema_index(row)];

	if (*said != NULL && row->type->list == 0) {
		report_error(scope->build->report, &statement->where,
		    "%s is already set in %s:%u", statement->key, (*said)->file,
		    (*said)->line);
		return false;
	}
	if (*said == NULL)
		memset(schema_field(row, scope->build->config, scope->listener),
		    0, row->type->list);
	*said = &statement->where;
	return value != NULL && read_value(scope, row, statement, value);
}

static bool
apply_row(const struct scope *scope, const struct schema_row *row,
    const struct statement *statement)
{
	return apply_value(scope, row, statement, statement->value);
}

static void
refuse_key(const struct scope *scope, const struct statement *statement)
{
	struct report *report = scope->build->report;
	const struct schema_row *elsewhere = schema_find(
	    SCHEMA_TOP, statement->key);
	const char *hint = words_foreign(statement->key);
	const char *nearest = NULL;

	if (!report_is_full(report) && hint == NULL)
		nearest = schema_nearest(scope->section, statement->key);
	if (elsewhere != NULL)
		report_error(report, &statement->where,
		    "%s does not belong here: put it into %s", statement->key,
		    schema_section_name(elsewhere->sections));
	else if (hint != NULL)
		report_error(report, &statement->where,
		    "unknown key \"%.64s\": it is %s", statement->key, hint);
	else if (nearest != NULL)
		report_error(report, &statement->where,
		    "unknown key \"%.64s\": did you mean \"%s\"?",
		    statement->key, nearest);
	else
		report_error(report, &statement->where, "unknown key \"%.64s\"",
		    statement->key);
}

static void
ignore_key(struct build *build, const char *key)
{
	const char *names = build->ignored;

	/* Both are short words of ours or of a line, so this stays small. */
	if (strstr(names, key) != NULL || strlen(names) > 512)
		return;
	names = arena_format(
	    build->arena, "%s%s%s", names, names[0] != '\0' ? ", " : "", key);
	if (names == NULL)
		report_no_memory(build->report);
	else
		build->ignored = names;
}

/* sslVersion = X: this version and no other. */
static void
apply_version(const struct scope *scope, const struct statement *statement)
{
	if (near_same(statement->value, "all"))
		return;
	/* What is wrong with the one is wrong with the other. */
	if (apply_row(scope, find(scope, "min_version"), statement))
		(void)apply_row(scope, find(scope, "max_version"), statement);
}

static void
apply_option(const struct scope *scope, const struct statement *statement)
{
	struct report *report = scope->build->report;
	struct layer *layer = scope->layer;

	switch (words_option(statement->value)) {
	case OPTION_QUIET:
		break;
	case OPTION_NO_TLS12:
		layer->no_tls12 = true;
		break;
	case OPTION_NO_TLS13:
		layer->no_tls13 = true;
		break;
	case OPTION_NO_TICKET:
		layer->no_tickets = true;
		if (scope->section == SCHEMA_HOST)
			report_error(report, &statement->where,
			    "options = %s: tickets are all of a listener's or "
			    "none: put it there",
			    statement->value);
		break;
	case OPTION_SERVER_ORDER:
		layer->server_order = true;
		break;
	case OPTION_REFUSED:
		report_error(report, &statement->where,
		    "options = %s: would weaken TLS below what clinch offers: "
		    "remove it",
		    statement->value);
		break;
	case OPTION_UNKNOWN:
		report_note(report, "%s:%u: options = %s has no effect here",
		    statement->where.file, statement->where.line,
		    statement->value);
		break;
	}
}

static void
apply_socket_key(const struct scope *scope, const struct statement *statement,
    const char *key)
{
	const struct schema_row *row = find(scope, key);

	if (row != NULL)
		(void)apply_value(
		    scope, row, statement, strchr(statement->value, '=') + 1);
	else
		report_error(scope->build->report, &statement->where,
		    "socket = %s: sockets are all of a listener's: put it "
		    "there",
		    statement->value);
}

static void
apply_socket(const struct scope *scope, const struct statement *statement)
{
	struct report *report = scope->build->report;

	switch (words_socket(statement->value)) {
	case SOCKET_NO_EFFECT:
		ignore_key(scope->build, "socket");
		break;
	case SOCKET_KEEPALIVE:
		report_note(report,
		    "%s:%u: socket = %s has no effect here: use keepalive",
		    statement->where.file, statement->where.line,
		    statement->value);
		break;
	case SOCKET_BIND_EARLY:
		apply_socket_key(scope, statement, "bind_early");
		break;
	case SOCKET_DEVICE:
		apply_socket_key(scope, statement, "device");
		break;
	case SOCKET_REFUSED:
		report_error(report, &statement->where,
		    "socket = %.64s: clinch sets no such option, and its "
		    "effect would be missed: remove it",
		    statement->value);
		break;
	}
}

static void
apply_syslog(const struct scope *scope, const struct statement *statement)
{
	const struct schema_row *row = schema_find(SCHEMA_LOG, "output");
	bool yes = near_in("yes on true 1", statement->value);

	if (!yes)
		report_error(scope->build->report, &statement->where,
		    "%s: \"%.64s\" is neither yes nor no", statement->key,
		    statement->value);
	/* stunnel can do both; here a file that was named goes first. */
	else if (scope->build->top.said[schema_index(row)] == NULL)
		scope->build->config->log.output = "syslog";
}

/* The key of ours that a word stands for; NULL: none. */
static const char *
key_of(const struct word *word)
{
	switch (word->verdict) {
	case WORD_VERIFY:
	case WORD_REQUIRE:
		return "verify";
	case WORD_ALLOW:
		return "allow_san";
	case WORD_PROXY_OUT:
		return "proxy_out";
	default:
		return NULL;
	}
}

static void
apply_as_key(const struct scope *scope, const struct statement *statement,
    const struct word *word, const char *value)
{
	(void)apply_value(scope, find(scope, key_of(word)), statement, value);
}

/* stunnel matches any of its checks, as allow_san does. */
static void
apply_allow(const struct scope *scope, const struct statement *statement,
    const struct word *word)
{
	const char *value = arena_format(
	    scope->build->arena, "%s%s", word->says, statement->value);

	if (value == NULL)
		report_no_memory(scope->build->report);
	else
		apply_as_key(scope, statement, word, value);
}

/* Services are hosts by it; elsewhere it says nothing. */
static void
apply_sni(const struct scope *scope, const struct statement *statement)
{
	if (scope->section == SCHEMA_HOST &&
	    statement == heading_sni(scope->source))
		return;
	report_error(scope->build->report, &statement->where,
	    "%s: a name has a section of its own: write [host LISTENER "
	    "PATTERN]",
	    statement->key);
}

/* Does the word say something about listeners, and is this no place for it? */
static bool
is_misplaced(const struct scope *scope, const struct word *word)
{
	const char *key = key_of(word);

	if (word->verdict == WORD_VERSION || word->verdict == WORD_OPTIONS)
		key = "min_version";
	return key != NULL && find(scope, key) == NULL;
}

/*
 * verifyChain and verifyPeer may stand together, or beside a level of the
 * older `verify`: the strictest counts.  What is written in words of ours
 * beside them is a second value, and an error.
 */
static void
apply_verify(const struct scope *scope, const struct statement *statement,
    const struct word *word)
{
	const struct schema_row *row = find(scope, "verify");
	const struct config_where **said =
	    &scope->layer->said[schema_index(row)];
	const struct config_where *first = *said;
	enum config_verify before = scope->listener->verify;

	if (first != NULL && !scope->layer->verify_by_word) {
		apply_as_key(scope, statement, word, word->says);
		return;
	}
	*said = NULL;
	apply_as_key(scope, statement, word, word->says);
	if (first != NULL && scope->listener->verify < before) {
		scope->listener->verify = before;
		scope->listener->verify_where = *first;
		*said = first;
	}
	scope->layer->verify_by_word = true;
}

static void
obey_word(const struct scope *scope, const struct statement *statement,
    const struct word *word)
{
	switch (word->verdict) {
	case WORD_VERSION:
		apply_version(scope, statement);
		break;
	case WORD_OPTIONS:
		apply_option(scope, statement);
		break;
	case WORD_SOCKET:
		apply_socket(scope, statement);
		break;
	case WORD_SYSLOG:
		apply_syslog(scope, statement);
		break;
	case WORD_VERIFY:
		apply_verify(scope, statement, word);
		break;
	case WORD_PROXY_OUT:
		apply_as_key(scope, statement, word, word->says);
		break;
	case WORD_ALLOW:
		apply_allow(scope, statement, word);
		break;
	case WORD_REQUIRE:
		scope->layer->require_cert = statement;
		scope->layer->requires_cert = word->says[0] == 'y';
		break;
	case WORD_SNI:
		apply_sni(scope, statement);
		break;
	default:
		break;
	}
}

static void
apply_word(const struct scope *scope, const struct statement *statement)
{
	const struct word *word = words_find(statement->key, statement->value);

	if (word == NULL || is_misplaced(scope, word)) {
		refuse_key(scope, statement);
		return;
	}
	if (word->verdict == WORD_REFUSED) {
		report_error(scope->build->report, &statement->where, "%s: %s",
		    statement->key, word->says);
		return;
	}
	if (word->verdict == WORD_NO_EFFECT)
		ignore_key(scope->build, word->name);
	if (statement->value != NULL)
		obey_word(scope, statement, word);
}

void
apply_section(struct build *build, const struct section *section,
    enum schema_section kind, struct layer *layer,
    struct config_listener *listener)
{
	struct scope scope = { build, kind, layer, listener, section };
	const struct schema_row *row;

	for (size_t i = 0; i < section->count; i++) {
		row = find(&scope, section->items[i].key);
		if (row != NULL)
			(void)apply_row(&scope, row, &section->items[i]);
	}
	/* Words after keys: some give way to a key of the section. */
	for (size_t i = 0; i < section->count; i++) {
		row = find(&scope, section->items[i].key);
		if (row == NULL)
			apply_word(&scope, &section->items[i]);
	}
}

void
apply_defaults(struct build *build)
{
	struct config_where where = { build->config->file, 0 };
	struct err err;

	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_row *row = schema_row(i);
		struct value_place place = {
			.rules = &row->rules,
			.field = schema_field(
			    row, build->config, &build->defaults),
			.arena = build->arena,
			.where = &where,
		};

		if (row->initial != NULL &&
		    !row->type->read(&place, row->initial, &err))
			report_error(build->report, &where,
			    "the default of %s: %s", row->name, err.text);
	}
	build->builtin = build->defaults;
}
