/*
 * Connections from descriptors, and the pid file: its lock, its contents, what
 * is left of an owner that died.
 */
#include "runtime/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder folder;
static char path[128];

static void
set_up(void)
{
	pki_folder_make(&folder);
	snprintf(path, sizeof(path), "%s/clinch.pid", folder.path);
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
}

TestSuite(process, .init = set_up, .fini = tear_down);

static long
read_pid(void)
{
	FILE *file = fopen(path, "r");
	long pid = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%ld", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

Test(process, allows_two_descriptors_a_connection_and_keeps_some)
{
	static const struct {
		const char *what;
		uint32_t given, expect;
	} rows[] = {
		{ "none at all", 0, 1 },
		{ "hardly any", 3, 1 },
		{ "the usual soft limit", 1024, 448 },
		{ "the usual hard limit", 1048576, 523776 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(process_default_connections(rows[i].given),
		    rows[i].expect, "%s", rows[i].what);
}

Test(process, writes_its_pid_and_removes_it)
{
	struct err err = { "" };
	int fd = process_write_pid(path, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect_eq(read_pid(), (long)getpid());
	process_remove_pid(path, fd);
	cr_expect_neq(access(path, F_OK), 0);
}

Test(process, refuses_a_pid_file_that_is_held)
{
	struct err err = { "" };
	char pid[32];
	int fd = process_write_pid(path, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect_eq(process_write_pid(path, &err), -1);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	cr_expect_not_null(strstr(err.text, pid), "%s", err.text);
	cr_expect_eq(read_pid(), (long)getpid());
	process_remove_pid(path, fd);
}

Test(process, takes_over_what_a_dead_owner_left)
{
	struct err err = { "" };
	int fd;

	/* Longer than ours, and the pid of one who surely lives. */
	free(pki_write(&folder, "clinch.pid", "1\nand some more text\n"));
	fd = process_write_pid(path, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect_eq(read_pid(), (long)getpid());
	process_remove_pid(path, fd);
}

Test(process, says_which_pid_file_cannot_be_opened)
{
	struct err err = { "" };

	strcat(path, "/below-a-folder-that-is-not-there");
	cr_expect_eq(process_write_pid(path, &err), -1);
	cr_expect_not_null(strstr(err.text, path), "%s", err.text);
}

Test(process, follows_no_link_to_write_its_pid)
{
	struct err err = { "" };
	char *victim = pki_write(&folder, "victim", "precious");

	cr_assert_eq(symlink(victim, path), 0);
	cr_expect_eq(process_write_pid(path, &err), -1);
	free(victim);
}

Test(process, removes_nothing_when_it_wrote_nothing)
{
	free(pki_write(&folder, "clinch.pid", "1\n"));
	process_remove_pid(path, -1);
	cr_expect_eq(access(path, F_OK), 0);
}

Test(process, opens_the_standard_descriptors_that_are_closed)
{
	struct stat status;

	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	cr_assert(process_fill_standard());
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
		cr_assert_eq(fstat(fd, &status), 0, "%d is closed", fd);
		cr_expect(S_ISCHR(status.st_mode), "%d is no device", fd);
	}
}

Test(process, leaves_the_standard_descriptors_that_are_open)
{
	int fd = open(folder.path, O_RDONLY | O_DIRECTORY);
	struct stat status;

	cr_assert_geq(dup2(fd, STDIN_FILENO), 0);
	cr_assert(process_fill_standard());
	cr_assert_eq(fstat(STDIN_FILENO, &status), 0);
	cr_expect(S_ISDIR(status.st_mode));
	close(fd);
}

Test(process, knows_whether_descriptors_are_left)
{
	const struct rlimit few = { 64, 64 };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	cr_expect(process_has_room(16));
	cr_expect_not(process_has_room(64));
	cr_expect(process_has_room(16), "what was tried is given back");
}

Test(process, knows_what_can_be_written)
{
	static const struct {
		const char *what, *given;
		int expect;
	} rows[] = {
		{ "a file that is there", "there", 0 },
		{ "a file to be made", "new", 0 },
		{ "a folder that is not there", "none/new", ENOENT },
		{ "a folder", "", EISDIR },
		{ "a file in a file", "there/new", ENOTDIR },
	};
	char given[256];
	int fd;

	snprintf(given, sizeof(given), "%s/there", folder.path);
	fd = open(given, O_WRONLY | O_CREAT, 0600);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(
		    given, sizeof(given), "%s/%s", folder.path, rows[i].given);
		errno = 0;
		cr_expect_eq(process_can_write(given), rows[i].expect == 0,
		    "%s", rows[i].what);
		if (rows[i].expect != 0)
			cr_expect_eq(errno, rows[i].expect, "%s", rows[i].what);
	}
	close(fd);
}
