/*
 * Certificate slots: the files, the identity that serves, and the one that is
 * to replace it.  Also the certificate files of cert_dir.  Slots are made on
 * the main thread; any thread may release them.
 */
#ifndef RUNTIME_CERT_SLOT_H
#define RUNTIME_CERT_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"
#include "runtime/watch.h"
#include "staple/staple.h"
#include "tls/identity.h"

struct err;
struct identity;
struct identity_loader;

/* ---- Slots ---- */

/* The identity of a slot.  The texts are borrowed in a request and copies in a
 * slot. */
struct cert_slot_key {
	const char *cert;
	const char *key; /* the file of the private key; may be cert itself */
	const char *staple_file; /* or NULL */
	enum config_key_permissions permissions;
	struct staple_policy policy; /* of the listener or host */
	bool in_folder; /* found in cert_dir: a failure leaves it out */
};

struct cert_slot {
	atomic_uint references;

	/* fixed at creation */
	struct cert_slot_key id;
	char *cert; /* what `id` points to */
	char *key;
	char *staple_file;
	struct stamp cert_stamp; /* of the contents that were read */
	struct stamp key_stamp;
	bool settled; /* equal stamps prove that nothing has changed */
	bool bad;     /* the present files cannot be used */
	/* The identity replaced one that ended soon, although no responder can
	 * answer for it and policy requires a staple. */
	bool unstapled;
	/* `identity` is of other files: of the certificate that had this place
	 * before.  No other place shows it. */
	bool predecessor_serves;
	struct identity *identity; /* serves; NULL: none yet */
	struct identity *renewal;  /* waits for its staple; NULL: none */

	/* main thread only */
	enum validity_warning warned; /* the last level logged; expiry.h */
};

/* The order of keys, for trees. */
int cert_slot_compare(
    const struct cert_slot_key *a, const struct cert_slot_key *b);

/* Copies the texts and stamps the files; no identity yet.  NULL: no memory. */
struct cert_slot *cert_slot_new(const struct cert_slot_key *id) MUST_CHECK;

/* The same files and stamps with other identities (references are taken; NULL:
 * none).  NULL: no memory. */
struct cert_slot *cert_slot_copy(const struct cert_slot *from,
    struct identity *identity, struct identity *renewal) MUST_CHECK;

struct cert_slot *cert_slot_ref(struct cert_slot *slot);
void cert_slot_unref(struct cert_slot *slot); /* NULL ok */

/* Are the files unchanged since they were read? */
bool cert_slot_is_current(const struct cert_slot *slot);

/* Do both have equal stamps? */
bool cert_slot_has_equal_stamps(
    const struct cert_slot *a, const struct cert_slot *b);

/* Read the files; *warning as in identity_load.  NULL: *err. */
struct identity *cert_slot_load(const struct cert_slot *slot,
    struct identity_loader *loader, struct err *warning,
    struct err *err) MUST_CHECK;

/* ---- cert_dir ---- */

/* A certificate file and the file of its key: NAME.key beside it, or the file
 * itself; privkey.pem beside a fullchain.pem. */
struct cert_dir_item {
	char *cert;
	char *key;
};

struct cert_dir {
	struct cert_dir_item *items; /* sorted by name */
	size_t count;
	char **folders; /* its folders, where certificates may appear */
	size_t folder_count;
};

/*
 * Every regular file (or symlink to one) that ends in .pem or .crt, and the
 * fullchain.pem of every folder in it, as in certbot's live/.  Names that begin
 * with a dot are skipped, and the other files of certbot beside a
 * fullchain.pem.  false: *err names the folder.  Free in every case.
 */
bool cert_dir_list(
    struct cert_dir *folder, const char *path, struct err *err) MUST_CHECK;
void cert_dir_free(struct cert_dir *folder); /* a zeroed one is fine */

/* ---- Reading many files ---- */

struct preload_item {
	struct cert_slot *slot;    /* stamped before the files are read */
	struct identity *identity; /* NULL: see error */
	char *warning;             /* NULL: none */
	char *error;
};

struct preload {
	struct preload_item *items; /* in the order of the ids */
	size_t count;
	atomic_size_t next;
};

/* Fewer files are read one by one, without threads. */
#define PRELOAD_LEAST 64

/* Read the files of all ids.  false: no memory, and nothing was read.  Free in
 * every case. */
bool preload_run(struct preload *preload, const struct cert_slot_key *ids,
    size_t count) MUST_CHECK;
void preload_free(struct preload *preload); /* a zeroed one is fine */

#endif
