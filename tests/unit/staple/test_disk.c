/* What an earlier run has saved. */
#include "staple/disk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "staple/store.h"
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
empty_store(void)
{
	char command[128];

	snprintf(command, sizeof(command), "%s/ocsp", folder.path);
	for (unsigned i = 0; i < STAGE_ACTORS; i++) {
		char path[256];

		if (stage.actors[i] == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", command,
		    stage.actors[i]->cert->id);
		(void)unlink(path);
	}
	(void)rmdir(command);
}

static void
tear_down(void)
{
	empty_store();
	stage_close();
	pki_folder_remove(&folder);
}

TestSuite(disk, .init = set_up, .fini = tear_down);

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
save_answer(const struct stage_actor *actor, const struct ocsp_wish *answer)
{
	struct ocsp_made made = stage_answer(actor, answer);

	save(actor, made.der, made.len);
	ocsp_drop(&made);
}

Test(disk, staples_what_was_saved_while_nobody_answers)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);

	save_answer(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
	cr_assert_eq(stage.asked_count, 0, "its time has not come");
	stage_pass(35 * MINUTE);
	cr_assert_gt(stage.asked_count, 0);
	cr_assert(stage_look(actor)->held);
}

Test(disk, asks_at_once_when_the_middle_of_the_window_is_past)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);

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

Test(disk, says_in_a_line_what_it_does_not_use)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		const struct bad_row *row = &bad_rows[i];
		struct stage_actor *actor = stage_enter(
		    STAGE_AIA, STAPLE_WISH_WANTED);
		struct ocsp_made made = stage_answer(actor, &row->wish);
		size_t len = row->cut != 0 ? row->cut : made.len;

		save(actor, made.der, row->empty ? 0 : len);
		ocsp_drop(&made);
		stage.heard_count = 0;
		stage_run();
		cr_assert(!stage_look(actor)->held, "%s", row->what);
		cr_assert(
		    stage_heard("saved response is not used"), "%s", row->what);
		cr_assert_gt(stage.asked_count, i, "%s: it asks", row->what);
	}
}

Test(disk, does_not_use_the_response_of_another_certificate)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct stage_actor *other = stage_enter(STAGE_AIA, STAPLE_WISH_NONE);
	struct ocsp_made made = stage_answer(
	    other, &(const struct ocsp_wish){ 0 });

	save(actor, made.der, made.len);
	ocsp_drop(&made);
	stage_run();
	cr_assert(!stage_look(actor)->held);
	cr_assert(stage_heard("saved response is not used"));
}

/* Without an issuer nothing can be verified, and that is said anyway. */
Test(disk, does_not_look_at_what_it_cannot_verify)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct err err;
	struct staple_cert *bare = staple_cert_new(
	    actor->leaf.certificate, NULL, NULL, NULL, &err);

	cr_assert_not_null(bare);
	save_answer(actor, &(const struct ocsp_wish){ 0 });
	staple_cache_correct(actor->entry, bare);
	staple_cert_unref(bare);
	stage_run();
	cr_assert(!stage_heard("saved response"));
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_NO_ISSUER);
}

/* Rule 8: a file is no newer for having been touched. */
Test(disk, counts_the_default_lifetime_from_this_update)
{
	const struct ocsp_wish wish = { .this_update = stage_now() - HOUR };
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);

	save(actor, made.der, made.len);
	ocsp_drop(&made);
	stage_run();
	cr_assert_eq(stage_look(actor)->expires, stage_now() + DAY - HOUR);
}

/* As an earlier version saved what came. */
Test(disk, uses_what_was_saved_without_needless_certificates)
{
	const struct ocsp_wish wish = { .this_update = stage_now(),
		.next_update = stage_now() + HOUR };
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	struct ocsp_made made = authority_answer(
	    &stage.authority, &actor->leaf, &wish);
	struct ocsp_made padded = ocsp_append(&made, &actor->leaf, 100);
	struct staple_response *held;
	size_t len;

	save(actor, padded.der, padded.len);
	stage_run();
	held = staple_cache_held(actor->entry);
	cr_assert_not_null(held);
	cr_assert_eq(
	    memcmp(staple_response_der(held, &len), made.der, made.len), 0);
	cr_assert_eq(len, made.len);
	staple_response_unref(held);
	ocsp_drop(&padded);
	ocsp_drop(&made);
}

Test(disk, says_nothing_where_nothing_was_saved)
{
	stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);
	stage_run();
	cr_assert(!stage_heard("saved response"));
}

/* ---- A revoked file ---- */

Test(disk, asks_about_a_saved_revocation)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);

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

Test(disk, believes_a_saved_revocation_that_a_responder_repeats)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);

	STAGE_PLAY(NULL, .answer = { .status = OCSP_SAYS_REVOKED });
	save_answer(
	    actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED });
	stage_run();
	cr_assert(stage_look(actor)->confirmed && stage_look(actor)->settled);
}

Test(disk, forgets_a_saved_revocation_that_was_lifted)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_FATAL);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	save_answer(
	    actor, &(const struct ocsp_wish){ .status = OCSP_SAYS_REVOKED,
		       .this_update = -5 * MINUTE });
	stage_run();
	cr_assert(stage_look(actor)->held && !stage_look(actor)->revoked);
}
