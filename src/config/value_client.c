/*
 * Which clients may come: names of their certificates.  Any thread.
 */
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/strings.h"
#include "config/value.h"

#define RULES_MAX 1024
#define RULE_LENGTH_MAX 1023 /* longer names in certificates match nothing */

static bool
take_rule(const struct value_place *place, const char *text, struct err *err)
{
	const struct config_strings *list = place->field;
	char *copy;

	if (list->count >= RULES_MAX)
		return value_too_many(RULES_MAX, err);
	if (strlen(text) > RULE_LENGTH_MAX) {
		err_set(
		    err, "a name here has at most %d bytes", RULE_LENGTH_MAX);
		return false;
	}
	copy = arena_copy(place->arena, text, strlen(text));
	return copy != NULL ? value_append(place, &copy, sizeof(copy), err)
			    : value_no_memory(err);
}

static bool
take_san(const struct value_place *place, const char *text, struct err *err)
{
	return pattern_check_san(text, err) && take_rule(place, text, err);
}

/* Any text may be a common name, but a * has one place. */
static bool
take_cn(const struct value_place *place, const char *text, struct err *err)
{
	const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;

	if (name[0] == '\0' || strchr(name, '*') != NULL) {
		err_set(err,
		    "\"%.64s\": a * stands for the whole first label and "
		    "nothing else: *.example.org",
		    text);
		return false;
	}
	return take_rule(place, text, err);
}

static bool
read_sans(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_san, err);
}

static bool
read_cns(const struct value_place *place, const char *text, struct err *err)
{
	return value_each_item(place, text, take_cn, err);
}

const struct value_type value_sans = {
	.name = "list of names",
	.list = VALUE_LIST,
	.read = read_sans,
	.print = value_print_strings,
	.equal = value_equal_strings,
};

const struct value_type value_cns = {
	.name = "list of names",
	.list = VALUE_LIST,
	.read = read_cns,
	.print = value_print_strings,
	.equal = value_equal_strings,
};
