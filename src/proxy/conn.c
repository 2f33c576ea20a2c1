/*
 * The story of one client, as five states: greet (conn_greet.c, with proxy_in
 * alone), handshake and connect here, relay and drain (conn_relay.c).
 * Runs on the listener thread that accepted it, from conn_new to conn_close.
 *
 * Events never decide anything: a callback notes what happened and calls
 * conn_advance, which runs the steps of the state until one waits.  So every
 * step must find its place from the streams and buffers alone, and it tries
 * the I/O before anybody polls for it.
 */
#include "proxy/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "config/config.h"
#include "proxy/conn_inner.h"
#include "proxy/limit.h"
#include "proxy/service.h"

static const struct conn_state connecting;

/* ---- handshake ---- */

enum conn_reason
conn_early_reason(const struct conn *conn)
{
	switch (conn->client.failure) {
	case STREAM_NOT_TLS:
		return CONN_NOT_TLS;
	case STREAM_RESET:
	case STREAM_CLOSED_EARLY:
		return CONN_CLIENT_GONE;
	case STREAM_SYSTEM:
		return CONN_CLIENT_FAILED;
	case STREAM_NO_MEMORY:
		return CONN_NO_MEMORY;
	default:
		return CONN_HANDSHAKE_FAILED;
	}
}

static void
count_handshake(struct conn *conn)
{
	struct stream_facts facts;

	stream_facts(&conn->client, &facts);
	counter_add(&conn->set->handshakes, 1);
	if (facts.resumed)
		counter_add(&conn->set->resumed, 1);
}

/* From here on the name that was asked for decides. */
static void
enter_site(struct conn *conn)
{
	const struct service_site *site =
	    &conn->service->sites[stream_site(&conn->client)];

	conn->settings = site->settings;
	backend_walk_init(&conn->walk, site->backends);
}

static enum verdict
do_handshake(struct conn *conn)
{
	int64_t now_ms;

	switch (stream_handshake(&conn->client)) {
	case IO_DONE:
		break;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
		return STEP_WAIT;
	default:
		return conn_end(conn, conn_early_reason(conn));
	}
	now_ms = clock_mono_ms();
	conn->handshake_done = true;
	conn->handshake_ms = (uint32_t)(now_ms - conn->started_ms);
	limit_handshake_done(conn->service->limit);
	count_handshake(conn);
	enter_site(conn);
	if (!conn_header_put(conn))
		return conn_end(conn, CONN_NO_MEMORY);
	return conn_enter(conn, &connecting, now_ms);
}

static enum verdict
handshake_late(struct conn *conn)
{
	return conn_end(conn, CONN_HANDSHAKE_TIMEOUT);
}

/* ---- connect ---- */

static enum conn_reason
no_backend_reason(const struct backend_walk *walk)
{
	if (walk->last_errno == ETIMEDOUT)
		return CONN_BACKEND_TIMEOUT;
	if (walk->last_errno == 0 && walk->saw_unresolved)
		return CONN_BACKEND_UNRESOLVED;
	return CONN_BACKEND_REFUSED;
}

/* Open the next candidate.  false: nobody is left. */
static bool
open_backend(struct conn *conn)
{
	int64_t now_ms = clock_mono_ms();
	int fd;

	if (backend_walk_next(&conn->walk, now_ms, &fd) == BACKEND_NONE)
		return false;
	stream_init_plain(&conn->backend, fd, conn->set->pool);
	conn->since_ms = now_ms;
	return true;
}

static void
drop_backend(struct conn *conn, int errnum)
{
	backend_walk_failed(&conn->walk, errnum, clock_mono_ms());
	conn_log_failover(conn, errnum);
	conn_unwatch_backend(conn);
	/* A reset: a connection to itself would keep the port in TIME_WAIT. */
	stream_fini(&conn->backend, true);
	stream_init_plain(&conn->backend, -1, conn->set->pool);
}

static enum verdict
begin_relay(struct conn *conn)
{
	int64_t now_ms = clock_mono_ms();

	conn->connected = true;
	/* Who has just been connected to is about to hear, not to speak. */
	conn->backend.may_read = false;
	conn->connect_ms = (uint32_t)(now_ms - conn->started_ms) -
			   conn->handshake_ms;
	return conn_enter(conn, &conn_relaying, now_ms);
}

static enum verdict
do_connect(struct conn *conn)
{
	int errnum;

	/* A ticket that could not leave, or never will: nobody else looks. */
	if (stream_wants_write(&conn->client) &&
	    stream_flush(&conn->client) == IO_FAILED)
		return conn_client_failed(conn);
	/* What the client says meanwhile goes out with the first send. */
	switch (relay_read_ahead(&conn->up)) {
	case RELAY_WAITS:
		break;
	case RELAY_NO_MEMORY:
		return conn_end(conn, CONN_NO_MEMORY);
	default:
		return conn_client_failed(conn);
	}
	for (;;) {
		if (conn->backend.fd == -1 && !open_backend(conn))
			return conn_end(conn, no_backend_reason(&conn->walk));
		errnum = backend_connect_outcome(conn->backend.fd);
		if (errnum == 0)
			return begin_relay(conn);
		if (errnum == EINPROGRESS)
			return STEP_WAIT;
		drop_backend(conn, errnum);
	}
}

static enum verdict
connect_late(struct conn *conn)
{
	drop_backend(conn, ETIMEDOUT);
	return STEP_AGAIN;
}

/* ---- the machine ---- */

const struct conn_state conn_handshaking = { "handshake", do_handshake,
	handshake_late, CONN_TIMEOUT(handshake) };
static const struct conn_state connecting = { "connect", do_connect,
	connect_late, CONN_TIMEOUT(connect) };

static void
follow(struct conn *conn, enum verdict verdict)
{
	while (verdict == STEP_AGAIN)
		verdict = conn->state->step(conn);
	if (verdict == STEP_END)
		conn_close(conn, conn->reason);
	else
		conn_watch(conn);
}

void
conn_advance(struct conn *conn)
{
	/* Its turn comes before the loop waits again: one turn for each. */
	if (!list_is_empty(&conn->runnable))
		return;
	follow(conn, STEP_AGAIN);
}

void
conn_late(struct conn *conn)
{
	follow(conn, conn->state->late(conn));
}

/*
 * EPOLLHUP means that both directions are closed.  It is no error once our
 * own FIN is out: the client took all it was sent.
 */
void
conn_client_event(struct conn *conn, uint32_t events)
{
	if ((events & EPOLLERR) == 0 && conn->client.fin_sent)
		return;
	stream_errored(&conn->client);
	follow(conn, conn_client_failed(conn));
}

void
conn_new(struct conn_set *set, struct service *service,
    const struct conn_client *client)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		conn_refuse(set, service, client);
		return;
	}
	conn->set = set;
	conn->service = service_ref(service);
	conn->settings = service->listener;
	conn->peer = client->peer;
	conn->counted = client->counted;
	conn->id = set->next_id++;
	conn->started_ms = clock_mono_ms();
	conn->since_ms = conn->started_ms;
	conn->state = service->listener->proxy_in ? &conn_greeting
						  : &conn_handshaking;
	conn_watch_init(conn);
	relay_init(&conn->up, &conn->client, &conn->backend);
	relay_init(&conn->down, &conn->backend, &conn->client);
	stream_init_plain(&conn->backend, -1, set->pool);
	conn_set_add(conn);
	if (!conn_greet_init(conn) ||
	    !stream_init_tls(
		&conn->client, client->fd, set->pool, service->tls)) {
		stream_init_plain(&conn->client, client->fd, set->pool);
		conn_close(conn, CONN_NO_MEMORY);
		return;
	}
	conn_advance(conn);
}
