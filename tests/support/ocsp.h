/*
 * OCSP responses made in memory, right or wrong in one way at a time.  One
 * thread; aborts when OpenSSL fails.  Times are seconds since the epoch.
 */
#ifndef SUPPORT_OCSP_H
#define SUPPORT_OCSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/pki.h"

enum ocsp_status { OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, OCSP_SAYS_UNKNOWN };

/* Zero means: good, SHA-1 ids, signed by the issuer itself, no certificate
 * inside, no nextUpdate. */
struct ocsp_wish {
	const struct pki *leaf;   /* the certificate spoken of */
	const struct pki *issuer; /* its issuer: makes the id */
	const struct pki *signer; /* NULL: the issuer */
	bool with_signer;         /* its certificate goes along */
	const struct pki *also;   /* another certificate put before it */
	unsigned also_copies;     /* ...so often; 0: once */
	bool by_key;              /* names the signer by its key's hash */
	const EVP_MD *digest;     /* of the signature; NULL: SHA-256 */
	bool sha256;
	enum ocsp_status status;
	int64_t this_update;
	int64_t next_update; /* 0: none */
	int64_t revoked_at;
	int reason;                /* of the revocation; 0: absent */
	const char *this_text;     /* any text in the place of this_update */
	const char *next_text;     /* and of next_update */
	const char *revoked_text;  /* and of revoked_at */
	const char *produced_text; /* and of producedAt */
	unsigned signed_bytes;     /* in an extension of the response */
	int pss_salt;              /* RSA-PSS with a salt so long; 0: not */
	int algorithm;             /* a NID that is not the signature's */
	int parameters; /* of the algorithm, V_ASN1_NULL, _UNDEF or another
			   type with needless bytes; 0: as they are */
	bool critical;  /* the response has an extension that must */
	bool critical_single;     /* be understood; its single response has */
	bool spoiled;             /* the signature does not fit */
	int error;                /* an OCSP_RESPONSE_STATUS_...: no body */
	const struct pki *second; /* a second single response, before ours */
	const struct ocsp_wish *before; /* its single ones before that */
};

struct ocsp_made {
	unsigned char *der; /* owned */
	size_t len;
};

struct ocsp_made ocsp_make(const struct ocsp_wish *wish);
void ocsp_drop(struct ocsp_made *made);

/* The same response with so many copies of a certificate behind those that it
 * encloses, as an attacker on the path could add them. */
struct ocsp_made ocsp_append(const struct ocsp_made *made,
    const struct pki *certificate, unsigned copies);

#endif
