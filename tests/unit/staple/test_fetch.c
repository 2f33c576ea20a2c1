/*
 * Exchanges: what comes of one transfer for every behaviour of a responder,
 * redirects, cancelling, how long a hanging peer can delay anything, and the
 * outcome and the text for every way in which a transfer can end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/thread.h"
#include "staple/fetch.h"
#include "staple/http_client.h"
#include "tests/support/fetched.h"
#include "tests/support/names.h"
#include "tests/support/pki.h"
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
	{ "a header without a colon", { .bytes = OK "Cache-Control\r\n\r\n" },
	    LONG, STAPLE_HTTP_OTHER, "the response is not HTTP" },
	{ "no HTTP", { .bytes = "SSH-2.0-OpenSSH_9.2\r\n" }, LONG,
	    STAPLE_HTTP_OTHER, "the response is not HTTP" },
	{ "an empty body", { .bytes = OK TYPE LENGTH("0") END }, LONG,
	    STAPLE_EMPTY, "HTTP 200 without a body" },
	{ "no chunk", { .bytes = OK CHUNKED END "0\r\n\r\n" }, LONG,
	    STAPLE_EMPTY, "HTTP 200 without a body" },
	{ "closed at once", { .bytes = "" }, LONG, STAPLE_CONNECTION_RESET,
	    "closed without a response" },
	{ "reset at once", { .bytes = "", .end = RESPONDER_RESETS }, LONG,
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "reset in the body",
	    { .bytes = OK LENGTH("9") END "good", .end = RESPONDER_RESETS },
	    LONG, STAPLE_CONNECTION_RESET, "connection reset" },
	{ "less than the length", { .bytes = OK LENGTH("9") END "good" }, LONG,
	    STAPLE_TRUNCATED, "truncated after 4 bytes of body" },
	{ "half a chunk", { .bytes = OK CHUNKED END "9\r\ngood" }, LONG,
	    STAPLE_TRUNCATED, "truncated after 4 bytes of body" },
	{ "no last chunk", { .bytes = OK CHUNKED END "4\r\ngood\r\n" }, LONG,
	    STAPLE_TRUNCATED, "truncated after 4 bytes of body" },
	{ "half the headers", { .bytes = OK "Content-Le" }, LONG,
	    STAPLE_TRUNCATED, "truncated in the headers" },
	{ "a length beyond the limit, and nothing",
	    { .bytes = OK LENGTH("1001") END, .end = RESPONDER_HANGS }, LONG,
	    STAPLE_TOO_LARGE, "the response is larger" },
	{ "an endless body",
	    { .bytes = OK END "x",
		.repeat_from = 19,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the response is larger" },
	{ "endless headers",
	    { .bytes = OK "A: b\r\n",
		.repeat_from = 17,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the response is larger" },
	{ "endless interim responses",
	    { .bytes = "HTTP/1.1 103 Early Hints\r\n\r\n",
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the response is larger" },
	{ "an endless header",
	    { .bytes = OK "A: bbbb",
		.repeat_from = 20,
		.end = RESPONDER_REPEATS },
	    LONG, STAPLE_TOO_LARGE, "the response is larger" },
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
	    SHORT, STAPLE_SLOW_DRIP, "body incomplete after " },
};

Test(fetch, has_an_outcome_for_every_behaviour_of_a_responder)
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

/* ---- Headers ---- */

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

Test(fetch, returns_retry_after_and_freshness)
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

static const struct freshness_row {
	const char *what, *response;
	int64_t expect;
} freshness_rows[] = {
	{ "no header", OK END "good", -1 },
	{ "max-age", OK "Cache-Control: max-age=60\r\n\r\ngood", 60 },
	{ "less its age", OK "Age: 20\r\ncache-control:max-age=60\r\n\r\ngood",
	    40 },
	{ "older than that",
	    OK "Cache-Control: max-age=6\r\nAge: 7\r\n\r\ngood", 0 },
	{ "two lines",
	    OK "Cache-Control: max-age=60\r\n"
	       "Cache-Control: no-store\r\n\r\ngood",
	    0 },
	{ "two lines, the less second",
	    OK "Cache-Control: max-age=60\r\n"
	       "Cache-Control: max-age=50\r\n\r\ngood",
	    50 },
	{ "two lines, one without",
	    OK "Cache-Control: max-age=60\r\n"
	       "Cache-Control: public\r\n\r\ngood",
	    60 },
	{ "Expires", OK "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n\r\ngood",
	    0 },
	{ "Expires that is no date", OK "Expires: 0\r\n\r\ngood", -1 },
	{ "max-age comes before Expires",
	    OK "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n"
	       "Cache-Control: max-age=5\r\n\r\ngood",
	    5 },
	{ "two of Age, the first counts",
	    OK "Age: 1\r\nAge: 2\r\n"
	       "Cache-Control: max-age=5\r\n\r\ngood",
	    4 },
	{ "bare newlines", "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\ngood",
	    60 },
	{ "a folded line",
	    OK "Cache-Control: public,\r\n max-age=60\r\n\r\ngood", 60 },
	{ "a name that ends so", OK "X-Cache-Control: max-age=60\r\n\r\ngood",
	    -1 },
	{ "an interim response",
	    "HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=5\r\n\r\n" OK
		END "good",
	    -1 },
	{ "a trailer",
	    OK CHUNKED END "4\r\ngood\r\n0\r\n"
			   "Cache-Control: max-age=5\r\n\r\n",
	    -1 },
};

Test(fetch, returns_how_long_a_response_is_fresh)
{
	for (size_t i = 0; i < ARRAY_LEN(freshness_rows); i++) {
		const struct freshness_row *row = &freshness_rows[i];
		struct fetched got = hear(row->response);

		cr_expect_eq(got.result.outcome, STAPLE_GOOD, "%s: %s",
		    row->what, got.said);
		cr_expect_eq(got.result.freshness_s, row->expect, "%s: %lld",
		    row->what, (long long)got.result.freshness_s);
	}
}

Test(fetch, counts_expires_from_now)
{
	char response[128];
	time_t at = time(NULL) + 1000;
	struct fetched got;
	struct tm tm;

	strftime(response, sizeof(response),
	    OK "Expires: %a, %d %b %Y %H:%M:%S GMT\r\n\r\ngood",
	    gmtime_r(&at, &tm));
	got = hear(response);
	cr_expect_leq(got.result.freshness_s, 1000);
	cr_expect_geq(got.result.freshness_s, 900);
}

/* CURLINFO_RETRY_AFTER and CURLINFO_CONTENT_TYPE would be of the interim one. */
Test(fetch, reads_no_header_of_an_interim_response)
{
	struct fetched got = hear("HTTP/1.1 103 Early Hints\r\n" TYPE
				  "Retry-After: 5\r\nLocation: /\r\n\r\n"
				  "HTTP/1.1 503 No\r\n\r\n");
	struct fetched to = hear(
	    "HTTP/1.1 103 Early Hints\r\nLocation: /\r\n\r\n"
	    "HTTP/1.1 302 Found\r\n\r\n");

	cr_expect_eq(got.result.http_status, 503);
	cr_expect_eq(got.result.retry_after_s, 0);
	cr_expect_not(got.result.right_type);
	cr_expect_eq(to.result.outcome, STAPLE_HTTP_OTHER, "%s", to.said);
}

/* RFC 9111 4.2.1 and 5.1: the first, where there are two of what is no list. */
Test(fetch, reads_the_first_of_two_headers)
{
	struct fetched got = hear("HTTP/1.1 429 No\r\n"
				  "Content-Type:application/ocsp-response \r\n"
				  "Content-Type: text/html\r\n"
				  "Retry-After: \t5 \r\n"
				  "Retry-After: 50\r\n\r\n");

	cr_expect(got.result.right_type);
	cr_expect_eq(got.result.retry_after_s, 5);
}

/* A look-up of libcurl goes through all headers: 950 of them took 90 ms. */
Test(fetch, reads_sixteen_lines_of_cache_control)
{
	char response[1024] = OK;

	for (unsigned i = 0; i < 15; i++)
		strcat(response, "Cache-Control: max-age=7\r\n");
	strcat(response, "Cache-Control: max-age=6\r\n"
			 "Cache-Control: max-age=5\r\n\r\ngood");
	cr_expect_eq(hear(response).result.freshness_s, 6);
}

Test(fetch, takes_no_more_headers_than_its_limit)
{
	static char response[STAPLE_HEADERS_MAX + 64];
	const size_t head = STAPLE_HEADERS_MAX - 4; /* but for its end */
	struct responder_act act = { .bytes = response };
	struct fetched just, more;

	memset(response, 'x', sizeof(response));
	memcpy(response, OK "X: ", sizeof(OK "X: ") - 1);
	for (size_t i = 1000; i + 1000 < head; i += 1000)
		memcpy(response + i, "\r\nX: ", 5);
	memcpy(response + head, "\r\n\r\ngood", 9);
	just = ask(&act, false, LONG);
	memcpy(response + head, "x\r\n\r\ngood", 10);
	more = ask(&act, false, LONG);
	cr_expect_eq(just.result.outcome, STAPLE_GOOD, "%s", just.said);
	cr_expect_eq(more.result.outcome, STAPLE_TOO_LARGE, "%s", more.said);
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

#define TO(where) "HTTP/1.1 302 Found\r\nLocation: " where "\r\n\r\n"
#define GOOD "HTTP/1.1 200 OK\r\n\r\ngood"

static struct staple_fetch_options options;

static const struct responder_act silent = {
	.bytes = "",
	.end = RESPONDER_HANGS,
};

static void
exchange_set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &silent, 1);
}

static void
exchange_tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
	names_release();
}

TestSuite(exchange, .init = exchange_set_up, .fini = exchange_tear_down);

static struct staple_fetch *
start_at(const char *url, struct fetched *fetched)
{
	return staple_fetch_start(fetcher,
	    &(struct staple_fetch_order){
		.url = url, .get = true, .timeout_ms = LONG },
	    fetched_keep, fetched);
}

static struct staple_fetch *
start(const char *path, struct fetched *fetched)
{
	char *url = responder_url(responder, path);
	struct staple_fetch *fetch = start_at(url, fetched);

	free(url);
	return fetch;
}

static struct fetched
exchange_ask(const char *path, bool get, uint32_t timeout_ms)
{
	char *url = responder_url(responder, path);
	struct fetched fetched = fetched_run(
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

/* ---- Redirects ---- */

static const struct responder_act maze[] = {
	{ .path = "/good", .bytes = GOOD },
	{ .path = "/one", .bytes = TO("/good") },
	{ .path = "/two", .bytes = TO("one") },
	{ .path = "/near3", .bytes = TO("/two?x#y") },
	{ .path = "/near4", .bytes = TO("/near3") },
	{ .path = "/self", .bytes = TO("/self") },
	{ .path = "/ftp", .bytes = TO("ftp://127.0.0.1/") },
	{ .path = "/file", .bytes = TO("file:///etc/passwd") },
	{ .path = "/user", .bytes = TO("http://user@127.0.0.1/") },
	{ .path = "/broken", .bytes = TO("http://[::1/") },
	{ .path = "/space", .bytes = TO("http://a b/") },
	{ .path = "/name", .bytes = TO("http://none.test/") },
	{ .path = "/both",
	    .bytes = "HTTP/1.1 302 Found\r\nLocation: \t/good \r\n"
		     "Location: /self\r\n\r\n" },
	{ .path = "/307", .bytes = "HTTP/1.1 307 T\r\nLocation: /one\r\n\r\n" },
	{ .path = "/endless",
	    .bytes = TO("/good") "x",
	    .repeat_from = 39,
	    .end = RESPONDER_REPEATS },
};

static const struct redirect_row {
	const char *path;
	enum staple_outcome expect;
	unsigned requests;
	const char *said;
} redirect_rows[] = {
	{ "/one", STAPLE_GOOD, 2, "HTTP 200" },
	{ "/two", STAPLE_GOOD, 3, "HTTP 200" },
	{ "/near3", STAPLE_GOOD, 4, "HTTP 200" },
	{ "/near4", STAPLE_REDIRECT_LOOP, 4, "too many redirects" },
	{ "/self", STAPLE_REDIRECT_LOOP, 4, "too many redirects" },
	{ "/both", STAPLE_GOOD, 2, "HTTP 200" },
	{ "/307", STAPLE_GOOD, 3, "HTTP 200" },
	{ "/endless", STAPLE_GOOD, 2, "HTTP 200" },
	{ "/ftp", STAPLE_REDIRECT_REFUSED, 1, "redirected to a URL that" },
	{ "/file", STAPLE_REDIRECT_REFUSED, 1, "redirected to a URL that" },
	{ "/user", STAPLE_REDIRECT_REFUSED, 1, "redirected to a URL that" },
	{ "/broken", STAPLE_REDIRECT_REFUSED, 1, "redirected to a URL that" },
	{ "/space", STAPLE_REDIRECT_REFUSED, 1, "redirected to a URL that" },
	{ "/name", STAPLE_NAME_NOT_FOUND, 1, "no such host" },
};

Test(exchange, follows_three_redirects_and_only_to_where_it_may)
{
	responder_play(responder, maze, ARRAY_LEN(maze));
	for (size_t i = 0; i < ARRAY_LEN(redirect_rows); i++) {
		const struct redirect_row *row = &redirect_rows[i];
		unsigned before = responder_requests(responder);
		struct fetched got = exchange_ask(row->path, true, LONG);

		cr_expect_eq(got.result.outcome, row->expect, "%s: %s (%s)",
		    row->path, staple_outcome_name(got.result.outcome),
		    got.said);
		cr_expect_eq(strncmp(got.said, row->said, strlen(row->said)), 0,
		    "%s: %s", row->path, got.said);
		cr_expect_eq(responder_requests(responder) - before,
		    row->requests, "%s", row->path);
	}
}

static struct fetched
ask_issuer(const char *path)
{
	char *url = responder_url(responder, path);
	struct fetched fetched = fetched_run(fetcher,
	    &(struct staple_fetch_order){
		.url = url, .get = true, .issuer = true, .timeout_ms = LONG });

	free(url);
	return fetched;
}

/* RFC 5280 8: https for an issuer could need that issuer. */
Test(exchange, fetches_issuers_by_http_alone)
{
	static const struct responder_act acts[] = {
		{ .path = "/good", .bytes = GOOD },
		{ .path = "/one", .bytes = TO("/good") },
		{ .path = "/safe", .bytes = TO("https://127.0.0.1:1/good") },
		{ .path = "/near", .bytes = TO("/safe") },
	};
	size_t len;
	char *request;

	responder_play(responder, acts, ARRAY_LEN(acts));
	cr_expect_eq(ask_issuer("/one").result.outcome, STAPLE_GOOD);
	request = responder_request(responder, 0, &len);
	cr_assert_not_null(request);
	cr_expect_not_null(strstr(request, "Accept: application/pkix-cert"));
	free(request);
	cr_expect_eq(
	    ask_issuer("/safe").result.outcome, STAPLE_REDIRECT_REFUSED);
	cr_expect_eq(
	    ask_issuer("/near").result.outcome, STAPLE_REDIRECT_REFUSED);
	cr_expect_neq(exchange_ask("/safe", true, LONG).result.outcome,
	    STAPLE_REDIRECT_REFUSED, "a response may go there");
}

/* The fetcher takes responses of 1000 bytes. */
Test(exchange, bounds_issuers_apart_from_responses)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	static char text[sizeof(head) + 64 * 1024];
	const struct responder_act fits = { .bytes = text,
		.len = sizeof(head) - 1 + 64 * 1024 };
	const struct responder_act large = { .bytes = text,
		.len = sizeof(head) + 64 * 1024 };
	struct fetched got;

	memset(text, 'x', sizeof(text));
	memcpy(text, head, sizeof(head) - 1);
	responder_play(responder, &fits, 1);
	got = ask_issuer("/");
	cr_expect_eq(got.result.outcome, STAPLE_GOOD, "%s", got.said);
	cr_expect_eq(got.result.len, 64 * 1024);
	responder_play(responder, &large, 1);
	cr_expect_eq(ask_issuer("/").result.outcome, STAPLE_TOO_LARGE);
}

Test(exchange, keeps_the_method_where_it_is_redirected)
{
	static const char *const expect[] = { "POST /two ", "POST /one ",
		"POST /good " };
	size_t len;

	responder_play(responder, maze, ARRAY_LEN(maze));
	cr_expect_eq(
	    exchange_ask("/two", false, LONG).result.outcome, STAPLE_GOOD);
	for (unsigned i = 0; i < ARRAY_LEN(expect); i++) {
		char *request = responder_request(responder, i, &len);

		cr_assert_not_null(request);
		cr_expect_eq(strncmp(request, expect[i], strlen(expect[i])), 0,
		    "%s", request);
		cr_expect_not_null(strstr(request, "\r\n\r\nrequest"));
		free(request);
	}
}

/* The first hop takes 0.8 s and leaves 1.2 s for the second. */
Test(exchange, counts_redirects_toward_its_deadline)
{
	static const struct responder_act acts[] = {
		{ .path = "/slow",
		    .bytes = "HTTP/1.1 302 Found, but after a long search\r\n"
			     "Location: /silent\r\n\r\n",
		    .drips = true },
		{ .bytes = "", .end = RESPONDER_HANGS },
	};
	struct fetched got;

	responder_play(responder, acts, ARRAY_LEN(acts));
	got = exchange_ask("/slow", true, 2000);
	cr_expect_eq(got.result.outcome, STAPLE_TIMEOUT_HEADERS);
	cr_expect_eq(responder_requests(responder), 2);
	cr_expect_lt(got.result.took_ms, 2500);
}

Test(exchange, never_goes_from_https_to_http)
{
	static const struct responder_act act = {
		.bytes = TO("http://127.0.0.1/"),
	};
	struct pki made = pki_make(
	    &(struct pki_wish){ .name = "x", .san = "IP:127.0.0.1" });
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *pem = pki_certificate_pem(&made);
	struct pki_folder folder;
	struct fetched got;

	cr_assert_eq(SSL_CTX_use_certificate(context, made.certificate), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(context, made.key), 1);
	responder_stop(responder);
	responder = responder_start(context);
	responder_play(responder, &act, 1);
	pki_folder_make(&folder);
	options.ca_file = pki_write(&folder, "ca.pem", pem);
	staple_fetcher_configure(fetcher, &options);
	got = exchange_ask("/", true, LONG);
	cr_expect_eq(
	    got.result.outcome, STAPLE_REDIRECT_REFUSED, "%s", got.said);
	pki_folder_remove(&folder);
	free((char *)(uintptr_t)options.ca_file);
	free(pem);
	SSL_CTX_free(context);
	pki_drop(&made);
}

/* ---- URLs that are none ---- */

static const char *const bad_urls[] = {
	"",
	"/",
	"http://",
	"http:///path",
	"ftp://127.0.0.1/",
	"file:///etc/passwd",
	"javascript:alert(1)",
	"http://user:pass@127.0.0.1/",
	"http://127.0.0.1:99999/",
	"http://127.0.0.1:x/",
	"http://[::1",
	"http://a b/",
	"http://h\xc3\xb6st/",
	"http://host/\r\nHost: other",
	"\x01\xff",
};

Test(exchange, rejects_an_invalid_url)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_urls); i++) {
		struct fetched got = fetched_run(fetcher,
		    &(struct staple_fetch_order){
			.url = bad_urls[i], .get = true, .timeout_ms = LONG });

		cr_expect_eq(got.result.outcome, STAPLE_BAD_URL, "%s: %s",
		    bad_urls[i], got.said);
	}
}

/* ---- Starting and cancelling, from anywhere ---- */

static void
turn_until_asked(unsigned requests)
{
	int64_t end_ms = clock_mono_ms() + LONG;

	while (responder_requests(responder) < requests &&
	       clock_mono_ms() < end_ms)
		staple_fetcher_turn(fetcher, 10);
	cr_assert_eq(responder_requests(responder), requests);
}

Test(exchange, has_no_callback_after_a_cancel)
{
	struct fetched gone = { 0 }, other = { 0 };
	struct staple_fetch *fetch = start("/", &gone);
	struct staple_fetch *never = start("/", &gone);

	staple_fetch_cancel(never); /* before it began */
	turn_until_asked(1);
	staple_fetch_cancel(fetch);
	cr_assert_not_null(start_at("http://", &other));
	cr_assert(fetched_until(fetcher, &other, 1));
	cr_expect_eq(gone.calls, 0);
	staple_fetch_cancel(NULL);
}

/* What the callback under test may do to others. */
struct meddler {
	struct fetched seen;
	struct staple_fetch *self;
	struct staple_fetch *victim;
	const char *next;
};

static void
meddle(void *arg, const struct staple_fetch_result *result)
{
	struct meddler *meddler = arg;

	fetched_keep(&meddler->seen, result);
	staple_fetch_cancel(meddler->self);
	staple_fetch_cancel(meddler->victim);
	meddler->victim = NULL;
	if (meddler->next != NULL && meddler->seen.calls < 5)
		meddler->self = staple_fetch_start(fetcher,
		    &(struct staple_fetch_order){
			.url = meddler->next, .timeout_ms = LONG },
		    meddle, meddler);
}

static struct staple_fetch *
start_meddler(const char *url, struct meddler *meddler)
{
	meddler->self = staple_fetch_start(fetcher,
	    &(struct staple_fetch_order){ .url = url, .timeout_ms = LONG },
	    meddle, meddler);
	return meddler->self;
}

Test(exchange, lets_a_callback_start_the_next)
{
	char *url = responder_url(responder, "/good");
	struct meddler meddler = { .next = url };

	responder_play(responder, maze, ARRAY_LEN(maze));
	cr_assert_not_null(start_meddler(url, &meddler));
	cr_expect(fetched_until(fetcher, &meddler.seen, 5));
	cr_expect_eq(responder_requests(responder), 5);
	free(url);
}

/* Two that cannot even begin end in one turn: the first to be called back
 * cancels the other. */
Test(exchange, lets_a_callback_cancel_one_that_is_about_to_end)
{
	struct meddler first = { 0 }, second = { 0 };

	cr_assert_not_null(start_meddler("http://", &first));
	first.victim = start_meddler("http://", &second);
	cr_assert_not_null(first.victim);
	cr_assert(fetched_until(fetcher, &first.seen, 1));
	staple_fetcher_turn(fetcher, 0);
	cr_expect_eq(second.seen.calls, 0);
}

Test(exchange, lets_a_callback_cancel_one_that_has_ended_already)
{
	static const struct responder_act late = { .bytes = GOOD,
		.waits = true };
	char *url = responder_url(responder, "/");
	struct meddler one = { 0 }, other = { 0 };

	responder_play(responder, &late, 1);
	one.self = start_meddler(url, &one);
	other.self = start_meddler(url, &other);
	one.victim = other.self;
	other.victim = one.self;
	turn_until_asked(2);
	responder_release(responder);
	while (one.seen.calls + other.seen.calls == 0)
		staple_fetcher_turn(fetcher, 1000);
	staple_fetcher_turn(fetcher, 0);
	cr_expect_eq(one.seen.calls + other.seen.calls, 1);
	free(url);
}

#define HUNG "http://hangs.test/"

static void
bounds_set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &silent, 1);
}

static void
bounds_tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
	names_release();
}

TestSuite(fetch_bounds, .init = bounds_set_up, .fini = bounds_tear_down);

static struct staple_fetch *
start_for(const char *url, uint32_t timeout_ms, struct fetched *fetched)
{
	return staple_fetch_start(fetcher,
	    &(struct staple_fetch_order){
		.url = url, .get = true, .timeout_ms = timeout_ms },
	    fetched_keep, fetched);
}

static struct staple_fetch *
bounds_start(const char *url, struct fetched *fetched)
{
	return start_for(url, LONG, fetched);
}

static void
turn_until(unsigned (*count)(void), unsigned expect)
{
	int64_t end_ms = clock_mono_ms() + LONG;

	while (count() < expect && clock_mono_ms() < end_ms)
		staple_fetcher_turn(fetcher, 10);
	cr_assert_eq(count(), expect);
}

static unsigned
requests(void)
{
	return responder_requests(responder);
}

/* ---- The wait ---- */

static void
wake(void *arg)
{
	(void)arg;
	staple_fetcher_wake(fetcher);
}

Test(fetch_bounds, ends_its_wait_when_woken)
{
	int64_t begun_ms = clock_mono_ms();
	struct thread thread;

	cr_assert(thread_start(&thread, "waker", wake, NULL, NULL));
	staple_fetcher_turn(fetcher, LONG);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
	thread_join(&thread);
}

Test(fetch_bounds, waits_no_longer_than_its_argument)
{
	int64_t begun_ms = clock_mono_ms();

	staple_fetcher_turn(fetcher, 50);
	cr_expect_geq(clock_mono_ms() - begun_ms, 50);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
}

Test(fetch_bounds, does_not_wait_when_one_could_not_even_begin)
{
	int64_t begun_ms = clock_mono_ms();
	struct fetched none = { 0 };

	cr_assert_not_null(bounds_start("http://", &none));
	staple_fetcher_turn(fetcher, LONG);
	cr_expect_eq(none.calls, 1);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
}

/* ---- Ending while a peer hangs ---- */

Test(fetch_bounds, ends_at_once_whatever_hangs)
{
	char *url = responder_url(responder, "/");
	struct fetched gone = { 0 };
	int64_t begun_ms;

	for (unsigned i = 0; i < 16; i++) {
		cr_assert_not_null(bounds_start(url, &gone));
		cr_assert_not_null(bounds_start(HUNG, &gone));
	}
	turn_until(names_hanging, 16);
	turn_until(requests, 16);
	cr_assert_not_null(bounds_start(url, &gone));
	begun_ms = clock_mono_ms();
	staple_fetcher_free(fetcher);
	cr_expect_lt(clock_mono_ms() - begun_ms, 500);
	cr_expect_eq(gone.calls, 0);
	cr_expect_eq(names_hanging(), 16);
	fetcher = fetched_fetcher(NULL);
	free(url);
}

Test(fetch_bounds, lets_a_good_responder_answer_beside_hanging_ones)
{
	static const struct responder_act acts[] = {
		{ .path = "/good", .bytes = "HTTP/1.1 200 OK\r\n\r\ngood" },
		{ .bytes = "", .end = RESPONDER_HANGS },
	};
	char *hangs = responder_url(responder, "/");
	char *good = responder_url(responder, "/good");
	struct fetched gone = { 0 }, got = { 0 };

	responder_play(responder, acts, ARRAY_LEN(acts));
	for (unsigned i = 0; i < 16; i++) {
		cr_assert_not_null(bounds_start(hangs, &gone));
		cr_assert_not_null(bounds_start(HUNG, &gone));
	}
	turn_until(requests, 16);
	cr_assert_not_null(bounds_start(good, &got));
	cr_assert(fetched_until(fetcher, &got, 1));
	cr_expect_eq(got.result.outcome, STAPLE_GOOD);
	cr_expect_lt(got.result.took_ms, LONG / 2);
	cr_expect_eq(gone.calls, 0);
	free(good);
	free(hangs);
}

/* ---- Abandoned look-ups ---- */

static void
abandon(unsigned count)
{
	struct staple_fetch *fetches[STAPLE_LOOKUPS_MAX];
	struct fetched gone = { 0 };

	for (unsigned i = 0; i < count; i++) {
		fetches[i] = bounds_start(HUNG, &gone);
		cr_assert_not_null(fetches[i]);
	}
	turn_until(names_hanging, count);
	for (unsigned i = 0; i < count; i++)
		staple_fetch_cancel(fetches[i]);
}

static const struct name_row {
	const char *what, *proxy, *url;
	bool may;
} name_rows[] = {
	{ "a name", "", "http://here.test/", false },
	{ "an IPv4 address", "", "http://127.0.0.1/", true },
	{ "an IPv6 address", "", "https://[::1]/", true },
	{ "a name, through a proxy's address", "http://127.0.0.1:3128",
	    "http://here.test/", true },
	{ "an address, through a proxy's name", "http://here.test:3128",
	    "http://127.0.0.1/", false },
};

/* Does it start, or is it refused because too many hang?  Cancelled then. */
static bool
begins(const char *url)
{
	struct fetched got = { 0 };
	struct staple_fetch *fetch = bounds_start(url, &got);

	cr_assert_not_null(fetch);
	staple_fetcher_turn(fetcher, 0);
	if (got.calls == 0)
		staple_fetch_cancel(fetch);
	else if (got.result.outcome == STAPLE_NAME_TIMEOUT)
		return false;
	return true;
}

Test(fetch_bounds, uses_only_numbers_once_too_many_names_hang)
{
	abandon(STAPLE_LOOKUPS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(name_rows); i++) {
		const struct name_row *row = &name_rows[i];

		options.proxy = row->proxy;
		staple_fetcher_configure(fetcher, &options);
		cr_expect_eq(begins(row->url), row->may, "%s", row->what);
	}
}

Test(fetch_bounds, uses_names_as_long_as_one_fewer_hangs)
{
	abandon(STAPLE_LOOKUPS_MAX - 1);
	cr_expect(begins("http://here.test/"));
}

/* Rule 28: certificates of one responder, fetched again and again. */
Test(fetch_bounds, uses_other_names_however_often_one_hangs)
{
	unsigned hung = 0;

	while (hung < STAPLE_LOOKUPS_MAX && begins(HUNG))
		hung++;
	cr_expect_eq(hung, STAPLE_LOOKUPS_HOST_MAX);
	cr_expect(begins("http://here.test/"));
}

Test(fetch_bounds, counts_a_look_up_for_which_time_ran_out)
{
	struct fetched late = { 0 };

	for (unsigned i = 0; i < STAPLE_LOOKUPS_MAX; i++)
		cr_assert_not_null(start_for(HUNG, 300, &late));
	cr_assert(fetched_until(fetcher, &late, STAPLE_LOOKUPS_MAX));
	cr_expect_eq(late.result.outcome, STAPLE_NAME_TIMEOUT);
	cr_expect_not(begins("http://here.test/"));
}

Test(fetch_bounds, counts_no_look_up_that_never_began_or_has_ended)
{
	struct fetched gone = { 0 };

	for (unsigned i = 0; i < 2 * STAPLE_LOOKUPS_MAX; i++) {
		struct staple_fetch *fetch = bounds_start(HUNG, &gone);
		struct fetched none = { 0 };

		cr_assert_not_null(fetch);
		staple_fetch_cancel(fetch);
		cr_assert_not_null(bounds_start("http://none.test/", &none));
		cr_assert(fetched_until(fetcher, &none, 1));
	}
	cr_expect_eq(names_hanging(), 0);
}

Test(fetch_bounds, is_not_redirected_to_names_when_too_many_hang)
{
	static const struct responder_act act = {
		.bytes = "HTTP/1.1 302 Found\r\n"
			 "Location: http://here.test/\r\n\r\n",
	};
	char *url = responder_url(responder, "/");
	struct fetched got = { 0 };

	responder_play(responder, &act, 1);
	abandon(STAPLE_LOOKUPS_MAX);
	cr_assert_not_null(bounds_start(url, &got));
	cr_assert(fetched_until(fetcher, &got, 1));
	cr_expect_eq(got.result.outcome, STAPLE_NAME_TIMEOUT);
	cr_expect_not_null(strstr(got.said, "too many"), "%s", got.said);
	free(url);
}

/* ---- Outcome and words ---- */

static const struct end_row {
	const char *what;
	struct staple_fetch_result result;
	enum staple_outcome expect;
	const char *said;
} end_rows[] = {
	/* answers */
	{ "a body", { .http_status = 200, .len = 5 }, STAPLE_GOOD, "HTTP 200" },
	{ "no body", { .http_status = 200 }, STAPLE_EMPTY,
	    "HTTP 200 without a body" },
	{ "400", { .http_status = 400 }, STAPLE_HTTP_4XX, "HTTP 400" },
	{ "499", { .http_status = 499, .len = 5 }, STAPLE_HTTP_4XX,
	    "HTTP 499" },
	{ "500", { .http_status = 500 }, STAPLE_HTTP_5XX, "HTTP 500" },
	{ "600", { .http_status = 600 }, STAPLE_HTTP_OTHER, "HTTP 600" },
	{ "206", { .http_status = 206, .len = 5 }, STAPLE_HTTP_OTHER,
	    "HTTP 206" },
	{ "304", { .http_status = 304 }, STAPLE_HTTP_OTHER, "HTTP 304" },
	{ "a 503 that was too large",
	    { .http_status = 503, .error = STAPLE_ERROR_SIZE }, STAPLE_HTTP_5XX,
	    "HTTP 503" },
	{ "a 503 that took too long",
	    { .http_status = 503, .error = STAPLE_ERROR_TIMEOUT },
	    STAPLE_HTTP_5XX, "HTTP 503" },
	{ "a proxy that refuses",
	    { .proxy_status = 407, .error = STAPLE_ERROR_BROKEN },
	    STAPLE_PROXY_DENIED,
	    "the proxy requires a user and a password (HTTP 407)" },
	{ "a proxy that requires a user for http", { .http_status = 407 },
	    STAPLE_PROXY_DENIED,
	    "the proxy requires a user and a password (HTTP 407)" },
	{ "a proxy with an error",
	    { .proxy_status = 502, .error = STAPLE_ERROR_BROKEN },
	    STAPLE_HTTP_5XX, "HTTP 502 from the proxy" },
	/* redirects */
	{ "too many redirects",
	    { .http_status = 302, .error = STAPLE_ERROR_REDIRECTS },
	    STAPLE_REDIRECT_LOOP, "too many redirects" },
	{ "a redirect astray",
	    { .http_status = 302, .error = STAPLE_ERROR_REDIRECT },
	    STAPLE_REDIRECT_REFUSED,
	    "redirected to a URL that is not allowed" },
	{ "a name too many", { .error = STAPLE_ERROR_LOOKUPS },
	    STAPLE_NAME_TIMEOUT, "too many name look-ups without a result" },
	/* no connection */
	{ "a bad URL", { .error = STAPLE_ERROR_URL }, STAPLE_BAD_URL,
	    "not a URL that can be used" },
	{ "no name", { .error = STAPLE_ERROR_NAME }, STAPLE_NAME_NOT_FOUND,
	    "no such host" },
	{ "no name of the proxy", { .error = STAPLE_ERROR_PROXY_NAME },
	    STAPLE_NAME_NOT_FOUND, "no such host: the proxy" },
	{ "refused",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ECONNREFUSED },
	    STAPLE_CONNECTION_REFUSED, "connection refused" },
	{ "reset while connecting",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ECONNRESET },
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "the kernel's timeout",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = ETIMEDOUT },
	    STAPLE_TIMEOUT_CONNECT, "the kernel stopped connecting" },
	{ "no route",
	    { .error = STAPLE_ERROR_CONNECT, .sys_errno = EHOSTUNREACH },
	    STAPLE_UNREACHABLE, "No route to host" },
	{ "no reason known",
	    { .error = STAPLE_ERROR_CONNECT, .detail = "libcurl says" },
	    STAPLE_UNREACHABLE, "libcurl says" },
	{ "TLS: a certificate",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "SSL certificate problem: certificate has expired" },
	    STAPLE_TLS_FAILED, "TLS: certificate has expired" },
	{ "TLS: a certificate, to libcurl 8.22",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "SSL certificate OpenSSL verify result: certificate "
			  "has expired (10)" },
	    STAPLE_TLS_FAILED, "TLS: certificate has expired (10)" },
	{ "TLS: a number",
	    { .error = STAPLE_ERROR_TLS,
		.detail = "x error:0A00010B:SSL routines::wrong version" },
	    STAPLE_TLS_FAILED, "TLS: wrong version" },
	{ "TLS: nothing known", { .error = STAPLE_ERROR_TLS, .detail = "" },
	    STAPLE_TLS_FAILED, "TLS: handshake failed" },
	{ "TLS: a stranger's bytes",
	    { .error = STAPLE_ERROR_TLS, .detail = "\x1b[m\n and \xff" },
	    STAPLE_TLS_FAILED, "TLS: ?[m? and ?" },
	/* no response */
	{ "closed", { .error = STAPLE_ERROR_CLOSED }, STAPLE_CONNECTION_RESET,
	    "closed without a response" },
	{ "reset", { .error = STAPLE_ERROR_BROKEN, .sys_errno = ECONNRESET },
	    STAPLE_CONNECTION_RESET, "connection reset" },
	{ "broken otherwise",
	    { .error = STAPLE_ERROR_BROKEN, .detail = "libcurl says" },
	    STAPLE_CONNECTION_RESET, "libcurl says" },
	{ "not HTTP", { .error = STAPLE_ERROR_NO_HTTP }, STAPLE_HTTP_OTHER,
	    "the response is not HTTP" },
	{ "truncated in the headers",
	    { .error = STAPLE_ERROR_CUT, .phase = STAPLE_AT_HEADERS },
	    STAPLE_TRUNCATED, "truncated in the headers" },
	{ "cut in the body",
	    { .error = STAPLE_ERROR_CUT,
		.phase = STAPLE_AT_BODY,
		.http_status = 200,
		.len = 5 },
	    STAPLE_TRUNCATED, "truncated after 5 bytes of body" },
	{ "too large", { .error = STAPLE_ERROR_SIZE, .http_status = 200 },
	    STAPLE_TOO_LARGE, "the response is larger than allowed" },
	{ "out of memory", { .error = STAPLE_ERROR_MEMORY }, STAPLE_NO_MEMORY,
	    "out of memory" },
	{ "anything else",
	    { .error = STAPLE_ERROR_OTHER, .detail = "libcurl says" },
	    STAPLE_UNREACHABLE, "libcurl says" },
	/* no words */
	{ "no words for a connect",
	    { .error = STAPLE_ERROR_CONNECT, .detail = "" }, STAPLE_UNREACHABLE,
	    "no reason from libcurl" },
	{ "no words for what broke",
	    { .error = STAPLE_ERROR_BROKEN, .detail = "" },
	    STAPLE_CONNECTION_RESET, "no reason from libcurl" },
	{ "no words for anything else", { .error = STAPLE_ERROR_OTHER },
	    STAPLE_UNREACHABLE, "no reason from libcurl" },
};

Test(transfer_result, has_an_outcome_and_words_for_every_end)
{
	char said[STAPLE_SAID_MAX];

	for (size_t i = 0; i < ARRAY_LEN(end_rows); i++) {
		const struct end_row *row = &end_rows[i];

		cr_expect_eq(staple_fetch_outcome(&row->result, said),
		    row->expect, "%s", row->what);
		cr_expect_str_eq(said, row->said, "%s", row->what);
	}
}

static const struct timeout_row {
	enum staple_transfer_phase phase;
	bool dripping;
	int status;
	enum staple_outcome expect;
	const char *said;
} timeout_rows[] = {
	{ STAPLE_AT_NAME, false, 0, STAPLE_NAME_TIMEOUT,
	    "timed out after 3.3 s looking up the name" },
	{ STAPLE_AT_CONNECT, false, 0, STAPLE_TIMEOUT_CONNECT,
	    "timed out after 3.3 s connecting" },
	{ STAPLE_AT_TLS, false, 0, STAPLE_TIMEOUT_CONNECT,
	    "timed out after 3.3 s setting up TLS" },
	{ STAPLE_AT_HEADERS, false, 0, STAPLE_TIMEOUT_HEADERS,
	    "timed out after 3.3 s waiting for headers" },
	{ STAPLE_AT_HEADERS, false, 100, STAPLE_TIMEOUT_HEADERS,
	    "timed out after 3.3 s waiting for headers" },
	{ STAPLE_AT_BODY, false, 200, STAPLE_TIMEOUT_BODY,
	    "timed out after 3.3 s waiting for the body" },
	{ STAPLE_AT_BODY, true, 200, STAPLE_SLOW_DRIP,
	    "body incomplete after 3.3 s" },
};

Test(transfer_result, names_the_phase_of_a_timeout)
{
	char said[STAPLE_SAID_MAX];

	for (size_t i = 0; i < ARRAY_LEN(timeout_rows); i++) {
		const struct timeout_row *row = &timeout_rows[i];
		struct staple_fetch_result result = {
			.error = STAPLE_ERROR_TIMEOUT,
			.phase = row->phase,
			.http_status = row->status,
			.dripping = row->dripping,
			.took_ms = 3333,
		};

		cr_expect_eq(staple_fetch_outcome(&result, said), row->expect,
		    "%s", row->said);
		cr_expect_str_eq(said, row->said);
	}
}

Test(transfer_result, cuts_words_that_are_too_many)
{
	char said[STAPLE_SAID_MAX], detail[2 * STAPLE_SAID_MAX];
	struct staple_fetch_result result = {
		.error = STAPLE_ERROR_OTHER,
		.detail = detail,
	};

	memset(detail, 'x', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	cr_expect_eq(staple_fetch_outcome(&result, said), STAPLE_UNREACHABLE);
	cr_expect_eq(strlen(said), STAPLE_SAID_MAX - 1);
}
