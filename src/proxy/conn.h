/*
 * One client, from accept to close, on one listener thread.  conn_new makes a
 * connection; events move it through its states (proxy_header, handshake,
 * connect, relay, drain); it ends in one place, with a conn_reason.
 *
 * struct conn_set is the state shared by all connections of a thread; the
 * thread that runs the event loop owns it.  Its counters are written by that
 * thread alone, with relaxed atomic stores; any thread may read them with
 * conn_set_counter.
 */
#ifndef PROXY_CONN_H
#define PROXY_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/list.h"
#include "base/rate_limit.h"

struct conn;
struct limit_address;
struct log;
struct pool;
struct service;

/* Why a connection ended; logs and metrics show the name. */
enum conn_reason {
	CONN_DONE,      /* both directions ended */
	CONN_TRUNCATED, /* the client left without close_notify */
	CONN_CLIENT_RESET,
	CONN_CLIENT_FAILED, /* an invalid TLS record, a system error */
	CONN_HANDSHAKE_FAILED,
	CONN_HANDSHAKE_TIMEOUT,
	CONN_NOT_TLS,
	CONN_CLIENT_GONE,     /* left in the middle of the handshake */
	CONN_HEALTH_CHECK,    /* `clinch healthcheck`, answered */
	CONN_BAD_PROXY,       /* no PROXY header, or a bad one */
	CONN_DENIED,          /* by allow/deny, after a PROXY header */
	CONN_FULL_ADDRESS,    /* per_ip_max, after a PROXY header */
	CONN_BACKEND_REFUSED, /* no backend accepted the connection */
	CONN_BACKEND_UNRESOLVED,
	CONN_BACKEND_TIMEOUT,
	CONN_BACKEND_RESET,
	CONN_BACKEND_FAILED,
	CONN_IDLE_TIMEOUT,
	CONN_CLOSE_TIMEOUT,
	CONN_LIFETIME,
	CONN_DRAINED, /* the process or drain_timeout ended it */
	CONN_NO_MEMORY,
	CONN_REASON_COUNT
};
const char *conn_reason_name(enum conn_reason reason);

struct conn_set {
	/* fixed at creation */
	struct ev_loop *loop;
	struct pool *pool;
	struct log *log;

	/* this thread only */
	int64_t now_ms;            /* monotonic, once per turn of the loop */
	struct list all;           /* every connection */
	struct list runnable;      /* those that go on without an event */
	struct list deferred;      /* with a deferred ticket, oldest first */
	struct list unread;        /* client not watched, oldest first */
	struct ev_check check;     /* notes the time after each wait */
	struct ev_prepare prepare; /* runs `runnable` before a wait */
	struct ev_idle idle;       /* keeps the loop from waiting meanwhile */
	struct ev_timer flush;     /* sends deferred tickets */
	struct ev_timer trim;      /* trims memory after a peak */
	struct ev_timer guard;     /* moves `unread` to the error set */
	int errors_fd;             /* epoll: clients watched for errors alone */
	struct ev_io errors;       /* watches errors_fd */
	size_t peak;               /* since the last trim */
	bool room;                 /* one ended since the owner cleared it */
	bool look_up;              /* a backend's name should be resolved */
	uint64_t next_id;          /* conn= in logs */
	unsigned thread;           /* its number (stats_of_thread); 0 unless the
				      owner sets it */
	struct rate_limit rate;    /* of lines that clients can cause */
	struct ev_timer report;    /* reports suppressed lines */

	/* this thread writes, any may read with conn_set_counter */
	uint64_t count; /* connections open now */
};

/*
 * Prepare the set on this thread's loop.  ev_break ends that loop: the set's
 * own watchers keep ev_run from returning.  first_id keeps the ids of threads
 * apart.  log may be NULL.  false: no memory or no descriptor.
 */
bool conn_set_init(struct conn_set *set, struct ev_loop *loop, struct log *log,
    uint64_t first_id) MUST_CHECK;

/* Ends the remaining connections (CONN_DRAINED) and frees everything. */
void conn_set_fini(struct conn_set *set);

/* End every connection now. */
void conn_set_close_all(struct conn_set *set, enum conn_reason reason);

/*
 * Rate limit of lines that a client can cause: may one more be written?  The
 * number of suppressed lines is reported at the end of the window.  reason: a
 * literal.
 */
bool conn_set_may_log(struct conn_set *set, const struct rate_limit_rule *rule,
    enum log_level level, const char *listener, const char *reason) MUST_CHECK;

/* Read one counter of a set.  Any thread. */
static inline uint64_t
conn_set_counter(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* A client as accepted. */
struct conn_client {
	int fd; /* non-blocking, close-on-exec; taken in every case */
	struct addr peer;
	struct limit_address *counted; /* taken */
};

/*
 * Begin a connection.  It references the service, and calls
 * limit_handshake_done, limit_forget and limit_release on service->limit when
 * it ends.  Without memory the client is closed and counted.
 */
void conn_new(struct conn_set *set, struct service *service,
    const struct conn_client *client);

#endif
