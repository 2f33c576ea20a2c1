/* One certificate's life: when it is asked about, what becomes of answers. */
#include "staple/errand.h"

#include <criterion/criterion.h>

#include "staple/cache.h"
#include "staple/response.h"
#include "tests/support/stage.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };

static void
set_up(void)
{
	stage_open(NULL);
}

TestSuite(errand, .init = set_up, .fini = stage_close);

static void
fail_all(enum staple_outcome outcome)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = outcome);
}

/* ---- Answers and failures ---- */

Test(errand, is_settled_by_a_good_answer)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	const struct staple_info *info = stage_look(actor);

	cr_assert(!info->settled && !info->held);
	stage_run();
	info = stage_look(actor);
	cr_assert(info->settled && info->held);
	cr_assert_eq(info->outcome, STAPLE_GOOD);
	cr_assert_eq(info->failures, 0);
	cr_assert_eq(info->expires, stage_now() - MINUTE + HOUR);
}

Test(errand, is_settled_by_a_failed_attempt)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);
	stage_run();
	cr_assert(stage_look(actor)->settled && !stage_look(actor)->held);
	cr_assert_eq(stage_look(actor)->failures, 1);
}

/* Rule 18: an hour's window, a minute old: T ± 10 % is 26 to 32 minutes off,
 * then unchanged answers bring it closer. */
Test(errand, asks_again_in_the_middle_of_the_window)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	stage_run();
	cr_assert_geq(stage_look(actor)->next_try, stage_now() + 26 * MINUTE);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + 32 * MINUTE);
	stage_pass(25 * MINUTE);
	cr_assert_eq(stage.asked_count, 1);
	stage_pass(8 * MINUTE);
	cr_assert_eq(stage.asked_count, 2);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
}

/* Rule 18: how long a cache calls it fresh may make it earlier. */
Test(errand, asks_when_the_cache_says_it_is_stale)
{
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .fresh_s = 10 * MINUTE,
	    .took_ms = 3000);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_pass(3);
	cr_assert_eq(stage_look(actor)->next_try, stage_now() + 10 * MINUTE);
}

/* Rule 19: full jitter, but never under ten seconds. */
Test(errand, backs_off_after_failures)
{
	struct stage_actor *actor;
	unsigned before;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_pass(9);
	cr_assert_eq(stage.asked_count, 1, "not under ten seconds");
	stage_pass(12);
	cr_assert_geq(stage.asked_count, 2, "but soon after");
	stage_pass(6 * HOUR);
	before = stage.asked_count;
	cr_assert_leq(before, 60);
	stage_pass(HOUR + 1);
	cr_assert_gt(stage.asked_count, before, "at most an hour");
	cr_assert_eq(stage_look(actor)->failures, stage.asked_count);
}

Test(errand, waits_as_long_as_the_responder_asks)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
	    .retry_after_s = 10 * MINUTE);
	stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_pass(10 * MINUTE - 1);
	cr_assert_eq(stage.asked_count, 1, "by one method");
	stage_pass(2);
	cr_assert_eq(stage.asked_count, 2);
}

/* Rule 5, and the matrix: a failure leaves what is held. */
static const struct stage_part bad_days[] = {
	{ .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED },
	{ .way = STAGE_HANGS },
	{ .answer = { .status = OCSP_SAYS_UNKNOWN } },
	{ .answer = { .error = 6 } },
	{ .answer = { .spoiled = true } },
	{ .answer = { .this_update = -2 * HOUR, .next_update = HOUR } },
	{ .way = STAGE_SENDS, .bytes = "" },
};

Test(errand, keeps_what_it_holds_through_bad_days)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	for (size_t i = 0; i < ARRAY_LEN(bad_days); i++) {
		STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
		stage_pass(40 * MINUTE);
		cr_assert_eq(stage_look(actor)->failures, 0, "day %zu", i);
		stage_play(NULL, STAGE_ANY, &bad_days[i]);
		stage_pass(40 * MINUTE);
		cr_assert_gt(stage_look(actor)->failures, 0, "day %zu", i);
		cr_assert(stage_look(actor)->held, "day %zu", i);
	}
}

Test(errand, climbs_the_ladder_before_the_loss)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	unsigned before;

	stage_run();
	fail_all(STAPLE_CONNECTION_REFUSED);
	stage_pass(34 * MINUTE);
	before = stage_lines(STAPLE_LEVEL_WARNING);
	stage_pass(24 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_WARNING), before);
	cr_assert_eq(stage_lines(STAPLE_LEVEL_ERROR), 0);
	stage_pass(2 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_ERROR), 0);
	cr_assert_leq(stage_look(actor)->expires, stage_now());
}

Test(errand, tells_the_application_of_an_expiry)
{
	stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	fail_all(STAPLE_CONNECTION_REFUSED);
	stage_pass(58 * MINUTE);
	stage.changes = 0;
	stage_pass(2 * MINUTE);
	cr_assert_eq(stage.changes, 1);
}

/* The same bytes again are no failure, but nobody is to learn of the loss only
 * when it has come. */
Test(errand, warns_when_the_old_answer_comes_until_the_end)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct ocsp_made made = stage_answer(
	    actor, &(const struct ocsp_wish){ 0 });

	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &made);
	stage_pass(40 * MINUTE);
	cr_assert_geq(stage.asked_count, 2);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_UNCHANGED);
	cr_assert_eq(stage_look(actor)->failures, 0);
	cr_assert_eq(stage.heard_count, 1, "%s", stage.heard[1].message);
	stage_pass(18 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_WARNING), 0);
	stage_pass(2 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_ERROR), 0);
	ocsp_drop(&made);
}

/* A renewed certificate has the name of the old one. */
Test(errand, says_of_which_certificate_each_line_is)
{
	struct stage_actor *old = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct stage_actor *renewed;

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_run();
	renewed = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert_eq(stage.heard_count, 2u);
	cr_expect_str_eq(
	    stage.heard[0].certificate, stage.heard[1].certificate);
	cr_expect_str_eq(stage.heard[0].id, old->cert->id);
	cr_expect_str_eq(stage.heard[1].id, renewed->cert->id);
}

/* Rule 8: without nextUpdate it is usable for a day from its receipt, so the
 * same bytes come to be usable for longer. */
Test(errand, counts_the_default_lifetime_from_the_last_receipt)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	const struct ocsp_wish wish = { .this_update = stage_now() - HOUR };
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);

	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &made);
	stage_run();
	cr_assert_eq(stage_look(actor)->expires, stage_now() + DAY);
	stage_pass(3 * DAY);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_UNCHANGED);
	cr_assert_gt(stage_look(actor)->expires, stage_now() + 11 * HOUR);
	ocsp_drop(&made);
}

/* ---- Who is not asked about ---- */

Test(errand, asks_nobody_without_a_responder)
{
	struct stage_actor *actor = stage_enter(NULL, STAPLE_WISH_WANTED);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NO_RESPONDER);
	cr_assert_eq(stage.heard_count, 1, "one line");
}

Test(errand, asks_nobody_about_an_expired_certificate)
{
	const struct pki_wish wish = {
		.name = "old.example", .aia = STAGE_AIA, .to = "20260101000000Z"
	};
	struct stage_actor *actor = stage_enter_with(
	    &wish, NULL, STAPLE_WISH_WANTED);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_CERTIFICATE_EXPIRED);
}

/* 2027-01-15 08:00:00 is when the curtain rises. */
Test(errand, stops_asking_when_the_certificate_expires)
{
	const struct pki_wish wish = {
		.name = "old.example", .aia = STAGE_AIA, .to = "20270115081000Z"
	};
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter_with(&wish, NULL, STAPLE_WISH_WANTED);
	stage_pass(9 * MINUTE);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_CONNECTION_REFUSED);
	stage_pass(2 * MINUTE);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_CERTIFICATE_EXPIRED);
	stage_set_clock(-HOUR);
	stage_pass(MINUTE);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_CONNECTION_REFUSED,
	    "the clock was wrong");
}

/* ---- Wishes and facts ---- */

Test(errand, asks_nobody_for_what_is_not_wanted)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_NONE);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	stage_wish(actor, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
}

Test(errand, keeps_but_does_not_refresh_what_is_wanted_no_more)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	stage_run();
	stage_wish(actor, STAPLE_WISH_NONE);
	stage_pass(2 * HOUR);
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
}

Test(errand, drops_an_attempt_that_is_wanted_no_more)
{
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert_eq(stage.at_once, 1);
	stage_wish(actor, STAPLE_WISH_NONE);
	stage_run();
	cr_assert_eq(stage.at_once, 0);
}

Test(errand, asks_nobody_because_of_a_reload)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	stage_run();
	stage_correct(actor, NULL);
	stage_run();
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->settled);
}

Test(errand, asks_again_on_a_reload_where_nothing_is_held)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	stage_correct(actor, NULL);
	stage_run();
	cr_assert_eq(stage.asked_count, 2);
}

Test(errand, asks_the_responder_that_is_configured_now)
{
	static const char *const urls[] = { STAGE_B };
	const struct staple_source source = { .urls = urls, .url_count = 1 };
	struct stage_actor *actor;

	STAGE_PLAY(STAGE_A, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	stage_correct(actor, &source);
	stage_run();
	cr_assert_eq(stage.asked_count, 2);
	cr_assert_str_eq(stage.asked[1].url, STAGE_B);
	cr_assert_eq(stage.at_once, 0, "the old attempt is dropped");
	cr_assert(stage_look(actor)->held);
}

/* ---- The clock ---- */

/* Rule 22: what is due in the future is due in the past after a leap. */
Test(errand, notices_within_a_minute_that_the_clock_leapt)
{
	stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	stage_set_clock(2 * HOUR);
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 2);
}

Test(errand, notices_within_a_minute_that_the_clock_was_set_back)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	stage_set_clock(-30 * DAY);
	stage_pass(MINUTE + 20);
	cr_assert_geq(stage.asked_count, 2);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + HOUR);
}

Test(errand, asks_within_max_interval_when_the_clock_was_set_back)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	stage_run();
	stage_set_clock(-30 * DAY);
	stage_pass(MINUTE);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + DAY / 2);
}
