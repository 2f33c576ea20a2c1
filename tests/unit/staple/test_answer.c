/* What is taken of an answer, line by line. */
#include "staple/answer.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct staple_answer answer;

static void
set_up(void)
{
	staple_answer_init(&answer, 10);
}

static void
tear_down(void)
{
	staple_answer_fini(&answer);
}

TestSuite(answer, .init = set_up, .fini = tear_down);

static bool
take(int status, const char *line)
{
	return staple_answer_header(&answer, status, line, strlen(line), NOW);
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

Test(answer, tells_how_long_it_is_fresh)
{
	for (size_t i = 0; i < ARRAY_LEN(freshness_rows); i++) {
		const struct freshness_row *row = &freshness_rows[i];

		staple_answer_init(&answer, 10);
		cr_expect(take_head(200, row->lines), "%s", row->what);
		cr_expect(answer.headed, "%s", row->what);
		cr_expect_eq(staple_answer_freshness(&answer), row->expect,
		    "%s", row->what);
	}
}

Test(answer, reads_type_and_retry_and_location)
{
	static const char *const lines[] = {
		"Content-Type:application/ocsp-response \r\n",
		"Retry-After: 5\r\n",
		"Location: \t/there \r\n",
		"Location: /elsewhere\r\n",
		NULL,
	};

	cr_expect(take_head(200, lines));
	cr_expect(answer.right_type);
	cr_expect_eq(answer.retry_after_s, 5);
	cr_expect_str_eq(answer.location, "/there", "the first counts");
}

Test(answer, forgets_what_an_interim_answer_said)
{
	cr_expect(take(103, "HTTP/1.1 103 Early Hints\r\n"));
	cr_expect(take(103, "Location: /there\r\n"));
	cr_expect(take(103, "Cache-Control: max-age=5\r\n"));
	cr_expect(take(103, "\r\n"));
	cr_expect_not(answer.headed);
	cr_expect(take(200, "HTTP/1.1 200 OK\r\n"));
	cr_expect(take(200, "\r\n"));
	cr_expect(answer.headed);
	cr_expect_null(answer.location);
	cr_expect_eq(staple_answer_freshness(&answer), -1);
}

Test(answer, reads_no_trailer)
{
	cr_expect(take(200, "HTTP/1.1 200 OK\r\n"));
	cr_expect(take(200, "\r\n"));
	cr_expect(take(200, "Cache-Control: max-age=5\r\n"));
	cr_expect_eq(staple_answer_freshness(&answer), -1);
}

Test(answer, wants_no_body_but_of_a_200)
{
	cr_expect(take(404, "HTTP/1.1 404 Not Found\r\n"));
	cr_expect_not(take(404, "\r\n"));
	cr_expect(answer.headed);
	cr_expect_eq(answer.trouble, STAPLE_TROUBLE_NONE);
}

Test(answer, takes_no_more_headers_than_its_limit)
{
	static const char line[] = "X: 0123456789abcdef0123456789abcd\r\n";
	size_t len = sizeof(line) - 1, most = STAPLE_HEADERS_MAX / len;

	for (size_t i = 0; i < most; i++)
		cr_expect(take(200, line));
	cr_expect_not(take(200, line));
	cr_expect_eq(answer.trouble, STAPLE_TROUBLE_SIZE);
}

Test(answer, counts_the_headers_of_interim_answers_too)
{
	size_t lines = 0;

	while (take(103, "HTTP/1.1 103 Early Hints\r\n"))
		lines++;
	cr_expect_leq(lines, STAPLE_HEADERS_MAX / 26);
}

Test(answer, takes_no_more_of_a_body_than_its_limit)
{
	cr_expect(staple_answer_body(&answer, "01234", 5, 7));
	cr_expect(staple_answer_body(&answer, "56789", 5, 8));
	cr_expect_eq(answer.heard_ms, 8);
	cr_expect_not(staple_answer_body(&answer, "x", 1, 9));
	cr_expect_eq(answer.trouble, STAPLE_TROUBLE_SIZE);
	cr_expect_eq(answer.len, 10);
	cr_expect_eq(memcmp(answer.body, "0123456789", 10), 0);
}
