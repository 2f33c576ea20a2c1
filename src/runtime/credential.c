/*
 * One certificate in use.  Main thread, but for the last unref.  Stamps are
 * taken before the files are read: what changes in between is seen as a change
 * by the next look, and never missed.
 */
#include "runtime/credential.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tls/identity.h"

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
credential_compare(
    const struct credential_key *a, const struct credential_key *b)
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

/* The id's texts become the credential's own; all of them, or NULL. */
static bool
own_texts(struct credential *credential)
{
	struct credential_key *id = &credential->id;
	bool has_file = id->staple_file != NULL;

	credential->cert = strdup(id->cert);
	credential->key = strdup(id->key);
	credential->staple_file = has_file ? strdup(id->staple_file) : NULL;
	id->cert = credential->cert;
	id->key = credential->key;
	id->staple_file = credential->staple_file;
	return id->cert && id->key && (id->staple_file || !has_file);
}

struct credential *
credential_new(const struct credential_key *id)
{
	struct credential *credential = calloc(1, sizeof(*credential));
	int64_t now_ns = clock_wall_ms() * NS_PER_MS;

	if (credential == NULL)
		return NULL;
	atomic_init(&credential->references, 1);
	credential->id = *id;
	if (!own_texts(credential)) {
		credential_unref(credential);
		return NULL;
	}
	credential->cert_stamp = stamp_of(id->cert);
	credential->key_stamp = stamp_of(id->key);
	credential->settled = stamp_is_settled(
				  &credential->cert_stamp, now_ns) &&
			      stamp_is_settled(&credential->key_stamp, now_ns);
	return credential;
}

struct credential *
credential_copy(const struct credential *from, struct identity *identity,
    struct identity *renewal)
{
	struct credential *copy = calloc(1, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *from;
	atomic_init(&copy->references, 1);
	copy->identity = identity ? identity_ref(identity) : NULL;
	copy->renewal = renewal ? identity_ref(renewal) : NULL;
	if (identity != from->identity)
		copy->warned = VALIDITY_FINE;
	if (own_texts(copy))
		return copy;
	credential_unref(copy);
	return NULL;
}

struct credential *
credential_ref(struct credential *credential)
{
	atomic_fetch_add_explicit(
	    &credential->references, 1, memory_order_relaxed);
	return credential;
}

void
credential_unref(struct credential *credential)
{
	if (credential == NULL ||
	    atomic_fetch_sub_explicit(
		&credential->references, 1, memory_order_acq_rel) > 1)
		return;
	identity_unref(credential->identity);
	identity_unref(credential->renewal);
	free(credential->cert);
	free(credential->key);
	free(credential->staple_file);
	free(credential);
}

bool
credential_is_current(const struct credential *credential)
{
	struct stamp cert, key;

	if (!credential->settled)
		return false;
	cert = stamp_of(credential->id.cert);
	key = stamp_of(credential->id.key);
	return stamp_equal(&cert, &credential->cert_stamp) &&
	       stamp_equal(&key, &credential->key_stamp);
}

bool
credential_has_equal_stamps(
    const struct credential *a, const struct credential *b)
{
	return stamp_equal(&a->cert_stamp, &b->cert_stamp) &&
	       stamp_equal(&a->key_stamp, &b->key_stamp);
}

struct identity *
credential_load(const struct credential *credential,
    struct identity_loader *loader, struct err *warning, struct err *err)
{
	const struct identity_files files = {
		.cert = credential->id.cert,
		.key = credential->id.key,
		.permissions = credential->id.permissions,
		.in_folder = credential->id.in_folder,
	};

	return identity_loader_load(loader, &files, warning, err);
}
