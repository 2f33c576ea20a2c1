/*
 * From a change on the disk to the call, as inotify tells of it.
 */
#include "runtime/watch.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/stamp.h"
#include "runtime/watch_inner.h"
#include "tests/unit/runtime/watch_rig.h"

static struct watch_rig rig;

static void
set_up(void)
{
	rig_open(&rig);
}

static void
tear_down(void)
{
	rig_close(&rig);
}

TestSuite(watch, .init = set_up, .fini = tear_down);

Test(watch, sees_every_way_to_renew_a_file)
{
	for (size_t i = 0; i < watch_way_count; i++) {
		rig_lay_out(&rig);
		watch_ways[i].change(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", watch_ways[i].what);
		cr_expect_str_eq(rig.seen[0], "new", "%s", watch_ways[i].what);
		rig_close(&rig);
		rig_open(&rig);
	}
}

/* What came with the first change is watched as well. */
Test(watch, sees_the_second_change_after_each_way)
{
	for (size_t i = 0; i < watch_way_count; i++) {
		rig_lay_out(&rig);
		watch_ways[i].change(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", watch_ways[i].what);
		scene_write(&rig.scene, "current/tls.crt", "newer");
		cr_assert(rig_until(&rig, 2), "%s", watch_ways[i].what);
		cr_expect_str_eq(
		    rig.seen[1], "newer", "%s", watch_ways[i].what);
		rig_close(&rig);
		rig_open(&rig);
	}
}

Test(watch, sees_a_file_go_and_come)
{
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	scene_remove(&rig.scene, "cert");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "cert", "new");
	cr_assert(rig_until(&rig, 2));
	cr_expect_str_eq(rig.seen[1], "new");
}

Test(watch, sees_folders_go_and_come)
{
	scene_folder(&rig.scene, "a");
	scene_folder(&rig.scene, "a/b");
	scene_write(&rig.scene, "a/b/cert", "old");
	rig_follow(&rig, "a/b/cert");
	scene_remove(&rig.scene, "a/b/cert");
	scene_remove(&rig.scene, "a/b");
	scene_remove(&rig.scene, "a");
	cr_assert(rig_until(&rig, 1));
	scene_folder(&rig.scene, "a");
	scene_folder(&rig.scene, "a/b");
	scene_write(&rig.scene, "a/b/cert", "new");
	cr_assert(rig_until(&rig, 2));
	cr_expect_str_eq(rig.seen[1], "new");
}

Test(watch, sees_what_was_never_there)
{
	rig_follow(&rig, "a/b/cert");
	scene_folder(&rig.scene, "a");
	scene_folder(&rig.scene, "a/b");
	scene_write(&rig.scene, "a/b/cert", "new");
	cr_assert(rig_until(&rig, 1));
	cr_expect_str_eq(rig.seen[0], "new");
}

Test(watch, calls_once_for_a_file_written_in_two_halves)
{
	FILE *file;

	rig_watch(&rig, NULL, 0.3, RIG_NEVER_S);
	rig_follow(&rig, "cert");
	file = fopen(scene_path(&rig.scene, "cert"), "w");
	cr_assert_not_null(file);
	fputs("ha", file);
	fflush(file);
	ev_run(rig.loop, EVRUN_ONCE); /* the creation is noticed */
	cr_assert_eq(rig.calls, 0);
	fputs("lf", file);
	fclose(file);
	cr_assert(rig_until(&rig, 1));
	cr_expect_str_eq(rig.seen[0], "half");
	scene_replace(&rig.scene, "cert", "next");
	cr_assert(rig_until(&rig, 2));
	cr_expect_str_eq(rig.seen[1], "next", "there was no call between");
}

/* The last thing that happens is the one to look after. */
Test(watch, calls_once_for_many_changes)
{
	char text[16];

	rig_watch(&rig, NULL, 0.3, RIG_NEVER_S);
	rig_follow(&rig, "cert");
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%d", i);
		scene_replace(&rig.scene, "cert", text);
		ev_run(rig.loop, EVRUN_NOWAIT);
	}
	cr_assert(rig_until(&rig, 1));
	cr_expect_str_eq(rig.seen[0], "19");
}

Test(watch, does_not_wait_for_quiet_for_ever)
{
	struct watch_patience patience = { RIG_NEVER_S, 0.1, RIG_NEVER_S };

	watch_be_patient(rig.watch, &patience);
	rig_follow(&rig, "cert");
	scene_write(&rig.scene, "cert", "new");
	ev_run(rig.loop, EVRUN_ONCE);
	scene_write(&rig.scene, "cert", "newer");
	cr_expect(rig_until(&rig, 1));
}

Test(watch, sees_what_changed_after_the_reading)
{
	struct watch_path path = { rig.path, false };
	struct stamp read;

	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	read = stamp_of(rig.path);
	cr_assert(watch_follow(rig.watch, NULL, NULL, 0));
	scene_replace(&rig.scene, "cert", "new");
	cr_assert(watch_follow(rig.watch, &path, &read, 1));
	cr_expect(rig_until(&rig, 1));
}

Test(watch, sees_what_changed_before_it_follows_the_same_again)
{
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	scene_replace(&rig.scene, "cert", "new");
	rig_follow(&rig, "cert");
	cr_expect(rig_until(&rig, 1));
}

Test(watch, sees_everything_in_a_folder)
{
	struct watch_path path = { scene_path(&rig.scene, "dir"), true };

	scene_folder(&rig.scene, "dir");
	cr_assert(watch_follow(rig.watch, &path, NULL, 1));
	scene_write(&rig.scene, "dir/new", "1");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "dir/new", "2");
	cr_assert(rig_until(&rig, 2));
	scene_write(&rig.scene, "target", "1");
	scene_link(&rig.scene, "dir/link", "../target");
	cr_assert(rig_until(&rig, 3));
	scene_write(&rig.scene, "target", "2");
	cr_assert(rig_until(&rig, 4), "what a link in it leads to");
	scene_remove(&rig.scene, "dir/new");
	cr_assert(rig_until(&rig, 5));
}

Test(watch, is_nothing_that_need_be_freed)
{
	watch_free(NULL);
}
