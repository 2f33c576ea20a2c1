/*
 * The second half of the story: relay, while both sides may speak, and drain,
 * once the backend has ended.  Listener thread.
 *
 * The hard decision is what the deadlines mean when one side has ended.  A
 * client that ended waits for its answer as long as an idle one may
 * (timeout_idle), however long the backend thinks.  Once the backend has
 * ended there is only the rest to be flushed and the client's own end to
 * come: then timeout_close counts, from the last byte that moved.
 */
#include "proxy/conn_inner.h"

#include <errno.h>

#include "config/config.h"

enum verdict
conn_client_failed(struct conn *conn)
{
	switch (conn->client.error) {
	case STREAM_RESET:
		return conn_end(conn, CONN_CLIENT_RESET);
	case STREAM_NO_MEMORY:
		return conn_end(conn, CONN_NO_MEMORY);
	default:
		return conn_end(conn, CONN_CLIENT_FAILED);
	}
}

static enum verdict
backend_failed(struct conn *conn)
{
	switch (conn->backend.error) {
	case STREAM_RESET:
		return conn_end(conn, CONN_BACKEND_RESET);
	case STREAM_NO_MEMORY:
		return conn_end(conn, CONN_NO_MEMORY);
	default:
		return conn_end(conn, CONN_BACKEND_FAILED);
	}
}

/*
 * A backend may answer and close while the client is still sending (an early
 * refusal of an upload).  Its answer is then complete and must arrive: the
 * rest of the upload is dropped rather than the connection, whose reset would
 * overtake the answer.  EPIPE says that its end came before the refusal (a
 * socket without that end reports ECONNRESET); a plain stream can be read on.
 */
static enum verdict
backend_takes_no_more(struct conn *conn)
{
	if (!conn->down.input_ended && conn->backend.error_errno != EPIPE)
		return backend_failed(conn);
	relay_discard(&conn->up);
	return STEP_AGAIN;
}

typedef enum verdict failed_fn(struct conn *conn);

/* One direction, and what it means when either of its ends fails. */
static enum verdict
pump_one(struct conn *conn, struct relay *relay, failed_fn *from_failed,
    failed_fn *to_failed, bool *moved)
{
	switch (relay_pump(relay, moved)) {
	case RELAY_TURN_OVER:
		conn_set_run(conn);
		return STEP_WAIT;
	case RELAY_FROM_FAILED:
		return from_failed(conn);
	case RELAY_TO_FAILED:
		return to_failed(conn);
	case RELAY_NO_MEMORY:
		return conn_end(conn, CONN_NO_MEMORY);
	default:
		return STEP_WAIT;
	}
}

/*
 * An upload that nobody wants any more is no reason to stay: then
 * timeout_close is all that the client gets for finishing.
 */
static bool
lingers(const struct conn *conn)
{
	return conn->up.discards && conn->down.output_ended;
}

/*
 * The answer first: what a backend said before it closed must have been read
 * before writing to it fails.
 */
static enum verdict
pump(struct conn *conn)
{
	enum verdict verdict;
	bool moved = false;

	verdict = pump_one(
	    conn, &conn->down, backend_failed, conn_client_failed, &moved);
	if (verdict == STEP_WAIT)
		verdict = pump_one(conn, &conn->up, conn_client_failed,
		    backend_takes_no_more, &moved);
	if (moved && !lingers(conn))
		conn->since_ms = conn->set->now_ms;
	return verdict;
}

static const struct conn_state draining;

/* RFC 8446 §6.1: an end without close_notify may be an attack. */
static enum verdict
finish(struct conn *conn)
{
	bool truncated = conn->client.input_ended && !conn->client.got_notify;

	return conn_end(conn, truncated ? CONN_TRUNCATED : CONN_DONE);
}

static enum verdict
do_relay(struct conn *conn)
{
	enum verdict verdict = pump(conn);

	if (verdict != STEP_WAIT || !conn->down.input_ended)
		return verdict;
	if (conn->settings->timeout_close_ms > 0)
		return conn_enter(conn, &draining, conn->set->now_ms);
	/* Not to wait for the client's end is no reason to cut its answer. */
	return conn->down.output_ended ? finish(conn) : STEP_WAIT;
}

static enum verdict
do_drain(struct conn *conn)
{
	enum verdict verdict = pump(conn);

	if (verdict != STEP_WAIT)
		return verdict;
	if (!conn->down.output_ended || !conn->up.output_ended)
		return STEP_WAIT;
	return finish(conn);
}

static enum verdict
relay_late(struct conn *conn)
{
	return conn_end(conn, CONN_IDLE_TIMEOUT);
}

static enum verdict
drain_late(struct conn *conn)
{
	return conn_end(conn, CONN_CLOSE_TIMEOUT);
}

const struct conn_state conn_relaying = { "relay", do_relay, relay_late,
	CONN_TIMEOUT(idle) };
static const struct conn_state draining = { "drain", do_drain, drain_late,
	CONN_TIMEOUT(close) };
