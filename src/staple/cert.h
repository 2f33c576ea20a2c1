/*
 * What must be known to ask about one certificate: its key in the cache, its
 * issuer, its ids, the requests to send, the URLs to send them to, and
 * whether it must be stapled.  Worked out once, from bytes that may be
 * hostile; immutable and counted afterwards; any thread.
 *
 * The issuer costs more than all the rest, for it is proven to have signed; a
 * sketch does without, and is all that is needed until somebody is asked.
 *
 * It holds no reference on the X509 it was made from: the last holder of a
 * certificate must be able to let go.
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
	bool complete; /* false: a sketch, whose issuer nobody looked for */
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

	/* STAPLE_UNASKED, NO_RESPONDER or (never of a sketch) NO_ISSUER; and
	 * why, in words, such as which URLs were left out.  A staple_file needs
	 * no responder. */
	enum staple_outcome hindrance;
	char hint[256];
};

/* Where issuers are looked for after the chain.  Counted by OpenSSL. */
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
 * what the certificate says).  A certificate about which nobody can be asked
 * is no failure: see hindrance.  trust may be NULL.  NULL: *err (no memory,
 * or a certificate that cannot be encoded).
 */
struct staple_cert *staple_cert_new(X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_trust *trust,
    struct err *err) MUST_CHECK;

/* The same without the issuer. */
struct staple_cert *staple_cert_sketch(
    X509 *leaf, const struct staple_source *source, struct err *err) MUST_CHECK;

/* Another one, which says what the sketch of that leaf says and has the
 * issuer.  NULL: *err (no memory). */
struct staple_cert *staple_cert_complete(const struct staple_cert *sketch,
    X509 *leaf, STACK_OF(X509) * chain, const struct staple_trust *trust,
    struct err *err) MUST_CHECK;

/* A copy of cert, the facts of that leaf, with this issuer (a reference is
 * taken; it must have signed the leaf).  NULL: *err (no memory). */
struct staple_cert *staple_cert_with_issuer(const struct staple_cert *cert,
    X509 *leaf, X509 *issuer, enum staple_origin origin,
    struct err *err) MUST_CHECK;

/* Is this the certificate whose key signed the leaf, and does it bear the
 * leaf's issuer name?  *namesake is set where the name alone fits. */
bool staple_issuer_has_signed(X509 *candidate, X509 *leaf, bool *namesake);

struct staple_cert *staple_cert_ref(struct staple_cert *cert);
void staple_cert_unref(struct staple_cert *cert); /* NULL ok */

/* Of two about one certificate: would the same be asked, and believed?  A
 * reload works everything out anew, and must ask nobody for it. */
bool staple_cert_says_same(
    const struct staple_cert *a, const struct staple_cert *b);

/* Does it go by this source (NULL: none)? */
bool staple_cert_has_source(
    const struct staple_cert *cert, const struct staple_source *source);

/* Would its issuer be found in this chain again?  It is known to have signed,
 * so nothing has to be verified. */
bool staple_cert_fits_chain(
    const struct staple_cert *cert, STACK_OF(X509) * chain);

/* The key alone; false: it cannot be encoded. */
bool staple_cert_key(X509 *leaf, unsigned char key[STAPLE_KEY_SIZE]) MUST_CHECK;

/* The first DNS name, else the common name, else "serial 1f..."; escaped, and
 * cut to max (at least 16) bytes. */
void staple_cert_print_name(const X509 *certificate, char *name, size_t max);

/* RFC 7633: the TLS feature extension holds status_request (5). */
bool staple_cert_must_staple(X509 *leaf);

/* What a policy makes of this certificate. */
enum staple_wish {
	STAPLE_WISH_NONE,   /* not stapled, nobody is asked */
	STAPLE_WISH_WANTED, /* stapled; failing to is degraded service */
	STAPLE_WISH_FATAL,  /* stapled; failing to is fatal (must, always) */
	STAPLE_WISHES
};
enum staple_wish staple_cert_wish(
    const struct staple_cert *cert, const struct staple_policy *policy);

#endif
