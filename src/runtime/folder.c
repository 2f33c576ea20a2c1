/*
 * The files of cert_dir.  Main thread.  They are sorted, so that which one is
 * the listener's default does not depend on the file system.
 */
#include "runtime/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define SUFFIX_LEN 4 /* of ".pem" and ".crt" */

static bool
is_certificate(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > SUFFIX_LEN &&
	       (strcmp(name + len - SUFFIX_LEN, ".pem") == 0 ||
		   strcmp(name + len - SUFFIX_LEN, ".crt") == 0);
}

/* A link that leads nowhere is not passed over: whoever loads it says so. */
static bool
is_something_else(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static char *
join(const char *path, const char *name)
{
	char *joined = NULL;

	return asprintf(&joined, "%s/%s", path, name) < 0 ? NULL : joined;
}

/* site.key for site.pem, if there is one; else the file itself. */
static char *
find_key(const char *cert)
{
	char *key = strdup(cert);

	if (key == NULL)
		return NULL;
	memcpy(key + strlen(key) - SUFFIX_LEN, ".key", SUFFIX_LEN);
	if (access(key, F_OK) != 0)
		memcpy(key, cert, strlen(cert));
	return key;
}

static bool
add(struct folder *folder, const char *path, const char *name)
{
	struct folder_item item = { .cert = join(path, name) };
	struct folder_item *grown;

	if (item.cert == NULL)
		return false;
	if (is_something_else(item.cert)) {
		free(item.cert);
		return true;
	}
	item.key = find_key(item.cert);
	grown = realloc(
	    folder->items, (folder->count + 1) * sizeof(folder->items[0]));
	if (grown)
		folder->items = grown;
	if (grown == NULL || item.key == NULL) {
		free(item.cert);
		free(item.key);
		return false;
	}
	folder->items[folder->count++] = item;
	return true;
}

static int
compare(const void *a, const void *b)
{
	const struct folder_item *first = a, *second = b;

	return strcmp(first->cert, second->cert);
}

bool
folder_list(struct folder *folder, const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool fine = true;

	*folder = (struct folder){ 0 };
	if (dir == NULL) {
		err_set_errno(err, errno, "cannot read the folder %s", path);
		return false;
	}
	while (fine && (entry = readdir(dir)) != NULL)
		fine = !is_certificate(entry->d_name) ||
		       add(folder, path, entry->d_name);
	closedir(dir);
	if (!fine)
		err_set(err, "out of memory reading the folder %s", path);
	if (folder->count > 1)
		qsort(folder->items, folder->count, sizeof(folder->items[0]),
		    compare);
	return fine;
}

void
folder_free(struct folder *folder)
{
	size_t i;

	for (i = 0; i < folder->count; i++) {
		free(folder->items[i].cert);
		free(folder->items[i].key);
	}
	free(folder->items);
	*folder = (struct folder){ 0 };
}
