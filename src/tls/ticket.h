/*
 * Session-ticket keys: made at start and rotated, or read from a file that a
 * fleet shares.  Every listener thread uses them through the ticket lock (a
 * leaf, locked while keys are copied).  The first key encrypts, all decrypt.
 * One set exists as long as the process, so that sessions survive a reload.
 * Counted.
 */
#ifndef TLS_TICKET_H
#define TLS_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct ticket_keys;
struct ssl_ctx_st;
struct ssl_session_st;

/* A rotation needs three or four: next, current, and previous ones. */
#define TICKET_KEYS_MAX 8

struct ticket_keys *ticket_keys_new(struct err *err) MUST_CHECK;
struct ticket_keys *ticket_keys_ref(struct ticket_keys *keys);
void ticket_keys_unref(struct ticket_keys *keys); /* NULL ok */

/* Put a fresh random key in front; of more than three the oldest is dropped.
 * Main thread. */
bool ticket_keys_rotate(struct ticket_keys *keys, struct err *err) MUST_CHECK;

/*
 * Replace all keys by those of a file.  A line is the base64 of 80 bytes (name,
 * AES-256 key, HMAC-SHA-256 key): `openssl rand 80 | openssl base64 -A`.
 * Comments begin with #.  Permissions as for private keys (identity_load);
 * *warning (may be NULL) is "" when there is none.  Main thread; blocks on the
 * disk.  false: *err names the file (and the line), and nothing has changed.
 */
bool ticket_keys_load(struct ticket_keys *keys, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/*
 * All keys in their order, for the process that continues this one: its clients
 * resume their sessions.  ticket_key_set_wipe.  Main thread.
 */
struct ticket_key_set;
void ticket_keys_copy(struct ticket_keys *keys, struct ticket_key_set *set);

/* Replace all keys by these; no key: nothing changes.  Main thread. */
void ticket_keys_replace(
    struct ticket_keys *keys, const struct ticket_key_set *set);

/* Can this file be loaded?  The same sentences; no key changes. */
bool ticket_keys_check(const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/*
 * Set the ticket callbacks of a context.  Keys, settings and lifetime are those
 * of the connection's site (server.h).  Every ticket carries the time of its
 * first full handshake, the time until which its client's certificate is valid,
 * and the site's scope.  A ticket is ignored, and a full handshake follows, if
 * its scope or SNI differs, if it is too old (counted from the first full
 * handshake), or if client_cert_may_resume refuses it (RFC 8446 section 4.6.1,
 * RFC 5077, RFC 6066 section 3).
 */
void ticket_attach(struct ssl_ctx_st *context);

/*
 * Replace the wall clock of tickets: for tests, before the first handshake.
 */
typedef int64_t ticket_clock_fn(void *arg);
void ticket_keys_set_clock(
    struct ticket_keys *keys, ticket_clock_fn *now_ms, void *arg);

/*
 * ---- The appdata of a ticket ----
 *
 * The data of a session's first full handshake that OpenSSL does not keep.
 * Part of the encrypted ticket: the client can neither read nor change it.
 * tls/ only; the connection's thread.
 */

struct ticket_appdata {
	int64_t handshake_ms;
	int64_t valid_until; /* client_cert.h; seconds */
	uint8_t scope[32];   /* of the site (server.h) */
};

/* false: the session has none. */
bool ticket_appdata_get(
    struct ssl_session_st *session, struct ticket_appdata *appdata) MUST_CHECK;

/*
 * ---- The key file ----
 *
 * A plain value; call ticket_key_set_wipe.  Reading is for tls/ only, and blocks
 * on the disk: main thread.
 */

/* In the order of the bytes of the file. */
struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
};

struct ticket_key_set {
	struct ticket_key keys[TICKET_KEYS_MAX];
	size_t count;
};

/*
 * All keys of the file, in its order, at least one.  false: *err names the
 * file, the line and the remedy.  *warning (may be NULL; "": none): every user
 * can read the file (as identity_load).  Wipe in every case.
 */
bool ticket_key_set_read(struct ticket_key_set *set, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/* Cleanse. */
void ticket_key_set_wipe(struct ticket_key_set *set);

#endif
