/* The format of a line, and that no byte of a value can break it in two. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/log_format.h"

#define FIELDS(...) LOG_FIELDS(__VA_ARGS__)
#define COUNT(...) (sizeof(FIELDS(__VA_ARGS__)) / sizeof(struct log_field))
#define EVENT(what, ...)                                                       \
	{                                                                      \
		.level = LEVEL_NOTICE, .component = "server", .message = what, \
		.fields = FIELDS(__VA_ARGS__), .count = COUNT(__VA_ARGS__)     \
	}

static const int64_t sometime = 1795358645123; /* 2026-11-22T14:44:05.123Z */

static char *
format_at(char *out, enum log_format format, int64_t wall_ms,
    const struct log_event *event)
{
	out[log_line_format(out, format, wall_ms, event)] = '\0';
	return out;
}

/* One value as it looks behind "k=" or "k": in a line. */
static void
format_value(char *out, enum log_format format, const char *value)
{
	struct log_event event = EVENT("m", LOG_S("k", value));
	char line[LOG_LINE_MAX + 1];
	const char *from;

	format_at(line, format, sometime, &event);
	from = strstr(line, format == LOG_JSON ? "\"k\":" : " k=") +
	       (format == LOG_JSON ? 4 : 3);
	snprintf(out, LOG_LINE_MAX, "%.*s",
	    (int)strlen(from) - (format == LOG_JSON ? 2 : 1), from);
}

Test(log_format, text_has_its_stable_shape)
{
	struct log_event event = EVENT("now listening",
	    LOG_S("address", "127.0.0.1:8443"), LOG_N("count", -7));
	char line[LOG_LINE_MAX + 1];

	cr_expect_str_eq(format_at(line, LOG_TEXT, sometime, &event),
	    "2026-11-22T14:44:05.123Z notice server now listening "
	    "address=127.0.0.1:8443 count=-7\n");
}

Test(log_format, json_has_numbers_as_numbers)
{
	struct log_event event = EVENT("now listening",
	    LOG_S("address", "127.0.0.1:8443"), LOG_N("count", -7));
	char line[LOG_LINE_MAX + 1];

	cr_expect_str_eq(format_at(line, LOG_JSON, sometime, &event),
	    "{\"time\":\"2026-11-22T14:44:05.123Z\",\"level\":\"notice\","
	    "\"component\":\"server\",\"message\":\"now listening\","
	    "\"address\":\"127.0.0.1:8443\",\"count\":-7}\n");
}

Test(log_format, needs_no_field)
{
	struct log_event event = EVENT("ready");
	char line[LOG_LINE_MAX + 1];

	cr_expect_str_eq(format_at(line, LOG_TEXT, sometime, &event),
	    "2026-11-22T14:44:05.123Z notice server ready\n");
}

Test(log_format, an_access_line_is_fields_only)
{
	struct log_event event = { .fields = FIELDS(LOG_N("conn", 1)),
		.count = 2 };
	char line[LOG_LINE_MAX + 1];

	cr_expect_str_eq(format_at(line, LOG_TEXT, sometime, &event),
	    "2026-11-22T14:44:05.123Z access conn=1\n");
	cr_expect_str_eq(format_at(line, LOG_JSON, sometime, &event),
	    "{\"time\":\"2026-11-22T14:44:05.123Z\",\"level\":\"access\","
	    "\"conn\":1}\n");
}

Test(log_format, names_every_level)
{
	static const char *const names[] = { "error", "warning", "notice",
		"info", "debug" };
	struct log_event event = EVENT("x");
	char line[LOG_LINE_MAX + 1], expect[64];

	for (int level = LEVEL_ERROR; level <= LEVEL_DEBUG; level++) {
		event.level = (enum log_level)level;
		format_at(line, LOG_TEXT, sometime, &event);
		snprintf(
		    expect, sizeof(expect), " %s server x\n", names[level]);
		cr_expect_str_eq(line + LOG_STAMP_LEN, expect);
	}
}

Test(log_format, dates_are_those_of_the_calendar)
{
	static const struct {
		int64_t ms;
		const char *expect;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -5, "1970-01-01T00:00:00.000Z" },
		{ 951782399999, "2000-02-28T23:59:59.999Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 951868800000, "2000-03-01T00:00:00.000Z" },
		{ 1709164800000, "2024-02-29T00:00:00.000Z" },
		{ 1735689599999, "2024-12-31T23:59:59.999Z" },
		{ 1735689600000, "2025-01-01T00:00:00.000Z" },
		{ 4107542400000, "2100-03-01T00:00:00.000Z" },
	};
	struct log_event event = EVENT("x");
	char line[LOG_LINE_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		format_at(line, LOG_TEXT, rows[i].ms, &event);
		line[LOG_STAMP_LEN] = '\0';
		cr_expect_str_eq(line, rows[i].expect, "%s", line);
	}
}

Test(log_format, text_quotes_what_needs_it_and_nothing_else)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "plain", "plain" },
		{ "unix:/run/x.sock", "unix:/run/x.sock" },
		{ "a\\b", "a\\b" },
		{ "", "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"x\" \\", "\"say \\\"x\\\" \\\\\"" },
		{ "a\nb", "\"a\\nb\"" },
		{ "\r\t", "\"\\r\\t\"" },
		{ "\x1b[1m", "\"\\x1b[1m\"" },
		{ "\x7f", "\"\\x7f\"" },
		{ "\xc3\xa4", "\"\\xc3\\xa4\"" },
	};
	char got[LOG_LINE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		format_value(got, LOG_TEXT, rows[i].given);
		cr_expect_str_eq(
		    got, rows[i].expect, "%s, not %s", got, rows[i].expect);
	}
}

Test(log_format, json_is_ascii_and_valid_for_any_bytes)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "plain", "a=b c", "\"a=b c\"" },
		{ "empty", "", "\"\"" },
		{ "quotes", "\"\\", "\"\\\"\\\\\"" },
		{ "short escapes", "\n\r\t", "\"\\n\\r\\t\"" },
		{ "control", "\x01\x1b\x7f", "\"\\u0001\\u001b\\u007f\"" },
		{ "two bytes", "\xc3\xa4", "\"\\u00e4\"" },
		{ "three bytes", "\xe2\x82\xac", "\"\\u20ac\"" },
		{ "four bytes", "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"" },
		{ "a lone tail", "\x80z", "\"\\ufffdz\"" },
		{ "a head at the end", "z\xc3", "\"z\\ufffd\"" },
		{ "a head before ASCII", "\xc3z", "\"\\ufffdz\"" },
		{ "overlong", "\xc0\xaf", "\"\\ufffd\\ufffd\"" },
		{ "overlong of three", "\xe0\x80\xaf",
		    "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "a surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "too large", "\xf4\x90\x80\x80",
		    "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	};
	char got[LOG_LINE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		format_value(got, LOG_JSON, rows[i].given);
		cr_expect_str_eq(
		    got, rows[i].expect, "%s: %s", rows[i].what, got);
	}
}

Test(log_format, a_message_keeps_its_quotes_but_stays_one_line)
{
	struct log_event event = EVENT("\"x\" = y\nnotice \xff");
	char line[LOG_LINE_MAX + 1];

	format_at(line, LOG_TEXT, sometime, &event);
	cr_expect_str_eq(
	    line + LOG_STAMP_LEN, " notice server \"x\" = y\\nnotice \\xff\n");
}

Test(log_format, cuts_a_long_value)
{
	char value[LOG_VALUE_MAX + 2], got[LOG_LINE_MAX];

	memset(value, 'v', sizeof(value));
	value[LOG_VALUE_MAX] = '\0';
	format_value(got, LOG_TEXT, value);
	cr_expect_str_eq(got, value);
	value[LOG_VALUE_MAX] = 'v';
	value[LOG_VALUE_MAX + 1] = '\0';
	format_value(got, LOG_TEXT, value);
	cr_expect_eq(strlen(got), LOG_VALUE_MAX + 3);
	cr_expect_str_eq(got + LOG_VALUE_MAX, "...");
	format_value(got, LOG_JSON, value);
	cr_expect_str_eq(got + 1 + LOG_VALUE_MAX, "...\"");
}

Test(log_format, leaves_out_fields_that_do_not_fit)
{
	static const struct {
		enum log_format format;
		const char *expect;
	} rows[] = {
		{ LOG_TEXT, "\" cut=1\n" },
		{ LOG_JSON, "\",\"cut\":1}\n" },
	};
	struct log_field fields[40] = { { 0 } };
	struct log_event event = { .component = "x",
		.message = "y",
		.fields = fields,
		.count = ARRAY_LEN(fields) };
	char value[LOG_VALUE_MAX + 1] = "", line[LOG_LINE_MAX + 1];

	memset(value, '\x01', LOG_VALUE_MAX);
	for (size_t i = 1; i < ARRAY_LEN(fields); i++)
		fields[i] = LOG_S("k", value);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		format_at(line, rows[i].format, sometime, &event);
		cr_expect_leq(strlen(line), LOG_LINE_MAX);
		cr_expect_str_eq(line + strlen(line) - strlen(rows[i].expect),
		    rows[i].expect);
	}
}

Test(log_format, the_worst_message_fits)
{
	char message[2 * LOG_MESSAGE_MAX];
	struct log_event event = EVENT(message);
	char line[LOG_LINE_MAX + 1];

	memset(message, '\x01', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	format_at(line, LOG_JSON, sometime, &event);
	cr_expect_str_eq(line + strlen(line) - 6, "...\"}\n");
}

Test(log_format, finds_where_lines_begin_and_how_many_end)
{
	static const char lines[] = "one\ntwo\nthr";

	cr_expect_eq(log_line_start(lines, 0), 0);
	cr_expect_eq(log_line_start(lines, 3), 0);
	cr_expect_eq(log_line_start(lines, 4), 4);
	cr_expect_eq(log_line_start(lines, 10), 8);
	cr_expect_eq(log_line_count(lines, 11), 2);
	cr_expect_eq(log_line_count(lines, 3), 0);
}

Test(log_format, a_body_has_no_stamp_in_text)
{
	cr_expect_str_eq(log_line_body("2026-11-22T14:44:05.123Z notice x y\n"),
	    "notice x y\n");
	cr_expect_str_eq(
	    log_line_body("{\"time\":\"x\"}\n"), "{\"time\":\"x\"}\n");
}
