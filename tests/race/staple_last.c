/*
 * The last reference to a certificate is freed while the staple thread
 * publishes for it.  Main watches ever new objects of one certificate; other
 * threads free them; a stand-in for the staple thread takes over changes,
 * publishes, and releases entries without a reference.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/thread.h"
#include "staple/cache.h"
#include "staple/openssl_hooks.h"
#include "staple/response.h"
#include "tests/race/staple_rig.h"
#include "tests/support/authority.h"

enum { FREERS = 3, OBJECTS = 2000, HOUR = 3600 };

static const struct staple_policy always = { .mode = STAPLE_ALWAYS };

struct freer {
	struct thread thread;
	_Atomic(X509 *) slot;
	const atomic_bool *stop;
};

struct keeper {
	struct thread thread;
	struct staple_cache *cache;
	struct staple_response *response;
	atomic_bool stop;
	unsigned published, forgotten;
};

static void
free_objects(void *arg)
{
	struct freer *freer = arg;
	bool stop;

	do {
		/* Read first: objects from before it are still freed. */
		stop = atomic_load(freer->stop);
		X509_free(atomic_exchange(&freer->slot, NULL));
		sched_yield();
	} while (!stop);
}

/* What worker.c does with an entry, in small. */
static void
take_over(struct keeper *keeper, struct staple_entry *entry)
{
	static const struct staple_progress progress = { .settled = true };

	staple_cache_publish(entry, keeper->response);
	staple_cache_set_progress(entry, &progress);
	keeper->published++;
	if (staple_cache_forget(entry)) {
		keeper->forgotten++;
		if (staple_entry_job(entry) != NULL)
			staple_entry_unref(entry);
		staple_entry_set_job(entry, NULL);
	} else if (staple_entry_job(entry) == NULL) {
		staple_entry_set_job(entry, keeper);
		staple_entry_ref(entry);
	}
}

static void
keep(void *arg)
{
	struct keeper *keeper = arg;
	struct staple_entry *entry;
	bool stop;

	do {
		stop = atomic_load(&keeper->stop);
		while ((entry = staple_cache_next_changed(keeper->cache)) !=
		       NULL) {
			take_over(keeper, entry);
			staple_entry_unref(entry);
		}
		sched_yield();
	} while (!stop);
}

static void
show(struct staple_cache *cache, const struct authority *authority,
    const struct pki *leaf, struct freer *freers)
{
	const struct staple_watcher watcher = { cache, NULL, &always };
	struct err err;

	for (int i = 0; i < OBJECTS; i++) {
		X509 *object = X509_dup(leaf->certificate);

		need(object != NULL, "no copy");
		need(staple_watch_certificate(
			 &watcher, object, authority->chain, NULL, &err),
		    err.text);
		X509_free(atomic_exchange(&freers[i % FREERS].slot, object));
	}
}

static void
race(struct keeper *keeper, const struct authority *authority,
    const struct pki *leaf)
{
	static struct freer freers[FREERS];
	atomic_bool stop = false;

	need(thread_start(&keeper->thread, "keeper", keep, keeper, NULL),
	    "a thread does not start");
	for (int i = 0; i < FREERS; i++) {
		freers[i].stop = &stop;
		need(thread_start(&freers[i].thread, "freer", free_objects,
			 &freers[i], NULL),
		    "a thread does not start");
	}
	show(keeper->cache, authority, leaf, freers);
	atomic_store(&stop, true);
	for (int i = 0; i < FREERS; i++)
		thread_join(&freers[i].thread);
	atomic_store(&keeper->stop, true);
	thread_join(&keeper->thread);
}

int
main(void)
{
	const int64_t now = time(NULL);
	struct keeper keeper = { .cache = staple_cache_new() };
	struct authority authority;
	struct staple_entry **list;
	size_t left = 1;
	struct pki leaf;

	need(keeper.cache != NULL, "no cache");
	authority_make(&authority);
	leaf = authority_issue(&authority, &(struct pki_wish){ .name = "a" });
	keeper.response = authority_response(&authority, &leaf,
	    &(struct ocsp_wish){
		.this_update = now - HOUR, .next_update = now + HOUR });
	race(&keeper, &authority, &leaf);
	list = staple_cache_list(keeper.cache, &left);
	need(list != NULL && left == 0, "an entry outlived its last holder");
	free(list);
	staple_cache_close(keeper.cache);
	staple_cache_unref(keeper.cache);
	staple_response_unref(keeper.response);
	pki_drop(&leaf);
	authority_drop(&authority);
	printf("staple_last: %u published, %u forgotten\n", keeper.published,
	    keeper.forgotten);
	return keeper.forgotten > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
