/*
 * One policy made real: the SSL_CTX of a listener, with its identity, protocol
 * versions, ciphers, groups, ALPN and session scope.  Immutable after birth;
 * counted; any thread may create streams from it.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct identity;
struct ssl_ctx_st;
struct ticket_keys;
struct tls_context;

/*
 * Build from a listener's configuration.  References identity and keys.
 * Groups this OpenSSL does not know are left out one by one and named in
 * *warning (may be NULL; "" when none).  NULL and *err: why, beginning with the
 * file:line of the key at fault when there is one.  Main thread.
 */
struct tls_context *tls_context_new(const struct config_listener *config,
    struct identity *identity, struct ticket_keys *keys, struct err *warning,
    struct err *err) MUST_CHECK;

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL ok */

struct identity *tls_context_identity(const struct tls_context *context);

/* The OpenSSL object, for the stapling joint alone.  Borrowed. */
struct ssl_ctx_st *tls_context_native(const struct tls_context *context);

#endif
