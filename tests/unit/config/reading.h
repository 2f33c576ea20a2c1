/*
 * Helpers of the tests of config: parse a text, compare one error.
 */
#ifndef TESTS_UNIT_CONFIG_READING_H
#define TESTS_UNIT_CONFIG_READING_H

#include <criterion/criterion.h>
#include <string.h>

#include "config/config.h"

/* The three required keys of a listener.  The file of cert exists, since
 * missing files are reported beside other errors. */
#define LISTENER(name)           \
	"[listener " name "]\n"  \
	"accept = 127.0.0.1:0\n" \
	"connect = 8080\n"       \
	"cert = /dev/null\n"

static inline const struct config *
read_text(const char *text, struct config_errors *errors)
{
	return config_parse("t.ini", text, strlen(text), errors);
}

/* The line where a key was set; 0: built in. */
static inline unsigned
line_of(const struct config_place *places, enum config_key key)
{
	return config_where_of(places, key)->line;
}

/* Parse a text that must be valid. */
static inline const struct config *
read_good(const char *text)
{
	struct config_errors errors;
	const struct config *config = read_text(text, &errors);

	cr_assert_not_null(config, "%s",
	    errors.list.count > 0 ? errors.list.items[0] : "no error given");
	return config;
}

/* Expect one error, which begins with `expect`. */
static inline void
expect_error(const char *what, const char *text, const char *expect)
{
	struct config_errors errors;
	const struct config *config = read_text(text, &errors);

	cr_assert_null(config, "%s: was accepted", what);
	cr_expect(errors.list.count == 1 && strncmp(errors.list.items[0],
						expect, strlen(expect)) == 0,
	    "%s: %zu errors, first: %s", what, errors.list.count,
	    errors.list.items[0]);
	config_errors_free(&errors);
}

#endif
