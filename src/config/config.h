/*
 * The configuration as plain structs: what clinch.ini said, read, defaulted,
 * cross-checked and from then on immutable.  Every upper layer may read it;
 * nobody writes to it after config_load returned.  Any thread may read.
 *
 * Counted: config_load gives the first reference, config_ref adds one,
 * config_unref drops one and frees with the last.  Every pointer inside lives
 * as long as the config.  Durations are milliseconds, sizes bytes; 0 means
 * "off / no limit" where the key says it can be off.
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

/* Where something was said; file is as the user would recognise it. */
struct config_where {
	const char *file;
	unsigned line; /* 0: a built-in default */
};

/* Does an error begin with this very "file:line:"? */
bool config_where_begins(
    const struct config_where *where, const char *sentence);

struct config_strings {
	char **items;
	size_t count;
};

struct config_cidrs {
	struct cidr *items;
	size_t count;
};

/* Files named by a key that may repeat: which one belongs to which is told by
 * their order. */
struct config_path {
	const char *path;
	struct config_where where;
};

struct config_paths {
	struct config_path *items;
	size_t count;
};

/* One accept= value. */
struct config_accept {
	struct addr addr;
	bool any_family; /* a bare port: both families, v4 alone without IPv6 */
	bool by_name;    /* one of the addresses of localhost */
	struct config_where where;
};

struct config_accepts {
	struct config_accept *items;
	size_t count;
};

/* One connect= value: a name and port to look up, or a unix path. */
struct config_connect {
	const char *text; /* as written: what logs call it */
	const char *host; /* NULL for unix */
	uint16_t port;
	struct addr fixed; /* len > 0: numeric or unix, never looked up */
	struct config_where where;
};

struct config_connects {
	struct config_connect *items;
	size_t count;
};

enum config_balance { BALANCE_PRIO, BALANCE_RR };
enum config_tls_version { TLS_VERSION_ANY, TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum config_profile { PROFILE_INTERMEDIATE, PROFILE_MODERN };
enum config_server_order {
	SERVER_ORDER_AUTO, /* where ciphers or ciphersuites are written */
	SERVER_ORDER_YES,
	SERVER_ORDER_NO
};
enum config_key_permissions { KEYS_WARN, KEYS_REFUSE, KEYS_ANY };

/* [ocsp] mode, or what `ocsp` says: which certificates are stapled. */
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

/* PINNED: required, and one of the very certificates in ca_file. */
enum config_verify {
	VERIFY_NONE,
	VERIFY_OPTIONAL,
	VERIFY_REQUIRE,
	VERIFY_PINNED
};
enum config_crl_check {
	CRL_CHECK_AVAILABLE, /* the leaf; others where a list is present */
	CRL_CHECK_LEAF,
	CRL_CHECK_CHAIN
};
enum config_client_purpose { CLIENT_PURPOSE_CLIENT, CLIENT_PURPOSE_ANY };
enum config_sni_unknown { SNI_DEFAULT, SNI_REJECT };
enum config_proxy_out { PROXY_OUT_OFF, PROXY_OUT_V1, PROXY_OUT_V2 };

/* What a PROXY v2 header carries besides addresses; a mask. */
enum config_proxy_tlv {
	PROXY_TLV_AUTHORITY = 1,
	PROXY_TLV_ALPN = 2,
	PROXY_TLV_SSL = 4,
	PROXY_TLV_CN = 8,
	PROXY_TLV_CERT = 16,
	PROXY_TLV_CRC32C = 32,
	PROXY_TLV_UNIQUE_ID = 64
};

/*
 * A listener, or one of its hosts: the same struct, as a host is what its
 * listener is for one name.  In a host every field holds the effective value,
 * its own or the listener's, and `pattern` is set.
 */
struct config_listener {
	const char *name;              /* of the listener, in its hosts too */
	const char *pattern;           /* lower case: "a.example", "*.example";
				      NULL: the listener itself */
	struct config_where where;     /* of its heading */
	struct config_listener *hosts; /* in file order; none in a host */
	size_t host_count;

	struct config_accepts accept;
	const char *fd; /* LISTEN_FDNAMES name, NULL: by address */
	unsigned unix_mode;
	unsigned backlog;
	bool v6only;
	bool bind_early;    /* the address may come later */
	const char *device; /* NULL: clients come from any */

	struct config_connects connect;
	enum config_balance balance;
	uint32_t retry_after_ms;
	uint32_t resolve_ms;

	/* PEM: chains, leaf first.  keys is empty (each key is in its cert
	 * file), or keys.items[i] belongs to certs.items[i]; staple_files
	 * likewise. */
	struct config_paths certs;
	struct config_paths keys;
	struct config_paths staple_files; /* DER or text, of another tool */
	bool certs_own; /* a host: certs are its own, not the listener's */
	const char *cert_dir; /* every PEM in it, named by its SANs; or NULL */
	struct config_where cert_dir_where;
	enum config_key_permissions key_permissions;
	enum config_sni_unknown sni_unknown;
	bool watch; /* changed files are picked up by themselves */

	/* Clients. */
	enum config_verify verify;
	const char *ca_file;  /* trust; set unless verify is none */
	const char *crl_file; /* NULL: no revocation lists */
	enum config_crl_check crl_check;
	enum config_client_purpose client_purpose;
	struct config_strings allow_san; /* "dns:*.example", "email:", "uri:",
					    "ip:"; a bare word is dns: */
	struct config_strings allow_cn;
	struct config_where verify_where;
	struct config_where ca_file_where;
	struct config_where crl_file_where;
	struct config_where allow_san_where;
	struct config_where allow_cn_where;

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
	struct config_where ciphers_where;
	struct config_where ciphersuites_where;
	struct config_where groups_where;
	enum config_server_order server_order;
	struct config_strings alpn; /* in our order of preference; 0: none */
	bool tickets;
	uint32_t session_timeout_ms;

	/* Effective values: the listener's own, else those of [ocsp]. */
	enum config_ocsp_mode ocsp;
	bool ocsp_set; /* `ocsp` stands in the listener itself */
	enum config_without_staple without_staple;
	enum config_on_revoked on_revoked; /* refuse where ocsp_set and [ocsp]
					      says nothing */
	struct config_where ocsp_where; /* of the mode, wherever it was said */
	uint32_t timeout_handshake_ms;
	uint32_t timeout_connect_ms;
	uint32_t timeout_idle_ms;
	uint32_t timeout_close_ms; /* 0: do not wait */
	uint32_t keepalive_ms;     /* 0: off */
	uint32_t max_lifetime_ms;  /* 0: off */

	uint32_t max_connections; /* 0: no cap of its own */
	uint32_t per_ip_max;      /* 0: none */
	uint32_t max_handshakes;  /* 0: none */
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
	struct config_where mode_where;
	struct config_strings urls; /* instead of the certificates' own */
	const char *ca_file;        /* NULL: the system's store */
	struct config_where ca_file_where;
	uint32_t start_wait_ms;
	uint32_t timeout_ms;
	enum config_ocsp_method method; /* which is tried first */
	uint32_t min_interval_ms;
	uint32_t max_interval_ms;
	uint32_t default_lifetime_ms;
	uint32_t max_response; /* bytes */
	uint32_t max_fetches;
	const char *proxy; /* NULL: from the environment; "": none */
	bool aia_issuer;   /* issuers may be fetched */
};

struct config {
	const char *file;

	/* [global] */
	unsigned threads; /* 0: auto */
	const char *user; /* NULL: stay */
	const char *group;
	uint32_t max_connections; /* 0: from the descriptor limit */
	uint32_t drain_timeout_ms;
	bool drain_timeout_set; /* else 8s, or 30s under systemd */
	const char *pid_file;
	uint32_t ticket_rotate_ms;   /* [tls] */
	const char *ticket_key_file; /* [tls]; NULL: keys of our own */
	struct config_where ticket_key_file_where;
	enum config_key_permissions ticket_key_permissions; /* of [tls] */
	const char *store_dir; /* NULL: nothing is kept */
	struct config_where store_dir_where;
	struct config_ocsp ocsp;

	struct config_log log;

	struct config_listener *listeners;
	size_t listener_count;

	/* Sentences to log once: ignored keys, stunnel's differences. */
	struct config_strings notes;
};

/*
 * Every error of one run, each "file:line: sentence", in file order.  The
 * caller owns the struct; config_errors_free releases the texts.
 */
struct config_errors {
	struct config_strings list;
};

void config_errors_free(struct config_errors *errors);

/*
 * Read `path` and what it includes.  Returns a config with one reference, or
 * NULL with at least one error.  Files named by cert/key are not opened here;
 * those that are missing are among the errors if there are others.
 */
const struct config *config_load(
    const char *path, struct config_errors *errors) MUST_CHECK;

/* The same, but with errors too there is a config if memory allows: what could
 * be read, to look at and never to run. */
const struct config *config_load_any(
    const char *path, struct config_errors *errors) MUST_CHECK;

/* The same for bytes; `name` stands for the file in errors, relative paths
 * are relative to its folder. */
const struct config *config_parse(const char *name, const char *bytes,
    size_t size, struct config_errors *errors) MUST_CHECK;

const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config); /* NULL ok */

/* The file of the i-th certificate's private key, never NULL; its place is
 * that of the key, or of the cert if it is in there. */
const struct config_path *config_key_of(
    const struct config_listener *listener, size_t i);
/* The i-th certificate's staple_file; NULL: none. */
const struct config_path *config_staple_file_of(
    const struct config_listener *listener, size_t i);

/* Would these two listeners behave alike (everything but `where`), hosts
 * included?  Or these two hosts? */
bool config_listener_equal(
    const struct config_listener *a, const struct config_listener *b);

/*
 * Keys that need a start and differ between two configurations: their names,
 * as a list to warn with; count 0 when none.  Free with config_strings_free.
 */
struct config_strings config_fixed_changes(
    const struct config *old, const struct config *fresh);
void config_strings_free(struct config_strings *strings);

/* --list-keys: one line a key: section, name, aliases, type, default,
 * bounds, R or S, meaning; tab separated. */
void config_list_keys(FILE *out);

/* --print-config: the effective configuration as an INI file that would be
 * read back the same, secrets left out. */
void config_print(const struct config *config, FILE *out);

#endif
