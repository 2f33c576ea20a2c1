/*
 * The first state of a connection that somebody else brings: its PROXY header
 * is read before TLS begins, and from then on the address in it is the
 * client's.  Listener thread.
 *
 * Header and handshake share one deadline, counted from accept, and one slot
 * of max_handshakes: whoever is slow with the one has less for the other.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/conn_inner.h"
#include "proxy/limit.h"
#include "proxy/service.h"

bool
conn_greet_init(struct conn *conn)
{
	if (!conn->service->listener->proxy_in)
		return true;
	conn->carried = calloc(1, sizeof(*conn->carried));
	if (conn->carried == NULL)
		return false;
	conn->carried->via = conn->peer;
	return true;
}

/* What accept could not decide: it knew only who brings the client. */
static enum verdict
admit(struct conn *conn)
{
	switch (limit_admit(conn->service->limit, conn->service->listener,
	    &conn->peer, &conn->counted)) {
	case LIMIT_OK:
		conn->state = &conn_handshaking; /* since_ms stays */
		return STEP_AGAIN;
	case LIMIT_DENIED:
		return conn_end(conn, CONN_DENIED);
	default:
		return conn_end(conn, CONN_FULL_ADDRESS);
	}
}

static enum verdict
take(struct conn *conn, const struct proxyproto_header *header, size_t len)
{
	struct conn_carried *carried = conn->carried;

	stream_skip(&conn->client, len);
	if (!header->local) {
		conn->peer = header->client;
		carried->server = header->server;
	}
	memcpy(carried->unique, header->unique, header->unique_len);
	carried->unique_len = header->unique_len;
	return admit(conn);
}

static enum verdict
do_greet(struct conn *conn)
{
	struct proxyproto_header header;
	const uint8_t *bytes;
	size_t least = 1, len, have;

	for (;;) {
		switch (stream_peek(&conn->client, least, &bytes, &have)) {
		case IO_DONE:
			break;
		case IO_WANT_READ:
			return STEP_WAIT;
		default:
			return conn_end(conn, conn_early_reason(conn));
		}
		switch (proxyproto_parse(bytes, have, &header, &len)) {
		case PROXYPROTO_DONE:
			return take(conn, &header, len);
		case PROXYPROTO_MORE:
			least = len;
			break;
		default:
			conn->carried->why = header.why;
			return conn_end(conn, CONN_BAD_PROXY);
		}
	}
}

static enum verdict
greet_late(struct conn *conn)
{
	conn->carried->why = "no PROXY header came in time";
	return conn_end(conn, CONN_BAD_PROXY);
}

const struct conn_state conn_greeting = { "greet", do_greet, greet_late,
	CONN_TIMEOUT(handshake) };
