/*
 * Stamps: what counts as a change, and when a stamp proves anything.
 */
#include "runtime/stamp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scratch.h"

#define SECOND_NS INT64_C(1000000000)

static struct scratch scratch;
static char path[64];

static void
set_up(void)
{
	FILE *file;

	scratch_open(&scratch);
	snprintf(path, sizeof(path), "%s/file", scratch.path);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs("first", file);
	fclose(file);
}

static void
tear_down(void)
{
	scratch_close(&scratch);
}

TestSuite(stamp, .init = set_up, .fini = tear_down);

Test(stamp, tells_what_stat_tells)
{
	struct stamp stamp = stamp_of(path);
	struct stat status;

	cr_assert_eq(stat(path, &status), 0);
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
	a = stamp_of(path);
	b = stamp_of(other);
	cr_expect(stamp_equal(&a, &b));
}

Test(stamp, is_there_for_what_is_not)
{
	struct stamp there = stamp_of(path), gone, again;

	cr_assert_eq(unlink(path), 0);
	gone = stamp_of(path);
	again = stamp_of(path);
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
Test(stamp, is_not_fooled_by_a_restored_time)
{
	struct timespec times[2] = { { 100, 0 }, { 100, 0 } };
	struct stamp before, after;

	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	before = stamp_of(path);
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
