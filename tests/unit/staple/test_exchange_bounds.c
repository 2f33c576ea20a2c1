/* What exchanges leave behind, and how long they can hold anyone up. */
#include "staple/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/thread.h"
#include "staple/lookups.h"
#include "tests/support/fetched.h"
#include "tests/support/names.h"
#include "tests/support/responder.h"

#define HUNG "http://hangs.test/"
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

TestSuite(exchange_bounds, .init = set_up, .fini = tear_down);

static struct staple_fetch *
start_for(const char *url, uint32_t timeout_ms, struct fetched *fetched)
{
	return staple_fetch_start(fetcher,
	    &(struct staple_fetch_order){
		.url = url, .get = true, .timeout_ms = timeout_ms },
	    fetched_keep, fetched);
}

static struct staple_fetch *
start(const char *url, struct fetched *fetched)
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

Test(exchange_bounds, ends_its_wait_when_woken)
{
	int64_t begun_ms = clock_mono_ms();
	struct thread thread;

	cr_assert(thread_start(&thread, "waker", wake, NULL, NULL));
	staple_fetcher_turn(fetcher, LONG);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
	thread_join(&thread);
}

Test(exchange_bounds, waits_no_longer_than_it_is_told_to)
{
	int64_t begun_ms = clock_mono_ms();

	staple_fetcher_turn(fetcher, 50);
	cr_expect_geq(clock_mono_ms() - begun_ms, 50);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
}

Test(exchange_bounds, does_not_wait_when_one_could_not_even_begin)
{
	int64_t begun_ms = clock_mono_ms();
	struct fetched none = { 0 };

	cr_assert_not_null(start("http://", &none));
	staple_fetcher_turn(fetcher, LONG);
	cr_expect_eq(none.calls, 1);
	cr_expect_lt(clock_mono_ms() - begun_ms, LONG / 2);
}

/* ---- The end, whatever hangs ---- */

Test(exchange_bounds, ends_at_once_whatever_hangs)
{
	char *url = responder_url(responder, "/");
	struct fetched gone = { 0 };
	int64_t begun_ms;

	for (unsigned i = 0; i < 16; i++) {
		cr_assert_not_null(start(url, &gone));
		cr_assert_not_null(start(HUNG, &gone));
	}
	turn_until(names_hanging, 16);
	turn_until(requests, 16);
	cr_assert_not_null(start(url, &gone));
	begun_ms = clock_mono_ms();
	staple_fetcher_free(fetcher);
	cr_expect_lt(clock_mono_ms() - begun_ms, 500);
	cr_expect_eq(gone.calls, 0);
	cr_expect_eq(names_hanging(), 16);
	fetcher = fetched_fetcher(NULL);
	free(url);
}

Test(exchange_bounds, lets_a_good_responder_answer_beside_hanging_ones)
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
		cr_assert_not_null(start(hangs, &gone));
		cr_assert_not_null(start(HUNG, &gone));
	}
	turn_until(requests, 16);
	cr_assert_not_null(start(good, &got));
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
		fetches[i] = start(HUNG, &gone);
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

/* Does it begin, or is it told that too many hang?  Then given up. */
static bool
begins(const char *url)
{
	struct fetched got = { 0 };
	struct staple_fetch *fetch = start(url, &got);

	cr_assert_not_null(fetch);
	staple_fetcher_turn(fetcher, 0);
	if (got.calls == 0)
		staple_fetch_cancel(fetch);
	else if (got.result.outcome == STAPLE_NAME_TIMEOUT)
		return false;
	return true;
}

Test(exchange_bounds, asks_only_numbers_once_too_many_names_hang)
{
	abandon(STAPLE_LOOKUPS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(name_rows); i++) {
		const struct name_row *row = &name_rows[i];

		options.proxy = row->proxy;
		staple_fetcher_configure(fetcher, &options);
		cr_expect_eq(begins(row->url), row->may, "%s", row->what);
	}
}

Test(exchange_bounds, asks_names_as_long_as_one_fewer_hangs)
{
	abandon(STAPLE_LOOKUPS_MAX - 1);
	cr_expect(begins("http://here.test/"));
}

/* Rule 28: certificates of one responder, asked about again and again. */
Test(exchange_bounds, asks_other_names_however_often_one_hangs)
{
	unsigned hung = 0;

	while (hung < STAPLE_LOOKUPS_MAX && begins(HUNG))
		hung++;
	cr_expect_eq(hung, STAPLE_LOOKUPS_HOST_MAX);
	cr_expect(begins("http://here.test/"));
}

Test(exchange_bounds, counts_a_look_up_for_which_time_ran_out)
{
	struct fetched late = { 0 };

	for (unsigned i = 0; i < STAPLE_LOOKUPS_MAX; i++)
		cr_assert_not_null(start_for(HUNG, 300, &late));
	cr_assert(fetched_until(fetcher, &late, STAPLE_LOOKUPS_MAX));
	cr_expect_eq(late.result.outcome, STAPLE_NAME_TIMEOUT);
	cr_expect_not(begins("http://here.test/"));
}

Test(exchange_bounds, counts_no_look_up_that_never_began_or_has_ended)
{
	struct fetched gone = { 0 };

	for (unsigned i = 0; i < 2 * STAPLE_LOOKUPS_MAX; i++) {
		struct staple_fetch *fetch = start(HUNG, &gone);
		struct fetched none = { 0 };

		cr_assert_not_null(fetch);
		staple_fetch_cancel(fetch);
		cr_assert_not_null(start("http://none.test/", &none));
		cr_assert(fetched_until(fetcher, &none, 1));
	}
	cr_expect_eq(names_hanging(), 0);
}

Test(exchange_bounds, is_not_redirected_to_names_when_too_many_hang)
{
	static const struct responder_act act = {
		.bytes = "HTTP/1.1 302 Found\r\n"
			 "Location: http://here.test/\r\n\r\n",
	};
	char *url = responder_url(responder, "/");
	struct fetched got = { 0 };

	responder_play(responder, &act, 1);
	abandon(STAPLE_LOOKUPS_MAX);
	cr_assert_not_null(start(url, &got));
	cr_assert(fetched_until(fetcher, &got, 1));
	cr_expect_eq(got.result.outcome, STAPLE_NAME_TIMEOUT);
	cr_expect_not_null(strstr(got.said, "too many"), "%s", got.said);
	free(url);
}
