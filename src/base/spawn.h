/*
 * Starting the program of this process again, as a process of its own with one
 * descriptor.  Main thread; spawn_program() also in a forked process with one
 * thread.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;

/* The variable with the number of the descriptor. */
#define SPAWN_VARIABLE "CLINCH_UPGRADE_FD"

/* Start a new process of the program, in which this descriptor stays open, also
 * here.  Returns its pid, or -1 and *err. */
typedef pid_t spawn_fn(void *arg, int fd, struct err *err);

/* How this process was started; program_fini. */
struct program {
	char *path;  /* absolute; a symlink stays one, so that it may change;
			NULL: not known */
	char **argv; /* ends with NULL */
	char **envp; /* likewise; of a process that spawn_program() starts */
};

/*
 * Record it, before anything changes the environment.  envp leaves out what is
 * meant for this process alone (LISTEN_FDS and its kind, WATCHDOG_PID) and has
 * SPAWN_VARIABLE.  false: *err, and program_fini() is allowed.
 */
bool program_record(
    struct program *program, char *const *argv, struct err *err) MUST_CHECK;
void program_fini(struct program *program);

/*
 * Start the file that is at program->path now, with no descriptor but 0, 1, 2
 * and this one, which stays open here.  No signal is blocked there.  Returns
 * its pid, a child of the calling process; -1 and *err.
 */
pid_t spawn_program(
    const struct program *program, int fd, struct err *err) MUST_CHECK;

/*
 * In the process that was started: its descriptor, close-on-exec (-1: none).
 * The variable is removed.  false: *err, the variable names none.
 */
bool spawn_take_fd(int *fd, struct err *err) MUST_CHECK;

#endif
