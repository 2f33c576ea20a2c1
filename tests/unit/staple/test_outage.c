/*
 * A responder that is gone for three days, with 1,000 and 10,000 certificates
 * of it: how many requests that costs, and how soon all are stapled again.
 * The real staple thread on the stage; the figures are printed, and stand in
 * ARCHITECTURE.md.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/attr.h"
#include "tests/support/stage.h"

enum {
	MINUTE = 60,
	HOUR = 3600,
	DAY = 24 * HOUR,
	TOOK_MS = 200, /* of an answer */
	AT_ONCE = 32   /* max_fetches */
};

static void
set_up(void)
{
	stage_open(NULL);
}

TestSuite(outage, .init = set_up, .fini = stage_close, .timeout = 300);

/* Until a queue of all certificates is empty, where the number at once has
 * grown to its limit. */
static unsigned
queue_time_s(unsigned certificates)
{
	return certificates * TOOK_MS / AT_ONCE / 1000 + 2;
}

static void
answer(int64_t lifetime_s)
{
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .took_ms = TOOK_MS,
	    .answer = { .next_update = lifetime_s });
}

static void
start(unsigned certificates)
{
	for (unsigned i = 0; i < certificates; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
}

/* Certificates without a valid response; or whose last attempt failed. */
static unsigned
count(bool failing)
{
	unsigned sum = 0;

	LIST_FOREACH(&stage.actors, node) {
		const struct staple_info *info = stage_look(
		    container_of(node, struct stage_actor, node));

		if (failing)
			sum += info->failures > 0;
		else
			sum += !info->held || info->expires <= stage_now();
	}
	return sum;
}

/* Seconds until there are no more of them. */
static unsigned
wait_for_none(bool failing, unsigned most_s)
{
	unsigned seconds = 0;

	while (count(failing) > 0 && seconds <= most_s) {
		stage_pass(1);
		seconds++;
	}
	return seconds;
}

/* Requests of so many days. */
static unsigned
live(unsigned days)
{
	unsigned before = stage.asked_count;

	for (unsigned hour = 0; hour < days * 24; hour++)
		stage_pass(HOUR);
	return stage.asked_count - before;
}

static const struct outage_row {
	const char *what;
	struct stage_part part;
} outage_rows[] = {
	{ "refuses",
	    { .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED } },
	{ "hangs", { .way = STAGE_HANGS } },
	{ "sends HTTP 5xx",
	    { .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX, .took_ms = 50 } },
};

/* Nothing expires: the outage costs less than one normal day, and within an
 * hour all is as before. */
static void
outlast(unsigned certificates, const struct outage_row *row)
{
	unsigned normal, asked, after;

	answer(7 * DAY);
	start(certificates);
	(void)live(4);
	normal = live(7) / 7;
	stage_play(NULL, STAGE_ANY, &row->part);
	asked = live(3);
	cr_assert_eq(count(false), 0, "nothing has expired");
	answer(7 * DAY);
	after = wait_for_none(true, 2 * HOUR);
	printf("%u certificates, responses of 7 days, %s: %u requests on a "
	       "normal day, %u in 3 days of outage, all refreshed %u s after\n",
	    certificates, row->what, normal, asked, after);
	cr_assert_lt(asked, normal);
	cr_assert_leq(after, HOUR + queue_time_s(certificates));
}

/* All expire on the first day: one request a minute at most, and all are
 * stapled within a minute and the queue. */
static void
lose_all(unsigned certificates, const struct outage_row *row)
{
	unsigned normal, asked, after;

	answer(DAY);
	start(certificates);
	(void)live(1);
	normal = live(1);
	stage_play(NULL, STAGE_ANY, &row->part);
	asked = live(1);
	cr_assert_lt(asked, normal, "on the first day");
	cr_assert_eq(count(false), certificates);
	for (int day = 2; day <= 3; day++) {
		asked = live(1);
		cr_assert_lt(asked, normal, "on day %d", day);
	}
	answer(DAY);
	after = wait_for_none(false, HOUR);
	printf("%u certificates, responses of 1 day, %s: %u requests on a "
	       "normal day, %u on the last day of outage, all stapled %u s "
	       "after\n",
	    certificates, row->what, normal, asked, after);
	cr_assert_leq(after, MINUTE + queue_time_s(certificates));
}

Test(outage, costs_less_than_a_normal_day)
{
	for (size_t i = 0; i < ARRAY_LEN(outage_rows); i++) {
		stage_close();
		stage_open(NULL);
		outlast(1000, &outage_rows[i]);
	}
}

Test(outage, of_ten_thousand_costs_less_than_a_normal_day)
{
	outlast(10000, &outage_rows[0]);
}

Test(outage, ends_within_a_minute_where_all_has_expired)
{
	for (size_t i = 0; i < ARRAY_LEN(outage_rows); i++) {
		stage_close();
		stage_open(NULL);
		lose_all(1000, &outage_rows[i]);
	}
}

Test(outage, of_ten_thousand_ends_within_a_minute)
{
	lose_all(10000, &outage_rows[0]);
}

static unsigned
count_unsettled(void)
{
	unsigned sum = 0;

	LIST_FOREACH(&stage.actors, node)
		sum += !stage_look(container_of(node, struct stage_actor, node))
			    ->settled;
	return sum;
}

static void
start_without(const struct outage_row *row)
{
	unsigned asked, after;

	stage_play(NULL, STAGE_ANY, &row->part);
	start(1000);
	stage_pass(10);
	cr_assert_eq(count_unsettled(), 0,
	    "%s: each is tried or counts as tried", row->what);
	asked = live(1);
	answer(7 * DAY);
	after = wait_for_none(false, HOUR);
	printf("1000 certificates, started in an outage, %s: %u requests a "
	       "day, all stapled %u s after\n",
	    row->what, asked, after);
	/* Where no method has worked so far, the other is tried as well. */
	cr_assert_leq(asked, 2000);
	cr_assert_leq(after, MINUTE + queue_time_s(1000));
}

Test(outage, at_a_start_delays_nothing)
{
	for (size_t i = 0; i < ARRAY_LEN(outage_rows); i++) {
		stage_close();
		stage_open(NULL);
		start_without(&outage_rows[i]);
	}
}

/* The normal start, at 200 ms of latency. */
Test(outage, without_one_a_thousand_are_stapled_in_seconds)
{
	unsigned after;

	answer(7 * DAY);
	start(1000);
	after = wait_for_none(false, MINUTE);
	printf("1000 certificates, started at %d ms a request: all stapled "
	       "after %u s\n",
	    TOOK_MS, after);
	cr_assert_lt(after, 15);
	cr_assert_eq(stage.asked_count, 1000);
	cr_assert_eq(stage.most_at_once, AT_ONCE);
}
