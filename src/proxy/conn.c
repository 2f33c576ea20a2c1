/*
 * One client, from conn_new to conn_close, as five states: proxy_header (with
 * proxy_in only), handshake, connect, relay and drain.  Listener thread, the
 * one that accepted it.
 *
 * A libev callback only notes its event and calls conn_advance, which runs the
 * steps of the state until one waits.  So every step finds its position from
 * the streams and buffers alone, and tries the I/O before the event loop polls
 * for it.
 *
 * Deadlines once one side has ended: after the client's end, timeout_idle still
 * applies while its response is awaited.  After the backend's end timeout_close
 * applies, counted from the last byte that moved.
 *
 * How the sockets are closed: a side may see a clean end only if the end of the
 * other side was passed on to it.  A backend whose client broke off gets a
 * reset, not an end that looks like a complete upload.  A client whose backend
 * broke off gets the bytes received and then FIN without close_notify, which
 * TLS distinguishes from an end (RFC 8446 section 6.1); a reset would discard
 * bytes in flight.  A client gets a reset if it was refused, if no backend could
 * be reached, if memory ran out, or if it does not take the response within
 * timeout_close.
 */
#include "proxy/conn_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "proxy/limit.h"
#include "proxy/proxyproto.h"
#include "proxy/service.h"
#include "proxy/stats.h"

/* The Connection Attempt Delay of RFC 8305, whose section 8 recommends 250 ms
 * and allows 100 ms to 2 s. */
#define ATTEMPT_DELAY_MS 300

enum {
	COMMON_NAME_BYTES = 256,
	CERTIFICATE_BYTES = 8 * 1024,
	UNIQUE_BYTES = 16 /* random; sent as twice as many digits */
};

static const struct conn_state reading_header;
static const struct conn_state handshaking;
static const struct conn_state connecting;
static const struct conn_state relaying;
static const struct conn_state draining;

static enum step_result
end(struct conn *conn, enum conn_reason reason)
{
	conn->reason = reason;
	return STEP_END;
}

static enum step_result
enter(struct conn *conn, const struct conn_state *state, int64_t now_ms)
{
	conn->state = state;
	conn->since_ms = now_ms;
	return STEP_AGAIN;
}

/* The reason of a client's failure before its handshake is done. */
static enum conn_reason
early_reason(const struct conn *conn)
{
	switch (conn->client.error) {
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

/* The client's handshake has failed. */
static enum step_result
handshake_failed(struct conn *conn)
{
	if (stream_is_unstapled(&conn->client))
		stats_add_refused(conn->counts);
	return end(conn, early_reason(conn));
}

/* The result of a client's failure after its handshake. */
static enum step_result
client_failed(struct conn *conn)
{
	switch (conn->client.error) {
	case STREAM_RESET:
		return end(conn, CONN_CLIENT_RESET);
	case STREAM_NO_MEMORY:
		return end(conn, CONN_NO_MEMORY);
	default:
		return end(conn, CONN_CLIENT_FAILED);
	}
}

/*
 * ---- proxy_header: a PROXY header before TLS ----
 *
 * The address in the header replaces the peer's from then on.  Header and
 * handshake share one deadline, counted from accept, and one slot of
 * max_handshakes.
 */

/* false: no memory. */
static bool
init_proxy_info(struct conn *conn)
{
	if (!conn->service->listener->proxy_in)
		return true;
	conn->proxy_info = calloc(1, sizeof(*conn->proxy_info));
	if (conn->proxy_info == NULL)
		return false;
	conn->proxy_info->via = conn->peer;
	return true;
}

/* Apply the limits to the client of the header: the acceptor has checked only
 * the sender of the header. */
static enum step_result
admit(struct conn *conn)
{
	switch (limit_admit(conn->service->limit, conn->service->listener,
	    &conn->peer, &conn->counted)) {
	case LIMIT_OK:
		conn->state = &handshaking; /* since_ms stays */
		return STEP_AGAIN;
	case LIMIT_DENIED:
		return end(conn, CONN_DENIED);
	default:
		return end(conn, CONN_FULL_ADDRESS);
	}
}

static enum step_result
take_header(
    struct conn *conn, const struct proxyproto_header *header, size_t len)
{
	struct conn_proxy_info *info = conn->proxy_info;

	stream_skip(&conn->client, len);
	if (!header->local) {
		conn->peer = header->client;
		info->server = header->server;
	}
	memcpy(info->unique, header->unique, header->unique_len);
	info->unique_len = header->unique_len;
	return admit(conn);
}

static enum step_result
step_proxy_header(struct conn *conn)
{
	struct proxyproto_header header;
	const uint8_t *bytes;
	size_t needed = 1, len, have;

	for (;;) {
		switch (stream_peek(&conn->client, needed, &bytes, &have)) {
		case IO_DONE:
			break;
		case IO_WANT_READ:
			return STEP_WAIT;
		default:
			return end(conn, early_reason(conn));
		}
		switch (proxyproto_parse(bytes, have, &header, &len)) {
		case PROXYPROTO_DONE:
			return take_header(conn, &header, len);
		case PROXYPROTO_MORE:
			needed = len;
			break;
		default:
			conn->proxy_info->why = header.why;
			return end(conn, CONN_BAD_PROXY);
		}
	}
}

static enum step_result
header_timed_out(struct conn *conn)
{
	conn->proxy_info->why = "no complete PROXY header in time";
	return end(conn, CONN_BAD_PROXY);
}

static const struct conn_state reading_header = { "proxy_header",
	step_proxy_header, header_timed_out, CONN_TIMEOUT(handshake) };

/* ---- the PROXY header for the backend ---- */

/* What struct proxyproto_facts points to while the header is composed. */
struct header_scratch {
	struct stream_facts tls;
	struct addr local;
	char name[COMMON_NAME_BYTES];
	uint8_t certificate[CERTIFICATE_BYTES];
	char unique[2 * UNIQUE_BYTES + 1];
};

/* The address that the client connected to; NULL: unknown. */
static const struct addr *
find_local(const struct conn *conn, struct header_scratch *scratch)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);

	if (conn->proxy_info && conn->proxy_info->server.len > 0)
		return &conn->proxy_info->server;
	if (getsockname(conn->client.fd, (struct sockaddr *)&local, &len) != 0)
		return NULL;
	addr_from_sockaddr(&scratch->local, (struct sockaddr *)&local, len);
	return &scratch->local;
}

/* An id that was received is passed on, so that a connection has the same one
 * on all its hops. */
static void
add_unique_id(const struct conn *conn, struct header_scratch *scratch,
    struct proxyproto_facts *facts)
{
	uint8_t random[UNIQUE_BYTES];

	if (conn->proxy_info && conn->proxy_info->unique_len > 0) {
		facts->unique = conn->proxy_info->unique;
		facts->unique_len = conn->proxy_info->unique_len;
		return;
	}
	if (getrandom(random, sizeof(random), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(random))
		return; /* no id: it would not be unique */
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(scratch->unique + 2 * i, 3, "%02x", random[i]);
	facts->unique = (const uint8_t *)scratch->unique;
	facts->unique_len = sizeof(scratch->unique) - 1;
}

static void
describe_tls(const struct conn *conn, struct header_scratch *scratch,
    struct proxyproto_facts *facts)
{
	const struct stream_facts *tls = &scratch->tls;

	stream_facts(&conn->client, &scratch->tls);
	facts->authority = tls->sni;
	facts->alpn = tls->alpn;
	facts->alpn_len = tls->alpn_len;
	facts->tls = true;
	facts->client_presented = tls->client_presented;
	facts->client_in_session = tls->client_in_session;
	facts->client_verified = tls->client_verified;
	facts->version = tls->version;
	facts->cipher = tls->cipher;
	facts->key_algorithm = tls->key_algorithm;
	facts->signature_algorithm = tls->signature_algorithm;
	if (facts->tlvs & PROXY_TLV_CN) {
		stream_client_name(
		    &conn->client, scratch->name, sizeof(scratch->name));
		facts->common_name = scratch->name;
	}
	if (facts->tlvs & PROXY_TLV_CERT) {
		facts->certificate = scratch->certificate;
		facts->certificate_len = stream_client_der(&conn->client,
		    scratch->certificate, sizeof(scratch->certificate));
	}
}

/* Write the header to out; returns its length. */
static size_t
compose(const struct conn *conn, uint8_t *out)
{
	const struct config_listener *settings = conn->settings;
	struct proxyproto_facts facts = {
		.client = &conn->peer,
		.tlvs = settings->proxy_tlv,
	};
	struct header_scratch scratch;

	facts.local = find_local(conn, &scratch);
	if (settings->proxy_out == PROXY_OUT_V2) {
		describe_tls(conn, &scratch, &facts);
		if (facts.tlvs & PROXY_TLV_UNIQUE_ID)
			add_unique_id(conn, &scratch, &facts);
	}
	return proxyproto_format(settings->proxy_out, &facts, out);
}

/* With proxy_out, put a PROXY header in front of the client's bytes.  Called
 * once, after the handshake.  false: no memory. */
static bool
put_header(struct conn *conn)
{
	uint8_t *front;

	if (conn->settings->proxy_out == PROXY_OUT_OFF)
		return true;
	front = relay_front(&conn->up, PROXYPROTO_OUT_MAX);
	if (front == NULL)
		return false;
	relay_commit(&conn->up, compose(conn, front));
	return true;
}

/* ---- handshake ---- */

static void
count_handshake(struct conn *conn)
{
	struct stream_facts facts;

	stream_facts(&conn->client, &facts);
	stats_add_handshake(conn->counts, &facts, conn->handshake_ms);
}

/* Replace the listener's settings by those of the site that the handshake has
 * selected, and begin to walk its backends. */
static void
enter_site(struct conn *conn)
{
	const struct service_site *site =
	    &conn->service->sites[stream_site(&conn->client)];

	conn->settings = site->settings;
	backend_walk_init(&conn->walk, site->backends);
	conn->walk.look_up = &conn->set->look_up;
}

static enum step_result
step_handshake(struct conn *conn)
{
	int64_t now_ms;

	switch (stream_handshake(&conn->client)) {
	case IO_DONE:
		break;
	case IO_WANT_READ:
	case IO_WANT_WRITE:
		return STEP_WAIT;
	default:
		return handshake_failed(conn);
	}
	now_ms = clock_mono_ms();
	conn->handshake_done = true;
	conn->handshake_ms = (uint32_t)(now_ms - conn->started_ms);
	limit_handshake_done(conn->service->limit);
	count_handshake(conn);
	enter_site(conn);
	if (stream_is_check(&conn->client)) {
		/* The send buffer is empty, so close_notify fits. */
		(void)stream_end(&conn->client);
		return end(conn, CONN_HEALTH_CHECK);
	}
	if (!put_header(conn))
		return end(conn, CONN_NO_MEMORY);
	return enter(conn, &connecting, now_ms);
}

static enum step_result
handshake_timed_out(struct conn *conn)
{
	return end(conn, CONN_HANDSHAKE_TIMEOUT);
}

static const struct conn_state handshaking = { "handshake", step_handshake,
	handshake_timed_out, CONN_TIMEOUT(handshake) };

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

/* Open the next candidate.  false: none is left. */
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
	conn->attempt_ms = backend_walk_has_more(&conn->walk)
			       ? now_ms + ATTEMPT_DELAY_MS
			       : INT64_MAX;
	return true;
}

static void
close_attempt(struct conn *conn, struct conn_attempt *attempt)
{
	conn_unwatch_attempt(conn, attempt);
	close(attempt->fd);
	attempt->fd = -1;
}

static void
close_backend(struct conn *conn)
{
	conn_unwatch_backend(conn);
	/* A reset: a socket that TCP has connected to itself would otherwise
	 * keep the port of the backend in TIME_WAIT. */
	stream_fini(&conn->backend, true);
	stream_init_plain(&conn->backend, -1, conn->set->pool);
}

/* An attempt takes the place of `backend`, which is closed. */
static void
promote(struct conn *conn, struct conn_attempt *attempt)
{
	conn_unwatch_attempt(conn, attempt);
	stream_init_plain(&conn->backend, attempt->fd, conn->set->pool);
	conn->candidate = attempt->candidate;
	conn->since_ms = attempt->since_ms;
	attempt->fd = -1;
}

static struct conn_attempt *
oldest_attempt(struct conn *conn)
{
	struct conn_attempt *oldest = NULL;

	for (int i = 0; conn->attempts != NULL && i < CONN_ATTEMPTS_MAX; i++) {
		struct conn_attempt *attempt = &conn->attempts[i];

		if (attempt->fd >= 0 &&
		    (oldest == NULL || attempt->since_ms < oldest->since_ms))
			oldest = attempt;
	}
	return oldest;
}

/* A connect has failed: it is logged, its address rests, and an attempt to the
 * next address is due at once. */
static void
note_failure(struct conn *conn, struct candidate *candidate, int errnum)
{
	int64_t now_ms = clock_mono_ms();

	backend_walk_failed(&conn->walk, candidate, errnum, now_ms);
	conn_log_failover(conn, errnum);
	if (backend_walk_has_more(&conn->walk))
		conn->attempt_ms = now_ms;
}

static void
drop_backend(struct conn *conn, int errnum)
{
	struct conn_attempt *attempt = oldest_attempt(conn);

	note_failure(conn, conn->candidate, errnum);
	close_backend(conn);
	if (attempt != NULL)
		promote(conn, attempt);
}

static void
end_attempts(struct conn *conn)
{
	conn->attempt_ms = INT64_MAX;
	if (conn->attempts == NULL)
		return;
	for (int i = 0; i < CONN_ATTEMPTS_MAX; i++) {
		if (conn->attempts[i].fd >= 0)
			close_attempt(conn, &conn->attempts[i]);
	}
	free(conn->attempts);
	conn->attempts = NULL;
}

/* The addresses of earlier, undecided attempts rest, so that the next client
 * does not wait for them. */
static void
select_winner(struct conn *conn, struct conn_attempt *winner)
{
	int64_t now_ms = clock_mono_ms();

	backend_walk_overtaken(&conn->walk, conn->candidate, now_ms);
	for (int i = 0; i < CONN_ATTEMPTS_MAX; i++) {
		const struct conn_attempt *attempt = &conn->attempts[i];

		if (attempt->fd >= 0 && attempt->since_ms < winner->since_ms)
			backend_walk_overtaken(
			    &conn->walk, attempt->candidate, now_ms);
	}
	close_backend(conn);
	promote(conn, winner);
}

/* Read the outcomes of the later attempts and close those that failed.  true:
 * one has connected and is now `backend`. */
static bool
check_attempts(struct conn *conn)
{
	for (int i = 0; conn->attempts != NULL && i < CONN_ATTEMPTS_MAX; i++) {
		struct conn_attempt *attempt = &conn->attempts[i];
		int errnum;

		if (attempt->fd < 0)
			continue;
		errnum = backend_connect_outcome(attempt->fd);
		if (errnum == 0) {
			select_winner(conn, attempt);
			return true;
		}
		if (errnum == EINPROGRESS)
			continue;
		note_failure(conn, attempt->candidate, errnum);
		close_attempt(conn, attempt);
	}
	return false;
}

/* An unused attempt; NULL: all are in use, or no memory. */
static struct conn_attempt *
unused_attempt(struct conn *conn)
{
	if (conn->attempts == NULL) {
		conn->attempts = calloc(
		    CONN_ATTEMPTS_MAX, sizeof(conn->attempts[0]));
		for (int i = 0; conn->attempts && i < CONN_ATTEMPTS_MAX; i++)
			conn_init_attempt(conn, &conn->attempts[i]);
	}
	for (int i = 0; conn->attempts && i < CONN_ATTEMPTS_MAX; i++) {
		if (conn->attempts[i].fd < 0)
			return &conn->attempts[i];
	}
	return NULL;
}

/*
 * RFC 8305 section 5: while a connect is undecided, the next address of the
 * same backend is tried once it is due.  true: one was tried, and its outcome
 * may be known already.
 */
static bool
open_attempt(struct conn *conn)
{
	struct conn_attempt *attempt;
	int64_t now_ms;

	if (conn->attempt_ms == INT64_MAX)
		return false;
	now_ms = clock_mono_ms();
	if (now_ms < conn->attempt_ms)
		return false;
	conn->attempt_ms = INT64_MAX;
	attempt = unused_attempt(conn);
	if (attempt == NULL)
		return false;
	switch (backend_walk_more(&conn->walk, now_ms, &attempt->fd)) {
	case BACKEND_NONE:
		return false;
	case BACKEND_FAILED:
		conn_log_failover(conn, conn->walk.last_errno);
		conn->attempt_ms = now_ms;
		return true;
	default:
		break;
	}
	attempt->candidate = conn->walk.candidate;
	attempt->since_ms = now_ms;
	if (backend_walk_has_more(&conn->walk))
		conn->attempt_ms = now_ms + ATTEMPT_DELAY_MS;
	return true;
}

static enum step_result
begin_relay(struct conn *conn)
{
	int64_t now_ms = clock_mono_ms(), down_ms;

	end_attempts(conn);
	conn->connected = true;
	if (backend_walk_connected(
		&conn->walk, conn->candidate, now_ms, &down_ms))
		conn_log_up(conn, down_ms);
	/* Do not read yet: a new backend rarely sends first. */
	conn->backend.may_read = false;
	conn->connect_ms = (uint32_t)(now_ms - conn->started_ms) -
			   conn->handshake_ms;
	return enter(conn, &relaying, now_ms);
}

static enum step_result
step_connect(struct conn *conn)
{
	int errnum;

	/* Flush the rest of a session ticket: no other step writes to the client
	 * before the relay, or detects that it cannot be written. */
	if (stream_wants_write(&conn->client) &&
	    stream_flush(&conn->client) == IO_FAILED)
		return client_failed(conn);
	/* Read ahead, so that bytes of the client leave with the first send to
	 * the backend. */
	switch (relay_read_ahead(&conn->up)) {
	case RELAY_WAITS:
		break;
	case RELAY_NO_MEMORY:
		return end(conn, CONN_NO_MEMORY);
	default:
		return client_failed(conn);
	}
	for (;;) {
		if (conn->backend.fd == -1 && !open_backend(conn))
			return end(conn, no_backend_reason(&conn->walk));
		errnum = backend_connect_outcome(conn->backend.fd);
		if (errnum == 0)
			return begin_relay(conn);
		if (errnum != EINPROGRESS)
			drop_backend(conn, errnum);
		else if (check_attempts(conn))
			return begin_relay(conn);
		else if (!open_attempt(conn))
			return STEP_WAIT;
	}
}

static enum step_result
connect_timed_out(struct conn *conn)
{
	drop_backend(conn, ETIMEDOUT);
	return STEP_AGAIN;
}

static const struct conn_state connecting = { "connect", step_connect,
	connect_timed_out, CONN_TIMEOUT(connect) };

/* ---- relay and drain ---- */

static enum step_result
backend_failed(struct conn *conn)
{
	switch (conn->backend.error) {
	case STREAM_RESET:
		return end(conn, CONN_BACKEND_RESET);
	case STREAM_NO_MEMORY:
		return end(conn, CONN_NO_MEMORY);
	default:
		return end(conn, CONN_BACKEND_FAILED);
	}
}

/*
 * A backend may respond and close while the client is still sending (an early
 * refusal of an upload).  Its response is complete and must arrive, so the rest
 * of the upload is dropped and the connection stays: a reset could overtake the
 * response.  EPIPE: the backend's FIN came before its reset, so its response is
 * complete and can still be read.  Without a FIN the error is ECONNRESET.
 */
static enum step_result
backend_write_failed(struct conn *conn)
{
	if (!conn->down.input_ended && conn->backend.error_errno != EPIPE)
		return backend_failed(conn);
	relay_drop(&conn->up);
	return STEP_AGAIN;
}

typedef enum step_result failed_fn(struct conn *conn);

/* One direction; the callbacks handle a failure of either end. */
static enum step_result
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
		return end(conn, CONN_NO_MEMORY);
	default:
		return STEP_WAIT;
	}
}

/*
 * The response is sent and the upload is dropped: its bytes do not extend
 * timeout_close.
 */
static bool
only_drops(const struct conn *conn)
{
	return conn->up.dropping && conn->down.output_ended;
}

/* Once for each turn, so that the counters of a long connection move. */
static void
count_bytes(struct conn *conn)
{
	const struct stream *client = &conn->client;

	stats_add_bytes(conn->counts, client->bytes_in - conn->counted_in,
	    client->bytes_out - conn->counted_out);
	conn->counted_in = client->bytes_in;
	conn->counted_out = client->bytes_out;
}

/*
 * Down comes first: bytes that a backend sent before it closed must be read
 * before a write to it fails.
 */
static enum step_result
pump(struct conn *conn)
{
	enum step_result result;
	bool moved = false;

	result = pump_one(
	    conn, &conn->down, backend_failed, client_failed, &moved);
	if (result == STEP_WAIT)
		result = pump_one(conn, &conn->up, client_failed,
		    backend_write_failed, &moved);
	if (moved && !only_drops(conn))
		conn->since_ms = conn->set->now_ms;
	if (moved)
		count_bytes(conn);
	return result;
}

/* RFC 8446 section 6.1: an end without close_notify may be an attack. */
static enum step_result
finish(struct conn *conn)
{
	bool truncated = conn->client.input_ended && !conn->client.got_notify;

	return end(conn, truncated ? CONN_TRUNCATED : CONN_DONE);
}

static enum step_result
step_relay(struct conn *conn)
{
	enum step_result result = pump(conn);

	if (result != STEP_WAIT || !conn->down.input_ended)
		return result;
	if (conn->settings->timeout_close_ms > 0)
		return enter(conn, &draining, conn->set->now_ms);
	/* timeout_close = 0: send the whole response, but do not wait for the
	 * client's end. */
	return conn->down.output_ended ? finish(conn) : STEP_WAIT;
}

static enum step_result
step_drain(struct conn *conn)
{
	enum step_result result = pump(conn);

	if (result != STEP_WAIT)
		return result;
	if (!conn->down.output_ended || !conn->up.output_ended)
		return STEP_WAIT;
	return finish(conn);
}

static enum step_result
relay_timed_out(struct conn *conn)
{
	return end(conn, CONN_IDLE_TIMEOUT);
}

static enum step_result
drain_timed_out(struct conn *conn)
{
	return end(conn, CONN_CLOSE_TIMEOUT);
}

static const struct conn_state relaying = { "relay", step_relay,
	relay_timed_out, CONN_TIMEOUT(idle) };
static const struct conn_state draining = { "drain", step_drain,
	drain_timed_out, CONN_TIMEOUT(close) };

/* ---- the state machine ---- */

static void
act_on(struct conn *conn, enum step_result result)
{
	while (result == STEP_AGAIN)
		result = conn->state->step(conn);
	if (result == STEP_END)
		conn_close(conn, conn->reason);
	else
		conn_watch(conn);
}

void
conn_advance(struct conn *conn)
{
	/* A queued connection gets its turn before the loop waits. */
	if (!list_is_empty(&conn->runnable))
		return;
	act_on(conn, STEP_AGAIN);
}

void
conn_timed_out(struct conn *conn)
{
	act_on(conn, conn->state->timed_out(conn));
}

/*
 * EPOLLHUP without EPOLLERR: both directions are closed, as they should be once
 * our FIN was sent.
 */
void
conn_client_event(struct conn *conn, uint32_t events)
{
	if ((events & EPOLLERR) == 0 && conn->client.fin_sent)
		return;
	stream_errored(&conn->client);
	act_on(conn, client_failed(conn));
}

/* ---- beginning and end ---- */

static bool
resets_client(const struct conn *conn)
{
	/* Without a reset the kernel would keep the bytes that the client does
	 * not take. */
	if (conn->reason == CONN_CLOSE_TIMEOUT)
		return !conn->down.output_ended;
	return conn_reason_resets_client(conn->reason);
}

static bool
resets_backend(const struct conn *conn)
{
	return conn->connected && !conn->up.output_ended;
}

static void
release_limits(
    struct service *service, bool handshake_done, struct limit_address *counted)
{
	if (!handshake_done)
		limit_handshake_done(service->limit);
	if (counted != NULL)
		limit_forget(service->limit, counted);
	limit_release(service->limit);
}

void
conn_close(struct conn *conn, enum conn_reason reason)
{
	conn->reason = reason;
	conn_log_end(conn);
	conn_log_access(conn);
	count_bytes(conn);
	stats_add_end(conn->counts, reason, conn->handshake_done);
	conn_unwatch(conn);
	relay_fini(&conn->up);
	relay_fini(&conn->down);
	stream_fini(&conn->client, resets_client(conn));
	stream_fini(&conn->backend, resets_backend(conn));
	end_attempts(conn);
	backend_walk_fini(&conn->walk);
	release_limits(conn->service, conn->handshake_done, conn->counted);
	conn_set_remove(conn);
	service_unref(conn->service);
	free(conn->proxy_info);
	free(conn);
}

/* There is no memory for a connection: close, count and log. */
static void
refuse(struct conn_set *set, struct service *service,
    const struct conn_client *client)
{
	struct stats_counts *counts = stats_of_thread(
	    service->stats, set->thread);

	stats_add_accepted(counts);
	stats_add_end(counts, CONN_NO_MEMORY, false);
	conn_log_refused(set, service);
	close(client->fd);
	release_limits(service, false, client->counted);
	set->room = true;
}

void
conn_new(struct conn_set *set, struct service *service,
    const struct conn_client *client)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		refuse(set, service, client);
		return;
	}
	conn->set = set;
	conn->service = service_ref(service);
	conn->counts = stats_of_thread(service->stats, set->thread);
	conn->settings = service->listener;
	conn->peer = client->peer;
	conn->counted = client->counted;
	conn->id = set->next_id++;
	conn->started_ms = clock_mono_ms();
	conn->since_ms = conn->started_ms;
	conn->state = service->listener->proxy_in ? &reading_header
						  : &handshaking;
	conn_watch_init(conn);
	relay_init(&conn->up, &conn->client, &conn->backend);
	relay_init(&conn->down, &conn->backend, &conn->client);
	stream_init_plain(&conn->backend, -1, set->pool);
	conn_set_add(conn);
	if (!init_proxy_info(conn) ||
	    !stream_init_tls(
		&conn->client, client->fd, set->pool, service->tls)) {
		stream_init_plain(&conn->client, client->fd, set->pool);
		conn_close(conn, CONN_NO_MEMORY);
		return;
	}
	conn_advance(conn);
}
