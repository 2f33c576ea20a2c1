/*
 * The table of keys.  Order matters twice: it is the order of --list-keys
 * and --print-config, and before any section the first row of a name wins,
 * so [global] stands before [listener].  Any thread.
 */
#include "config/schema.h"

#define KEY(key, other, where_it_stands) \
	.name = (key), .aliases = (other), .sections = (where_it_stands)
#define OF_CONFIG(field, how) \
	.offset = offsetof(struct config, field), .type = &(how)
#define OF_LISTENER(field, how) \
	.of_listener = true,    \
	.offset = offsetof(struct config_listener, field), .type = &(how)
#define BETWEEN(low, high) .rules.min = (low), .rules.max = (high)
#define ZERO(word) .rules.zero = (word)
#define WORDS(table) .rules.words = (table)
#define WHERE(field) .where = offsetof(struct config_listener, field)
#define IN_BOTH (SCHEMA_TLS | SCHEMA_LISTENER)

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define CONNECTIONS_MAX (1u << 20)

static const struct value_word levels[] = {
	{ "error", LEVEL_ERROR },
	{ "err", LEVEL_ERROR },
	{ "crit", LEVEL_ERROR },
	{ "alert", LEVEL_ERROR },
	{ "emerg", LEVEL_ERROR },
	{ "0", LEVEL_ERROR },
	{ "1", LEVEL_ERROR },
	{ "2", LEVEL_ERROR },
	{ "3", LEVEL_ERROR },
	{ "warning", LEVEL_WARNING },
	{ "warn", LEVEL_WARNING },
	{ "4", LEVEL_WARNING },
	{ "notice", LEVEL_NOTICE },
	{ "5", LEVEL_NOTICE },
	{ "info", LEVEL_INFO },
	{ "6", LEVEL_INFO },
	{ "debug", LEVEL_DEBUG },
	{ "7", LEVEL_DEBUG },
	{ NULL, 0 },
};

static const struct value_word formats[] = {
	{ "text", LOG_TEXT },
	{ "json", LOG_JSON },
	{ NULL, 0 },
};

static const struct value_word outputs[] = {
	{ "stderr", 0 },
	{ "stdout", 1 },
	{ "syslog", 2 },
	{ NULL, 0 },
};

static const struct value_word access_outputs[] = {
	{ "off", 0 },
	{ "same", 1 },
	{ "stdout", 2 },
	{ "stderr", 3 },
	{ NULL, 0 },
};

static const struct value_word balances[] = {
	{ "prio", BALANCE_PRIO },
	{ "rr", BALANCE_RR },
	{ NULL, 0 },
};

static const struct value_word permissions[] = {
	{ "warn", KEYS_WARN },
	{ "refuse", KEYS_REFUSE },
	{ "any", KEYS_ANY },
	{ NULL, 0 },
};

static const struct value_word profiles[] = {
	{ "intermediate", PROFILE_INTERMEDIATE },
	{ "modern", PROFILE_MODERN },
	{ NULL, 0 },
};

/* stunnel's "all" asks for as many as there are: as a floor, our lowest. */
static const struct value_word min_versions[] = {
	{ "TLSv1.2", TLS_VERSION_1_2 },
	{ "TLS1.2", TLS_VERSION_1_2 },
	{ "1.2", TLS_VERSION_1_2 },
	{ "all", TLS_VERSION_1_2 },
	{ "TLSv1.3", TLS_VERSION_1_3 },
	{ "TLS1.3", TLS_VERSION_1_3 },
	{ "1.3", TLS_VERSION_1_3 },
	{ NULL, 0 },
};

static const struct value_word max_versions[] = {
	{ "TLSv1.2", TLS_VERSION_1_2 },
	{ "TLS1.2", TLS_VERSION_1_2 },
	{ "1.2", TLS_VERSION_1_2 },
	{ "TLSv1.3", TLS_VERSION_1_3 },
	{ "TLS1.3", TLS_VERSION_1_3 },
	{ "1.3", TLS_VERSION_1_3 },
	{ "all", TLS_VERSION_ANY },
	{ NULL, 0 },
};

static const struct schema_row rows[] = {
	{ KEY("threads", "workers", SCHEMA_GLOBAL),
	    OF_CONFIG(threads, value_number), BETWEEN(1, 256), ZERO("auto"),
	    .needs_start = true, .initial = "auto",
	    .meaning = "listener threads; auto: one for each CPU it may use" },
	{ KEY("user", "setuid", SCHEMA_GLOBAL), OF_CONFIG(user, value_text),
	    .needs_start = true,
	    .meaning = "user to become once sockets and keys are open" },
	{ KEY("group", "setgid", SCHEMA_GLOBAL), OF_CONFIG(group, value_text),
	    .needs_start = true,
	    .meaning = "group to become once sockets and keys are open" },
	{ KEY("max_connections", NULL, SCHEMA_GLOBAL),
	    OF_CONFIG(max_connections, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("auto"), .initial = "auto",
	    .shown = "auto, from the descriptor limit",
	    .meaning =
		"connections of the process; beyond it accepting pauses" },
	{ KEY("drain_timeout", NULL, SCHEMA_GLOBAL),
	    OF_CONFIG(drain_timeout_ms, value_duration), BETWEEN(0, DAY),
	    .mark = offsetof(struct config, drain_timeout_set),
	    .shown = "8s, 30s under systemd",
	    .meaning = "after SIGTERM, how long open connections may go on" },
	{ KEY("pid", "pidfile", SCHEMA_GLOBAL),
	    OF_CONFIG(pid_file, value_pid_path), .needs_start = true,
	    .meaning = "file that holds the process number" },
	{ KEY("level", "debug", SCHEMA_LOG), OF_CONFIG(log.level, value_level),
	    WORDS(levels), .initial = "notice",
	    .meaning = "how much to log; stunnel's 0 to 7 are known too" },
	{ KEY("format", NULL, SCHEMA_LOG), OF_CONFIG(log.format, value_choice),
	    WORDS(formats), .initial = "text",
	    .meaning = "log lines as text or as JSON objects" },
	{ KEY("output", NULL, SCHEMA_LOG), OF_CONFIG(log.output, value_sink),
	    WORDS(outputs), .initial = "stderr",
	    .meaning =
		"where the log goes; a file is opened again on SIGUSR1" },
	{ KEY("access", NULL, SCHEMA_LOG), OF_CONFIG(log.access, value_sink),
	    WORDS(access_outputs), .initial = "off",
	    .meaning =
		"where one line for each ended connection goes; same: into the log" },
	{ KEY("ticket_rotate", NULL, SCHEMA_TLS),
	    OF_CONFIG(ticket_rotate_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "12h",
	    .meaning = "a new session-ticket key every so often" },
	{ KEY("accept", "listen", SCHEMA_LISTENER),
	    OF_LISTENER(accept, value_accepts),
	    .meaning = "addresses where clients connect" },
	{ KEY("fd", NULL, SCHEMA_LISTENER), OF_LISTENER(fd, value_text),
	    .meaning = "name of a socket inherited from the service manager" },
	{ KEY("unix_mode", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(unix_mode, value_mode), .initial = "0660",
	    .meaning = "file mode of Unix sockets" },
	{ KEY("backlog", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(backlog, value_number), BETWEEN(1, 65535),
	    .initial = "4096",
	    .meaning = "clients the kernel lets wait to be accepted" },
	{ KEY("v6only", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(v6only, value_boolean), .initial = "no",
	    .meaning = "IPv6 sockets take no IPv4 clients" },
	{ KEY("connect", "backend", SCHEMA_LISTENER),
	    OF_LISTENER(connect, value_connects),
	    .meaning = "backends that get the decrypted bytes" },
	{ KEY("balance", "failover", SCHEMA_LISTENER),
	    OF_LISTENER(balance, value_choice), WORDS(balances),
	    .initial = "prio",
	    .meaning = "backends in order (prio) or in turn (rr)" },
	{ KEY("retry_after", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(retry_after_ms, value_duration), BETWEEN(0, DAY),
	    .initial = "10s",
	    .meaning = "how long a failed backend is left alone" },
	{ KEY("resolve", NULL, IN_BOTH),
	    OF_LISTENER(resolve_ms, value_duration), BETWEEN(SECOND, DAY),
	    .initial = "30s",
	    .meaning = "look backend names up again every so often" },
	{ KEY("cert", "cert_file", SCHEMA_LISTENER),
	    OF_LISTENER(cert, value_path), WHERE(cert_where),
	    .meaning = "PEM file with the certificate chain, leaf first" },
	{ KEY("key", "key_file", SCHEMA_LISTENER), OF_LISTENER(key, value_path),
	    WHERE(key_where), .shown = "in the cert file",
	    .meaning = "PEM file with the private key" },
	{ KEY("key_permissions", NULL, IN_BOTH),
	    OF_LISTENER(key_permissions, value_choice), WORDS(permissions),
	    .initial = "warn",
	    .meaning = "what to do about a key that others can read" },
	{ KEY("min_version", "sslVersionMin", IN_BOTH),
	    OF_LISTENER(min_version, value_version), WORDS(min_versions),
	    .initial = "TLSv1.2", .meaning = "lowest TLS version" },
	{ KEY("max_version", "sslVersionMax", IN_BOTH),
	    OF_LISTENER(max_version, value_version), WORDS(max_versions),
	    .initial = "all", .meaning = "highest TLS version" },
	{ KEY("profile", NULL, IN_BOTH), OF_LISTENER(profile, value_choice),
	    WORDS(profiles), .initial = "intermediate",
	    .meaning = "Mozilla's lists; modern is TLS 1.3 alone" },
	{ KEY("ciphers", NULL, IN_BOTH), OF_LISTENER(ciphers, value_text),
	    WHERE(ciphers_where), .shown = "by profile",
	    .meaning = "TLS 1.2 ciphers" },
	{ KEY("ciphersuites", NULL, IN_BOTH),
	    OF_LISTENER(ciphersuites, value_colons), WHERE(ciphersuites_where),
	    .shown = "by profile", .meaning = "TLS 1.3 cipher suites" },
	{ KEY("groups", "curves curve", IN_BOTH),
	    OF_LISTENER(groups, value_colons), WHERE(groups_where),
	    .shown = "by profile",
	    .meaning = "key exchange groups; unknown ones are left out" },
	{ KEY("alpn", NULL, IN_BOTH), OF_LISTENER(alpn, value_strings),
	    .meaning = "application protocols, best first" },
	{ KEY("tickets", "sessionResume", IN_BOTH),
	    OF_LISTENER(tickets, value_boolean), .initial = "yes",
	    .meaning = "clients may resume sessions by ticket" },
	{ KEY("session_timeout", "sessionCacheTimeout session", IN_BOTH),
	    OF_LISTENER(session_timeout_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "2h",
	    .meaning = "how long after a full handshake it may be resumed" },
	{ KEY("timeout_handshake", "TIMEOUTbusy", IN_BOTH),
	    OF_LISTENER(timeout_handshake_ms, value_duration),
	    .tls_aliases = "timeout", BETWEEN(100, HOUR), .initial = "10s",
	    .meaning = "time for the TLS handshake" },
	{ KEY("timeout_connect", "TIMEOUTconnect", IN_BOTH),
	    OF_LISTENER(timeout_connect_ms, value_duration), BETWEEN(100, HOUR),
	    .initial = "10s", .meaning = "time for each backend to answer" },
	{ KEY("timeout_idle", "TIMEOUTidle", IN_BOTH),
	    OF_LISTENER(timeout_idle_ms, value_duration),
	    BETWEEN(100, 30 * DAY), .initial = "12h",
	    .meaning = "time without a byte in either direction" },
	{ KEY("timeout_close", "TIMEOUTclose", IN_BOTH),
	    OF_LISTENER(timeout_close_ms, value_duration), BETWEEN(0, HOUR),
	    .initial = "10s",
	    .meaning = "time to end once half-closed or flushing; 0: at once" },
	{ KEY("keepalive", NULL, IN_BOTH),
	    OF_LISTENER(keepalive_ms, value_duration),
	    BETWEEN(SECOND, 8 * HOUR), ZERO("off"), .initial = "60s",
	    .meaning = "TCP keepalive on both sides" },
	{ KEY("max_lifetime", NULL, IN_BOTH),
	    OF_LISTENER(max_lifetime_ms, value_duration),
	    BETWEEN(SECOND, 30 * DAY), ZERO("off"), .initial = "off",
	    .meaning = "no connection lives longer" },
	{ KEY("max_connections", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(max_connections, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("off"), .initial = "off",
	    .meaning = "connections of this listener" },
	{ KEY("per_ip_max", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(per_ip_max, value_number), BETWEEN(1, CONNECTIONS_MAX),
	    ZERO("off"), .initial = "off",
	    .meaning = "connections from one IPv4 address or IPv6 /64" },
	{ KEY("max_handshakes", NULL, SCHEMA_LISTENER),
	    OF_LISTENER(max_handshakes, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("off"), .initial = "off",
	    .meaning = "handshakes going on at once" },
	{ KEY("allow", NULL, SCHEMA_LISTENER), OF_LISTENER(allow, value_cidrs),
	    .shown = "everyone", .meaning = "only clients from these ranges" },
	{ KEY("deny", NULL, SCHEMA_LISTENER), OF_LISTENER(deny, value_cidrs),
	    .shown = "nobody",
	    .meaning = "no client from these ranges; goes before allow" },
};

size_t
schema_count(void)
{
	return ARRAY_LEN(rows);
}

const struct schema_row *
schema_row(size_t i)
{
	return &rows[i];
}

size_t
schema_index(const struct schema_row *row)
{
	return (size_t)(row - rows);
}
