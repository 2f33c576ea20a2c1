/* Times of fetches, pauses after failures, times of warnings: rules 18, 19,
 * 37. */
#include "staple/schedule.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "base/attr.h"

#define MINUTE ((int64_t)60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOON ((int64_t)1767268800) /* some noon of 2026 */
#define ALMOST_ONE 0.9999999

static const struct staple_options intervals = { .min_interval_s = 5 * MINUTE,
	.max_interval_s = 7 * DAY };
static const double rolls[] = { 0, 0.1, 0.25, 0.5, 0.75, 0.9, ALMOST_ONE };

/* Lifetimes of responses, from the absurd to the whole range of ASN.1. */
static const int64_t lifetimes[] = { 1, 2, 3, 7, 10, 30, 59, 60, 61, 90,
	5 * MINUTE, 10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY,
	7 * DAY, 10 * DAY, 90 * DAY, 3650 * DAY };

/* ---- the next regular fetch ---- */

/* All relative to NOON, which is now. */
static const struct refresh_row {
	const char *what;
	int64_t this_update, expires, fresh; /* 0: none */
	double jitter;
	int64_t expect;
} refresh_rows[] = {
	{ "the middle of the window", 0, 8 * HOUR, 0, 0.5, 4 * HOUR },
	{ "a tenth of half before it", 0, 8 * HOUR, 0, 0, 4 * HOUR - 1440 },
	{ "a quarter of the way", 0, 8 * HOUR, 0, 0.25, 4 * HOUR - 720 },
	{ "nearly a tenth after it", 0, 8 * HOUR, 0, ALMOST_ONE,
	    4 * HOUR + 1439 },
	{ "on the way to the middle", -HOUR, 7 * HOUR, 0, 0.5, 3 * HOUR },
	{ "at the middle: old, a quarter of what is left", -4 * HOUR, 4 * HOUR,
	    0, 0.5, HOUR },
	{ "just before the middle, rolled to before now", -4 * HOUR + 60,
	    4 * HOUR + 60, 0, 0, HOUR + 15 },
	{ "the roll is nothing to an old one", -4 * HOUR, 4 * HOUR, 0, 0,
	    HOUR },
	{ "an old one again, later", -6 * HOUR, 2 * HOUR, 0, 0.5, HOUR / 2 },
	{ "7 days: once, near the middle", 0, 7 * DAY, 0, 0.5, 84 * HOUR },
	{ "at most max_interval", 0, 90 * DAY, 0, 0, 7 * DAY },
	{ "which is spread as well", 0, 90 * DAY, 0, 0.5, 7 * DAY - 30240 },
	{ "at least min_interval", -4 * HOUR - 1, 24 * MINUTE, 0, 0.5,
	    6 * MINUTE },
	{ "min_interval near the middle", -HOUR + 1, HOUR, 0, 0.5,
	    15 * MINUTE },
	{ "the middle is nearer than min_interval", -2 * HOUR + 10, 2 * HOUR, 0,
	    0.5, 5 * MINUTE },
	{ "min_interval is capped at a quarter of what is left", -4 * HOUR,
	    12 * MINUTE, 0, 0.5, 3 * MINUTE },
	{ "60 seconds: in the middle", 0, 60, 0, 0.5, 30 },
	{ "60 seconds: unchanged", -30, 30, 0, 0.5, 7 },
	{ "2 seconds", 0, 2, 0, 0.5, 1 },
	{ "the last second", -59, 1, 0, 0.5, 1 },
	{ "fresh for less", 0, 8 * HOUR, HOUR, 0.5, HOUR },
	{ "fresh for longer changes nothing", 0, 8 * HOUR, 6 * HOUR, 0.5,
	    4 * HOUR },
	{ "no longer fresh: a tenth of the window", 0, 8 * HOUR, -HOUR, 0.5,
	    48 * MINUTE },
	{ "fresh for less than a tenth", 0, 8 * HOUR, MINUTE, 0.5,
	    48 * MINUTE },
	{ "a tenth is less than min_interval", 0, 40 * MINUTE, 1, 0.5,
	    5 * MINUTE },
	{ "never fresh, 7 days", 0, 7 * DAY, 1, 0.5, 1008 * MINUTE },
	{ "never fresh, past the middle: as without", -4 * HOUR, 4 * HOUR, 1,
	    0.5, 48 * MINUTE },
	{ "never fresh, near the end: as without", -7 * HOUR, HOUR, 1, 0.5,
	    HOUR / 4 },
	{ "the responder's clock is ahead", 4 * MINUTE, 4 * MINUTE + 8 * HOUR,
	    0, 0.5, 4 * HOUR + 4 * MINUTE },
	{ "the clock was set back by years", 3650 * DAY, 3657 * DAY, 0, 0,
	    7 * DAY },
};

Test(schedule, fetches_in_the_middle_of_the_window)
{
	for (size_t i = 0; i < ARRAY_LEN(refresh_rows); i++) {
		const struct refresh_row *row = &refresh_rows[i];
		struct staple_window window = { NOON + row->this_update,
			NOON + row->expires };
		int64_t next = staple_schedule_refresh(&window, NOON,
		    &intervals, row->fresh == 0 ? 0 : NOON + row->fresh,
		    row->jitter);

		cr_expect_eq(next - NOON, row->expect,
		    "%s: %" PRId64 ", not %" PRId64, row->what, next - NOON,
		    row->expect);
	}
}

static const struct pace_row {
	const char *what;
	uint32_t min_s, max_s;
	int64_t expect; /* of a fresh response of 8 hours */
} pace_rows[] = {
	{ "neither limit matters", MINUTE, 12 * HOUR, 4 * HOUR },
	{ "a short longest interval", MINUTE, 10 * MINUTE, 570 },
	{ "a long shortest interval", 5 * HOUR, 12 * HOUR, 4 * HOUR },
	{ "both at the middle", 4 * HOUR, 5 * HOUR, 4 * HOUR },
	{ "contradicting: the shorter wins", HOUR, MINUTE, 57 },
};

Test(schedule, keeps_to_the_configured_intervals)
{
	const struct staple_window window = { NOON, NOON + 8 * HOUR };

	for (size_t i = 0; i < ARRAY_LEN(pace_rows); i++) {
		const struct pace_row *row = &pace_rows[i];
		const struct staple_options limits = {
			.min_interval_s = row->min_s,
			.max_interval_s = row->max_s
		};
		int64_t next = staple_schedule_refresh(
		    &window, NOON, &limits, 0, 0.5);

		cr_expect_eq(next - NOON, row->expect, "%s: %" PRId64,
		    row->what, next - NOON);
	}
}

/* From birth to expiry, at the pace that the schedule itself sets, with a
 * responder that never has anything newer. */
static unsigned
asks_of_one_life(int64_t born, int64_t lifetime, double jitter)
{
	struct staple_window window = { born, born + lifetime };
	unsigned asks = 0;
	int64_t now = born;

	while (now < window.expires) {
		int64_t next = staple_schedule_refresh(
		    &window, now, &intervals, 0, jitter);

		cr_assert_gt(next, now);
		cr_assert_leq(next - now, intervals.max_interval_s);
		cr_assert(next < window.expires || window.expires - now < 2,
		    "lifetime %" PRId64 " roll %f: %" PRId64 " s late",
		    lifetime, jitter, next - window.expires);
		now = next;
		asks++;
	}
	return asks;
}

Test(schedule, fetches_in_time_whatever_the_window)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(rolls); j++) {
			unsigned asks = asks_of_one_life(
			    NOON, lifetimes[i], rolls[j]);
			int64_t enough = lifetimes[i] /
					 intervals.max_interval_s * 10 / 9;

			/* In time, and yet no flood. */
			cr_expect_leq(asks, enough + 50,
			    "lifetime %" PRId64 ": %u", lifetimes[i], asks);
		}
	}
}

Test(schedule, fetches_more_than_once_within_60_seconds)
{
	for (size_t i = 0; i < ARRAY_LEN(rolls); i++)
		cr_expect_gt(asks_of_one_life(NOON, 60, rolls[i]), 4);
}

Test(schedule, freshness_never_moves_it_later)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		struct staple_window window = { NOON, NOON + lifetimes[i] };
		int64_t plain = staple_schedule_refresh(
		    &window, NOON, &intervals, 0, 0.5);

		for (int64_t ends = -DAY; ends < 10 * DAY; ends += HOUR / 2) {
			int64_t next = staple_schedule_refresh(
			    &window, NOON, &intervals, NOON + ends, 0.5);

			cr_expect_leq(next, plain);
			cr_expect_gt(next, NOON);
		}
	}
}

/* Each answer is a new one, and an HTTP cache calls it stale at once. */
static unsigned
fetches_in(int64_t span, int64_t lifetime, bool never_fresh, double jitter)
{
	unsigned fetches = 0;

	for (int64_t now = NOON; now < NOON + span; fetches++) {
		struct staple_window window = { now, now + lifetime };

		now = staple_schedule_refresh(
		    &window, now, &intervals, never_fresh ? now : 0, jitter);
	}
	return fetches;
}

Test(schedule, fetches_a_long_response_once_in_its_half)
{
	for (size_t i = 0; i < ARRAY_LEN(rolls); i++) {
		unsigned plain = fetches_in(70 * DAY, 7 * DAY, false, rolls[i]);
		unsigned never = fetches_in(70 * DAY, 7 * DAY, true, rolls[i]);

		cr_expect(plain >= 18 && plain <= 23, "%u in 70 days", plain);
		cr_expect_leq(never, 101, "%u in 70 days", never);
	}
}

/* A thousand certificates with one window are not fetched at once. */
Test(schedule, spreads_certificates_of_one_window)
{
	static const int64_t long_enough[] = { HOUR, 8 * HOUR, 7 * DAY };

	for (size_t i = 0; i < ARRAY_LEN(long_enough); i++) {
		struct staple_window window = { NOON, NOON + long_enough[i] };
		int64_t last = 0;
		unsigned different = 0;

		for (int jitter = 0; jitter < 1000; jitter++) {
			int64_t next = staple_schedule_refresh(
			    &window, NOON, &intervals, 0, jitter / 1000.0);

			different += next != last;
			last = next;
		}
		cr_expect_gt(different, 300, "%u of %" PRId64, different,
		    long_enough[i]);
	}
}

/* ---- backing off ---- */

static const struct retry_row {
	const char *what;
	unsigned failures;
	int64_t left; /* 0: nothing is held */
	int64_t retry_after;
	unsigned certificates; /* of that host */
	double jitter;
	int64_t expect;
} retry_rows[] = {
	{ "never under 10 s", 1, 0, 0, 1, 0, 10 },
	{ "the first", 1, 0, 0, 1, 0.5, 15 },
	{ "the first, at most", 1, 0, 0, 1, ALMOST_ONE, 19 },
	{ "twice as long", 2, 0, 0, 1, 0.5, 25 },
	{ "and again", 5, 7 * DAY, 0, 1, 0.5, 165 },
	{ "full jitter: as short as the first", 5, 0, 0, 1, 0, 10 },
	{ "nothing is held: at most a minute", 12, 0, 0, 1, ALMOST_ONE, 59 },
	{ "a hundred share the host", 12, 0, 0, 100, ALMOST_ONE, 59 },
	{ "more: two minutes", 12, 0, 0, 101, ALMOST_ONE, 119 },
	{ "no number is too many", 4000000000, 7 * DAY, 0, 1, ALMOST_ONE,
	    3599 },
	{ "an eighth of what is left", 12, 800, 0, 1, ALMOST_ONE, 99 },
	{ "much is left: at most an hour", 12, 7 * DAY, 0, 1, ALMOST_ONE,
	    3599 },
	{ "many that hold something", 12, 7 * DAY, 0, 10000, ALMOST_ONE, 3599 },
	{ "little, but more than a minute", 12, 61, 0, 1, ALMOST_ONE, 10 },
	{ "the last minute", 12, 60, 0, 1, ALMOST_ONE, 6 },
	{ "never under 5 s", 12, 60, 0, 1, 0, 5 },
	{ "the last second", 12, 1, 0, 1, ALMOST_ONE, 5 },
	{ "it has just expired: as if nothing were held", 12, -1, 0, 1,
	    ALMOST_ONE, 59 },
	{ "Retry-After", 1, 0, 120, 1, 0.5, 120 },
	{ "Retry-After: less than we wait anyway", 5, 0, 12, 1, 0.5, 35 },
	{ "Retry-After: at most an hour", 1, 0, DAY, 1, 0.5, HOUR },
	{ "Retry-After: at most half of what is left", 1, 1000, DAY, 1, 0,
	    500 },
	{ "Retry-After: with days left", 1, 7 * DAY, DAY, 1, 0, HOUR },
	{ "Retry-After: in the last seconds", 1, 8, DAY, 1, 0, 5 },
};

Test(schedule, backs_off_by_failures_and_urgency)
{
	for (size_t i = 0; i < ARRAY_LEN(retry_rows); i++) {
		const struct retry_row *row = &retry_rows[i];
		int64_t next = staple_schedule_retry(row->failures, NOON,
		    row->left == 0 ? 0 : NOON + row->left, row->retry_after,
		    row->certificates, row->jitter);

		cr_expect_eq(next - NOON, row->expect,
		    "%s: %" PRId64 ", not %" PRId64, row->what, next - NOON,
		    row->expect);
	}
}

/* How many tries still fit, each as late as can be. */
static unsigned
tries_before(int64_t expires, int64_t now, unsigned failures)
{
	unsigned tries = 0;

	for (;; tries++) {
		now = staple_schedule_retry(
		    failures + tries, now, expires, 0, 1, ALMOST_ONE);
		if (now >= expires)
			return tries;
	}
}

Test(schedule, leaves_eight_tries_before_expiry)
{
	for (int64_t left = 60; left < 3 * DAY; left += 1 + left / 50) {
		for (unsigned failures = 1; failures < 15; failures++) {
			unsigned tries = tries_before(
			    NOON + left, NOON, failures);

			cr_expect_geq(
			    tries, 8, "%" PRId64 " s left: %u", left, tries);
		}
	}
}

Test(schedule, backs_off_between_5_seconds_and_an_hour)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		int64_t left = lifetimes[i];

		for (unsigned n = 1; n < 100; n++) {
			double jitter = rolls[n % ARRAY_LEN(rolls)];
			int64_t wait = staple_schedule_retry(
					   n, NOON, NOON + left, 0, 1, jitter) -
				       NOON;

			cr_expect_geq(wait, left <= 60 ? 5 : 10);
			cr_expect_leq(wait, HOUR);
		}
	}
}

/* ---- probing a host ---- */

static const struct probe_row {
	const char *what;
	unsigned failures;
	int64_t left; /* 0: one has no valid response */
	int64_t retry_after;
	unsigned certificates;
	double jitter;
	int64_t expect;
} probe_rows[] = {
	{ "the first pause", 3, DAY, 0, 2, 0, 80 },
	{ "an eighth of jitter", 3, DAY, 0, 2, ALMOST_ONE, 71 },
	{ "doubled", 5, DAY, 0, 2, 0, 320 },
	{ "at most an hour", 20, DAY, 0, 2, 0, HOUR },
	{ "an eighth of what is left", 20, 800, 0, 2, 0, 100 },
	{ "nothing is held: a minute", 20, 0, 0, 2, 0, 60 },
	{ "nothing is held, with jitter", 20, 0, 0, 10000, ALMOST_ONE, 53 },
	{ "the last seconds", 20, 20, 0, 2, 0, 5 },
	{ "little is left, for one of few", 20, 100, 0, 100, 0, 12 },
	{ "little is left, for one of many", 20, 100, 0, 101, 0, 60 },
	{ "never under 10 s", 1, 70, 0, 1, ALMOST_ONE, 10 },
	{ "Retry-After", 3, DAY, 600, 2, 0, 600 },
	{ "Retry-After where nothing is held", 3, 0, 600, 2, 0, 600 },
	{ "Retry-After: at most an hour", 3, 0, DAY, 2, 0, HOUR },
	{ "Retry-After: at most half of what is left", 3, 1000, DAY, 2, 0,
	    500 },
};

Test(schedule, probes_a_host_less_and_less_but_once_a_minute_in_need)
{
	for (size_t i = 0; i < ARRAY_LEN(probe_rows); i++) {
		const struct probe_row *row = &probe_rows[i];
		int64_t pause = staple_schedule_probe(row->failures, row->left,
		    row->retry_after, row->certificates, row->jitter);

		cr_expect_eq(pause, row->expect,
		    "%s: %" PRId64 ", not %" PRId64, row->what, pause,
		    row->expect);
	}
}

/* ---- expiry warnings ---- */

static const struct rung_row {
	const char *what;
	int64_t since, expires, now;
	enum staple_expiry_warning expect;
	int64_t next; /* 0: none */
} rung_rows[] = {
	{ "nothing fails", 0, NOON, NOON - 1, STAPLE_EXPIRY_WARNING_NONE, 0 },
	{ "nothing fails, yet it expired", 0, NOON, NOON,
	    STAPLE_EXPIRY_WARNING_NONE, 0 },
	{ "nothing is held", NOON, 0, NOON, STAPLE_EXPIRY_WARNING_NONE, 0 },
	{ "days left", NOON - 4 * DAY, NOON, NOON - 4 * DAY,
	    STAPLE_EXPIRY_WARNING_NONE, NOON - 2 * DAY },
	{ "just over half", NOON - 4 * DAY, NOON, NOON - 2 * DAY - 1,
	    STAPLE_EXPIRY_WARNING_NONE, NOON - 2 * DAY },
	{ "half", NOON - 4 * DAY, NOON, NOON - 2 * DAY,
	    STAPLE_EXPIRY_WARNING_HALF, NOON - DAY },
	{ "a quarter", NOON - 4 * DAY, NOON, NOON - DAY,
	    STAPLE_EXPIRY_WARNING_QUARTER, NOON - HOUR },
	{ "the last hour", NOON - 4 * DAY, NOON, NOON - HOUR,
	    STAPLE_EXPIRY_WARNING_LAST_HOUR, NOON },
	{ "the last second", NOON - 4 * DAY, NOON, NOON - 1,
	    STAPLE_EXPIRY_WARNING_LAST_HOUR, NOON },
	{ "expired", NOON - 4 * DAY, NOON, NOON, STAPLE_EXPIRY_WARNING_EXPIRED,
	    0 },
	{ "long expired", NOON - 4 * DAY, NOON, NOON + DAY,
	    STAPLE_EXPIRY_WARNING_EXPIRED, 0 },
	{ "an hour in all: half", NOON - HOUR, NOON, NOON - HOUR / 2,
	    STAPLE_EXPIRY_WARNING_HALF, NOON - HOUR / 4 },
	{ "an hour in all: the last quarter", NOON - HOUR, NOON,
	    NOON - HOUR / 4, STAPLE_EXPIRY_WARNING_LAST_HOUR, NOON },
	{ "a second in all", NOON - 1, NOON, NOON - 1,
	    STAPLE_EXPIRY_WARNING_NONE, NOON },
	{ "asked after it expired", NOON + 5, NOON, NOON + 5,
	    STAPLE_EXPIRY_WARNING_EXPIRED, 0 },
	{ "the clock was set back meanwhile", NOON + DAY, NOON, NOON - DAY,
	    STAPLE_EXPIRY_WARNING_NONE, NOON },
};

Test(schedule, raises_the_warning_as_time_runs_out)
{
	for (size_t i = 0; i < ARRAY_LEN(rung_rows); i++) {
		const struct rung_row *row = &rung_rows[i];

		cr_expect_eq(staple_schedule_expiry_warning(
				 row->since, row->expires, row->now),
		    row->expect, "%s", row->what);
		cr_expect_eq(staple_schedule_next_expiry_warning(
				 row->since, row->expires, row->now),
		    row->next, "%s", row->what);
	}
}

Test(schedule, ends_on_the_last_level_whenever_it_began)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		int64_t since = NOON - lifetimes[i], now = since, next;
		enum staple_expiry_warning before = STAPLE_EXPIRY_WARNING_NONE,
					   warning = before;

		while ((next = staple_schedule_next_expiry_warning(
			    since, NOON, now))) {
			cr_assert_gt(next, now);
			warning = staple_schedule_expiry_warning(
			    since, NOON, next);
			cr_assert_gt(warning, before, "%" PRId64, lifetimes[i]);
			before = warning;
			now = next;
		}
		cr_expect_eq(warning, STAPLE_EXPIRY_WARNING_EXPIRED);
	}
}

/* ---- hostile times ---- */

#define YEAR_0 ((int64_t)-62167219200)
#define YEAR_9999 ((int64_t)253402300799)

Test(schedule, survives_all_times_that_a_certificate_can_have)
{
	static const int64_t times[] = { YEAR_0, -1, 1, NOON, YEAR_9999 };
	const size_t count = ARRAY_LEN(times);

	for (size_t i = 0; i < count * count * count; i++) {
		int64_t a = times[i % count], b = times[i / count % count];
		int64_t now = times[i / count / count];
		struct staple_window window = { a, b };
		int64_t next = staple_schedule_refresh(
		    &window, now, &intervals, a, ALMOST_ONE);

		cr_expect_gt(next, now);
		cr_expect_leq(next - now, intervals.max_interval_s);
		next = staple_schedule_retry(1000, now, b, a, 1, ALMOST_ONE);
		cr_expect_gt(next, now);
		cr_expect_leq(next - now, HOUR);
		next = staple_schedule_next_expiry_warning(a, b, now);
		cr_expect(next == 0 || next > now);
	}
}
