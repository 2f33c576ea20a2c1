/*
 * Times that are read from ASN.1, times as text, and untrusted bytes as text.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/time_text.h"

static const struct {
	const char *what, *given;
	bool readable;
	int64_t expect;
} times[] = {
	{ "the epoch", "19700101000000Z", true, 0 },
	{ "a leap day", "20240229120000Z", true, 1709208000 },
	{ "the end of all certificates", "99991231235959Z", true,
	    INT64_C(253402300799) },
	{ "before the epoch", "19691231235959Z", true, -1 },
	{ "nothing", "", false, 0 },
	{ "no digits", "yesterday", false, 0 },
	{ "no such month", "20261301000000Z", false, 0 },
	{ "no such day", "20260230000000Z", false, 0 },
	{ "no such hour", "20260101250000Z", false, 0 },
	{ "no zone", "20260101000000", false, 0 },
	{ "something behind it", "20260101000000Zx", false, 0 },
};

Test(time, reads_what_is_a_time)
{
	ASN1_GENERALIZEDTIME *time = ASN1_GENERALIZEDTIME_new();

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t seconds = 0;

		ASN1_STRING_set(time, times[i].given, -1);
		cr_expect_eq(staple_time_read(time, &seconds),
		    times[i].readable, "%s", times[i].what);
		cr_expect_eq(seconds, times[i].expect, "%s", times[i].what);
	}
	ASN1_GENERALIZEDTIME_free(time);
}

Test(time, takes_no_time_for_no_time)
{
	int64_t seconds = 7;

	cr_expect_not(staple_time_read(NULL, &seconds));
	cr_expect_eq(seconds, 7);
}

static const struct {
	int64_t given;
	const char *expect;
} dates[] = {
	{ 0, "1970-01-01 00:00:00 UTC" },
	{ 1709208001, "2024-02-29 12:00:01 UTC" },
	{ INT64_C(253402300799), "9999-12-31 23:59:59 UTC" },
	{ INT64_MAX, "?" },
};

Test(time, writes_dates)
{
	for (size_t i = 0; i < ARRAY_LEN(dates); i++)
		cr_expect_str_eq(
		    staple_time_date(dates[i].given).text, dates[i].expect);
}

static const struct {
	int64_t given;
	const char *expect;
} spans[] = {
	{ 0, "0 s" },
	{ 59, "59 s" },
	{ 60, "1 min 0 s" },
	{ 3599, "59 min 59 s" },
	{ 3600, "1 h 0 min" },
	{ 86399, "23 h 59 min" },
	{ 86400, "1 day 0 h" },
	{ 273600, "3 days 4 h" },
	{ -61, "1 min 1 s" },
	{ INT64_MIN, "106751991167300 days 15 h" },
};

Test(time, writes_spans_in_two_units)
{
	for (size_t i = 0; i < ARRAY_LEN(spans); i++)
		cr_expect_str_eq(
		    staple_time_span(spans[i].given).text, spans[i].expect);
}

static const struct {
	const char *what;
	const char *given;
	size_t len;
	const char *expect;
} rows[] = {
	{ "nothing", "", 0, "" },
	{ "plain text", "a b~", 4, "a b~" },
	{ "a NUL", "a\0b", 3, "a\\x00b" },
	{ "a line and a terminal's escape", "\n\x1b[", 3, "\\x0a\\x1b[" },
	{ "a backslash, or escapes could be forged", "\\x", 2, "\\x5cx" },
	{ "two bytes of UTF-8", "\xc3\xa9", 2, "\\xc3\\xa9" },
	{ "delete", "\x7f", 1, "\\x7f" },
	{ "just what fits", "0123456789abcde", 15, "0123456789abcde" },
	{ "one byte too many", "0123456789abcdef", 16, "0123456789abcde" },
	{ "an escape that fits", "0123456789a\n", 12, "0123456789a\\x0a" },
	{ "an escape that does not", "0123456789ab\n", 13, "0123456789ab" },
};

Test(text, escapes_what_is_not_printable)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[16];

		staple_text_escape(
		    out, sizeof(out), rows[i].given, rows[i].len);
		cr_expect_str_eq(out, rows[i].expect, "%s", rows[i].what);
	}
}

Test(text, prints_bytes_as_hex)
{
	static const unsigned char bytes[] = { 0x00, 0x1f, 0xff };
	char out[7];

	staple_text_hex(out, sizeof(out), bytes, 3);
	cr_expect_str_eq(out, "001fff");
	staple_text_hex(out, sizeof(out), bytes, 0);
	cr_expect_str_eq(out, "");
}

Test(text, cuts_hex_between_bytes)
{
	static const unsigned char bytes[] = { 0x00, 0x1f, 0xff };
	char out[6];

	staple_text_hex(out, sizeof(out), bytes, 3);
	cr_expect_str_eq(out, "001f");
}
