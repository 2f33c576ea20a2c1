/*
 * Words, lists for OpenSSL, and paths.  A path is made relative to the file
 * that names it when it is read, and absolute when it is printed, so that
 * what --print-config says is good wherever it is saved.  Any thread.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/near.h"
#include "config/value.h"

#define PATHS_MAX 4096

void
value_print_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s = ", key);
	expand_print(out, text);
	fputc('\n', out);
}

void
value_print_path(
    FILE *out, const char *key, const char *prefix, const char *path)
{
	char folder[PATH_MAX];

	fprintf(out, "%s = %s", key, prefix);
	if (path[0] != '/' && getcwd(folder, sizeof(folder)) != NULL) {
		expand_print(out, folder);
		fputc('/', out);
	}
	expand_print(out, path);
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
		return value_no_memory(err);
	*(const char **)place->field = text;
	return true;
}

static bool
read_text(const struct value_place *place, const char *text, struct err *err)
{
	return keep(place, arena_copy(place->arena, text, strlen(text)), err);
}

static void
print_text(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *text = *(const char *const *)field;

	(void)rules;
	if (text != NULL)
		value_print_text(out, key, text);
}

static bool
equal_text(const void *a, const void *b)
{
	return value_same_text(
	    *(const char *const *)a, *(const char *const *)b);
}

/* "a, b:c" becomes "a:b:c", the way OpenSSL wants its lists. */
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
	if (list != NULL && out == list) {
		err_set(err, "the list is empty");
		return false;
	}
	return keep(place, list, err);
}

static bool
check_length(const char *path, struct err *err)
{
	if (strlen(path) < PATH_MAX)
		return true;
	err_set(err, "the path is longer than the system allows");
	return false;
}

/* A switch where a path belongs would become a file of that name. */
static bool
check_switch(const char *text, struct err *err)
{
	if (!near_in("yes no on off true false none", text))
		return true;
	err_set(err,
	    "\"%s\" is not a path: leave the key out, or write ./%s for a file "
	    "of that name",
	    text, text);
	return false;
}

static bool
read_path(const struct value_place *place, const char *text, struct err *err)
{
	return check_length(text, err) && check_switch(text, err) &&
	       keep(place, file_beside(place->arena, place->where->file, text),
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
take_path(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_paths *list = place->field;
	struct config_path path = { .where = *place->where };

	if (!check_length(text, err) || !check_switch(text, err))
		return false;
	if (list->count >= PATHS_MAX)
		return value_too_many(PATHS_MAX, err);
	path.path = file_beside(place->arena, place->where->file, text);
	return path.path != NULL ? value_append(place, &path, sizeof(path), err)
				 : value_no_memory(err);
}

static bool
read_paths(const struct value_place *place, const char *text, struct err *err)
{
	/* Only rows that may be empty get this far without a path. */
	return text[0] == '\0' || value_each_item(place, text, take_path, err);
}

/* A list with gaps was filled from elsewhere, and will be again. */
static void
print_paths(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const struct config_paths *list = field;

	(void)rules;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].path == NULL)
			return;
	for (size_t i = 0; i < list->count; i++)
		value_print_path(out, key, "", list->items[i].path);
}

static bool
equal_paths(const void *a, const void *b)
{
	const struct config_paths *left = a, *right = b;

	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (!value_same_text(left->items[i].path, right->items[i].path))
			return false;
	return true;
}

/* stunnel writes an empty pid to say: none. */
static bool
read_pid_path(
    const struct value_place *place, const char *text, struct err *err)
{
	if (text[0] != '\0')
		return read_path(place, text, err);
	*(const char **)place->field = NULL;
	return true;
}

static bool
is_sink_word(const struct value_rules *rules, const char *text)
{
	for (const struct value_word *word = rules->words; word->word != NULL;
	     word++)
		if (strcmp(word->word, text) == 0)
			return true;
	return false;
}

/* Words of other programs for where a log goes, and ours. */
static const struct {
	const char *words; /* between blanks */
	const char *advice;
} sink_hints[] = {
	{ "on yes true 1", "write the place, such as stderr" },
	{ "no none false 0 disabled null", "write off, or leave the key out" },
	{ "journal journald systemd",
	    "write stderr, which the journal takes from a service" },
	{ "console terminal", "write stderr" },
	{ "combined common main json text",
	    "lines have the format that the key format names: write the place, "
	    "such as stderr" },
};

static const char *
find_sink_hint(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(sink_hints); i++)
		if (near_in(sink_hints[i].words, text))
			return sink_hints[i].advice;
	return NULL;
}

/* A word that is neither known nor a path: as a path it would become a file
 * that is not looked for. */
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

/* One of the words, or a path, which has a slash or a dot in it. */
static bool
read_sink(const struct value_place *place, const char *text, struct err *err)
{
	const struct value_word *word = place->rules->words;
	struct near near;

	near_start(&near, text);
	for (; word->word != NULL; word++)
		near_offer(&near, word->word);
	if (near.best != NULL && near_same(near.best, text))
		return keep(place,
		    arena_copy(place->arena, near.best, strlen(near.best)),
		    err);
	if (strpbrk(text, "/.") == NULL)
		return refuse_sink(text, near.best, err);
	return read_path(place, text, err);
}

static void
print_sink(FILE *out, const char *key, const void *field,
    const struct value_rules *rules)
{
	const char *text = *(const char *const *)field;

	if (text != NULL && is_sink_word(rules, text))
		value_print_text(out, key, text);
	else if (text != NULL)
		value_print_path(out, key, "", text);
}

const struct value_type value_text = {
	.name = "text",
	.read = read_text,
	.print = print_text,
	.equal = equal_text,
};

const struct value_type value_colons = {
	.name = "list",
	.read = read_colons,
	.print = print_text,
	.equal = equal_text,
};

const struct value_type value_path = {
	.name = "path",
	.read = read_path,
	.print = print_path,
	.equal = equal_text,
};

const struct value_type value_paths = {
	.name = "list of paths",
	.list = VALUE_LIST,
	.read = read_paths,
	.print = print_paths,
	.equal = equal_paths,
};

const struct value_type value_pid_path = {
	.name = "path",
	.read = read_pid_path,
	.print = print_path,
	.equal = equal_text,
};

const struct value_type value_sink = {
	.name = "word or path",
	.read = read_sink,
	.print = print_sink,
	.equal = equal_text,
};
