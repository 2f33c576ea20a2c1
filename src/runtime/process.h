/*
 * The process itself: descriptor limits, user and group, pid file, readiness
 * notification, inherited sockets, CPU count.  Main thread, mostly before the
 * first other thread starts.
 */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct addr;
struct err;
struct inherited;
struct log;

/* Raise the descriptor limit to the hard one (at most 1 Mi); what it is now. */
uint32_t process_raise_descriptors(void);

/* max_connections when none is configured, from that limit. */
uint32_t process_default_connections(uint32_t descriptors);

/* min(CPU affinity, cgroup quota rounded up), 1..256. */
unsigned process_cpus(void);

/* Write our pid; refuse when a live process holds it. */
bool process_write_pid(const char *path, struct err *err) MUST_CHECK;
void process_remove_pid(const char *path); /* best effort */

/*
 * Drop to user and group (names or numbers; NULL: stay), no-new-privileges;
 * keep CAP_NET_BIND_SERVICE alone when keep_low_ports.  Before any thread.
 */
bool process_drop(const char *user, const char *group, bool keep_low_ports,
    struct err *err) MUST_CHECK;

/* After the drop: open once every file a reload will need again; each that
 * cannot be read gives one warning that says what to do. */
void process_check_readable(const struct config *config, struct log *log);

/* sd_notify: "READY=1" and so on; nothing without NOTIFY_SOCKET.  Failure is
 * ignored: the service manager's loss must not be the clients'. */
void process_notify(const char *state);
bool process_is_under_systemd(void); /* NOTIFY_SOCKET was set */

/* The sockets of LISTEN_FDS, by LISTEN_FDNAMES name or by address. */
struct inherited *inherited_collect(struct err *err) MUST_CHECK;
size_t inherited_count(const struct inherited *inherited);
/* Give away the descriptor that fits (name, or address when name is NULL).
 * -1: none. */
int inherited_take(
    struct inherited *inherited, const char *name, const struct addr *addr);
/* Closes what nobody took, naming each in a warning.  NULL ok. */
void inherited_free(struct inherited *inherited, struct log *log);

#endif
