/*
 * The facts of one certificate: its key in the cache, its issuer, its ids, the
 * requests and their URLs, and whether it must be stapled.  Computed once, from
 * bytes that may be hostile; immutable and counted afterwards; any thread.
 *
 * The issuer costs more than all the rest, because its signature is verified.
 * Partial facts have no issuer; they are enough for a certificate whose staple
 * no policy requires.
 *
 * There is no reference to the X509 it was made from: that would keep the X509
 * alive, whose free hook releases the entry.
 */
#ifndef STAPLE_CERT_H
#define STAPLE_CERT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;

#define STAPLE_KEY_SIZE 32 /* SHA-256 of the DER */
#define STAPLE_URLS_MAX 8
#define STAPLE_ISSUER_URLS_MAX 4

enum staple_hash { STAPLE_SHA1, STAPLE_SHA256, STAPLE_HASHES };

/* Where the issuer was found. */
enum staple_origin {
	STAPLE_ORIGIN_NONE,
	STAPLE_ORIGIN_CHAIN,
	STAPLE_ORIGIN_CA_FILE,
	STAPLE_ORIGIN_SYSTEM,
	STAPLE_ORIGIN_AIA,  /* fetched from a caIssuers URL */
	STAPLE_ORIGIN_STORE /* ...by an earlier process, and saved */
};

/* One request: OCSPRequest DER, one id, no nonce, unsigned (RFC 5019 2.1). */
struct staple_request {
	unsigned char *der;
	size_t len;
};

struct staple_cert {
	atomic_uint references;

	/* fixed at creation */
	unsigned char key[STAPLE_KEY_SIZE];
	char id[2 * STAPLE_KEY_SIZE + 1]; /* key in lower-case hex */
	char name[128];                   /* printable, escaped */
	bool must_staple;              /* RFC 7633: the feature list holds 5 */
	int64_t not_before, not_after; /* epoch seconds; 0: not readable */
	bool complete; /* false: partial facts; the issuer was not searched */
	X509 *issuer;  /* owned reference; NULL: not found */
	enum staple_origin origin;
	OCSP_CERTID *ids[STAPLE_HASHES]; /* NULL without an issuer */
	struct staple_request requests[STAPLE_HASHES];
	char **urls; /* the configured ones, else AIA in its order */
	size_t url_count;
	bool urls_configured; /* they replaced the certificate's own */
	char *staple_file;    /* NULL: none */

	/* Where the issuer is to be fetched: the caIssuers URLs, http only, and
	 * a copy of the certificate (without ex-data) to check the signature.
	 * 0 and NULL: there is an issuer, or it cannot be fetched. */
	char *issuer_urls[STAPLE_ISSUER_URLS_MAX];
	size_t issuer_url_count;
	X509 *leaf;

	/* Why no request can be made: STAPLE_UNASKED (it can), NO_RESPONDER or,
	 * of complete facts, NO_ISSUER; and text, such as the ignored URLs.  A
	 * staple_file needs no responder. */
	enum staple_outcome unavailable_reason;
	char hint[256];
};

/* Where issuers are searched after the chain.  Counted by OpenSSL. */
struct staple_trust {
	X509_STORE *ca_file; /* NULL: none configured */
	X509_STORE *system;  /* the default paths, read when first needed */
	bool aia_issuer;     /* a missing issuer may be fetched (caIssuers) */
};

/* ca_file NULL: the system's store alone.  aia_issuer is false.  Blocks on the
 * disk. */
bool staple_trust_init(struct staple_trust *trust, const char *ca_file,
    struct err *err) MUST_CHECK;
void staple_trust_fini(struct staple_trust *trust); /* zeroed is fine */

/*
 * From a leaf, its chain (NULL ok; may contain the leaf) and a source (NULL:
 * the URLs of the certificate).  A certificate without responder or issuer is
 * no failure: see unavailable_reason.  trust may be NULL.  NULL: *err (no
 * memory, or a certificate that cannot be encoded).
 */
struct staple_cert *staple_cert_new(X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_trust *trust,
    struct err *err) MUST_CHECK;

/* The same without the issuer. */
struct staple_cert *staple_cert_partial(
    X509 *leaf, const struct staple_source *source, struct err *err) MUST_CHECK;

/* New facts: the partial ones of that leaf, with the issuer.  NULL: *err (no
 * memory). */
struct staple_cert *staple_cert_complete(const struct staple_cert *partial,
    X509 *leaf, STACK_OF(X509) * chain, const struct staple_trust *trust,
    struct err *err) MUST_CHECK;

/* A copy of cert, the facts of that leaf, with this issuer (a reference is
 * taken; it must have signed the leaf).  NULL: *err (no memory). */
struct staple_cert *staple_cert_with_issuer(const struct staple_cert *cert,
    X509 *leaf, X509 *issuer, enum staple_origin origin,
    struct err *err) MUST_CHECK;

/* Did the key of this candidate sign the leaf, and is its subject the leaf's
 * issuer name?  *namesake is set if the name alone matches. */
bool staple_issuer_has_signed(X509 *candidate, X509 *leaf, bool *namesake);

struct staple_cert *staple_cert_ref(struct staple_cert *cert);
void staple_cert_unref(struct staple_cert *cert); /* NULL ok */

/* Of two facts of one certificate: are the requests and the accepted signers
 * the same?  A reload computes all facts anew, and must cause no request. */
bool staple_cert_equals(
    const struct staple_cert *a, const struct staple_cert *b);

/* Does it go by this source (NULL: none)? */
bool staple_cert_has_source(
    const struct staple_cert *cert, const struct staple_source *source);

/* Would its issuer be found in this chain again?  Its signature was verified
 * before, so the names are compared alone. */
bool staple_cert_fits_chain(
    const struct staple_cert *cert, STACK_OF(X509) * chain);

/* The key alone; false: it cannot be encoded. */
bool staple_cert_key(X509 *leaf, unsigned char key[STAPLE_KEY_SIZE]) MUST_CHECK;

/* What a policy makes of this certificate. */
enum staple_requirement {
	STAPLE_REQUIRE_NONE,   /* not stapled, not fetched */
	STAPLE_REQUIRE_WANTED, /* stapled; failing to is degraded service */
	STAPLE_REQUIRE_FATAL,  /* stapled; failing to is fatal (must, always) */
	STAPLE_REQUIREMENTS
};
enum staple_requirement staple_cert_requirement(
    const struct staple_cert *cert, const struct staple_policy *policy);

#endif
