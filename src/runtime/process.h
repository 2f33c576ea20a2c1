/*
 * The process and its machine: descriptors, pid file, user and capabilities,
 * service manager, CPUs.  Main thread, mostly before the first other thread
 * starts.
 */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct log;
struct opener_user;

/* ---- Descriptors and files ---- */

/*
 * Open /dev/null for each closed descriptor among 0, 1 and 2: else a socket
 * gets that number, and output to stderr goes to a client.  Before anything
 * else is opened.  false: /dev/null cannot be opened.
 */
bool process_fill_standard(void) MUST_CHECK;

/*
 * As PID 1, end on SIGTERM and SIGINT with status 128 plus the number: the
 * kernel drops a signal without a handler there, and a command that waits for
 * a responder could not be ended.  server_run() blocks signals and reads them
 * from then on.  Nothing changes in any other process.
 */
void process_obey_signals(void);

/* Can that many descriptors be opened now? libev aborts if it gets none. */
bool process_has_room(unsigned descriptors);

/* Can this file be opened for writing, or made?  Nothing is opened; false:
 * errno is set. */
bool process_can_write(const char *path);

/* Raise the descriptor limit to the hard one (at most 1 Mi) and return it. */
uint32_t process_raise_descriptors(void);

/*
 * The default of max_connections for this limit: two descriptors a connection,
 * less a reserve for sockets, files and loops.  At least 1.
 */
uint32_t process_default_connections(uint32_t descriptors);

/*
 * Write the pid and keep the file locked; the lock, not the number in the file,
 * distinguishes a running owner from a stale file (in a container every process
 * is pid 1).  Returns the descriptor of the lock, for process_remove_pid; -1 and
 * *err: another process has it, or there is no such folder.
 */
int process_write_pid(const char *path, struct err *err) MUST_CHECK;

/* Is the open file the one of this path? */
bool process_is_pid_file(int fd, const char *path);

/* Write the pid into a file that process_write_pid() has opened, perhaps in
 * another process.  false: *err. */
bool process_rewrite_pid(int fd, struct err *err) MUST_CHECK;

/* Remove, best effort (the folder may not be writable any more); fd -1:
 * none. */
void process_remove_pid(const char *path, int fd);

/*
 * After privileges were dropped: open every file that a reload needs, as the
 * reload does (base/file.h); unreadable ones give a warning with a remedy.
 */
void process_check_readable(const struct config *config, struct log *log);

/* Warn if this process is root and `user` names no other user. */
void process_check_user(const struct config *config, struct log *log);

/* ---- User, group, capabilities ---- */

/*
 * Become user and group (names or numbers; NULL: stay) with that user's
 * supplementary groups, and set no-new-privileges in every case.  Keeps
 * CAP_NET_BIND_SERVICE alone when keep_low_ports, so that a reload can open
 * a port below 1024 without an opener.
 */
bool privilege_drop(const char *user, const char *group, bool keep_low_ports,
    struct err *err) MUST_CHECK;

/*
 * The ids that privilege_drop() takes for this user and group, with all groups
 * of the user.  false: *err.
 */
bool privilege_find(const char *user, const char *group,
    struct opener_user *ids, struct err *err) MUST_CHECK;

/*
 * Give a folder made by this process to that user and group, who will write
 * there (names or numbers; NULL: no change).  Never through a symlink.  Does
 * nothing unless root.
 */
bool privilege_give(const char *path, const char *user, const char *group,
    struct err *err) MUST_CHECK;

/* ---- Service manager (sd_notify) ---- */

/*
 * Send a state such as "READY=1"; nothing without NOTIFY_SOCKET.  Failures are
 * ignored: they must not affect clients.
 */
void notify_send(const char *state);

/* RELOADING=1 with the monotonic time, which systemd compares in microseconds
 * with the time of its signal (Type=notify-reload). */
void notify_reloading(void);

/* How often WATCHDOG=1 has to be sent, in seconds: half of WATCHDOG_USEC.  0: no
 * watchdog, or WATCHDOG_PID is another process. */
double notify_watchdog_s(void);

/* EXTEND_TIMEOUT_USEC: a start or reload takes up to so many seconds more.
 * status: what it waits for. */
void notify_extend(unsigned seconds, const char *status);

/* Is NOTIFY_SOCKET set? */
bool notify_is_wanted(void);

/* ---- CPUs ---- */

#define CPUS_MAX 256u

/* min(CPU affinity, cgroup quota rounded up), 1..CPUS_MAX. */
unsigned cpus_count(void);

/*
 * "QUOTA PERIOD" as in cgroup v2's cpu.max, in CPUs rounded up.  false: no quota
 * ("max", or -1 in version 1), or another text.
 */
bool cpus_parse_quota(const char *text, unsigned *cpus) MUST_CHECK;

#endif
