/*
 * An identity: a certificate chain and the private key that belongs to it,
 * read from PEM files and checked to be a pair.  Immutable after loading,
 * counted; any thread may own a reference.
 */
#ifndef TLS_IDENTITY_H
#define TLS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct identity;

/* For the other files of tls/ and the code that attaches staples. */
typedef struct x509_st X509;
typedef struct evp_pkey_st EVP_PKEY;
struct stack_st_X509;

/* The type of the key.  A name can have one identity of each. */
enum identity_kind {
	IDENTITY_RSA,
	IDENTITY_RSA_PSS,
	IDENTITY_ECDSA,
	IDENTITY_ED25519,
	IDENTITY_ED448,
	IDENTITY_KINDS
};

#define IDENTITY_PATTERN_MAX 254 /* a host name and its terminator */

/*
 * The kind of the certificate in a PEM file and the first of the names that
 * identity_load would serve it under ("": none).  Reads no key.  Blocks on the
 * disk.  false: *err has the reason.
 */
bool identity_peek(const char *path, enum identity_kind *kind,
    char pattern[IDENTITY_PATTERN_MAX], struct err *err) MUST_CHECK;

/*
 * Load the chain (leaf first) from cert_path and the key from key_path, or
 * from cert_path too when key_path is NULL.  Blocks on the disk.
 * For a key file that every user can read (mode & 0007), `permissions` decides
 * between nothing, a sentence in *warning (may be NULL; "" when there is none),
 * and an error.  An encrypted key is an error, never a prompt.  NULL: *err has
 * the reason.
 */
struct identity *identity_load(const char *cert_path, const char *key_path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err) MUST_CHECK;

/*
 * State shared by many loads: it halves their time, and equal intermediate
 * certificates are stored once.  One thread at a time (several threads: one
 * each); identities outlive it.  NULL: no memory.
 */
struct identity_loader;
struct identity_loader *identity_loader_new(void) MUST_CHECK;
void identity_loader_free(struct identity_loader *loader); /* NULL ok */

/* Identities loaded later share the intermediates of this one.  Without memory
 * they do not. */
void identity_loader_share(
    struct identity_loader *loader, const struct identity *identity);

/* As identity_load. */
struct identity_files {
	const char *cert;
	const char *key; /* NULL: in cert */
	enum config_key_permissions permissions;
	bool in_folder; /* of cert_dir: the configuration names neither file */
};
struct identity *identity_loader_load(struct identity_loader *loader,
    const struct identity_files *files, struct err *warning,
    struct err *err) MUST_CHECK;

struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity); /* NULL ok */

X509 *identity_certificate(const struct identity *identity); /* borrowed */
struct stack_st_X509 *identity_chain(
    const struct identity *identity);                    /* borrowed */
EVP_PKEY *identity_key(const struct identity *identity); /* borrowed */

/* The subject's CN or first DNS SAN, for logs; the dates in epoch seconds. */
const char *identity_name(const struct identity *identity);
int64_t identity_not_before(const struct identity *identity);
int64_t identity_not_after(const struct identity *identity);

/* "EC256", "RSA2048"; types with a single size have none in the name. */
void identity_print_key(EVP_PKEY *key, char *out, size_t max);

/* A certificate in words, for display. */
struct identity_description {
	char id[65];      /* SHA-256 of the DER, hex */
	char serial[64];  /* hex */
	char key[16];     /* "RSA2048", "EC256", "ED25519" */
	char issuer[256]; /* one line, escaped */
};
void identity_describe(
    const struct identity *identity, struct identity_description *description);

enum identity_kind identity_kind(const struct identity *identity);
const char *identity_kind_name(enum identity_kind kind); /* "RSA", ... */

/*
 * The host names of the certificate, normalised as patterns (sni.h), without
 * duplicates: its DNS SANs, or, if there are none, its common name if that is a
 * host name.  RFC 6125 section 6.4.4.  Names that are no pattern (a wildcard in
 * the middle, a NUL) are left out.
 */
size_t identity_pattern_count(const struct identity *identity);
const char *identity_pattern(const struct identity *identity, size_t i);

/*
 * Check the chain above the leaf, for --test.  *sentence names an issuer that
 * is neither in the chain nor in the system's store, and a certificate that
 * issued none of the others; "" when there is neither.  The system's store is
 * read when it is needed first.  chain_check_new: NULL: no memory.
 */
struct chain_check;
struct chain_check *chain_check_new(void) MUST_CHECK;
void chain_check_free(struct chain_check *check); /* NULL ok */
void chain_check_run(struct chain_check *check, const struct identity *identity,
    struct err *sentence);

/* Order two identities by their leaves; 0: the same certificate. */
int identity_compare(const struct identity *a, const struct identity *b);

/* Do both have the same certificates and key? */
bool identity_equal(const struct identity *a, const struct identity *b);

/* In the order in which time reaches them. */
enum validity_warning {
	VALIDITY_FINE,
	VALIDITY_THIRD,     /* a third of the period is left */
	VALIDITY_SIXTH,     /* a sixth */
	VALIDITY_THIRTIETH, /* a thirtieth */
	VALIDITY_ENDED
};

/*
 * The warning level, at now_s, of a certificate or CRL that is valid from
 * from_s to end_s (exclusive; epoch seconds).  A period counts as 90 days at
 * most, so that no warning comes more than 30 days ahead.  end_s INT64_MAX: no
 * end.  Pure; any thread.
 */
enum validity_warning validity_warning(
    int64_t from_s, int64_t end_s, int64_t now_s);

#endif
