/*
 * One client, from accept to close, on one listener thread.  A connection is
 * born by conn_new, moves through named states (greet, handshake, connect,
 * relay, drain) whenever an event comes, and has one way out, conn_close.
 *
 * struct conn_set is what all connections of a thread share; the thread that
 * runs the event loop owns it.  Its counters are written by that thread alone,
 * with relaxed atomic stores, so that another may read them with
 * conn_set_counter at any time.
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

/* Why a connection ended; the name is what logs and metrics say. */
enum conn_reason {
	CONN_DONE,      /* both directions ended */
	CONN_TRUNCATED, /* the client left without close_notify */
	CONN_CLIENT_RESET,
	CONN_CLIENT_FAILED, /* a record that is no TLS, a system error */
	CONN_HANDSHAKE_FAILED,
	CONN_HANDSHAKE_TIMEOUT,
	CONN_NOT_TLS,
	CONN_CLIENT_GONE,     /* left in the middle of the handshake */
	CONN_HEALTH_CHECK,    /* `clinch healthcheck`, answered */
	CONN_BAD_PROXY,       /* no PROXY header, or a bad one */
	CONN_DENIED,          /* allow and deny refuse the carried address */
	CONN_FULL_ADDRESS,    /* per_ip_max does */
	CONN_BACKEND_REFUSED, /* no backend took the connection */
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
	struct list runnable;      /* those that must go on without an event */
	struct list held;          /* with a held ticket, oldest first */
	struct list unread;        /* client not watched, oldest first */
	struct ev_check check;     /* notes the time after each wait */
	struct ev_prepare prepare; /* runs them before the loop would wait */
	struct ev_idle idle;       /* keeps the loop from waiting meanwhile */
	struct ev_timer flush;     /* sends held tickets; on while there are */
	struct ev_timer settle;    /* trims memory once a crowd has gone */
	struct ev_timer guard;     /* moves `unread` to the error set */
	int errors_fd;             /* epoll: clients watched for errors alone */
	struct ev_io errors;       /* watches errors_fd */
	size_t peak;               /* since the last trim */
	bool room;                 /* one ended since the owner last looked */
	bool look_up;              /* a backend's name should be looked up */
	uint64_t next_id;          /* conn= in logs */
	struct rate_limit rate;    /* of lines that clients can cause */
	struct ev_timer report;    /* of suppressed lines; on while there are */

	/* this thread writes, any may read with conn_set_counter */
	uint64_t count; /* connections open now */
	uint64_t accepted;
	uint64_t handshakes;
	uint64_t resumed;
	uint64_t ended[CONN_REASON_COUNT];
};

/*
 * Prepare the set on this thread's loop, which is expected to be left with
 * ev_break: the set's own watchers keep ev_run from returning by itself.
 * first_id keeps the ids of threads apart.  log may be NULL.  false: no
 * memory or no descriptor.
 */
bool conn_set_init(struct conn_set *set, struct ev_loop *loop, struct log *log,
    uint64_t first_id) MUST_CHECK;

/* Ends whatever is left (CONN_DRAINED) and gives everything back. */
void conn_set_fini(struct conn_set *set);

/* End every connection now. */
void conn_set_close_all(struct conn_set *set, enum conn_reason reason);

/*
 * May one more line be written that a client can cause?  Where not, its number
 * is reported at the end of the window.  reason: a literal.
 */
bool conn_set_may_log(struct conn_set *set, const struct rate_limit_rule *rule,
    enum log_level level, const char *listener, const char *reason) MUST_CHECK;

/* Read one counter of a set.  Any thread. */
static inline uint64_t
conn_set_counter(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* What accept learnt; the connection copies what it needs. */
struct conn_client {
	int fd; /* non-blocking, close-on-exec; taken in every case */
	struct addr peer;
	struct limit_address *counted; /* taken */
};

/*
 * Begin.  References the service; owes limit_handshake_done, limit_forget and
 * limit_release to service->limit when it ends.  Never fails visibly: without
 * memory the client is closed and counted.
 */
void conn_new(struct conn_set *set, struct service *service,
    const struct conn_client *client);

#endif
