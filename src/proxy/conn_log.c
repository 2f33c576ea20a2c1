/*
 * The log lines of a connection: its end, a backend that failed before another
 * one was tried, and the access line.  Listener thread; lines go to the log's
 * ring and never block.
 *
 * One table has what the end of a connection means, by its reason.  Lines that
 * a client can cause are limited for each reason and listener.  Texts from the
 * client may hold any bytes: the log escapes and cuts them.
 */
#include "proxy/conn_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/service.h"

#define ERROR_TEXT_MAX 256

/* For each reason and listener. */
static const struct rate_limit_rule rate = { .lines = 10, .window_ms = 1000 };

/* Where the error text of an end comes from. */
enum error_source { NONE, CLIENT, PROXY_HEADER, BACKEND, WALK };

/* One row per reason. */
static const struct {
	const char *name;
	const char *message;
	enum log_level level;
	enum error_source source;
	bool limited; /* clients can cause it: the line is rate-limited */
	bool reset;   /* the client is closed with a reset */
} close_reasons[] = {
	[CONN_DONE] = { "done", "closed", LEVEL_INFO, NONE, false, false },
	[CONN_TRUNCATED] = { "truncated", "closed without close_notify",
	    LEVEL_INFO, NONE, false, false },
	[CONN_CLIENT_RESET] = { "client_reset", "client reset the connection",
	    LEVEL_INFO, NONE, false, false },
	[CONN_CLIENT_FAILED] = { "client_failed",
	    "connection to the client failed", LEVEL_INFO, CLIENT, true,
	    false },
	[CONN_HANDSHAKE_FAILED] = { "handshake_failed", "handshake failed",
	    LEVEL_NOTICE, CLIENT, true, false },
	[CONN_HANDSHAKE_TIMEOUT] = { "handshake_timeout", "handshake timed out",
	    LEVEL_NOTICE, NONE, true, false },
	[CONN_NOT_TLS] = { "not_tls", "client sent no TLS", LEVEL_NOTICE,
	    CLIENT, true, false },
	/* TCP health checks cause this. */
	[CONN_CLIENT_GONE] = { "client_gone",
	    "client closed before its handshake was done", LEVEL_INFO, CLIENT,
	    true, false },
	[CONN_HEALTH_CHECK] = { "health_check", "health check completed",
	    LEVEL_INFO, NONE, true, false },
	[CONN_BAD_PROXY] = { "bad_proxy_header",
	    "client refused: bad PROXY header", LEVEL_NOTICE, PROXY_HEADER,
	    true, true },
	[CONN_DENIED] = { "denied", "client denied by allow/deny list",
	    LEVEL_INFO, NONE, true, true },
	[CONN_FULL_ADDRESS] = { "per_ip_max",
	    "client refused: per_ip_max reached", LEVEL_INFO, NONE, true,
	    true },
	[CONN_BACKEND_REFUSED] = { "backend_refused",
	    "no backend accepts connections", LEVEL_WARNING, WALK, true, true },
	[CONN_BACKEND_UNRESOLVED] = { "backend_unresolved",
	    "backend name is not resolved yet", LEVEL_WARNING, NONE, true,
	    true },
	[CONN_BACKEND_TIMEOUT] = { "backend_timeout",
	    "no backend connected in time", LEVEL_WARNING, WALK, true, true },
	[CONN_BACKEND_RESET] = { "backend_reset",
	    "backend reset the connection", LEVEL_INFO, NONE, true, false },
	[CONN_BACKEND_FAILED] = { "backend_failed",
	    "connection to the backend failed", LEVEL_WARNING, BACKEND, true,
	    false },
	[CONN_IDLE_TIMEOUT] = { "idle_timeout", "idle timeout", LEVEL_INFO,
	    NONE, false, false },
	[CONN_CLOSE_TIMEOUT] = { "close_timeout",
	    "client did not close in time", LEVEL_INFO, NONE, false, false },
	[CONN_LIFETIME] = { "lifetime", "max_lifetime reached", LEVEL_INFO,
	    NONE, false, false },
	[CONN_DRAINED] = { "drained", "closed by drain_timeout or stop",
	    LEVEL_INFO, NONE, false, false },
	[CONN_NO_MEMORY] = { "no_memory", "out of memory", LEVEL_ERROR, NONE,
	    true, true },
};
_Static_assert(
    ARRAY_LEN(close_reasons) == CONN_REASON_COUNT, "a reason has no row");

const char *
conn_reason_name(enum conn_reason reason)
{
	return close_reasons[reason].name;
}

bool
conn_reason_resets_client(enum conn_reason reason)
{
	return close_reasons[reason].reset;
}

/* ---- the end ---- */

static const char *
error_text(const struct conn *conn, char *out, size_t max)
{
	switch (close_reasons[conn->reason].source) {
	case CLIENT:
		return stream_error_text(&conn->client, out, max);
	case PROXY_HEADER:
		return conn->proxy_info ? conn->proxy_info->why : NULL;
	case BACKEND:
		return stream_error_text(&conn->backend, out, max);
	case WALK:
		return backend_error_text(conn->walk.last_errno, out, max);
	default:
		return NULL;
	}
}

void
conn_log_end(struct conn *conn)
{
	struct conn_set *set = conn->set;
	enum log_level level = close_reasons[conn->reason].level;
	char peer[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX], error[ERROR_TEXT_MAX];
	struct log_field fields[11] = { { 0 } };
	size_t n = 1;

	if (!log_may(set->log, level))
		return;
	if (close_reasons[conn->reason].limited &&
	    !conn_set_may_log(set, &rate, level, conn->service->listener->name,
		close_reasons[conn->reason].name))
		return;
	fields[n++] = LOG_N("conn", conn->id);
	fields[n++] = LOG_S("listener", conn->service->listener->name);
	fields[n++] = LOG_S(
	    "peer", addr_print(&conn->peer, peer, sizeof(peer)));
	if (conn->proxy_info)
		fields[n++] = LOG_S("via",
		    addr_print(&conn->proxy_info->via, via, sizeof(via)));
	if (conn->settings->pattern)
		fields[n++] = LOG_S("host", conn->settings->pattern);
	fields[n++] = LOG_S("reason", close_reasons[conn->reason].name);
	if (backend_walk_name(&conn->walk) != NULL)
		fields[n++] = LOG_S("backend", backend_walk_name(&conn->walk));
	if (conn->connected) {
		fields[n++] = LOG_N("up", conn->client.bytes_in);
		fields[n++] = LOG_N("down", conn->client.bytes_out);
	}
	if (close_reasons[conn->reason].source != NONE)
		fields[n++] = LOG_S(
		    "error", error_text(conn, error, sizeof(error)));
	log_write(set->log, level, "conn", close_reasons[conn->reason].message,
	    fields, n);
}

void
conn_log_refused(struct conn_set *set, const struct service *service)
{
	const char *listener = service->listener->name;

	if (conn_set_may_log(set, &rate, LEVEL_ERROR, listener,
		close_reasons[CONN_NO_MEMORY].name))
		log_error(set->log, "conn",
		    close_reasons[CONN_NO_MEMORY].message,
		    LOG_S("listener", listener));
}

/* ---- failover ---- */

static void
log_failure(const struct conn *conn, enum log_level level, const char *reason,
    const char *message, int errnum)
{
	struct conn_set *set = conn->set;
	const char *listener = conn->service->listener->name;
	char text[ERROR_TEXT_MAX];

	if (!conn_set_may_log(set, &rate, level, listener, reason))
		return;
	LOG_AT(set->log, level, "conn", message, LOG_N("conn", conn->id),
	    LOG_S("listener", listener),
	    LOG_S("backend", backend_walk_name(&conn->walk)),
	    LOG_S("error", backend_error_text(errnum, text, sizeof(text))));
}

/* A warning is due once, when the backend goes down: one address of a name with
 * several (::1 of localhost) is often dead. */
void
conn_log_failover(struct conn *conn, int errnum)
{
	log_failure(conn, LEVEL_INFO, "backend_failover",
	    "backend connect failed", errnum);
	if (!conn->walk.went_down)
		return;
	conn->walk.went_down = false;
	log_failure(
	    conn, LEVEL_WARNING, "backend_down", "backend down", errnum);
}

void
conn_log_up(const struct conn *conn, int64_t down_ms)
{
	struct conn_set *set = conn->set;
	const char *listener = conn->service->listener->name;

	if (conn_set_may_log(set, &rate, LEVEL_NOTICE, listener, "backend_up"))
		log_notice(set->log, "conn", "backend up again",
		    LOG_N("conn", conn->id), LOG_S("listener", listener),
		    LOG_S("backend", backend_walk_name(&conn->walk)),
		    LOG_N("down_ms", down_ms));
}

/* ---- the access line ---- */

/* Lengths on the wire are one byte. */
#define ALPN_MAX 256
#define NAME_TEXT_MAX 128

static const char *
terminate_alpn(const struct stream_facts *facts, char out[ALPN_MAX])
{
	size_t len = facts->alpn_len;

	if (facts->alpn == NULL)
		return NULL;
	if (len >= ALPN_MAX)
		len = ALPN_MAX - 1;
	memcpy(out, facts->alpn, len);
	out[len] = '\0';
	return out;
}

static const char *
verify_word(const struct stream_facts *facts)
{
	if (facts->client_verified)
		return "ok";
	return facts->client_in_session ? "failed" : "none";
}

void
conn_log_access(const struct conn *conn)
{
	const struct conn_proxy_info *info = conn->proxy_info;
	struct log *log = conn->set->log;
	struct stream_facts facts = { 0 };
	char peer[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX], alpn[ALPN_MAX];
	char name[NAME_TEXT_MAX] = "";

	if (!log_has_access(log))
		return;
	if (conn->handshake_done)
		stream_facts(&conn->client, &facts);
	if (facts.client_verified)
		stream_client_name(&conn->client, name, sizeof(name));

	const struct log_field fields[] = {
		{ 0 }, /* the placeholder that log_access skips */
		LOG_N("conn", conn->id),
		LOG_S("listener", conn->service->listener->name),
		LOG_S("peer", addr_print(&conn->peer, peer, sizeof(peer))),
		LOG_S("via",
		    info ? addr_print(&info->via, via, sizeof(via)) : NULL),
		LOG_S("host", conn->settings->pattern),
		LOG_S("sni", facts.sni),
		LOG_S("alpn", terminate_alpn(&facts, alpn)),
		LOG_S("version", facts.version),
		LOG_S("cipher", facts.cipher),
		LOG_S("group", facts.group),
		LOG_S("resumed", facts.resumed ? "yes" : "no"),
		LOG_S("stapled", facts.stapled ? "yes" : "no"),
		LOG_S("verify",
		    conn->handshake_done ? verify_word(&facts) : NULL),
		LOG_S("client", name[0] ? name : NULL),
		LOG_S("backend",
		    conn->connected ? backend_walk_name(&conn->walk) : NULL),
		LOG_N("up", conn->client.bytes_in),
		LOG_N("down", conn->client.bytes_out),
		LOG_N("handshake_ms", conn->handshake_ms),
		LOG_N("connect_ms", conn->connect_ms),
		LOG_N("ms", clock_mono_ms() - conn->started_ms),
		LOG_S("reason", conn_reason_name(conn->reason)),
	};
	log_access(log, fields, ARRAY_LEN(fields));
}
