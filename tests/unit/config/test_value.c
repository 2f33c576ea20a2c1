/*
 * The types of single values, read from valid and invalid text.
 */
#include "config/value.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "config/arena.h"

#define BAD UINT32_MAX

struct number_row {
	const char *what, *given;
	uint32_t expect;
};

static void
walk_numbers(const struct value_type *type, const struct value_rules *rules,
    const struct number_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t number = BAD;
		struct value_place place = { .rules = rules, .field = &number };
		struct err err = { "" };
		bool read = value_read(type, &place, rows[i].given, &err);

		cr_expect_eq(
		    number, rows[i].expect, "%s: %u", rows[i].what, number);
		cr_expect_eq(read, rows[i].expect != BAD, "%s", rows[i].what);
		cr_expect_eq(read, err.text[0] == '\0', "%s: %s", rows[i].what,
		    err.text);
	}
}

Test(value, reads_durations)
{
	static const struct value_rules rules = { .max = UINT32_MAX };
	static const struct number_row rows[] = {
		{ "seconds by default", "90", 90000 },
		{ "milliseconds", "1500ms", 1500 },
		{ "seconds", "10s", 10000 },
		{ "minutes", "5m", 300000 },
		{ "hours, capital", "12H", 43200000 },
		{ "days, after a blank", "1 d", 86400000 },
		{ "nothing", "", BAD },
		{ "no number", "s", BAD },
		{ "unknown unit", "5y", BAD },
		{ "negative", "-5s", BAD },
		{ "fraction", "1.5s", BAD },
		{ "two units", "1h30m", BAD },
		{ "too long", "50d", BAD },
		{ "overflow", "99999999999999999999s", BAD },
	};

	walk_numbers(
	    &value_duration, &rules, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(value, keeps_durations_in_their_bounds)
{
	static const struct value_rules rules = {
		.min = 1000,
		.max = 60000,
		.zero = "off",
	};
	static const struct number_row rows[] = {
		{ "lowest", "1s", 1000 },
		{ "highest", "1m", 60000 },
		{ "the word for zero", "OFF", 0 },
		{ "zero where there is a word", "0", 0 },
		{ "too short", "999ms", BAD },
		{ "too long", "60001ms", BAD },
		{ "another word", "never", BAD },
	};

	walk_numbers(
	    &value_duration, &rules, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(value, reads_numbers_in_their_bounds)
{
	static const struct value_rules rules = {
		.min = 1,
		.max = 1 << 20,
		.zero = "auto",
	};
	static const struct number_row rows[] = {
		{ "lowest", "1", 1 },
		{ "highest", "1048576", 1048576 },
		{ "kilo", "64k", 65536 },
		{ "mega", "1M", 1048576 },
		{ "the word for zero", "auto", 0 },
		{ "zero itself", "0", BAD },
		{ "too large", "1048577", BAD },
		{ "much too large", "4g", BAD },
		{ "unknown unit", "5x", BAD },
		{ "two units", "5kk", BAD },
		{ "negative", "-1", BAD },
		{ "hexadecimal", "0x10", BAD },
		{ "overflow", "18446744073709551617", BAD },
	};

	walk_numbers(
	    &value_number, &rules, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(value, reads_modes_in_octal)
{
	static const struct value_rules rules = { 0 };
	static const struct number_row rows[] = {
		{ "as usual", "0660", 0660 },
		{ "without the zero", "600", 0600 },
		{ "not octal", "0680", BAD },
		{ "too large", "1777", BAD },
		{ "overflow", "77777777777777777", BAD },
		{ "a word", "rw", BAD },
	};

	walk_numbers(&value_mode, &rules, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(value, reads_booleans_in_all_their_words)
{
	static const char *const yes[] = { "yes", "ON", "True", "1" };
	static const char *const no[] = { "no", "off", "False", "0" };
	static const char *const bad[] = { "", "y", "2", "yes!" };

	for (size_t i = 0; i < 4; i++) {
		bool field = false;
		struct value_place place = { .field = &field };
		struct err err;

		cr_expect(
		    value_read(&value_boolean, &place, yes[i], &err) && field,
		    "%s", yes[i]);
		cr_expect(
		    value_read(&value_boolean, &place, no[i], &err) && !field,
		    "%s", no[i]);
		cr_expect_not(value_read(&value_boolean, &place, bad[i], &err),
		    "%s", bad[i]);
	}
}

Test(value, formats_durations_in_their_largest_unit)
{
	static const struct number_row rows[] = {
		{ "none", "0s", 0 },
		{ "milliseconds", "1500ms", 1500 },
		{ "seconds", "90s", 90000 },
		{ "minutes", "90m", 5400000 },
		{ "hours", "12h", 43200000 },
		{ "days", "30d", 2592000000u },
		{ "the most", "4294967295ms", UINT32_MAX },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[VALUE_DURATION_MAX];
		uint32_t again = 1;
		struct err err;

		value_format_duration(text, rows[i].expect);
		cr_expect_str_eq(text, rows[i].given, "%s", rows[i].what);
		cr_expect(value_read_duration(&again, text, &err) &&
			      again == rows[i].expect,
		    "%s", rows[i].what);
	}
}

Test(value, reads_timeouts_above_zero)
{
	struct err err = { "" };
	uint32_t ms = 7;

	cr_expect(value_read_timeout(&ms, "1500ms", &err) && ms == 1500);
	cr_expect_not(value_read_timeout(&ms, "0", &err));
	cr_expect_neq(err.text[0], '\0');
	cr_expect_not(value_read_timeout(&ms, "soon", &err));
}

/* The place of all values: in the file conf/t.ini. */
static const struct config_where here = { "conf/t.ini", 1 };

Test(value, places_paths_beside_the_file_that_names_them)
{
	struct arena *arena = arena_new();
	const char *path = NULL;
	struct value_place place = {
		.field = &path, .arena = arena, .where = &here
	};
	struct err err;

	cr_expect(value_read(&value_path, &place, "a.pem", &err));
	cr_expect_str_eq(path, "conf/a.pem");
	cr_expect(value_read(&value_path, &place, "/a.pem", &err));
	cr_expect_str_eq(path, "/a.pem");
	arena_free(arena);
}

Test(value, distinguishes_a_misspelt_output_from_a_path)
{
	static const struct value_word words[] = { { "stderr", 0 },
		{ "off", 1 }, { NULL, 0 } };
	static const struct value_rules rules = { .words = words };
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "a word", "STDERR", "stderr" },
		{ "a path", "/var/log/x", "/var/log/x" },
		{ "a file beside", "x.log", "conf/x.log" },
		{ "a file that is called nearly so", "./stder",
		    "conf/./stder" },
		{ "misspelt", "sterr", NULL },
	};
	struct arena *arena = arena_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *sink = NULL;
		struct value_place place = { .field = &sink,
			.arena = arena,
			.where = &here,
			.rules = &rules };
		struct err err;

		cr_expect_eq(
		    value_read(&value_sink, &place, rows[i].given, &err),
		    rows[i].expect != NULL, "%s", rows[i].what);
		cr_expect(value_same_text(sink, rows[i].expect), "%s: %s",
		    rows[i].what, sink);
	}
	arena_free(arena);
}

Test(value, writes_openssl_lists_with_colons)
{
	struct arena *arena = arena_new();
	const char *text = NULL;
	struct value_place place = {
		.field = &text, .arena = arena, .where = &here
	};
	struct err err;

	cr_expect(
	    value_read(&value_colons, &place, "X25519, P-256:P-384", &err));
	cr_expect_str_eq(text, "X25519:P-256:P-384");
	cr_expect_not(value_read(&value_colons, &place, " : ", &err));
	arena_free(arena);
}
