/* The headers and the body of a response, and the values of its headers. */
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/http_response.h"

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

Test(http, recognises_the_type_of_a_response)
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

static struct staple_http_response response;

static void
set_up(void)
{
	staple_http_response_init(&response, 10);
}

static void
tear_down(void)
{
	staple_http_response_fini(&response);
}

TestSuite(http_response, .init = set_up, .fini = tear_down);

static bool
take(int status, const char *line)
{
	return staple_http_response_header(
	    &response, status, line, strlen(line), NOW);
}

/* A whole head: its lines, each with its end. */
static bool
take_head(int status, const char *const *lines)
{
	bool more = take(status, "HTTP/1.1 200 OK\r\n");

	for (; more && *lines != NULL; lines++)
		more = take(status, *lines);
	return more && take(status, "\r\n");
}

static const struct freshness_row {
	const char *what;
	const char *lines[4];
	int64_t expect;
} freshness_rows[] = {
	{ "nothing said", { NULL }, -1 },
	{ "max-age", { "Cache-Control: max-age=60\r\n" }, 60 },
	{ "less its age", { "Age: 20\r\n", "cache-control:max-age=60\r\n" },
	    40 },
	{ "older than that", { "Cache-Control: max-age=6\r\n", "Age: 7\r\n" },
	    0 },
	{ "two lines",
	    { "Cache-Control: max-age=60\r\n", "Cache-Control: no-store\r\n" },
	    0 },
	{ "two lines, one without",
	    { "Cache-Control: max-age=60\r\n", "Cache-Control: public\r\n" },
	    60 },
	{ "Expires", { "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n" }, 60 },
	{ "max-age comes before Expires",
	    { "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
		"Cache-Control: max-age=5\r\n" },
	    5 },
	{ "bare newlines", { "Cache-Control: max-age=60\n" }, 60 },
	{ "a name that ends so", { "X-Cache-Control: max-age=60\r\n" }, -1 },
	{ "no colon", { "Cache-Control\r\n" }, -1 },
};

Test(http_response, returns_its_freshness)
{
	for (size_t i = 0; i < ARRAY_LEN(freshness_rows); i++) {
		const struct freshness_row *row = &freshness_rows[i];

		staple_http_response_init(&response, 10);
		cr_expect(take_head(200, row->lines), "%s", row->what);
		cr_expect(response.headed, "%s", row->what);
		cr_expect_eq(staple_http_response_freshness(&response),
		    row->expect, "%s", row->what);
	}
}

Test(http_response, reads_type_and_retry_and_location)
{
	static const char *const lines[] = {
		"Content-Type:application/ocsp-response \r\n",
		"Retry-After: 5\r\n",
		"Location: \t/there \r\n",
		"Location: /elsewhere\r\n",
		NULL,
	};

	cr_expect(take_head(200, lines));
	cr_expect(response.right_type);
	cr_expect_eq(response.retry_after_s, 5);
	cr_expect_str_eq(response.location, "/there", "the first counts");
}

Test(http_response, ignores_headers_of_an_interim_response)
{
	cr_expect(take(103, "HTTP/1.1 103 Early Hints\r\n"));
	cr_expect(take(103, "Location: /there\r\n"));
	cr_expect(take(103, "Cache-Control: max-age=5\r\n"));
	cr_expect(take(103, "\r\n"));
	cr_expect_not(response.headed);
	cr_expect(take(200, "HTTP/1.1 200 OK\r\n"));
	cr_expect(take(200, "\r\n"));
	cr_expect(response.headed);
	cr_expect_null(response.location);
	cr_expect_eq(staple_http_response_freshness(&response), -1);
}

Test(http_response, reads_no_trailer)
{
	cr_expect(take(200, "HTTP/1.1 200 OK\r\n"));
	cr_expect(take(200, "\r\n"));
	cr_expect(take(200, "Cache-Control: max-age=5\r\n"));
	cr_expect_eq(staple_http_response_freshness(&response), -1);
}

Test(http_response, reads_no_body_but_of_a_200)
{
	cr_expect(take(404, "HTTP/1.1 404 Not Found\r\n"));
	cr_expect_not(take(404, "\r\n"));
	cr_expect(response.headed);
	cr_expect_eq(response.error, STAPLE_ERROR_NONE);
}

Test(http_response, takes_no_more_headers_than_its_limit)
{
	static const char line[] = "X: 0123456789abcdef0123456789abcd\r\n";
	size_t len = sizeof(line) - 1, most = STAPLE_HEADERS_MAX / len;

	for (size_t i = 0; i < most; i++)
		cr_expect(take(200, line));
	cr_expect_not(take(200, line));
	cr_expect_eq(response.error, STAPLE_ERROR_SIZE);
}

Test(http_response, counts_the_headers_of_interim_answers_too)
{
	size_t lines = 0;

	while (take(103, "HTTP/1.1 103 Early Hints\r\n"))
		lines++;
	cr_expect_leq(lines, STAPLE_HEADERS_MAX / 26);
}

Test(http_response, takes_no_more_of_a_body_than_its_limit)
{
	cr_expect(staple_http_response_body(&response, "01234", 5, 7));
	cr_expect(staple_http_response_body(&response, "56789", 5, 8));
	cr_expect_eq(response.last_byte_ms, 8);
	cr_expect_not(staple_http_response_body(&response, "x", 1, 9));
	cr_expect_eq(response.error, STAPLE_ERROR_SIZE);
	cr_expect_eq(response.len, 10);
	cr_expect_eq(memcmp(response.body, "0123456789", 10), 0);
}
