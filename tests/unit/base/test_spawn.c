/* The program is recorded with its path, arguments and environment; a new
 * process gets one descriptor and no blocked signal. */
#include "base/spawn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

/* ---- program_record ---- */

static char word[] = "clinch", option[] = "-c", file[] = "file";
static char *const arguments[] = { word, option, file, NULL };

static const char *
find_variable(const struct program *program, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; program->envp[i]; i++)
		if (strncmp(program->envp[i], name, len) == 0 &&
		    program->envp[i][len] == '=')
			return program->envp[i] + len + 1;
	return NULL;
}

Test(program, is_this_executable_with_these_arguments)
{
	struct program program;
	struct stat own, found;
	struct err err;
	size_t i;

	cr_assert(program_record(&program, arguments, &err), "%s", err.text);
	cr_expect_eq(program.path[0], '/');
	cr_assert_eq(stat(program.path, &found), 0, "%s", program.path);
	cr_assert_eq(stat("/proc/self/exe", &own), 0);
	cr_expect_eq(own.st_ino, found.st_ino);
	for (i = 0; arguments[i]; i++)
		cr_expect_str_eq(program.argv[i], arguments[i]);
	cr_expect_null(program.argv[i]);
	program_fini(&program);
}

Test(program, leaves_out_variables_of_this_process_alone)
{
	static const char *const names[] = { "LISTEN_PID", "LISTEN_FDS",
		"LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID" };
	struct program program;
	char pid[32];
	size_t i;

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	for (i = 0; i < ARRAY_LEN(names); i++)
		setenv(names[i], pid, 1);
	setenv("LISTEN", "kept", 1);
	setenv("NOTIFY_SOCKET", "/run/notify", 1);
	setenv(SPAWN_VARIABLE, "77", 1);
	cr_assert(program_record(&program, arguments, NULL));
	for (i = 0; i < ARRAY_LEN(names); i++)
		cr_expect_null(find_variable(&program, names[i]));
	cr_expect_str_eq(find_variable(&program, "LISTEN"), "kept");
	cr_expect_str_eq(
	    find_variable(&program, "NOTIFY_SOCKET"), "/run/notify");
	cr_expect_str_eq(find_variable(&program, SPAWN_VARIABLE), "3");
	program_fini(&program);
}

Test(program, keeps_the_watchdog_of_another_process)
{
	struct program program;

	setenv("WATCHDOG_PID", "1", 1);
	cr_assert(program_record(&program, arguments, NULL));
	cr_expect_str_eq(find_variable(&program, "WATCHDOG_PID"), "1");
	program_fini(&program);
}

/* ---- spawn_program ---- */

/* Run this script with the second of these ends of a pipe, which are closed;
 * what it writes there is in `output`.  false: it failed. */
static bool
run_with(const int ends[2], const char *script, char *output, size_t max)
{
	static char path[] = "/bin/sh", flag[] = "-c", bin[] = "PATH=/bin";
	char text[512];
	char *argv[] = { path, flag, text, NULL };
	char *envp[] = { bin, NULL };
	const struct program program = { path, argv, envp };
	size_t used = 0;
	ssize_t n;
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%s", script);
	pid = spawn_program(&program, ends[1], NULL);
	close(ends[1]);
	while ((n = read(ends[0], output + used, max - 1 - used)) > 0)
		used += (size_t)n;
	output[used] = '\0';
	close(ends[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool
run_script(const char *script, char *output, size_t max)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) == 0 &&
	       run_with(ends, script, output, max);
}

Test(spawn, gives_one_descriptor_and_no_other)
{
	char output[64];

	cr_assert_eq(dup2(STDERR_FILENO, 57), 57); /* not close-on-exec */
	cr_expect(run_script("for n in 4 5 6 7 57; do"
			     " [ -e /proc/$$/fd/$n ] && echo leaked $n >&3;"
			     " done; echo done >&3",
	    output, sizeof(output)));
	cr_expect_str_eq(output, "done\n");
}

/* In a child, because the test framework has a descriptor 3 itself. */
static bool
hears_from_descriptor_3(void)
{
	char output[64];
	int fd, ends[2];

	for (fd = 3; fd < 64; fd++)
		close(fd);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	ends[0] = fcntl(ends[0], F_DUPFD_CLOEXEC, 9);
	close(3);
	ends[1] = dup3(ends[1], 3, O_CLOEXEC);
	close(4);
	return ends[1] == 3 &&
	       run_with(ends, "echo heard >&3", output, sizeof(output)) &&
	       strcmp(output, "heard\n") == 0;
}

Test(spawn, works_where_the_descriptor_has_that_number_already)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(!hears_from_descriptor_3());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(status, 0);
}

Test(spawn, starts_without_blocked_signals_or_an_ignored_pipe)
{
	char output[128];
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	cr_expect(
	    run_script("while read name value; do case $name in"
		       " SigBlk:) echo $value >&3;;"
		       " SigIgn:) echo $((0x$value & 1 << 12)) >&3;; esac;"
		       " done </proc/$$/status",
		output, sizeof(output)));
	cr_expect_str_eq(output, "0000000000000000\n0\n");
}

static void
expect_refused(char *path, const char *why)
{
	char *argv[] = { path, NULL };
	const struct program program = { path, argv, argv + 1 };
	struct err err = { "" };

	cr_expect_eq(spawn_program(&program, STDERR_FILENO, &err), -1);
	cr_expect(strstr(err.text, why), "%s: %s", path, err.text);
	cr_expect_eq(strncmp(err.text, path, strlen(path)), 0);
}

Test(spawn, reports_what_cannot_be_executed)
{
	char missing[] = "/nonexistent/clinch";
	char text[] = "/tmp/clinch-spawn-XXXXXX";
	int fd = mkstemp(text);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "words\n", 6), 6);
	close(fd);
	expect_refused(missing, "No such file");
	expect_refused(text, "Permission denied");
	cr_assert_eq(chmod(text, 0755), 0);
	expect_refused(text, "Exec format error");
	unlink(text);
}

Test(spawn, reports_a_path_that_is_not_known)
{
	const struct program program = { NULL, NULL, NULL };
	struct err err;

	cr_expect_eq(spawn_program(&program, STDERR_FILENO, &err), -1);
	cr_expect_str_eq(err.text, "the path of the program is not known");
}

/* ---- spawn_take_fd ---- */

Test(spawn_take_fd, finds_nothing_without_the_variable)
{
	int fd = 7;

	unsetenv(SPAWN_VARIABLE);
	cr_expect(spawn_take_fd(&fd, NULL));
	cr_expect_eq(fd, -1);
}

Test(spawn_take_fd, takes_the_descriptor_once)
{
	int fd;

	cr_assert_eq(dup2(STDERR_FILENO, 63), 63);
	setenv(SPAWN_VARIABLE, "63", 1);
	cr_expect(spawn_take_fd(&fd, NULL));
	cr_expect_eq(fd, 63);
	cr_expect_eq(fcntl(63, F_GETFD), FD_CLOEXEC);
	cr_expect(spawn_take_fd(&fd, NULL));
	cr_expect_eq(fd, -1);
}

Test(spawn_take_fd, refuses_what_is_no_descriptor)
{
	static const char *const rows[] = { "", "x", "3x", "2", "-1", "1000000",
		"99999999999999999999" };
	struct err err;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		setenv(SPAWN_VARIABLE, rows[i], 1);
		cr_expect_not(spawn_take_fd(&fd, &err), "%s", rows[i]);
		cr_expect(
		    strstr(err.text, "not an open descriptor"), "%s", rows[i]);
	}
}
