/* What comes of one transfer, whatever the responder does. */
#include "staple/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "tests/support/fetched.h"
#include "tests/support/responder.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define TYPE "Content-Type: application/ocsp-response\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define LENGTH(n) "Content-Length: " n "\r\n"
#define END "\r\n"
#define SHORT 300 /* ms, where time must run out */
#define LONG 8000 /* ms, where it must not */

static struct staple_fetcher *fetcher;
static struct responder *responder;

static void
set_up(void)
{
	fetcher = fetched_fetcher(NULL);
	responder = responder_start(NULL);
}

static void
tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
}

TestSuite(fetch, .init = set_up, .fini = tear_down);

static struct fetched
ask(const struct responder_act *act, bool get, uint32_t timeout_ms)
{
	char *url = responder_url(responder, "/ocsp");
	struct fetched fetched;

	responder_play(responder, act, 1);
	fetched = fetched_run(
	    fetcher, &(struct staple_fetch_order){
			 .url = url,
			 .body = (const unsigned char *)"request",
			 .len = 7,
			 .get = get,
			 .timeout_ms = timeout_ms,
		     });
	free(url);
	return fetched;
}

static const struct row {
	const char *what;
	struct responder_act act;
	uint32_t timeout_ms;
	enum staple_outcome expect;
	const char *said; /* begins so */
} rows[] = {
	{ "a body of known length", { .bytes = OK TYPE LENGTH("4") END "good" },
	    LONG, STAPLE_GOOD, "HTTP 200" },
	{ "chunks",
	    { .bytes = OK CHUNKED END "2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n" }, LONG,
	    STAPLE_GOOD, "HTTP 200" },
	{ "a body until the end", { .bytes = OK END "good" }, LONG, STAPLE_GOOD,
	    "HTTP 200" },
	{ "an interim answer first",
	    { .bytes = "HTTP/1.1 103 Early Hints\r\n\r\n" OK LENGTH("4") END
		"good" },
	    LONG, STAPLE_GOOD, "HTTP 200" },
	{ "all a moment later",
	    { .bytes = OK LENGTH("4") END "good", .drips = true }, LONG,
	    STAPLE_GOOD, "HTTP 200" },
	{ "404", { .bytes = "HTTP/1.1 404 No\r\n" LENGTH("0") END }, LONG,
	    STAPLE_HTTP_4XX, "HTTP 404" },
	{ "500", { .bytes = "HTTP/1.0 500 No\r\n\r\noops" }, LONG,
	    STAPLE_HTTP_5XX, "HTTP 500" },
	{ "503 whose page never ends",
	    { .bytes = "HTTP/1.1 503 No\r\n\r\nx",
		.repeat_from = 19,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_HTTP_5XX, "HTTP 503" },
	{ "502 whose page never comes",
	    { .bytes = "HTTP/1.1 502 No\r\n" LENGTH("99") END,
		.end = RESPONDER_HANGS },
	    LONG, STAPLE_HTTP_5XX, "HTTP 502" },
	{ "204", { .bytes = "HTTP/1.1 204 No\r\n\r\n" }, LONG,
	    STAPLE_HTTP_OTHER, "HTTP 204" },
	{ "a redirect to nowhere", { .bytes = "HTTP/1.1 302 Found\r\n\r\n" },
	    LONG, STAPLE_HTTP_OTHER, "HTTP 302" },
	{ "304 with a Location",
	    { .bytes = "HTTP/1.1 304 Same\r\nLocation: /\r\n\r\n" }, LONG,
	    STAPLE_HTTP_OTHER, "HTTP 304" },
	{ "no HTTP", { .bytes = "SSH-2.0-OpenSSH_9.2\r\n" }, LONG,
	    STAPLE_HTTP_OTHER, "what came is not HTTP" },
	{ "an empty body", { .bytes = OK TYPE LENGTH("0") END }, LONG,
	    STAPLE_EMPTY, "HTTP 200 without a body" },
	{ "no chunk", { .bytes = OK CHUNKED END "0\r\n\r\n" }, LONG,
	    STAPLE_EMPTY, "HTTP 200 without a body" },
	{ "closed at once", { .bytes = "" }, LONG, STAPLE_CONNECTION_RESET,
	    "closed without an answer" },
	{ "reset at once", { .bytes = "", .end = RESPONDER_RESETS }, LONG,
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "reset in the body",
	    { .bytes = OK LENGTH("9") END "good", .end = RESPONDER_RESETS },
	    LONG, STAPLE_CONNECTION_RESET, "connection reset" },
	{ "less than the length", { .bytes = OK LENGTH("9") END "good" }, LONG,
	    STAPLE_TRUNCATED, "cut after 4 bytes of body" },
	{ "half a chunk", { .bytes = OK CHUNKED END "9\r\ngood" }, LONG,
	    STAPLE_TRUNCATED, "cut after 4 bytes of body" },
	{ "no last chunk", { .bytes = OK CHUNKED END "4\r\ngood\r\n" }, LONG,
	    STAPLE_TRUNCATED, "cut after 4 bytes of body" },
	{ "half the headers", { .bytes = OK "Content-Le" }, LONG,
	    STAPLE_TRUNCATED, "cut in the headers" },
	{ "a length beyond the limit, and nothing",
	    { .bytes = OK LENGTH("1001") END, .end = RESPONDER_HANGS }, LONG,
	    STAPLE_TOO_LARGE, "the answer is larger" },
	{ "an endless body",
	    { .bytes = OK END "x",
		.repeat_from = 19,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the answer is larger" },
	{ "endless headers",
	    { .bytes = OK "A: b\r\n",
		.repeat_from = 17,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the answer is larger" },
	{ "an endless header",
	    { .bytes = OK "A: bbbb",
		.repeat_from = 20,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the answer is larger" },
	{ "no answer", { .bytes = "", .end = RESPONDER_HANGS }, SHORT,
	    STAPLE_TIMEOUT_HEADERS, "timed out after " },
	{ "half the headers and no more",
	    { .bytes = OK "Content-Le", .end = RESPONDER_HANGS }, SHORT,
	    STAPLE_TIMEOUT_HEADERS, "timed out after " },
	{ "half the body and no more",
	    { .bytes = OK LENGTH("9") END "good", .end = RESPONDER_HANGS },
	    SHORT, STAPLE_TIMEOUT_BODY, "timed out after " },
	{ "a slow drip",
	    { .bytes = OK LENGTH("900") END
		"goodgoodgoodgoodgoodgoodgoodgood"
		"goodgoodgoodgoodgoodgoodgoodgoodgoodgoodgoodgoodgood",
		.drips = true,
		.drip_from = 40 },
	    SHORT, STAPLE_SLOW_DRIP, "still dripping after " },
};

Test(fetch, tells_the_ways_apart_in_which_a_responder_answers)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct fetched got = ask(&row->act, false, row->timeout_ms);

		cr_expect_eq(got.result.outcome, row->expect, "%s: %s (%s)",
		    row->what, staple_outcome_name(got.result.outcome),
		    got.said);
		cr_expect_eq(strncmp(got.said, row->said, strlen(row->said)), 0,
		    "%s: %s", row->what, got.said);
		cr_expect_lt(got.result.took_ms, LONG / 2, "%s", row->what);
		if (row->expect == STAPLE_GOOD)
			cr_expect_str_eq(got.body, "good", "%s", row->what);
	}
}

/* ---- What is sent ---- */

static char *
sent(bool get)
{
	size_t len;

	(void)ask(&(struct responder_act){ .bytes = OK END "good" }, get, LONG);
	return responder_request(responder, 0, &len);
}

static const struct sent_row {
	const char *what, *wanted;
	bool post, get;
} sent_rows[] = {
	{ "the method", "POST /ocsp HTTP/1.1\r\n", true, false },
	{ "the other method", "GET /ocsp HTTP/1.1\r\n", false, true },
	{ "the host with its port", "\r\nHost: 127.0.0.1:", true, true },
	{ "what is asked for", "\r\nAccept: application/ocsp-response\r\n",
	    true, true },
	{ "who asks", "\r\nUser-Agent: libstaple/", true, true },
	{ "the type of the request",
	    "\r\nContent-Type: application/ocsp-request\r\n", true, false },
	{ "its length", "\r\nContent-Length: 7\r\n", true, false },
	{ "the request", "\r\n\r\nrequest", true, false },
	{ "no 100 Continue", "\r\nExpect:", false, false },
	{ "no Cache-Control", "\r\nCache-Control:", false, false },
	{ "no encodings", "\r\nAccept-Encoding:", false, false },
	{ "no cookies", "\r\nCookie:", false, false },
	{ "no password", "\r\nAuthorization:", false, false },
};

Test(fetch, sends_what_a_responder_needs_and_no_more)
{
	char *post = sent(false), *get;

	tear_down();
	set_up();
	get = sent(true);
	for (size_t i = 0; i < ARRAY_LEN(sent_rows); i++) {
		const struct sent_row *row = &sent_rows[i];

		cr_expect_eq(strstr(post, row->wanted) != NULL, row->post,
		    "POST, %s: %s", row->what, post);
		cr_expect_eq(strstr(get, row->wanted) != NULL, row->get,
		    "GET, %s: %s", row->what, get);
	}
	free(post);
	free(get);
}

/* RFC 5019 6.1 */
Test(fetch, bypasses_caches_where_it_should)
{
	char *url = responder_url(responder, "/ocsp");

	responder_play(
	    responder, &(struct responder_act){ .bytes = OK END "good" }, 1);
	for (unsigned i = 0; i < 4; i++) {
		const struct staple_fetch_order order = {
			.url = url,
			.body = (const unsigned char *)"request",
			.len = 7,
			.get = i / 2,
			.no_cache = i % 2,
			.timeout_ms = LONG,
		};
		char *request;
		size_t len;

		(void)fetched_run(fetcher, &order);
		request = responder_request(responder, i, &len);
		cr_expect_eq(
		    strstr(request, "\r\nCache-Control: no-cache\r\n") != NULL,
		    order.no_cache, "%s", request);
		free(request);
	}
	free(url);
}

/* ---- What the headers say ---- */

static struct fetched
hear(const char *answer)
{
	return ask(&(struct responder_act){ .bytes = answer }, false, LONG);
}

Test(fetch, leaves_a_body_of_another_type_to_be_looked_at)
{
	struct fetched right = hear(OK TYPE END "good");
	struct fetched wrong = hear(OK "Content-Type: text/html\r\n\r\ngood");

	cr_expect(right.result.right_type);
	cr_expect_eq(wrong.result.outcome, STAPLE_GOOD);
	cr_expect_not(wrong.result.right_type);
	cr_expect_eq(wrong.result.len, 4);
}

Test(fetch, tells_when_to_come_again_and_how_long_it_is_fresh)
{
	struct fetched busy = hear(
	    "HTTP/1.1 503 No\r\nRetry-After: 60\r\n\r\n");
	struct fetched wrong = hear(
	    "HTTP/1.1 404 No\r\nRetry-After: 6\r\n\r\n");
	struct fetched fresh = hear(OK "Cache-Control: max-age=50\r\n"
				       "Age: 20\r\n\r\ngood");
	struct fetched mute = hear(OK END "good");

	cr_expect_eq(busy.result.retry_after_s, 60);
	cr_expect_eq(busy.result.http_status, 503);
	cr_expect_eq(wrong.result.retry_after_s, 0);
	cr_expect_eq(fresh.result.freshness_s, 30);
	cr_expect_eq(mute.result.freshness_s, -1);
	cr_expect_eq(mute.result.retry_after_s, 0);
}

Test(fetch, takes_a_body_of_just_the_limit)
{
	char answer[64 + 1000] = OK END;
	size_t head = strlen(answer);
	struct responder_act act = { .bytes = answer, .len = head + 1000 };
	struct fetched just, more;

	memset(answer + head, 'x', 1001);
	just = ask(&act, false, LONG);
	act.len++;
	more = ask(&act, false, LONG);
	cr_expect_eq(just.result.outcome, STAPLE_GOOD);
	cr_expect_eq(just.result.len, 1000);
	cr_expect_eq(more.result.outcome, STAPLE_TOO_LARGE);
}
