/*
 * The admin endpoint: HTTP on a thread of its own, over loopback, TCP or a Unix
 * socket.  See clinch(8), ADMIN ENDPOINT.  Main thread, except for the
 * callbacks.
 */
#ifndef ADMIN_ENDPOINT_H
#define ADMIN_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct endpoint;
struct err;
struct listener;
struct log;
struct overview;

/* What the endpoint needs of the process.  They run on its thread. */
struct endpoint_calls {
	/* The state at this moment (overview_free); NULL: no memory. */
	struct overview *(*collect)(void *arg);
	/* Make the main loop call endpoint_pong. */
	void (*ping)(void *arg);
	/* Begin a reload.  Returns its number, as endpoint_reloaded will pass
	 * it; 0: there will be none, because the process drains. */
	uint64_t (*reload)(void *arg);
	/* Begin an upgrade.  Returns its number, as endpoint_upgraded will pass
	 * it; 0: there will be none, because another one is running or the
	 * process drains. */
	uint64_t (*upgrade)(void *arg, bool *is_running);
	/* Fetch now: all staples, or those of the certificates with this name
	 * or beginning of an id.  Returns how many. */
	size_t (*refresh)(void *arg, const char *certificate);
};

/* Start the thread; it listens nowhere yet.  NULL: *err. */
struct endpoint *endpoint_start(const struct endpoint_calls *calls, void *arg,
    struct log *log, struct err *err) MUST_CHECK;

/*
 * Serve these sockets from now on and no others; references are taken.  Open
 * connections go on.  false: no memory, and nothing has changed.
 */
bool endpoint_serve(struct endpoint *endpoint,
    struct listener *const *listeners, size_t count) MUST_CHECK;

/* Serve no socket from now on.  Open connections go on. */
void endpoint_leave(struct endpoint *endpoint);

/* The main loop has turned. */
void endpoint_pong(struct endpoint *endpoint); /* NULL ok */

/* The reload with this number (they count up) is decided: adopted, or refused
 * with these errors (one a line).  endpoint: NULL ok. */
void endpoint_reloaded(struct endpoint *endpoint, uint64_t number, bool adopted,
    const char *errors);

/* Likewise for an upgrade; text: what the client is to read. */
void endpoint_upgraded(struct endpoint *endpoint, uint64_t number,
    bool succeeded, const char *text);

/* End the thread; an answer that is being sent has a second.  NULL ok. */
void endpoint_stop(struct endpoint *endpoint);

#endif
