/* Exchanges: redirects, their life, and what is left of them. */
#include "staple/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "tests/support/fetched.h"
#include "tests/support/names.h"
#include "tests/support/pki.h"
#include "tests/support/responder.h"

#define TO(where) "HTTP/1.1 302 Found\r\nLocation: " where "\r\n\r\n"
#define GOOD "HTTP/1.1 200 OK\r\n\r\ngood"
#define LONG 8000 /* ms, where time must not run out */

static struct staple_fetcher *fetcher;
static struct responder *responder;
static struct staple_fetch_options options;

static const struct responder_act silent = {
	.bytes = "",
	.end = RESPONDER_HANGS,
};

static void
set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &silent, 1);
}

static void
tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
	names_release();
}

TestSuite(exchange, .init = set_up, .fini = tear_down);

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
ask(const char *path, bool get, uint32_t timeout_ms)
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
	{ "/near4", STAPLE_REDIRECT_LOOP, 4, "redirected too often" },
	{ "/self", STAPLE_REDIRECT_LOOP, 4, "redirected too often" },
	{ "/307", STAPLE_GOOD, 3, "HTTP 200" },
	{ "/endless", STAPLE_GOOD, 2, "HTTP 200" },
	{ "/ftp", STAPLE_REDIRECT_REFUSED, 1, "redirected to where we do" },
	{ "/file", STAPLE_REDIRECT_REFUSED, 1, "redirected to where we do" },
	{ "/user", STAPLE_REDIRECT_REFUSED, 1, "redirected to where we do" },
	{ "/broken", STAPLE_REDIRECT_REFUSED, 1, "redirected to where we do" },
	{ "/space", STAPLE_REDIRECT_REFUSED, 1, "redirected to where we do" },
	{ "/name", STAPLE_NAME_NOT_FOUND, 1, "no such host" },
};

Test(exchange, follows_three_redirects_and_only_to_where_it_may)
{
	responder_play(responder, maze, ARRAY_LEN(maze));
	for (size_t i = 0; i < ARRAY_LEN(redirect_rows); i++) {
		const struct redirect_row *row = &redirect_rows[i];
		unsigned before = responder_requests(responder);
		struct fetched got = ask(row->path, true, LONG);

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
	cr_expect_neq(ask("/safe", true, LONG).result.outcome,
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
	cr_expect_eq(ask("/two", false, LONG).result.outcome, STAPLE_GOOD);
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
	got = ask("/slow", true, 2000);
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
	got = ask("/", true, LONG);
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

Test(exchange, says_of_what_is_no_url_that_it_is_none)
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

Test(exchange, calls_nobody_back_that_was_cancelled)
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
