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
 * A small file that is read whole and whose bytes are cleansed from memory
 * afterwards: PEM files and ticket keys.
 */

struct secret {
	char *data; /* not terminated */
	size_t len;
	unsigned mode; /* permission bits of the file */
};

/* The kind of file that is expected. */
struct secret_kind {
	const char *name; /* "PEM file" */
	size_t max_bytes;
};

/*
 * Read the whole file.  false and *err (a sentence that names the path): it
 * cannot be read, is no regular file, is empty, or is too large for its kind.
 * Call secret_wipe in every case.
 */
bool secret_read(struct secret *secret, const char *path,
    const struct secret_kind *kind, struct err *err) MUST_CHECK;

/* Cleanse and free.  A zeroed struct is fine. */
void secret_wipe(struct secret *secret);

/*
 * Check the mode of a file that contains `what` ("the private key").  If every
 * user can read it (mode & 0007) and `permissions` does not allow that,
 * *sentence names the remedy, else it is "".  false: it is an error.
 */
bool secret_check_mode(const char *what, const char *path, unsigned mode,
    enum config_key_permissions permissions, struct err *sentence) MUST_CHECK;

/*
 * ---- Blocks ----
 *
 * A PEM file as a list of decoded blocks of any type.
 */

struct pem_block {
	char *type;          /* "CERTIFICATE", "PRIVATE KEY", ... */
	char *header;        /* RFC 1421 headers, usually "" */
	unsigned char *data; /* DER, encrypted if the header names a cipher */
	long len;
};

struct pem {
	struct pem_block *blocks;
	size_t count;
	unsigned mode; /* permission bits of the file */
	/* The line, from 1, of the first boundary ("-----BEGIN ") that begins
	 * no block because text precedes it on its line; 0: none. */
	unsigned stray_line;
};

/*
 * Read every block of the file.  false and *err (a sentence that names the
 * path): it cannot be read, is no regular file, is empty or too large, or has
 * no well-formed block.  Call pem_wipe in every case.
 */
bool pem_read(struct pem *pem, const char *path, struct err *err) MUST_CHECK;

/* As pem_read, for files of another kind than certificates and keys. */
struct pem_kind {
	size_t max_bytes;
	const char *command; /* of openssl, to convert DER to PEM: "crl" */
	const char *result;  /* the name of its result: "lists.pem" */
};
bool pem_read_as(struct pem *pem, const char *path, const struct pem_kind *kind,
    struct err *err) MUST_CHECK;

/* By the type of a block (RFC 7468 section 4, and OpenSSL's older labels). */
bool pem_is_certificate(const char *type);
bool pem_is_key(const char *type);
bool pem_is_crl(const char *type); /* a CRL */

/*
 * The parts of the file that its reader does not use: a stray boundary, or the
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
 * The certificates of a PEM file, leaf first, in the order of the file; other
 * blocks are skipped.
 */

struct chain {
	X509 *leaf;
	struct stack_st_X509 *rest; /* without the leaf; perhaps empty */
};

/* false: *err names the path: it has no certificate, one is damaged, or (load)
 * it cannot be read.  Call chain_drop in every case.  cache: for the
 * certificates behind the leaf; NULL: none. */
bool chain_decode(struct chain *chain, struct chain_cache *cache,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;
bool chain_load(
    struct chain *chain, const char *path, struct err *err) MUST_CHECK;
void chain_drop(struct chain *chain); /* a zeroed one is fine */

/* Text for logs: the serial number in hex, and a name (the issuer's) in the
 * form of RFC 4514, escaped; cut to max bytes. */
void chain_print_serial(const X509 *certificate, char *text, size_t max);
void chain_print_name(const struct X509_name_st *name, char *text, size_t max);
void chain_print_issuer(const X509 *certificate, char *text, size_t max);

/*
 * ---- Shared certificates ----
 *
 * Certificates that many chains share, decoded once and stored once: a thousand
 * sites of one CA have the same intermediates.  One thread at a time;
 * the certificates may outlive the cache.
 */

struct chain_cache *chain_cache_new(void) MUST_CHECK; /* NULL: no memory */
void chain_cache_free(struct chain_cache *cache);     /* NULL ok */

/*
 * The certificate of these bytes (as in PEM: DER, perhaps followed by OpenSSL's
 * trust settings), from the cache or decoded; the caller frees its reference.
 * cache NULL: always decoded.  NULL: damaged, or no memory; OpenSSL's queue has
 * the reason.
 */
struct x509_st *chain_cache_decode(struct chain_cache *cache,
    const unsigned char *bytes, size_t len) MUST_CHECK;

/* Return this certificate for equal bytes from now on.  Without memory: not. */
void chain_cache_add(struct chain_cache *cache, struct x509_st *certificate);

/* ---- The key among the blocks ---- */

/* State shared by many decodings.  One thread at a time.  NULL: no memory. */
struct key_decoder *key_decoder_new(void) MUST_CHECK;
void key_decoder_free(struct key_decoder *decoder); /* NULL ok */

/*
 * Decode the first private key of the file.  decoder may be NULL: slower.
 * `path` names the file in sentences.  NULL and *err: there is no key, it is
 * encrypted (never a prompt), of a type that TLS cannot use, or damaged.  The
 * caller frees it.
 */
struct evp_pkey_st *key_decode(struct key_decoder *decoder,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;

#endif
