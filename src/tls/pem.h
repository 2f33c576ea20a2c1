/*
 * PEM files: the bytes of a file, its blocks, and the certificates and the key
 * among them.  Plain values with one owner.  Main thread (blocks on the disk).
 */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct chain_cache;
struct err;
struct key_decoder;

typedef struct x509_st X509;
struct evp_pkey_st;
struct stack_st_X509;
struct X509_name_st;

/*
 * ---- Files ----
 *
 * A small file read whole, whose bytes are wiped from memory afterwards: PEM
 * files and ticket keys.
 */

struct secret {
	char *data; /* not terminated */
	size_t len;
	unsigned mode; /* permission bits of the file */
};

/* What it should be. */
struct secret_kind {
	const char *name; /* "PEM file" */
	size_t max_bytes;
};

/*
 * Read all of it.  false and *err (a sentence that names the path): it cannot
 * be read, is no regular file, is empty, or too large for what it should be.
 * Wipe with secret_wipe in every case.
 */
bool secret_read(struct secret *secret, const char *path,
    const struct secret_kind *kind, struct err *err) MUST_CHECK;

/* Cleanse and free.  A zeroed struct is fine. */
void secret_wipe(struct secret *secret);

/*
 * May a file that everybody can read (mode & 0007) hold `what` ("the private
 * key")?  *sentence says what to do, "" when there is nothing to say.
 */
bool secret_check_mode(const char *what, const char *path, unsigned mode,
    enum config_key_permissions permissions, struct err *sentence) MUST_CHECK;

/*
 * ---- Blocks ----
 *
 * A PEM file as a list of decoded blocks, whatever they mean.
 */

struct pem_block {
	char *type;          /* "CERTIFICATE", "PRIVATE KEY", ... */
	char *header;        /* RFC 1421 headers, usually "" */
	unsigned char *data; /* DER, still encrypted if header says so */
	long len;
};

struct pem {
	struct pem_block *blocks;
	size_t count;
	unsigned mode; /* permission bits of the file */
	/* The line, from 1, of the first boundary ("-----BEGIN ") that begins
	 * no block, because other text stands before it; 0: none. */
	unsigned stray_line;
};

/*
 * Read every block of the file.  false and *err (a sentence that names the
 * path): it cannot be read, is no regular file, is empty, too large, or holds
 * no well-formed block.  Wipe with pem_wipe in every case.
 */
bool pem_read(struct pem *pem, const char *path, struct err *err) MUST_CHECK;

/* As pem_read, for files of another kind than certificates and keys. */
struct pem_kind {
	size_t max_bytes;
	const char *command; /* of openssl, that makes PEM of DER: "crl" */
	const char *result;  /* such a file's name: "lists.pem" */
};
bool pem_read_as(struct pem *pem, const char *path, const struct pem_kind *kind,
    struct err *err) MUST_CHECK;

/* By the type of a block (RFC 7468 section 4, and OpenSSL's older words). */
bool pem_is_certificate(const char *type);
bool pem_is_key(const char *type);
bool pem_is_crl(const char *type); /* a CRL */

/*
 * What the file holds that its reader does not use: a stray boundary, and the
 * first block of a type for which is_used is false.  *sentence names the path
 * and the block; "" when everything is used.
 */
void pem_describe_unused(const struct pem *pem, const char *path,
    bool (*is_used)(const char *type), struct err *sentence);

/* Cleanse and free.  A zeroed struct is fine. */
void pem_wipe(struct pem *pem);

/*
 * ---- Chains ----
 *
 * The certificates of a PEM file, leaf first, in the file's order; other blocks
 * are passed over.
 */

struct chain {
	X509 *leaf;
	struct stack_st_X509 *rest; /* without the leaf; perhaps empty */
};

/* false: *err names the path: no certificate in it, one is damaged, or (load)
 * it cannot be read.  Drop it in every case.  cache: for those behind the
 * leaf; NULL: none. */
bool chain_decode(struct chain *chain, struct chain_cache *cache,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;
bool chain_load(
    struct chain *chain, const char *path, struct err *err) MUST_CHECK;
void chain_drop(struct chain *chain); /* a zeroed one is fine */

/* For people: the serial number in hex, and a name (that of the issuer) as RFC
 * 4514 writes it, escaped; cut to max bytes. */
void chain_print_serial(const X509 *certificate, char *text, size_t max);
void chain_print_name(const struct X509_name_st *name, char *text, size_t max);
void chain_print_issuer(const X509 *certificate, char *text, size_t max);

/*
 * ---- Certificates in common ----
 *
 * Certificates that many chains share, decoded once and held once: a thousand
 * sites of one authority send the same intermediates.  One thread at a time;
 * the certificates may outlive the cache.
 */

struct chain_cache *chain_cache_new(void) MUST_CHECK; /* NULL: no memory */
void chain_cache_free(struct chain_cache *cache);     /* NULL ok */

/*
 * The certificate of these bytes (as in PEM: DER, perhaps with OpenSSL's trust
 * settings behind it), seen before or decoded now; the caller frees its
 * reference.  cache NULL: always decoded.  NULL: damaged, or no memory;
 * OpenSSL's queue says which.
 */
struct x509_st *chain_cache_decode(struct chain_cache *cache,
    const unsigned char *bytes, size_t len) MUST_CHECK;

/* Use this one for equal bytes from now on.  Best effort. */
void chain_cache_add(struct chain_cache *cache, struct x509_st *certificate);

/* ---- The key among the blocks ---- */

/* What decoding many keys shares.  One thread at a time.  NULL: no memory. */
struct key_decoder *key_decoder_new(void) MUST_CHECK;
void key_decoder_free(struct key_decoder *decoder); /* NULL ok */

/*
 * Decode the first private key of the file.  decoder may be NULL: slower.
 * `path` names the file in sentences.  NULL and *err: there is none, it is
 * encrypted (never a prompt), of a kind TLS has no use for, or damaged.  The
 * caller frees it.
 */
struct evp_pkey_st *key_decode(struct key_decoder *decoder,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;

#endif
