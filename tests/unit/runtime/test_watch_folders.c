/*
 * What of all that happens in folders matters.  inotify queues an event before
 * the call that caused it returns, so nothing has to be waited for.
 */
#include "runtime/watch_folders.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/runtime/watch_scene.h"

static struct scene scene;
static struct watch_folders folders;

static void
set_up(void)
{
	scene_open(&scene);
	scene_folder(&scene, "dir");
	scene_folder(&scene, "every");
	scene_write(&scene, "dir/cert", "1");
	cr_assert(watch_folders_init(&folders));
}

static void
tear_down(void)
{
	watch_folders_fini(&folders);
	scene_close(&scene);
}

TestSuite(watch_folders, .init = set_up, .fini = tear_down);

static struct watch_result
follow(const char *name, const char *folder)
{
	struct watch_places places = { 0 };
	struct watch_result result;

	cr_assert(watch_places_add(&places, scene_path(&scene, name), false));
	if (folder)
		cr_assert(watch_places_add(
		    &places, scene_path(&scene, folder), true));
	watch_places_sort(&places);
	cr_assert(watch_folders_follow(&folders, &places, &result));
	return result;
}

static bool
mattered(void)
{
	return watch_folders_read(&folders);
}

Test(watch_folders, say_what_is_done_to_a_name)
{
	(void)follow("dir/cert", NULL);
	cr_expect_not(mattered(), "nothing");
	scene_write(&scene, "dir/cert", "2");
	cr_expect(mattered(), "written");
	cr_expect_not(mattered(), "said once");
	scene_replace(&scene, "dir/cert", "3");
	cr_expect(mattered(), "renamed over");
	cr_assert_eq(chmod(scene_path(&scene, "dir/cert"), 0600), 0);
	cr_expect(mattered(), "other mode");
	scene_rename(&scene, "dir/cert", "elsewhere");
	cr_expect(mattered(), "moved away");
	scene_link(&scene, "dir/cert", "../elsewhere");
	cr_expect(mattered(), "a link");
	scene_remove(&scene, "dir/cert");
	cr_expect(mattered(), "removed");
}

Test(watch_folders, ignore_names_that_nobody_asked_about)
{
	(void)follow("dir/cert", NULL);
	scene_write(&scene, "dir/other", "1");
	scene_replace(&scene, "dir/cert.bak", "1");
	scene_folder(&scene, "dir/cer");
	scene_remove(&scene, "dir/other");
	scene_write(&scene, "beside", "1");
	cr_expect_not(mattered());
}

Test(watch_folders, do_not_count_reading)
{
	int fd;

	(void)follow("dir/cert", NULL);
	fd = open(scene_path(&scene, "dir/cert"), O_RDONLY);
	cr_assert_geq(fd, 0);
	cr_assert_eq(close(fd), 0);
	cr_expect_not(mattered());
}

/* Half a file is nothing to be told about. */
Test(watch_folders, count_a_writer_once_it_closes)
{
	FILE *file;

	(void)follow("dir/cert", NULL);
	file = fopen(scene_path(&scene, "dir/cert"), "w");
	cr_assert_not_null(file);
	fputs("half", file);
	fflush(file);
	cr_expect_not(mattered());
	fclose(file);
	cr_expect(mattered());
}

Test(watch_folders, count_every_name_where_asked_to)
{
	(void)follow("dir/cert", "every");
	scene_write(&scene, "every/whatever", "1");
	cr_expect(mattered());
	scene_write(&scene, "dir/whatever", "1");
	cr_expect_not(mattered());
}

Test(watch_folders, say_when_a_folder_in_front_goes_or_moves)
{
	scene_folder(&scene, "dir/sub");
	scene_write(&scene, "dir/sub/cert", "1");
	(void)follow("dir/sub/cert", NULL);
	scene_rename(&scene, "dir", "old");
	cr_expect(mattered(), "moved");
	scene_folder(&scene, "dir");
	scene_folder(&scene, "dir/sub");
	(void)follow("dir/sub/cert", NULL);
	scene_remove(&scene, "dir/sub");
	cr_expect(mattered(), "removed");
}

Test(watch_folders, lose_nothing_by_following_again)
{
	(void)follow("dir/cert", NULL);
	scene_write(&scene, "dir/cert", "2");
	cr_expect_not(follow("dir/cert", NULL).added);
	cr_expect(mattered());
	cr_expect(follow("dir/cert", "every").added);
	cr_expect_not(mattered());
}

Test(watch_folders, let_go_of_what_is_not_followed)
{
	(void)follow("dir/cert", "every");
	(void)follow("dir/cert", NULL);
	scene_write(&scene, "every/whatever", "1");
	cr_expect_not(mattered());
	scene_write(&scene, "dir/cert", "2");
	cr_expect(mattered());
}

/* The kernel keeps 16384 events by default, and says when it had more. */
Test(watch_folders, take_lost_events_for_a_change)
{
	const char *path = scene_path(&scene, "dir/other");
	unsigned long most;
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	cr_assert_not_null(limit);
	cr_assert_eq(fscanf(limit, "%lu", &most), 1);
	fclose(limit);
	(void)follow("dir/cert", NULL);
	/* Two that differ, or they would be merged. */
	for (unsigned long i = 0; i < most; i++) {
		cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
		cr_assert_eq(unlink(path), 0);
	}
	bool mattered_at_last = false;
	for (unsigned long i = 0; i < most && !mattered_at_last; i++)
		mattered_at_last = mattered();
	cr_expect(mattered_at_last);
}

Test(watch_folders, tell_which_they_could_not_watch)
{
	struct watch_places places = { 0 };
	struct watch_result result = follow("none/cert", NULL);

	cr_expect_eq(result.errnum, 0, "the nearest one is watched");
	cr_assert(
	    watch_places_add(&places, scene_path(&scene, "dir/cert"), false));
	watch_places_sort(&places);
	scene_rename(&scene, "dir", "gone"); /* since it was walked */
	cr_assert(watch_folders_follow(&folders, &places, &result));
	cr_expect_eq(result.errnum, ENOENT);
}

Test(watch_folders, have_a_descriptor_that_is_nobody_elses)
{
	cr_expect(fcntl(folders.fd, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(folders.fd, F_GETFL) & O_NONBLOCK);
}

Test(watch_folders, bear_one_folder_under_two_names)
{
	(void)follow("dir/cert", "dir");
	scene_write(&scene, "dir/whatever", "1");
	cr_expect(mattered());
}
