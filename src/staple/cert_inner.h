/*
 * The parts of staple_cert_new, each in the file of its own: cert_name.c,
 * url.c, issuer.c, request.c.  Each fills in its fields of a zeroed
 * certificate.  What is missing or hostile leaves its fields empty and a note
 * in the hint.  Running out of memory inside OpenSSL leaves the same, but
 * staple_memory_failed() then returns true: the caller checks it.
 */
#ifndef STAPLE_CERT_INNER_H
#define STAPLE_CERT_INNER_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/cert.h"

/* Append to the hint, after "; "; what does not fit is cut. */
void staple_cert_note(struct staple_cert *cert, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* urls, url_count, urls_configured.  false: no memory. */
bool staple_cert_find_urls(struct staple_cert *cert, X509 *leaf,
    const struct staple_source *source) MUST_CHECK;

/* The same from another one of that leaf.  false: no memory. */
bool staple_cert_copy_urls(
    struct staple_cert *cert, const struct staple_cert *from) MUST_CHECK;

/* issuer_urls, issuer_url_count.  false: no memory. */
bool staple_cert_find_issuer_urls(
    struct staple_cert *cert, X509 *leaf) MUST_CHECK;

/* issuer, origin; or issuer_urls and leaf, where it may be fetched; or a note.
 * After the responders are known.  false: no memory, as far as errno shows
 * it. */
bool staple_cert_find_issuer(struct staple_cert *cert, X509 *leaf,
    STACK_OF(X509) * chain, const struct staple_trust *trust) MUST_CHECK;

/* ids, requests; the issuer is known.  false: no memory. */
bool staple_cert_make_requests(struct staple_cert *cert, X509 *leaf) MUST_CHECK;

#endif
