/*
 * What the files of the cache share: cache.c (the table, references, what
 * handshakes take and the staple thread publishes), cache_holders.c (who
 * wants what, and its hand-over to the staple thread), cache_look.c (status,
 * waiting, the end).  Nobody else includes this, so that the lock stays
 * theirs.
 */
#ifndef STAPLE_CACHE_INNER_H
#define STAPLE_CACHE_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/mutex.h"
#include "staple/cache.h"

/* The table never grows: nothing is allocated while the lock is held. */
#define STAPLE_CACHE_BUCKETS 4096

struct staple_cache {
	atomic_uint references; /* the owner's, and one of each entry */

	struct mutex lock;
	pthread_cond_t settled; /* with lock; monotonic */

	/* under lock */
	struct list buckets[STAPLE_CACHE_BUCKETS];
	struct list changed; /* the hand-over to the staple thread */
	size_t awaited;      /* wanted entries that are not settled */
	bool closed;
};

struct staple_entry {
	/* fixed at creation */
	struct staple_cache *cache; /* a reference */

	/* relaxed */
	atomic_ullong sent;
	atomic_ullong unsent[STAPLE_UNSENT_REASONS];

	/* under cache->lock */
	struct list in_bucket;  /* alone: not in the table */
	struct list in_changed; /* linked: this is a reference */
	unsigned references;
	unsigned holders[STAPLE_WISHES]; /* how many have this wish */
	enum staple_wish wish;           /* the strongest of them */
	bool known;                      /* to the staple thread */
	bool awaited;                    /* counted in cache->awaited */
	struct staple_cert *cert;
	struct staple_response *response; /* NULL: none */
	struct staple_progress progress;

	/* staple thread only */
	void *errand;
};

/* One reference, in no list. */
struct staple_entry *staple_entry_new(
    struct staple_cache *cache, struct staple_cert *cert) MUST_CHECK;

/* Never under the lock: kilobytes and, maybe, the cache go with it. */
void staple_entry_free(struct staple_entry *entry);

struct list *staple_cache_bucket(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE]);

/* Borrowed while the lock is held; NULL: not there. */
struct staple_entry *staple_cache_find_locked(struct staple_cache *cache,
    const unsigned char key[STAPLE_KEY_SIZE]) REQUIRES(cache->lock);

/* Count anew whether this entry is waited for: its wish, its progress or its
 * response has changed. */
void staple_cache_count_locked(struct staple_cache *cache,
    struct staple_entry *entry) REQUIRES(cache->lock);

/* Unlock, and wake who waits if nothing is awaited any more.  The caller
 * keeps the cache alive. */
void staple_cache_unlock_counted(struct staple_cache *cache)
    RELEASES(cache->lock);

#endif
