/*
 * Who signed a response, and may they?  RFC 6960 4.2.2.2: the issuer of the
 * certificate that is asked about, or one to whom it delegated: a certificate
 * directly issued by it that carries the usage id-kp-OCSPSigning.  Any thread.
 */
#ifndef STAPLE_SIGNER_H
#define STAPLE_SIGNER_H

#include <stdint.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;
struct staple_cert;
struct staple_certs;

struct staple_signer {
	char name[128]; /* printable */
	/* From here on a delegate's signature is worth nothing.  The issuer's
	 * own dates do not count: INT64_MAX. */
	int64_t not_after;
	int weak_bits; /* of an RSA key below 2048 bits; 0: not below */
	X509
	    *delegate; /* a reference, also after a refusal; NULL: the issuer */
};

/*
 * Fills *signer in: STAPLE_GOOD.  Else WRONG_SIGNER (not authorized),
 * BAD_SIGNATURE (authorized, but the signature does not fit), WEAK_SIGNATURE
 * (MD2, MD4 or MD5, or an RSA key of at most 1024 bits) or NO_MEMORY, and
 * *said names the signer.  The certificates inside the response are looked at
 * at most once, and at most a few that go by the signer's name are tried.
 */
enum staple_outcome staple_signer_check(struct staple_signer *signer,
    OCSP_BASICRESP *basic, const struct staple_certs *certs,
    const struct staple_cert *cert, int64_t now_s, struct err *said) MUST_CHECK;

#endif
