/*
 * The types of single values: numbers, durations, modes, words, texts and
 * paths, and lists of paths.  Any thread.
 *
 * Each reader checks its bounds and writes the field only when the text is
 * valid.  A path is made relative to the file that names it when it is read,
 * and absolute when it is printed, so that the output of --print-config is
 * valid in any folder.  Every enum of config.h has the size of int (checked
 * below), so one reader serves all of them.
 */
#include "config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/reader.h"
#include "config/strings.h"

/* All lists have one layout. */
_Static_assert(
    sizeof(struct config_cidrs) == sizeof(struct config_strings) &&
	sizeof(struct config_paths) == sizeof(struct config_strings) &&
	sizeof(struct config_accepts) == sizeof(struct config_strings) &&
	sizeof(struct config_connects) == sizeof(struct config_strings),
    "lists are all a pointer and a count");
_Static_assert(offsetof(struct config_path, path) == 0,
    "a path is printed and compared by its first member");

struct value_items {
	uint8_t *items;
	size_t count;
};

static struct value_items
items_of(const void *field)
{
	struct value_items list;

	memcpy(&list, field, sizeof(list));
	return list;
}

bool
value_append(const struct value_place *place, const void *item, struct err *err)
{
	struct value_items list = items_of(place->field);
	size_t size = place->type->item_size;

	if (list.count >= place->type->items_max)
		return err_set(err, "there are more than %zu items in the list",
		    place->type->items_max);
	list.items = arena_grow(place->arena, list.items, list.count, size);
	if (list.items == NULL)
		return err_no_memory(err);
	memcpy(list.items + list.count * size, item, size);
	list.count++;
	memcpy(place->field, &list, sizeof(list));
	return true;
}

/* Read each item between commas, trimmed and copied into the arena. */
static bool
read_items(const struct value_place *place, const char *text, struct err *err)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		const char *next = text + length;
		char *item;

		while (length > 0 && strchr(" \t", *text) != NULL) {
			text++;
			length--;
		}
		while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
			length--;
		if (length == 0)
			return err_set(
			    err, "there is an empty item in the list");
		item = arena_copy(place->arena, text, length);
		if (item == NULL)
			return err_no_memory(err);
		if (!place->type->read(place, item, err))
			return false;
		if (*next == '\0')
			return true;
		text = next + 1;
	}
}

bool
value_read(const struct value_type *type, const struct value_place *place,
    const char *text, struct err *err)
{
	struct value_place typed = *place;

	typed.type = type;
	if (type->list == 0)
		return type->read(&typed, text, err);
	/* Only keys that may be empty are read without a value. */
	return text[0] == '\0' || read_items(&typed, text, err);
}

/* true: a list that was filled in by the checks in part. */
static bool
has_gaps(const struct value_type *type, const void *field)
{
	const struct config_paths *list = field;

	if (type != &value_paths)
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].path == NULL)
			return true;
	return false;
}

void
value_print(const struct value_type *type, FILE *out, const char *key,
    const void *field, const struct value_rules *rules)
{
	struct value_items list;

	if (type->item_size == 0) {
		type->print(out, key, field, rules);
		return;
	}
	list = items_of(field);
	if (has_gaps(type, field))
		return;
	for (size_t i = 0; i < list.count; i++)
		type->print(out, key, list.items + i * type->item_size, rules);
}

bool
value_equal(const struct value_type *type, const void *a, const void *b)
{
	struct value_items left, right;

	if (type->item_size == 0)
		return type->equal(a, b);
	left = items_of(a);
	right = items_of(b);
	if (left.count != right.count)
		return false;
	for (size_t i = 0; i < left.count; i++)
		if (!type->equal(left.items + i * type->item_size,
			right.items + i * type->item_size))
			return false;
	return true;
}

/* Numbers, masks and enums have the size of int. */
static bool
equal_int(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(int)) == 0;
}

/* Read the digits at the start of text; *end is the byte after them. false: no
 * digits, or a number too large for any key. */
static bool
read_digits(uint64_t *number, const char *text, const char **end)
{
	*number = 0;
	for (*end = text; isdigit((unsigned char)**end); ++*end) {
		if (*number > UINT64_C(1) << 40)
			return false;
		*number = *number * 10 + (uint64_t)(**end - '0');
	}
	return *end != text;
}

static bool
read_count(uint64_t *number, const char *text)
{
	static const char units[] = "kmg";
	const char *end, *unit;

	if (!read_digits(number, text, &end))
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, tolower((unsigned char)*end));
	if (unit == NULL || end[1] != '\0')
		return false;
	*number <<= 10 * (unit - units + 1);
	return true;
}

static bool
is_zero_word(const struct value_rules *rules, const char *text)
{
	return rules->zero != NULL && strcasecmp(rules->zero, text) == 0;
}

static bool
read_number(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_rules *rules = place->rules;
	uint64_t number = 0;

	if (is_zero_word(rules, text)) {
		*(uint32_t *)place->field = 0;
		return true;
	}
	if (!read_count(&number, text) || number < rules->min ||
	    number > rules->max)
		return err_set(err,
		    "\"%.64s\" is not a number from %" PRIu32 " to %" PRIu32
		    "%s%s",
		    text, rules->min, rules->max,
		    rules->zero != NULL ? " or " : "",
		    rules->zero != NULL ? rules->zero : "");
	*(uint32_t *)place->field = (uint32_t)number;
	return true;
}

static void
print_number(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	uint32_t number = *(const uint32_t *)field;

	if (number == 0 && rules->zero != NULL)
		fprintf(out, "%s = %s\n", key, rules->zero);
	else
		fprintf(out, "%s = %" PRIu32 "\n", key, number);
}

struct unit {
	const char *name;
	uint32_t ms;
};

static const struct unit units[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

bool
value_read_duration(uint32_t *ms, const char *text, struct err *err)
{
	const char *end;
	uint64_t number;
	uint64_t scale = 0;

	if (read_digits(&number, text, &end)) {
		end += strspn(end, " \t");
		if (*end == '\0')
			scale = 1000;
		for (size_t i = 0; i < ARRAY_LEN(units); i++)
			if (strcasecmp(end, units[i].name) == 0)
				scale = units[i].ms;
	}
	if (scale == 0)
		return err_set(err,
		    "\"%.64s\" is not a duration such as 10s, 500ms, 5m, 2h "
		    "or 1d",
		    text);
	if (number > UINT32_MAX / scale)
		return err_set(err, "\"%.64s\" is too long", text);
	*ms = (uint32_t)(number * scale);
	return true;
}

bool
value_read_timeout(uint32_t *ms, const char *text, struct err *err)
{
	if (!value_read_duration(ms, text, err))
		return false;
	if (*ms == 0)
		err_set(err, "it must be greater than 0");
	return *ms > 0;
}

void
value_format_duration(char out[VALUE_DURATION_MAX], uint32_t ms)
{
	size_t i = 0;

	if (ms == 0) {
		snprintf(out, VALUE_DURATION_MAX, "0s");
		return;
	}
	while (ms % units[i].ms != 0)
		i++;
	snprintf(out, VALUE_DURATION_MAX, "%" PRIu32 "%s", ms / units[i].ms,
	    units[i].name);
}

/* The error for "off" where 0 is not off. */
static void
refuse_off(const struct value_rules *rules, const char *text, struct err *err)
{
	char max[VALUE_DURATION_MAX];

	value_format_duration(max, rules->max);
	if (rules->zero != NULL)
		err_set(err,
		    "\"%.64s\" is not a duration: did you mean \"%s\"?", text,
		    rules->zero);
	else if (rules->min == 0)
		err_set(err,
		    "\"%.64s\" is not a duration: 0 means no waiting; the "
		    "longest is %s",
		    text, max);
	else
		err_set(err,
		    "\"%.64s\" is not a duration: this time cannot be off; the "
		    "longest is %s",
		    text, max);
}

static bool
read_duration(
    const struct value_place *place, const char *text, struct err *err)
{
	const struct value_rules *rules = place->rules;
	char min[VALUE_DURATION_MAX], max[VALUE_DURATION_MAX];
	uint32_t ms = 0;

	if (is_zero_word(rules, text)) {
		*(uint32_t *)place->field = 0;
		return true;
	}
	if (fuzzy_in("off no none never unlimited infinite", text)) {
		refuse_off(rules, text, err);
		return false;
	}
	if (!value_read_duration(&ms, text, err))
		return false;
	if ((ms < rules->min && (ms > 0 || rules->zero == NULL)) ||
	    ms > rules->max) {
		value_format_duration(min, rules->min);
		value_format_duration(max, rules->max);
		return err_set(err, "\"%.64s\" is not from %s to %s%s%s", text,
		    min, max, rules->zero != NULL ? " or " : "",
		    rules->zero != NULL ? rules->zero : "");
	}
	*(uint32_t *)place->field = ms;
	return true;
}

static void
print_duration(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	uint32_t ms = *(const uint32_t *)field;
	char text[VALUE_DURATION_MAX];

	value_format_duration(text, ms);
	fprintf(out, "%s = %s\n", key,
	    ms == 0 && rules->zero != NULL ? rules->zero : text);
}

static bool
read_mode(const struct value_place *place, const char *text, struct err *err)
{
	unsigned mode = 0;

	for (const char *at = text; *at != '\0'; at++) {
		if (*at < '0' || *at > '7' || mode > 0777) {
			mode = 01000;
			break;
		}
		mode = mode * 8 + (unsigned)(*at - '0');
	}
	if (mode > 0777)
		return err_set(err,
		    "\"%.64s\" is not a file mode from 0000 to 0777", text);
	*(unsigned *)place->field = mode;
	return true;
}

static void
print_mode(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)rules;
	fprintf(out, "%s = %04o\n", key, *(const unsigned *)field);
}

const struct value_type value_number = {
	.name = "number",
	.read = read_number,
	.print = print_number,
	.equal = equal_int,
};

const struct value_type value_duration = {
	.name = "duration",
	.read = read_duration,
	.print = print_duration,
	.equal = equal_int,
};

const struct value_type value_mode = {
	.name = "mode",
	.read = read_mode,
	.print = print_mode,
	.equal = equal_int,
};

void
value_print_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s = ", key);
	reader_print(out, text);
	fputc('\n', out);
}

void
value_print_path(
    FILE *out, const char *key, const char *prefix, const char *path)
{
	char folder[PATH_MAX];

	fprintf(out, "%s = %s", key, prefix);
	if (path[0] != '/' && getcwd(folder, sizeof(folder)) != NULL) {
		reader_print(out, folder);
		fputc('/', out);
	}
	reader_print(out, path);
	fputc('\n', out);
}

bool
value_same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
keep(const struct value_place *place, char *text, struct err *err)
{
	if (text == NULL)
		return err_no_memory(err);
	*(const char **)place->field = text;
	return true;
}

static bool
read_text(const struct value_place *place, const char *text, struct err *err)
{
	return keep(place, arena_copy(place->arena, text, strlen(text)), err);
}

void
value_print_string(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *text = *(const char *const *)field;

	(void)rules;
	if (text != NULL)
		value_print_text(out, key, text);
}

bool
value_equal_string(const void *a, const void *b)
{
	return value_same_text(
	    *(const char *const *)a, *(const char *const *)b);
}

/* "a, b:c" becomes "a:b:c", the list syntax of OpenSSL. */
static bool
read_colons(const struct value_place *place, const char *text, struct err *err)
{
	char *list = arena_alloc(place->arena, strlen(text) + 1);
	char *out = list;

	while (list != NULL && *text != '\0') {
		size_t length = strcspn(text, ":, \t");

		if (length > 0 && out > list)
			*out++ = ':';
		memcpy(out, text, length);
		out += length;
		text += length + (text[length] != '\0');
	}
	if (list != NULL && out == list)
		return err_set(err, "the list is empty");
	return keep(place, list, err);
}

static bool
check_length(const char *path, struct err *err)
{
	if (strlen(path) < PATH_MAX)
		return true;
	return err_set(err, "the path is longer than the system allows");
}

/* Refuse yes, no and the like, which would be used as file names. */
static bool
check_switch(const char *text, struct err *err)
{
	if (!fuzzy_in("yes no on off true false none", text))
		return true;
	return err_set(err,
	    "\"%s\" is not a path: leave the key out, or write ./%s for a file "
	    "of that name",
	    text, text);
}

static bool
read_path(const struct value_place *place, const char *text, struct err *err)
{
	return check_length(text, err) && check_switch(text, err) &&
	       keep(place, reader_path(place->arena, place->where->file, text),
		   err);
}

static void
print_path(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *path = *(const char *const *)field;

	(void)rules;
	if (path != NULL)
		value_print_path(out, key, "", path);
}

static bool
append_path(const struct value_place *place, const char *text, struct err *err)
{
	struct config_path path = { .where = *place->where };

	if (!check_length(text, err) || !check_switch(text, err))
		return false;
	path.path = reader_path(place->arena, place->where->file, text);
	return path.path != NULL ? value_append(place, &path, err)
				 : err_no_memory(err);
}

/* An empty pid means none, as in stunnel. */
static bool
read_pid_path(
    const struct value_place *place, const char *text, struct err *err)
{
	if (text[0] != '\0')
		return read_path(place, text, err);
	*(const char **)place->field = NULL;
	return true;
}

static const struct value_word *
find_word(const struct value_word *words, const char *text)
{
	for (; words->word != NULL; words++)
		if (strcasecmp(words->word, text) == 0)
			return words;
	return NULL;
}

/* The word that a misspelt one resembles; NULL: none. */
static const char *
nearest_word(const struct value_word *words, const char *text)
{
	struct fuzzy_match match;

	fuzzy_start(&match, text);
	for (; words->word != NULL; words++)
		fuzzy_offer(&match, words->word);
	return match.best;
}

/* Words for log outputs in other programs. */
static const struct {
	const char *words; /* between blanks */
	const char *advice;
} sink_hints[] = {
	{ "on yes true 1", "write a destination, such as stderr" },
	{ "no none false 0 disabled null", "write off, or leave the key out" },
	{ "journal journald systemd",
	    "write stderr, which the journal takes from a service" },
	{ "console terminal", "write stderr" },
	{ "combined common main json text",
	    "lines have the format that the key format names: write a "
	    "destination, such as stderr" },
};

static const char *
find_sink_hint(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(sink_hints); i++)
		if (fuzzy_in(sink_hints[i].words, text))
			return sink_hints[i].advice;
	return NULL;
}

/* Refuse a word that is neither known nor a path: it would create a file of
 * that name. */
static bool
refuse_sink(const char *text, const char *nearest, struct err *err)
{
	const char *hint = find_sink_hint(text);

	if (hint != NULL)
		err_set(err, "\"%s\" is unknown: %s", text, hint);
	else if (nearest != NULL)
		err_set(err, "\"%s\" is unknown: did you mean \"%s\"?", text,
		    nearest);
	else
		err_set(err,
		    "\"%s\" is neither a known word nor a path: write ./%s "
		    "for a file of that name",
		    text, text);
	return false;
}

/* A known word, or a path: it contains a slash or a dot. */
static bool
read_sink(const struct value_place *place, const char *text, struct err *err)
{
	const char *nearest = nearest_word(place->rules->words, text);

	if (nearest != NULL && fuzzy_same(nearest, text))
		return read_text(place, nearest, err);
	if (strpbrk(text, "/.") == NULL)
		return refuse_sink(text, nearest, err);
	return read_path(place, text, err);
}

static void
print_sink(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *text = *(const char *const *)field;

	if (text != NULL && find_word(rules->words, text) != NULL)
		value_print_text(out, key, text);
	else if (text != NULL)
		value_print_path(out, key, "", text);
}

const struct value_type value_text = {
	.name = "text",
	.read = read_text,
	.print = value_print_string,
	.equal = value_equal_string,
};

const struct value_type value_colons = {
	.name = "list",
	.read = read_colons,
	.print = value_print_string,
	.equal = value_equal_string,
};

const struct value_type value_path = {
	.name = "path",
	.read = read_path,
	.print = print_path,
	.equal = value_equal_string,
};

const struct value_type value_paths = {
	.name = "list of paths",
	.list = VALUE_LIST,
	.item_size = sizeof(struct config_path),
	.items_max = 4096,
	.read = append_path,
	.print = print_path,
	.equal = value_equal_string,
};

const struct value_type value_pid_path = {
	.name = "path",
	.read = read_pid_path,
	.print = print_path,
	.equal = value_equal_string,
};

const struct value_type value_sink = {
	.name = "word or path",
	.read = read_sink,
	.print = print_sink,
	.equal = value_equal_string,
};

_Static_assert(sizeof(enum config_tls_version) == sizeof(int) &&
		   sizeof(enum config_ocsp_mode) == sizeof(int) &&
		   sizeof(enum log_level) == sizeof(int),
    "enumerations are read and written as int");

static const struct value_word boolean_words[] = {
	VALUE_YES(1),
	VALUE_NO(0),
	{ NULL, 0 },
};

static bool
read_boolean(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *word = find_word(boolean_words, text);

	if (word == NULL)
		return err_set(err, "\"%.64s\" is neither yes nor no", text);
	*(bool *)place->field = word->number != 0;
	return true;
}

static void
print_boolean(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)rules;
	fprintf(out, "%s = %s\n", key, *(const bool *)field ? "yes" : "no");
}

static bool
equal_boolean(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

/* List the words: "a, b, c", one for each number. */
static void
list_words(char *out, size_t size, const struct value_word *words)
{
	size_t used = 0;

	out[0] = '\0';
	for (const struct value_word *word = words; word->word != NULL;
	     word++) {
		if (word > words && word->number == word[-1].number)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used > 0 ? ", " : "", word->word);
		if (used >= size)
			return;
	}
}

static bool
read_choice(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *words = place->rules->words;
	const struct value_word *word = find_word(words, text);
	const char *nearest;
	char known[128];

	if (word != NULL) {
		*(int *)place->field = word->number;
		return true;
	}
	nearest = nearest_word(words, text);
	list_words(known, sizeof(known), words);
	if (nearest != NULL)
		err_set(err, "\"%.64s\" is unknown: did you mean \"%s\"?", text,
		    nearest);
	else
		err_set(err, "\"%.64s\" is not one of: %s", text, known);
	return false;
}

static void
print_choice(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	for (const struct value_word *word = rules->words; word->word != NULL;
	     word++) {
		if (word->number == *(const int *)field) {
			fprintf(out, "%s = %s\n", key, word->word);
			return;
		}
	}
}

/* stunnel's syntax has the syslog facility in front: "daemon.info". */
static bool
read_level(const struct value_place *place, const char *text, struct err *err)
{
	const char *dot = strchr(text, '.');

	return read_choice(place, dot != NULL ? dot + 1 : text, err);
}

static bool
read_version(const struct value_place *place, const char *text, struct err *err)
{
	static const char old[] = "SSLv2 SSLv3 TLSv1 TLSv1.0 TLSv1.1 TLS1 "
				  "TLS1.0 TLS1.1 1.0 1.1";

	if (fuzzy_in(old, text))
		return err_set(err,
		    "%s is not offered, as it is not secure: use TLSv1.2 or "
		    "TLSv1.3",
		    text);
	return read_choice(place, text, err);
}

/* stunnel's OCSP is the URL of a responder. */
static bool
read_stapling(
    const struct value_place *place, const char *text, struct err *err)
{
	if (strstr(text, "://") != NULL)
		return err_set(err,
		    "\"%.64s\" is not a mode: stunnel checks client "
		    "certificates at that responder, for which clinch has "
		    "crl_file; responders for stapling are set by url in "
		    "[ocsp]",
		    text);
	return read_choice(place, text, err);
}

static bool
read_switch(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *word = find_word(place->rules->words, text);

	if (word == NULL)
		return err_set(err,
		    "\"%.64s\" is neither yes nor no: use mode, url and the "
		    "like in [ocsp]",
		    text);
	*(int *)place->field = word->number;
	return true;
}

/* Set the bit of one word; "none" is 0. */
static bool
take_bit(const struct value_place *place, const char *text, struct err *err)
{
	unsigned *mask = place->field;
	int bit = 0;
	struct value_place one = {
		.rules = place->rules,
		.field = &bit,
	};

	if (!read_choice(&one, text, err))
		return false;
	*mask |= (unsigned)bit;
	return true;
}

static void
print_bits(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	unsigned mask = *(const unsigned *)field;
	const struct value_word *word;
	const char *comma = "";

	fprintf(out, "%s = ", key);
	for (word = rules->words; word->word != NULL; word++) {
		if (mask != 0 ? ((unsigned)word->number & mask) == 0
			      : word->number != 0)
			continue;
		fprintf(out, "%s%s", comma, word->word);
		comma = ", ";
	}
	fputc('\n', out);
}

/* The field is printed by the other key that sets it. */
static void
print_nothing(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	(void)out;
	(void)key;
	(void)field;
	(void)rules;
}

const struct value_type value_boolean = {
	.name = "boolean",
	.read = read_boolean,
	.print = print_boolean,
	.equal = equal_boolean,
};

const struct value_type value_choice = {
	.name = "word",
	.read = read_choice,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_level = {
	.name = "word",
	.read = read_level,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_version = {
	.name = "word",
	.read = read_version,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_stapling = {
	.name = "word",
	.read = read_stapling,
	.print = print_choice,
	.equal = equal_int,
};

const struct value_type value_switch = {
	.name = "boolean",
	.read = read_switch,
	.print = print_nothing,
	.equal = equal_int,
};

const struct value_type value_tlvs = {
	.name = "list of words",
	.list = sizeof(unsigned),
	.read = take_bit,
	.print = print_bits,
	.equal = equal_int,
};
