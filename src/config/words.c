/*
 * The words of stunnel.conf and of later versions.  A word about safety that
 * cannot be obeyed is refused, never ignored: a service that ran with client
 * certificates must not run without them because we did not understand.
 * Any thread.
 */
#include "config/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "config/strings.h"

#define LATER "not supported by this version"
#define ENGINES "OpenSSL engines are gone: put the key into a PEM file"
#define PSK "pre-shared keys are not supported: use a certificate"
#define SERVER_ONLY                                                \
	"clinch only serves TLS: to speak TLS to a backend, keep " \
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
#define NEITHER "say yes or no"
/* stunnel's OCSP keys are about the certificates of its peers. */
#define CLIENTS_BY_CRL                                                      \
	"stunnel looks up client certificates by it, which clinch does by " \
	"crl_file: remove it ([ocsp] is about the server's own certificates)"
#define CHROOT                                                        \
	"a reload could not read files from inside: use the service " \
	"manager or a container to confine the process"

static const struct word words[] = {
	/* stunnel: what is so anyway. */
	{ "client", "no", WORD_QUIET, NULL },
	{ "foreground", NULL, WORD_QUIET, NULL },
	{ "delay", NULL, WORD_QUIET, NULL },
	{ "libwrap", "no", WORD_QUIET, NULL },
	{ "fips", "no", WORD_QUIET, NULL },
	{ "renegotiation", "no", WORD_QUIET, NULL },
	{ "pty", "no", WORD_QUIET, NULL },
	{ "transparent", "none", WORD_QUIET, NULL },
	{ "transparent", "no", WORD_QUIET, NULL },
	{ "verifyPeer", "no", WORD_QUIET, NULL },

	/* stunnel: what we do in a way of our own. */
	{ "sslVersion", NULL, WORD_VERSION, NULL },
	{ "options", NULL, WORD_OPTIONS, NULL },
	{ "socket", NULL, WORD_SOCKET, NULL },
	{ "syslog", "no", WORD_QUIET, NULL },
	{ "syslog", NULL, WORD_SYSLOG, NULL },
	{ "requireCert", "no", WORD_REQUIRE, "no" },
	{ "requireCert", "yes", WORD_REQUIRE, "yes" },
	{ "sni", NULL, WORD_SNI, NULL },
	{ "verifyChain", "no", WORD_VERIFY, "none" },
	{ "verifyChain", "yes", WORD_VERIFY, "require" },
	{ "verifyPeer", "yes", WORD_VERIFY, "pinned" },
	{ "checkHost", NULL, WORD_ALLOW, "dns:" },
	{ "checkEmail", NULL, WORD_ALLOW, "email:" },
	{ "checkIP", NULL, WORD_ALLOW, "ip:" },
	{ "protocol", "proxy", WORD_PROXY_OUT, "v1" },

	/* stunnel: no effect. */
	{ "reset", NULL, WORD_NO_EFFECT, NULL },
	{ "stack", NULL, WORD_NO_EFFECT, NULL },
	{ "log", NULL, WORD_NO_EFFECT, NULL },
	{ "logId", NULL, WORD_NO_EFFECT, NULL },
	{ "RNDbytes", NULL, WORD_NO_EFFECT, NULL },
	{ "RNDfile", NULL, WORD_NO_EFFECT, NULL },
	{ "RNDoverwrite", NULL, WORD_NO_EFFECT, NULL },
	{ "EGD", NULL, WORD_NO_EFFECT, NULL },
	{ "compression", NULL, WORD_NO_EFFECT, NULL },
	{ "sessionCacheSize", NULL, WORD_NO_EFFECT, NULL },
	{ "service", NULL, WORD_NO_EFFECT, NULL },
	{ "retry", NULL, WORD_NO_EFFECT, NULL }, /* of programs alone */

	/* stunnel: refused. */
	{ "client", NULL, WORD_REFUSED, SERVER_ONLY },
	{ "fips", NULL, WORD_REFUSED,
	    "choose the FIPS provider in OpenSSL's own configuration" },
	{ "renegotiation", NULL, WORD_REFUSED,
	    "renegotiation is never offered: remove it" },
	{ "libwrap", NULL, WORD_REFUSED, "use allow and deny instead" },
	{ "ident", NULL, WORD_REFUSED, "use allow and deny instead" },
	{ "chroot", NULL, WORD_REFUSED, CHROOT },
	{ "CApath", NULL, WORD_REFUSED, ONE_FILE("ca_file") },
	{ "CAengine", NULL, WORD_REFUSED, ONE_FILE("ca_file") },
	{ "CRLpath", NULL, WORD_REFUSED, ONE_FILE("crl_file") },
	{ "requireCert", NULL, WORD_REFUSED, NEITHER },
	{ "verifyChain", NULL, WORD_REFUSED, NEITHER },
	{ "verifyPeer", NULL, WORD_REFUSED, NEITHER },
	{ "OCSPaia", "no", WORD_QUIET, NULL },
	{ "OCSPaia", NULL, WORD_REFUSED, CLIENTS_BY_CRL },
	{ "OCSPflag", NULL, WORD_REFUSED, CLIENTS_BY_CRL },
	{ "OCSPnonce", "no", WORD_QUIET, NULL },
	{ "OCSPnonce", NULL, WORD_REFUSED, CLIENTS_BY_CRL },
	{ "OCSPrequire", "no", WORD_QUIET, NULL },
	{ "OCSPrequire", NULL, WORD_REFUSED, CLIENTS_BY_CRL },
	{ "TIMEOUTocsp", NULL, WORD_REFUSED, CLIENTS_BY_CRL },
	{ "ticketKeySecret", NULL, WORD_REFUSED, TICKET_SECRETS },
	{ "ticketMacSecret", NULL, WORD_REFUSED, TICKET_SECRETS },
	{ "exec", NULL, WORD_REFUSED, NO_PROGRAMS },
	{ "execArgs", NULL, WORD_REFUSED, NO_PROGRAMS },
	{ "pty", NULL, WORD_REFUSED, NO_PROGRAMS },
	{ "engine", NULL, WORD_REFUSED, ENGINES },
	{ "engineCtrl", NULL, WORD_REFUSED, ENGINES },
	{ "engineDefault", NULL, WORD_REFUSED, ENGINES },
	{ "engineId", NULL, WORD_REFUSED, ENGINES },
	{ "engineNum", NULL, WORD_REFUSED, ENGINES },
	{ "PSKidentity", NULL, WORD_REFUSED, PSK },
	{ "PSKsecrets", NULL, WORD_REFUSED, PSK },
	{ "sessiond", NULL, WORD_REFUSED,
	    "there is no shared session cache: remove it, as sessions are "
	    "resumed by tickets" },
	{ "transparent", NULL, WORD_REFUSED,
	    "backends see the proxy's own address: remove it, and tell them "
	    "of the client by proxy_out" },
	{ "local", NULL, WORD_REFUSED,
	    "the source address is chosen by the routing table: remove it" },
	{ "redirect", NULL, WORD_REFUSED,
	    "clients without a good certificate are refused: give others a "
	    "listener or host of their own" },
	{ "config", NULL, WORD_REFUSED,
	    "use the keys ciphers, groups, min_version and the like" },
	{ "securityLevel", NULL, WORD_REFUSED,
	    "write @SECLEVEL=... at the end of ciphers" },
	{ "protocol", NULL, WORD_REFUSED,
	    "clinch does not speak the start of other protocols: let clients "
	    "begin with TLS" },
};

static const struct word other_words[] = {
	/* Good in [tls] and [ocsp], where there is one it can mean. */
	{ "timeout", NULL, WORD_REFUSED,
	    "say which: timeout_handshake, timeout_connect, timeout_idle or "
	    "timeout_close" },

	/* Keys of later versions. */
	{ "sandbox", NULL, WORD_REFUSED, LATER },
};

/* Words of other programs, and what to write here instead. */
static const struct {
	const char *names; /* between blanks */
	const char *hint;
} foreign[] = {
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
	{ "resolver", "nginx's: the system's name servers are asked, remove "
		      "it" },
	{ "worker_processes", "nginx's word for threads" },
	{ "worker_connections", "nginx's word for max_connections" },
	{ "error_log", "nginx's word for output in [log]" },
	{ "access_log", "nginx's word for access in [log]" },

	/* several */
	{ "dhparam dhparams dh-params ssl_dhparam ssl-dh-param-file "
	  "tune.ssl.default-dh-param",
	    "not needed: OpenSSL has the parameters of DHE, remove it" },
};

const char *
words_foreign(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		if (fuzzy_in(foreign[i].names, key))
			return foreign[i].hint;
	return NULL;
}

static bool
fits(const struct word *word, const char *value)
{
	if (word->value == NULL)
		return true;
	if (value == NULL)
		return false;
	if (strcmp(word->value, "no") == 0)
		return fuzzy_in("no off false 0", value);
	if (strcmp(word->value, "yes") == 0)
		return fuzzy_in("yes on true 1", value);
	return strcasecmp(word->value, value) == 0;
}

static const struct word *
find(const struct word *list, size_t count, const char *key, const char *value)
{
	for (size_t i = 0; i < count; i++)
		if (fuzzy_same(list[i].name, key) && fits(&list[i], value))
			return &list[i];
	return NULL;
}

const struct word *
words_find(const char *key, const char *value)
{
	const struct word *word = find(words, ARRAY_LEN(words), key, value);

	return word != NULL
		   ? word
		   : find(other_words, ARRAY_LEN(other_words), key, value);
}

bool
words_is_stunnel(const char *key)
{
	/* Aliases of ours, as stunnel spells them: TIMEOUTidle is its word,
	 * timeout_idle is not. */
	static const char *const spelled[] = { "setuid", "setgid", "debug",
		"CAfile", "CRLfile", "sslVersionMin", "sslVersionMax",
		"TIMEOUTbusy", "TIMEOUTclose", "TIMEOUTconnect", "TIMEOUTidle",
		"failover", "curve", "curves", "session", "sessionCacheTimeout",
		"sessionResume" };

	for (size_t i = 0; i < ARRAY_LEN(spelled); i++)
		if (strcasecmp(spelled[i], key) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (fuzzy_same(words[i].name, key))
			return true;
	return false;
}

bool
words_is_stunnel_file(const char *path)
{
	const char *base = strrchr(path, '/');
	const char *folder = strstr(path, "/stunnel/");

	if (strcasestr(base != NULL ? base : path, "stunnel") != NULL)
		return true;
	return folder != NULL && folder + strlen("/stunnel") == base;
}

const char *
words_later_section(const char *name)
{
	if (strcasecmp(name, "admin") == 0)
		return "the admin endpoint is not supported by this version";
	return NULL;
}

enum word_option
words_option(const char *option)
{
	/* Switched off, or always on, in clinch. */
	static const char quiet[] =
	    "ALL NO_SSLv2 NO_SSLv3 NO_TLSv1 NO_TLSv1_1 NO_TLSv1.1 "
	    "NO_COMPRESSION NO_RENEGOTIATION "
	    "SINGLE_DH_USE SINGLE_ECDH_USE "
	    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION";

	if (option[0] == '-' || fuzzy_same(option, "LEGACY_SERVER_CONNECT") ||
	    fuzzy_in("ALLOW_UNSAFE_LEGACY_RENEGOTIATION "
		     "ALLOW_CLIENT_RENEGOTIATION",
		option))
		return OPTION_REFUSED;
	if (fuzzy_in(quiet, option))
		return OPTION_QUIET;
	if (fuzzy_in("NO_TLSv1_2 NO_TLSv1.2", option))
		return OPTION_NO_TLS12;
	if (fuzzy_in("NO_TLSv1_3 NO_TLSv1.3", option))
		return OPTION_NO_TLS13;
	if (fuzzy_same(option, "NO_TICKET"))
		return OPTION_NO_TICKET;
	if (fuzzy_same(option, "CIPHER_SERVER_PREFERENCE"))
		return OPTION_SERVER_ORDER;
	return OPTION_UNKNOWN;
}

/* Does text begin with that option and a "="? */
static bool
names_option(const char *text, const char *option)
{
	size_t len = strlen(option);

	return strncasecmp(text, option, len) == 0 && text[len] == '=';
}

enum word_socket
words_socket(const char *option)
{
	/* Of what is set anyway, or tunes buffers. */
	static const char *const quiet[] = { "TCP_NODELAY", "SO_REUSEADDR",
		"SO_SNDBUF", "SO_RCVBUF", "SO_SNDLOWAT", "SO_RCVLOWAT",
		"SO_SNDTIMEO", "SO_RCVTIMEO", "SO_LINGER", "SO_OOBINLINE" };
	static const char *const keepalive[] = { "SO_KEEPALIVE", "TCP_KEEPIDLE",
		"TCP_KEEPINTVL", "TCP_KEEPCNT" };
	const char *name = strchr(option, ':');

	if (name == NULL)
		return SOCKET_REFUSED;
	name++;
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++)
		if (names_option(name, quiet[i]))
			return SOCKET_NO_EFFECT;
	for (size_t i = 0; i < ARRAY_LEN(keepalive); i++)
		if (names_option(name, keepalive[i]))
			return SOCKET_KEEPALIVE;
	/* `a` is the listening socket. */
	if (option[0] != 'a' || name != option + 2)
		return SOCKET_REFUSED;
	if (names_option(name, "IP_FREEBIND"))
		return SOCKET_BIND_EARLY;
	if (names_option(name, "SO_BINDTODEVICE"))
		return SOCKET_DEVICE;
	return SOCKET_REFUSED;
}
