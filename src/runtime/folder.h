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

/* One file, and where its key is: NAME.key beside it, or the file itself. */
struct folder_item {
	char *cert;
	char *key;
};

struct folder {
	struct folder_item *items; /* sorted by name */
	size_t count;
};

/*
 * Every regular file (or symlink to one) that ends in .pem or .crt and does
 * not begin with a dot.  false: *err names the folder.  Free in every case.
 */
bool folder_list(
    struct folder *folder, const char *path, struct err *err) MUST_CHECK;
void folder_free(struct folder *folder); /* a zeroed one is fine */

#endif
