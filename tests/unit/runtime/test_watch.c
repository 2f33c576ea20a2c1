/*
 * Watching files: what counts as a change of a stamp, the set of watched
 * files, the places of a path with every kind of link on the way, inotify on
 * folders, and the whole way from a change on the disk to the call.  inotify
 * queues an event before the call that caused it returns, so the tests of
 * folders wait for nothing.
 */
#include "runtime/watch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* ---- The set of watched files ---- */

#define FAR_NS INT64_MAX /* every stamp is settled by then */

static struct scene scene;
static struct watch_set set;

static void
set_up_set(void)
{
	scene_open(&scene);
	scene_folder(&scene, "dir");
	scene_write(&scene, "a", "a");
	scene_write(&scene, "dir/b", "b");
}

static void
tear_down_set(void)
{
	watch_set_fini(&set);
	scene_close(&scene);
}

TestSuite(watch_set, .init = set_up_set, .fini = tear_down_set);

static void
name(struct watch_set *fresh, const char *file, const char *folder)
{
	struct watch_path paths[] = { { file, false }, { folder, true } };

	cr_assert(watch_set_init(fresh, paths, NULL, 2));
}

static void
name_both(struct watch_set *fresh)
{
	name(fresh, scene_path(&scene, "a"), scene_path(&scene, "dir"));
}

/* Adds the contents of the folder. */
static void
expand(void)
{
	struct watch_set named;

	name_both(&named);
	cr_assert(watch_set_expand(&set, &named));
	watch_set_fini(&named);
}

static bool
differs(void)
{
	return watch_set_look(&set, false, FAR_NS).differs;
}

Test(watch_set, has_each_path_once_in_order)
{
	struct watch_path paths[] = { { "/b", false }, { "/a", false },
		{ "/b", true } };

	cr_assert(watch_set_init(&set, paths, NULL, 3));
	cr_assert_eq(set.count, 2u);
	cr_expect_str_eq(set.files[0].path, "/a");
	cr_expect_str_eq(set.files[1].path, "/b");
	cr_expect(set.files[1].is_folder);
}

Test(watch_set, finds_what_is_in_its_folders)
{
	expand();
	cr_assert_eq(set.count, 3u);
	cr_expect_str_eq(set.files[2].path, scene_path(&scene, "dir/b"));
	cr_expect(set.files[2].found);
	cr_expect_not(set.files[1].found);
}

Test(watch_set, drops_files_that_left_its_folders)
{
	struct watch_set next;

	expand();
	scene_remove(&scene, "dir/b");
	cr_assert(watch_set_expand(&next, &set));
	cr_expect_eq(next.count, 2u);
	watch_set_fini(&next);
}

Test(watch_set, prefers_a_named_path_to_a_found_one)
{
	struct watch_path paths[] = {
		{ scene_path(&scene, "dir/"), true },
		{ scene_path(&scene, "dir/b"), false },
	};
	struct watch_set named;

	cr_assert(watch_set_init(&named, paths, NULL, 2));
	cr_assert(watch_set_expand(&set, &named));
	cr_assert_eq(set.count, 2u);
	cr_expect_not(set.files[0].found || set.files[1].found);
	watch_set_fini(&named);
}

Test(watch_set, is_the_same_if_it_names_the_same)
{
	struct watch_set other, less;

	expand();
	name_both(&other);
	name(&less, scene_path(&scene, "a"), scene_path(&scene, "a"));
	cr_expect(watch_set_same(&set, &other), "finds do not count");
	cr_expect(watch_set_same(&other, &set));
	cr_expect_not(watch_set_same(&set, &less));
	cr_expect_not(watch_set_same(&less, &set));
	watch_set_fini(&other);
	watch_set_fini(&less);
}

Test(watch_set, differs_once_for_each_change)
{
	expand();
	cr_expect_not(differs(), "nothing was known");
	cr_expect_not(differs());
	scene_replace(&scene, "a", "A");
	cr_expect(differs(), "a named file");
	cr_expect_not(differs());
	scene_replace(&scene, "dir/b", "B");
	cr_expect(differs(), "a found one");
	scene_write(&scene, "dir/new", "new");
	cr_expect(differs(), "the folder");
	cr_expect_not(differs());
}

Test(watch_set, differs_from_what_was_read)
{
	struct watch_path paths[] = { { scene_path(&scene, "a"), false } };
	struct stamp read[] = { stamp_of(paths[0].path) };

	cr_assert(watch_set_init(&set, paths, read, 1));
	cr_expect_not(differs());
	watch_set_fini(&set);
	scene_replace(&scene, "a", "A");
	cr_assert(watch_set_init(&set, paths, read, 1));
	cr_expect(differs());
}

Test(watch_set, differs_if_one_file_was_read_as_two)
{
	struct watch_path paths[] = { { scene_path(&scene, "a"), false },
		{ scene_path(&scene, "a"), false } };
	struct stamp read[2] = { stamp_of(paths[0].path) };

	read[1] = read[0];
	cr_assert(watch_set_init(&set, paths, read, 2));
	cr_expect_not(differs());
	watch_set_fini(&set);
	read[1].mtime_ns++;
	cr_assert(watch_set_init(&set, paths, read, 2));
	cr_expect(differs());
}

Test(watch_set, accepts_an_equal_stamp_only_if_it_was_settled)
{
	static const struct {
		const char *what;
		bool touched;
		int64_t known_ns;
		bool expect;
	} rows[] = {
		{ "touched, known when fresh", true, 0, true },
		{ "touched, known when settled", true, FAR_NS, false },
		{ "not touched, known when fresh", false, 0, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expand();
		(void)watch_set_look(&set, false, rows[i].known_ns);
		cr_expect_eq(
		    watch_set_look(&set, rows[i].touched, FAR_NS).differs,
		    rows[i].expect, "%s", rows[i].what);
		watch_set_fini(&set);
	}
}

Test(watch_set, copies_known_stamps)
{
	struct watch_set other;

	expand();
	cr_expect_not(differs());
	name_both(&other);
	watch_set_learn(&other, &set, false);
	cr_expect(other.files[0].is_known && other.files[1].is_known);
	other.files[0].stamp.size = 77;
	watch_set_learn(&set, &other, false);
	cr_expect_neq(set.files[0].stamp.size, 77, "it knows better");
	watch_set_learn(&set, &other, true);
	cr_expect_eq(set.files[0].stamp.size, 77);
	watch_set_fini(&other);
}

/* As after the drop of privileges: a reader could not read it either. */
Test(watch_set, does_not_differ_by_being_hidden)
{
	struct watch_look look;

	expand();
	cr_expect_not(differs());
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	else
		cr_assert_eq(chmod(scene.path, 0), 0);
	look = watch_set_look(&set, false, FAR_NS);
	cr_assert_eq(seteuid(getuid()), 0);
	cr_assert_eq(chmod(scene.path, 0700), 0);
	cr_expect_not_null(look.hidden);
	cr_expect_not(look.differs);
	look = watch_set_look(&set, false, FAR_NS);
	cr_expect_null(look.hidden);
	scene_replace(&scene, "a", "A");
	cr_expect(differs());
}

/* ---- Places of a path ---- */

static struct watch_places found_places;

static void
set_up_places(void)
{
	scene_open(&scene);
	scene_folder(&scene, "live");
	scene_folder(&scene, "live/x");
	scene_folder(&scene, "archive");
	scene_write(&scene, "archive/cert3.pem", "3");
	scene_link(&scene, "live/x/cert.pem", "../../archive/cert3.pem");
}

static void
tear_down_places(void)
{
	watch_places_fini(&found_places);
	scene_close(&scene);
}

TestSuite(watch_paths, .init = set_up_places, .fini = tear_down_places);

static void
add(const char *name, bool is_folder)
{
	const char *path = name[0] == '/' ? name : scene_path(&scene, name);

	cr_assert(watch_places_add(&found_places, path, is_folder));
	watch_places_sort(&found_places);
}

/* Is there this place, its folder below the scene?  "": the scene. */
static bool
has(const char *folder, const char *name)
{
	char path[2 * SCENE_PATH_MAX];
	const struct watch_place *place;

	snprintf(path, sizeof(path), "%s%s%s", scene.path, folder[0] ? "/" : "",
	    folder);
	for (size_t i = 0; i < found_places.count; i++) {
		place = &found_places.items[i];
		if (strcmp(place->folder, path) != 0)
			continue;
		if (name ? place->name && strcmp(place->name, name) == 0
			 : place->name == NULL)
			return true;
	}
	return false;
}

/* How many places have a name. */
static size_t
count_names(void)
{
	size_t count = 0;

	for (size_t i = 0; i < found_places.count; i++)
		count += found_places.items[i].name != NULL;
	return count;
}

Test(watch_paths, of_a_plain_file_are_its_name_and_the_folders_in_front)
{
	add("archive/cert3.pem", false);
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("archive", NULL));
	cr_expect(has("", NULL));
	cr_expect_eq(count_names(), 1u);
}

Test(watch_paths, of_a_link_are_both_ends)
{
	add("live/x/cert.pem", false);
	cr_expect(has("live/x", "cert.pem"));
	cr_expect(has("archive", "cert3.pem"));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, have_every_link_in_front)
{
	scene_folder(&scene, "pod");
	scene_folder(&scene, "pod/..2026_11_22");
	scene_write(&scene, "pod/..2026_11_22/tls.crt", "1");
	scene_link(&scene, "pod/..data", "..2026_11_22");
	scene_link(&scene, "pod/tls.crt", "..data/tls.crt");
	scene_link(&scene, "certs", scene_path(&scene, "pod"));
	add("certs/tls.crt", false);
	cr_expect(has("", "certs"), "an absolute link to a folder");
	cr_expect(has("pod", "tls.crt"));
	cr_expect(has("pod", "..data"));
	cr_expect(has("pod/..2026_11_22", "tls.crt"));
	cr_expect_eq(count_names(), 4u);
}

Test(watch_paths, end_where_something_is_missing)
{
	static const struct {
		const char *what, *given, *folder, *name;
	} rows[] = {
		{ "the file", "archive/none", "archive", "none" },
		{ "a folder", "none/x/cert.pem", "", "none" },
		{ "a file in front", "archive/cert3.pem/x", "archive",
		    "cert3.pem" },
		{ "what a link says", "broken", "", "gone" },
	};

	scene_link(&scene, "broken", "gone/x");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		add(rows[i].given, false);
		cr_expect(
		    has(rows[i].folder, rows[i].name), "%s", rows[i].what);
	}
}

Test(watch_paths, of_links_in_a_circle_are_bounded)
{
	scene_link(&scene, "a", "b");
	scene_link(&scene, "b", "a/c");
	add("a", false);
	cr_expect(has("", "a"));
	cr_expect(has("", "b"));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, follow_as_many_links_as_the_kernel)
{
	char name[8], target[8];

	for (int i = 0; i < 42; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i + 1);
		scene_link(&scene, name, target);
	}
	scene_write(&scene, "l42", "end");
	cr_expect_eq(access(scene_path(&scene, "l2"), F_OK), 0);
	cr_expect_neq(access(scene_path(&scene, "l1"), F_OK), 0);
	add("l2", false);
	cr_expect(has("", "l42"), "40 links");
	watch_places_fini(&found_places);
	add("l1", false);
	cr_expect_not(has("", "l42"), "41 links");
	cr_expect(has("", "l41"));
}

Test(watch_paths, resolve_dots_and_slashes)
{
	scene_link(&scene, "up", "live/x/..");
	add("live/.//x/../../up///x/./../../archive/cert3.pem/", false);
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("", "up"));
	cr_expect(has("live/x", NULL));
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, that_are_relative_begin_in_the_current_folder)
{
	cr_assert_eq(chdir(scene_path(&scene, "live")), 0);
	cr_assert(watch_places_add(&found_places, "x/cert.pem", false));
	cr_assert(watch_places_add(&found_places, "here", false));
	cr_expect(has("live/x", "cert.pem"));
	cr_expect(has("archive", "cert3.pem"));
	cr_expect(has("live", "here"));
	cr_assert_eq(chdir("/"), 0);
}

Test(watch_paths, of_the_root_are_in_the_root)
{
	add("/nothing.pem", false);
	cr_assert_eq(found_places.count, 1u);
	cr_expect_str_eq(found_places.items[0].folder, "/");
	cr_expect_str_eq(found_places.items[0].name, "nothing.pem");
}

Test(watch_paths, of_a_folder_match_every_name)
{
	size_t first = 0, count;

	scene_link(&scene, "certs", "archive");
	add("certs", true);
	cr_expect(has("", "certs"));
	cr_expect(has("archive", ""));
	while (found_places.items[first].name == NULL ||
	       found_places.items[first].name[0] != '\0')
		first++;
	count = watch_places_run(&found_places, first);
	cr_expect(watch_places_want(&found_places.items[first], count, "any"));
}

Test(watch_paths, match_names_of_their_folder_only)
{
	size_t first = 0, count;

	add("archive/b", false);
	add("archive/d", false);
	while (found_places.items[first].name == NULL)
		first++;
	first--; /* of the folder itself */
	count = watch_places_run(&found_places, first);
	cr_expect_eq(count, 3u);
	cr_expect(watch_places_want(&found_places.items[first], count, "b"));
	cr_expect(watch_places_want(&found_places.items[first], count, "d"));
	cr_expect_not(
	    watch_places_want(&found_places.items[first], count, "c"));
	cr_expect_not(watch_places_want(&found_places.items[first], count, ""));
}

Test(watch_paths, are_each_there_once)
{
	add("live/x/cert.pem", false);
	add("archive/cert3.pem", false);
	add("live/x/cert.pem", false);
	cr_expect_eq(count_names(), 2u);
}

Test(watch_paths, longer_than_a_path_can_be_are_nowhere)
{
	char path[PATH_MAX + 2];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	cr_expect(watch_places_add(&found_places, path, false));
	cr_expect_eq(found_places.count, 0u);
}

/* ---- inotify ---- */

static struct watch_folders folders;

static void
set_up_folders(void)
{
	scene_open(&scene);
	scene_folder(&scene, "dir");
	scene_folder(&scene, "every");
	scene_write(&scene, "dir/cert", "1");
	cr_assert(watch_folders_init(&folders));
}

static void
tear_down_folders(void)
{
	watch_folders_fini(&folders);
	scene_close(&scene);
}

TestSuite(watch_folders, .init = set_up_folders, .fini = tear_down_folders);

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

Test(watch_folders, report_each_change_of_a_name)
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

Test(watch_folders, ignore_other_names)
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

/* Half a file does not count. */
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

Test(watch_folders, count_every_name_of_a_followed_folder)
{
	(void)follow("dir/cert", "every");
	scene_write(&scene, "every/whatever", "1");
	cr_expect(mattered());
	scene_write(&scene, "dir/whatever", "1");
	cr_expect_not(mattered());
}

Test(watch_folders, report_a_moved_or_removed_parent)
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

Test(watch_folders, stop_watching_dropped_folders)
{
	(void)follow("dir/cert", "every");
	(void)follow("dir/cert", NULL);
	scene_write(&scene, "every/whatever", "1");
	cr_expect_not(mattered());
	scene_write(&scene, "dir/cert", "2");
	cr_expect(mattered());
}

/* The kernel queues 16384 events by default, and reports an overflow. */
Test(watch_folders, take_lost_events_for_a_change)
{
	const char *path = scene_path(&scene, "dir/other");
	unsigned long most;
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	cr_assert_not_null(limit);
	cr_assert_eq(fscanf(limit, "%lu", &most), 1);
	fclose(limit);
	(void)follow("dir/cert", NULL);
	/* Two different events, or they would be merged. */
	for (unsigned long i = 0; i < most; i++) {
		cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
		cr_assert_eq(unlink(path), 0);
	}
	bool mattered_at_last = false;
	for (unsigned long i = 0; i < most && !mattered_at_last; i++)
		mattered_at_last = mattered();
	cr_expect(mattered_at_last);
}

Test(watch_folders, report_folders_that_cannot_be_watched)
{
	struct watch_places places = { 0 };
	struct watch_result result = follow("none/cert", NULL);

	cr_expect_eq(result.errnum, 0, "the nearest one is watched");
	cr_assert(
	    watch_places_add(&places, scene_path(&scene, "dir/cert"), false));
	watch_places_sort(&places);
	scene_rename(&scene, "dir", "gone"); /* after the walk */
	cr_assert(watch_folders_follow(&folders, &places, &result));
	cr_expect_eq(result.errnum, ENOENT);
}

Test(watch_folders, have_a_close_on_exec_descriptor)
{
	cr_expect(fcntl(folders.fd, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(folders.fd, F_GETFL) & O_NONBLOCK);
}

Test(watch_folders, watch_one_folder_under_two_names)
{
	(void)follow("dir/cert", "dir");
	scene_write(&scene, "dir/whatever", "1");
	cr_expect(mattered());
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

Test(watch, may_be_null_when_freed)
{
	watch_free(NULL);
}

/* ---- Without events ---- */

TestSuite(watch_compare, .init = set_up, .fini = tear_down);

Test(watch_compare, compares_stamps_without_inotify)
{
	struct rlimit none, before;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig_watch(&rig, NULL, 0.01, 0.02);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < watch_way_count; i++) {
		rig.calls = 0;
		rig_lay_out(&rig);
		watch_ways[i].change(&rig.scene);
		cr_assert(rig_until(&rig, 1), "%s", watch_ways[i].what);
		scene_close(&rig.scene);
		scene_open(&rig.scene);
	}
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
	struct log_options options = { LEVEL_NOTICE, LOG_TEXT, NULL, "off" };
	struct log *log;

	if (!allow_one_folder())
		return NOT_POSSIBLE;
	log = log_new();
	options.output = scene_path(&rig.scene, "log");
	cr_assert(log_configure(log, &options, NULL));
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
