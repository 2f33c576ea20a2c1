/*
 * How a connection ends and what is said about it.  Listener thread.
 *
 * The hard decision is how the two sockets are closed.  A side may see a
 * clean end only if the other side's end was passed on to it: a backend whose
 * client broke off gets a reset instead of an end it could mistake for a
 * whole upload.  A client whose backend broke off gets its bytes and then FIN
 * without close_notify, which TLS tells apart from an end (RFC 8446 §6.1); a
 * reset would throw away what is still on its way.  A reset is right where
 * the client got nothing at all, or takes nothing any more.
 */
#include "proxy/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/access.h"
#include "proxy/conn_inner.h"
#include "proxy/limit.h"
#include "proxy/service.h"

#define ERROR_TEXT_MAX 256

/* Of each reason and listener. */
static const struct rate_limit_rule rate = { .lines = 10, .window_ms = 1000 };

/* Whose error text explains the end. */
enum culprit { NOBODY, CLIENT, CARRIED, BACKEND, WALK };

/* One row per reason. */
static const struct {
	const char *name;
	const char *message;
	enum log_level level;
	enum culprit culprit;
	bool limited; /* strangers can cause it as often as they like */
	bool reset;   /* the client is closed with a reset */
} ends[CONN_REASON_COUNT] = {
	[CONN_DONE] = { "done", "closed", LEVEL_INFO, NOBODY, false, false },
	[CONN_TRUNCATED] = { "truncated", "closed without close_notify",
	    LEVEL_INFO, NOBODY, false, false },
	[CONN_CLIENT_RESET] = { "client_reset", "client reset the connection",
	    LEVEL_INFO, NOBODY, false, false },
	[CONN_CLIENT_FAILED] = { "client_failed", "client failed", LEVEL_INFO,
	    CLIENT, true, false },
	[CONN_HANDSHAKE_FAILED] = { "handshake_failed", "handshake failed",
	    LEVEL_NOTICE, CLIENT, true, false },
	[CONN_HANDSHAKE_TIMEOUT] = { "handshake_timeout",
	    "handshake took too long", LEVEL_NOTICE, NOBODY, true, false },
	[CONN_NOT_TLS] = { "not_tls", "client does not speak TLS", LEVEL_NOTICE,
	    CLIENT, true, false },
	/* Health checks do this all day. */
	[CONN_CLIENT_GONE] = { "client_gone",
	    "client left before its handshake", LEVEL_INFO, CLIENT, true,
	    false },
	[CONN_HEALTH_CHECK] = { "health_check", "health check answered",
	    LEVEL_INFO, NOBODY, true, false },
	[CONN_BAD_PROXY] = { "bad_proxy_header",
	    "client refused: bad PROXY header", LEVEL_NOTICE, CARRIED, true,
	    true },
	[CONN_DENIED] = { "denied", "client denied by allow/deny list",
	    LEVEL_INFO, NOBODY, true, true },
	[CONN_FULL_ADDRESS] = { "per_ip_max",
	    "client refused: per_ip_max reached", LEVEL_INFO, NOBODY, true,
	    true },
	[CONN_BACKEND_REFUSED] = { "backend_refused",
	    "no backend takes connections", LEVEL_WARNING, WALK, true, true },
	[CONN_BACKEND_UNRESOLVED] = { "backend_unresolved",
	    "backend name has no address yet", LEVEL_WARNING, NOBODY, true,
	    true },
	[CONN_BACKEND_TIMEOUT] = { "backend_timeout",
	    "no backend answers in time", LEVEL_WARNING, WALK, true, true },
	[CONN_BACKEND_RESET] = { "backend_reset",
	    "backend reset the connection", LEVEL_INFO, NOBODY, true, false },
	[CONN_BACKEND_FAILED] = { "backend_failed", "backend failed",
	    LEVEL_WARNING, BACKEND, true, false },
	[CONN_IDLE_TIMEOUT] = { "idle_timeout", "idle for too long", LEVEL_INFO,
	    NOBODY, false, false },
	[CONN_CLOSE_TIMEOUT] = { "close_timeout", "client did not finish",
	    LEVEL_INFO, NOBODY, false, false },
	[CONN_LIFETIME] = { "lifetime", "open for too long", LEVEL_INFO, NOBODY,
	    false, false },
	[CONN_DRAINED] = { "drained", "ended by us", LEVEL_INFO, NOBODY, false,
	    false },
	[CONN_NO_MEMORY] = { "no_memory", "out of memory", LEVEL_ERROR, NOBODY,
	    true, true },
};

const char *
conn_reason_name(enum conn_reason reason)
{
	return ends[reason].name;
}

/* ---- lines ---- */

static const char *
error_text(const struct conn *conn, char *out, size_t max)
{
	switch (ends[conn->reason].culprit) {
	case CLIENT:
		return stream_failure_text(&conn->client, out, max);
	case CARRIED:
		return conn->carried ? conn->carried->why : NULL;
	case BACKEND:
		return stream_failure_text(&conn->backend, out, max);
	case WALK:
		return backend_error_text(conn->walk.last_errno, out, max);
	default:
		return NULL;
	}
}

static void
log_end(struct conn *conn)
{
	struct conn_set *set = conn->set;
	enum log_level level = ends[conn->reason].level;
	char peer[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX], error[ERROR_TEXT_MAX];
	struct log_field fields[11] = { { 0 } };
	size_t n = 1;

	if (!log_may(set->log, level))
		return;
	if (ends[conn->reason].limited &&
	    !conn_set_may_log(set, &rate, level, conn->service->listener->name,
		ends[conn->reason].name))
		return;
	fields[n++] = LOG_N("conn", conn->id);
	fields[n++] = LOG_S("listener", conn->service->listener->name);
	fields[n++] = LOG_S(
	    "peer", addr_print(&conn->peer, peer, sizeof(peer)));
	if (conn->carried)
		fields[n++] = LOG_S(
		    "via", addr_print(&conn->carried->via, via, sizeof(via)));
	if (conn->settings->pattern)
		fields[n++] = LOG_S("host", conn->settings->pattern);
	fields[n++] = LOG_S("reason", ends[conn->reason].name);
	if (backend_walk_name(&conn->walk) != NULL)
		fields[n++] = LOG_S("backend", backend_walk_name(&conn->walk));
	if (conn->connected) {
		fields[n++] = LOG_N("up", conn->client.bytes_in);
		fields[n++] = LOG_N("down", conn->client.bytes_out);
	}
	if (ends[conn->reason].culprit != NOBODY)
		fields[n++] = LOG_S(
		    "error", error_text(conn, error, sizeof(error)));
	log_write(
	    set->log, level, "conn", ends[conn->reason].message, fields, n);
}

static void
write_access(const struct conn *conn)
{
	struct access_record record = {
		.id = conn->id,
		.listener = conn->service->listener->name,
		.host = conn->settings->pattern,
		.peer = &conn->peer,
		.via = conn->carried ? &conn->carried->via : NULL,
		.client = &conn->client,
		.handshake_done = conn->handshake_done,
		.bytes_up = conn->client.bytes_in,
		.bytes_down = conn->client.bytes_out,
		.handshake_ms = conn->handshake_ms,
		.connect_ms = conn->connect_ms,
		.reason = conn->reason,
	};

	if (!log_has_access(conn->set->log))
		return;
	if (conn->connected)
		record.backend = backend_walk_name(&conn->walk);
	record.total_ms = clock_mono_ms() - conn->started_ms;
	access_write(conn->set->log, &record);
}

/* One address of a name, such as ::1 of localhost, may well be dead. */
static enum log_level
failover_level(const struct backend_walk *walk)
{
	return backend_walk_has_more(walk) ? LEVEL_INFO : LEVEL_WARNING;
}

void
conn_log_failover(const struct conn *conn, int errnum)
{
	struct conn_set *set = conn->set;
	enum log_level level = failover_level(&conn->walk);
	char text[ERROR_TEXT_MAX];

	if (!conn_set_may_log(set, &rate, level, conn->service->listener->name,
		"backend_failover"))
		return;
	LOG_AT(set->log, level, "conn", "backend does not take the connection",
	    LOG_N("conn", conn->id),
	    LOG_S("listener", conn->service->listener->name),
	    LOG_S("backend", backend_walk_name(&conn->walk)),
	    LOG_S("error", backend_error_text(errnum, text, sizeof(text))));
}

/* ---- the exit ---- */

static bool
resets_client(const struct conn *conn)
{
	/* What it does not take stays in the kernel otherwise. */
	if (conn->reason == CONN_CLOSE_TIMEOUT)
		return !conn->down.output_ended;
	return ends[conn->reason].reset;
}

static bool
resets_backend(const struct conn *conn)
{
	return conn->connected && !conn->up.output_ended;
}

static void
settle_limits(
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
	log_end(conn);
	write_access(conn);
	counter_add(&conn->set->ended[reason], 1);
	conn_unwatch(conn);
	relay_fini(&conn->up);
	relay_fini(&conn->down);
	stream_fini(&conn->client, resets_client(conn));
	stream_fini(&conn->backend, resets_backend(conn));
	conn_end_rivals(conn);
	backend_walk_fini(&conn->walk);
	settle_limits(conn->service, conn->handshake_done, conn->counted);
	conn_set_remove(conn);
	service_unref(conn->service);
	free(conn->carried);
	free(conn);
}

void
conn_refuse(struct conn_set *set, struct service *service,
    const struct conn_client *client)
{
	counter_add(&set->accepted, 1);
	counter_add(&set->ended[CONN_NO_MEMORY], 1);
	if (conn_set_may_log(set, &rate, LEVEL_ERROR, service->listener->name,
		ends[CONN_NO_MEMORY].name))
		log_error(set->log, "conn", ends[CONN_NO_MEMORY].message,
		    LOG_S("listener", service->listener->name));
	close(client->fd);
	settle_limits(service, false, client->counted);
	set->room = true;
}
