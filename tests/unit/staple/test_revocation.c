/* Who may say that a certificate is revoked, and who that it is not. */
#include "staple/errand.h"

#include <criterion/criterion.h>

#include "tests/support/stage.h"

enum { MINUTE = 60 };

static void
set_up(void)
{
	stage_open(NULL);
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
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_WISH_WANTED);
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
		actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
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
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed);
	cr_assert(!stage_look(actor)->settled, "confirmation is under way");
	cr_assert_gt(stage_lines(STAPLE_LEVEL_ERROR), 0);
}

Test(revocation, is_unconfirmable_when_nobody_else_answers)
{
	struct stage_actor *actor;

	STAGE_PLAY(
	    NULL, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
	STAGE_PLAY(STAGE_A, .answer = { .status = OCSP_SAYS_REVOKED });
	stage_play(STAGE_A, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_WISH_WANTED);
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
Test(revocation, is_lifted_by_a_newer_good_answer)
{
	struct stage_actor *actor;

	revoke_all();
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_pass(35 * MINUTE);
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
}

Test(revocation, is_not_lifted_by_an_older_good_answer)
{
	struct stage_actor *actor;

	revoke_all();
	STAGE_PLAY(STAGE_B, .answer = { .this_update = -2 * MINUTE });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->revoked);
	cr_assert(stage_look(actor)->confirmed, "by the other method");
}

Test(revocation, is_lifted_by_a_newer_second_answer)
{
	struct stage_actor *actor;

	revoke_all();
	STAGE_PLAY(STAGE_B, .answer = { .this_update = -30 });
	actor = stage_enter(STAGE_AIA_BOTH, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->confirmed && stage_look(actor)->settled);
}

/* Nobody else can be asked, and a hold is lifted by whoever placed it. */
Test(revocation, is_lifted_by_the_only_try_that_is_answered)
{
	struct stage_actor *actor;

	revoke_all();
	stage_play(STAGE_A, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
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
	actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert(stage_look(actor)->unconfirmable);
	stage_correct(actor, &source);
	stage_run();
	cr_assert(stage_look(actor)->confirmed);
	cr_assert(!stage.asked[stage.asked_count - 1].get);
}
