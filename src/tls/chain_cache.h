/*
 * Certificates that many chains have in common, decoded once and held once: a
 * thousand sites of one authority send the same intermediates.  One thread at
 * a time; the certificates may outlive the cache.
 */
#ifndef TLS_CHAIN_CACHE_H
#define TLS_CHAIN_CACHE_H

#include <stddef.h>

#include "base/attr.h"

struct chain_cache;
struct x509_st;

struct chain_cache *chain_cache_new(void) MUST_CHECK; /* NULL: no memory */
void chain_cache_free(struct chain_cache *cache);     /* NULL ok */

/*
 * The certificate of these bytes (as in PEM: DER, perhaps with OpenSSL's trust
 * settings behind it), seen before or decoded now; the caller frees its
 * reference.  cache NULL: always decoded.  NULL: damaged, or no memory;
 * OpenSSL's queue says which.
 */
struct x509_st *chain_cache_decode(struct chain_cache *cache,
    const unsigned char *bytes, size_t len) MUST_CHECK;

/* Use this one for equal bytes from now on.  Best effort. */
void chain_cache_know(struct chain_cache *cache, struct x509_st *certificate);

#endif
