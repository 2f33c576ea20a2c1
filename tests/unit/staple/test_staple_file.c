/* The file that another tool pushes, and when it is looked at. */
#include "staple/disk.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "staple/cache.h"
#include "tests/support/stage.h"

enum { MINUTE = 60, HOUR = 3600 };

static struct pki_folder folder;

static void
set_up(void)
{
	pki_folder_make(&folder);
	stage_open(NULL);
}

static void
tear_down(void)
{
	stage_close();
	pki_folder_remove(&folder);
}

TestSuite(staple_file, .init = set_up, .fini = tear_down);

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
	return stage_enter_with(&wish, &source, STAPLE_WISH_WANTED);
}

Test(staple_file, staples_a_file_and_asks_nobody)
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
	stage_pass(STAPLE_DISK_LOOK_S + 1);
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
	stage_pass(STAPLE_DISK_LOOK_S + 1);
	cr_assert_gt(stage_look(actor)->this_update, before);
}

Test(staple_file, keeps_what_it_holds_when_a_bad_file_comes)
{
	struct stage_actor *actor = enter_with_file();

	push(actor, &(const struct ocsp_wish){ 0 });
	stage_run();
	write_file(actor->cert->staple_file, "bad", 3);
	stage_pass(STAPLE_DISK_LOOK_S + 1);
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

/* No time passes: whoever watches files need not wait for the next look. */
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
	staple_cache_look(actor->entry);
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
	staple_cache_look(actor->entry);
	stage_run();
	cr_assert_eq(stage.changes, 0);
	cr_assert_eq(stage.heard_count, 0);
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_GOOD);
	cr_assert(stage_look(actor)->settled);
}

/* A bad one that has gone unnoticed for a minute would be judged again. */
Test(staple_file, that_is_bad_and_watched_again_is_looked_at_once)
{
	struct stage_actor *actor = enter_with_file();

	stage_run();
	cr_assert_eq(stage_look(actor)->outcome, STAPLE_FILE_UNREADABLE);
	staple_cache_look(actor->entry);
	stage_run();
	cr_assert_eq(stage_look(actor)->failures, 1u);
	push(actor, &(const struct ocsp_wish){ 0 });
	staple_cache_look(actor->entry);
	stage_run();
	cr_assert(stage_look(actor)->held && stage_look(actor)->settled);
}

/* A responder is not asked because somebody looks again. */
Test(staple_file, is_all_that_is_looked_at_when_it_is_watched_again)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_WISH_WANTED);

	STAGE_PLAY(NULL, .way = STAGE_ANSWERS);
	stage_run();
	cr_assert_eq(stage.asked_count, 1u);
	staple_cache_look(actor->entry);
	stage_run();
	cr_assert_eq(stage.asked_count, 1u);
	cr_assert(stage_look(actor)->held);
}
