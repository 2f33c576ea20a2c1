/*
 * A certificate authority, certificates of it, and verified responses about
 * them, for the tests of the cache and of handshakes.  One thread at a time.
 * Aborts when the set-up fails.
 */
#ifndef SUPPORT_AUTHORITY_H
#define SUPPORT_AUTHORITY_H

#include <stdint.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "staple/cert.h"
#include "tests/support/ocsp.h"
#include "tests/support/pki.h"

struct staple_response;

struct authority {
	struct pki pki;
	STACK_OF(X509) * chain; /* its certificate; borrowed from pki */
};

void authority_make(struct authority *authority);
void authority_drop(struct authority *authority);

/* A certificate; wish->issuer is left out. */
struct pki authority_issue(
    const struct authority *authority, const struct pki_wish *wish);

/* The facts of it.  source may be NULL. */
struct staple_cert *authority_facts(const struct authority *authority,
    const struct pki *leaf, const struct staple_source *source);

/* The wish with issuer and leaf filled in: bytes, or a verified response as of
 * wish->this_update. */
struct ocsp_made authority_answer(const struct authority *authority,
    const struct pki *leaf, const struct ocsp_wish *wish);
struct staple_response *authority_response(const struct authority *authority,
    const struct pki *leaf, const struct ocsp_wish *wish);

/* A server's context that shows this certificate, with the chain in its
 * slot.  More certificates of other key types may be added. */
SSL_CTX *authority_context(
    const struct authority *authority, const struct pki *leaf);
void authority_add(const struct authority *authority, SSL_CTX *context,
    const struct pki *leaf);

#endif
