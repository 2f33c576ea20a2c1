/*
 * Certificate slots, the certificate files of cert_dir, and reading many of
 * them at once.  Main thread, except for the helpers of preload_run() and the
 * last cert_slot_unref().
 *
 * Stamps are taken before the files are read: a change in between is found by
 * the next comparison and never missed.  The files of cert_dir are sorted, so
 * that the listener's default does not depend on the file system.
 */
#include "runtime/cert_slot.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/thread.h"
#include "runtime/process.h"
#include "tls/identity.h"

/* ---- Slots ---- */

#define NS_PER_MS 1000000

static int
compare_texts(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int
compare_numbers(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

int
cert_slot_compare(const struct cert_slot_key *a, const struct cert_slot_key *b)
{
	int order = strcmp(a->cert, b->cert);

	if (order == 0)
		order = strcmp(a->key, b->key);
	if (order == 0)
		order = compare_texts(a->staple_file, b->staple_file);
	if (order == 0)
		order = compare_numbers(a->permissions, b->permissions);
	if (order == 0)
		order = compare_numbers(a->policy.mode, b->policy.mode);
	if (order == 0)
		order = compare_numbers(
		    a->policy.without_staple, b->policy.without_staple);
	if (order == 0)
		order = compare_numbers(
		    a->policy.on_revoked, b->policy.on_revoked);
	return order == 0 ? compare_numbers(a->in_folder, b->in_folder) : order;
}

/* Copy the texts of the id; all of them, or false. */
static bool
own_texts(struct cert_slot *slot)
{
	struct cert_slot_key *id = &slot->id;
	bool has_file = id->staple_file != NULL;

	slot->cert = strdup(id->cert);
	slot->key = strdup(id->key);
	slot->staple_file = has_file ? strdup(id->staple_file) : NULL;
	id->cert = slot->cert;
	id->key = slot->key;
	id->staple_file = slot->staple_file;
	return id->cert && id->key && (id->staple_file || !has_file);
}

struct cert_slot *
cert_slot_new(const struct cert_slot_key *id)
{
	struct cert_slot *slot = calloc(1, sizeof(*slot));
	int64_t now_ns = clock_wall_ms() * NS_PER_MS;

	if (slot == NULL)
		return NULL;
	atomic_init(&slot->references, 1);
	slot->id = *id;
	if (!own_texts(slot)) {
		cert_slot_unref(slot);
		return NULL;
	}
	slot->cert_stamp = stamp_of(id->cert);
	slot->key_stamp = stamp_of(id->key);
	slot->settled = stamp_is_settled(&slot->cert_stamp, now_ns) &&
			stamp_is_settled(&slot->key_stamp, now_ns);
	return slot;
}

struct cert_slot *
cert_slot_copy(const struct cert_slot *from, struct identity *identity,
    struct identity *renewal)
{
	struct cert_slot *copy = calloc(1, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *from;
	atomic_init(&copy->references, 1);
	copy->identity = identity ? identity_ref(identity) : NULL;
	copy->renewal = renewal ? identity_ref(renewal) : NULL;
	if (identity != from->identity) {
		copy->warned = VALIDITY_FINE;
		copy->predecessor_serves = false;
	}
	if (own_texts(copy))
		return copy;
	cert_slot_unref(copy);
	return NULL;
}

struct cert_slot *
cert_slot_ref(struct cert_slot *slot)
{
	atomic_fetch_add_explicit(&slot->references, 1, memory_order_relaxed);
	return slot;
}

void
cert_slot_unref(struct cert_slot *slot)
{
	if (slot == NULL || atomic_fetch_sub_explicit(
				&slot->references, 1, memory_order_acq_rel) > 1)
		return;
	identity_unref(slot->identity);
	identity_unref(slot->renewal);
	free(slot->cert);
	free(slot->key);
	free(slot->staple_file);
	free(slot);
}

bool
cert_slot_is_current(const struct cert_slot *slot)
{
	struct stamp cert, key;

	if (!slot->settled)
		return false;
	cert = stamp_of(slot->id.cert);
	key = stamp_of(slot->id.key);
	return stamp_equal(&cert, &slot->cert_stamp) &&
	       stamp_equal(&key, &slot->key_stamp);
}

bool
cert_slot_has_equal_stamps(const struct cert_slot *a, const struct cert_slot *b)
{
	return stamp_equal(&a->cert_stamp, &b->cert_stamp) &&
	       stamp_equal(&a->key_stamp, &b->key_stamp);
}

struct identity *
cert_slot_load(const struct cert_slot *slot, struct identity_loader *loader,
    struct err *warning, struct err *err)
{
	const struct identity_files files = {
		.cert = slot->id.cert,
		.key = slot->id.key,
		.permissions = slot->id.permissions,
		.in_folder = slot->id.in_folder,
	};

	return identity_loader_load(loader, &files, warning, err);
}

/* ---- cert_dir ---- */

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

/* A dangling link is not skipped: loading it reports the error. */
static bool
is_something_else(const char *path)
{
	struct stat status;

	return file_stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static bool
is_folder(const char *path)
{
	struct stat status;

	return file_stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool
exists(const char *path)
{
	struct stat status;

	return file_lstat(path, &status) == 0;
}

/* As exists(), of the target of a link. */
static bool
can_stat(const char *path)
{
	struct stat status;

	return file_stat(path, &status) == 0;
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
	if (!can_stat(key))
		memcpy(key, cert, strlen(cert));
	return key;
}

/* Takes both paths; NULL: no memory. */
static bool
add_item(struct cert_dir *folder, char *cert, char *key)
{
	struct cert_dir_item *grown = NULL;

	if (cert && key)
		grown = realloc(folder->items,
		    (folder->count + 1) * sizeof(folder->items[0]));
	if (grown == NULL) {
		free(cert);
		free(key);
		return false;
	}
	folder->items = grown;
	grown[folder->count++] = (struct cert_dir_item){ cert, key };
	return true;
}

static bool
add_file(struct cert_dir *folder, const char *path, const char *name)
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
add_pair(struct cert_dir *folder, const char *path)
{
	return add_item(
	    folder, join(path, "fullchain.pem"), join(path, "privkey.pem"));
}

static bool
has_file(const char *path, const char *name)
{
	char *joined = join(path, name);
	bool there = joined && exists(joined);

	free(joined);
	return there;
}

/* Takes the path. */
static bool
add_folder(struct cert_dir *folder, char *path)
{
	char **grown = realloc(folder->folders,
	    (folder->folder_count + 1) * sizeof(folder->folders[0]));

	if (grown == NULL) {
		free(path);
		return false;
	}
	folder->folders = grown;
	grown[folder->folder_count++] = path;
	return !has_file(path, "fullchain.pem") || add_pair(folder, path);
}

/* is_pair: there are fullchain.pem and privkey.pem in the folder itself. */
static bool
add_entry(struct cert_dir *folder, const char *path, const struct dirent *entry,
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
compare_items(const void *a, const void *b)
{
	const struct cert_dir_item *first = a, *second = b;

	return strcmp(first->cert, second->cert);
}

bool
cert_dir_list(struct cert_dir *folder, const char *path, struct err *err)
{
	DIR *dir = file_open_folder(path);
	struct dirent *entry;
	bool fine = true, is_pair;

	*folder = (struct cert_dir){ 0 };
	if (dir == NULL) {
		err_set_errno(err, errno, "cannot read the folder %s", path);
		return file_explain(err);
	}
	is_pair = has_file(path, "fullchain.pem") &&
		  has_file(path, "privkey.pem");
	while (fine && (entry = readdir(dir)) != NULL)
		fine = add_entry(folder, path, entry, is_pair);
	closedir(dir);
	if (!fine)
		err_set(err, "out of memory reading the folder %s", path);
	if (folder->count > 1)
		qsort(folder->items, folder->count, sizeof(folder->items[0]),
		    compare_items);
	return fine;
}

void
cert_dir_free(struct cert_dir *folder)
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
	*folder = (struct cert_dir){ 0 };
}

/* ---- Reading many files ---- */

/* More threads gain little, because of OpenSSL's own locks. */
#define THREADS_MAX 4

static char *
keep_text(const struct err *err)
{
	return err->text[0] ? strdup(err->text) : NULL;
}

static void
read_one(struct preload_item *item, struct identity_loader *loader)
{
	struct err warning = { "" }, err = { "" };

	item->identity = cert_slot_load(item->slot, loader, &warning, &err);
	item->warning = keep_text(&warning);
	item->error = keep_text(&err);
}

static void
read_some(void *arg)
{
	struct identity_loader *loader = identity_loader_new();
	struct preload *preload = arg;
	size_t i;

	if (loader == NULL)
		return; /* the others continue; unread items report no memory */
	while ((i = atomic_fetch_add(&preload->next, 1)) < preload->count)
		read_one(&preload->items[i], loader);
	identity_loader_free(loader);
}

static void
read_all(struct preload *preload)
{
	struct thread helpers[THREADS_MAX];
	unsigned i, count = 0, wanted = cpus_count();

	if (wanted > THREADS_MAX)
		wanted = THREADS_MAX;
	for (; count + 1 < wanted; count++)
		if (!thread_start(
			&helpers[count], "preload", read_some, preload, NULL))
			break;
	read_some(preload);
	for (i = 0; i < count; i++)
		thread_join(&helpers[i]);
}

bool
preload_run(
    struct preload *preload, const struct cert_slot_key *ids, size_t count)
{
	*preload = (struct preload){ 0 };
	preload->items = calloc(count, sizeof(preload->items[0]));
	if (preload->items == NULL)
		return false;
	atomic_init(&preload->next, 0);
	for (; preload->count < count; preload->count++) {
		preload->items[preload->count].slot = cert_slot_new(
		    &ids[preload->count]);
		if (preload->items[preload->count].slot == NULL)
			return false;
	}
	read_all(preload);
	return true;
}

void
preload_free(struct preload *preload)
{
	struct preload_item *item;

	while (preload->count > 0) {
		item = &preload->items[--preload->count];
		cert_slot_unref(item->slot);
		identity_unref(item->identity);
		free(item->warning);
		free(item->error);
	}
	free(preload->items);
	*preload = (struct preload){ 0 };
}
