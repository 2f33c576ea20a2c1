/*
 * PEM files.  Main thread.  The file is read whole and once, so that the
 * certificate and the key of a shared file come from the same version of it;
 * blocks are unwrapped as bytes, because OpenSSL's own readers of keys try
 * every decoder they know and take four times as long.
 */
#include "tls/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/err.h"
#include "tls/error.h"

enum { FILE_MAX = 1024 * 1024 };

/* A file's contents; data is cleansed by whoever drops it. */
struct text {
	char *data;
	size_t len;
};

static void
drop_text(struct text *text)
{
	OPENSSL_clear_free(text->data, text->len);
	*text = (struct text){ 0 };
}

static bool
check_kind(const struct stat *st, const char *path, struct err *err)
{
	if (S_ISDIR(st->st_mode)) {
		err_set(err, "%s is a directory, not a PEM file", path);
		return false;
	}
	if (!S_ISREG(st->st_mode)) {
		err_set(err, "%s is not a regular file", path);
		return false;
	}
	if (st->st_size == 0) {
		err_set(err, "%s is empty", path);
		return false;
	}
	if (st->st_size > FILE_MAX) {
		err_set(err, "%s is larger than 1 MiB: no PEM file", path);
		return false;
	}
	return true;
}

/* len is what fstat said; a file that has shrunk since ends earlier. */
static bool
fill_text(struct text *text, int fd, const char *path, struct err *err)
{
	size_t max = text->len;
	ssize_t n = 1;

	text->len = 0;
	while (n > 0 && text->len < max) {
		n = read(fd, text->data + text->len, max - text->len);
		if (n > 0)
			text->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		err_set_errno(err, errno, "cannot read %s", path);
	return n >= 0;
}

static bool
read_text(struct text *text, unsigned *mode, const char *path, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not hang the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	bool ok = false;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set_errno(err, errno, "cannot read %s", path);
		goto out;
	}
	if (!check_kind(&st, path, err))
		goto out;
	*mode = st.st_mode & 07777;
	text->len = (size_t)st.st_size;
	text->data = OPENSSL_zalloc(text->len);
	if (text->data == NULL) {
		err_set(err, "out of memory reading %s", path);
		goto out;
	}
	ok = fill_text(text, fd, path, err);
out:
	if (fd >= 0)
		close(fd);
	return ok;
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
split(
    struct pem *pem, const struct text *text, const char *path, struct err *err)
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
		    "openssl x509 -inform der -in %s -out site.pem",
		    path, path);
		return false;
	}
	return true;
}

bool
pem_read(struct pem *pem, const char *path, struct err *err)
{
	struct text text = { 0 };
	bool ok;

	*pem = (struct pem){ 0 };
	ok = read_text(&text, &pem->mode, path, err) &&
	     split(pem, &text, path, err);
	drop_text(&text);
	return ok;
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
