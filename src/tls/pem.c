/*
 * PEM files.  Main thread.  The file is read whole and once, so that the
 * certificate and the key of a shared file come from the same version of it;
 * blocks are unwrapped as bytes, because OpenSSL's own readers of keys try
 * every decoder they know and take four times as long.
 */
#include "tls/pem.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/secret.h"

static bool
add_block(struct pem *pem, const struct pem_block *block)
{
	struct pem_block *grown = realloc(
	    pem->blocks, (pem->count + 1) * sizeof(pem->blocks[0]));

	if (grown == NULL)
		return false;
	pem->blocks = grown;
	pem->blocks[pem->count++] = *block;
	return true;
}

static void
free_block(struct pem_block *block)
{
	OPENSSL_secure_free(block->type);
	OPENSSL_secure_free(block->header);
	OPENSSL_secure_clear_free(block->data, (size_t)block->len);
}

/* true: a block, or the end of the file (then *more is false). */
static bool
next_block(struct pem *pem, BIO *bio, bool *more)
{
	struct pem_block block = { 0 };
	unsigned long code;

	*more = PEM_read_bio_ex(bio, &block.type, &block.header, &block.data,
		    &block.len, PEM_FLAG_SECURE) == 1;
	if (*more) {
		if (add_block(pem, &block))
			return true;
		free_block(&block);
		return false;
	}
	code = ERR_peek_last_error();
	if (ERR_GET_LIB(code) != ERR_LIB_PEM ||
	    ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
		return false;
	tls_error_clear();
	return true;
}

static bool
split(struct pem *pem, const struct secret *text, const char *path,
    const struct pem_kind *kind, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
	bool more = bio != NULL, ok = more;

	tls_error_clear();
	while (ok && more)
		ok = next_block(pem, bio, &more);
	BIO_free(bio);
	if (!ok) {
		tls_error_set(
		    err, "%s: PEM block %zu is damaged", path, pem->count + 1);
		return false;
	}
	if (pem->count == 0) {
		err_set(err,
		    "%s holds no PEM block; convert DER with: "
		    "openssl %s -inform der -in %s -out %s",
		    path, kind->command, path, kind->result);
		return false;
	}
	return true;
}

bool
pem_read_as(struct pem *pem, const char *path, const struct pem_kind *kind,
    struct err *err)
{
	const struct secret_kind file = { "PEM file", kind->max_bytes };
	struct secret text;
	bool ok;

	*pem = (struct pem){ 0 };
	ok = secret_read(&text, path, &file, err) &&
	     split(pem, &text, path, kind, err);
	pem->mode = text.mode;
	secret_wipe(&text);
	return ok;
}

bool
pem_read(struct pem *pem, const char *path, struct err *err)
{
	static const struct pem_kind kind = { 1024 * 1024, "x509", "site.pem" };

	return pem_read_as(pem, path, &kind, err);
}

void
pem_wipe(struct pem *pem)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		free_block(&pem->blocks[i]);
	free(pem->blocks);
	*pem = (struct pem){ 0 };
}
