/* One attempt on the stage: variants, hosts, permits, the issuer. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "staple/attempt.h"
#include "staple/host_limits.h"
#include "tests/support/stage.h"

static void
set_up(void)
{
	stage_open(NULL);
}

TestSuite(attempt, .init = set_up, .fini = stage_close);

/* The requests so far, in short: "a b a/get a/256"; "!": with no-cache. */
static const char *
asked(void)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < stage.asked_count; i++) {
		const struct stage_asked *one = &stage.asked[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s%c%s%s%s", i > 0 ? " " : "", one->url[7],
		    one->get ? "/get" : "", one->sha256 ? "/256" : "",
		    one->no_cache ? "!" : "");
	}
	return text;
}

static const struct order_row {
	const char *what;
	struct stage_part a;
	const char *expect;
	enum staple_outcome outcome; /* b refuses always */
} order_rows[] = {
	{ "the first answers", { .way = STAGE_ANSWERS }, "a/get", STAPLE_GOOD },
	{ "nobody listens",
	    { .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED },
	    "a/get b/get", STAPLE_CONNECTION_REFUSED },
	{ "HTTP is in the way",
	    { .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX }, "a/get a b/get",
	    STAPLE_HTTP_5XX },
	{ "no response",
	    { .way = STAGE_SENDS, .bytes = "<html>", .wrong_type = true },
	    "a/get a b/get", STAPLE_NOT_OCSP },
	{ "unauthorized", { .way = STAGE_ANSWERS, .answer = { .error = 6 } },
	    "a/get a/get/256 b/get", STAPLE_UNAUTHORIZED },
	{ "unknown",
	    { .way = STAGE_ANSWERS, .answer = { .status = OCSP_SAYS_UNKNOWN } },
	    "a/get a/get/256 b/get", STAPLE_UNKNOWN },
	{ "try later", { .way = STAGE_ANSWERS, .answer = { .error = 3 } },
	    "a/get b/get", STAPLE_TRY_LATER },
	{ "Retry-After",
	    { .way = STAGE_FAILS,
		.outcome = STAPLE_HTTP_5XX,
		.retry_after_s = 5 },
	    "a/get b/get", STAPLE_HTTP_5XX },
	{ "an expired response",
	    { .way = STAGE_ANSWERS,
		.answer = { .this_update = -7200, .next_update = -60 } },
	    "a/get a/get! b/get", STAPLE_EXPIRED },
	{ "spoiled", { .way = STAGE_ANSWERS, .answer = { .spoiled = true } },
	    "a/get b/get", STAPLE_BAD_SIGNATURE },
};

Test(attempt, tries_methods_hashes_and_urls_in_order)
{
	for (size_t i = 0; i < ARRAY_LEN(order_rows); i++) {
		const struct order_row *row = &order_rows[i];
		struct stage_actor *actor;

		stage_close();
		stage_open(NULL);
		stage_play(STAGE_A, STAGE_ANY, &row->a);
		STAGE_PLAY(STAGE_B, .way = STAGE_FAILS,
		    .outcome = STAPLE_CONNECTION_REFUSED);
		actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
		stage_run();
		cr_assert_str_eq(asked(), row->expect, "%s", row->what);
		cr_assert_eq(stage_look(actor)->outcome, row->outcome, "%s: %s",
		    row->what, stage_look(actor)->said);
	}
}

Test(attempt, ends_with_the_first_answer)
{
	struct stage_actor *actor;

	STAGE_PLAY(STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_str_eq(asked(), "a/get a b/get");
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert(stage_look(actor)->held);
}

Test(attempt, begins_with_what_worked)
{
	struct stage_actor *actor;

	STAGE_PLAY(STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	STAGE_PLAY(STAGE_B, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	stage_play(STAGE_B, STAGE_POST, &(const struct stage_part){ 0 });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_str_eq(asked(), "a/get a b/get b");
	stage_pass(2400);
	cr_assert_str_eq(asked(), "a/get a b/get b b");
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
}

Test(attempt, reports_the_result_of_each_url)
{
	struct stage_actor *actor;
	const char *said;

	STAGE_PLAY(STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX);
	STAGE_PLAY(STAGE_B, .way = STAGE_FAILS, .outcome = STAPLE_EMPTY);
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	said = stage_look(actor)->said;
	cr_assert_str_eq(said,
	    STAGE_A " by GET: http_4xx; " STAGE_A ": http_4xx; " STAGE_B
		    " by GET: empty; " STAGE_B ": empty",
	    "%s", said);
}

Test(attempt, gives_a_try_a_third_of_the_time)
{
	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_pass_ms(6700);
	cr_assert_str_eq(asked(), "a/get b/get");
	cr_assert_eq(stage.asked[0].timeout_ms, 3333);
	cr_assert_eq(stage.asked[1].timeout_ms, 3333);
	cr_assert_eq(stage.at_once, 0, "the attempt is over");
}

/* Each try a little less than its share: the fourth has what is left. */
Test(attempt, ends_with_its_deadline)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
	    .took_ms = 3000);
	stage_enter(STAGE_AIA_BOTH ",OCSP;URI:http://c.example/",
	    STAPLE_REQUIRE_WANTED);
	stage_pass_ms(9999);
	cr_assert_str_eq(asked(), "a/get a b/get b");
	cr_assert_eq(stage.asked[3].timeout_ms, 1000);
	stage_pass_ms(1000);
	cr_assert_str_eq(asked(), "a/get a b/get b");
	cr_assert_eq(stage.at_once, 0);
}

/* Forty certificates of one responder that hangs: they wait for longer than an
 * attempt may take, and still get all of their time. */
Test(attempt, loses_no_time_by_waiting_for_a_permit)
{
	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	for (int i = 0; i < 40; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(40);
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .took_ms = 3000);
	stage_pass(90);
	cr_assert_geq(stage.asked_count, 45);
	for (unsigned i = 0; i < stage.asked_count; i++)
		cr_assert_eq(stage.asked[i].timeout_ms, 3333, "ask %u", i);
	LIST_FOREACH(&stage.actors, node)
		cr_assert(
		    stage_look(container_of(node, struct stage_actor, node))
			->held);
}

static void
ask_about(unsigned certificates, uint32_t took_ms)
{
	stage_close();
	stage_open(NULL);
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .took_ms = took_ms);
	for (unsigned i = 0; i < certificates; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
}

Test(attempt, takes_more_permits_of_a_host_while_it_is_quick)
{
	ask_about(100, 500);
	stage_run();
	cr_assert_eq(stage.at_once, STAPLE_HOST_PERMITS);
	stage_pass(5);
	cr_assert_eq(stage.asked_count, 100);
	cr_assert_eq(stage.most_at_once, STAPLE_HOST_PERMITS_MAX);
	ask_about(100, 501);
	stage_pass(20);
	cr_assert_eq(stage.asked_count, 100);
	cr_assert_eq(stage.most_at_once, STAPLE_HOST_PERMITS);
}

Test(attempt, counts_a_slow_permit_no_more)
{
	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	for (int i = 0; i < 8; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass_ms(1999);
	cr_assert_eq(stage.asked_count, STAPLE_HOST_PERMITS);
	stage_pass_ms(1);
	cr_assert_eq(stage.asked_count, 2 * STAPLE_HOST_PERMITS);
}

Test(attempt, keeps_to_max_fetches)
{
	const struct staple_options options = { .max_fetches = 3 };
	char aia[64];

	stage_close();
	stage_open(&options);
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .took_ms = 100);
	for (int i = 0; i < 20; i++) {
		snprintf(aia, sizeof(aia), "OCSP;URI:http://h%d.example/", i);
		stage_enter(aia, STAPLE_REQUIRE_WANTED);
	}
	stage_pass(2);
	cr_assert_eq(stage.asked_count, 20);
	cr_assert_eq(stage.most_at_once, 3);
}

/* Rule 28: thirty of the hanging one, and one of another. */
Test(attempt, delays_only_certificates_of_the_responder_that_hangs)
{
	struct stage_actor *other;

	STAGE_PLAY(STAGE_A, .way = STAGE_HANGS);
	for (int i = 0; i < 30; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	other = stage_enter("OCSP;URI:" STAGE_B, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(other)->held);
}

/* ---- hosts that are down ---- */

static unsigned
count_settled(void)
{
	unsigned count = 0;

	LIST_FOREACH(&stage.actors, node)
		count += stage_look(
		    container_of(node, struct stage_actor, node))
			     ->settled;
	return count;
}

/* A start waits for what is not settled. */
Test(attempt, counts_as_failed_where_the_host_is_down)
{
	struct stage_actor *late;

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	for (int i = 0; i < 50; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_FATAL);
	stage_pass(8);
	cr_assert_eq(count_settled(), 50);
	late = stage_enter(STAGE_AIA, STAPLE_REQUIRE_FATAL);
	stage_run();
	cr_assert(stage_look(late)->settled && !stage_look(late)->held);
	cr_assert_eq(stage_look(late)->outcome, STAPLE_TIMEOUT_HEADERS);
	cr_assert_not_null(strstr(stage_look(late)->said, "host is down"));
	cr_assert_gt(stage_look(late)->next_try, stage_now());
	cr_assert_leq(stage_look(late)->next_try, stage_now() + 60);
}

/* Later than ten seconds after a failure what was never tried comes first. */
Test(attempt, probes_first_with_what_was_never_tried)
{
	struct stage_actor *late;
	unsigned before;

	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	for (int i = 0; i < 20; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(15);
	before = stage.asked_count;
	late = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.asked_count, before + 2, "by POST and by GET");
	cr_assert_eq(stage.asked[before].who, late);
	cr_assert_eq(stage.asked[before + 1].who, late);
	cr_assert_eq(stage_look(late)->outcome, STAPLE_HTTP_5XX);
}

Test(attempt, turns_to_another_host_where_one_is_down)
{
	struct stage_actor *both;

	STAGE_PLAY(STAGE_A, .way = STAGE_HANGS);
	for (int i = 0; i < 20; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	both = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(!stage_look(both)->held, "it waits for the first");
	stage_pass(6);
	cr_assert(stage_look(both)->held);
	both = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(stage_look(both)->held, "at once");
}

Test(attempt, waits_for_whichever_host_answers_first)
{
	struct stage_actor *both = NULL;

	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_UNREACHABLE);
	for (int i = 0; i < 20; i++)
		both = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
	stage_enter("OCSP;URI:" STAGE_B, STAPLE_REQUIRE_WANTED);
	stage_pass(300);
	cr_assert(!stage_look(both)->held);
	STAGE_PLAY(STAGE_B, .way = STAGE_ANSWERS);
	stage_pass(62);
	cr_assert(stage_look(both)->held);
}

/* One line of the host, however many certificates wait. */
Test(attempt, reports_once_that_a_host_is_down)
{
	unsigned lines = 0;

	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_UNREACHABLE);
	for (int i = 0; i < 20; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(1000);
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_pass(100);
	for (unsigned i = 0; i < stage.heard_count; i++)
		lines += strstr(stage.heard[i].message,
			     "responder host a.example:80 is down") != NULL;
	cr_assert_eq(lines, 1);
	cr_assert(stage_heard("responder host a.example:80 is up again"));
}

static const struct method_row {
	const char *what;
	enum staple_method method;
	const char *expect;
} method_rows[] = {
	{ "by default", STAPLE_METHOD_AUTO, "a/get a" },
	{ "method = post", STAPLE_METHOD_POST, "a a/get" },
	{ "method = get", STAPLE_METHOD_GET, "a/get a" },
};

Test(attempt, begins_with_the_configured_method)
{
	for (size_t i = 0; i < ARRAY_LEN(method_rows); i++) {
		const struct method_row *row = &method_rows[i];
		const struct staple_options options = { .method = row->method };

		stage_close();
		stage_open(&options);
		STAGE_PLAY(
		    NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
		stage_run();
		cr_assert_str_eq(asked(), row->expect, "%s", row->what);
	}
}

/* Not the same host under another path, and not for a confirmation. */
Test(attempt, sends_no_more_to_a_host_with_retry_after)
{
	STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
	    .retry_after_s = 600);
	stage_enter(STAGE_AIA_BOTH ",OCSP;URI:http://a.example/other/",
	    STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_str_eq(asked(), "a/get b/get");
}

/* ---- Caches that keep a response too long ---- */

Test(attempt, bypasses_caches_after_an_expired_response)
{
	STAGE_PLAY(STAGE_A, .way = STAGE_ANSWERS,
	    .answer = { .this_update = -7200, .next_update = -60 });
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_str_eq(asked(), "a/get a/get!");
	STAGE_PLAY(STAGE_A, .way = STAGE_ANSWERS);
	stage_pass(60);
	cr_assert_str_eq(asked(), "a/get a/get! a/get!");
	stage_pass(2400);
	cr_assert_str_eq(asked(), "a/get a/get! a/get! a/get", "fresh again");
}

/* The same bytes are normal about the middle, and not in the last quarter: a
 * response is a minute old and valid for an hour in all. */
Test(attempt, bypasses_caches_when_the_same_response_comes_near_its_end)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);
	struct ocsp_made same = stage_answer(
	    actor, &(const struct ocsp_wish){ 0 });
	int64_t late_ms = stage.mono_ms + 44 * 60 * 1000;

	STAGE_PLAY(NULL, .way = STAGE_SENDS, .same = &same);
	stage_wish(actor, STAPLE_REQUIRE_WANTED);
	stage_pass(3500);
	cr_assert_gt(stage.asked_count, 4);
	for (unsigned i = 1; i < stage.asked_count; i++) {
		const struct stage_asked *before = &stage.asked[i - 1];

		cr_expect_eq(stage.asked[i].no_cache, before->at_ms >= late_ms,
		    "ask %u of %u", i, stage.asked_count);
	}
	cr_assert(stage.asked[stage.asked_count - 1].no_cache);
	ocsp_drop(&same);
}

/* Five attempts take the host down while others are under way on it. */
static void
answer_5xx_slowly(int64_t retry_after_s)
{
	STAGE_PLAY(
	    NULL, .way = STAGE_ANSWERS, .answer = { .next_update = 7 * 86400 });
	STAGE_PLAY(STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
	    .took_ms = 700);
	stage_play(STAGE_A, STAGE_POST,
	    &(const struct stage_part){ .way = STAGE_FAILS,
		.outcome = STAPLE_HTTP_5XX,
		.took_ms = 100,
		.retry_after_s = retry_after_s });
}

Test(attempt, leaves_a_host_that_goes_down_meanwhile)
{
	static const int64_t retry_after_s[] = { 0, 3600 };
	enum { MANY = 20 };

	for (size_t i = 0; i < 2; i++) {
		struct stage_actor *actors[MANY];

		answer_5xx_slowly(retry_after_s[i]);
		for (int n = 0; n < MANY; n++) {
			actors[n] = stage_enter(
			    STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);
			stage_run();
			stage_pass_ms(130);
		}
		stage_pass(3);
		for (int n = 0; n < MANY; n++) {
			cr_expect(stage_look(actors[n])->settled, "%d", n);
			cr_expect(stage_look(actors[n])->held, "%d", n);
			stage_leave(actors[n]);
		}
		stage_pass(2 * 3600);
	}
}
