/*
 * The backends of one service: the connect= lines, each with its current
 * addresses, tried in order (prio) or in turn (rr).  An address that failed
 * rests for retry_after, or with check = tcp until a check has reached it
 * (runtime/backend_check.c).  A backend is down when the last connect to each of
 * its addresses failed.  runtime/resolve.c resolves names and puts the answers
 * here; a connection only reads.
 *
 * struct backends: counted, built on the main thread, used by all listener
 * threads.  The current addresses are an immutable counted set behind the
 * backend lock (a leaf: load, increment).
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
struct backend_states;
struct candidate;

/*
 * From the connect lines; fixed addresses are set at once.  `states` is shared
 * with other listeners, or NULL.  NULL: no memory.
 */
struct backends *backends_new(const struct config_listener *config,
    struct backend_states *states) MUST_CHECK;
struct backends *backends_ref(struct backends *backends);
void backends_unref(struct backends *backends); /* NULL ok */

/*
 * Take over the addresses of the same host and port, and which of them rest.
 * Main thread, before `fresh` is used; `old` may be in use.
 */
void backends_inherit(struct backends *fresh, struct backends *old);

size_t backends_count(const struct backends *backends);
/* As written in connect=. */
const char *backends_name(const struct backends *backends, size_t i);
/* NULL: a fixed address, nothing to resolve. */
const char *backends_host(
    const struct backends *backends, size_t i, uint16_t *port);
bool backends_resolved(struct backends *backends, size_t i);
/*
 * Set the addresses of a host: copied, with the backend's port.  false: count
 * is 0 or no memory, and the last addresses are kept.  Main thread.
 */
bool backends_put(struct backends *backends, size_t i,
    const struct addr *addresses, size_t count) MUST_CHECK;

enum backend_condition {
	BACKEND_UNRESOLVED, /* no address yet */
	BACKEND_UP,         /* it gets clients */
	BACKEND_RESTING,    /* all addresses failed, and rest for retry_after */
	BACKEND_DOWN        /* all addresses failed; a check is to reach it */
};

/* Backend i at a moment, for display. */
struct backend_view {
	const char
	    *name; /* as written in connect=; lives as long as backends */
	size_t addresses; /* 0: not resolved yet */
	size_t resting;   /* of these */
	uint64_t errors;  /* connects of clients that failed, over reloads */
	enum backend_condition condition;
	bool checked;
	int64_t since_ms; /* monotonic; 0: since the start, or untested */
	int errnum;       /* of the last failure; 0: none */
	int64_t error_ms;
};
/* now_ms is monotonic.  Any thread. */
void backends_view(struct backends *backends, size_t i, int64_t now_ms,
    struct backend_view *view);

/* ---- Checks ---- */

/* Of check, check_interval and timeout_connect. */
struct backends_check {
	bool enabled;
	uint32_t interval_ms;
	uint32_t timeout_ms;
};
struct backends_check backends_check(const struct backends *backends);

/* The most addresses of a backend. */
#define BACKEND_ADDRESSES_MAX 64

/* Copy the current addresses of backend i.  Returns their number. */
size_t backends_addresses(struct backends *backends, size_t i,
    struct addr out[BACKEND_ADDRESSES_MAX]);

/* A change of a backend's state, for the log. */
enum backend_change { BACKEND_UNCHANGED, BACKEND_WENT_DOWN, BACKEND_CAME_UP };

/*
 * A check of an address of backend i ended: 0, or the errno of the failure.  The
 * address rests until a check succeeds; an errno of a local shortage changes
 * nothing.  *down_ms is set with BACKEND_CAME_UP.
 */
enum backend_change backends_checked(struct backends *backends, size_t i,
    const struct addr *addr, int errnum, int64_t now_ms, int64_t *down_ms);

/*
 * Has a connect to backend i failed since backends_clear_failed?  Then its name
 * is resolved before its time.  Any thread.
 */
bool backends_failed(const struct backends *backends, size_t i);
void backends_clear_failed(struct backends *backends, size_t i);

/*
 * One connection's walk over the candidates; embedded in the connection, which
 * reads candidate, last_errno and saw_unresolved and sets look_up.  The other
 * fields belong to backend.c.
 */
struct backend_walk {
	/* borrowed from the service */
	struct backends *backends;
	/* of the current backend; a reference */
	struct backend_addresses *addresses;
	/* opened last; lives as long as addresses */
	struct candidate *candidate;
	/* set to true when a name should be resolved; or NULL */
	bool *look_up;
	size_t first;   /* backend of the first step */
	size_t step;    /* backends entered in this round */
	size_t current; /* index of the current backend */
	size_t next_address;
	uint64_t tried;    /* mask of the first round, in walk order */
	unsigned met;      /* addresses met in this round */
	bool passed_over;  /* an address was resting in the first round... */
	bool second_round; /* ...so there is a second one */
	bool saw_unresolved;
	bool exhausted; /* no descriptor or memory */
	int last_errno;
	bool went_down; /* the current backend is down from now on; see
			   backend_walk_failed */
};

enum backend_answer {
	BACKEND_CONNECTED,  /* *fd is connected */
	BACKEND_CONNECTING, /* *fd will be writable when it is decided */
	BACKEND_FAILED,     /* at once, with last_errno: call again */
	BACKEND_NONE        /* none left; see last_errno and saw_unresolved */
};

void backend_walk_init(struct backend_walk *walk, struct backends *backends);
void backend_walk_fini(struct backend_walk *walk);

/*
 * Open the next candidate: non-blocking, close-on-exec, without options.
 * now_ms is monotonic.  An address that fails at once rests from then on.  The
 * caller owns *fd (-1 with BACKEND_NONE and BACKEND_FAILED).
 */
enum backend_answer backend_walk_next(
    struct backend_walk *walk, int64_t now_ms, int *fd) MUST_CHECK;

/*
 * The same, but only among the other addresses of the current backend.
 * BACKEND_NONE: none is left, and the walk stays there.
 */
enum backend_answer backend_walk_more(
    struct backend_walk *walk, int64_t now_ms, int *fd) MUST_CHECK;

/* Has the current backend addresses that the walk has not met? */
bool backend_walk_has_more(const struct backend_walk *walk);

/*
 * Begin a connect: 0, EINPROGRESS or the errno of its failure.  Non-blocking,
 * close-on-exec.  The caller owns *fd, which is -1 after a failure.
 */
int backend_connect(const struct addr *addr, int *fd) MUST_CHECK;

/*
 * The outcome of a connect: 0, EINPROGRESS while it is undecided, or the errno
 * of its failure.  A connection to itself is ECONNREFUSED.
 */
int backend_connect_outcome(int fd);

/*
 * An address of the current backend failed with errnum: it rests, unless errnum
 * is a local shortage (descriptors, memory, ports).  walk->went_down is set if
 * the backend has no other address; the caller resets it.
 */
void backend_walk_failed(struct backend_walk *walk, struct candidate *candidate,
    int errnum, int64_t now_ms);

/* A later connect succeeded before this one: it rests, too. */
void backend_walk_overtaken(
    struct backend_walk *walk, struct candidate *candidate, int64_t now_ms);

/* A connect to an address of the current backend succeeded: it rests no longer.
 * true: the backend was down, for *down_ms. */
bool backend_walk_connected(struct backend_walk *walk,
    struct candidate *candidate, int64_t now_ms, int64_t *down_ms);

/* The text of an errno of connect. */
const char *backend_error_text(int errnum, char *out, size_t max);

/* The current backend as written in connect=; NULL before the first try. */
const char *backend_walk_name(const struct backend_walk *walk);

#endif
