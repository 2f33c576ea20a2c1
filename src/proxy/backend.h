/*
 * Where the plaintext goes: the connect= lines of one service, each with the
 * addresses it means at the moment, tried in order (prio) or in turn (rr).
 * One that failed rests for retry_after.  Names are looked up elsewhere
 * (runtime/resolve.c) and the answers put here; a connection only ever reads.
 *
 * struct backends: counted, built on the main thread, used by all listener
 * threads.  The current addresses are an immutable counted set behind the
 * backend lock (a leaf: load, increment); rest-until is a relaxed atomic.
 */
#ifndef PROXY_BACKEND_H
#define PROXY_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "config/config.h"

struct backends;
struct backend_addresses;

/* From the connect lines; fixed addresses are in place at once. */
struct backends *backends_new(const struct config_listener *config) MUST_CHECK;
struct backends *backends_ref(struct backends *backends);
void backends_unref(struct backends *backends); /* NULL ok */

/* Take over answers for the same host and port.  Main thread, before use. */
void backends_inherit(struct backends *fresh, struct backends *old);

size_t backends_count(const struct backends *backends);
/* NULL host: a fixed address, nothing to look up. */
const char *backends_host(
    const struct backends *backends, size_t i, uint16_t *port);
bool backends_resolved(struct backends *backends, size_t i);
/* Copies; count 0 is refused (the last answer is kept).  Main thread. */
bool backends_put(struct backends *backends, size_t i,
    const struct addr *addresses, size_t count) MUST_CHECK;

/* One connection's walk over the candidates.  Embedded in the connection. */
struct backend_walk {
	struct backends *backends; /* borrowed from the service */
	struct backend_addresses
	    *addresses; /* of the current backend; counted */
	size_t first;   /* where the walk began */
	size_t step;    /* backends tried so far */
	size_t current; /* index of the one being tried */
	size_t next_address;
	bool second_round; /* resting ones are tried when nobody else is left */
	int last_errno;
	bool saw_unresolved;
};

enum backend_answer {
	BACKEND_CONNECTED,  /* *fd is connected */
	BACKEND_CONNECTING, /* *fd will be writable when it is decided */
	BACKEND_NONE /* nobody left: last_errno, saw_unresolved say why */
};

void backend_walk_init(struct backend_walk *walk, struct backends *backends);
void backend_walk_fini(struct backend_walk *walk);

/*
 * Open the next candidate: non-blocking, close-on-exec, TCP_NODELAY,
 * keepalive_ms (0: off).  now_ms is monotonic.  Addresses refused at once are
 * skipped (and put to rest).
 */
enum backend_answer backend_walk_next(struct backend_walk *walk,
    uint32_t keepalive_ms, int64_t now_ms, int *fd) MUST_CHECK;

/* Decide a BACKEND_CONNECTING socket: 0, or the errno of its failure. */
int backend_connect_result(int fd);

/* The current candidate failed with errnum: it rests for retry_after. */
void backend_walk_failed(struct backend_walk *walk, int errnum, int64_t now_ms);

/* As written in connect=, for logs; NULL before the first try. */
const char *backend_walk_name(const struct backend_walk *walk);

#endif
