/*
 * The connection, as conn.c, conn_events.c and conn_log.c share it; no other
 * file includes this header.  conn.c has the states of a connection, its
 * beginning and its end; conn_events.c derives what the event loop watches and
 * runs the conn_set; conn_log.c writes the log lines.  One listener thread.
 *
 * There is one allocation per connection, at accept; all it needs until its end
 * is embedded, so the struct is kept small (besides the SSL object, it is the
 * memory of an idle connection).
 */
#ifndef PROXY_CONN_INNER_H
#define PROXY_CONN_INNER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/list.h"
#include "proxy/backend.h"
#include "proxy/conn.h"
#include "proxy/proxyproto.h"
#include "proxy/relay.h"
#include "tls/stream.h"

/* The result of a step, or of a deadline that has passed. */
enum step_result {
	STEP_WAIT,  /* for an event */
	STEP_AGAIN, /* the state changed: step on at once */
	STEP_END    /* with conn->reason */
};

/* The contents of a PROXY header. */
struct conn_proxy_info {
	struct addr via;    /* that sent the header */
	struct addr server; /* that the client connected to; len 0: unknown */
	uint8_t unique[PROXYPROTO_UNIQUE_MAX];
	size_t unique_len;
	const char *why; /* the header is refused; a constant */
};

/* Connection attempts in flight besides the oldest. */
#define CONN_ATTEMPTS_MAX 3

/* A connect that was begun while an earlier one is undecided. */
struct conn_attempt {
	int fd; /* -1: none */
	int64_t since_ms;
	struct candidate *candidate; /* lives as long as the walk stays there */
	struct ev_io io;
};

struct conn_state {
	const char *name;
	enum step_result (*step)(struct conn *conn);
	/* since_ms + timeout has passed */
	enum step_result (*timed_out)(struct conn *conn);
	/* offset of a uint32_t in struct config_listener */
	size_t timeout;
};

/* For conn_state.timeout. */
#define CONN_TIMEOUT(name) offsetof(struct config_listener, timeout_##name##_ms)

struct conn {
	struct list all;
	struct list runnable;
	struct list deferred;
	struct list unread;
	struct conn_set *set;        /* borrowed; outlives its connections */
	struct service *service;     /* a reference */
	struct stats_counts *counts; /* of the service, for this thread */
	/* The listener's; after the handshake those of the site. */
	const struct config_listener *settings;
	struct conn_proxy_info *proxy_info; /* owned; NULL: no proxy_in */
	const struct conn_state *state;

	struct stream client;
	struct stream backend; /* fd -1: none at the moment */
	struct relay up;       /* client to backend */
	struct relay down;     /* backend to client */
	struct backend_walk walk;
	struct candidate *candidate;   /* that `backend` connects to */
	struct conn_attempt *attempts; /* CONN_ATTEMPTS_MAX, owned; or NULL */

	struct ev_io client_io;
	struct ev_io backend_io;
	struct ev_timer timer; /* the one timer, checked lazily */
	int64_t armed_ms;      /* when it fires; INT64_MAX: never */

	int64_t started_ms;
	int64_t since_ms;    /* the state's timeout counts from here */
	int64_t attempt_ms;  /* of the next attempt; INT64_MAX: none */
	int64_t deferred_ms; /* when the deferred ticket is sent */
	int64_t guard_ms;    /* when the client joins the error set */
	uint32_t handshake_ms;
	uint32_t connect_ms;
	int client_unsent; /* bytes in the kernel at the last timeout */
	int backend_unsent;
	enum conn_reason reason;
	bool handshake_done;
	bool connected;  /* at least one backend was */
	bool kept_alive; /* SO_KEEPALIVE is set on the backend */
	bool guarded;    /* the client is in the error set */

	/* already in `counts` */
	uint64_t counted_in;
	uint64_t counted_out;

	uint64_t id;
	struct limit_address *counted;
	struct addr peer;
};

/* One thread writes; others may read at any time. */
static inline void
counter_add(uint64_t *counter, int64_t n)
{
	__atomic_store_n(counter, *counter + (uint64_t)n, __ATOMIC_RELAXED);
}

/* ---- conn.c ---- */

/* Run steps until one waits; the connection may be freed. */
void conn_advance(struct conn *conn);

/* The deadline of the state has passed; the connection may be freed. */
void conn_timed_out(struct conn *conn);

/* epoll reports EPOLLERR or EPOLLHUP for a client that is not read; the
 * connection may be freed. */
void conn_client_event(struct conn *conn, uint32_t events);

/* The only end: log, counters, limits, service, descriptors, memory. */
void conn_close(struct conn *conn, enum conn_reason reason);

/* ---- conn_events.c ---- */

void conn_watch_init(struct conn *conn);
void conn_init_attempt(struct conn *conn, struct conn_attempt *attempt);

/* Derive watchers, timer and deferred ticket from state and buffers. */
void conn_watch(struct conn *conn);

/* Before the descriptor of the backend, or of an attempt, is closed. */
void conn_unwatch_backend(struct conn *conn);
void conn_unwatch_attempt(struct conn *conn, struct conn_attempt *attempt);

/* Before the connection is freed. */
void conn_unwatch(struct conn *conn);

/* Queue for a turn before the loop waits again. */
void conn_set_run(struct conn *conn);

/* Count one more, one less. */
void conn_set_add(struct conn *conn);
void conn_set_remove(struct conn *conn);

/* ---- conn_log.c ---- */

/* Is a client closed for this reason with a reset? */
bool conn_reason_resets_client(enum conn_reason reason);

/* The line of the end, and the access line. */
void conn_log_end(struct conn *conn);
void conn_log_access(const struct conn *conn);

/* A backend failed with errnum; the next is tried.  Also that it is down, if
 * this failure is the first. */
void conn_log_failover(struct conn *conn, int errnum);

/* The backend of this connection had been down for so long. */
void conn_log_up(const struct conn *conn, int64_t down_ms);

/* A client was closed because there was no memory for a connection. */
void conn_log_refused(struct conn_set *set, const struct service *service);

#endif
