/*
 * Session-ticket keys: made at start, kept in memory only, rotated by the
 * main thread, used by every listener thread through the ticket lock (a leaf
 * held for copying 80 bytes).  The newest key signs, it and the two before it
 * open.  One set lives as long as the process, so that a reload does not cut
 * off resumption.  Counted.
 */
#ifndef TLS_TICKET_H
#define TLS_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct ticket_keys;
struct ssl_ctx_st;

struct ticket_keys *ticket_keys_new(struct err *err) MUST_CHECK;
struct ticket_keys *ticket_keys_ref(struct ticket_keys *keys);
void ticket_keys_unref(struct ticket_keys *keys); /* NULL ok */

/* A fresh key signs from now on; the oldest is forgotten.  Main thread. */
bool ticket_keys_rotate(struct ticket_keys *keys, struct err *err) MUST_CHECK;

/*
 * Give the context tickets from these keys.  Every ticket carries the time of
 * its first full handshake and `policy` (32 bytes); a ticket of another
 * policy, or older than lifetime_ms counted from that first handshake, is
 * ignored and a full handshake follows (RFC 8446 section 4.6.1, RFC 5077).
 * Takes its own reference, dropped with the context.
 */
bool ticket_attach(struct ticket_keys *keys, struct ssl_ctx_st *context,
    const uint8_t policy[32], uint32_t lifetime_ms, struct err *err) MUST_CHECK;

/*
 * Where the time of tickets comes from, instead of the wall clock: for tests,
 * which set it before the first context is attached.
 */
typedef int64_t ticket_clock_fn(void *arg);
void ticket_keys_set_clock(
    struct ticket_keys *keys, ticket_clock_fn *now_ms, void *arg);

#endif
