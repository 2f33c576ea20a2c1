/* The turn of the thread: hand-over, callbacks and the length of the wait. */
#include "staple/worker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "staple/cache.h"
#include "staple/settings.h"
#include "tests/support/stage.h"

enum { MINUTE = 60, HOUR = 3600 };

static void
set_up(void)
{
	stage_open(NULL);
}

TestSuite(worker, .init = set_up, .fini = stage_close);

static void
configure(const struct staple_options *options)
{
	struct staple_settings *settings = staple_settings_new(options);

	cr_assert_not_null(settings);
	staple_worker_configure(stage.worker, settings);
	staple_settings_unref(settings);
}

Test(worker, takes_over_more_entries_than_one_turn_does)
{
	struct stage_actor *last = NULL;

	for (int i = 0; i < 100; i++)
		last = stage_enter(NULL, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage_look(last)->outcome, STAPLE_NO_RESPONDER);
}

Test(worker, sleeps_up_to_a_minute_while_nothing_is_due)
{
	unsigned before;

	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	before = stage.turns;
	stage_pass(20 * MINUTE);
	cr_assert_geq(stage.turns - before, 20);
	cr_assert_leq(stage.turns - before, 22);
}

Test(worker, forgets_a_certificate_without_holders)
{
	struct staple_entry **entries;
	struct stage_actor *actor;
	size_t count;

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.at_once, 1);
	stage_leave(actor);
	stage_run();
	cr_assert_eq(stage.at_once, 0);
	entries = staple_cache_list(stage.cache, &count);
	cr_assert_eq(count, 0);
	free(entries);
}

Test(worker, fetches_all_that_is_wanted_on_a_refresh)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_FATAL);
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);
	stage_enter(NULL, STAPLE_REQUIRE_WANTED);
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 2);
	staple_worker_refresh(stage.worker);
	stage_run();
	cr_assert_eq(stage.asked_count, 4);
}

/* As a reload after it shows. */
Test(worker, schedules_nothing_without_a_responder)
{
	struct stage_actor *actor = stage_enter(NULL, STAPLE_REQUIRE_WANTED);

	stage_pass(MINUTE);
	staple_worker_refresh(stage.worker);
	stage_run();
	stage_wish(actor, STAPLE_REQUIRE_FATAL);
	stage_run();
	cr_assert_eq(stage_look(actor)->next_try, 0);
}

Test(worker, refreshes_at_most_every_ten_seconds)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	for (int i = 0; i < 9; i++) {
		staple_worker_refresh(stage.worker);
		stage_pass(1);
	}
	cr_assert_eq(stage.asked_count, 2);
	stage_pass(2);
	cr_assert_eq(stage.asked_count, 3, "what was asked for is not lost");
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 3);
}

Test(worker, takes_new_settings_from_the_next_try_on)
{
	const struct staple_options options = { .timeout_ms = 3000,
		.max_fetches = 1 };

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_eq(stage.asked[0].timeout_ms, 3333);
	configure(&options);
	for (int i = 0; i < 3; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_pass(8);
	cr_assert_eq(stage.most_at_once, 1);
	cr_assert_eq(stage.asked[1].timeout_ms, 1000);
	cr_assert_eq(stage.asked_count, 4);
}

Test(worker, shortens_what_is_planned_beyond_a_new_max_interval)
{
	const struct staple_options options = { .max_interval_s = 600 };
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	stage_run();
	configure(&options);
	stage_pass(MINUTE);
	cr_assert_leq(stage_look(actor)->next_try, stage_now() + 600);
	stage_pass(600);
	cr_assert_eq(stage.asked_count, 2);
}

Test(worker, calls_the_application_for_what_decides_alone)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_geq(stage.changes, 1);
	stage.changes = 0;
	stage_pass(HOUR);
	cr_assert_gt(stage.asked_count, 1);
	cr_assert_eq(stage.changes, 0, "a good one for a good one");
	STAGE_PLAY(NULL, .answer = { .status = OCSP_SAYS_REVOKED });
	stage_pass(HOUR);
	cr_assert_gt(stage.changes, 0);
}

/* Rule 20: the queue is served in the order of the due times. */
Test(worker, fetches_first_what_was_due_first)
{
	struct stage_actor *actors[10];

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS, .took_ms = 400);
	for (int i = 0; i < 10; i++) {
		actors[i] = stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
		stage_pass_ms(100);
	}
	stage_pass(5);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(stage.asked[i].who, actors[i], "number %d", i);
}

Test(worker, ends_its_turns_when_it_is_stopped)
{
	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	for (int i = 0; i < 10; i++)
		stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert_gt(stage.at_once, 0);
	stage_close();
	cr_assert_eq(stage.at_once, 0);
	stage_open(NULL);
}
