/* Responder hosts: when one is down, when it is probed, when it is forgotten. */
#include "staple/hosts.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/attr.h"
#include "staple/queue.h"

enum { HOUR_MS = 3600 * 1000, DAY = 24 * 3600, NOW = 1800000000 };

static struct staple_hosts hosts;
static struct staple_host *host;
static struct staple_place place, other;

static void
set_up(void)
{
	staple_hosts_init(&hosts);
	host = staple_hosts_hold(&hosts, "a:80", 0);
	cr_assert_not_null(host);
	place.expires = other.expires = NOW + 7 * DAY;
}

static void
tear_down(void)
{
	staple_hosts_fini(&hosts);
}

TestSuite(hosts, .init = set_up, .fini = tear_down);

static void
fail(const struct staple_place *of, int64_t mono_ms, int64_t retry_after_s)
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
		fail(&place, 0, 0);
	cr_assert(host->down);
}

Test(hosts, are_down_after_failures_in_a_row)
{
	for (int i = 1; i < STAPLE_HOST_DOWN_AFTER; i++)
		fail(&place, 0, 0);
	cr_assert(!host->down);
	staple_host_answered(host, 10);
	for (int i = 1; i < STAPLE_HOST_DOWN_AFTER; i++)
		fail(&place, 0, 0);
	cr_assert(!host->down && !hosts.changed, "an answer came between");
	fail(&other, 0, 0);
	cr_assert(host->down && hosts.changed);
	cr_assert_eq(host->outcome, STAPLE_TIMEOUT_CONNECT);
	hosts.changed = false;
	staple_host_answered(host, 10);
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
	fail(&place, 0, 600);
	cr_assert(host->down);
	cr_assert_eq(host->probe_ms, 600 * 1000);
	other.expires = 0;
	other.untried = true;
	staple_host_expect(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 600 * 1000, "no need makes it earlier");
	cr_assert(staple_host_is_closed(host, &other, 599 * 1000));
	cr_assert(!staple_host_is_closed(host, &other, 600 * 1000));
}

Test(hosts, are_probed_sooner_for_what_is_in_need)
{
	go_down();
	cr_assert_eq(host->probe_ms, 320 * 1000, "10 s doubled five times");
	other.expires = NOW + 800;
	staple_host_expect(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 100 * 1000, "an eighth of its time");
	other.expires = 0;
	staple_host_expect(host, &other, NOW);
	cr_assert_eq(host->probe_ms, 60 * 1000, "nothing is held");
	other.untried = true;
	staple_host_expect(host, &other, NOW);
	cr_assert_eq(host->probe_ms, STAPLE_HOST_UNTRIED_MS, "never tried");
}

Test(hosts, are_closed_to_all_but_the_probe)
{
	go_down();
	cr_assert(staple_host_is_closed(host, &place, 319 * 1000));
	cr_assert(!staple_host_is_closed(host, &place, 320 * 1000));
	host->prober = &other;
	cr_assert(staple_host_is_closed(host, &place, 320 * 1000));
	cr_assert(!staple_host_is_closed(host, &other, 320 * 1000));
	place.untried = true;
	cr_assert(staple_host_is_closed(host, &place, 9999));
	cr_assert(!staple_host_is_closed(host, &place, 10000),
	    "it waits for what the probe brings");
}

Test(hosts, do_not_count_what_began_before_they_were_down)
{
	go_down();
	fail(&other, 300 * 1000, 0);
	cr_assert_eq(host->probe_ms, 320 * 1000);
	cr_assert_eq(host->failures, STAPLE_HOST_DOWN_AFTER);
	host->prober = &place;
	fail(&place, 320 * 1000, 0);
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
	place.expires = 0;
	host->prober = &place;
	(void)staple_host_failed(host, &place, &failure);
	cr_assert_eq(host->probe_ms, 460 * 1000);
	failure.mono_ms = 900 * 1000;
	host->prober = &place;
	(void)staple_host_failed(host, &place, &failure);
	cr_assert_eq(host->probe_ms, 905 * 1000);
}

Test(hosts, are_probed_on_demand)
{
	go_down();
	staple_hosts_hurry(&hosts, 1000);
	cr_assert_eq(host->probe_ms, 1000);
	host->prober = &place;
	fail(&place, 2000, 600);
	staple_hosts_hurry(&hosts, 3000);
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
