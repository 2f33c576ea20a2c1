/* Times, read and written. */
#include "staple/when.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"

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

Test(when, reads_what_is_a_time)
{
	ASN1_GENERALIZEDTIME *time = ASN1_GENERALIZEDTIME_new();

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		int64_t seconds = 0;

		ASN1_STRING_set(time, times[i].given, -1);
		cr_expect_eq(staple_when_read(time, &seconds),
		    times[i].readable, "%s", times[i].what);
		cr_expect_eq(seconds, times[i].expect, "%s", times[i].what);
	}
	ASN1_GENERALIZEDTIME_free(time);
}

Test(when, takes_no_time_for_no_time)
{
	int64_t seconds = 7;

	cr_expect_not(staple_when_read(NULL, &seconds));
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

Test(when, writes_dates)
{
	for (size_t i = 0; i < ARRAY_LEN(dates); i++)
		cr_expect_str_eq(
		    staple_when_date(dates[i].given).text, dates[i].expect);
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

Test(when, writes_spans_in_two_units)
{
	for (size_t i = 0; i < ARRAY_LEN(spans); i++)
		cr_expect_str_eq(
		    staple_when_span(spans[i].given).text, spans[i].expect);
}
