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

/* What certbot writes beside a fullchain.pem and its privkey.pem. */
static bool
is_part(const char *name)
{
	return strcmp(name, "cert.pem") == 0 ||
	       strcmp(name, "chain.pem") == 0 ||
	       strcmp(name, "privkey.pem") == 0;
}

/* A link that leads nowhere is not passed over: the loading reports it. */
static bool
is_something_else(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static bool
is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool
exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
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

/* Takes both paths; NULL: no memory. */
static bool
add_item(struct folder *folder, char *cert, char *key)
{
	struct folder_item *grown = NULL;

	if (cert && key)
		grown = realloc(folder->items,
		    (folder->count + 1) * sizeof(folder->items[0]));
	if (grown == NULL) {
		free(cert);
		free(key);
		return false;
	}
	folder->items = grown;
	grown[folder->count++] = (struct folder_item){ cert, key };
	return true;
}

static bool
add_file(struct folder *folder, const char *path, const char *name)
{
	char *cert = join(path, name);

	if (cert == NULL)
		return false;
	if (!is_something_else(cert))
		return add_item(folder, cert, find_key(cert));
	free(cert);
	return true;
}

static bool
add_pair(struct folder *folder, const char *path)
{
	return add_item(
	    folder, join(path, "fullchain.pem"), join(path, "privkey.pem"));
}

static bool
has(const char *path, const char *name)
{
	char *joined = join(path, name);
	bool there = joined && exists(joined);

	free(joined);
	return there;
}

/* Takes the path. */
static bool
add_folder(struct folder *folder, char *path)
{
	char **grown = realloc(folder->folders,
	    (folder->folder_count + 1) * sizeof(folder->folders[0]));

	if (grown == NULL) {
		free(path);
		return false;
	}
	folder->folders = grown;
	grown[folder->folder_count++] = path;
	return !has(path, "fullchain.pem") || add_pair(folder, path);
}

/* is_pair: there are fullchain.pem and privkey.pem in the folder itself. */
static bool
add(struct folder *folder, const char *path, const struct dirent *entry,
    bool is_pair)
{
	const char *name = entry->d_name;
	char *joined;

	if (name[0] == '.')
		return true;
	if (entry->d_type != DT_REG) {
		joined = join(path, name);
		if (joined == NULL)
			return false;
		if (is_folder(joined))
			return add_folder(folder, joined);
		free(joined);
	}
	if (!is_certificate(name) || (is_pair && is_part(name)))
		return true;
	if (is_pair && strcmp(name, "fullchain.pem") == 0)
		return add_pair(folder, path);
	return add_file(folder, path, name);
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
	bool fine = true, is_pair;

	*folder = (struct folder){ 0 };
	if (dir == NULL) {
		err_set_errno(err, errno, "cannot read the folder %s", path);
		return false;
	}
	is_pair = has(path, "fullchain.pem") && has(path, "privkey.pem");
	while (fine && (entry = readdir(dir)) != NULL)
		fine = add(folder, path, entry, is_pair);
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
	for (i = 0; i < folder->folder_count; i++)
		free(folder->folders[i]);
	free(folder->folders);
	*folder = (struct folder){ 0 };
}
