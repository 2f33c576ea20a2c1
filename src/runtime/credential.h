/*
 * One certificate in use: the files it came from, the identity that serves,
 * and the one that waits to replace it.  Fixed once made, but for what is said
 * to be the main thread's; counted, so that generations share those whose
 * files have not changed.  Made on the main thread; any thread may let go.
 */
#ifndef RUNTIME_CREDENTIAL_H
#define RUNTIME_CREDENTIAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"
#include "runtime/watch.h"
#include "staple/staple.h"
#include "tls/validity.h"

struct err;
struct identity;
struct identity_loader;

/* What tells one from another.  Borrowed texts in a question, copies in a
 * credential. */
struct credential_key {
	const char *cert;
	const char *key;         /* the file of the key; perhaps cert itself */
	const char *staple_file; /* or NULL */
	enum config_key_permissions permissions;
	struct staple_policy policy; /* of those who show it */
	bool in_folder; /* found in cert_dir: failing keeps it out, not us */
};

struct credential {
	atomic_uint references;

	/* fixed at creation */
	struct credential_key id;
	char *cert; /* what id points to */
	char *key;
	char *staple_file;
	struct stamp cert_stamp; /* of what was read */
	struct stamp key_stamp;
	bool settled; /* equal stamps prove that nothing has changed */
	bool bad;     /* what the files hold now cannot be used */
	/* The identity replaced one that was about to end, although no
	 * responder can answer for it and policy demands a staple. */
	bool unstapled;
	struct identity *identity; /* serves; NULL: none yet */
	struct identity *renewal;  /* waits for its staple; NULL: none */

	/* main thread only */
	enum validity_warning warned; /* the last level logged; expiry.h */
};

/* Order of keys, for trees. */
int credential_compare(
    const struct credential_key *a, const struct credential_key *b);

/* With copies of the texts and the stamps of now; no identity yet.  NULL: no
 * memory. */
struct credential *credential_new(const struct credential_key *id) MUST_CHECK;

/* The same files and stamps with another pair of identities, both referenced,
 * NULL for none.  NULL: no memory. */
struct credential *credential_copy(const struct credential *from,
    struct identity *identity, struct identity *renewal) MUST_CHECK;

struct credential *credential_ref(struct credential *credential);
void credential_unref(struct credential *credential); /* NULL ok */

/* Have its files not been touched since they were read? */
bool credential_is_current(const struct credential *credential);

/* Were the files of both in one state when they were read? */
bool credential_has_equal_stamps(
    const struct credential *a, const struct credential *b);

/* Read the files; *warning as in identity_load.  NULL: *err. */
struct identity *credential_load(const struct credential *credential,
    struct identity_loader *loader, struct err *warning,
    struct err *err) MUST_CHECK;

#endif
