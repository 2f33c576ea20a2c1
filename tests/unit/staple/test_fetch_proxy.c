/* The way to a responder through a proxy, ours or the environment's. */
#include "staple/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fetched.h"
#include "tests/support/names.h"
#include "tests/support/responder.h"

#define SHORT 300 /* ms, where time must run out */
#define LONG 8000 /* ms, where it must not */

static struct staple_fetcher *fetcher;
static struct responder *responder;
static struct staple_fetch_options options;

static const struct responder_act good = {
	.bytes = "HTTP/1.1 200 OK\r\n\r\ngood",
};

static void
set_up(void)
{
	fetcher = fetched_fetcher(&options);
	responder = responder_start(NULL);
	responder_play(responder, &good, 1);
}

static void
tear_down(void)
{
	staple_fetcher_free(fetcher);
	responder_stop(responder);
}

TestSuite(fetch_proxy, .init = set_up, .fini = tear_down);

static struct fetched
ask(const char *url, uint32_t timeout_ms)
{
	return fetched_run(
	    fetcher, &(struct staple_fetch_order){
			 .url = url, .get = true, .timeout_ms = timeout_ms });
}

/* Ask the responder under this scheme and name. */
static struct fetched
ask_as(const char *scheme, const char *host, uint32_t timeout_ms)
{
	char url[128];

	snprintf(url, sizeof(url), "%s://%s:%u/", scheme, host,
	    responder_port(responder));
	return ask(url, timeout_ms);
}

static void
expect(const struct fetched *got, enum staple_outcome outcome, const char *said)
{
	cr_expect_eq(got->result.outcome, outcome, "%s (%s)",
	    staple_outcome_name(got->result.outcome), got->said);
	cr_expect_not_null(strstr(got->said, said), "%s", got->said);
}

static void
use_proxy(const char *proxy)
{
	options.proxy = proxy;
	staple_fetcher_configure(fetcher, &options);
}

static bool
was_asked(const char *request_line)
{
	size_t len;
	char *request = responder_request(responder, 0, &len);
	bool was = request != NULL &&
		   strncmp(request, request_line, strlen(request_line)) == 0;

	free(request);
	return was;
}

Test(fetch_proxy, asks_the_proxy_for_all)
{
	char *proxy = responder_url(responder, "");
	struct fetched got;

	setenv("no_proxy", "*", 1);
	use_proxy(proxy);
	got = ask("http://none.test/ocsp", LONG);
	expect(&got, STAPLE_GOOD, "HTTP 200");
	cr_expect(was_asked("GET http://none.test/ocsp HTTP/1.1\r\n"));
	cr_expect_eq(names_asked(), 0);
	free(proxy);
}

Test(fetch_proxy, asks_the_proxy_of_the_environment)
{
	char *proxy = responder_url(responder, "");
	struct fetched got;

	setenv("http_proxy", proxy, 1);
	use_proxy(NULL);
	got = ask("http://none.test/ocsp", LONG);
	expect(&got, STAPLE_GOOD, "HTTP 200");
	free(proxy);
}

Test(fetch_proxy, leaves_the_environment_aside_when_told_so)
{
	setenv("http_proxy", "http://none.test:1", 1);
	struct fetched got = ask_as("http", "127.0.0.1", LONG);

	expect(&got, STAPLE_GOOD, "HTTP 200");
}

Test(fetch_proxy, tells_what_a_proxy_says_from_what_a_responder_says)
{
	static const struct responder_act closed = {
		.bytes = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &closed, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", LONG);
	expect(&got, STAPLE_PROXY_DENIED, "the proxy says HTTP 403");
	free(proxy);
}

/* What a proxy says of the way through is no answer yet. */
Test(fetch_proxy, takes_nothing_a_proxy_says_for_an_answer)
{
	static const struct responder_act open = {
		.bytes = "HTTP/1.1 200 OK\r\nRetry-After: 5\r\n\r\n",
		.end = RESPONDER_HANGS,
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &open, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", SHORT);
	expect(&got, STAPLE_TIMEOUT_CONNECT, "setting up TLS");
	cr_expect_eq(got.result.http_status, 0);
	free(proxy);
}

Test(fetch_proxy, bounds_what_a_proxy_says)
{
	static const struct responder_act endless = {
		.bytes = "HTTP/1.1 200 OK\r\nA: b\r\n",
		.repeat_from = 17,
		.end = RESPONDER_REPEATS,
	};
	char *proxy = responder_url(responder, "");
	struct fetched got;

	responder_play(responder, &endless, 1);
	use_proxy(proxy);
	got = ask("https://none.test/", LONG);
	expect(&got, STAPLE_TOO_LARGE, "larger than allowed");
	free(proxy);
}

Test(fetch_proxy, says_that_the_proxy_is_not_there)
{
	struct fetched got;

	use_proxy("http://none.test:3128");
	got = ask_as("http", "127.0.0.1", LONG);
	expect(&got, STAPLE_NAME_NOT_FOUND, "no such host: the proxy");
}
