/*
 * Replaces ${...} in one value.  What is put in is never looked at again, so
 * neither the environment nor a file can smuggle in a further reference; and
 * an absent variable is an error rather than nothing, because an empty
 * certificate path is found out much later.  Main thread.
 */
#include "config/expand.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/file.h"

struct expansion {
	struct arena *arena;
	const char *from;
	size_t length;
	char out[EXPAND_MAX + 1];
};

static bool
put(struct expansion *expansion, const char *text, size_t length,
    struct err *err)
{
	if (length > EXPAND_MAX - expansion->length) {
		err_set(err, "the value is longer than %d bytes", EXPAND_MAX);
		return false;
	}
	memcpy(expansion->out + expansion->length, text, length);
	expansion->length += length;
	return true;
}

static bool
has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t')
			return true;
	return false;
}

static bool
put_file(struct expansion *expansion, const char *name, struct err *err)
{
	struct file_bytes file;
	char *path = file_beside(expansion->arena, expansion->from, name);
	size_t size;

	if (path == NULL) {
		err_set(err, "not enough memory");
		return false;
	}
	if (!file_read(&file, expansion->arena, path, EXPAND_MAX, err)) {
		err_prefix(err, "${file:%s}", name);
		return false;
	}
	size = file.size;
	while (size > 0 && isspace((unsigned char)file.bytes[size - 1]))
		size--;
	if (has_control(file.bytes, size)) {
		err_set(
		    err, "${file:%s}: holds more than one line of text", name);
		return false;
	}
	return put(expansion, file.bytes, size, err);
}

static bool
is_name(const char *text)
{
	if (*text == '\0' || isdigit((unsigned char)*text))
		return false;
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && *text != '_')
			return false;
	return true;
}

/* NAME, NAME:-fallback or NAME:?advice, as in the shell. */
struct variable {
	const char *name;
	const char *fallback; /* for an unset or empty one; NULL: none */
	const char *advice;   /* set: unset and empty are errors */
};

static struct variable
split(char *inner)
{
	struct variable variable = { .name = inner };
	char *colon = strchr(inner, ':');

	if (colon == NULL || (colon[1] != '-' && colon[1] != '?'))
		return variable;
	*colon = '\0';
	if (colon[1] == '-')
		variable.fallback = colon + 2;
	else
		variable.advice = colon + 2;
	return variable;
}

static bool
complain(const struct variable *variable, const char *value, struct err *err)
{
	const char *state = value == NULL ? "not set" : "empty";

	if (variable->advice == NULL)
		err_set(err,
		    "the environment variable %s is %s: set it or write "
		    "${%s:-default}",
		    variable->name, state, variable->name);
	else
		err_set(err, "the environment variable %s is %s%s%s",
		    variable->name, state, *variable->advice ? ": " : "",
		    variable->advice);
	return false;
}

static bool
put_variable(struct expansion *expansion, char *inner, struct err *err)
{
	const struct variable variable = split(inner);
	const char *name = variable.name, *value;

	if (!is_name(name)) {
		err_set(err,
		    "\"${%s}\" is not a reference: write ${NAME}, "
		    "${NAME:-default}, ${NAME:?advice} or ${file:PATH}, or "
		    "$${ for a plain ${",
		    name);
		return false;
	}
	value = getenv(name);
	if (variable.fallback != NULL && (value == NULL || *value == '\0'))
		value = variable.fallback;
	if (value == NULL || (variable.advice != NULL && *value == '\0'))
		return complain(&variable, value, err);
	if (has_control(value, strlen(value))) {
		err_set(err,
		    "the environment variable %s holds control characters",
		    name);
		return false;
	}
	return put(expansion, value, strlen(value), err);
}

/* `inner` is what stands between the braces. */
static bool
put_reference(struct expansion *expansion, const char *inner, size_t length,
    struct err *err)
{
	char *copy = arena_copy(expansion->arena, inner, length);

	if (copy == NULL) {
		err_set(err, "not enough memory");
		return false;
	}
	if (strncmp(copy, "file:", 5) == 0)
		return put_file(expansion, copy + 5, err);
	return put_variable(expansion, copy, err);
}

/* *value stands on "${" and is moved behind its "}". */
static bool
expand_reference(
    struct expansion *expansion, const char **value, struct err *err)
{
	const char *inner = *value + 2;
	const char *end = strchr(inner, '}');

	if (end == NULL) {
		err_set(err, "a \"${\" is not closed by \"}\"");
		return false;
	}
	*value = end + 1;
	return put_reference(expansion, inner, (size_t)(end - inner), err);
}

static bool
expand(struct expansion *expansion, const char *value, struct err *err)
{
	size_t plain;

	while (*value != '\0') {
		if (strncmp(value, "$${", 3) == 0) {
			if (!put(expansion, "${", 2, err))
				return false;
			value += 3;
			continue;
		}
		if (strncmp(value, "${", 2) == 0) {
			if (!expand_reference(expansion, &value, err))
				return false;
			continue;
		}
		plain = 1 + strcspn(value + 1, "$");
		if (!put(expansion, value, plain, err))
			return false;
		value += plain;
	}
	return true;
}

static char *
trimmed(struct arena *arena, const char *text, size_t length)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	return arena_copy(arena, text, length);
}

/* What would be a comment in a file cannot be said in a value at all, so
 * that every value can be printed as it would be read. */
static bool
has_comment(const char *text)
{
	return text[0] == ';' || strstr(text, " ;") != NULL ||
	       strstr(text, "\t;") != NULL;
}

static char *
finish(struct arena *arena, const struct expansion *expansion, struct err *err)
{
	char *out = trimmed(arena, expansion->out, expansion->length);

	if (out == NULL) {
		err_set(err, "not enough memory");
		return NULL;
	}
	if (has_comment(out)) {
		err_set(err, "a value cannot hold a blank and then \";\"");
		return NULL;
	}
	return out;
}

char *
expand_value(
    struct arena *arena, const char *from, const char *value, struct err *err)
{
	struct expansion *expansion;
	char *out = NULL;

	if (strstr(value, "${") == NULL) {
		out = arena_copy(arena, value, strlen(value));
		if (out == NULL)
			err_set(err, "not enough memory");
		return out;
	}
	expansion = calloc(1, sizeof(*expansion));
	if (expansion == NULL) {
		err_set(err, "not enough memory");
		return NULL;
	}
	expansion->arena = arena;
	expansion->from = from;
	if (expand(expansion, value, err))
		out = finish(arena, expansion, err);
	free(expansion);
	return out;
}

void
expand_print(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (text[0] == '$' && text[1] == '{')
			fputc('$', out);
		fputc(*text, out);
	}
}
