/*
 * Watching files: what counts as a change of a stamp, and the whole way from a
 * change on the disk to the call, with every kind of link on the way, and without
 * events.  A file just written is not settled, so any event that counts leads to
 * a call: that none comes proves that the event did not count.
 */
#include "runtime/watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/support/scratch.h"
#include "tests/unit/runtime/watch_rig.h"

/* ---- Stamps ---- */

#define SECOND_NS INT64_C(1000000000)

static struct scratch scratch;
static char file_path[64];

static void
set_up_stamp(void)
{
	FILE *file;

	scratch_open(&scratch);
	snprintf(file_path, sizeof(file_path), "%s/file", scratch.path);
	file = fopen(file_path, "w");
	cr_assert_not_null(file);
	fputs("first", file);
	fclose(file);
}

static void
tear_down_stamp(void)
{
	scratch_close(&scratch);
}

TestSuite(stamp, .init = set_up_stamp, .fini = tear_down_stamp);

Test(stamp, has_the_values_of_stat)
{
	struct stamp stamp = stamp_of(file_path);
	struct stat status;

	cr_assert_eq(stat(file_path, &status), 0);
	cr_expect_eq(stamp.errnum, 0);
	cr_expect_eq(stamp.ino, status.st_ino);
	cr_expect_eq(stamp.dev, status.st_dev);
	cr_expect_eq(stamp.size, 5);
	cr_expect_eq(stamp.mtime_ns / SECOND_NS, status.st_mtim.tv_sec);
	cr_expect_eq(stamp.ctime_ns % SECOND_NS, status.st_ctim.tv_nsec);
}

Test(stamp, follows_links)
{
	char other[80];
	struct stamp a, b;

	snprintf(other, sizeof(other), "%s/link", scratch.path);
	cr_assert_eq(symlink("file", other), 0);
	a = stamp_of(file_path);
	b = stamp_of(other);
	cr_expect(stamp_equal(&a, &b));
}

Test(stamp, exists_for_a_missing_file)
{
	struct stamp there = stamp_of(file_path), gone, again;

	cr_assert_eq(unlink(file_path), 0);
	gone = stamp_of(file_path);
	again = stamp_of(file_path);
	cr_expect_eq(gone.errnum, ENOENT);
	cr_expect(stamp_equal(&gone, &again));
	cr_expect_not(stamp_equal(&there, &gone));
	cr_expect_not(stamp_equal(&gone, &there));
}

Test(stamp, differs_in_each_part)
{
	static const struct stamp stamp = { 1, 2, 3, 4, 5, 0 };
	static const struct {
		const char *what;
		struct stamp given;
		bool expect;
	} rows[] = {
		{ "the same", { 1, 2, 3, 4, 5, 0 }, true },
		{ "device", { 9, 2, 3, 4, 5, 0 }, false },
		{ "inode", { 1, 9, 3, 4, 5, 0 }, false },
		{ "size", { 1, 2, 9, 4, 5, 0 }, false },
		{ "contents changed", { 1, 2, 3, 9, 5, 0 }, false },
		{ "inode changed", { 1, 2, 3, 4, 9, 0 }, false },
		{ "not to be had", { 1, 2, 3, 4, 5, EACCES }, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(stamp_equal(&stamp, &rows[i].given),
		    rows[i].expect, "%s", rows[i].what);
}

/* touch -d and cp -p hide a change of the contents, not of the inode. */
Test(stamp, differs_after_a_restored_time)
{
	struct timespec times[2] = { { 100, 0 }, { 100, 0 } };
	struct stamp before, after;

	cr_assert_eq(utimensat(AT_FDCWD, file_path, times, 0), 0);
	before = stamp_of(file_path);
	after = before;
	after.ctime_ns++;
	cr_expect_eq(before.mtime_ns, 100 * SECOND_NS);
	cr_expect_not(stamp_equal(&before, &after));
}

Test(stamp, is_settled_after_a_quiet_second)
{
	static const struct {
		const char *what;
		int64_t mtime_ns, ctime_ns;
		int errnum;
		bool expect;
	} rows[] = {
		{ "long ago", 1, 1, 0, true },
		{ "a second ago", 9 * SECOND_NS, 9 * SECOND_NS, 0, true },
		{ "contents just now", 9 * SECOND_NS + 1, 1, 0, false },
		{ "inode just now", 1, 9 * SECOND_NS + 1, 0, false },
		{ "in the future", 11 * SECOND_NS, 1, 0, false },
		{ "not there", 0, 0, ENOENT, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stamp stamp = { .mtime_ns = rows[i].mtime_ns,
			.ctime_ns = rows[i].ctime_ns,
			.errnum = rows[i].errnum };

		cr_expect_eq(stamp_is_settled(&stamp, 10 * SECOND_NS),
		    rows[i].expect, "%s", rows[i].what);
	}
}

/* ---- The watch ---- */

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

/* A file, and a folder beside its own. */
static void
set_up_events(void)
{
	rig_open(&rig);
	scene_folder(&rig.scene, "dir");
	scene_folder(&rig.scene, "every");
	scene_write(&rig.scene, "dir/cert", "1");
}

/* As certbot keeps them. */
static void
set_up_paths(void)
{
	rig_open(&rig);
	scene_folder(&rig.scene, "live");
	scene_folder(&rig.scene, "live/x");
	scene_folder(&rig.scene, "archive");
	scene_write(&rig.scene, "archive/cert3.pem", "3");
	scene_link(&rig.scene, "live/x/cert.pem", "../../archive/cert3.pem");
}

TestSuite(watch, .init = set_up, .fini = tear_down);

Test(watch, detects_every_way_to_renew_a_file)
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

/* The result of the first change is watched as well. */
Test(watch, detects_the_second_change_after_each_way)
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

Test(watch, detects_that_a_file_disappears_and_appears)
{
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	scene_remove(&rig.scene, "cert");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "cert", "new");
	cr_assert(rig_until(&rig, 2));
	cr_expect_str_eq(rig.seen[1], "new");
}

Test(watch, detects_that_folders_disappear_and_appear)
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

Test(watch, detects_the_first_file)
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
	ev_run(rig.loop, EVRUN_ONCE); /* handle the creation */
	cr_assert_eq(rig.calls, 0);
	fputs("lf", file);
	fclose(file);
	cr_assert(rig_until(&rig, 1));
	cr_expect_str_eq(rig.seen[0], "half");
	scene_replace(&rig.scene, "cert", "next");
	cr_assert(rig_until(&rig, 2));
	cr_expect_str_eq(rig.seen[1], "next", "there was no call between");
}

/* The last change decides the time. */
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

Test(watch, ends_a_long_burst)
{
	struct watch_timing timing = { RIG_NEVER_S, 0.1, RIG_NEVER_S };

	watch_set_timing(rig.watch, &timing);
	rig_follow(&rig, "cert");
	scene_write(&rig.scene, "cert", "new");
	ev_run(rig.loop, EVRUN_ONCE);
	scene_write(&rig.scene, "cert", "newer");
	cr_expect(rig_until(&rig, 1));
}

Test(watch, detects_a_change_after_the_reading)
{
	struct watch_path path = { .path = rig.path };

	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	path.read = stamp_of(rig.path);
	cr_assert(watch_follow(rig.watch, NULL, 0));
	cr_assert(watch_follow(rig.watch, &path, 1));
	cr_expect(rig_rests(&rig), "nothing has changed");
	cr_assert(watch_follow(rig.watch, NULL, 0));
	scene_replace(&rig.scene, "cert", "new");
	cr_assert(watch_follow(rig.watch, &path, 1));
	cr_expect(rig_until(&rig, 1));
}

Test(watch, detects_a_change_before_equal_paths_are_followed)
{
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	scene_replace(&rig.scene, "cert", "new");
	rig_follow(&rig, "cert");
	cr_expect(rig_until(&rig, 1));
}

Test(watch, detects_every_change_in_a_folder)
{
	scene_folder(&rig.scene, "dir");
	rig_follow_both(&rig, "cert", "dir");
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
	cr_expect(rig_rests(&rig));
}

Test(watch, calls_once_for_a_path_that_is_followed_twice)
{
	scene_folder(&rig.scene, "dir");
	scene_write(&rig.scene, "dir/cert", "old");
	rig_follow_both(&rig, "dir/cert", "dir/");
	scene_replace(&rig.scene, "dir/cert", "new");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "dir/cert", "newer");
	cr_assert(rig_until(&rig, 2));
	cr_expect(rig_rests(&rig));
}

Test(watch, detects_that_one_file_was_read_as_two)
{
	struct watch_path paths[2];

	scene_write(&rig.scene, "cert", "1");
	rig_follow(&rig, "cert");
	for (size_t i = 0; i < 2; i++)
		paths[i] = (struct watch_path){ .path = rig.path,
			.read = stamp_of(rig.path) };
	cr_assert(watch_follow(rig.watch, paths, 2));
	cr_expect(rig_rests(&rig));
	paths[1].read.mtime_ns++;
	cr_assert(watch_follow(rig.watch, paths, 2));
	cr_expect(rig_until(&rig, 1));
}

Test(watch, may_be_null_when_freed)
{
	watch_free(NULL);
}

/* ---- Which events count ---- */

/* The descriptor of inotify, of which a process of a test has one. */
static int
find_inotify(void)
{
	char path[32], target[32];
	ssize_t len;

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (strcmp(target, "anon_inode:inotify") == 0)
			return fd;
	}
	return -1;
}

static bool
is_watched(const char *path)
{
	char info[40], line[256];
	struct stat status;
	unsigned long inode;
	bool found = false;
	FILE *file;

	cr_assert_eq(stat(path, &status), 0);
	snprintf(info, sizeof(info), "/proc/self/fdinfo/%d", find_inotify());
	file = fopen(info, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "inotify wd:%*x ino:%lx", &inode) == 1 &&
			 inode == status.st_ino;
	fclose(file);
	return found;
}

TestSuite(watch_events, .init = set_up_events, .fini = tear_down);

Test(watch_events, are_each_change_of_a_name)
{
	rig_follow(&rig, "dir/cert");
	cr_expect(rig_rests(&rig), "nothing");
	scene_write(&rig.scene, "dir/cert", "2");
	cr_assert(rig_until(&rig, 1), "written");
	cr_expect(rig_rests(&rig), "called once");
	scene_replace(&rig.scene, "dir/cert", "3");
	cr_assert(rig_until(&rig, 2), "renamed over");
	cr_assert_eq(chmod(rig.path, 0600), 0);
	cr_assert(rig_until(&rig, 3), "other mode");
	scene_rename(&rig.scene, "dir/cert", "elsewhere");
	cr_assert(rig_until(&rig, 4), "moved away");
	scene_link(&rig.scene, "dir/cert", "../elsewhere");
	cr_assert(rig_until(&rig, 5), "a link");
	scene_remove(&rig.scene, "dir/cert");
	cr_assert(rig_until(&rig, 6), "removed");
}

/* Opening for writing and closing leaves an equal stamp. */
static void
touch(const char *path)
{
	int fd = open(path, O_WRONLY);

	cr_assert_geq(fd, 0);
	cr_assert_eq(close(fd), 0);
}

static void
settle(const char *path)
{
	struct stamp stamp = stamp_of(path);
	int64_t now_ms = clock_wall_ms(), end_ms = now_ms + 10000;

	while (!stamp_is_settled(&stamp, now_ms * 1000000)) {
		cr_assert_lt(now_ms, end_ms);
		now_ms = clock_wall_ms();
	}
}

Test(watch_events, with_an_equal_stamp_count_unless_it_was_settled)
{
	rig_follow(&rig, "dir/cert");
	touch(rig.path);
	cr_assert(rig_until(&rig, 1));
	settle(rig.path);
	rig_follow(&rig, "dir/cert");
	touch(rig.path);
	cr_expect(rig_rests(&rig));
}

Test(watch_events, of_other_names_do_not_count)
{
	rig_follow(&rig, "dir/cert");
	scene_write(&rig.scene, "dir/other", "1");
	scene_replace(&rig.scene, "dir/cert.bak", "1");
	scene_folder(&rig.scene, "dir/cer");
	scene_remove(&rig.scene, "dir/other");
	scene_write(&rig.scene, "beside", "1");
	cr_expect(rig_rests(&rig));
}

Test(watch_events, of_reading_do_not_count)
{
	int fd;

	rig_follow(&rig, "dir/cert");
	fd = open(rig.path, O_RDONLY);
	cr_assert_geq(fd, 0);
	cr_assert_eq(close(fd), 0);
	cr_expect(rig_rests(&rig));
}

/* Half a file does not count. */
Test(watch_events, of_a_writer_count_once_it_closes)
{
	FILE *file;

	rig_follow(&rig, "dir/cert");
	file = fopen(rig.path, "w");
	cr_assert_not_null(file);
	fputs("half", file);
	fflush(file);
	cr_expect(rig_rests(&rig));
	fclose(file);
	cr_expect(rig_until(&rig, 1));
}

Test(watch_events, of_every_name_in_a_followed_folder_count)
{
	rig_follow_both(&rig, "dir/cert", "every");
	scene_write(&rig.scene, "dir/whatever", "1");
	cr_expect(rig_rests(&rig));
	scene_write(&rig.scene, "every/whatever", "1");
	cr_expect(rig_until(&rig, 1));
}

Test(watch_events, of_one_folder_under_two_names_count)
{
	rig_follow_both(&rig, "dir/cert", "dir");
	scene_write(&rig.scene, "dir/whatever", "1");
	cr_expect(rig_until(&rig, 1));
}

Test(watch_events, of_moved_and_removed_parents_count)
{
	scene_folder(&rig.scene, "dir/sub");
	scene_write(&rig.scene, "dir/sub/cert", "1");
	rig_follow(&rig, "dir/sub/cert");
	scene_rename(&rig.scene, "dir", "old");
	cr_assert(rig_until(&rig, 1), "moved");
	scene_folder(&rig.scene, "dir");
	scene_folder(&rig.scene, "dir/sub");
	scene_write(&rig.scene, "dir/sub/cert", "2");
	cr_assert(rig_until(&rig, 2), "made anew");
	scene_remove(&rig.scene, "dir/sub/cert");
	scene_remove(&rig.scene, "dir/sub");
	cr_assert(rig_until(&rig, 3), "removed");
}

/* The second call gets the stamp after the change: only the event shows it. */
Test(watch_events, stay_when_paths_are_followed_again)
{
	rig_follow(&rig, "dir/cert");
	scene_write(&rig.scene, "dir/cert", "2");
	rig_follow(&rig, "dir/cert");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "dir/cert", "3");
	rig_follow_both(&rig, "dir/cert", "every");
	cr_assert(rig_until(&rig, 2));
}

/* The kernel queues 16384 events by default, and reports an overflow.  The last
 * change is among those lost. */
Test(watch_events, that_are_lost_count)
{
	const char *path = scene_path(&rig.scene, "dir/other");
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	unsigned long most;

	cr_assert_not_null(limit);
	cr_assert_eq(fscanf(limit, "%lu", &most), 1);
	fclose(limit);
	rig_follow(&rig, "dir/cert");
	/* Two different events, or they would be merged. */
	for (unsigned long i = 0; i < most; i++) {
		cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
		cr_assert_eq(unlink(path), 0);
	}
	scene_replace(&rig.scene, "dir/cert", "last");
	cr_assert(rig_until(&rig, 1));
	cr_expect_str_eq(rig.seen[0], "last");
}

Test(watch_events, come_from_a_close_on_exec_descriptor)
{
	cr_expect(fcntl(find_inotify(), F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(find_inotify(), F_GETFL) & O_NONBLOCK);
}

Test(watch_events, come_from_followed_folders_only)
{
	rig_follow_both(&rig, "dir/cert", "every");
	cr_expect(is_watched(scene_path(&rig.scene, "dir")));
	cr_expect(is_watched(scene_path(&rig.scene, "every")));
	rig_follow(&rig, "dir/cert");
	cr_expect(is_watched(scene_path(&rig.scene, "dir")));
	cr_expect_not(is_watched(scene_path(&rig.scene, "every")));
	scene_write(&rig.scene, "dir/cert", "2");
	cr_expect(rig_until(&rig, 1));
}

/* ---- What leads to a path ---- */

TestSuite(watch_paths, .init = set_up_paths, .fini = tear_down);

Test(watch_paths, have_two_ends_where_they_are_links)
{
	rig_follow(&rig, "live/x/cert.pem");
	scene_write(&rig.scene, "archive/cert3.pem", "3b");
	cr_assert(rig_until(&rig, 1), "the target");
	scene_write(&rig.scene, "archive/cert4.pem", "4");
	cr_expect(rig_rests(&rig));
	scene_link(&rig.scene, "live/x/cert.pem", "../../archive/cert4.pem");
	cr_assert(rig_until(&rig, 2), "the link");
	cr_expect_str_eq(rig.seen[1], "4");
}

Test(watch_paths, are_followed_through_every_link_in_front)
{
	scene_folder(&rig.scene, "pod");
	scene_folder(&rig.scene, "pod/..2026_11_22");
	scene_write(&rig.scene, "pod/..2026_11_22/tls.crt", "1");
	scene_link(&rig.scene, "pod/..data", "..2026_11_22");
	scene_link(&rig.scene, "pod/tls.crt", "..data/tls.crt");
	scene_link(&rig.scene, "certs", scene_path(&rig.scene, "pod"));
	rig_follow(&rig, "certs/tls.crt");
	scene_write(&rig.scene, "pod/..2026_11_22/tls.crt", "2");
	cr_assert(rig_until(&rig, 1), "the file");
	scene_folder(&rig.scene, "pod/..2026_11_23");
	scene_write(&rig.scene, "pod/..2026_11_23/tls.crt", "3");
	cr_expect(rig_rests(&rig));
	scene_link(&rig.scene, "pod/..data", "..2026_11_23");
	cr_assert(rig_until(&rig, 2), "the folder");
	scene_link(&rig.scene, "pod/tls.crt", "..2026_11_22/tls.crt");
	cr_assert(rig_until(&rig, 3), "the link in the folder");
	scene_link(&rig.scene, "certs", "pod/..2026_11_23");
	cr_assert(rig_until(&rig, 4), "an absolute link to a folder");
	cr_expect_str_eq(rig.seen[3], "3");
}

static void
make_file(const struct scene *scene)
{
	scene_write(scene, "archive/none", "new");
}

static void
make_folders(const struct scene *scene)
{
	scene_folder(scene, "none");
	scene_folder(scene, "none/x");
	scene_write(scene, "none/x/cert.pem", "new");
}

static void
make_folder_of_file(const struct scene *scene)
{
	scene_remove(scene, "archive/cert3.pem");
	scene_folder(scene, "archive/cert3.pem");
	scene_write(scene, "archive/cert3.pem/x", "new");
}

static void
make_target(const struct scene *scene)
{
	scene_folder(scene, "gone");
	scene_write(scene, "gone/x", "new");
}

Test(watch_paths, are_followed_to_where_something_is_missing)
{
	static const struct {
		const char *what, *given;
		void (*make)(const struct scene *scene);
	} rows[] = {
		{ "the file", "archive/none", make_file },
		{ "a folder", "none/x/cert.pem", make_folders },
		{ "a file in front", "archive/cert3.pem/x",
		    make_folder_of_file },
		{ "the target of a link", "broken", make_target },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_link(&rig.scene, "broken", "gone/x");
		rig_follow(&rig, rows[i].given);
		rows[i].make(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", rows[i].what);
		cr_expect_str_eq(rig.seen[0], "new", "%s", rows[i].what);
		tear_down();
		set_up_paths();
	}
}

Test(watch_paths, may_be_links_in_a_circle)
{
	scene_link(&rig.scene, "a", "b");
	scene_link(&rig.scene, "b", "a/c");
	rig_follow(&rig, "a");
	scene_link(&rig.scene, "b", "archive/cert3.pem");
	cr_assert(rig_until(&rig, 1));
	scene_link(&rig.scene, "a", "nowhere");
	cr_assert(rig_until(&rig, 2));
}

Test(watch_paths, may_have_as_many_links_as_the_kernel_follows)
{
	char name[8], target[12];

	for (int i = 0; i < 42; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "%s%d", i < 41 ? "l" : "end/l",
		    i + 1);
		scene_link(&rig.scene, name, target);
	}
	scene_folder(&rig.scene, "end");
	scene_write(&rig.scene, "end/l42", "1");
	cr_expect_eq(access(scene_path(&rig.scene, "l2"), F_OK), 0);
	cr_expect_neq(access(scene_path(&rig.scene, "l1"), F_OK), 0);
	rig_follow(&rig, "l2");
	scene_write(&rig.scene, "end/l42", "2");
	cr_assert(rig_until(&rig, 1), "40 links");
	rig_follow(&rig, "l1");
	cr_expect_not(is_watched(scene_path(&rig.scene, "end")));
	scene_replace(&rig.scene, "l41", "3");
	cr_assert(rig_until(&rig, 2), "41 links, of which one goes");
	cr_expect_str_eq(rig.seen[1], "3");
}

Test(watch_paths, may_have_dots_and_slashes)
{
	scene_link(&rig.scene, "up", "live/x/..");
	rig_follow(&rig, "live/.//x/../../up///x/./../../archive/cert3.pem");
	scene_write(&rig.scene, "archive/cert3.pem", "3b");
	cr_assert(rig_until(&rig, 1));
	scene_link(&rig.scene, "up", "live/../live");
	cr_assert(rig_until(&rig, 2));
	rig_follow_both(&rig, "none", "archive///");
	scene_write(&rig.scene, "archive/new", "1");
	cr_assert(rig_until(&rig, 3));
}

Test(watch_paths, that_are_relative_begin_in_the_current_folder)
{
	struct watch_path paths[] = { { .path = "x/cert.pem" },
		{ .path = "here", .read = { .errnum = ENOENT } } };

	cr_assert_eq(chdir(scene_path(&rig.scene, "live")), 0);
	paths[0].read = stamp_of(paths[0].path);
	cr_assert(watch_follow(rig.watch, paths, 2));
	scene_write(&rig.scene, "archive/cert3.pem", "3b");
	cr_assert(rig_until(&rig, 1));
	scene_write(&rig.scene, "live/here", "1");
	cr_assert(rig_until(&rig, 2));
	cr_assert_eq(chdir("/"), 0);
}

Test(watch_paths, of_folders_may_be_links)
{
	scene_link(&rig.scene, "certs", "archive");
	rig_follow_both(&rig, "none", "certs");
	scene_write(&rig.scene, "archive/any", "1");
	cr_assert(rig_until(&rig, 1));
	scene_link(&rig.scene, "certs", "live");
	cr_assert(rig_until(&rig, 2));
	scene_write(&rig.scene, "live/any", "1");
	cr_assert(rig_until(&rig, 3));
}

Test(watch_paths, longer_than_a_path_can_be_are_ignored)
{
	char path[PATH_MAX + 2];
	struct watch_path paths[] = { { .path = path }, { .path = rig.path } };

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	rig_follow(&rig, "archive/cert3.pem");
	paths[0].read = stamp_of(path);
	paths[1].read = stamp_of(rig.path);
	cr_assert(watch_follow(rig.watch, paths, 2));
	cr_expect(rig_rests(&rig));
	scene_write(&rig.scene, "archive/cert3.pem", "3b");
	cr_expect(rig_until(&rig, 1));
}

Test(watch_paths, in_the_root_are_watched_there)
{
	struct watch_path path = { .path = "/nothing.pem",
		.read = { .errnum = ENOENT } };

	cr_expect_not(is_watched("/"));
	cr_assert(watch_follow(rig.watch, &path, 1));
	cr_expect(is_watched("/"));
}

/* ---- Without events ---- */

TestSuite(watch_compare, .init = set_up, .fini = tear_down);

/* Another watch, without inotify. */
static void
watch_blindly(void)
{
	struct rlimit none, before;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig_watch(&rig, NULL, 0.01, 0.02);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(find_inotify(), -1);
}

Test(watch_compare, compares_stamps_without_inotify)
{
	watch_blindly();
	for (size_t i = 0; i < watch_way_count; i++) {
		rig.calls = 0;
		rig_lay_out(&rig);
		watch_ways[i].change(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", watch_ways[i].what);
		scene_close(&rig.scene);
		scene_open(&rig.scene);
	}
}

Test(watch_compare, calls_once_for_each_change)
{
	watch_blindly();
	scene_folder(&rig.scene, "dir");
	scene_write(&rig.scene, "dir/b", "b");
	scene_write(&rig.scene, "a", "a");
	rig_follow_both(&rig, "a", "dir");
	cr_expect(rig_rests(&rig), "fresh, and not touched");
	scene_replace(&rig.scene, "a", "A");
	cr_assert(rig_until(&rig, 1), "a named file");
	cr_expect(rig_rests(&rig));
	scene_write(&rig.scene, "dir/b", "longer");
	cr_assert(rig_until(&rig, 2), "one in a folder");
	scene_write(&rig.scene, "dir/new", "new");
	cr_assert(rig_until(&rig, 3), "the folder");
	cr_expect(rig_rests(&rig));
}

/* Only its own stamp shows a file written in place in a folder. */
Test(watch_compare, detects_a_change_in_a_folder_before_paths_are_followed)
{
	watch_blindly();
	scene_folder(&rig.scene, "dir");
	scene_write(&rig.scene, "dir/b", "b");
	rig_follow_both(&rig, "a", "dir");
	scene_write(&rig.scene, "dir/b", "longer");
	rig_follow_both(&rig, "other", "dir");
	cr_expect(rig_until(&rig, 1));
}

Test(watch_compare, detects_a_write_without_close)
{
	FILE *file;

	rig_watch(&rig, NULL, 0.02, 0.02);
	scene_write(&rig.scene, "cert", "old");
	rig_follow(&rig, "cert");
	file = fopen(scene_path(&rig.scene, "cert"), "w");
	cr_assert_not_null(file);
	fputs("kept open", file);
	fflush(file);
	cr_expect(rig_until(&rig, 1));
	fclose(file);
}

/* The number of log lines with this text. */
static int
count_logged(const char *text)
{
	FILE *file = fopen(scene_path(&rig.scene, "log"), "r");
	char line[1024];
	int count = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

/* To end with log_free; the lines are in the file then. */
static struct log *
log_to_file(void)
{
	struct log_options options = { LEVEL_NOTICE, LOG_TEXT,
		scene_path(&rig.scene, "log"), "off" };
	struct log *log = log_new();

	cr_assert(log_configure(log, &options, NULL));
	return log;
}

/* As a user with the permissions of others, or the owner if it is not root. */
static void
drop_root(void)
{
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
}

/* As after the drop of privileges: a reader could not read it either. */
Test(watch_compare, takes_no_access_for_no_change)
{
	struct log *log = log_to_file();

	scene_folder(&rig.scene, "dir");
	scene_write(&rig.scene, "dir/cert", "1");
	settle(scene_path(&rig.scene, "dir/cert"));
	rig_watch(&rig, log, 0.01, 0.02);
	rig_follow(&rig, "dir/cert");
	cr_assert_eq(chmod(scene_path(&rig.scene, "dir"), 0), 0);
	drop_root();
	cr_expect(rig_rests(&rig));
	cr_assert_eq(seteuid(getuid()), 0);
	cr_assert_eq(chmod(scene_path(&rig.scene, "dir"), 0700), 0);
	cr_expect(rig_rests(&rig));
	scene_replace(&rig.scene, "dir/cert", "2");
	cr_expect(rig_until(&rig, 1));
	log_free(log);
	cr_expect_eq(count_logged("no access to a watched file"), 1);
}

/* A folder can be passed without being read. */
Test(watch_compare, tries_again_to_watch_an_unreadable_folder)
{
	const char *folder = scene_path(&rig.scene, "dir");

	rig_watch(&rig, NULL, 0.01, 0.02);
	scene_folder(&rig.scene, "dir");
	scene_write(&rig.scene, "dir/cert", "1");
	cr_assert_eq(chmod(rig.scene.path, 0711), 0);
	cr_assert_eq(chmod(folder, 0311), 0);
	drop_root();
	rig_follow(&rig, "dir/cert");
	cr_expect_not(is_watched(folder));
	cr_assert_eq(seteuid(getuid()), 0);
	cr_assert_eq(chmod(folder, 0700), 0);
	cr_expect(rig_rests(&rig));
	cr_expect(is_watched(folder));
}

/* A user namespace of its own has limits of its own; a process with threads,
 * as Criterion's, cannot make one. */
static bool
allow_one_folder(void)
{
	FILE *limit;

	if (unshare(CLONE_NEWUSER) != 0)
		return false;
	limit = fopen("/proc/sys/user/max_inotify_watches", "w");
	if (limit == NULL)
		return false;
	fputs("1", limit);
	return fclose(limit) == 0;
}

enum outcome { LOGGED_ONCE, LOGGED_OTHERWISE, NOT_POSSIBLE };

static void
change_twice(struct log *log)
{
	rig_watch(&rig, log, 0.01, 0.02);
	rig_lay_out(&rig);
	watch_ways[0].change(&rig.scene);
	cr_expect(rig_until(&rig, 1));
	scene_write(&rig.scene, "current/tls.crt", "newer");
	cr_expect(rig_until(&rig, 2));
}

/* In a process of its own. */
static enum outcome
run_limited(void)
{
	struct log *log;

	if (!allow_one_folder())
		return NOT_POSSIBLE;
	log = log_to_file();
	change_twice(log);
	log_free(log);
	return rig.calls == 2 &&
		       count_logged("fs.inotify.max_user_watches") == 1
		   ? LOGGED_ONCE
		   : LOGGED_OTHERWISE;
}

Test(watch_compare, covers_folders_beyond_the_limit)
{
	int status = 0;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		ev_loop_fork(rig.loop);
		_exit((int)run_limited());
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_POSSIBLE)
		cr_skip_test("no user namespace with limits of its own");
	cr_expect_eq(WEXITSTATUS(status), LOGGED_ONCE);
}
