/*
 * What a kill or a failing disk leaves of the store: rule 3.  This program is
 * linked with the calls that change a disk wrapped, so that each step of a
 * write can fail, or be the last thing that the process does.
 */
#include "staple/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/staple/store_folder.h"

#define KILLED 9

static struct {
	unsigned step;         /* calls so far */
	unsigned kill_at;      /* 0: never */
	unsigned fail_at;      /* 0: never */
	int errnum;            /* of the failure */
	const char *grow_path; /* grows as soon as its size was asked for */
} fault;

int __real_openat(int folder, const char *name, int flags, mode_t mode);
int __wrap_openat(int folder, const char *name, int flags, mode_t mode);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);

/* Is this step to fail?  Or does everything end here? */
static bool
fails(void)
{
	fault.step++;
	if (fault.step == fault.kill_at)
		_exit(KILLED);
	errno = fault.errnum;
	return fault.step == fault.fail_at;
}

int
__wrap_openat(int folder, const char *name, int flags, mode_t mode)
{
	return fails() ? -1 : __real_openat(folder, name, flags, mode);
}

/* Writes some, as a disk that fills up does; asked again, the rest. */
ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	return fails() ? -1 : __real_write(fd, bytes, len > 1 ? len / 2 : len);
}

int
__wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int
__wrap_renameat(int from, const char *a, int to, const char *b)
{
	return fails() ? -1 : __real_renameat(from, a, to, b);
}

int
__wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status);
	FILE *file;

	if (fault.grow_path != NULL) {
		file = fopen(fault.grow_path, "a");
		cr_assert(file != NULL && fputc('x', file) == 'x' &&
			  fclose(file) == 0);
	}
	return result;
}

static void
set_up(void)
{
	folder_set_up();
	memset(&fault, 0, sizeof(fault));
}

static void
tear_down(void)
{
	memset(&fault, 0, sizeof(fault));
	folder_tear_down();
}

TestSuite(store_faults, .init = set_up, .fini = tear_down, .timeout = 20);

/* The child's exit status. */
static int
save_in_child(void)
{
	int status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(save("the new one") ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(store_faults, is_whole_after_a_kill_at_any_step)
{
	unsigned step = 0, kept = 0, aside = 0, left, was_left = 0;
	const char *text;
	int status;

	do {
		cr_assert(save("old"));
		fault.kill_at = fault.step + ++step;
		status = save_in_child();
		fault.kill_at = 0;
		left = count_aside();
		aside += left > was_left;
		text = load();
		cr_assert_not_null(text, "step %u", step);
		kept += strcmp(text, "old") == 0;
		if (strcmp(text, "old") != 0)
			cr_expect_str_eq(text, "the new one", "step %u", step);
		cr_expect(save("old"), "step %u: %s", step, err.text);
		cr_expect_eq(count_aside(), left, "step %u", step);
		was_left = left;
	} while (status == KILLED);
	cr_expect_eq(status, 0);
	cr_expect_geq(aside, 3, "a torn file was left, and in nobody's way");
	cr_expect_geq(kept, 4, "before create, write, sync and rename");
	cr_expect_gt(step, kept + 1, "and after the rename");
}

static const struct errno_row {
	int errnum;
	const char *advice;
} errno_rows[] = {
	{ ENOSPC, "make room there" },
	{ EDQUOT, "make room there" },
	{ EROFS, "another store_dir" },
	{ EACCES, "user of this process" },
	{ EPERM, "user of this process" },
	{ EIO, "Input/output error" },
};

/* Whether what is there is the new one all the same. */
static bool
fail_at(unsigned step, const struct errno_row *row)
{
	bool renamed;
	const char *text;

	cr_assert(save("old"));
	fault.errnum = row->errnum;
	fault.fail_at = fault.step + step;
	cr_expect_not(save("new"), "step %u", step);
	fault.fail_at = 0;
	cr_expect_eq(count_aside(), 0, "step %u", step);
	cr_expect_not_null(strstr(err.text, file_path()), "%s", err.text);
	cr_expect_not_null(strstr(err.text, row->advice), "%s", err.text);
	text = load();
	cr_assert_not_null(text, "step %u", step);
	renamed = strcmp(text, "new") == 0;
	if (!renamed)
		cr_expect_str_eq(text, "old", "step %u", step);
	return renamed;
}

/* Create, three writes, sync, rename; and the folder's sync. */
Test(store_faults, keeps_the_old_one_when_a_step_fails)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_rows); i++) {
		for (unsigned step = 1; step <= 6; step++)
			cr_expect_not(fail_at(step, &errno_rows[i]));
		cr_expect(fail_at(7, &errno_rows[i]));
	}
}

Test(store_faults, accepts_that_some_folders_cannot_be_synced)
{
	fault.errnum = EINVAL;
	fault.fail_at = fault.step + 7;
	cr_expect(save("new"), "%s", err.text);
	expect("new", "the rename is done");
}

Test(store_faults, goes_on_after_an_interrupted_write)
{
	fault.errnum = EINTR;
	fault.fail_at = fault.step + 3; /* the second write */
	cr_expect(save("a longer text"), "%s", err.text);
	expect("a longer text", "interrupted");
}

Test(store_faults, survives_a_file_size_limit)
{
	struct rlimit limit = { .rlim_cur = 4, .rlim_max = RLIM_INFINITY };

	cr_assert(save("old"));
	signal(SIGXFSZ, SIG_IGN); /* threads of ours block every signal */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_not(save("longer"));
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect("old", "after a failure");
	cr_expect_eq(count_aside(), 0);
}

Test(store_faults, notices_a_file_that_grows_under_its_eyes)
{
	struct staple_bytes bytes;

	put(file_path(), "text");
	fault.grow_path = file_path();
	cr_expect_not(staple_store_read(scratch.store, ID, MAX, &bytes, &err));
	cr_expect_not_null(strstr(err.text, "grew"), "%s", err.text);
	cr_expect_null(bytes.data);
}
