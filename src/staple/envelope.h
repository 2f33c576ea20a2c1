/*
 * The outer shell of an OCSP response: its encoding, the responder's status
 * and the basic response inside.  Any thread.
 */
#ifndef STAPLE_ENVELOPE_H
#define STAPLE_ENVELOPE_H

#include <stddef.h>

#include <openssl/ocsp.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;

/*
 * STAPLE_GOOD: *basic is the caller's to free, and der is its only encoding.
 * Else EMPTY, TRUNCATED, MALFORMED, TRAILING_BYTES or one of the responder's
 * own errors, and *said tells it in words; *basic may be set even so.  What
 * the signature does not cover is in its only usual form, but for the
 * certificates.
 */
enum staple_outcome staple_envelope_open(OCSP_BASICRESP **basic,
    const unsigned char *der, size_t len, struct err *said) MUST_CHECK;

/*
 * Encode a response that staple_envelope_open has accepted with this
 * certificate, one of those inside, alone (NULL: none).  The response data, the signature
 * algorithm and the signature are copied byte for byte.  OPENSSL_free() it;
 * NULL: no memory.
 */
unsigned char *staple_envelope_trim(const unsigned char *der, size_t len,
    const X509 *certificate, size_t *trimmed_len) MUST_CHECK;

#endif
