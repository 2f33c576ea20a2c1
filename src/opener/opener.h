/*
 * The privileged opener: a small root process beside a main process that drops
 * its privileges.  It opens what the main process may not: the files of the
 * configuration at the start, logs that are reopened, listening sockets of a
 * reload.
 *
 * opener_start() registers the opener as the fallback of base/file.h and
 * base/bind.h, which most code uses.  Main thread, except that these fallbacks
 * work on any thread: one request at a time, under a lock.
 */
#ifndef OPENER_OPENER_H
#define OPENER_OPENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/spawn.h"
#include "config/config.h"
#include "opener/trusted_path.h"

struct err;
struct opener;

/*
 * Fork it: before the first thread, and before a socket or key is in this
 * process.  spawn: runs in the opener, as root; NULL: opener_spawn() fails.  NULL: *err.
 */
struct opener *opener_start(const struct config *config,
    const struct opener_user *user, spawn_fn *spawn, void *arg,
    struct err *err) MUST_CHECK;

/* Its process, -1 once it has gone. */
pid_t opener_pid(const struct opener *opener);

/* Its end was seen by waitpid(): nothing is requested any more. */
void opener_set_gone(struct opener *opener);

/*
 * Start a new process of the program as root, with this descriptor.  It is a
 * child of the calling process, which has to wait for it (SIGCHLD).  Returns its
 * pid, or -1 and *err.
 */
pid_t opener_spawn(struct opener *opener, int fd, struct err *err) MUST_CHECK;

/* Close its socket, which ends the process.  The caller need not wait: it ends
 * with its parent at the latest.  No other thread may run.  NULL ok. */
void opener_free(struct opener *opener);

#endif
