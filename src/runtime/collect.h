/*
 * The joint of the process and the admin endpoint: it publishes what the
 * endpoint may read, and collects the overview from it.
 *
 * The main thread calls everything but the callbacks of the endpoint, which run
 * on the thread of the endpoint and read three things: what is under the lock
 * here (a reference to the running generation, the phase, the reloads), the
 * counters of listener threads, and the state of libstaple.
 */
#ifndef RUNTIME_COLLECT_H
#define RUNTIME_COLLECT_H

#include <stdbool.h>

#include "admin/overview.h"
#include "base/attr.h"

struct collect;
struct err;
struct generation;
struct generation_parts;

/* The endpoint's thread needs something of the main thread: they only wake its
 * loop. */
struct collect_calls {
	void (*ping)(void *arg);    /* collect_pong is expected */
	void (*reload)(void *arg);  /* collect_reloaded is expected */
	void (*upgrade)(void *arg); /* collect_upgraded is expected */
};

/* parts and config_path outlive the object.  NULL: no memory. */
struct collect *collect_new(const struct generation_parts *parts,
    const char *config_path, const struct collect_calls *calls,
    void *arg) MUST_CHECK;

/* Another phase, or another running generation (a reference is taken, but in a
 * drain to its services alone; NULL: none). */
void collect_set(struct collect *collect, enum overview_state state,
    struct generation *current);

/*
 * Serve the [admin] sockets of that generation: the endpoint's thread starts
 * with the first one and ends with the last one.  false: *err, and nothing has
 * changed.
 */
bool collect_serve(struct collect *collect, const struct generation *generation,
    struct err *err) MUST_CHECK;

/* A reload begins; a line of its errors (of none if no reload is running); it is
 * decided. */
void collect_reload_begins(struct collect *collect);
void collect_reload_error(struct collect *collect, const char *text);
void collect_reloaded(struct collect *collect, bool adopted);

/* An upgrade begins; it is decided, with what a client is to read. */
void collect_upgrade_begins(struct collect *collect);
void collect_upgraded(
    struct collect *collect, bool succeeded, const char *text);

/* Another process serves the [admin] sockets: close them, and go on with the
 * requests that have come. */
void collect_leave(struct collect *collect);

/* The main loop has turned. */
void collect_pong(struct collect *collect);

/* Ends the endpoint.  Before what `parts` lends.  NULL ok. */
void collect_free(struct collect *collect);

#endif
