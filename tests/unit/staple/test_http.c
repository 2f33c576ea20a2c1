/* What a header value says about time and type, if anything. */
#include "staple/http.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DAY 86400

struct row {
	const char *what, *given;
	int64_t expect;
};

static const struct row retry_rows[] = {
	{ "seconds", "120", 120 },
	{ "blanks around", " \t120 ", 120 },
	{ "zero", "0", 0 },
	{ "more than a day", "86401", DAY },
	{ "more than any number", "99999999999999999999999", DAY },
	{ "negative", "-5", 0 },
	{ "a unit", "120s", 0 },
	{ "nothing", "", 0 },
	{ "a word", "soon", 0 },
	{ "a date", "Sun, 06 Nov 1994 08:50:37 GMT", 60 },
	{ "a date of the past", "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
	{ "a date far off", "Sun, 06 Nov 2094 08:49:37 GMT", DAY },
};

Test(http, reads_when_to_try_again)
{
	for (size_t i = 0; i < ARRAY_LEN(retry_rows); i++) {
		const struct row *row = &retry_rows[i];

		cr_expect_eq(staple_http_retry_after(
				 row->given, strlen(row->given), NOW),
		    row->expect, "%s", row->what);
	}
}

static const struct row age_rows[] = {
	{ "alone", "max-age=60", 60 },
	{ "among others", "public, max-age=60,must-revalidate", 60 },
	{ "capitals", "Max-Age=60", 60 },
	{ "quoted", "max-age=\"60\"", 60 },
	{ "behind a quoted comma", "x=\"a,max-age=5\", max-age=60", 60 },
	{ "behind a quoted quote", "x=\"\\\",max-age=5\", max-age=60", 60 },
	{ "the less of two", "max-age=60, max-age=50", 50 },
	{ "huge", "max-age=99999999999999999999", INT32_MAX },
	{ "no-cache", "no-cache", 0 },
	{ "no-store after max-age", "max-age=60, no-store", 0 },
	{ "no-cache of one field", "no-cache=\"x\", max-age=60", 60 },
	{ "of shared caches", "s-maxage=60", -1 },
	{ "a name that ends so", "xmax-age=60", -1 },
	{ "without a number", "max-age=", -1 },
	{ "half a quote", "max-age=\"", -1 },
	{ "negative", "max-age=-1", -1 },
	{ "commas", ",,,", -1 },
	{ "an open quote", "x=\"\\", -1 },
	{ "nothing", "", -1 },
};

Test(http, reads_how_long_an_answer_is_fresh)
{
	for (size_t i = 0; i < ARRAY_LEN(age_rows); i++) {
		const struct row *row = &age_rows[i];

		cr_expect_eq(
		    staple_http_max_age(row->given, strlen(row->given)),
		    row->expect, "%s", row->what);
	}
}

static const struct row expires_rows[] = {
	{ "IMF-fixdate", "Sun, 06 Nov 1994 08:49:38 GMT", 1 },
	{ "RFC 850", "Sunday, 06-Nov-94 08:49:38 GMT", 1 },
	{ "asctime", "Sun Nov  6 08:49:38 1994", 1 },
	{ "asctime, two digits", "Wed Nov 16 08:49:37 1994", 10 * DAY },
	{ "the past", "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
	{ "fifty years ahead", "Sunday, 06-Nov-44 08:49:37 GMT",
	    18263LL * DAY },
	{ "two digits of the past", "Sunday, 06-Nov-45 08:49:37 GMT", 0 },
	{ "another zone", "Sun, 06 Nov 1994 08:49:38 CET", -1 },
	{ "no such month", "Sun, 06 Nev 1994 08:49:38 GMT", -1 },
	{ "day 0", "Sun, 00 Nov 1994 08:49:38 GMT", -1 },
	{ "day 32", "Sun, 32 Nov 1994 08:49:38 GMT", -1 },
	{ "hour 24", "Sun, 06 Nov 1994 24:49:38 GMT", -1 },
	{ "minute 60", "Sun, 06 Nov 1994 08:60:38 GMT", -1 },
	{ "a leap second", "Sun, 06 Nov 1994 08:49:60 GMT", 23 },
	{ "cut short", "Sun, 06 Nov 1994 08:49", -1 },
	{ "something behind", "Sun, 06 Nov 1994 08:49:38 GMT!", -1 },
	{ "no day", ", 06 Nov 1994 08:49:38 GMT", -1 },
	{ "a number", "0", -1 },
	{ "nothing", "", -1 },
};

Test(http, reads_the_three_forms_of_a_date)
{
	for (size_t i = 0; i < ARRAY_LEN(expires_rows); i++) {
		const struct row *row = &expires_rows[i];

		cr_expect_eq(
		    staple_http_expires(row->given, strlen(row->given), NOW),
		    row->expect, "%s", row->what);
	}
}

static const struct row old_rows[] = {
	{ "seconds", "7", 7 },
	{ "nothing", "", 0 },
	{ "negative", "-7", 0 },
	{ "a word", "old", 0 },
};

Test(http, reads_how_old_an_answer_is)
{
	for (size_t i = 0; i < ARRAY_LEN(old_rows); i++) {
		const struct row *row = &old_rows[i];

		cr_expect_eq(staple_http_age(row->given, strlen(row->given)),
		    row->expect, "%s", row->what);
	}
}

static const struct row type_rows[] = {
	{ "the type", "application/ocsp-response", true },
	{ "in capitals", "Application/OCSP-Response", true },
	{ "with a parameter", "application/ocsp-response; q=1", true },
	{ "blanks around", " application/ocsp-response ", true },
	{ "the request's", "application/ocsp-request", false },
	{ "a longer one", "application/ocsp-responses", false },
	{ "a page", "text/html", false },
	{ "nothing", "", false },
};

Test(http, knows_the_type_of_a_response)
{
	for (size_t i = 0; i < ARRAY_LEN(type_rows); i++) {
		const struct row *row = &type_rows[i];

		cr_expect_eq(
		    staple_http_is_ocsp(row->given, strlen(row->given)),
		    row->expect != 0, "%s", row->what);
	}
}

Test(http, reads_no_byte_behind_the_value)
{
	static const char value[] = "max-age=60";

	cr_expect_eq(staple_http_max_age(value, 9), 6);
	cr_expect_eq(staple_http_retry_after("120", 1, NOW), 1);
	cr_expect_eq(staple_http_age("77", 1), 7);
	cr_expect_not(staple_http_is_ocsp("application/ocsp-response", 24));
	cr_expect_eq(
	    staple_http_expires("Sun, 06 Nov 1994 08:49:38 GMT", 28, NOW), -1);
}
