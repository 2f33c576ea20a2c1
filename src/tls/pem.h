/*
 * A PEM file as a list of decoded blocks.  What a block means is the caller's
 * business; that a file can be read at all, and that its bytes are wiped from
 * memory afterwards, is decided here.  Main thread (blocks on the disk).
 */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;

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
bool pem_is_list(const char *type); /* a CRL */

/*
 * What the file holds that its reader does not use: a stray boundary, and the
 * first block of a type for which is_used is false.  *sentence names the path
 * and the block; "" when everything is used.
 */
void pem_describe_unused(const struct pem *pem, const char *path,
    bool (*is_used)(const char *type), struct err *sentence);

/* Cleanse and free.  A zeroed struct is fine. */
void pem_wipe(struct pem *pem);

#endif
