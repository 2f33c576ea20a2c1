/*
 * OpenSSL glue: ex-data on certificates and contexts, the walk over the slots
 * of a context, and the status callback.  Two process-wide ex-data indexes
 * are the only globals of the library, made once.  Threads: as in staple.h.
 */
#ifndef STAPLE_ATTACH_H
#define STAPLE_ATTACH_H

#include <stdbool.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;
struct staple_cache;
struct staple_entry;
struct staple_trust;

/* What attaching needs of a struct staple. */
struct staple_attacher {
	struct staple_cache *cache;
	const struct staple_trust *trust;
};

bool staple_attach_context(const struct staple_attacher *attacher,
    SSL_CTX *context, const struct staple_policy *policy,
    struct err *err) MUST_CHECK;

bool staple_attach_certificate(const struct staple_attacher *attacher,
    X509 *certificate, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_policy *policy,
    struct err *err) MUST_CHECK;

/* The entry on this very object; borrowed while the caller holds the X509;
 * NULL: never attached. */
struct staple_entry *staple_attach_entry(const X509 *certificate);

#endif
