/*
 * PEM files.  Main thread.  The file is read whole and once, so that the
 * certificate and the key of a shared file come from the same version of it;
 * blocks are unwrapped as bytes, because OpenSSL's own readers of keys try
 * every decoder they know and take four times as long.
 */
#include "tls/pem.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/secret.h"

/*
 * White space may follow a boundary or a line of base64 (RFC 7468 section 2
 * asks parsers to accept it).  PEM_FLAG_EAY_COMPATIBLE strips it, as the
 * ordinary readers of OpenSSL do.
 */
enum { READ_FLAGS = PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE };

bool
pem_is_certificate(const char *type)
{
	return strcmp(type, "CERTIFICATE") == 0 ||
	       strcmp(type, "X509 CERTIFICATE") == 0 ||
	       strcmp(type, "TRUSTED CERTIFICATE") == 0;
}

bool
pem_is_key(const char *type)
{
	static const char tail[] = "PRIVATE KEY";
	size_t len = strlen(type), tail_len = sizeof(tail) - 1;

	return len >= tail_len && strcmp(type + len - tail_len, tail) == 0;
}

bool
pem_is_list(const char *type)
{
	return strcmp(type, "X509 CRL") == 0;
}

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
		    &block.len, READ_FLAGS) == 1;
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

/* PEM_read_bio_ex passes over a boundary that does not begin its line. */
static void
find_strays(struct pem *pem, const struct secret *text)
{
	static const char boundary[] = "-----BEGIN ";
	const char *at = text->data, *end = at + text->len, *line = at, *found;
	unsigned number = 1;

	while ((found = memmem(at, (size_t)(end - at), boundary,
		    sizeof(boundary) - 1)) != NULL) {
		for (; at < found; at++) {
			if (*at != '\n')
				continue;
			line = at + 1;
			number++;
		}
		if (found != line && pem->stray_count++ == 0)
			pem->stray_line = number;
		at = found + 1;
	}
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
	if (ok)
		find_strays(pem, &text);
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
pem_describe_unused(const struct pem *pem, const char *path,
    bool (*is_used)(const char *type), struct err *sentence)
{
	size_t i;

	err_set(sentence, "%s", "");
	if (pem->stray_count > 0) {
		err_set(sentence,
		    "%s:%u: text before -----BEGIN on the same line: the block "
		    "is not read; put the boundary on a line of its own",
		    path, pem->stray_line);
		return;
	}
	for (i = 0; i < pem->count; i++) {
		if (is_used(pem->blocks[i].type))
			continue;
		err_set(sentence, "%s: PEM block %zu (%s) is not used", path,
		    i + 1, pem->blocks[i].type);
		return;
	}
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
