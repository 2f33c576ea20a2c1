/*
 * What the files of the connection share among themselves, and nobody else
 * includes: conn.c tells the story up to the connected backend, with a PROXY
 * header before it (conn_greet.c) and one for the backend (conn_header.c);
 * conn_relay.c tells the rest.  conn_watch.c derives what the event loop
 * should watch, conn_end.c closes and says why, conn_set.c is the thread's
 * share.  One listener thread.
 *
 * One allocation per connection, at accept; everything it needs until its end
 * is embedded, so this struct is kept small (the SSL object beside it is
 * what an idle connection costs).
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

/* What a step, or a deadline that has passed, makes of a connection. */
enum verdict {
	STEP_WAIT,  /* for an event */
	STEP_AGAIN, /* the state changed: step on at once */
	STEP_END    /* conn->reason says why */
};

/* What a PROXY header brought along. */
struct conn_carried {
	struct addr via;    /* who brought it */
	struct addr server; /* where the client connected to; len 0: unknown */
	uint8_t unique[PROXYPROTO_UNIQUE_MAX];
	size_t unique_len;
	const char *why; /* it was refused; a constant sentence */
};

/* In flight at a time, beside the oldest connect. */
#define CONN_RIVALS_MAX 3

/* A connect that was begun because an earlier one is undecided. */
struct conn_rival {
	int fd; /* -1: none */
	int64_t since_ms;
	struct candidate *candidate; /* lives as long as the walk stays there */
	struct ev_io io;
};

struct conn_state {
	const char *name;
	enum verdict (*step)(struct conn *conn);
	/* since_ms + timeout has passed */
	enum verdict (*late)(struct conn *conn);
	/* offset of a uint32_t in struct config_listener */
	size_t timeout;
};

struct conn {
	struct list all;
	struct list runnable;
	struct list held;
	struct list unread;
	struct conn_set *set;    /* borrowed; outlives its connections */
	struct service *service; /* a reference */
	/* The listener's, from the handshake on those of the site. */
	const struct config_listener *settings;
	struct conn_carried *carried; /* owned; NULL: no proxy_in */
	const struct conn_state *state;

	struct stream client;
	struct stream backend; /* fd -1: none at the moment */
	struct relay up;       /* client to backend */
	struct relay down;     /* backend to client */
	struct backend_walk walk;
	struct candidate *candidate; /* that `backend` connects to */
	struct conn_rival *rivals;   /* CONN_RIVALS_MAX, owned; or NULL */

	struct ev_io client_io;
	struct ev_io backend_io;
	struct ev_timer timer; /* the one timer, checked lazily */
	int64_t armed_ms;      /* when it will fire; INT64_MAX: never */

	int64_t started_ms;
	int64_t since_ms; /* the state's timeout counts from here */
	int64_t rival_ms; /* when the next address is tried; INT64_MAX: never */
	int64_t held_ms;  /* when the held ticket must leave */
	int64_t guard_ms; /* when the client joins the error set */
	uint32_t handshake_ms;
	uint32_t connect_ms;
	int client_unsent; /* in the kernel at the last look; see on_timer */
	int backend_unsent;
	enum conn_reason reason;
	bool handshake_done;
	bool connected;  /* at least one backend was */
	bool kept_alive; /* its socket probes a silent peer */
	bool guarded;    /* the client is in the error set */

	uint64_t id;
	struct limit_address *counted;
	struct addr peer;
};

/* Plain for the one writing thread, untorn for the readers. */
static inline void
counter_add(uint64_t *counter, int64_t n)
{
	__atomic_store_n(counter, *counter + (uint64_t)n, __ATOMIC_RELAXED);
}

static inline enum verdict
conn_end(struct conn *conn, enum conn_reason reason)
{
	conn->reason = reason;
	return STEP_END;
}

static inline enum verdict
conn_enter(struct conn *conn, const struct conn_state *state, int64_t now_ms)
{
	conn->state = state;
	conn->since_ms = now_ms;
	return STEP_AGAIN;
}

/* For conn_state.timeout. */
#define CONN_TIMEOUT(name) offsetof(struct config_listener, timeout_##name##_ms)

/* ---- conn.c ---- */

/* Run steps until one waits; the connection may be gone afterwards. */
void conn_advance(struct conn *conn);

/* Close the connects that have lost, or all. */
void conn_end_rivals(struct conn *conn);

/* Its deadline has passed; the connection may be gone afterwards. */
void conn_late(struct conn *conn);

/* epoll reports these events (EPOLLERR, EPOLLHUP) of a client that nothing is
 * read from; the connection may be gone afterwards. */
void conn_client_event(struct conn *conn, uint32_t events);

/* The state after greet, and before connect. */
extern const struct conn_state conn_handshaking;

/* The client's stream failed before its handshake was done. */
enum conn_reason conn_early_reason(const struct conn *conn);

/* ---- conn_greet.c ---- */

/* The first state with proxy_in. */
extern const struct conn_state conn_greeting;

/* false: no memory. */
bool conn_greet_init(struct conn *conn) MUST_CHECK;

/* ---- conn_header.c ---- */

/* Put the PROXY header in front of what the client says, if the site wants
 * one.  Once, after the handshake.  false: no memory. */
bool conn_header_put(struct conn *conn) MUST_CHECK;

/* ---- conn_relay.c ---- */

/* The state after connect; drain follows by itself. */
extern const struct conn_state conn_relaying;

/* The client's stream failed: the reason, as a verdict. */
enum verdict conn_client_failed(struct conn *conn);

/* ---- conn_watch.c ---- */

void conn_watch_init(struct conn *conn);

/* Derive watchers, timer and held ticket from state and buffers. */
void conn_watch(struct conn *conn);

/* Before the backend's descriptor, or a rival's, is closed. */
void conn_unwatch_backend(struct conn *conn);
void conn_unwatch_rival(struct conn *conn, struct conn_rival *rival);

/* A rival with nothing in it. */
void conn_watch_rival_init(struct conn *conn, struct conn_rival *rival);

/* Before the connection is freed. */
void conn_unwatch(struct conn *conn);

/* ---- conn_end.c ---- */

/* The only exit: log, counters, limits, service, descriptors, memory. */
void conn_close(struct conn *conn, enum conn_reason reason);

/* A client for whom there was no memory. */
void conn_refuse(struct conn_set *set, struct service *service,
    const struct conn_client *client);

/* A backend failed with errnum and the next is tried. */
void conn_log_failover(const struct conn *conn, int errnum);

/* ---- conn_set.c ---- */

/* Go on before the loop waits again. */
void conn_set_run(struct conn *conn);

/* A ticket is held: send it in a few milliseconds unless it leaves first. */
void conn_set_hold(struct conn *conn);

/* Nothing is read from or written to the client's socket for now: watch it
 * for errors, unless that changes in the next half second. */
void conn_set_guard(struct conn *conn);
void conn_set_unguard(struct conn *conn);

/* One more, one less. */
void conn_set_add(struct conn *conn);
void conn_set_remove(struct conn *conn);

#endif
