/*
 * Where the plaintext goes: the connect= lines of one service, each with the
 * addresses it means at the moment, tried in order (prio) or in turn (rr).
 * An address that failed rests for retry_after; a backend counts as failed when
 * all its addresses rest.  Names are looked up elsewhere
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
struct candidate;

/* From the connect lines; fixed addresses are in place at once. */
struct backends *backends_new(const struct config_listener *config) MUST_CHECK;
struct backends *backends_ref(struct backends *backends);
void backends_unref(struct backends *backends); /* NULL ok */

/*
 * Take over answers for the same host and port, and who rests at the moment.
 * Main thread, before `fresh` is used; `old` may be in use.
 */
void backends_inherit(struct backends *fresh, struct backends *old);

size_t backends_count(const struct backends *backends);
/* NULL: a fixed address, nothing to look up. */
const char *backends_host(
    const struct backends *backends, size_t i, uint16_t *port);
bool backends_resolved(struct backends *backends, size_t i);
/*
 * The answer for a host: copied, with the backend's port.  false: count is 0
 * or no memory, and the last answer is kept.  Main thread.
 */
bool backends_put(struct backends *backends, size_t i,
    const struct addr *addresses, size_t count) MUST_CHECK;

/*
 * Has a connect to backend i failed since backends_clear_failed?  Any thread.
 * A failure of a name is a reason to look it up before its time.
 */
bool backends_failed(const struct backends *backends, size_t i);
void backends_clear_failed(struct backends *backends, size_t i);

/*
 * One connection's walk over the candidates.  Embedded in the connection;
 * candidate, last_errno and saw_unresolved are for it to read, look_up is for
 * it to set, the rest is backend.c's.
 */
struct backend_walk {
	struct backends *backends; /* borrowed from the service */
	struct backend_addresses
	    *addresses; /* of the current backend; counted */
	size_t first;   /* where the walk began */
	size_t step;    /* backends entered in this round */
	size_t current; /* index of the one being tried */
	size_t next_address;
	struct candidate *candidate; /* opened last; lives as addresses does */
	bool
	    *look_up; /* set to true when a name should be looked up; or NULL */
	uint64_t tried;    /* in the first round, by order of meeting */
	unsigned met;      /* addresses met in this round */
	bool passed_over;  /* somebody rested... */
	bool second_round; /* ...and is asked now that nobody else is left */
	bool saw_unresolved;
	bool exhausted; /* no descriptor or memory */
	int last_errno;
};

enum backend_answer {
	BACKEND_CONNECTED,  /* *fd is connected */
	BACKEND_CONNECTING, /* *fd will be writable when it is decided */
	BACKEND_FAILED,     /* at once, with last_errno: call again */
	BACKEND_NONE /* nobody left: last_errno, saw_unresolved say why */
};

void backend_walk_init(struct backend_walk *walk, struct backends *backends);
void backend_walk_fini(struct backend_walk *walk);

/*
 * Open the next candidate: non-blocking, close-on-exec, without options.
 * now_ms is monotonic.  An address that fails at once is put to rest.  The
 * caller owns *fd (-1 with BACKEND_NONE and BACKEND_FAILED).
 */
enum backend_answer backend_walk_next(
    struct backend_walk *walk, int64_t now_ms, int *fd) MUST_CHECK;

/*
 * The same, but only among the other addresses of the backend that is being
 * tried: BACKEND_NONE: there is none left, and the walk stays there.
 */
enum backend_answer backend_walk_more(
    struct backend_walk *walk, int64_t now_ms, int *fd) MUST_CHECK;

/* Might backend_walk_more find one? */
bool backend_walk_has_more(const struct backend_walk *walk);

/*
 * What became of a connect: 0, EINPROGRESS while it is undecided, or the errno
 * of its failure.  A connection to itself is ECONNREFUSED.
 */
int backend_connect_outcome(int fd);

/*
 * An address of the backend that is being tried failed with errnum: it rests
 * for retry_after, unless errnum is a local shortage (descriptors, memory,
 * ports).
 */
void backend_walk_failed(struct backend_walk *walk, struct candidate *candidate,
    int errnum, int64_t now_ms);

/* ...or did not answer before one that was tried later: it rests, too. */
void backend_walk_overtaken(
    struct backend_walk *walk, struct candidate *candidate, int64_t now_ms);

/* Why a connect failed, in words. */
const char *backend_error_text(int errnum, char *out, size_t max);

/* As written in connect=, for logs; NULL before the first try. */
const char *backend_walk_name(const struct backend_walk *walk);

#endif
