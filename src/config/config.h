/*
 * The configuration as plain structs: read from clinch.ini, with defaults
 * filled in, checked and immutable.  Any thread may read it.
 *
 * Reference-counted: config_load returns the first reference, config_ref adds
 * one, config_unref drops one and frees with the last.  All pointers inside
 * live as long as the config.  Durations are milliseconds, sizes bytes; 0 means
 * "off" or "no limit" where the key has such a value.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/log.h"

/* A place in a file, named as the user named it. */
struct config_where {
	const char *file;
	unsigned line; /* 0: a built-in default */
};

/* true: `sentence` begins with this "file:line:". */
bool config_where_begins(
    const struct config_where *where, const char *sentence);

/* All keys, in the order of --list-keys and --print-config.  Before any section
 * the first one of a name counts. */
enum config_key {
	/* [global] */
	KEY_GLOBAL_THREADS,
	KEY_GLOBAL_USER,
	KEY_GLOBAL_GROUP,
	KEY_GLOBAL_MAX_CONNECTIONS,
	KEY_GLOBAL_DRAIN_TIMEOUT,
	KEY_GLOBAL_UPGRADE_TIMEOUT,
	KEY_GLOBAL_PID,
	KEY_GLOBAL_STORE_DIR,
	KEY_GLOBAL_SANDBOX,
	KEY_GLOBAL_OCSP,
	/* [log] */
	KEY_LOG_LEVEL,
	KEY_LOG_FORMAT,
	KEY_LOG_OUTPUT,
	KEY_LOG_ACCESS,
	/* [tls] */
	KEY_TLS_TICKET_ROTATE,
	KEY_TLS_TICKET_KEY_FILE,
	/* [ocsp] */
	KEY_OCSP_MODE,
	KEY_OCSP_URL,
	KEY_OCSP_CA_FILE,
	KEY_OCSP_AIA_ISSUER,
	KEY_OCSP_START_WAIT,
	KEY_OCSP_WITHOUT_STAPLE,
	KEY_OCSP_ON_REVOKED,
	KEY_OCSP_TIMEOUT,
	KEY_OCSP_METHOD,
	KEY_OCSP_MIN_INTERVAL,
	KEY_OCSP_MAX_INTERVAL,
	KEY_OCSP_DEFAULT_LIFETIME,
	KEY_OCSP_MAX_RESPONSE,
	KEY_OCSP_MAX_FETCHES,
	KEY_OCSP_PROXY,
	/* [admin] */
	KEY_ADMIN_LISTEN,
	KEY_ADMIN_UNIX_MODE,
	/* listeners and hosts, some of them in [tls] too */
	KEY_ACCEPT,
	KEY_FD,
	KEY_UNIX_MODE,
	KEY_BACKLOG,
	KEY_V6ONLY,
	KEY_BIND_EARLY,
	KEY_DEVICE,
	KEY_CONNECT,
	KEY_BALANCE,
	KEY_RETRY_AFTER,
	KEY_CHECK,
	KEY_CHECK_INTERVAL,
	KEY_RESOLVE,
	KEY_CERT,
	KEY_KEY,
	KEY_CERT_DIR,
	KEY_KEY_PERMISSIONS,
	KEY_SNI_UNKNOWN,
	KEY_WATCH,
	KEY_VERIFY,
	KEY_CA_FILE,
	KEY_CRL_FILE,
	KEY_CRL_CHECK,
	KEY_CLIENT_PURPOSE,
	KEY_ALLOW_SAN,
	KEY_ALLOW_CN,
	KEY_PROXY_IN,
	KEY_PROXY_TRUST,
	KEY_PROXY_OUT,
	KEY_PROXY_TLV,
	KEY_MIN_VERSION,
	KEY_MAX_VERSION,
	KEY_PROFILE,
	KEY_CIPHERS,
	KEY_CIPHERSUITES,
	KEY_GROUPS,
	KEY_PREFER_SERVER_CIPHERS,
	KEY_ALPN,
	KEY_TICKETS,
	KEY_SESSION_TIMEOUT,
	KEY_OCSP,
	KEY_WITHOUT_STAPLE,
	KEY_ON_REVOKED,
	KEY_STAPLE_FILE,
	KEY_TIMEOUT_HANDSHAKE,
	KEY_TIMEOUT_CONNECT,
	KEY_TIMEOUT_IDLE,
	KEY_TIMEOUT_CLOSE,
	KEY_KEEPALIVE,
	KEY_MAX_LIFETIME,
	KEY_MAX_CONNECTIONS,
	KEY_PER_IP_MAX,
	KEY_MAX_HANDSHAKES,
	KEY_ALLOW,
	KEY_DENY,
	KEY_COUNT,
	/* options of stunnel, which have a place but no row */
	KEY_STUNNEL_NO_TLS12,
	KEY_STUNNEL_NO_TLS13,
	KEY_STUNNEL_NO_TICKETS,
	KEY_STUNNEL_SERVER_ORDER,
	KEY_STUNNEL_REQUIRE_CERT
};

/* The places of keys: those of a section, then those of the sections that its
 * other values come from. */
struct config_place;

/* Where the value of a key was set.  Never NULL; line 0: built in. */
const struct config_where *config_where_of(
    const struct config_place *places, enum config_key key);
/* true: the value is not built in. */
bool config_is_set(const struct config_place *places, enum config_key key);

struct config_strings {
	char **items;
	size_t count;
};

struct config_cidrs {
	struct cidr *items;
	size_t count;
};

/* A file named by a key that may repeat. */
struct config_path {
	const char *path;
	struct config_where where;
};

struct config_paths {
	struct config_path *items;
	size_t count;
};

/* One address of accept. */
struct config_accept {
	struct addr addr;
	bool any_family; /* a bare port: both families, v4 alone without IPv6 */
	bool by_name;    /* an address of localhost */
	struct config_where where;
};

struct config_accepts {
	struct config_accept *items;
	size_t count;
};

/* One backend of connect: a host name and port, or a Unix path. */
struct config_connect {
	const char *text; /* as written, for logs */
	const char *host; /* NULL for unix */
	uint16_t port;
	struct addr fixed; /* len > 0: numeric or Unix, never resolved */
	struct config_where where;
};

struct config_connects {
	struct config_connect *items;
	size_t count;
};

enum config_balance { BALANCE_PRIO, BALANCE_RR };
enum config_check { CHECK_OFF, CHECK_TCP };
enum config_tls_version { TLS_VERSION_ANY, TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum config_profile { PROFILE_INTERMEDIATE, PROFILE_MODERN };
enum config_server_order {
	SERVER_ORDER_AUTO, /* yes where ciphers or ciphersuites are set */
	SERVER_ORDER_YES,
	SERVER_ORDER_NO
};
enum config_key_permissions { KEYS_WARN, KEYS_REFUSE, KEYS_ANY };

/* `mode` of [ocsp] or `ocsp` of a listener: which certificates are stapled. */
enum config_ocsp_mode {
	OCSP_MODE_AUTO,
	OCSP_MODE_MUST,
	OCSP_MODE_ALWAYS,
	OCSP_MODE_NEVER,
	OCSP_MODE_PREFER
};
enum config_without_staple {
	OCSP_WITHOUT_BY_MODE,
	OCSP_WITHOUT_SERVE,
	OCSP_WITHOUT_REFUSE
};
enum config_on_revoked {
	OCSP_REVOKED_BY_MODE,
	OCSP_REVOKED_EXIT,
	OCSP_REVOKED_REFUSE,
	OCSP_REVOKED_STAPLE
};
enum config_ocsp_method { OCSP_METHOD_AUTO, OCSP_METHOD_POST, OCSP_METHOD_GET };

/* PINNED: required, and identical to a certificate in ca_file. */
enum config_verify {
	VERIFY_NONE,
	VERIFY_OPTIONAL,
	VERIFY_REQUIRE,
	VERIFY_PINNED
};
enum config_crl_check {
	CRL_CHECK_AVAILABLE, /* the leaf; others if their issuer has a CRL */
	CRL_CHECK_LEAF,
	CRL_CHECK_CHAIN
};
enum config_client_purpose { CLIENT_PURPOSE_CLIENT, CLIENT_PURPOSE_ANY };
enum config_sni_unknown { SNI_DEFAULT, SNI_REJECT };
enum config_proxy_out { PROXY_OUT_OFF, PROXY_OUT_V1, PROXY_OUT_V2 };

/* TLVs of a PROXY v2 header; a mask. */
enum config_proxy_tlv {
	PROXY_TLV_AUTHORITY = 1,
	PROXY_TLV_ALPN = 2,
	PROXY_TLV_SSL = 4,
	PROXY_TLV_CN = 8,
	PROXY_TLV_CERT = 16,
	PROXY_TLV_CRC32C = 32,
	PROXY_TLV_UNIQUE_ID = 64
};

/* A listener, or one of its hosts.  In a host every field has the effective
 * value, its own or the listener's, and `pattern` is set. */
struct config_listener {
	const char *name;              /* of the listener, in its hosts too */
	const char *pattern;           /* lower case: "a.example", "*.example";
				      NULL: the listener itself */
	struct config_where where;     /* of its heading */
	struct config_place *places;   /* of its keys */
	struct config_listener *hosts; /* in file order; none in a host */
	size_t host_count;

	struct config_accepts accept;
	const char *fd; /* LISTEN_FDNAMES name, NULL: by address */
	unsigned unix_mode;
	unsigned backlog;
	bool v6only;
	bool bind_early;    /* bind to an address the machine does not have */
	const char *device; /* NULL: any network device */

	struct config_connects connect;
	enum config_balance balance;
	uint32_t retry_after_ms;
	enum config_check check;
	uint32_t check_interval_ms;
	uint32_t resolve_ms;

	/* PEM: chains, leaf first.  keys is empty (each key is in its cert
	 * file), or keys.items[i] belongs to certs.items[i]; staple_files
	 * likewise. */
	struct config_paths certs;
	struct config_paths keys;
	struct config_paths staple_files; /* DER or text, of another tool */
	bool certs_own; /* a host: certs are its own, not the listener's */
	const char *cert_dir; /* every PEM in it, named by its SANs; or NULL */
	enum config_key_permissions key_permissions;
	enum config_sni_unknown sni_unknown;
	bool watch; /* reload changed files */

	/* Clients. */
	enum config_verify verify;
	const char *ca_file;  /* the client CAs; set unless verify is none */
	const char *crl_file; /* NULL: no revocation lists */
	enum config_crl_check crl_check;
	enum config_client_purpose client_purpose;
	struct config_strings allow_san; /* "dns:*.example", "email:", "uri:",
					    "ip:"; a bare word is dns: */
	struct config_strings allow_cn;

	/* PROXY protocol. */
	bool proxy_in;
	struct config_cidrs proxy_trust;
	enum config_proxy_out proxy_out;
	unsigned proxy_tlv; /* a mask of enum config_proxy_tlv */

	enum config_profile profile;
	enum config_tls_version min_version;
	enum config_tls_version max_version; /* ANY: no upper bound */
	const char *ciphers; /* TLS 1.2, OpenSSL syntax; NULL: by profile */
	const char *ciphersuites; /* TLS 1.3; NULL: by profile */
	const char *groups;       /* colon-separated; NULL: by profile */
	enum config_server_order server_order;
	struct config_strings alpn; /* in order of preference; 0: none */
	bool tickets;
	uint32_t session_timeout_ms;

	/* Effective values: the listener's own, else those of [ocsp]. */
	enum config_ocsp_mode ocsp;
	enum config_without_staple without_staple;
	/* refuse where `ocsp` is set and [ocsp] has no on_revoked */
	enum config_on_revoked on_revoked;
	uint32_t timeout_handshake_ms;
	uint32_t timeout_connect_ms;
	uint32_t timeout_idle_ms;
	uint32_t timeout_close_ms; /* 0: do not wait */
	uint32_t keepalive_ms;     /* 0: off */
	uint32_t max_lifetime_ms;  /* 0: off */

	uint32_t max_connections; /* 0: no limit */
	uint32_t per_ip_max;      /* 0: no limit */
	uint32_t max_handshakes;  /* 0: no limit */
	struct config_cidrs allow;
	struct config_cidrs deny;
};

struct config_log {
	enum log_level level;
	enum log_format format;
	const char *output;
	const char *access;
};

/* [ocsp].  The first three are defaults: listeners hold effective values. */
struct config_ocsp {
	enum config_ocsp_mode mode;
	enum config_without_staple without_staple;
	enum config_on_revoked on_revoked;
	struct config_strings urls; /* override those in the certificates */
	const char *ca_file;        /* NULL: the system's store */
	uint32_t start_wait_ms;
	uint32_t timeout_ms;
	enum config_ocsp_method method; /* tried first */
	uint32_t min_interval_ms;
	uint32_t max_interval_ms;
	uint32_t default_lifetime_ms;
	uint32_t max_response; /* bytes */
	uint32_t max_fetches;
	const char *proxy; /* NULL: from the environment; "": none */
	bool aia_issuer;   /* issuers may be fetched */
};

/* Is the process confined to the paths of its configuration? */
enum config_sandbox {
	SANDBOX_AUTO,    /* as far as the kernel can */
	SANDBOX_REQUIRE, /* or it does not start */
	SANDBOX_OFF
};

/* [admin] */
struct config_admin {
	struct config_accepts listen; /* none: no endpoint */
	unsigned unix_mode;
};

struct config {
	const char *file;

	/* [global] */
	unsigned threads; /* 0: auto */
	const char *user; /* NULL: stay */
	const char *group;
	uint32_t max_connections;  /* 0: from the descriptor limit */
	uint32_t drain_timeout_ms; /* if set; else 8s, 30s under systemd */
	uint32_t upgrade_timeout_ms;
	const char *pid_file;
	uint32_t ticket_rotate_ms;   /* [tls] */
	const char *ticket_key_file; /* [tls]; NULL: generated keys */
	enum config_key_permissions ticket_key_permissions; /* of [tls] */
	const char *store_dir;                              /* NULL: no store */
	enum config_sandbox sandbox;
	struct config_ocsp ocsp;

	struct config_log log;
	struct config_admin admin;

	const struct config_place *places; /* of the keys above */

	struct config_listener *listeners;
	size_t listener_count;

	/* What it was read from: the file, its includes and what ${file:...}
	 * names; and the included folders. */
	struct config_strings inputs;
	struct config_strings input_folders;

	/* Notes to log once: ignored keys, differences from stunnel. */
	struct config_strings notes;
};

/* What a path is for. */
enum config_path_use {
	PATH_FILE,    /* read: of the configuration itself, certificates,
		       * keys, CAs, lists, staples */
	PATH_INCLUDE, /* an included folder: read */
	PATH_FOLDER,  /* cert_dir: read, with what its links lead to */
	PATH_LOG,     /* appended to; made if it is missing */
	PATH_SOCKET,  /* of a Unix socket: made and removed */
	PATH_PID,     /* made at the start, removed at the end */
	PATH_STORE    /* store_dir: everything in it */
};

/* Call `visit` for every path of the configuration, some of them twice; `where`
 * is NULL where no single key names it.  Backends are not included. */
typedef void config_path_fn(void *arg, const char *path,
    enum config_path_use use, const struct config_where *where);
void config_each_path(
    const struct config *config, config_path_fn *visit, void *arg);

/* All errors of one run, each "file:line: text", in the order of the files.
 * Free with config_errors_free. */
struct config_errors {
	struct config_strings list;
};

void config_errors_free(struct config_errors *errors);

/* Read `path` and its includes.  Returns a config with one reference, or NULL
 * and at least one error.  Files of cert and key are not opened; if there are
 * other errors, unreadable files are reported as well. */
const struct config *config_load(
    const char *path, struct config_errors *errors) MUST_CHECK;

/* As config_load, but returns a config despite errors unless memory ran out:
 * for display only, never to run. */
const struct config *config_load_any(
    const char *path, struct config_errors *errors) MUST_CHECK;

/* As config_load, from bytes.  `name` is the file in errors; relative paths are
 * relative to its folder. */
const struct config *config_parse(const char *name, const char *bytes,
    size_t size, struct config_errors *errors) MUST_CHECK;

const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config); /* NULL ok */

/* The file of the i-th certificate's private key, never NULL: an item of keys,
 * or the certificate's file. */
const struct config_path *config_key_of(
    const struct config_listener *listener, size_t i);
/* The i-th certificate's staple_file; NULL: none. */
const struct config_path *config_staple_file_of(
    const struct config_listener *listener, size_t i);

/* Where the stapling mode of a listener or host was set, as
 * config_where_of. */
const struct config_where *config_ocsp_where(
    const struct config_listener *listener);

/* true: two listeners (with their hosts), or two hosts, are equal in everything
 * but the places of their keys. */
bool config_listener_equal(
    const struct config_listener *a, const struct config_listener *b);

/* The names of the keys that differ and cannot be changed by a reload. Free
 * with config_strings_free. */
struct config_strings config_fixed_changes(
    const struct config *old, const struct config *fresh);
void config_strings_free(struct config_strings *strings);

/* Print one line for each key (--list-keys), tab separated: section, name,
 * aliases, type, default, bounds, R or S, meaning. */
void config_list_keys(FILE *out);

/* Print the effective configuration (--print-config) as an INI file that reads
 * back the same.  It contains no secrets. */
void config_print(const struct config *config, FILE *out);

/*
 * The keys of a listener or host on which its SSL_CTX and the scope of its
 * sessions depend, as lines "key = value"; free() it.  Every key of a listener
 * counts unless its row in schema.c is OUTSIDE_TLS, so a new key cannot be
 * forgotten.  Files are not part of it.  NULL: no memory.
 */
char *config_tls_policy(const struct config_listener *settings);

#endif
