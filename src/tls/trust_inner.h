/*
 * What trust.c and trust_lists.c share while two files become a trust.
 * Main thread.
 */
#ifndef TLS_TRUST_INNER_H
#define TLS_TRUST_INNER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/attr.h"

struct err;
struct pem;
struct pem_block;

struct trust_load {
	X509_STORE *store;
	STACK_OF(X509) * certificates; /* of ca_file */
	STACK_OF(X509_CRL) * lists;    /* of crl_file, that count */
	EVP_MD_CTX *digest;
	int64_t now_s;
	struct err *warning; /* may be NULL */
	bool one_file;       /* ca_file and crl_file have the same path */

	/* what trust_load_lists finds */
	int64_t lists_from, lists_end; /* of the list that ends first */
	bool lists_fit;
};

/* false: no memory. */
bool trust_digest_block(
    struct trust_load *load, const struct pem_block *block) MUST_CHECK;

/* One more sentence of warning. */
void trust_warn(struct trust_load *load, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* A sentence of warning about what pem holds and is_used does not name. */
void trust_warn_unused(struct trust_load *load, const struct pem *pem,
    const char *path, bool (*is_used)(const char *type));

/* The key of the certificate of ca_file that has signed the list, borrowed;
 * NULL: none has. */
EVP_PKEY *trust_signer_key(const struct trust_load *load, X509_CRL *list);

/* The whole of an issuer's certificates, or the same part (RFC 5280 5.2.5). */
bool trust_is_same_scope(const X509_CRL *a, const X509_CRL *b);

/* Below 0: a is older than b, of one issuer and scope. */
int trust_compare_age(const X509_CRL *a, const X509_CRL *b);
void trust_explain_rollback(const X509_CRL *fresh, const X509_CRL *held,
    const char *path, struct err *err);

/* Its thisUpdate; 0, long ago: a date that is none. */
int64_t trust_start_of(const X509_CRL *list);
/* INT64_MAX: it has no end; 0, long ago: a date that is none. */
int64_t trust_end_of(const X509_CRL *list);

/* Add the lists of a file to the store, and judge them. */
bool trust_load_lists(
    struct trust_load *load, const char *path, struct err *err) MUST_CHECK;

#endif
