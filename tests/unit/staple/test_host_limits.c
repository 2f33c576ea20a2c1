/*
 * Responder hosts: when one is down, when it is probed, when it is forgotten;
 * the permits, in all and of one host; the queues and their order.
 */
#include <stdio.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/host_limits.h"

#define SLOW STAPLE_SLOW_PERMIT_MS

static struct staple_hosts hosts;

static void
set_up(void)
{
	staple_hosts_init(&hosts, 32);
}

static void
tear_down(void)
{
	staple_hosts_fini(&hosts);
}

TestSuite(permits, .init = set_up, .fini = tear_down);

static struct staple_host *
host_of(const char *name)
{
	struct staple_host *host = staple_hosts_hold(&hosts, name, 0);

	cr_assert_not_null(host);
	return host;
}

/* Take the free permits of this host, at most `want`; returns the number. */
static unsigned
take(const char *host, unsigned want, int64_t mono_ms)
{
	unsigned got = 0;

	while (got < want && staple_permit_take(host_of(host), mono_ms) != NULL)
		got++;
	return got;
}

/* The number of permits that are taken, of 32; takes the rest of them. */
static unsigned
count_taken(void)
{
	char host[16];
	unsigned rest = 0;

	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "rest%d:80", i);
		rest += take(host, 4, 0);
	}
	return 32 - rest;
}

Test(permits, gives_four_to_a_host_at_first)
{
	cr_expect_eq(take("a:80", 9, 0), STAPLE_HOST_PERMITS);
	cr_expect_eq(take("b:80", 9, 0), STAPLE_HOST_PERMITS);
	cr_expect_eq(take("a:81", 9, 0), STAPLE_HOST_PERMITS, "another port");
	cr_expect_eq(count_taken(), 12);
}

Test(permits, gives_no_more_than_all_there_are)
{
	char host[16];
	unsigned got = 0;

	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "host%d:80", i);
		got += take(host, 4, 0);
	}
	cr_expect_eq(got, 32);
	cr_expect_eq(count_taken(), 32);
}

Test(permits, gives_again_what_was_returned)
{
	struct staple_permit *permit = staple_permit_take(host_of("a:80"), 0);

	cr_assert_not_null(permit);
	cr_expect_eq(take("a:80", 9, 0), 3);
	staple_permit_return(permit);
	cr_expect_eq(take("a:80", 9, 0), 1);
	cr_expect_eq(count_taken(), 4);
}

static const struct slow_row {
	const char *what;
	int64_t at;
	unsigned expect;
} slow_rows[] = {
	{ "at once", 0, 0 },
	{ "a moment before", SLOW - 1, 0 },
	{ "held for two seconds", SLOW, 1 },
};

Test(permits, does_not_count_a_slow_permit_toward_its_host)
{
	cr_expect_eq(take("a:80", 1, 0), 1);
	cr_expect_eq(take("a:80", 3, 1), 3);
	for (size_t i = 0; i < ARRAY_LEN(slow_rows); i++) {
		const struct slow_row *row = &slow_rows[i];

		cr_expect_eq(
		    take("a:80", 1, row->at), row->expect, "%s", row->what);
	}
}

Test(permits, counts_a_slow_permit_toward_all)
{
	hosts.max_permits = 4;
	cr_expect_eq(take("a:80", 4, 0), 4);
	cr_expect_eq(take("a:80", 1, SLOW), 0);
	cr_expect_eq(take("b:80", 1, SLOW), 0);
}

Test(permits, lets_other_hosts_pass_a_hanging_one)
{
	int64_t now = 0;

	/* One host hangs; it gets 4 permits every 2 s. */
	for (; now < 3 * SLOW; now += SLOW)
		cr_expect_eq(take("hangs:80", 32, now), 4);
	cr_expect_eq(take("good:80", 4, now), 4);
}

static const struct until_row {
	const char *what, *host;
	int64_t at, expect;
} until_rows[] = {
	{ "a host with none taken", "b:80", 20, 20 },
	{ "a host with its four", "a:80", 20, 10 + SLOW },
	{ "when its first turned slow", "a:80", 10 + SLOW, 10 + SLOW },
};

Test(permits, returns_when_a_permit_may_be_free)
{
	cr_expect_eq(take("a:80", 1, 10), 1);
	cr_expect_eq(take("a:80", 3, 15), 3);
	for (size_t i = 0; i < ARRAY_LEN(until_rows); i++) {
		const struct until_row *row = &until_rows[i];

		cr_expect_eq(staple_permit_until(host_of(row->host), row->at),
		    row->expect, "%s", row->what);
	}
	hosts.max_permits = 4;
	cr_expect_eq(staple_permit_until(host_of("b:80"), 20), INT64_MAX,
	    "only when one is given back");
}

Test(permits, gives_none_above_a_smaller_limit)
{
	struct staple_permit *first = staple_permit_take(host_of("a:80"), 0);
	struct staple_permit *second = staple_permit_take(host_of("b:80"), 0);

	cr_assert(first != NULL && second != NULL);
	hosts.max_permits = 1;
	staple_permit_return(first);
	cr_expect_null(staple_permit_take(host_of("c:80"), 0));
	staple_permit_return(second);
	cr_expect_not_null(staple_permit_take(host_of("c:80"), 0));
}

/* ---- the limit of a host ---- */

static const struct limit_row {
	const char *what;
	unsigned quick, took_ms; /* so many answers, each within this */
	unsigned expect;
} limit_rows[] = {
	{ "one more for each quick answer", 3, 500, 7 },
	{ "up to 32", 100, 1, 32 },
	{ "a slow answer: four again", 100, 501, 4 },
};

Test(permits, follow_how_quickly_a_host_answers)
{
	struct staple_host *host;

	for (size_t i = 0; i < ARRAY_LEN(limit_rows); i++) {
		const struct limit_row *row = &limit_rows[i];
		char name[16];

		snprintf(name, sizeof(name), "h%zu:80", i);
		host = host_of(name);
		for (unsigned n = 0; n < row->quick; n++)
			staple_host_works(host, row->took_ms);
		cr_expect_eq(host->limit, row->expect, "%s", row->what);
	}
	host = host_of("h1:80");
	cr_expect_eq(take("h1:80", 99, 0), 32);
	staple_host_works(host, 600);
	cr_expect_eq(host->limit, STAPLE_HOST_PERMITS);
	cr_expect_eq(staple_permit_until(host, 1), INT64_MAX);
}

enum { WAITERS = 8 };

static struct staple_waiter waiters[WAITERS];
static struct staple_permit *permit; /* of the last turn */

static void
queue_set_up(void)
{
	staple_hosts_init(&hosts, 32);
	hosts.max_permits = 100;
}

static void
queue_tear_down(void)
{
	for (int i = 0; i < WAITERS; i++)
		staple_queue_leave(&waiters[i]);
	staple_hosts_fini(&hosts);
}

TestSuite(queue, .init = queue_set_up, .fini = queue_tear_down);

static void
join(int waiter, const char *host, int64_t due)
{
	cr_assert(staple_queue_join(host_of(host), &waiters[waiter], due));
}

/* The index of the next waiter; -1: none. */
static int
next(int64_t mono_ms)
{
	struct staple_waiter *waiter = staple_queue_next(
	    &hosts, mono_ms, &permit);

	return waiter != NULL ? (int)(waiter - waiters) : -1;
}

Test(queue, is_empty_at_first)
{
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, 0), INT64_MAX);
}

Test(queue, serves_a_host_by_due_time)
{
	join(0, "a:80", 30);
	join(1, "a:80", 10);
	join(2, "a:80", 20);
	join(3, "a:80", 10);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), 3, "who came first of two as old");
	cr_assert_eq(next(0), 2);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), -1);
}

Test(queue, serves_hosts_in_turn)
{
	join(0, "a:80", 1);
	join(1, "a:80", 1);
	join(2, "a:80", 1);
	join(3, "b:80", 9);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), 3, "another host comes before more of the same");
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), 2);
}

Test(queue, skips_a_host_whose_permits_are_taken)
{
	for (int i = 0; i < STAPLE_HOST_PERMITS; i++)
		cr_assert_not_null(staple_permit_take(host_of("a:80"), 0));
	join(0, "a:80", 1);
	join(1, "b:80", 2);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, 0), STAPLE_SLOW_PERMIT_MS);
	cr_assert_eq(next(STAPLE_SLOW_PERMIT_MS), 0);
}

Test(queue, serves_none_while_all_permits_are_taken)
{
	struct staple_permit *taken;

	hosts.max_permits = 1;
	join(0, "a:80", 1);
	join(1, "b:80", 1);
	cr_assert_eq(next(0), 0);
	taken = permit;
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, 0), INT64_MAX);
	staple_permit_return(taken);
	cr_assert_eq(next(0), 1);
}

Test(queue, forgets_a_waiter_that_leaves)
{
	join(0, "a:80", 1);
	join(1, "a:80", 2);
	staple_queue_leave(&waiters[0]);
	staple_queue_leave(&waiters[0]);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), -1);
}

Test(queue, accepts_a_waiter_that_has_left)
{
	join(0, "a:80", 1);
	cr_assert_eq(next(0), 0);
	join(0, "b:80", 1);
	cr_assert_eq(next(0), 0);
}

static void
fail(const char *host, int waiter, int times, int64_t at_ms)
{
	const struct staple_host_failure failure = {
		.outcome = STAPLE_CONNECTION_REFUSED,
		.mono_ms = at_ms,
		.began_ms = at_ms,
	};

	for (int i = 0; i < times; i++)
		(void)staple_host_failed(
		    host_of(host), &waiters[waiter], &failure);
}

Test(queue, lets_one_probe_a_host_that_is_down)
{
	struct staple_host *host = host_of("a:80");

	join(0, "a:80", 10);
	join(1, "a:80", 20);
	join(2, "b:80", 30);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert(host->down);
	cr_assert_eq(next(0), 2, "the other host is not concerned");
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, 0), host->probe_ms);
	cr_assert_eq(next(host->probe_ms - 1), -1);
	cr_assert_eq(next(host->probe_ms), 0);
	cr_assert_eq(next(host->probe_ms), -1, "one at a time");
	cr_assert_eq(staple_queue_until(&hosts, host->probe_ms), INT64_MAX,
	    "until it has ended");
}

Test(queue, serves_the_second_try_of_a_probe_first)
{
	struct staple_host *host = host_of("a:80");

	join(0, "a:80", 10);
	join(1, "a:80", 20);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert_eq(next(host->probe_ms), 0);
	join(0, "a:80", 99);
	cr_assert_eq(next(host->probe_ms), 0);
	fail("a:80", 0, 1, host->probe_ms);
	cr_assert_eq(next(host->probe_ms - 1), -1);
	cr_assert_eq(next(host->probe_ms), 1);
}

Test(queue, releases_all_when_the_host_answers)
{
	join(0, "a:80", 10);
	join(1, "a:80", 20);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert_eq(next(0), -1);
	staple_host_works(host_of("a:80"), 10);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), 1);
}

enum { HOUR_MS = 3600 * 1000, DAY = 24 * 3600, NOW = 1800000000 };

static struct staple_host *host;
static struct staple_waiter waiter, other;

static void
hosts_set_up(void)
{
	staple_hosts_init(&hosts, 32);
	host = staple_hosts_hold(&hosts, "a:80", 0);
	cr_assert_not_null(host);
	waiter.expires = other.expires = NOW + 7 * DAY;
}

static void
hosts_tear_down(void)
{
	staple_hosts_fini(&hosts);
}

TestSuite(hosts, .init = hosts_set_up, .fini = hosts_tear_down);

static void
hosts_fail(
    const struct staple_waiter *of, int64_t mono_ms, int64_t retry_after_s)
{
	const struct staple_host_failure failure = {
		.outcome = STAPLE_TIMEOUT_CONNECT,
		.retry_after_s = retry_after_s,
		.wall_s = NOW,
		.mono_ms = mono_ms,
		.began_ms = mono_ms,
	};

	(void)staple_host_failed(host, of, &failure);
}

static void
go_down(void)
{
	for (int i = 0; i < STAPLE_HOST_DOWN_AFTER; i++)
		hosts_fail(&waiter, 0, 0);
	cr_assert(host->down);
}

Test(hosts, are_down_after_failures_in_a_row)
{
	for (int i = 1; i < STAPLE_HOST_DOWN_AFTER; i++)
		hosts_fail(&waiter, 0, 0);
	cr_assert(!host->down);
	staple_host_works(host, 10);
	for (int i = 1; i < STAPLE_HOST_DOWN_AFTER; i++)
		hosts_fail(&waiter, 0, 0);
	cr_assert(!host->down && !hosts.changed, "an answer came between");
	hosts_fail(&other, 0, 0);
	cr_assert(host->down && hosts.changed);
	cr_assert_eq(host->outcome, STAPLE_TIMEOUT_CONNECT);
	hosts.changed = false;
	staple_host_works(host, 10);
	cr_assert(!host->down && hosts.changed);
}

static const struct blame_row {
	enum staple_outcome outcome;
	bool blamed;
} blame_rows[] = {
	{ STAPLE_GOOD, false },
	{ STAPLE_UNKNOWN, false },
	{ STAPLE_BAD_URL, false },
	{ STAPLE_NAME_NOT_FOUND, true },
	{ STAPLE_CONNECTION_REFUSED, true },
	{ STAPLE_TIMEOUT_HEADERS, true },
	{ STAPLE_SLOW_DRIP, true },
	{ STAPLE_HTTP_4XX, true },
	{ STAPLE_HTTP_5XX, true },
	{ STAPLE_NOT_OCSP, true },
	{ STAPLE_TRAILING_BYTES, true },
	{ STAPLE_MALFORMED_REQUEST, false },
	{ STAPLE_INTERNAL_ERROR, true },
	{ STAPLE_TRY_LATER, true },
	{ STAPLE_UNAUTHORIZED, false },
	{ STAPLE_BAD_SIGNATURE, false },
	{ STAPLE_EXPIRED, false },
	{ STAPLE_NO_MEMORY, false },
};

Test(hosts, are_blamed_where_no_response_came)
{
	for (size_t i = 0; i < ARRAY_LEN(blame_rows); i++)
		cr_expect_eq(staple_host_is_blamed(blame_rows[i].outcome),
		    blame_rows[i].blamed, "%s",
		    staple_outcome_name(blame_rows[i].outcome));
}

Test(hosts, are_down_at_once_with_retry_after)
{
	hosts_fail(&waiter, 0, 600);
	cr_assert(host->down);
	cr_assert_eq(host->probe_ms, 600 * 1000);
	other.expires = 0;
	other.untried = true;
	staple_host_joined(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 600 * 1000, "no need makes it earlier");
	cr_assert(staple_host_is_closed(host, &other, 599 * 1000));
	cr_assert(!staple_host_is_closed(host, &other, 600 * 1000));
}

Test(hosts, are_probed_sooner_for_what_is_in_need)
{
	go_down();
	cr_assert_eq(host->probe_ms, 320 * 1000, "10 s doubled five times");
	other.expires = NOW + 800;
	staple_host_joined(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 100 * 1000, "an eighth of its time");
	other.expires = 0;
	staple_host_joined(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 60 * 1000, "nothing is held");
	other.untried = true;
	staple_host_joined(host, &other, NOW);
	cr_assert_eq(host->probe_ms, STAPLE_HOST_UNTRIED_MS, "never tried");
}

Test(hosts, are_closed_to_all_but_the_probe)
{
	go_down();
	cr_assert(staple_host_is_closed(host, &waiter, 319 * 1000));
	cr_assert(!staple_host_is_closed(host, &waiter, 320 * 1000));
	host->prober = &other;
	cr_assert(staple_host_is_closed(host, &waiter, 320 * 1000));
	cr_assert(!staple_host_is_closed(host, &other, 320 * 1000));
	waiter.untried = true;
	cr_assert(staple_host_is_closed(host, &waiter, 9999));
	cr_assert(!staple_host_is_closed(host, &waiter, 10000),
	    "it waits for what the probe brings");
}

Test(hosts, do_not_count_what_began_before_they_were_down)
{
	go_down();
	hosts_fail(&other, 300 * 1000, 0);
	cr_assert_eq(host->probe_ms, 320 * 1000);
	cr_assert_eq(host->failures, STAPLE_HOST_DOWN_AFTER);
	host->prober = &waiter;
	hosts_fail(&waiter, 320 * 1000, 0);
	cr_assert_eq(host->probe_ms, (320 + 640) * 1000);
	cr_assert_null(host->prober);
}

Test(hosts, are_probed_so_often_however_long_a_probe_takes)
{
	struct staple_host_failure failure = { .outcome = STAPLE_SLOW_DRIP,
		.wall_s = NOW,
		.began_ms = 400 * 1000,
		.mono_ms = 410 * 1000 };

	go_down();
	waiter.expires = 0;
	host->prober = &waiter;
	(void)staple_host_failed(host, &waiter, &failure);
	cr_assert_eq(host->probe_ms, 460 * 1000);
	failure.mono_ms = 900 * 1000;
	host->prober = &waiter;
	(void)staple_host_failed(host, &waiter, &failure);
	cr_assert_eq(host->probe_ms, 905 * 1000);
}

Test(hosts, are_probed_on_demand)
{
	go_down();
	staple_hosts_probe_now(&hosts, 1000);
	cr_assert_eq(host->probe_ms, 1000);
	host->prober = &waiter;
	hosts_fail(&waiter, 2000, 600);
	staple_hosts_probe_now(&hosts, 3000);
	cr_assert_eq(host->probe_ms, 602 * 1000, "but for Retry-After");
}

/* ---- the table ---- */

Test(hosts, are_one_by_name)
{
	cr_assert_eq(staple_hosts_hold(&hosts, "a:80", 0), host);
	cr_assert_neq(staple_hosts_hold(&hosts, "a:81", 0), host);
	cr_assert_eq(host->certificates, 2);
	cr_assert_eq(hosts.count, 2);
}

Test(hosts, are_forgotten_at_once_where_nothing_failed)
{
	staple_host_drop(host, 0);
	cr_assert_eq(hosts.count, 0);
}

Test(hosts, are_remembered_for_an_hour_where_something_failed)
{
	go_down();
	staple_host_drop(host, 0);
	cr_assert_eq(
	    staple_hosts_hold(&hosts, "a:80", HOUR_MS - 1), host, "a reload");
	cr_assert(host->down);
	staple_host_drop(host, HOUR_MS);
	cr_assert_not_null(staple_hosts_hold(&hosts, "b:80", 2 * HOUR_MS));
	cr_assert_eq(hosts.count, 1);
}

Test(hosts, are_not_remembered_without_end)
{
	char name[16];

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "h%d:80", i);
		host = staple_hosts_hold(&hosts, name, 0);
		go_down();
		staple_host_drop(host, 0);
	}
	cr_assert_leq(hosts.count, 300);
}
