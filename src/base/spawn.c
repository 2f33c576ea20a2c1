/*
 * Starting the program again.  Main thread, or a forked process.
 *
 * posix_spawn() and not fork(): the calling process has other threads, locks
 * and perhaps thousands of connections, whose page tables a fork would copy
 * while clients wait; and it returns the error of exec.
 *
 * The path is the one that was executed, and not the target of /proc/self/exe:
 * an upgrade may consist of another target for a symlink.
 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define SPAWN_FD 3
#define EXE "/proc/self/exe"

/* ---- What this process is ---- */

/* Without /proc, as in a container: probably. */
static bool
is_this_program(const char *path)
{
	struct stat given, own;

	if (stat(path, &given) != 0)
		return false;
	return stat(EXE, &own) != 0 ||
	       (given.st_dev == own.st_dev && given.st_ino == own.st_ino);
}

/* The path that was executed; NULL: it is no longer this program. */
static char *
find_executed(void)
{
	const char *given = (const char *)getauxval(AT_EXECFN);
	char folder[PATH_MAX], *path = NULL;

	if (given == NULL)
		return NULL;
	if (given[0] == '/')
		path = strdup(given);
	else if (getcwd(folder, sizeof(folder)) == NULL ||
		 asprintf(&path, "%s/%s", folder, given) < 0)
		return NULL;
	if (path && is_this_program(path))
		return path;
	free(path);
	return NULL;
}

/* Started by a descriptor, or replaced since. */
static char *
find_file(void)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t len = readlink(EXE, path, sizeof(path) - 1);
	size_t end;

	if (len < 0)
		return NULL;
	path[len] = '\0';
	end = strlen(path);
	if (end >= sizeof(deleted) && access(path, F_OK) != 0 &&
	    strcmp(path + end - (sizeof(deleted) - 1), deleted) == 0)
		path[end - (sizeof(deleted) - 1)] = '\0';
	return strdup(path);
}

static void
free_strings(char **strings)
{
	size_t i;

	for (i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

/* Those that `keep` returns true for, with room for one more.  NULL: no
 * memory. */
static char **
copy_strings(char *const *strings, bool (*keep)(const char *string))
{
	size_t i, count = 0, all = 0;
	char **copies;

	while (strings[all])
		all++;
	copies = calloc(all + 2, sizeof(copies[0]));
	for (i = 0; copies && i < all; i++) {
		if (!keep(strings[i]))
			continue;
		copies[count] = strdup(strings[i]);
		if (copies[count++] == NULL) {
			free_strings(copies);
			return NULL;
		}
	}
	return copies;
}

static bool
keep_all(const char *string)
{
	(void)string;
	return true;
}

/* Is this the variable, with its value? */
static bool
is_variable(const char *string, const char *name)
{
	size_t len = strlen(name);

	return strncmp(string, name, len) == 0 && string[len] == '=';
}

/* Of a watchdog for this process another one would take no notice. */
static bool
keep_variable(const char *string)
{
	static const char *const own[] = { "LISTEN_PID", "LISTEN_PIDFDID",
		"LISTEN_FDS", "LISTEN_FDNAMES", SPAWN_VARIABLE };
	size_t i;

	for (i = 0; i < ARRAY_LEN(own); i++)
		if (is_variable(string, own[i]))
			return false;
	return !is_variable(string, "WATCHDOG_PID") ||
	       strtol(strchr(string, '=') + 1, NULL, 10) != (long)getpid();
}

static char **
make_environment(void)
{
	char **copies = copy_strings(environ, keep_variable);
	size_t count = 0;

	if (copies == NULL)
		return NULL;
	while (copies[count])
		count++;
	if (asprintf(&copies[count], SPAWN_VARIABLE "=%d", SPAWN_FD) >= 0)
		return copies;
	copies[count] = NULL;
	free_strings(copies);
	return NULL;
}

bool
program_record(struct program *program, char *const *argv, struct err *err)
{
	program->path = find_executed();
	if (program->path == NULL)
		program->path = find_file();
	program->argv = copy_strings(argv, keep_all);
	program->envp = make_environment();
	return (program->argv && program->envp) || err_no_memory(err);
}

void
program_fini(struct program *program)
{
	free(program->path);
	free_strings(program->argv);
	free_strings(program->envp);
	memset(program, 0, sizeof(*program));
}

/* ---- Start ---- */

/* 0, or the errno. */
static int
spawn(const struct program *program, const posix_spawn_file_actions_t *actions,
    posix_spawnattr_t *attributes, pid_t *pid)
{
	sigset_t none, pipe;
	int errnum;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	errnum = posix_spawnattr_setsigmask(attributes, &none);
	if (errnum == 0)
		errnum = posix_spawnattr_setsigdefault(attributes, &pipe);
	if (errnum == 0)
		errnum = posix_spawnattr_setflags(
		    attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (errnum == 0)
		errnum = posix_spawn(pid, program->path, actions, attributes,
		    program->argv, program->envp);
	return errnum;
}

pid_t
spawn_program(const struct program *program, int fd, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = -1;
	int errnum;

	if (program->path == NULL) {
		err_set(err, "the path of the program is not known");
		return -1;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	errnum = posix_spawn_file_actions_adddup2(&actions, fd, SPAWN_FD);
	if (errnum == 0)
		errnum = posix_spawn_file_actions_addclosefrom_np(
		    &actions, SPAWN_FD + 1);
	if (errnum == 0)
		errnum = spawn(program, &actions, &attributes, &pid);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (errnum == 0)
		return pid;
	err_set_errno(err, errnum, "%s cannot be started", program->path);
	return -1;
}

bool
spawn_take_fd(int *fd, struct err *err)
{
	const char *text = getenv(SPAWN_VARIABLE);
	char *end;
	long number;

	*fd = -1;
	if (text == NULL)
		return true;
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end != '\0' || number <= STDERR_FILENO ||
	    number > INT_MAX || fcntl((int)number, F_SETFD, FD_CLOEXEC) != 0)
		return err_set(err,
		    SPAWN_VARIABLE "=%s is not an open descriptor: the "
				   "variable is set by an upgrade alone",
		    text);
	*fd = (int)number;
	unsetenv(SPAWN_VARIABLE);
	return true;
}
