/*
 * cert_dir: which files of a folder are certificates.  Main thread; blocks on
 * the disk.
 */
#ifndef RUNTIME_FOLDER_H
#define RUNTIME_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;

/* One file, and where its key is: NAME.key beside it, or the file itself;
 * privkey.pem beside a fullchain.pem. */
struct folder_item {
	char *cert;
	char *key;
};

struct folder {
	struct folder_item *items; /* sorted by name */
	size_t count;
	char **folders; /* in it, for certificates that come later */
	size_t folder_count;
};

/*
 * Every regular file (or symlink to one) that ends in .pem or .crt, and the
 * fullchain.pem of every folder in it, as in certbot's live/.  Names that begin
 * with a dot are passed over, and the other files of certbot beside a
 * fullchain.pem.  false: *err names the folder.  Free in every case.
 */
bool folder_list(
    struct folder *folder, const char *path, struct err *err) MUST_CHECK;
void folder_free(struct folder *folder); /* a zeroed one is fine */

#endif
