/*
 * A small file read whole, whose bytes are wiped from memory afterwards: PEM
 * files and ticket keys.  Main thread (blocks on the disk).
 */
#ifndef TLS_SECRET_H
#define TLS_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct err;

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

#endif
