/*
 * Listening sockets that the service manager opened for us (LISTEN_FDS), by
 * name or by address, until a listener takes them.  Main thread.
 */
#ifndef RUNTIME_INHERITED_H
#define RUNTIME_INHERITED_H

#include <stddef.h>

#include "base/attr.h"

struct addr;
struct err;
struct inherited;
struct log;

/*
 * Collect LISTEN_FDS if LISTEN_PID is ours, mark each close-on-exec, and
 * remove the three variables from the environment.  An object without sockets
 * when there are none; NULL and *err when what was announced is not there.
 */
struct inherited *inherited_collect(struct err *err) MUST_CHECK;

/* How many nobody has taken yet.  NULL ok: 0. */
size_t inherited_count(const struct inherited *inherited);

/*
 * Give away the first descriptor that fits: by name, or by address when name
 * is NULL.  -1: none.  NULL ok.
 */
int inherited_take(
    struct inherited *inherited, const char *name, const struct addr *addr);

/* Closes what nobody took, naming each in a warning.  NULL ok. */
void inherited_free(struct inherited *inherited, struct log *log);

#endif
