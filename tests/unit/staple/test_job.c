/*
 * One certificate on the stage: what is fetched when, what is kept through
 * failures and jumps of the clock, and what confirms or lifts a revocation.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "staple/cache.h"
#include "staple/job.h"
#include "staple/response.h"
#include "tests/support/stage.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };

static void
set_up(void)
{
	stage_open(NULL);
}

TestSuite(job, .init = set_up, .fini = stage_close);

static void
fail_all(enum staple_outcome outcome)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = outcome);
}

static unsigned
count_heard(const char *words)
{
	unsigned count = 0;

	for (unsigned i = 0; i < stage.heard_count; i++)
		count += strstr(stage.heard[i].message, words) != NULL;
	return count;
}

/* ---- Answers and failures ---- */

Test(job, mentions_once_what_was_left_out)
{
	const struct staple_source source = { .urls = NULL };
	struct stage_actor *actor = stage_enter(
	    "OCSP;URI:ldap://a/," STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert_eq(count_heard("ldap://a/ was left out"), 1);
	stage_correct(actor, &source);
	stage_pass(2 * HOUR);
	cr_assert_eq(count_heard("ldap://a/ was left out"), 1);
}

Test(job, mentions_nothing_where_every_url_is_used)
{
	stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(count_heard("left out"), 0);
}

Test(job, is_settled_by_a_good_answer)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	const struct staple_info *info = stage_look(actor);

	cr_assert(!info->settled && !info->held);
	stage_run();
	info = stage_look(actor);
	cr_assert(info->settled && info->held);
	cr_assert_eq(info->outcome, STAPLE_GOOD);
	cr_assert_eq(info->failures, 0);
	cr_assert_eq(info->expires, stage_now() - MINUTE + HOUR);
}

Test(job, is_settled_by_a_failed_attempt)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_FATAL);
	stage_run();
	cr_assert(stage_look(actor)->settled && !stage_look(actor)->held);
	cr_assert_eq(stage_look(actor)->failures, 1);
}

/* Rule 18: an hour's window, a minute old: T ± 10 % is 26 to 32 minutes off,
 * then unchanged answers bring it closer. */
Test(job, fetches_again_in_the_middle_of_the_window)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

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
Test(job, fetches_when_its_http_freshness_ends)
{
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .fresh_s = 10 * MINUTE,
	    .took_ms = 3000);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(3);
	cr_assert_eq(stage_look(actor)->next_try, stage_now() + 10 * MINUTE);
}

/* Rule 19: full jitter, but never under ten seconds. */
Test(job, backs_off_after_failures)
{
	struct stage_actor *actor;
	unsigned before;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(9);
	cr_assert_eq(stage.asked_count, 1, "not under ten seconds");
	stage_pass(12);
	cr_assert_geq(stage.asked_count, 2, "but soon after");
	stage_pass(HOUR);
	before = stage.asked_count;
	cr_assert_leq(before, 80);
	for (int i = 0; i < 60; i++, before = stage.asked_count) {
		stage_pass(MINUTE + 1);
		cr_assert_gt(stage.asked_count, before,
		    "at most a minute while nothing is held");
	}
	cr_assert_eq(stage_look(actor)->failures, stage.asked_count);
}

/* While something valid is held: an hour, or an eighth of what is left. */
Test(job, backs_off_up_to_an_hour_while_it_holds_something)
{
	struct stage_actor *actor;
	unsigned before;

	STAGE_PLAY(NULL, .answer = { .next_update = 7 * DAY });
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	fail_all(STAPLE_CONNECTION_REFUSED);
	stage_pass(4 * DAY);
	before = stage.asked_count;
	stage_pass(DAY);
	cr_assert_leq(stage.asked_count - before, 30);
	before = stage.asked_count;
	stage_pass(HOUR + 1);
	cr_assert_gt(stage.asked_count, before);
	cr_assert(stage_look(actor)->held);
	stage_pass(3 * DAY);
	before = stage.asked_count;
	stage_pass(MINUTE + 1);
	cr_assert_gt(stage.asked_count, before, "it has expired");
}

Test(job, waits_for_the_retry_after_of_the_responder)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
	    .retry_after_s = 10 * MINUTE);
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(10 * MINUTE - 1);
	cr_assert_eq(stage.asked_count, 1, "by one method");
	stage_pass(2);
	cr_assert_gt(stage.asked_count, 1);
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

Test(job, keeps_what_it_holds_through_bad_days)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

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

Test(job, warns_before_the_expiry)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
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

Test(job, calls_the_application_at_an_expiry)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	fail_all(STAPLE_CONNECTION_REFUSED);
	stage_pass(58 * MINUTE);
	stage.changes = 0;
	stage_pass(2 * MINUTE);
	cr_assert_eq(stage.changes, 1);
}

/* The same bytes again are no failure, but the expiry is warned of before it
 * comes. */
Test(job, warns_when_the_old_answer_comes_until_the_end)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
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
Test(job, names_the_certificate_in_each_line)
{
	struct stage_actor *old = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	struct stage_actor *renewed;

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_run();
	renewed = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.heard_count, 2u);
	cr_expect_str_eq(
	    stage.heard[0].certificate, stage.heard[1].certificate);
	cr_expect_str_eq(stage.heard[0].id, old->cert->id);
	cr_expect_str_eq(stage.heard[1].id, renewed->cert->id);
}

/* Rule 8: without nextUpdate it is usable for a day from thisUpdate, however
 * often the same bytes come. */
Test(job, counts_the_default_lifetime_from_this_update)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	const int64_t made_at = stage_now() - HOUR;
	const struct ocsp_wish wish = { .this_update = made_at };
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);

	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &made);
	stage_run();
	cr_assert_eq(stage_look(actor)->expires, made_at + DAY);
	stage_pass(22 * HOUR);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_UNCHANGED);
	cr_assert_eq(stage_look(actor)->expires, made_at + DAY);
	stage_pass(2 * HOUR);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_EXPIRED);
	ocsp_drop(&made);
}

/* Bytes appended to a response on the way are no change. */
Test(job, sees_no_change_in_what_is_not_signed)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	const struct ocsp_wish wish = { .this_update = stage_now(),
		.next_update = stage_now() + DAY };
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);
	struct ocsp_made padded = ocsp_append(&made, &actor->leaf, 50);

	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &made);
	stage_run();
	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &padded);
	stage_pass(14 * HOUR);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_UNCHANGED);
	ocsp_drop(&padded);
	ocsp_drop(&made);
}

/* Some clients refuse it: logged once. */
Test(job, warns_once_of_a_response_that_begins_with_another)
{
	struct stage_actor *other = stage_enter(NULL, STAPLE_REQUIRE_NONE);
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .answer = { .second = &other->leaf });
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert_eq(stage_look(actor)->failures, 0);
	cr_assert(stage_heard("held, not stapled"));
	stage_pass(3 * HOUR);
	cr_assert_gt(stage.asked_count, 2);
	cr_assert_eq(stage_lines(STAPLE_LEVEL_WARNING), 1);
}

Test(job, warns_once_of_a_weak_key)
{
	struct pki weak = authority_issue(
	    &stage.authority, &(const struct pki_wish){ .name = "weak",
				  .key = PKI_RSA,
				  .bits = 1536,
				  .usage = "OCSPSigning" });
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .answer = { .signer = &weak, .with_signer = true });
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held);
	cr_assert(stage_heard("RSA key of 1536 bits"));
	stage_pass(3 * HOUR);
	cr_assert_eq(stage_lines(STAPLE_LEVEL_WARNING), 1);
	pki_drop(&weak);
}

/* ---- Certificates without requests ---- */

Test(job, sends_nothing_without_a_responder)
{
	struct stage_actor *actor = stage_enter(NULL, STAPLE_REQUIRE_WANTED);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NO_RESPONDER);
	cr_assert_eq(stage.heard_count, 1, "one line");
}

Test(job, sends_nothing_for_an_expired_certificate)
{
	const struct pki_wish wish = {
		.name = "old.example", .aia = STAGE_AIA, .to = "20260101000000Z"
	};
	struct stage_actor *actor = stage_enter_with(
	    &wish, NULL, STAPLE_REQUIRE_WANTED);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_CERTIFICATE_EXPIRED);
}

/* 2027-01-15 08:00:00 is when the curtain rises. */
Test(job, stops_fetching_when_the_certificate_expires)
{
	const struct pki_wish wish = {
		.name = "old.example", .aia = STAGE_AIA, .to = "20270115081000Z"
	};
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter_with(&wish, NULL, STAPLE_REQUIRE_WANTED);
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

Test(job, sends_nothing_for_what_is_not_wanted)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);

	stage_pass(HOUR);
	cr_assert_eq(stage.asked_count, 0);
	stage_wish(actor, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
}

Test(job, keeps_but_does_not_refresh_what_is_wanted_no_more)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	stage_wish(actor, STAPLE_REQUIRE_NONE);
	stage_pass(2 * HOUR);
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
}

Test(job, drops_an_attempt_that_is_wanted_no_more)
{
	struct stage_actor *actor;

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.at_once, 1);
	stage_wish(actor, STAPLE_REQUIRE_NONE);
	stage_run();
	cr_assert_eq(stage.at_once, 0);
}

Test(job, sends_nothing_because_of_a_reload)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	stage_correct(actor, NULL);
	stage_run();
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->settled);
}

Test(job, fetches_again_on_a_reload_while_nothing_is_held)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_correct(actor, NULL);
	stage_run();
	cr_assert_eq(stage.asked_count, 2);
}

Test(job, uses_the_responder_that_is_configured_now)
{
	static const char *const urls[] = { STAGE_B };
	const struct staple_source source = { .urls = urls, .url_count = 1 };
	struct stage_actor *actor;

	STAGE_PLAY(STAGE_A, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
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
Test(job, notices_within_a_minute_that_the_clock_leapt)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_set_clock(2 * HOUR);
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 2);
}

Test(job, notices_within_a_minute_that_the_clock_was_set_back)
{
	struct stage_actor *actor;

	fail_all(STAPLE_CONNECTION_REFUSED);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_set_clock(-30 * DAY);
	stage_pass(MINUTE + 20);
	cr_assert_geq(stage.asked_count, 2);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + HOUR);
}

Test(job, fetches_within_max_interval_when_the_clock_was_set_back)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	stage_set_clock(-30 * DAY);
	stage_pass(MINUTE);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + 7 * DAY);
}

/* The responder's clock was as wrong as ours, and both were corrected. */
Test(job, fetches_anew_when_what_it_holds_is_dated_in_the_future)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	cr_assert(stage_look(actor)->settled && stage_look(actor)->held);
	stage_set_clock(-2 * HOUR);
	cr_assert_gt(stage_look(actor)->this_update, stage_now() + HOUR);
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 2);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert_leq(stage_look(actor)->this_update, stage_now());
}

/* Ours alone: what is held is right and of no use meanwhile. */
Test(job, goes_on_fetching_while_what_it_holds_is_dated_in_the_future)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	STAGE_PLAY(NULL,
	    .answer = { .this_update = 2 * HOUR, .next_update = 3 * HOUR });
	stage_set_clock(-2 * HOUR);
	stage_pass(5 * MINUTE);
	cr_assert_geq(stage.asked_count, 4);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NOT_YET_VALID);
	cr_assert(stage_heard("clock"));
	cr_assert(stage_look(actor)->held);
}

Test(job, is_not_hurried_by_a_clock_that_is_set_back_within_the_skew)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_set_clock(-5 * MINUTE);
	stage_pass(2 * MINUTE);
	cr_assert_eq(stage.asked_count, 1);
}

/* ---- An issuer that is to be fetched ---- */

Test(job, fetches_the_issuer_and_then_the_response)
{
	struct stage_actor *actor = stage_enter_bare(
	    STAGE_AIA_CA, STAPLE_REQUIRE_FATAL);
	struct staple_cert *cert;

	cr_assert_eq(stage_look(actor)->unavailable_reason, STAPLE_UNASKED);
	cr_assert_not(stage_look(actor)->settled);
	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert_eq(stage.asked_count, 2);
	cr_assert(stage.asked[0].issuer && stage.asked[0].get);
	cr_assert_str_eq(stage.asked[0].url, STAGE_CA);
	cert = staple_entry_cert(actor->entry);
	cr_assert_eq(cert->origin, STAPLE_ORIGIN_AIA);
	cr_assert_null(cert->leaf);
	staple_cert_unref(cert);
}

Test(job, retries_an_issuer_like_a_response)
{
	struct stage_actor *actor;

	STAGE_PLAY(STAGE_CA, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	actor = stage_enter_bare(STAGE_AIA_CA, STAPLE_REQUIRE_FATAL);
	stage_run();
	cr_assert(stage_look(actor)->settled && !stage_look(actor)->held);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NO_ISSUER);
	cr_assert_eq(stage_look(actor)->failures, 1);
	cr_assert_str_eq(
	    stage_look(actor)->said, "issuer " STAGE_CA ": http_5xx");
	cr_assert_eq(stage_lines(STAPLE_LEVEL_ERROR), 1, "it is fatal");
	cr_assert(stage_heard("the issuer's certificate was not found (issuer "
			      "http://ca.example/ca.crt: http_5xx)"));
	cr_assert(stage_heard("; next attempt in "));
	stage_pass(9);
	cr_assert_eq(stage.asked_count, 1, "not under ten seconds");
	stage_pass(12);
	cr_assert_geq(stage.asked_count, 2);
	STAGE_PLAY(STAGE_CA, .way = STAGE_ANSWERS);
	stage_pass(HOUR);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
}

static const struct issuer_row {
	const char *what;
	struct stage_part part;
	const char *said;
} issuer_rows[] = {
	{ "garbage", { .way = STAGE_SENDS, .bytes = "<html>" },
	    "no certificate" },
	{ "a hang", { .way = STAGE_HANGS }, "timeout_headers" },
	{ "too much", { .way = STAGE_FAILS, .outcome = STAPLE_TOO_LARGE },
	    "too_large" },
	{ "https", { .way = STAGE_FAILS, .outcome = STAPLE_REDIRECT_REFUSED },
	    "redirected to a URL that is not http" },
};

Test(job, names_each_way_not_to_get_the_issuer)
{
	for (size_t i = 0; i < ARRAY_LEN(issuer_rows); i++) {
		const struct issuer_row *row = &issuer_rows[i];
		struct stage_actor *actor;

		stage_play(STAGE_CA, STAGE_ANY, &row->part);
		actor = stage_enter_bare(STAGE_AIA_CA, STAPLE_REQUIRE_WANTED);
		stage_pass(4);
		cr_expect_eq(stage_look(actor)->outcome, STAPLE_NO_ISSUER, "%s",
		    row->what);
		cr_expect_not_null(strstr(stage_look(actor)->said, row->said),
		    "%s: %s", row->what, stage_look(actor)->said);
		stage_leave(actor);
		stage_pass(HOUR);
	}
}

enum { MANY = 100 };

static void
enter_many(struct stage_actor *actors[MANY])
{
	for (size_t i = 0; i < MANY; i++)
		actors[i] = stage_enter_bare(
		    STAGE_AIA_CA, STAPLE_REQUIRE_WANTED);
}

Test(job, fetches_an_issuer_few_times_for_many_certificates)
{
	struct stage_actor *actors[MANY];

	STAGE_PLAY(STAGE_CA, .way = STAGE_ANSWERS, .took_ms = 200);
	enter_many(actors);
	stage_pass(10);
	for (size_t i = 0; i < MANY; i++)
		cr_assert_eq(stage_look(actors[i])->outcome, STAPLE_GOOD);
	cr_assert_leq(stage_issuers(), 4);
	stage_enter_bare(STAGE_AIA_CA, STAPLE_REQUIRE_WANTED);
	stage_pass(10);
	cr_assert_leq(stage_issuers(), 4, "one that comes later");
}

/* Each has failed, with the text of the fetch that failed. */
Test(job, does_not_let_many_certificates_hammer_a_dead_server)
{
	struct stage_actor *actors[MANY];

	STAGE_PLAY(
	    STAGE_CA, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
	enter_many(actors);
	stage_pass(1);
	for (size_t i = 0; i < MANY; i++) {
		cr_assert_eq(stage_look(actors[i])->outcome, STAPLE_NO_ISSUER);
		cr_assert_not_null(strstr(
		    stage_look(actors[i])->said, ": connection_refused"));
	}
	cr_assert_leq(stage_issuers(), 4);
	stage_pass(10 * MINUTE);
	cr_assert_leq(stage_issuers(), 200, "%u", stage_issuers());
	STAGE_PLAY(STAGE_CA, .way = STAGE_ANSWERS);
	stage_pass(HOUR);
	for (size_t i = 0; i < MANY; i++)
		cr_assert_eq(stage_look(actors[i])->outcome, STAPLE_GOOD);
}

/* A reload may show facts that were worked out before the issuer came. */
Test(job, goes_on_when_it_is_shown_without_its_issuer_again)
{
	struct stage_actor *actor = stage_enter_bare(
	    STAGE_AIA_CA, STAPLE_REQUIRE_FATAL);

	stage_run();
	cr_assert_eq(stage.asked_count, 2);
	stage_correct(actor, NULL);
	stage_run();
	cr_assert_eq(stage.asked_count, 2);
	cr_assert(stage_look(actor)->settled && stage_look(actor)->held);
}

#define ONE_HOST \
	"OCSP;URI:http://a.example/ocsp,caIssuers;URI:http://a.example/ca.crt"

/* ---- Issuers whose host is that of the responder ---- */

Test(job, probes_a_dead_host_of_issuers_no_more_often_than_another)
{
	unsigned before;

	STAGE_PLAY(
	    NULL, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
	stage_enter_bare(ONE_HOST, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_pass(10 * MINUTE);
	before = stage.asked_count;
	stage_pass(10 * MINUTE);
	cr_expect_leq(stage.asked_count - before, 12, "%u in ten minutes",
	    stage.asked_count - before);
	cr_expect_geq(stage.asked_count - before, 5, "%u in ten minutes",
	    stage.asked_count - before);
}

Test(job, retries_an_issuer_at_its_own_pace_while_the_responder_is_down)
{
	unsigned before;

	STAGE_PLAY(
	    NULL, .way = STAGE_ANSWERS, .answer = { .next_update = 7 * 86400 });
	STAGE_PLAY(
	    STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
	STAGE_PLAY(STAGE_CA, .way = STAGE_SENDS, .bytes = "nonsense");
	for (int i = 0; i < 6; i++)
		stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_pass(30);
	stage_enter_bare(STAGE_AIA_CA, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_pass(5 * MINUTE);
	before = stage_issuers();
	stage_pass(10 * MINUTE);
	cr_expect_leq(stage_issuers() - before, 25, "%u in ten minutes",
	    stage_issuers() - before);
}

/* A static file that is served shows nothing about the responder. */
Test(job, takes_no_issuer_for_an_answer_of_the_responder)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	STAGE_PLAY("http://a.example/ca.crt", .way = STAGE_ANSWERS);
	for (int i = 0; i < 20; i++)
		stage_enter(
		    "OCSP;URI:http://a.example/ocsp", STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_pass(20 * MINUTE);
	stage_enter_bare(ONE_HOST, STAPLE_REQUIRE_WANTED);
	stage_run();
	stage_pass(5 * MINUTE);
	cr_expect_geq(stage_issuers(), 1);
	cr_expect_not(stage_heard("is up again"));
}

TestSuite(revocation, .init = set_up, .fini = stage_close);

static void
revoke_all(void)
{
	STAGE_PLAY(NULL, .answer = { .status = OCSP_SAYS_REVOKED });
}

Test(revocation, is_confirmed_by_another_url)
{
	struct stage_actor *actor;

	revoke_all();
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.asked_count, 2);
	cr_assert_str_eq(stage.asked[1].url, STAGE_B);
	cr_assert(stage_look(actor)->held && stage_look(actor)->revoked);
	cr_assert(stage_look(actor)->confirmed && stage_look(actor)->settled);
}

Test(revocation, is_confirmed_by_the_other_method)
{
	static const enum staple_method methods[] = { STAPLE_METHOD_AUTO,
		STAPLE_METHOD_GET, STAPLE_METHOD_POST };

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		const struct staple_options options = { .method = methods[i] };
		struct stage_actor *actor;

		stage_close();
		stage_open(&options);
		revoke_all();
		actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
		stage_run();
		cr_assert_eq(stage.asked_count, 2);
		cr_assert_eq(stage.asked[0].get, i < 2);
		cr_assert_eq(stage.asked[1].get, i == 2);
		cr_assert(stage_look(actor)->confirmed);
	}
}

Test(revocation, is_stapled_before_it_is_confirmed)
{
	struct stage_actor *actor;

	revoke_all();
	STAGE_PLAY(STAGE_B, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed);
	cr_assert(!stage_look(actor)->settled, "confirmation is under way");
	cr_assert_gt(stage_lines(STAPLE_LEVEL_ERROR), 0);
}

Test(revocation, is_unconfirmable_without_a_second_answer)
{
	struct stage_actor *actor;

	STAGE_PLAY(
	    NULL, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
	STAGE_PLAY(STAGE_A, .answer = { .status = OCSP_SAYS_REVOKED });
	stage_play(STAGE_A, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->revoked && stage_look(actor)->settled);
	cr_assert(!stage_look(actor)->confirmed);
	cr_assert(stage_look(actor)->unconfirmable);
	revoke_all();
	stage_pass(30);
	cr_assert(stage_look(actor)->confirmed, "it asks again");
	cr_assert(!stage_look(actor)->unconfirmable);
}

/* certificateHold */
Test(revocation, is_lifted_by_a_newer_good_response)
{
	struct stage_actor *actor;

	revoke_all();
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_pass(35 * MINUTE);
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
}

Test(revocation, is_not_lifted_by_an_older_good_response)
{
	struct stage_actor *actor;

	revoke_all();
	STAGE_PLAY(STAGE_B, .answer = { .this_update = -2 * MINUTE });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->revoked);
	cr_assert(stage_look(actor)->confirmed, "by the other method");
}

Test(revocation, is_lifted_by_a_newer_second_answer)
{
	struct stage_actor *actor;

	revoke_all();
	STAGE_PLAY(STAGE_B, .answer = { .this_update = -30 });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed && stage_look(actor)->settled);
}

/* There is no other variant, and a certificateHold is lifted by its
 * responder. */
Test(revocation, is_lifted_by_the_only_try_that_is_answered)
{
	struct stage_actor *actor;

	revoke_all();
	stage_play(STAGE_A, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->unconfirmable);
	stage_pass(35 * MINUTE);
	cr_assert_leq(stage.asked_count, 8, "it asks in its own time");
	cr_assert(stage_look(actor)->unconfirmable, "one voice is one voice");
	cr_assert(stage_look(actor)->settled);
	stage_play(STAGE_A, STAGE_POST,
	    &(const struct stage_part){ .way = STAGE_ANSWERS });
	stage_pass(35 * MINUTE);
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
}

/* Tries are remembered by number: that of another responder means nothing. */
Test(revocation, is_confirmed_by_the_first_answer_of_another_responder)
{
	static const char *const urls[] = { STAGE_B };
	const struct staple_source source = { .urls = urls, .url_count = 1 };
	struct stage_actor *actor;

	revoke_all();
	stage_play(NULL, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->unconfirmable);
	stage_correct(actor, &source);
	stage_run();
	cr_assert(stage_look(actor)->confirmed);
	cr_assert(!stage.asked[stage.asked_count - 1].get);
}
