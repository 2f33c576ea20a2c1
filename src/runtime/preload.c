/*
 * Reading ahead.  The main thread starts helpers, takes part itself, and joins
 * them: nothing else of the process runs meanwhile.  Each has a loader of its
 * own; what they share is one counter.  A helper that cannot be started leaves
 * its part to the others.
 */
#include "runtime/preload.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/thread.h"
#include "runtime/credential.h"
#include "runtime/process.h"
#include "tls/identity.h"

/* OpenSSL's own locks leave little to gain beyond. */
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

	item->identity = credential_load(
	    item->credential, loader, &warning, &err);
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
		return; /* the others go on; what is left says no memory */
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
    struct preload *preload, const struct credential_key *ids, size_t count)
{
	*preload = (struct preload){ 0 };
	preload->items = calloc(count, sizeof(preload->items[0]));
	if (preload->items == NULL)
		return false;
	atomic_init(&preload->next, 0);
	for (; preload->count < count; preload->count++) {
		preload->items[preload->count].credential = credential_new(
		    &ids[preload->count]);
		if (preload->items[preload->count].credential == NULL)
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
		credential_unref(item->credential);
		identity_unref(item->identity);
		free(item->warning);
		free(item->error);
	}
	free(preload->items);
	*preload = (struct preload){ 0 };
}
