/*
 * Session-ticket keys: made at start and rotated, or read from a file that a
 * fleet shares; used by every listener thread through the ticket lock (a leaf
 * held for copying keys).  The first key signs, all open.  One set lives
 * as long as the process, so that a reload does not cut off resumption.
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

/* More than a fleet needs to rotate: next, current, and those before. */
#define TICKET_KEYS_MAX 8

struct ticket_keys *ticket_keys_new(struct err *err) MUST_CHECK;
struct ticket_keys *ticket_keys_ref(struct ticket_keys *keys);
void ticket_keys_unref(struct ticket_keys *keys); /* NULL ok */

/* A fresh key of our own signs from now on; of more than three the oldest is
 * forgotten.  Main thread. */
bool ticket_keys_rotate(struct ticket_keys *keys, struct err *err) MUST_CHECK;

/*
 * The keys of a file take the place of all there are.  A line is the base64 of
 * 80 bytes (name, AES-256 key, HMAC-SHA-256 key):
 * `openssl rand 80 | openssl base64 -A`.  Comments begin with #.  Permissions
 * as for private keys (identity_load); *warning (may be NULL) is "" when there
 * is nothing to say.  Main thread; blocks on the disk.  false: *err names the
 * file (and the line), and nothing has changed.
 */
bool ticket_keys_load(struct ticket_keys *keys, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/* Can this file be loaded?  The same sentences; nothing changes. */
bool ticket_keys_check(const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/*
 * Give a context tickets.  Keys, policy and lifetime are those of the site a
 * connection is in (server.h).  Every ticket carries the time of its first
 * full handshake, until when its client's certificates hold, and the site's
 * scope; one of another scope or server name, too old (counted from that first
 * handshake), or whose client could not come again in full (client_cert.h), is
 * ignored and a full handshake follows (RFC 8446 section 4.6.1, RFC 5077, RFC
 * 6066 section 3).
 */
void ticket_attach(struct ssl_ctx_st *context);

/*
 * Where the time of tickets comes from, instead of the wall clock: for tests,
 * which set it before the first handshake.
 */
typedef int64_t ticket_clock_fn(void *arg);
void ticket_keys_set_clock(
    struct ticket_keys *keys, ticket_clock_fn *now_ms, void *arg);

/*
 * ---- Facts in a ticket ----
 *
 * Facts of the first full handshake of a session, beside those of OpenSSL.
 * Part of the encrypted ticket: the client can neither read nor change them.
 * tls/ only; the connection's thread.
 */

struct ticket_appdata {
	int64_t handshake_ms;
	int64_t valid_until; /* client_cert.h; seconds */
	uint8_t scope[32];   /* of the site (server.h) */
};

/* false: it was never given any. */
bool ticket_appdata_get(
    struct ssl_session_st *session, struct ticket_appdata *appdata) MUST_CHECK;

/*
 * ---- The key file ----
 *
 * A plain value; wipe it.  tls/ only; reading blocks on the disk: main thread.
 */

/* As its bytes stand in the file. */
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
 * All keys of the file, in its order, at least one.  false: *err names file
 * and line and says what to do.  *warning (may be NULL; "" when none): others
 * may read it (as identity_load).  Wipe in every case.
 */
bool ticket_key_set_read(struct ticket_key_set *set, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/* Cleanse. */
void ticket_key_set_wipe(struct ticket_key_set *set);

#endif
