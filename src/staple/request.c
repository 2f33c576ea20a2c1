/*
 * The ids of a certificate and the requests that ask for them, once for each
 * hash.  Any thread.  SHA-1 identifies the certificate here, it protects
 * nothing.  It stays the first hash, although RFC 9919 prefers SHA-256: the
 * response carries the id of the request, curl looks for a SHA-1 id alone and
 * takes a staple with another one for none, and some responders understand
 * nothing else.
 */
#include "staple/cert.h"

#include "staple/cert_inner.h"

/*
 * RFC 5019 2.1.1: one Request in the list, and RFC 6960 4.1.2: requests need
 * not be signed.  There is no nonce (RFC 5019 4): with one, nobody could
 * answer from a cache, and nothing could be stapled twice.
 */
static bool
encode(const OCSP_CERTID *id, struct staple_request *request)
{
	OCSP_REQUEST *asked = OCSP_REQUEST_new();
	OCSP_CERTID *copy = OCSP_CERTID_dup(id);
	int len = -1;

	if (asked != NULL && copy != NULL &&
	    OCSP_request_add0_id(asked, copy) != NULL) {
		copy = NULL;
		len = i2d_OCSP_REQUEST(asked, &request->der);
	}
	if (len > 0)
		request->len = (size_t)len;
	OCSP_CERTID_free(copy);
	OCSP_REQUEST_free(asked);
	return len > 0;
}

bool
staple_cert_make_requests(struct staple_cert *cert, X509 *leaf)
{
	const EVP_MD *const digests[STAPLE_HASHES] = {
		[STAPLE_SHA1] = EVP_sha1(),
		[STAPLE_SHA256] = EVP_sha256(),
	};

	for (int i = 0; i < STAPLE_HASHES; i++) {
		cert->ids[i] = OCSP_cert_to_id(digests[i], leaf, cert->issuer);
		if (cert->ids[i] == NULL ||
		    !encode(cert->ids[i], &cert->requests[i]))
			return false;
	}
	return true;
}
