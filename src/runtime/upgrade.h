/*
 * Upgrade without loss: a new process of the program takes over the listening
 * sockets, and the old one drains.  Both sides; main thread.
 */
#ifndef RUNTIME_UPGRADE_H
#define RUNTIME_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

struct err;
struct server;
struct upgrade;

/* ---- The old process ---- */

/* After server->ev.  NULL: *err. */
struct upgrade *upgrade_new(struct server *server, struct err *err) MUST_CHECK;

/* Ends a new process that is not ready.  NULL ok. */
void upgrade_free(struct upgrade *upgrade);

/* SIGUSR2 or POST /upgrade: begin, now or when the change that is under way is
 * in force. */
void upgrade_run(struct server *server);

/* The process drains for another reason: end the new process. */
void upgrade_abort(struct server *server);

/* waitpid() returned this. */
void upgrade_child_ended(struct server *server, pid_t pid, int status);

/* ---- The new process ---- */

/* Notice the end of the old one during the start.  After server->ev. */
void upgrade_watch(struct server *server);

/* Every loop serves `current`: the old process may drain.  false: it has gone,
 * and the process ends. */
bool upgrade_settle(struct server *server) MUST_CHECK;

#endif
