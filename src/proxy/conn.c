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
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "proxy/conn_inner.h"
#include "proxy/limit.h"
#include "proxy/service.h"

/* RFC 8305 recommends 250 ms; 300 leaves room for one lost and repeated packet
 * of a near network. */
#define STAGGER_MS 300

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
		return stream_is_check(&conn->client) ? CONN_HEALTH_CHECK
						      : CONN_HANDSHAKE_FAILED;
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
	conn->walk.look_up = &conn->set->look_up;
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
	if (stream_is_check(&conn->client)) {
		(void)stream_end(&conn->client); /* it fits the empty socket */
		return conn_end(conn, CONN_HEALTH_CHECK);
	}
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
	enum backend_answer answer;
	int fd;

	do {
		answer = backend_walk_next(&conn->walk, now_ms, &fd);
		if (answer == BACKEND_FAILED)
			conn_log_failover(conn, conn->walk.last_errno);
	} while (answer == BACKEND_FAILED);
	if (answer == BACKEND_NONE)
		return false;
	stream_init_plain(&conn->backend, fd, conn->set->pool);
	conn->candidate = conn->walk.candidate;
	conn->since_ms = now_ms;
	conn->rival_ms = backend_walk_has_more(&conn->walk)
			     ? now_ms + STAGGER_MS
			     : INT64_MAX;
	return true;
}

static void
close_rival(struct conn *conn, struct conn_rival *rival)
{
	conn_unwatch_rival(conn, rival);
	close(rival->fd);
	rival->fd = -1;
}

static void
close_backend(struct conn *conn)
{
	conn_unwatch_backend(conn);
	/* A reset: a connection to itself would keep the port in TIME_WAIT. */
	stream_fini(&conn->backend, true);
	stream_init_plain(&conn->backend, -1, conn->set->pool);
}

/* A rival takes the place of `backend`, which is closed. */
static void
take_rival(struct conn *conn, struct conn_rival *rival)
{
	conn_unwatch_rival(conn, rival);
	stream_init_plain(&conn->backend, rival->fd, conn->set->pool);
	conn->candidate = rival->candidate;
	conn->since_ms = rival->since_ms;
	rival->fd = -1;
}

static struct conn_rival *
oldest_rival(struct conn *conn)
{
	struct conn_rival *oldest = NULL;

	for (int i = 0; conn->rivals != NULL && i < CONN_RIVALS_MAX; i++) {
		struct conn_rival *rival = &conn->rivals[i];

		if (rival->fd >= 0 &&
		    (oldest == NULL || rival->since_ms < oldest->since_ms))
			oldest = rival;
	}
	return oldest;
}

/* The next address need not wait for its time any longer. */
static void
note_failure(struct conn *conn, struct candidate *candidate, int errnum)
{
	int64_t now_ms = clock_mono_ms();

	backend_walk_failed(&conn->walk, candidate, errnum, now_ms);
	conn_log_failover(conn, errnum);
	if (backend_walk_has_more(&conn->walk))
		conn->rival_ms = now_ms;
}

static void
drop_backend(struct conn *conn, int errnum)
{
	struct conn_rival *rival = oldest_rival(conn);

	note_failure(conn, conn->candidate, errnum);
	close_backend(conn);
	if (rival != NULL)
		take_rival(conn, rival);
}

void
conn_end_rivals(struct conn *conn)
{
	conn->rival_ms = INT64_MAX;
	if (conn->rivals == NULL)
		return;
	for (int i = 0; i < CONN_RIVALS_MAX; i++) {
		if (conn->rivals[i].fd >= 0)
			close_rival(conn, &conn->rivals[i]);
	}
	free(conn->rivals);
	conn->rivals = NULL;
}

/* What was tried earlier and has not answered yet rests for a while, so that
 * the next client does not wait for it. */
static void
win(struct conn *conn, struct conn_rival *winner)
{
	int64_t now_ms = clock_mono_ms();

	backend_walk_overtaken(&conn->walk, conn->candidate, now_ms);
	for (int i = 0; i < CONN_RIVALS_MAX; i++) {
		const struct conn_rival *rival = &conn->rivals[i];

		if (rival->fd >= 0 && rival->since_ms < winner->since_ms)
			backend_walk_overtaken(
			    &conn->walk, rival->candidate, now_ms);
	}
	close_backend(conn);
	take_rival(conn, winner);
}

/* Has one of the later connects come first?  Then it is `backend`. */
static bool
rival_wins(struct conn *conn)
{
	for (int i = 0; conn->rivals != NULL && i < CONN_RIVALS_MAX; i++) {
		struct conn_rival *rival = &conn->rivals[i];
		int errnum;

		if (rival->fd < 0)
			continue;
		errnum = backend_connect_outcome(rival->fd);
		if (errnum == 0) {
			win(conn, rival);
			return true;
		}
		if (errnum == EINPROGRESS)
			continue;
		note_failure(conn, rival->candidate, errnum);
		close_rival(conn, rival);
	}
	return false;
}

/* A place for one more; NULL: there are enough, or no memory. */
static struct conn_rival *
free_rival(struct conn *conn)
{
	if (conn->rivals == NULL) {
		conn->rivals = calloc(CONN_RIVALS_MAX, sizeof(conn->rivals[0]));
		for (int i = 0; conn->rivals && i < CONN_RIVALS_MAX; i++)
			conn_watch_rival_init(conn, &conn->rivals[i]);
	}
	for (int i = 0; conn->rivals && i < CONN_RIVALS_MAX; i++) {
		if (conn->rivals[i].fd < 0)
			return &conn->rivals[i];
	}
	return NULL;
}

/*
 * RFC 8305, section 5: while a connect is undecided, the next address of the
 * same backend is tried.  false: not now.
 */
static bool
open_rival(struct conn *conn)
{
	struct conn_rival *rival;
	int64_t now_ms;

	if (conn->rival_ms == INT64_MAX)
		return false;
	now_ms = clock_mono_ms();
	if (now_ms < conn->rival_ms)
		return false;
	conn->rival_ms = INT64_MAX;
	rival = free_rival(conn);
	if (rival == NULL)
		return false;
	switch (backend_walk_more(&conn->walk, now_ms, &rival->fd)) {
	case BACKEND_NONE:
		return false;
	case BACKEND_FAILED:
		conn_log_failover(conn, conn->walk.last_errno);
		conn->rival_ms = now_ms;
		return true;
	default:
		break;
	}
	rival->candidate = conn->walk.candidate;
	rival->since_ms = now_ms;
	if (backend_walk_has_more(&conn->walk))
		conn->rival_ms = now_ms + STAGGER_MS;
	return true;
}

static enum verdict
begin_relay(struct conn *conn)
{
	int64_t now_ms = clock_mono_ms();

	conn_end_rivals(conn);
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
		if (errnum != EINPROGRESS)
			drop_backend(conn, errnum);
		else if (rival_wins(conn))
			return begin_relay(conn);
		else if (!open_rival(conn))
			return STEP_WAIT;
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
