/*
 * stunnel.conf and the keys of other programs.  Any thread for the hints, else
 * main thread.
 *
 * A key of stunnel that restricts access and has no equivalent here is an
 * error, never ignored: a service that required client certificates must not
 * run without them.
 */
#include "config/stunnel.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/diagnostics.h"
#include "config/ini.h"
#include "config/parse.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/strings.h"

#define ENGINES "OpenSSL engines are not supported: put the key into a PEM file"
#define PSK "pre-shared keys are not supported: use a certificate"
#define SERVER_ONLY                                                \
	"clinch is only a TLS server: for TLS to a backend, keep " \
	"stunnel for that service"
#define NO_PROGRAMS                                               \
	"clinch starts no programs: let the program listen on a " \
	"port or a Unix socket and name it in connect"
#define TICKET_SECRETS                                                \
	"ticket keys are made at start and rotated, or are those of " \
	"ticket_key_file in [tls]: remove it"
#define ONE_FILE(key)                                                    \
	"folders of hashed files are not read: put them into one file, " \
	"such as by cat, and name it in " key
#define NEITHER "write yes or no"
/* stunnel's OCSP keys concern client certificates. */
#define CLIENTS_BY_CRL                                                      \
	"stunnel checks client certificates with it: use crl_file instead " \
	"([ocsp] concerns the server's own certificates)"
#define CHROOT                                                    \
	"a reload could not read files from inside: the sandbox " \
	"(clinch.ini(5)) or a container confines the process"

enum stunnel_action {
	ACTION_NONE,      /* the behaviour is the same here */
	ACTION_IGNORE,    /* ignored, with a note */
	ACTION_REFUSE,    /* an error; text: what to do instead */
	ACTION_VERSION,   /* sslVersion */
	ACTION_OPTIONS,   /* options */
	ACTION_SOCKET,    /* socket */
	ACTION_SYSLOG,    /* syslog = yes */
	ACTION_VERIFY,    /* verify = text */
	ACTION_ALLOW,     /* allow_san = text followed by the value */
	ACTION_PROXY_OUT, /* proxy_out = text */
	ACTION_REQUIRE,   /* requireCert */
	ACTION_SNI        /* sni: parse_sni() */
};

struct stunnel_key {
	const char *name;
	const char *value; /* "no", "yes": any spelling; NULL: all others */
	enum stunnel_action action;
	const char *text;
};

static const struct stunnel_key stunnel_keys[] = {
	/* Keys whose behaviour is the same here. */
	{ "client", "no", ACTION_NONE, NULL },
	{ "foreground", NULL, ACTION_NONE, NULL },
	{ "delay", NULL, ACTION_NONE, NULL },
	{ "libwrap", "no", ACTION_NONE, NULL },
	{ "fips", "no", ACTION_NONE, NULL },
	{ "renegotiation", "no", ACTION_NONE, NULL },
	{ "pty", "no", ACTION_NONE, NULL },
	{ "transparent", "none", ACTION_NONE, NULL },
	{ "transparent", "no", ACTION_NONE, NULL },
	{ "verifyPeer", "no", ACTION_NONE, NULL },

	/* Keys that are translated. */
	{ "sslVersion", NULL, ACTION_VERSION, NULL },
	{ "options", NULL, ACTION_OPTIONS, NULL },
	{ "socket", NULL, ACTION_SOCKET, NULL },
	{ "syslog", "no", ACTION_NONE, NULL },
	{ "syslog", NULL, ACTION_SYSLOG, NULL },
	{ "requireCert", "no", ACTION_REQUIRE, NULL },
	{ "requireCert", "yes", ACTION_REQUIRE, NULL },
	{ "sni", NULL, ACTION_SNI, NULL },
	{ "verifyChain", "no", ACTION_VERIFY, "none" },
	{ "verifyChain", "yes", ACTION_VERIFY, "require" },
	{ "verifyPeer", "yes", ACTION_VERIFY, "pinned" },
	{ "checkHost", NULL, ACTION_ALLOW, "dns:" },
	{ "checkEmail", NULL, ACTION_ALLOW, "email:" },
	{ "checkIP", NULL, ACTION_ALLOW, "ip:" },
	{ "protocol", "proxy", ACTION_PROXY_OUT, "v1" },

	/* Keys without effect. */
	{ "reset", NULL, ACTION_IGNORE, NULL },
	{ "stack", NULL, ACTION_IGNORE, NULL },
	{ "log", NULL, ACTION_IGNORE, NULL },
	{ "logId", NULL, ACTION_IGNORE, NULL },
	{ "RNDbytes", NULL, ACTION_IGNORE, NULL },
	{ "RNDfile", NULL, ACTION_IGNORE, NULL },
	{ "RNDoverwrite", NULL, ACTION_IGNORE, NULL },
	{ "EGD", NULL, ACTION_IGNORE, NULL },
	{ "compression", NULL, ACTION_IGNORE, NULL },
	{ "sessionCacheSize", NULL, ACTION_IGNORE, NULL },
	{ "service", NULL, ACTION_IGNORE, NULL },
	{ "retry", NULL, ACTION_IGNORE, NULL }, /* for exec only */

	/* Keys that are refused. */
	{ "client", NULL, ACTION_REFUSE, SERVER_ONLY },
	{ "fips", NULL, ACTION_REFUSE,
	    "choose the FIPS provider in OpenSSL's own configuration" },
	{ "renegotiation", NULL, ACTION_REFUSE,
	    "renegotiation is never offered: remove it" },
	{ "libwrap", NULL, ACTION_REFUSE, "use allow and deny instead" },
	{ "ident", NULL, ACTION_REFUSE, "use allow and deny instead" },
	{ "chroot", NULL, ACTION_REFUSE, CHROOT },
	{ "CApath", NULL, ACTION_REFUSE, ONE_FILE("ca_file") },
	{ "CAengine", NULL, ACTION_REFUSE, ONE_FILE("ca_file") },
	{ "CRLpath", NULL, ACTION_REFUSE, ONE_FILE("crl_file") },
	{ "requireCert", NULL, ACTION_REFUSE, NEITHER },
	{ "verifyChain", NULL, ACTION_REFUSE, NEITHER },
	{ "verifyPeer", NULL, ACTION_REFUSE, NEITHER },
	{ "OCSPaia", "no", ACTION_NONE, NULL },
	{ "OCSPaia", NULL, ACTION_REFUSE, CLIENTS_BY_CRL },
	{ "OCSPflag", NULL, ACTION_REFUSE, CLIENTS_BY_CRL },
	{ "OCSPnonce", "no", ACTION_NONE, NULL },
	{ "OCSPnonce", NULL, ACTION_REFUSE, CLIENTS_BY_CRL },
	{ "OCSPrequire", "no", ACTION_NONE, NULL },
	{ "OCSPrequire", NULL, ACTION_REFUSE, CLIENTS_BY_CRL },
	{ "TIMEOUTocsp", NULL, ACTION_REFUSE, CLIENTS_BY_CRL },
	{ "ticketKeySecret", NULL, ACTION_REFUSE, TICKET_SECRETS },
	{ "ticketMacSecret", NULL, ACTION_REFUSE, TICKET_SECRETS },
	{ "exec", NULL, ACTION_REFUSE, NO_PROGRAMS },
	{ "execArgs", NULL, ACTION_REFUSE, NO_PROGRAMS },
	{ "pty", NULL, ACTION_REFUSE, NO_PROGRAMS },
	{ "engine", NULL, ACTION_REFUSE, ENGINES },
	{ "engineCtrl", NULL, ACTION_REFUSE, ENGINES },
	{ "engineDefault", NULL, ACTION_REFUSE, ENGINES },
	{ "engineId", NULL, ACTION_REFUSE, ENGINES },
	{ "engineNum", NULL, ACTION_REFUSE, ENGINES },
	{ "PSKidentity", NULL, ACTION_REFUSE, PSK },
	{ "PSKsecrets", NULL, ACTION_REFUSE, PSK },
	{ "sessiond", NULL, ACTION_REFUSE,
	    "there is no shared session cache: remove it, as sessions are "
	    "resumed by tickets" },
	{ "transparent", NULL, ACTION_REFUSE,
	    "backends see the proxy's own address: remove it, and send the "
	    "client's address with proxy_out" },
	{ "local", NULL, ACTION_REFUSE,
	    "the source address is chosen by the routing table: remove it" },
	{ "redirect", NULL, ACTION_REFUSE,
	    "clients without a valid certificate are refused: give others a "
	    "listener or host of their own" },
	{ "config", NULL, ACTION_REFUSE,
	    "use the keys ciphers, groups, min_version and the like" },
	{ "securityLevel", NULL, ACTION_REFUSE,
	    "write @SECLEVEL=... at the end of ciphers" },
	{ "protocol", NULL, ACTION_REFUSE,
	    "STARTTLS and the like are not supported: let clients begin with "
	    "TLS" },
};

static const struct stunnel_key other_keys[] = {
	/* A key of [tls] and [ocsp]; ambiguous in other sections. */
	{ "timeout", NULL, ACTION_REFUSE,
	    "ambiguous: write timeout_handshake, timeout_connect, timeout_idle "
	    "or timeout_close" },
};

/* Keys of other programs, and what to write instead. */
static const struct {
	const char *names; /* between blanks */
	const char *hint;
} foreign_keys[] = {
	/* hitch */
	{ "frontend", "hitch's word for accept" },
	{ "pem-file", "hitch's word for cert" },
	{ "pem-dir pem-dir-glob", "hitch's word for cert_dir" },
	{ "write-proxy-v1 write-proxy-v2 write-ip",
	    "hitch's word for proxy_out, which is v1 or v2" },
	{ "proxy-proxy", "hitch's word for proxy_in" },
	{ "client-verify-ca", "hitch's word for ca_file" },
	{ "client-verify", "hitch's word for verify" },
	{ "ocsp-dir", "hitch's word for store_dir in [global]" },
	{ "ocsp-verify-staple ocsp-connect-tmo ocsp-resp-tmo "
	  "ocsp-refresh-interval",
	    "hitch's: responses are always verified, and timeout and "
	    "max_interval stand in [ocsp]" },
	{ "tls-protos", "hitch's word for min_version and max_version" },
	{ "alpn-protos", "hitch's word for alpn" },
	{ "ecdh-curve", "hitch's word for groups" },
	{ "sni-nomatch-abort", "hitch's word for sni_unknown = reject" },
	{ "backend-connect-timeout", "hitch's word for timeout_connect" },
	{ "ssl-handshake-timeout", "hitch's word for timeout_handshake" },
	{ "backend-refresh", "hitch's word for resolve" },
	{ "log-filename syslog-facility", "hitch's word for output in [log]" },
	{ "log-level quiet", "hitch's word for level in [log]" },
	{ "daemon", "hitch's: clinch stays in the foreground, remove it" },

	/* haproxy */
	{ "bind", "haproxy's word for accept" },
	{ "server default_backend", "haproxy's word for connect" },
	{ "crt", "haproxy's word for cert, or cert_dir for a folder" },
	{ "crt-list",
	    "haproxy's: each name is a section [host LISTENER NAME]" },
	{ "send-proxy", "haproxy's word for proxy_out = v1" },
	{ "send-proxy-v2", "haproxy's word for proxy_out = v2" },
	{ "accept-proxy", "haproxy's word for proxy_in" },
	{ "inter", "haproxy's word for check_interval" },
	{ "strict-sni", "haproxy's word for sni_unknown = reject" },
	{ "maxconn", "haproxy's word for max_connections" },
	{ "nbthread nbproc", "haproxy's word for threads" },
	{ "ssl-min-ver", "haproxy's word for min_version" },
	{ "ssl-max-ver", "haproxy's word for max_version" },
	{ "ssl-default-bind-ciphers", "haproxy's word for ciphers" },
	{ "ssl-default-bind-ciphersuites", "haproxy's word for ciphersuites" },
	{ "ssl-default-bind-curves", "haproxy's word for groups" },
	{ "ssl-default-bind-options",
	    "haproxy's word for min_version, tickets and the like" },
	{ "ocsp-update", "haproxy's word for mode in [ocsp]" },

	/* nginx */
	{ "ssl_certificate", "nginx's word for cert" },
	{ "ssl_certificate_key", "nginx's word for key" },
	{ "proxy_pass upstream", "nginx's word for connect" },
	{ "server_name",
	    "nginx's: each name is a section [host LISTENER NAME]" },
	{ "ssl_protocols", "nginx's word for min_version and max_version" },
	{ "ssl_ciphers", "nginx's word for ciphers" },
	{ "ssl_ecdh_curve", "nginx's word for groups" },
	{ "ssl_alpn", "nginx's word for alpn" },
	{ "ssl_prefer_server_ciphers",
	    "nginx's word for prefer_server_ciphers" },
	{ "ssl_client_certificate ssl_trusted_certificate",
	    "nginx's word for ca_file" },
	{ "ssl_verify_client", "nginx's word for verify" },
	{ "ssl_verify_depth",
	    "nginx's: every certificate of ca_file ends a chain, remove it" },
	{ "ssl_crl", "nginx's word for crl_file" },
	{ "ssl_session_tickets ssl_session_cache", "nginx's word for tickets" },
	{ "ssl_session_timeout", "nginx's word for session_timeout" },
	{ "ssl_session_ticket_key",
	    "nginx's word for ticket_key_file in [tls]" },
	{ "ssl_stapling ssl_stapling_verify",
	    "nginx's word for mode in [ocsp]; responses are always verified" },
	{ "ssl_stapling_file", "nginx's word for staple_file" },
	{ "ssl_stapling_responder", "nginx's word for url in [ocsp]" },
	{ "ssl_handshake_timeout", "nginx's word for timeout_handshake" },
	{ "ssl_reject_handshake", "nginx's word for sni_unknown = reject" },
	{ "proxy_connect_timeout", "nginx's word for timeout_connect" },
	{ "proxy_timeout", "nginx's word for timeout_idle" },
	{ "proxy_protocol",
	    "nginx's word for proxy_in (of clients) or proxy_out (to "
	    "backends)" },
	{ "set_real_ip_from", "nginx's word for proxy_trust" },
	{ "resolver",
	    "nginx's: the system's name servers are used, remove it" },
	{ "worker_processes", "nginx's word for threads" },
	{ "worker_connections", "nginx's word for max_connections" },
	{ "error_log", "nginx's word for output in [log]" },
	{ "access_log", "nginx's word for access in [log]" },

	/* more than one program */
	{ "dhparam dhparams dh-params ssl_dhparam ssl-dh-param-file "
	  "tune.ssl.default-dh-param",
	    "not needed: OpenSSL has the parameters of DHE, remove it" },
};

const char *
stunnel_foreign_hint(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign_keys); i++)
		if (fuzzy_in(foreign_keys[i].names, key))
			return foreign_keys[i].hint;
	return NULL;
}

bool
stunnel_is_yes(const char *value)
{
	return fuzzy_in("yes on true 1", value);
}

static bool
fits(const struct stunnel_key *entry, const char *value)
{
	if (entry->value == NULL)
		return true;
	if (value == NULL)
		return false;
	if (strcmp(entry->value, "no") == 0)
		return fuzzy_in("no off false 0", value);
	if (strcmp(entry->value, "yes") == 0)
		return stunnel_is_yes(value);
	return strcasecmp(entry->value, value) == 0;
}

static const struct stunnel_key *
search(const struct stunnel_key *list, size_t count, const char *key,
    const char *value)
{
	for (size_t i = 0; i < count; i++)
		if (fuzzy_same(list[i].name, key) && fits(&list[i], value))
			return &list[i];
	return NULL;
}

static const struct stunnel_key *
find_entry(const char *key, const char *value)
{
	const struct stunnel_key *entry = search(
	    stunnel_keys, ARRAY_LEN(stunnel_keys), key, value);

	return entry != NULL
		   ? entry
		   : search(other_keys, ARRAY_LEN(other_keys), key, value);
}

static bool
is_stunnel_key(const char *key)
{
	/* Aliases in the schema, in stunnel's spelling: TIMEOUTidle is a key of
	 * stunnel, timeout_idle is not. */
	static const char *const aliases[] = { "setuid", "setgid", "debug",
		"CAfile", "CRLfile", "sslVersionMin", "sslVersionMax",
		"TIMEOUTbusy", "TIMEOUTclose", "TIMEOUTconnect", "TIMEOUTidle",
		"failover", "curve", "curves", "session", "sessionCacheTimeout",
		"sessionResume" };

	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (strcasecmp(aliases[i], key) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(stunnel_keys); i++)
		if (fuzzy_same(stunnel_keys[i].name, key))
			return true;
	return false;
}

static bool
is_stunnel_path(const char *path)
{
	const char *base = strrchr(path, '/');
	const char *folder = strstr(path, "/stunnel/");

	if (strcasestr(base != NULL ? base : path, "stunnel") != NULL)
		return true;
	return folder != NULL && folder + strlen("/stunnel") == base;
}

static void
ignore_key(struct parser *parser, const char *key)
{
	const char *names = parser->ignored;

	/* The limit bounds the note. */
	if (strstr(names, key) != NULL || strlen(names) > 512)
		return;
	names = arena_format(
	    parser->arena, "%s%s%s", names, names[0] != '\0' ? ", " : "", key);
	if (names == NULL)
		diag_no_memory(parser->diag);
	else
		parser->ignored = names;
}

/* sslVersion = X sets both bounds. */
static void
apply_version(
    const struct parse_scope *scope, const struct statement *statement)
{
	if (fuzzy_same(statement->value, "all"))
		return;
	/* An invalid value is reported once. */
	if (parse_value(scope, KEY_MIN_VERSION, statement, statement->value))
		(void)parse_value(
		    scope, KEY_MAX_VERSION, statement, statement->value);
}

static void
apply_option(const struct parse_scope *scope, const struct statement *statement)
{
	/* Always off, or always on, in clinch. */
	static const char no_effect[] =
	    "ALL NO_SSLv2 NO_SSLv3 NO_TLSv1 NO_TLSv1_1 NO_TLSv1.1 "
	    "NO_COMPRESSION NO_RENEGOTIATION "
	    "SINGLE_DH_USE SINGLE_ECDH_USE "
	    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION";
	static const char weak[] =
	    "LEGACY_SERVER_CONNECT ALLOW_UNSAFE_LEGACY_RENEGOTIATION "
	    "ALLOW_CLIENT_RENEGOTIATION";
	static const struct {
		const char *names;
		enum config_key key;
	} options[] = {
		{ "NO_TLSv1_2 NO_TLSv1.2", KEY_STUNNEL_NO_TLS12 },
		{ "NO_TLSv1_3 NO_TLSv1.3", KEY_STUNNEL_NO_TLS13 },
		{ "NO_TICKET", KEY_STUNNEL_NO_TICKETS },
		{ "CIPHER_SERVER_PREFERENCE", KEY_STUNNEL_SERVER_ORDER },
	};
	struct diagnostics *diag = scope->parser->diag;
	const char *option = statement->value;
	size_t i = 0;

	if (option[0] == '-' || fuzzy_in(weak, option)) {
		diag_error(diag, &statement->where,
		    "options = %s: would weaken TLS below what clinch offers: "
		    "remove it",
		    option);
		return;
	}
	while (i < ARRAY_LEN(options) && !fuzzy_in(options[i].names, option))
		i++;
	if (i < ARRAY_LEN(options))
		(void)parse_record(scope, options[i].key, statement);
	else if (!fuzzy_in(no_effect, option))
		diag_note(diag, &statement->where,
		    "options = %s has no effect here", option);
	if (scope->section == SCHEMA_HOST && fuzzy_same(option, "NO_TICKET"))
		diag_error(diag, &statement->where,
		    "options = %s: tickets are a setting of the whole "
		    "listener: put it there",
		    option);
}

static void
apply_socket_key(const struct parse_scope *scope,
    const struct statement *statement, enum config_key key)
{
	if (parse_has_key(scope, key))
		(void)parse_value(
		    scope, key, statement, strchr(statement->value, '=') + 1);
	else
		diag_error(scope->parser->diag, &statement->where,
		    "socket = %s: sockets belong to the listener: put it there",
		    statement->value);
}

/* true: the text is "OPTION=VALUE" with one of these options. */
static bool
names_option(const char *text, const char *const *options, size_t count)
{
	size_t length = strcspn(text, "=");

	if (text[length] == '\0')
		return false;
	for (size_t i = 0; i < count; i++)
		if (strlen(options[i]) == length &&
		    strncasecmp(text, options[i], length) == 0)
			return true;
	return false;
}

/* socket = a|l|r:OPTION=VALUE; "a" is the listening socket. */
static void
apply_socket(const struct parse_scope *scope, const struct statement *statement)
{
	/* Always set, or sizes of buffers. */
	static const char *const no_effect[] = { "TCP_NODELAY", "SO_REUSEADDR",
		"SO_SNDBUF", "SO_RCVBUF", "SO_SNDLOWAT", "SO_RCVLOWAT",
		"SO_SNDTIMEO", "SO_RCVTIMEO", "SO_LINGER", "SO_OOBINLINE" };
	static const char *const keepalive[] = { "SO_KEEPALIVE", "TCP_KEEPIDLE",
		"TCP_KEEPINTVL", "TCP_KEEPCNT" };
	const char *value = statement->value, *colon = strchr(value, ':');
	const char *option = colon != NULL ? colon + 1 : "";
	bool listens = strncmp(value, "a:", 2) == 0;

	if (names_option(option, no_effect, ARRAY_LEN(no_effect)))
		ignore_key(scope->parser, "socket");
	else if (names_option(option, keepalive, ARRAY_LEN(keepalive)))
		diag_note(scope->parser->diag, &statement->where,
		    "socket = %s has no effect here: use keepalive", value);
	else if (listens && strncasecmp(option, "IP_FREEBIND=", 12) == 0)
		apply_socket_key(scope, statement, KEY_BIND_EARLY);
	else if (listens && strncasecmp(option, "SO_BINDTODEVICE=", 16) == 0)
		apply_socket_key(scope, statement, KEY_DEVICE);
	else
		diag_error(scope->parser->diag, &statement->where,
		    "socket = %.64s: clinch does not set this option: remove "
		    "it",
		    value);
}

static void
apply_syslog(const struct parse_scope *scope, const struct statement *statement)
{
	if (!stunnel_is_yes(statement->value))
		diag_error(scope->parser->diag, &statement->where,
		    "%s: \"%.64s\" is neither yes nor no", statement->key,
		    statement->value);
	/* stunnel logs to both; here `output` overrides `syslog`. */
	else if (parse_place(scope->listener->places, NULL, KEY_LOG_OUTPUT) ==
		 NULL)
		scope->parser->config->log.output = "syslog";
}

/* The key of clinch that the entry belongs to; KEY_COUNT: none. */
static enum config_key
key_of(const struct stunnel_key *entry)
{
	switch (entry->action) {
	case ACTION_VERIFY:
	case ACTION_REQUIRE:
		return KEY_VERIFY;
	case ACTION_ALLOW:
		return KEY_ALLOW_SAN;
	case ACTION_PROXY_OUT:
		return KEY_PROXY_OUT;
	case ACTION_VERSION:
	case ACTION_OPTIONS:
		return KEY_MIN_VERSION;
	default:
		return KEY_COUNT;
	}
}

/* stunnel's checks are alternatives, as are the items of allow_san. */
static void
apply_allow(const struct parse_scope *scope, const struct statement *statement,
    const struct stunnel_key *entry)
{
	const char *value = arena_format(
	    scope->parser->arena, "%s%s", entry->text, statement->value);

	if (value == NULL)
		diag_no_memory(scope->parser->diag);
	else
		(void)parse_value(scope, KEY_ALLOW_SAN, statement, value);
}

/* sni makes a service a host; in other sections it is an error. */
static void
apply_sni(const struct parse_scope *scope, const struct statement *statement)
{
	if (scope->section == SCHEMA_HOST &&
	    statement == parse_sni(scope->source))
		return;
	diag_error(scope->parser->diag, &statement->where,
	    "%s: a name has a section of its own: write [host LISTENER "
	    "PATTERN]",
	    statement->key);
}

/* true: the key belongs to listeners and this is another section. */
static bool
is_misplaced(const struct parse_scope *scope, const struct stunnel_key *entry)
{
	enum config_key key = key_of(entry);

	return key != KEY_COUNT && !parse_has_key(scope, key);
}

/* true: a key of stunnel's, or `verify` with one of its levels. */
static bool
is_stunnel_verify(const struct config_place *place)
{
	const struct statement *statement = place->statement;

	return !fuzzy_same(statement->key, "verify") ||
	       (place->is_valid && isdigit((unsigned char)statement->value[0]));
}

/* verifyChain, verifyPeer and a level of the older `verify` may be combined:
 * the strictest one counts.  A `verify` with a word of clinch beside them is a
 * duplicate, and an error. */
static void
apply_verify(const struct parse_scope *scope, const struct statement *statement,
    const struct stunnel_key *entry)
{
	struct config_listener *listener = scope->listener;
	struct config_place *place = parse_place(
	    listener->places, scope->inherited, KEY_VERIFY);
	enum config_verify before = listener->verify;
	const struct statement *first;

	if (place == NULL || !is_stunnel_verify(place)) {
		(void)parse_value(scope, KEY_VERIFY, statement, entry->text);
		return;
	}
	first = place->statement;
	(void)parse_again(scope, KEY_VERIFY, statement, entry->text);
	if (listener->verify < before) {
		listener->verify = before;
		place->statement = first;
	}
}

static void
apply_entry(const struct parse_scope *scope, const struct statement *statement,
    const struct stunnel_key *entry)
{
	switch (entry->action) {
	case ACTION_VERSION:
		apply_version(scope, statement);
		break;
	case ACTION_OPTIONS:
		apply_option(scope, statement);
		break;
	case ACTION_SOCKET:
		apply_socket(scope, statement);
		break;
	case ACTION_SYSLOG:
		apply_syslog(scope, statement);
		break;
	case ACTION_VERIFY:
		apply_verify(scope, statement, entry);
		break;
	case ACTION_PROXY_OUT:
		(void)parse_value(scope, KEY_PROXY_OUT, statement, entry->text);
		break;
	case ACTION_ALLOW:
		apply_allow(scope, statement, entry);
		break;
	case ACTION_REQUIRE:
		(void)parse_record(scope, KEY_STUNNEL_REQUIRE_CERT, statement);
		break;
	case ACTION_SNI:
		apply_sni(scope, statement);
		break;
	default:
		break;
	}
}

void
stunnel_apply(
    const struct parse_scope *scope, const struct statement *statement)
{
	const struct stunnel_key *entry = find_entry(
	    statement->key, statement->value);

	if (entry == NULL || is_misplaced(scope, entry)) {
		parse_refuse_key(scope, statement);
		return;
	}
	if (entry->action == ACTION_REFUSE) {
		diag_error(scope->parser->diag, &statement->where, "%s: %s",
		    statement->key, entry->text);
		return;
	}
	if (entry->action == ACTION_IGNORE)
		ignore_key(scope->parser, entry->name);
	if (statement->value != NULL)
		apply_entry(scope, statement, entry);
}

/* true: the source has services, and only sections that stunnel has. */
static bool
has_only_services(const struct parser *parser, const struct source *source)
{
	bool has_service = false;

	for (size_t i = 0; i < source->count; i++) {
		enum section_kind kind = parser->kinds[i];

		if (kind == SECTION_SERVICE)
			has_service = true;
		else if (kind != SECTION_TOP && kind != SECTION_SNI)
			return false;
	}
	return has_service;
}

/* The first key that only stunnel has; NULL: none. */
static const struct statement *
find_stunnel_key(const struct source *source)
{
	for (size_t i = 0; i < source->count; i++)
		for (size_t k = 0; k < source->sections[i].count; k++)
			if (is_stunnel_key(source->sections[i].items[k].key))
				return &source->sections[i].items[k];
	return NULL;
}

/* A source is stunnel's if it has services, no section that only clinch has,
 * and a key or path of stunnel's.  Without such a key [web] is a listener, as
 * [listener web]. */
bool
stunnel_detect(struct parser *parser, const struct source *source)
{
	const struct statement *entry;

	if (!has_only_services(parser, source))
		return false;
	if (is_stunnel_path(parser->config->file))
		parser->stunnel_reason = "its name";
	else if ((entry = find_stunnel_key(source)) != NULL)
		parser->stunnel_reason = entry->key;
	return parser->stunnel_reason != NULL;
}

void
stunnel_set_defaults(struct parser *parser)
{
	static const char *const differences[] = {
		"a port without an address means IPv4 and IPv6",
		"TLS 1.2 is the lowest version offered",
		("without ciphers, fewer are offered than by stunnel (profile "
		 "= intermediate)"),
	};
	struct config_listener *defaults = &parser->defaults;

	defaults->timeout_handshake_ms = 300 * 1000;
	defaults->timeout_connect_ms = 10 * 1000;
	defaults->timeout_idle_ms = 43200 * 1000;
	defaults->timeout_close_ms = 60 * 1000;
	diag_note(parser->diag, NULL,
	    "%s is read as a stunnel.conf, because of %s, with stunnel's "
	    "timeouts: clinch stays in the foreground",
	    parser->config->file, parser->stunnel_reason);
	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		diag_note(parser->diag, NULL,
		    "%s is read as a stunnel.conf: %s", parser->config->file,
		    differences[i]);
}

/* A free name, "a#2" for a second [a].  NULL: no memory. */
static char *
number_name(
    const struct parser *parser, struct string_map *names, const char *name)
{
	char *fresh = NULL;
	unsigned number = 2;

	do
		fresh = arena_format(parser->arena, "%s#%u", name, number++);
	while (fresh != NULL && string_map_find(names, fresh) != NULL);
	return fresh;
}

bool
stunnel_number_services(const struct parser *parser)
{
	struct config *config = parser->config;
	struct config_listener *listener;
	const void **first;
	struct string_map names;

	if (!string_map_init(&names, parser->arena, config->listener_count))
		return false;
	for (size_t i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		first = string_map_at(&names, listener->name);
		if (*first != NULL) {
			listener->name = number_name(
			    parser, &names, listener->name);
			if (listener->name == NULL)
				return false;
			diag_note(parser->diag, &listener->where,
			    "there is another service of this name: this one "
			    "is called %.64s in logs",
			    listener->name);
			first = string_map_at(&names, listener->name);
		}
		*first = listener;
	}
	return true;
}

/* What the sections and keys of a file show. */
struct stunnel_signs {
	bool has_stunnel_key;
	bool has_own_section; /* a section that stunnel does not have */
};

static void
on_item(void *arg, const struct ini_item *item)
{
	struct stunnel_signs *signs = arg;

	if (item->section != NULL)
		signs->has_own_section |= parse_is_own_section(item->section);
	else if (item->key != NULL)
		signs->has_stunnel_key |= is_stunnel_key(item->key);
}

bool
stunnel_is_text(const char *path, const char *bytes, size_t size)
{
	struct stunnel_signs signs = { 0 };

	ini_read(bytes, size, on_item, &signs);
	return !signs.has_own_section &&
	       (signs.has_stunnel_key || is_stunnel_path(path));
}
