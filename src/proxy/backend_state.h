/*
 * Whether a backend works, by the last connects to it: of clients and of checks
 * (runtime/backend_check.h).  One state for each name in connect=, shared by all
 * listeners, hosts and generations that use the name, so that a change is
 * reported once.  Any thread; each lock is a leaf.
 */
#ifndef PROXY_BACKEND_STATE_H
#define PROXY_BACKEND_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct backend_state;
struct backend_states;

/* The states in use, by name.  It outlives every state.  NULL: no memory. */
struct backend_states *backend_states_new(void) MUST_CHECK;
void backend_states_free(struct backend_states *states); /* NULL ok */

/* A reference to the state of this name, made if there is none; `states` NULL:
 * one that is not shared.  NULL: no memory. */
struct backend_state *backend_state_get(
    struct backend_states *states, const char *name) MUST_CHECK;
void backend_state_unref(struct backend_state *state); /* NULL ok */

/*
 * A connect failed with errnum, at a monotonic time; all: each of the backend's
 * addresses has failed.  true: the backend is down from now on.
 */
bool backend_state_fail(
    struct backend_state *state, int errnum, bool all, int64_t now_ms);

/* A connect succeeded.  true: the backend was down, for *down_ms. */
bool backend_state_succeed(
    struct backend_state *state, int64_t now_ms, int64_t *down_ms);

/* Monotonic times; 0: never. */
struct backend_status {
	bool down;
	int64_t since_ms; /* of the last change */
	int errnum;       /* of the last failure; 0: none yet */
	int64_t error_ms;
};
struct backend_status backend_state_read(struct backend_state *state);

#endif
