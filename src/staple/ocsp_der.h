/*
 * The outer shell of an OCSP response: its encoding, the responder's status
 * and the basic response inside.  Any thread.
 */
#ifndef STAPLE_OCSP_DER_H
#define STAPLE_OCSP_DER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;

/* The certificates inside, DER after DER; borrowed from the response. */
struct staple_ocsp_certs {
	const unsigned char *at, *end;
};

/*
 * STAPLE_GOOD: *basic is the caller's to free and has no certificates; der is
 * its only encoding, except the certificates, which are in *certs.  Else EMPTY,
 * TRUNCATED, MALFORMED, TRAILING_BYTES or one of the responder's own errors,
 * and *said is a description; *basic may be set even so.  Fields that the
 * signature does not cover have their only usual form, except the certificates,
 * which are not examined.
 */
enum staple_outcome staple_ocsp_decode(OCSP_BASICRESP **basic,
    struct staple_ocsp_certs *certs, const unsigned char *der, size_t len,
    struct err *said) MUST_CHECK;

/*
 * The next of the certificates that goes by the responder's name or key (RFC
 * 6960 4.2.1), X509_free() it; NULL: there is none.  The others are not
 * decoded, which would cost a hundred times as much as to pass over them.
 */
X509 *staple_ocsp_next_signer(
    struct staple_ocsp_certs *certs, const OCSP_BASICRESP *basic) MUST_CHECK;

/* Does the responder go by this one's name or key? */
bool staple_ocsp_names(const OCSP_BASICRESP *basic, const X509 *candidate);

/*
 * Encode a response that staple_ocsp_decode has accepted with this
 * certificate, one of those inside, alone (NULL: none).  The response data, the
 * signature algorithm and the signature are copied byte for byte.
 * OPENSSL_free() it; NULL: no memory.
 */
unsigned char *staple_ocsp_trim(const unsigned char *der, size_t len,
    const X509 *certificate, size_t *trimmed_len) MUST_CHECK;

#endif
