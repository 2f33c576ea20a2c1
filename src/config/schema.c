/*
 * The table of keys: their words, their rows, how a key is found by a name or
 * alias, and the nearest key of a misspelt one.  Any thread.
 *
 * The order of the rows matters twice: --list-keys and --print-config follow
 * it, and before any section the first row of a name counts, so [global]
 * stands before [listener].
 */
#include "config/schema.h"

#include <string.h>

#include "config/strings.h"

/* Of several words for a number the first is printed; the others are accepted
 * because other programs use them. */
static const struct value_word choice_levels[] = {
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

static const struct value_word choice_formats[] = {
	{ "text", LOG_TEXT },
	{ "json", LOG_JSON },
	{ NULL, 0 },
};

static const struct value_word choice_outputs[] = {
	{ "stderr", 0 },
	{ "stdout", 1 },
	{ "syslog", 2 },
	{ NULL, 0 },
};

static const struct value_word choice_access_outputs[] = {
	{ "off", 0 },
	{ "same", 1 },
	{ "stdout", 2 },
	{ "stderr", 3 },
	{ "syslog", 4 },
	{ NULL, 0 },
};

static const struct value_word choice_balances[] = {
	{ "prio", BALANCE_PRIO },
	{ "rr", BALANCE_RR },
	{ "roundrobin", BALANCE_RR },
	{ "round-robin", BALANCE_RR },
	{ NULL, 0 },
};

static const struct value_word choice_checks[] = {
	{ "off", CHECK_OFF },
	{ "no", CHECK_OFF },
	{ "tcp", CHECK_TCP },
	{ NULL, 0 },
};

static const struct value_word choice_permissions[] = {
	{ "warn", KEYS_WARN },
	{ "refuse", KEYS_REFUSE },
	{ "any", KEYS_ANY },
	{ NULL, 0 },
};

static const struct value_word choice_sandboxes[] = {
	{ "auto", SANDBOX_AUTO },
	{ "require", SANDBOX_REQUIRE },
	{ "off", SANDBOX_OFF },
	{ "no", SANDBOX_OFF },
	{ NULL, 0 },
};

static const struct value_word choice_profiles[] = {
	{ "intermediate", PROFILE_INTERMEDIATE },
	{ "modern", PROFILE_MODERN },
	{ NULL, 0 },
};

static const struct value_word choice_server_orders[] = {
	{ "auto", SERVER_ORDER_AUTO },
	VALUE_YES(SERVER_ORDER_YES),
	VALUE_NO(SERVER_ORDER_NO),
	{ NULL, 0 },
};

#define VERSION_WORDS(text, number)                      \
	{ "TLSv" text, number }, { "TLS" text, number }, \
	{                                                \
		text, number                             \
	}

/* stunnel's "all" as a lower bound is the lowest version. */
static const struct value_word choice_min_versions[] = {
	VERSION_WORDS("1.2", TLS_VERSION_1_2),
	{ "all", TLS_VERSION_1_2 },
	VERSION_WORDS("1.3", TLS_VERSION_1_3),
	{ NULL, 0 },
};

static const struct value_word choice_max_versions[] = {
	VERSION_WORDS("1.2", TLS_VERSION_1_2),
	VERSION_WORDS("1.3", TLS_VERSION_1_3),
	{ "all", TLS_VERSION_ANY },
	{ NULL, 0 },
};

/* `ocsp` of [global], as a mode. */
static const struct value_word choice_switches[] = {
	VALUE_YES(OCSP_MODE_AUTO),
	VALUE_NO(OCSP_MODE_NEVER),
	{ NULL, 0 },
};

static const struct value_word choice_modes[] = {
	{ "auto", OCSP_MODE_AUTO },
	VALUE_YES(OCSP_MODE_AUTO),
	{ "must", OCSP_MODE_MUST },
	{ "always", OCSP_MODE_ALWAYS },
	{ "never", OCSP_MODE_NEVER },
	VALUE_NO(OCSP_MODE_NEVER),
	{ "prefer", OCSP_MODE_PREFER },
	{ NULL, 0 },
};

static const struct value_word choice_without_staple[] = {
	{ "serve", OCSP_WITHOUT_SERVE },
	{ "refuse", OCSP_WITHOUT_REFUSE },
	{ NULL, 0 },
};

static const struct value_word choice_on_revoked[] = {
	{ "exit", OCSP_REVOKED_EXIT },
	{ "refuse", OCSP_REVOKED_REFUSE },
	{ "staple", OCSP_REVOKED_STAPLE },
	{ NULL, 0 },
};

static const struct value_word choice_methods[] = {
	{ "auto", OCSP_METHOD_AUTO },
	{ "post", OCSP_METHOD_POST },
	{ "get", OCSP_METHOD_GET },
	{ NULL, 0 },
};

static const struct value_word choice_sni_unknown[] = {
	{ "default", SNI_DEFAULT },
	{ "reject", SNI_REJECT },
	{ NULL, 0 },
};

static const struct value_word choice_verify[] = {
	{ "none", VERIFY_NONE },
	{ "0", VERIFY_NONE }, /* stunnel's levels */
	{ "optional", VERIFY_OPTIONAL },
	{ "1", VERIFY_OPTIONAL },
	{ "require", VERIFY_REQUIRE },
	{ "2", VERIFY_REQUIRE },
	{ "pinned", VERIFY_PINNED },
	{ "3", VERIFY_PINNED },
	{ "4", VERIFY_PINNED },
	{ NULL, 0 },
};

static const struct value_word choice_crl_check[] = {
	{ "available", CRL_CHECK_AVAILABLE },
	{ "leaf", CRL_CHECK_LEAF },
	{ "chain", CRL_CHECK_CHAIN },
	{ NULL, 0 },
};

static const struct value_word choice_client_purpose[] = {
	{ "client", CLIENT_PURPOSE_CLIENT },
	{ "any", CLIENT_PURPOSE_ANY },
	{ NULL, 0 },
};

static const struct value_word choice_proxy_out[] = {
	{ "off", PROXY_OUT_OFF },
	{ "no", PROXY_OUT_OFF },
	{ "v1", PROXY_OUT_V1 },
	{ "v2", PROXY_OUT_V2 },
	{ NULL, 0 },
};

static const struct value_word choice_proxy_tlv[] = {
	{ "none", 0 },
	{ "authority", PROXY_TLV_AUTHORITY },
	{ "alpn", PROXY_TLV_ALPN },
	{ "ssl", PROXY_TLV_SSL },
	{ "cn", PROXY_TLV_CN },
	{ "cert", PROXY_TLV_CERT },
	{ "crc32c", PROXY_TLV_CRC32C },
	{ "unique_id", PROXY_TLV_UNIQUE_ID },
	{ NULL, 0 },
};

#define NAMED(key, other, in_sections) \
	.name = (key), .aliases = (other), .sections = (in_sections)
#define OF_CONFIG(field, how) \
	.offset = offsetof(struct config, field), .type = &(how)
#define OF_LISTENER(field, how) \
	.of_listener = true,    \
	.offset = offsetof(struct config_listener, field), .type = &(how)
/* Without effect on the SSL_CTX (config_tls_policy). */
#define OUTSIDE_TLS(field, how) .outside_tls = true, OF_LISTENER(field, how)
#define BETWEEN(low, high) .rules.min = (low), .rules.max = (high)
#define ZERO(word) .rules.zero = (word)
#define WORDS(table) .rules.words = choice_##table
#define IN_BOTH (SCHEMA_TLS | SCHEMA_LISTENER)
#define IN_SITES (SCHEMA_LISTENER | SCHEMA_HOST)
#define IN_ALL (SCHEMA_TLS | SCHEMA_LISTENER | SCHEMA_HOST)

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define CONNECTIONS_MAX (1u << 20)

static const struct schema_row rows[KEY_COUNT] = {
	[KEY_GLOBAL_THREADS] = { NAMED("threads", "workers", SCHEMA_GLOBAL),
	    OF_CONFIG(threads, value_number), BETWEEN(1, 256), ZERO("auto"),
	    .needs_start = true, .initial = "auto",
	    .meaning = "listener threads; auto: one for each CPU it may use" },
	[KEY_GLOBAL_USER] = { NAMED("user", "setuid", SCHEMA_GLOBAL),
	    OF_CONFIG(user, value_text), .needs_start = true,
	    .meaning = "user of the process once sockets and keys are open" },
	[KEY_GLOBAL_GROUP] = { NAMED("group", "setgid", SCHEMA_GLOBAL),
	    OF_CONFIG(group, value_text), .needs_start = true,
	    .meaning = "group of the process once sockets and keys are open" },
	[KEY_GLOBAL_MAX_CONNECTIONS] = { NAMED("max_connections", NULL,
					     SCHEMA_GLOBAL),
	    OF_CONFIG(max_connections, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("auto"), .initial = "auto",
	    .shown = "auto, from the descriptor limit",
	    .meaning =
		"connections of the process; beyond it accepting pauses" },
	[KEY_GLOBAL_DRAIN_TIMEOUT] = { NAMED("drain_timeout", NULL,
					   SCHEMA_GLOBAL),
	    OF_CONFIG(drain_timeout_ms, value_duration), BETWEEN(0, DAY),
	    .only_if_set = true, .shown = "8s, 30s under systemd",
	    .meaning = "time for open connections to end after SIGTERM" },
	[KEY_GLOBAL_UPGRADE_TIMEOUT] = { NAMED("upgrade_timeout", NULL,
					     SCHEMA_GLOBAL),
	    OF_CONFIG(upgrade_timeout_ms, value_duration),
	    BETWEEN(SECOND, HOUR), .initial = "5m",
	    .meaning = "time for the new process of an upgrade to be ready" },
	[KEY_GLOBAL_PID] = { NAMED("pid", "pidfile", SCHEMA_GLOBAL),
	    OF_CONFIG(pid_file, value_pid_path), .may_be_empty = true,
	    .needs_start = true, .meaning = "file for the process number" },
	[KEY_GLOBAL_STORE_DIR] = { NAMED("store_dir", NULL, SCHEMA_GLOBAL),
	    OF_CONFIG(store_dir, value_path), .needs_start = true,
	    .shown = "no store",
	    .meaning =
		"folder for staples and issuers that outlive the process" },
	[KEY_GLOBAL_SANDBOX] = { NAMED("sandbox", NULL, SCHEMA_GLOBAL),
	    OF_CONFIG(sandbox, value_choice), WORDS(sandboxes),
	    .needs_start = true, .initial = "auto",
	    .meaning = "confine the process to the files that the "
		       "configuration names" },
	[KEY_GLOBAL_OCSP] = { NAMED("ocsp", NULL, SCHEMA_GLOBAL),
	    OF_CONFIG(ocsp.mode, value_switch), WORDS(switches), .shown = "yes",
	    .meaning = "no: mode = never in [ocsp], yes: mode = auto" },
	[KEY_LOG_LEVEL] = { NAMED("level", "debug", SCHEMA_LOG),
	    OF_CONFIG(log.level, value_level), WORDS(levels),
	    .initial = "notice",
	    .meaning = "how much to log; stunnel's 0 to 7 are accepted too" },
	[KEY_LOG_FORMAT] = { NAMED("format", NULL, SCHEMA_LOG),
	    OF_CONFIG(log.format, value_choice), WORDS(formats),
	    .initial = "text",
	    .meaning = "log lines as text or as JSON objects" },
	[KEY_LOG_OUTPUT] = { NAMED("output", NULL, SCHEMA_LOG),
	    OF_CONFIG(log.output, value_sink), WORDS(outputs),
	    .initial = "stderr",
	    .meaning =
		"where the log goes; a file is opened again on SIGUSR1" },
	[KEY_LOG_ACCESS] = { NAMED("access", NULL, SCHEMA_LOG),
	    OF_CONFIG(log.access, value_sink), WORDS(access_outputs),
	    .initial = "off",
	    .meaning =
		"where one line for each ended connection goes; same: into the "
		"log" },
	[KEY_TLS_TICKET_ROTATE] = { NAMED("ticket_rotate", NULL, SCHEMA_TLS),
	    OF_CONFIG(ticket_rotate_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "12h",
	    .meaning = "interval between new session-ticket keys" },
	[KEY_TLS_TICKET_KEY_FILE] = { NAMED(
					  "ticket_key_file", NULL, SCHEMA_TLS),
	    OF_CONFIG(ticket_key_file, value_path), .shown = "generated keys",
	    .meaning = "file of session-ticket keys shared by a fleet" },
	[KEY_OCSP_MODE] = { NAMED("mode", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.mode, value_stapling), WORDS(modes),
	    .initial = "auto", .meaning = "which certificates are stapled" },
	[KEY_OCSP_URL] = { NAMED("url", "urls", SCHEMA_OCSP),
	    OF_CONFIG(ocsp.urls, value_urls),
	    .shown = "those in each certificate",
	    .meaning = "responder URLs to use instead, in this order" },
	[KEY_OCSP_CA_FILE] = { NAMED("ca_file", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.ca_file, value_path), .not_at_top = true,
	    .shown = "the system's store",
	    .meaning = "PEM file: issuers, and trust for https responders" },
	[KEY_OCSP_AIA_ISSUER] = { NAMED("aia_issuer", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.aia_issuer, value_boolean), .initial = "yes",
	    .meaning =
		"fetch a missing issuer from the certificate's AIA URL" },
	[KEY_OCSP_START_WAIT] = { NAMED("start_wait", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.start_wait_ms, value_duration), BETWEEN(0, HOUR),
	    .initial = "20s",
	    .meaning =
		"how long a start waits for staples; in must and always, "
		"since the last ended attempt" },
	[KEY_OCSP_WITHOUT_STAPLE] = { NAMED(
					  "without_staple", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.without_staple, value_choice), WORDS(without_staple),
	    .shown = "by mode",
	    .meaning = "what happens to a handshake without a valid staple" },
	[KEY_OCSP_ON_REVOKED] = { NAMED("on_revoked", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.on_revoked, value_choice), WORDS(on_revoked),
	    .shown = "by mode", .meaning = "what a confirmed revocation does" },
	[KEY_OCSP_TIMEOUT] = { NAMED("timeout", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.timeout_ms, value_duration),
	    BETWEEN(100, 5 * MINUTE), .not_at_top = true, .initial = "10s",
	    .meaning = "time for one attempt, all its responders together" },
	[KEY_OCSP_METHOD] = { NAMED("method", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.method, value_choice), WORDS(methods),
	    .initial = "auto", .meaning = "HTTP method to try first" },
	[KEY_OCSP_MIN_INTERVAL] = { NAMED("min_interval", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.min_interval_ms, value_duration),
	    BETWEEN(SECOND, DAY), .initial = "5m",
	    .meaning = "least time between regular fetches" },
	[KEY_OCSP_MAX_INTERVAL] = { NAMED("max_interval", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.max_interval_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "7d",
	    .meaning = "most time between regular fetches" },
	[KEY_OCSP_DEFAULT_LIFETIME] = { NAMED("default_lifetime", NULL,
					    SCHEMA_OCSP),
	    OF_CONFIG(ocsp.default_lifetime_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "24h",
	    .meaning = "lifetime of a response without nextUpdate" },
	[KEY_OCSP_MAX_RESPONSE] = { NAMED("max_response", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.max_response, value_number),
	    BETWEEN(1u << 10, 1u << 20), .initial = "64k",
	    .meaning = "most bytes of a response" },
	[KEY_OCSP_MAX_FETCHES] = { NAMED("max_fetches", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.max_fetches, value_number), BETWEEN(1, 1024),
	    .initial = "32", .meaning = "fetches in flight at a time" },
	[KEY_OCSP_PROXY] = { NAMED("proxy", NULL, SCHEMA_OCSP),
	    OF_CONFIG(ocsp.proxy, value_proxy), .shown = "from the environment",
	    .meaning = "HTTP proxy for all fetches; none: connect directly" },
	[KEY_ADMIN_LISTEN] = { NAMED("listen", "accept", SCHEMA_ADMIN),
	    OF_CONFIG(admin.listen, value_accepts), .may_be_empty = true,
	    .shown = "no endpoint",
	    .meaning = "addresses of the admin endpoint" },
	[KEY_ADMIN_UNIX_MODE] = { NAMED("unix_mode", NULL, SCHEMA_ADMIN),
	    OF_CONFIG(admin.unix_mode, value_mode), .initial = "0600",
	    .meaning = "file mode of its Unix sockets: who may reload" },
	[KEY_ACCEPT] = { NAMED("accept", "listen", SCHEMA_LISTENER),
	    OUTSIDE_TLS(accept, value_accepts),
	    .meaning = "addresses where clients connect" },
	[KEY_FD] = { NAMED("fd", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(fd, value_text),
	    .meaning = "name of a socket inherited from the service manager" },
	[KEY_UNIX_MODE] = { NAMED("unix_mode", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(unix_mode, value_mode), .initial = "0660",
	    .meaning = "file mode of Unix sockets" },
	[KEY_BACKLOG] = { NAMED("backlog", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(backlog, value_number), BETWEEN(1, 65535),
	    .initial = "4096",
	    .meaning = "connections that wait in the kernel to be accepted" },
	[KEY_V6ONLY] = { NAMED("v6only", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(v6only, value_boolean), .initial = "no",
	    .meaning = "IPv6 sockets refuse IPv4 clients" },
	[KEY_BIND_EARLY] = { NAMED("bind_early", NULL, IN_BOTH),
	    OUTSIDE_TLS(bind_early, value_boolean), .initial = "no",
	    .meaning = "listen on addresses that the host gets later" },
	[KEY_DEVICE] = { NAMED("device", NULL, IN_BOTH),
	    OUTSIDE_TLS(device, value_text), .shown = "any",
	    .meaning = "network device that clients come in by" },
	[KEY_CONNECT] = { NAMED("connect", "backend", IN_SITES),
	    OUTSIDE_TLS(connect, value_connects),
	    .meaning = "backends that get the decrypted bytes" },
	[KEY_BALANCE] = { NAMED("balance", "failover", IN_SITES),
	    OUTSIDE_TLS(balance, value_choice), WORDS(balances),
	    .initial = "prio",
	    .meaning = "backends in order (prio) or in turn (rr)" },
	[KEY_RETRY_AFTER] = { NAMED("retry_after", NULL, IN_SITES),
	    OUTSIDE_TLS(retry_after_ms, value_duration), BETWEEN(0, DAY),
	    .initial = "10s",
	    .meaning = "time before a failed backend is tried again" },
	[KEY_CHECK] = { NAMED("check", NULL, IN_SITES),
	    OUTSIDE_TLS(check, value_choice), WORDS(checks), .initial = "off",
	    .meaning = "connect to each backend at an interval (tcp) or not" },
	[KEY_CHECK_INTERVAL] = { NAMED("check_interval", NULL, IN_SITES),
	    OUTSIDE_TLS(check_interval_ms, value_duration), BETWEEN(100, DAY),
	    .initial = "2s", .meaning = "time between checks of an address" },
	[KEY_RESOLVE] = { NAMED("resolve", NULL, IN_ALL),
	    OUTSIDE_TLS(resolve_ms, value_duration), BETWEEN(SECOND, DAY),
	    .initial = "30s",
	    .meaning = "interval between look-ups of backend names" },
	[KEY_CERT] = { NAMED("cert", "cert_file", IN_SITES),
	    OUTSIDE_TLS(certs, value_paths),
	    .meaning = "PEM files with a certificate chain, leaf first" },
	[KEY_KEY] = { NAMED("key", "key_file", IN_SITES),
	    OUTSIDE_TLS(keys, value_paths), .may_be_empty = true,
	    .shown = "in the cert file",
	    .meaning = "PEM files with the private key, in the order of cert" },
	[KEY_CERT_DIR] = { NAMED("cert_dir", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(cert_dir, value_path),
	    .meaning =
		"folder of PEM files or of certbot's folders, served by name" },
	[KEY_KEY_PERMISSIONS] = { NAMED("key_permissions", NULL, IN_ALL),
	    OUTSIDE_TLS(key_permissions, value_choice), WORDS(permissions),
	    .initial = "warn",
	    .meaning = "what to do about a key that others can read" },
	[KEY_SNI_UNKNOWN] = { NAMED("sni_unknown", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(sni_unknown, value_choice), WORDS(sni_unknown),
	    .initial = "default",
	    .meaning = "what a client gets whose server name is unknown" },
	[KEY_WATCH] = { NAMED("watch", NULL, IN_BOTH),
	    OUTSIDE_TLS(watch, value_boolean), .initial = "yes",
	    .meaning = "reload files that change" },
	[KEY_VERIFY] = { NAMED("verify", NULL, IN_SITES),
	    OF_LISTENER(verify, value_choice), WORDS(verify), .initial = "none",
	    .meaning = "client certificates" },
	[KEY_CA_FILE] = { NAMED("ca_file", "CAfile", IN_ALL),
	    OUTSIDE_TLS(ca_file, value_path),
	    .meaning = "PEM file: CA certificates for clients" },
	[KEY_CRL_FILE] = { NAMED("crl_file", "CRLfile", IN_SITES),
	    OUTSIDE_TLS(crl_file, value_path), .shown = "no revocation lists",
	    .meaning = "PEM file: revocation lists for client certificates" },
	[KEY_CRL_CHECK] = { NAMED("crl_check", NULL, IN_SITES),
	    OUTSIDE_TLS(crl_check, value_choice), WORDS(crl_check),
	    .initial = "available",
	    .meaning = "which certificates of a client's chain are checked for "
		       "revocation" },
	[KEY_CLIENT_PURPOSE] = { NAMED("client_purpose", NULL, IN_SITES),
	    OF_LISTENER(client_purpose, value_choice), WORDS(client_purpose),
	    .initial = "client",
	    .meaning = "the extended key usage a client's certificate needs" },
	[KEY_ALLOW_SAN] = { NAMED("allow_san", NULL, IN_SITES),
	    OF_LISTENER(allow_san, value_sans), .shown = "any verified client",
	    .meaning = "only clients whose certificate has such a name" },
	[KEY_ALLOW_CN] = { NAMED("allow_cn", NULL, IN_SITES),
	    OF_LISTENER(allow_cn, value_cns), .shown = "any verified client",
	    .meaning = "only clients whose certificate has such a subject" },
	[KEY_PROXY_IN] = { NAMED("proxy_in", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(proxy_in, value_boolean), .initial = "no",
	    .meaning = "clients begin with a PROXY v1 or v2 header" },
	[KEY_PROXY_TRUST] = { NAMED("proxy_trust", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(proxy_trust, value_cidrs), .shown = "none",
	    .meaning =
		"addresses that may send a PROXY header; others are closed" },
	[KEY_PROXY_OUT] = { NAMED("proxy_out", "write_proxy", IN_SITES),
	    OUTSIDE_TLS(proxy_out, value_choice), WORDS(proxy_out),
	    .initial = "off", .meaning = "send backends a PROXY header" },
	[KEY_PROXY_TLV] = { NAMED("proxy_tlv", NULL, IN_SITES),
	    OUTSIDE_TLS(proxy_tlv, value_tlvs), WORDS(proxy_tlv),
	    .initial = "authority, alpn, ssl",
	    .meaning = "TLVs of a PROXY v2 header" },
	[KEY_MIN_VERSION] = { NAMED("min_version", "sslVersionMin", IN_ALL),
	    OF_LISTENER(min_version, value_version), WORDS(min_versions),
	    .initial = "TLSv1.2", .meaning = "lowest TLS version" },
	[KEY_MAX_VERSION] = { NAMED("max_version", "sslVersionMax", IN_ALL),
	    OF_LISTENER(max_version, value_version), WORDS(max_versions),
	    .initial = "all", .meaning = "highest TLS version" },
	[KEY_PROFILE] = { NAMED("profile", NULL, IN_ALL),
	    OF_LISTENER(profile, value_choice), WORDS(profiles),
	    .initial = "intermediate",
	    .meaning = "Mozilla's lists; modern is TLS 1.3 only" },
	[KEY_CIPHERS] = { NAMED("ciphers", NULL, IN_ALL),
	    OF_LISTENER(ciphers, value_text), .shown = "by profile",
	    .meaning = "TLS 1.2 ciphers" },
	[KEY_CIPHERSUITES] = { NAMED("ciphersuites", NULL, IN_ALL),
	    OF_LISTENER(ciphersuites, value_colons), .shown = "by profile",
	    .meaning = "TLS 1.3 cipher suites" },
	[KEY_GROUPS] = { NAMED("groups", "curves curve", IN_ALL),
	    OF_LISTENER(groups, value_colons), .shown = "by profile",
	    .meaning = "key exchange groups; unknown ones are left out" },
	[KEY_PREFER_SERVER_CIPHERS] = { NAMED("prefer_server_ciphers", NULL,
					    IN_ALL),
	    OF_LISTENER(server_order, value_choice), WORDS(server_orders),
	    .initial = "auto",
	    .shown = "auto, yes beside ciphers or ciphersuites",
	    .meaning = "use the server's order of ciphers, not the client's" },
	[KEY_ALPN] = { NAMED("alpn", NULL, IN_ALL),
	    OF_LISTENER(alpn, value_strings),
	    .meaning = "application protocols, best first" },
	[KEY_TICKETS] = { NAMED("tickets", "sessionResume", IN_BOTH),
	    OF_LISTENER(tickets, value_boolean), .initial = "yes",
	    .meaning = "clients may resume sessions by ticket" },
	[KEY_SESSION_TIMEOUT] = { NAMED("session_timeout",
				      "sessionCacheTimeout session", IN_BOTH),
	    OF_LISTENER(session_timeout_ms, value_duration),
	    BETWEEN(SECOND, 7 * DAY), .initial = "2h",
	    .meaning = "how long after a full handshake it may be resumed" },
	[KEY_OCSP] = { NAMED("ocsp", NULL, IN_SITES),
	    OUTSIDE_TLS(ocsp, value_stapling), WORDS(modes),
	    .only_if_set = true, .shown = "mode of [ocsp]",
	    .meaning = "which of the certificates are stapled" },
	[KEY_WITHOUT_STAPLE] = { NAMED("without_staple", NULL, IN_SITES),
	    OUTSIDE_TLS(without_staple, value_choice), WORDS(without_staple),
	    .shown = "that of [ocsp]",
	    .meaning = "what happens to a handshake without a valid staple" },
	[KEY_ON_REVOKED] = { NAMED("on_revoked", NULL, IN_SITES),
	    OUTSIDE_TLS(on_revoked, value_choice), WORDS(on_revoked),
	    .shown = "that of [ocsp]; refuse beside ocsp",
	    .meaning = "what a confirmed revocation does" },
	[KEY_STAPLE_FILE] = { NAMED("staple_file", NULL, IN_SITES),
	    OUTSIDE_TLS(staple_files, value_paths), .shown = "from responders",
	    .meaning = "responses kept by another tool, one for each cert" },
	[KEY_TIMEOUT_HANDSHAKE] = { NAMED("timeout_handshake", "TIMEOUTbusy",
					IN_BOTH),
	    OUTSIDE_TLS(timeout_handshake_ms, value_duration),
	    .tls_aliases = "timeout", BETWEEN(100, HOUR), .initial = "10s",
	    .meaning = "time for the TLS handshake" },
	[KEY_TIMEOUT_CONNECT] = { NAMED("timeout_connect", "TIMEOUTconnect",
				      IN_ALL),
	    OUTSIDE_TLS(timeout_connect_ms, value_duration), BETWEEN(100, HOUR),
	    .initial = "10s", .meaning = "time for a connect to each backend" },
	[KEY_TIMEOUT_IDLE] = { NAMED("timeout_idle", "TIMEOUTidle", IN_ALL),
	    OUTSIDE_TLS(timeout_idle_ms, value_duration),
	    BETWEEN(100, 30 * DAY), .initial = "12h",
	    .meaning = "time without a byte in either direction" },
	[KEY_TIMEOUT_CLOSE] = { NAMED("timeout_close", "TIMEOUTclose", IN_BOTH),
	    OUTSIDE_TLS(timeout_close_ms, value_duration), BETWEEN(0, HOUR),
	    .initial = "10s",
	    .meaning = "time to end once half-closed or flushing; 0: at once" },
	[KEY_KEEPALIVE] = { NAMED("keepalive", NULL, IN_BOTH),
	    OUTSIDE_TLS(keepalive_ms, value_duration),
	    BETWEEN(SECOND, 8 * HOUR), ZERO("off"), .initial = "60s",
	    .meaning = "TCP keepalive on both sides" },
	[KEY_MAX_LIFETIME] = { NAMED("max_lifetime", NULL, IN_BOTH),
	    OUTSIDE_TLS(max_lifetime_ms, value_duration),
	    BETWEEN(SECOND, 30 * DAY), ZERO("off"), .initial = "off",
	    .meaning = "maximum lifetime of a connection" },
	[KEY_MAX_CONNECTIONS] = { NAMED(
				      "max_connections", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(max_connections, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("off"), .initial = "off",
	    .meaning = "connections of this listener" },
	[KEY_PER_IP_MAX] = { NAMED("per_ip_max", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(per_ip_max, value_number), BETWEEN(1, CONNECTIONS_MAX),
	    ZERO("off"), .initial = "off",
	    .meaning = "connections from one IPv4 address or IPv6 /64" },
	[KEY_MAX_HANDSHAKES] = { NAMED("max_handshakes", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(max_handshakes, value_number),
	    BETWEEN(1, CONNECTIONS_MAX), ZERO("off"), .initial = "off",
	    .meaning = "handshakes going on at once" },
	[KEY_ALLOW] = { NAMED("allow", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(allow, value_cidrs), .shown = "any",
	    .meaning = "only clients from these ranges" },
	[KEY_DENY] = { NAMED("deny", NULL, SCHEMA_LISTENER),
	    OUTSIDE_TLS(deny, value_cidrs), .shown = "none",
	    .meaning = "no client from these ranges; overrides allow" },
};

const struct schema_row *
schema_row(enum config_key key)
{
	return &rows[key];
}

enum config_key
schema_key_of(const struct schema_row *row)
{
	return (enum config_key)(row - rows);
}

static bool
is_in_section(const struct schema_row *row, enum schema_section section)
{
	return (row->sections & section) != 0 &&
	       (section != SCHEMA_TOP || !row->not_at_top);
}

static bool
is_named(
    const struct schema_row *row, enum schema_section section, const char *key)
{
	return fuzzy_same(row->name, key) || fuzzy_in(row->aliases, key) ||
	       (section == SCHEMA_TLS && fuzzy_in(row->tls_aliases, key));
}

const struct schema_row *
schema_find(enum schema_section section, const char *key)
{
	for (enum config_key i = 0; i < KEY_COUNT; i++)
		if (is_in_section(schema_row(i), section) &&
		    is_named(schema_row(i), section, key))
			return schema_row(i);
	return NULL;
}

static void
offer_aliases(struct fuzzy_match *match, const struct schema_row *row)
{
	const char *best = match->best;
	char one[64];
	size_t length;

	for (const char *at = row->aliases; at != NULL && *at != '\0';
	     at += length) {
		at += strspn(at, " ");
		length = strcspn(at, " ");
		if (length >= sizeof(one))
			continue;
		memcpy(one, at, length);
		one[length] = '\0';
		fuzzy_offer(match, one);
		/* Suggest the key and not its alias. */
		if (match->best != best)
			match->best = best = row->name;
	}
}

const char *
schema_nearest(enum schema_section section, const char *key)
{
	struct fuzzy_match match;

	fuzzy_start(&match, key);
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		if (!is_in_section(schema_row(i), section))
			continue;
		fuzzy_offer(&match, schema_row(i)->name);
		offer_aliases(&match, schema_row(i));
	}
	return match.best;
}

const char *
schema_section_name(unsigned sections)
{
	if (sections == SCHEMA_GLOBAL)
		return "[global]";
	if (sections == SCHEMA_LOG)
		return "[log]";
	if (sections == SCHEMA_TLS)
		return "[tls]";
	if (sections == SCHEMA_OCSP)
		return "[ocsp]";
	if (sections == SCHEMA_ADMIN)
		return "[admin]";
	if (sections == SCHEMA_LISTENER)
		return "[listener NAME]";
	if (sections == (SCHEMA_LISTENER | SCHEMA_HOST))
		return "[listener NAME] or [host LISTENER PATTERN]";
	return "[tls] or [listener NAME]";
}

void *
schema_field(const struct schema_row *row, struct config *config,
    struct config_listener *listener)
{
	return (row->of_listener ? (char *)listener : (char *)config) +
	       row->offset;
}

const void *
schema_field_const(const struct schema_row *row, const struct config *config,
    const struct config_listener *listener)
{
	return (row->of_listener ? (const char *)listener
				 : (const char *)config) +
	       row->offset;
}
