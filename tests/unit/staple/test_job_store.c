/*
 * Responses from disk on the stage: what an earlier process or another one has
 * saved, and the staple_file of another tool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "staple/cache.h"
#include "staple/job.h"
#include "staple/response.h"
#include "staple/store.h"
#include "staple/worker.h"
#include "tests/support/stage.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };

static struct pki_folder folder;

static void
open_stage(void)
{
	const struct staple_options options = { .store_dir = folder.path };

	stage_open(&options);
	STAGE_PLAY(
	    NULL, .way = STAGE_FAILS, .outcome = STAPLE_CONNECTION_REFUSED);
}

static void
set_up(void)
{
	pki_folder_make(&folder);
	open_stage();
}

static void
remove_file(const struct stage_actor *actor)
{
	char path[256];

	snprintf(
	    path, sizeof(path), "%s/ocsp/%s", folder.path, actor->cert->id);
	(void)unlink(path);
}

static void
empty_store(void)
{
	char command[128], lock[256];

	snprintf(command, sizeof(command), "%s/ocsp", folder.path);
	LIST_FOREACH(&stage.actors, node) {
		remove_file(container_of(node, struct stage_actor, node));
	}
	snprintf(lock, sizeof(lock), "%s/.lock", command);
	(void)unlink(lock);
	(void)rmdir(command);
}

static void
tear_down(void)
{
	empty_store();
	stage_close();
	pki_folder_remove(&folder);
}

TestSuite(job_store, .init = set_up, .fini = tear_down);

/* As an earlier run would have. */
static void
save(const struct stage_actor *actor, const void *data, size_t len)
{
	struct staple_store *store;
	struct err err = { "" };

	store = staple_store_open(folder.path, &err);
	cr_assert_not_null(store, "%s", err.text);
	cr_assert(staple_store_write(store, actor->cert->id, data, len, &err),
	    "%s", err.text);
	staple_store_close(store);
}

static void
touch(const struct stage_actor *actor, int64_t when)
{
	const struct timeval times[2] = { { .tv_sec = when },
		{ .tv_sec = when } };
	char path[256];

	snprintf(
	    path, sizeof(path), "%s/ocsp/%s", folder.path, actor->cert->id);
	cr_assert_eq(utimes(path, times), 0);
}

static void
save_answer(const struct stage_actor *actor, const struct ocsp_wish *answer)
{
	struct ocsp_made made = stage_answer(actor, answer);

	save(actor, made.der, made.len);
	ocsp_drop(&made);
}

Test(job_store, staples_the_saved_response_during_an_outage)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	save_answer(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
	cr_assert_eq(stage.asked_count, 0, "its time has not come");
	stage_pass(35 * MINUTE);
	cr_assert_gt(stage.asked_count, 0);
	cr_assert(stage_look(actor)->held);
}

Test(job_store, fetches_at_once_when_the_middle_of_the_window_is_past)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	save_answer(
	    actor, &(const struct ocsp_wish){ .this_update = -40 * MINUTE });
	stage_run();
	cr_assert(stage_look(actor)->held);
	cr_assert_gt(stage.asked_count, 0);
}

static const struct bad_row {
	const char *what;
	struct ocsp_wish wish;
	size_t cut; /* bytes left; 0: all */
	bool empty;
} bad_rows[] = {
	{ "torn", { 0 }, 100, false },
	{ "empty", { 0 }, 0, true },
	{ "spoiled", { .spoiled = true }, 0, false },
	{ "expired", { .this_update = -HOUR, .next_update = -1 }, 0, false },
	{ "from the future", { .this_update = HOUR }, 0, false },
	{ "unknown", { .status = OCSP_SAYS_UNKNOWN }, 0, false },
	{ "an error", { .error = 3 }, 0, false },
};

Test(job_store, logs_what_it_does_not_use)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		const struct bad_row *row = &bad_rows[i];
		struct stage_actor *actor = stage_enter(
		    STAGE_AIA, STAPLE_REQUIRE_WANTED);
		struct ocsp_made made = stage_answer(actor, &row->wish);
		size_t len = row->cut != 0 ? row->cut : made.len;
		unsigned before;

		save(actor, made.der, row->empty ? 0 : len);
		ocsp_drop(&made);
		stage.heard_count = 0;
		before = stage.asked_count;
		stage_run();
		cr_assert(!stage_look(actor)->held, "%s", row->what);
		cr_assert(
		    stage_heard("saved response not used"), "%s", row->what);
		stage_pass(60); /* the host may be down */
		cr_assert_gt(
		    stage.asked_count, before, "%s: it asks", row->what);
	}
}

Test(job_store, does_not_use_the_response_of_another_certificate)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	struct stage_actor *other = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);
	struct ocsp_made made = stage_answer(
	    other, &(const struct ocsp_wish){ 0 });

	save(actor, made.der, made.len);
	ocsp_drop(&made);
	stage_run();
	cr_assert(!stage_look(actor)->held);
	cr_assert(stage_heard("saved response not used"));
}

/* Without an issuer nothing can be verified, which is logged anyway. */
Test(job_store, does_not_look_at_what_it_cannot_verify)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	struct err err;
	struct staple_cert *bare = staple_cert_new(
	    actor->leaf.certificate, NULL, NULL, NULL, &err);

	cr_assert_not_null(bare);
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	staple_cache_set_cert(actor->entry, bare);
	staple_cert_unref(bare);
	stage_run();
	cr_assert(!stage_heard("saved response"));
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NO_ISSUER);
}

static const struct touched_row {
	const char *what;
	int64_t saved; /* from now; that of the response is -1 h */
} touched_rows[] = {
	{ "touched a minute ago", -MINUTE },
	{ "touched before it was made", -9 * HOUR },
	{ "touched in the future", 9 * HOUR },
};

/* Rule 8: a process that uses a file sets its time, which means nothing for
 * the response. */
Test(job_store, takes_no_time_from_the_file)
{
	for (size_t i = 0; i < ARRAY_LEN(touched_rows); i++) {
		const struct touched_row *row = &touched_rows[i];
		const struct ocsp_wish wish = { .this_update = stage_now() -
							       HOUR };
		struct stage_actor *actor = stage_enter(
		    STAGE_AIA, STAPLE_REQUIRE_WANTED);
		struct ocsp_made made = authority_answer(
		    &stage.authority, &actor->leaf, &wish);

		save(actor, made.der, made.len);
		touch(actor, stage_now() + row->saved);
		ocsp_drop(&made);
		stage_run();
		cr_assert_eq(stage_look(actor)->expires,
		    stage_now() + DAY - HOUR, "%s", row->what);
	}
}

/* As an earlier version saved what came. */
Test(job_store, uses_what_was_saved_without_needless_certificates)
{
	const struct ocsp_wish wish = { .this_update = stage_now(),
		.next_update = stage_now() + HOUR };
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);
	struct ocsp_made padded = ocsp_append(&made, &actor->leaf, 100);
	struct staple_response *held;
	size_t len;

	save(actor, padded.der, padded.len);
	stage_run();
	held = staple_cache_response(actor->entry);
	cr_assert_not_null(held);
	cr_assert_eq(
	    memcmp(staple_response_der(held, &len), made.der, made.len), 0);
	cr_assert_eq(len, made.len);
	staple_response_unref(held);
	ocsp_drop(&padded);
	ocsp_drop(&made);
}

Test(job_store, logs_nothing_without_a_saved_response)
{
	stage_enter(STAGE_AIA, STAPLE_REQUIRE_WANTED);
	stage_run();
	cr_assert(!stage_heard("saved response"));
}

/* ---- Processes that share the store ---- */

/* It has a response for an hour, which it would replace in half an hour. */
static struct stage_actor *
enter_with_response(void)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	save_answer(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	cr_assert(stage_look(actor)->held);
	cr_assert_eq(stage.asked_count, 0);
	return actor;
}

Test(job_store, sends_nothing_for_what_another_process_has_fetched)
{
	struct stage_actor *actor = enter_with_response();

	stage_pass(20 * MINUTE);
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	stage_pass(20 * MINUTE);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert_gt(stage_look(actor)->this_update, stage_now() - 25 * MINUTE);
	cr_assert_gt(stage_look(actor)->next_try, stage_now());
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	stage_pass(HOUR);
	cr_assert_gt(stage.asked_count, 0, "the schedule goes on");
}

Test(job_store, is_settled_by_what_another_process_has_fetched)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	stage_run();
	cr_assert(!stage_look(actor)->held);
	cr_assert_gt(stage_look(actor)->failures, 0);
	stage.asked_count = 0;
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	stage_pass(MINUTE);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->failures, 0);
}

static const struct not_spared_row {
	const char *what;
	struct ocsp_wish saved;
	bool spoiled;
} not_spared_rows[] = {
	{ "past its middle", { .this_update = -40 * MINUTE }, false },
	{ "older", { .this_update = -50 * MINUTE }, false },
	{ "expired", { .this_update = -HOUR, .next_update = -1 }, false },
	{ "spoiled", { .spoiled = true }, false },
	{ "unknown", { .status = OCSP_SAYS_UNKNOWN }, false },
	{ "revoked", { .status = OCSP_SAYS_REVOKED }, false },
	{ "garbage", { 0 }, true },
};

Test(job_store, fetches_where_the_saved_response_is_not_enough)
{
	for (size_t i = 0; i < ARRAY_LEN(not_spared_rows); i++) {
		const struct not_spared_row *row = &not_spared_rows[i];
		struct stage_actor *actor = enter_with_response();

		stage_pass(25 * MINUTE);
		stage.heard_count = 0;
		if (row->spoiled)
			save(actor, "garbage", 7);
		else
			save_answer(actor, &row->saved);
		stage_pass(9 * MINUTE);
		cr_assert_gt(stage.asked_count, 0, "%s", row->what);
		cr_assert(!stage_heard("saved response"), "%s", row->what);
		remove_file(actor);
		stage_leave(actor);
		stage_run();
		stage.asked_count = 0;
	}
}

Test(job_store, fetches_on_demand_whatever_another_process_has_fetched)
{
	struct stage_actor *actor = enter_with_response();

	stage_pass(MINUTE);
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	staple_worker_refresh(stage.worker);
	stage_run();
	cr_assert_gt(stage.asked_count, 0);
}

/* A response that another process has saved confirms no revocation. */
Test(job_store, confirms_a_revocation_by_fetching)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA_BOTH, STAPLE_REQUIRE_WANTED);

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	STAGE_PLAY(STAGE_A, .answer = { .status = OCSP_SAYS_REVOKED });
	stage_run();
	cr_assert(stage_look(actor)->revoked);
	cr_assert_eq(stage.asked_count, 2, "it is being confirmed");
	save_answer(actor, &(const struct ocsp_wish){ .this_update = -30 });
	stage_pass(20);
	cr_assert(stage_look(actor)->revoked);
	cr_assert(stage_look(actor)->confirmed);
}

/* ---- Claims ---- */

static struct staple_store *shared; /* as another process would open it */

static struct staple_claim *
claim_as_another(const struct stage_actor *actor)
{
	struct staple_claim *claim;
	struct err err;

	shared = staple_store_open(folder.path, &err);
	cr_assert_not_null(shared);
	cr_assert(staple_store_claim(shared, actor->cert->id, &claim));
	cr_assert_not_null(claim);
	staple_store_close(shared);
	return claim;
}

Test(job_store, waits_for_a_process_that_is_fetching)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);
	struct staple_claim *claim = claim_as_another(actor);

	stage_pass(3);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(!stage_look(actor)->settled);
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	staple_claim_release(claim);
	stage_pass(2);
	cr_assert_eq(stage.asked_count, 0);
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
}

Test(job_store, fetches_when_the_other_process_has_failed)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);
	struct staple_claim *claim = claim_as_another(actor);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_pass(2);
	staple_claim_release(claim);
	stage_pass(2);
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
}

Test(job_store, fetches_when_the_other_process_takes_too_long)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);
	struct staple_claim *claim = claim_as_another(actor);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_pass(4);
	cr_assert_eq(stage.asked_count, 0);
	stage_pass(3);
	cr_assert_eq(stage.asked_count, 1);
	cr_assert(stage_look(actor)->held);
	staple_claim_release(claim);
}

/* It is due after half an hour or so, and valid for longer. */
Test(job_store, waits_longer_while_it_holds_something_valid)
{
	struct stage_actor *actor = enter_with_response();
	struct staple_claim *claim = claim_as_another(actor);

	stage_pass(26 * MINUTE);
	while (stage_look(actor)->next_try > stage_now())
		stage_pass(1);
	stage_pass(50);
	cr_assert_eq(stage.asked_count, 0);
	stage_pass(20);
	cr_assert_gt(stage.asked_count, 0);
	staple_claim_release(claim);
}

static bool
is_claimed(const struct stage_actor *actor)
{
	struct staple_claim *claim;
	struct err err;
	bool free;

	shared = staple_store_open(folder.path, &err);
	cr_assert_not_null(shared);
	free = staple_store_claim(shared, actor->cert->id, &claim);
	staple_claim_release(claim);
	staple_store_close(shared);
	return !free;
}

Test(job_store, has_a_claim_as_long_as_it_fetches)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	stage_run();
	cr_assert_eq(stage.at_once, 1);
	cr_assert(is_claimed(actor));
	for (int i = 0; i < 30 && stage.at_once > 0; i++)
		stage_pass(1);
	cr_assert_eq(stage.at_once, 0);
	cr_assert(!is_claimed(actor), "the attempt has failed");
	while (stage.at_once == 0)
		stage_pass(1);
	cr_assert(is_claimed(actor));
	stage_wish(actor, STAPLE_REQUIRE_NONE);
	stage_run();
	cr_assert(!is_claimed(actor), "the attempt was dropped");
}

/* ---- A revoked file ---- */

Test(job_store, fetches_after_a_saved_revocation)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	save_answer(
	    actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED });
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->revoked);
	cr_assert(!stage_look(actor)->settled, "it asks first");
	stage_pass(20);
	cr_assert(stage_look(actor)->settled);
	cr_assert(stage_look(actor)->unconfirmable);
	cr_assert(!stage_look(actor)->confirmed);
}

Test(job_store, believes_a_saved_revocation_that_a_responder_repeats)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	STAGE_PLAY(NULL, .answer = { .status = OCSP_SAYS_REVOKED });
	save_answer(
	    actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED });
	stage_run();
	cr_assert(stage_look(actor)->confirmed && stage_look(actor)->settled);
}

Test(job_store, forgets_a_saved_revocation_that_was_lifted)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_FATAL);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	save_answer(
	    actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED,
		       .this_update = -5 * MINUTE });
	stage_run();
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
}

static void
staple_file_set_up(void)
{
	pki_folder_make(&folder);
	stage_open(NULL);
}

static void
staple_file_tear_down(void)
{
	stage_close();
	pki_folder_remove(&folder);
}

TestSuite(
    staple_file, .init = staple_file_set_up, .fini = staple_file_tear_down);

static void
write_file(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(data, 1, len, file), len);
	fclose(file);
}

static void
push(const struct stage_actor *actor, const struct ocsp_wish *answer)
{
	struct ocsp_made made = stage_answer(actor, answer);

	write_file(actor->cert->staple_file, made.der, made.len);
	ocsp_drop(&made);
}

static struct stage_actor *
enter_with_file(void)
{
	static char path[128];
	const struct pki_wish wish = { .name = "site.example" };
	const struct staple_source source = { .staple_file = path };

	snprintf(path, sizeof(path), "%s/staple.der", folder.path);
	return stage_enter_with(&wish, &source, STAPLE_REQUIRE_WANTED);
}

Test(staple_file, staples_a_file_and_sends_nothing)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_pass(50 * MINUTE);
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert_eq(stage.asked_count, 0);
}

Test(staple_file, takes_a_file_that_comes_later)
{
	struct stage_actor *actor = enter_with_file();

	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_FILE_UNREADABLE);
	cr_assert(stage_look(actor)->settled && !stage_look(actor)->held);
	push(actor, &(const struct ocsp_wish){ 0 });
	stage_pass(STAPLE_FILE_CHECK_S + 1);
	cr_assert(stage_look(actor)->held);
}

Test(staple_file, takes_a_file_that_replaces_another)
{
	struct stage_actor *actor = enter_with_file();
	int64_t before;

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	before = stage_look(actor)->this_update;
	stage_pass(30 * MINUTE);
	push(actor, &(const struct ocsp_wish){
			.this_update = -1, .next_update = 2 * HOUR });
	stage_pass(STAPLE_FILE_CHECK_S + 1);
	cr_assert_gt(stage_look(actor)->this_update, before);
}

Test(staple_file, keeps_what_it_holds_when_a_bad_file_comes)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	write_file(actor->cert->staple_file, "bad", 3);
	stage_pass(STAPLE_FILE_CHECK_S + 1);
	cr_assert(stage_look(actor)->held);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_MALFORMED);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_WARNING), 0);
}

/* The clock of this host was an hour late. */
Test(staple_file, looks_again_at_a_file_that_was_no_good)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){
			.this_update = HOUR, .next_update = 3 * HOUR });
	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NOT_YET_VALID);
	stage_set_clock(HOUR);
	stage_pass(2 * MINUTE);
	cr_assert(stage_look(actor)->held);
}

Test(staple_file, cannot_confirm_a_revocation_that_was_pushed)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED });
	stage_run();
	cr_assert(stage_look(actor)->revoked && stage_look(actor)->settled);
	cr_assert(stage_look(actor)->unconfirmable);
	cr_assert_eq(stage.asked_count, 0);
}

Test(staple_file, warns_when_no_new_file_comes)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_pass(28 * MINUTE);
	cr_assert_eq(stage_lines(STAPLE_LEVEL_WARNING), 0);
	stage_pass(30 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_WARNING), 0);
	stage_pass(2 * MINUTE);
	cr_assert_gt(stage_lines(STAPLE_LEVEL_ERROR), 0);
}

/* ---- Looking at once ---- */

/* No time passes: a repeated watch checks the file at once. */
Test(staple_file, is_taken_at_once_when_it_is_watched_again)
{
	struct stage_actor *actor = enter_with_file();
	int64_t before;

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	before = stage_look(actor)->this_update;
	stage_pass(30 * MINUTE + 1);
	push(actor, &(const struct ocsp_wish){
			.this_update = -1, .next_update = 2 * HOUR });
	stage_run();
	cr_assert_eq(stage_look(actor)->this_update, before, "nobody said so");
	staple_cache_check_file(actor->entry);
	stage_run();
	cr_assert_gt(stage_look(actor)->this_update, before);
	cr_assert_eq(stage.asked_count, 0);
}

Test(staple_file, that_is_watched_again_unchanged_is_no_news)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	stage.changes = 0;
	stage.heard_count = 0;
	staple_cache_check_file(actor->entry);
	stage_run();
	cr_assert_eq(stage.changes, 0);
	cr_assert_eq(stage.heard_count, 0);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert(stage_look(actor)->settled);
}

/* A bad file is checked again after a minute. */
Test(staple_file, that_is_bad_and_watched_again_is_looked_at_once)
{
	struct stage_actor *actor = enter_with_file();

	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_FILE_UNREADABLE);
	staple_cache_check_file(actor->entry);
	stage_run();
	cr_assert_eq(stage_look(actor)->failures, 1u);
	push(actor, &(const struct ocsp_wish){ 0 });
	staple_cache_check_file(actor->entry);
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
}

/* A repeated watch causes no request. */
Test(staple_file, is_all_that_is_looked_at_when_it_is_watched_again)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA, STAPLE_REQUIRE_WANTED);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_run();
	cr_assert_eq(stage.asked_count, 1u);
	staple_cache_check_file(actor->entry);
	stage_run();
	cr_assert_eq(stage.asked_count, 1u);
	cr_assert(stage_look(actor)->held);
}
