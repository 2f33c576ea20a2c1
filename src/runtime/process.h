/*
 * The process itself: descriptor limits, pid file, CPU count, and whether the
 * files a reload needs can still be read.  Main thread, mostly before the
 * first other thread starts.  See also privilege.h, notify.h, inherited.h.
 */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct log;

/*
 * Open /dev/null wherever descriptor 0, 1 or 2 is closed: else a socket gets
 * that number and what is written to stderr goes to a client.  First of all,
 * before anything is opened.  /dev/null need not exist where all three are
 * open.  false: it cannot be opened.
 */
bool process_fill_standard(void) MUST_CHECK;

/*
 * As PID 1, end on SIGTERM and SIGINT with status 128 plus the number: the
 * kernel drops a signal without a handler there, and a command that waits for
 * a responder could not be ended.  server_run() blocks signals and reads them
 * from then on.  Nothing changes in any other process.
 */
void process_obey_signals(void);

/* Could that many descriptors be opened now?  libev aborts when it gets none,
 * so this is asked before. */
bool process_has_room(unsigned descriptors);

/* Could this file be opened for writing, or made?  Nothing is opened, and
 * errno says why not. */
bool process_can_write(const char *path);

/* Raise the descriptor limit to the hard one (at most 1 Mi); what it is now. */
uint32_t process_raise_descriptors(void);

/*
 * max_connections when none is configured, from that limit: two descriptors a
 * connection, less a reserve for sockets, files and loops.  At least 1.
 */
uint32_t process_default_connections(uint32_t descriptors);

/*
 * Write our pid and keep the file locked; the lock, not the number in the
 * file, tells a live owner from a stale file (in a container every process is
 * pid 1).  Returns the descriptor that holds the lock, for
 * process_remove_pid; -1 and *err: another process has it, or no such folder.
 */
int process_write_pid(const char *path, struct err *err) MUST_CHECK;

/* Remove, best effort (the folder may be closed to us by now); fd -1: none. */
void process_remove_pid(const char *path, int fd);

/*
 * After privileges were dropped: open once every file that a reload will need
 * again; each that cannot be read gives one warning that says what to do.
 */
void process_check_readable(const struct config *config, struct log *log);

#endif
