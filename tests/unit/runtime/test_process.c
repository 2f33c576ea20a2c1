/*
 * The process: descriptors, the pid file (its lock, its contents, the file of
 * a dead owner), users and groups as far as they can be tested without root,
 * sd_notify's protocol on a socket of the test, CPU quotas.
 */
#include "runtime/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder home;
static char path[128];

static void
set_up(void)
{
	pki_folder_make(&home);
	snprintf(path, sizeof(path), "%s/clinch.pid", home.path);
}

static void
tear_down(void)
{
	pki_folder_remove(&home);
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

Test(process, refuses_a_pid_file_that_is_locked)
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

Test(process, takes_over_the_file_of_a_dead_owner)
{
	struct err err = { "" };
	int fd;

	/* Longer than the new contents, and the pid of a running process. */
	free(pki_write(&home, "clinch.pid", "1\nand some more text\n"));
	fd = process_write_pid(path, &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_expect_eq(read_pid(), (long)getpid());
	process_remove_pid(path, fd);
}

Test(process, names_the_pid_file_that_cannot_be_opened)
{
	struct err err = { "" };

	strcat(path, "/below-a-folder-that-is-not-there");
	cr_expect_eq(process_write_pid(path, &err), -1);
	cr_expect_not_null(strstr(err.text, path), "%s", err.text);
}

Test(process, follows_no_link_to_write_its_pid)
{
	struct err err = { "" };
	char *victim = pki_write(&home, "victim", "precious");

	cr_assert_eq(symlink(victim, path), 0);
	cr_expect_eq(process_write_pid(path, &err), -1);
	free(victim);
}

Test(process, removes_nothing_when_it_wrote_nothing)
{
	free(pki_write(&home, "clinch.pid", "1\n"));
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
	int fd = open(home.path, O_RDONLY | O_DIRECTORY);
	struct stat status;

	cr_assert_geq(dup2(fd, STDIN_FILENO), 0);
	cr_assert(process_fill_standard());
	cr_assert_eq(fstat(STDIN_FILENO, &status), 0);
	cr_expect(S_ISDIR(status.st_mode));
	close(fd);
}

Test(process, counts_free_descriptors)
{
	const struct rlimit few = { 64, 64 };

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	cr_expect(process_has_room(16));
	cr_expect_not(process_has_room(64));
	cr_expect(process_has_room(16), "what was tried is given back");
}

Test(process, finds_what_can_be_written)
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

	snprintf(given, sizeof(given), "%s/there", home.path);
	fd = open(given, O_WRONLY | O_CREAT, 0600);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(
		    given, sizeof(given), "%s/%s", home.path, rows[i].given);
		errno = 0;
		cr_expect_eq(process_can_write(given), rows[i].expect == 0,
		    "%s", rows[i].what);
		if (rows[i].expect != 0)
			cr_expect_eq(errno, rows[i].expect, "%s", rows[i].what);
	}
	close(fd);
}

/* ---- User, group, capabilities ---- */

Test(privilege, refuses_unknown_users_and_groups)
{
	static const struct {
		const char *what, *user, *group, *expect;
	} rows[] = {
		{ "user", "no-such-user", NULL, "user no-such-user" },
		{ "group", NULL, "no-such-group", "group no-such-group" },
		{ "no number", "12x", NULL, "user 12x" },
		{ "all ones", "4294967295", NULL, "user 4294967295" },
		{ "too large", "99999999999", NULL, "user 99999999999" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_not(
		    privilege_drop(rows[i].user, rows[i].group, false, &err),
		    "%s", rows[i].what);
		cr_expect_not_null(strstr(err.text, rows[i].expect), "%s: %s",
		    rows[i].what, err.text);
	}
}

Test(privilege, sets_no_new_privileges_in_every_case)
{
	struct err err = { "" };

	cr_assert(privilege_drop(NULL, NULL, false, &err), "%s", err.text);
	cr_expect_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

Test(privilege, changes_nothing_for_the_present_user)
{
	struct err err = { "" };
	char user[16], group[16];

	snprintf(user, sizeof(user), "%u", (unsigned)getuid());
	snprintf(group, sizeof(group), "%u", (unsigned)getgid());
	cr_expect(privilege_drop(user, group, true, &err), "%s", err.text);
}

Test(privilege, gives_a_folder_only_as_root)
{
	char folder[] = "/tmp/clinch-unit-XXXXXX";
	uid_t expect = geteuid() == 0 ? 12345 : geteuid();
	struct err err = { "" };
	struct stat status;

	cr_assert_not_null(mkdtemp(folder));
	cr_expect(privilege_give(folder, "12345", NULL, &err), "%s", err.text);
	cr_assert_eq(stat(folder, &status), 0);
	cr_expect_eq(status.st_uid, expect);
	rmdir(folder);
	cr_expect_eq(
	    privilege_give(folder, "12345", NULL, &err), geteuid() != 0);
}

Test(privilege, gives_nothing_behind_a_link)
{
	char folder[] = "/tmp/clinch-unit-XXXXXX", link[64];
	struct stat status;
	struct err err = { "" };

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s.link", folder);
	cr_assert_eq(symlink(folder, link), 0);
	cr_expect_not(privilege_give(link, "12345", NULL, &err));
	cr_expect_not_null(strstr(err.text, link), "%s", err.text);
	cr_assert_eq(stat(folder, &status), 0);
	cr_expect_eq(status.st_uid, 0);
	unlink(link);
	rmdir(folder);
}

/* ---- Service manager ---- */

/* A datagram socket with this name; '@' is the abstract namespace. */
static int
listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, len), 0, "%s", name);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* The next datagram; "": none. */
static const char *
receive(int fd, char *text, size_t max)
{
	ssize_t n = recv(fd, text, max - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(notify, sends_to_an_abstract_socket)
{
	char name[64], text[128];
	int fd;

	snprintf(name, sizeof(name), "@clinch-test-%ld", (long)getpid());
	fd = listen_at(name);
	cr_expect(notify_is_wanted());
	notify_send("READY=1");
	cr_expect_str_eq(receive(fd, text, sizeof(text)), "READY=1");
	close(fd);
}

Test(notify, sends_to_a_socket_with_a_path)
{
	struct pki_folder folder;
	char name[80], text[128];
	const char *usec;
	int64_t before, after;
	int fd;

	pki_folder_make(&folder);
	snprintf(name, sizeof(name), "%s/notify", folder.path);
	fd = listen_at(name);
	before = clock_mono_us();
	notify_reloading();
	after = clock_mono_us();
	cr_expect_eq(
	    strncmp(receive(fd, text, sizeof(text)), "RELOADING=1\n", 12), 0,
	    "%s", text);
	usec = strstr(text, "\nMONOTONIC_USEC=");
	cr_assert_not_null(usec, "%s", text);
	/* systemd ignores a time before that of its signal. */
	cr_expect_geq(atoll(usec + 16), before);
	cr_expect_leq(atoll(usec + 16), after);
	close(fd);
	pki_folder_remove(&folder);
}

Test(notify, halves_the_watchdog)
{
	char self[32];
	const struct {
		const char *usec, *pid;
		double expect;
	} rows[] = {
		{ "30000000", NULL, 15.0 },
		{ "30000000", self, 15.0 },
		{ "500000", self, 0.25 },
		{ "30000000", "1", 0.0 },
		{ NULL, self, 0.0 },
		{ "0", self, 0.0 },
		{ "", self, 0.0 },
		{ "30s", self, 0.0 },
		{ "99999999999999999999", self, 0.0 },
	};

	snprintf(self, sizeof(self), "%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", "@clinch-watchdog", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (rows[i].usec)
			setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", rows[i].pid, 1);
		cr_expect_float_eq(
		    notify_watchdog_s(), rows[i].expect, 1e-9, "row %zu", i);
	}
	setenv("WATCHDOG_USEC", "30000000", 1);
	unsetenv("WATCHDOG_PID");
	unsetenv("NOTIFY_SOCKET");
	cr_expect_float_eq(notify_watchdog_s(), 0.0, 1e-9);
}

Test(notify, extends_the_timeout)
{
	struct pki_folder folder;
	char name[80], text[128];
	int fd;

	pki_folder_make(&folder);
	snprintf(name, sizeof(name), "%s/notify", folder.path);
	fd = listen_at(name);
	notify_extend(30, "Waiting for 7 staples");
	cr_expect_str_eq(receive(fd, text, sizeof(text)),
	    "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Waiting for 7 staples");
	close(fd);
	pki_folder_remove(&folder);
}

Test(notify, sends_nothing_without_a_socket)
{
	static const char *const rows[] = { "", "relative", "vsock:2:1234" };

	unsetenv("NOTIFY_SOCKET");
	cr_expect_not(notify_is_wanted());
	notify_send("READY=1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("NOTIFY_SOCKET", rows[i], 1);
		cr_expect_not(notify_is_wanted(), "%s", rows[i]);
		notify_send("READY=1");
	}
}

Test(notify, ignores_a_closed_socket)
{
	char name[64];

	snprintf(name, sizeof(name), "@clinch-gone-%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	notify_send("READY=1");
	cr_expect(notify_is_wanted());
}

/* ---- CPUs ---- */

Test(cpus, rounds_a_quota_up)
{
	static const struct {
		const char *given;
		unsigned expect;
	} rows[] = {
		{ "100000 100000\n", 1 },
		{ "150000 100000\n", 2 },
		{ "200000 100000\n", 2 },
		{ "1000 100000\n", 1 },
		{ "9223372036854775807 1\n", CPUS_MAX },
	};
	unsigned cpus;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert(cpus_parse_quota(rows[i].given, &cpus), "%s",
		    rows[i].given);
		cr_expect_eq(cpus, rows[i].expect, "%s", rows[i].given);
	}
}

Test(cpus, finds_no_quota_where_there_is_none)
{
	static const char *const rows[] = { "max 100000\n", "-1\n 100000\n", "",
		"100000", "100000 0", "0 100000", "no numbers" };
	unsigned cpus;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_not(cpus_parse_quota(rows[i], &cpus), "%s", rows[i]);
}

Test(cpus, counts_within_its_bounds)
{
	cr_expect_geq(cpus_count(), 1u);
	cr_expect_leq(cpus_count(), CPUS_MAX);
}
