/*
 * The table of keys.  The parser, --list-keys, --print-config, the hints for
 * misspelt keys and the check of clinch.ini(5) are made from it; a new key is
 * one enumerator and one row.  Constant; any thread.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "config/value.h"

/* Sections that a key belongs to; a mask in rows. */
enum schema_section {
	SCHEMA_GLOBAL = 1,
	SCHEMA_LOG = 2,
	SCHEMA_TLS = 4,
	SCHEMA_LISTENER = 8,
	SCHEMA_OCSP = 16,
	SCHEMA_HOST = 32,
	SCHEMA_ADMIN = 64,
	SCHEMA_TOP = 31 /* before any section: every key but those of hosts and
			   [admin] */
};

/* All keys, in the order of --list-keys and --print-config.  Before any section
 * the first one of a name counts. */
enum schema_key {
	/* [global] */
	KEY_GLOBAL_THREADS,
	KEY_GLOBAL_USER,
	KEY_GLOBAL_GROUP,
	KEY_GLOBAL_MAX_CONNECTIONS,
	KEY_GLOBAL_DRAIN_TIMEOUT,
	KEY_GLOBAL_PID,
	KEY_GLOBAL_STORE_DIR,
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
	KEY_COUNT
};

struct schema_row {
	const char *name;
	const char *aliases;     /* between blanks; NULL: none */
	const char *tls_aliases; /* those of [tls] only */
	unsigned sections;
	bool of_listener;  /* offsets count from struct config_listener,
			     else from struct config */
	bool outside_tls;  /* of a listener, not part of config_tls_policy */
	bool needs_start;  /* a reload cannot change it */
	bool may_be_empty; /* an empty value is the default */
	bool not_at_top;   /* ambiguous before any section */
	const struct value_type *type;
	struct value_rules rules;
	/* Offsets in the same struct: the field, a struct config_where and a
	 * bool that are set with it (0: none). */
	size_t offset;
	size_t where;
	size_t mark;
	const char *initial; /* the default, as in a file */
	const char *shown;   /* the default for --list-keys, if it differs */
	const char *meaning;
};

const struct schema_row *schema_row(enum schema_key key);
enum schema_key schema_key_of(const struct schema_row *row);

/* Find a key by name or alias in one section (in SCHEMA_TOP the first row of
 * that name).  NULL: none. */
const struct schema_row *schema_find(
    enum schema_section section, const char *key);

/* As schema_find, with a cache: a large file repeats few keys.  A zeroed cache
 * is empty; keys are borrowed; NULL: no cache. */
#define SCHEMA_CACHE_SIZE 256
struct schema_cache {
	struct {
		const char *key;
		enum schema_section section;
		const struct schema_row *row;
	} slots[SCHEMA_CACHE_SIZE];
};
const struct schema_row *schema_find_cached(
    struct schema_cache *cache, enum schema_section section, const char *key);

/* The key of the section that is nearest to a misspelt one; NULL: none. */
const char *schema_nearest(enum schema_section section, const char *key);

/* The sections of a mask as text, for errors. */
const char *schema_section_name(unsigned sections);

/* The field of a row in this config or listener. */
void *schema_field(const struct schema_row *row, struct config *config,
    struct config_listener *listener);
const void *schema_field_const(const struct schema_row *row,
    const struct config *config, const struct config_listener *listener);

#endif
