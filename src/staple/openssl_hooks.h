/*
 * Certificates and contexts of OpenSSL.  Each X509 that is watched carries, as
 * ex-data, a holder of its entry in the cache.  Each SSL_CTX that is attached
 * carries its policy and the status callback of its handshakes.  Threads: as
 * in staple.h.
 */
#ifndef STAPLE_OPENSSL_HOOKS_H
#define STAPLE_OPENSSL_HOOKS_H

#include <stdbool.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/staple.h"

struct err;
struct staple_cache;
struct staple_entry;

/* The arguments that watching and attaching share; borrowed for the call. */
struct staple_watcher {
	struct staple_cache *cache;
	const struct staple_trust *trust;
	const struct staple_policy *policy;
};

/* One certificate, see staple_watch.  The source (NULL: none) replaces the one
 * of earlier calls. */
bool staple_watch_certificate(const struct staple_watcher *watcher,
    X509 *certificate, STACK_OF(X509) * chain,
    const struct staple_source *source, struct err *err) MUST_CHECK;

/* The same for a certificate of a context, which has no source: facts that the
 * entry has are kept, unless no request can be made with them. */
bool staple_watch_found(const struct staple_watcher *watcher, X509 *certificate,
    STACK_OF(X509) * chain, struct err *err) MUST_CHECK;

/* The entry of this object; borrowed while the caller holds the X509; NULL: it
 * is not watched.  Any thread. */
struct staple_entry *staple_watch_entry(const X509 *certificate);

/* See staple_attach.  false: *err; certificates that were watched before the
 * failure stay watched. */
bool staple_attach_context(const struct staple_watcher *watcher,
    SSL_CTX *context, struct err *err) MUST_CHECK;

#endif
