/*
 * The only state that the staple thread, the listeners and the caller share,
 * and the only lock in the library; any thread.  Readers take a reference
 * rather than a copy: the critical section is then a few loads and an
 * increment, whatever the size of the response, and no allocation can happen
 * while the lock is held.
 *
 * The decision to question is that the references of an entry are a plain
 * number under the lock, not an atomic one: whoever drops the last takes the
 * entry out of the table in the same breath, so that a look-up never finds
 * one that is about to be freed.  The table itself holds no reference.
 */
#include "staple/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/mutex.h"
#include "staple/cache_inner.h"
#include "staple/response.h"

static void
init_lock(struct staple_cache *cache)
{
	pthread_condattr_t monotonic;

	mutex_init(&cache->lock);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&cache->settled, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void
staple_cache_forked(struct staple_cache *cache)
{
	init_lock(cache);
}

struct staple_cache *
staple_cache_new(void)
{
	struct staple_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	atomic_init(&cache->references, 1);
	init_lock(cache);
	for (size_t i = 0; i < STAPLE_CACHE_BUCKETS; i++)
		list_init(&cache->buckets[i]);
	list_init(&cache->changed);
	return cache;
}

struct staple_cache *
staple_cache_ref(struct staple_cache *cache)
{
	atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
	return cache;
}

void
staple_cache_unref(struct staple_cache *cache)
{
	if (cache == NULL || atomic_fetch_sub_explicit(&cache->references, 1,
				 memory_order_acq_rel) != 1)
		return;
	pthread_cond_destroy(&cache->settled);
	mutex_fini(&cache->lock);
	free(cache);
}

/* ---- Entries and their references ---- */

struct staple_entry *
staple_entry_new(struct staple_cache *cache, struct staple_cert *cert)
{
	struct staple_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	list_init(&entry->in_bucket);
	list_init(&entry->in_changed);
	entry->references = 1;
	entry->cache = staple_cache_ref(cache);
	entry->cert = staple_cert_ref(cert);
	return entry;
}

void
staple_entry_free(struct staple_entry *entry)
{
	staple_response_unref(entry->response);
	staple_cert_unref(entry->cert);
	staple_cache_unref(entry->cache);
	free(entry);
}

void
staple_entry_ref(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->references++;
	mutex_unlock(&cache->lock);
}

void
staple_entry_unref(struct staple_entry *entry)
{
	struct staple_cache *cache;
	bool last;

	if (entry == NULL)
		return;
	cache = entry->cache;
	mutex_lock(&cache->lock);
	last = --entry->references == 0;
	if (last)
		list_remove(&entry->in_bucket);
	mutex_unlock(&cache->lock);
	if (last)
		staple_entry_free(entry);
}

struct list *
staple_cache_bucket(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE])
{
	/* A SHA-256: any of its bits are as good as a hash of it. */
	return &cache->buckets[(key[0] | key[1] << 8) % STAPLE_CACHE_BUCKETS];
}

struct staple_entry *
staple_cache_find_locked(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE])
{
	LIST_FOREACH(staple_cache_bucket(cache, key), node) {
		struct staple_entry *entry = container_of(
		    node, struct staple_entry, in_bucket);

		if (memcmp(entry->cert->key, key, STAPLE_KEY_SIZE) == 0)
			return entry;
	}
	return NULL;
}

struct staple_entry *
staple_cache_find(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE])
{
	struct staple_entry *entry;

	mutex_lock(&cache->lock);
	entry = staple_cache_find_locked(cache, key);
	if (entry != NULL)
		entry->references++;
	mutex_unlock(&cache->lock);
	return entry;
}

struct staple_cert *
staple_entry_cert(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *cert;

	mutex_lock(&cache->lock);
	cert = staple_cert_ref(entry->cert);
	mutex_unlock(&cache->lock);
	return cert;
}

struct staple_cache *
staple_entry_cache(const struct staple_entry *entry)
{
	return entry->cache;
}

void
staple_entry_set_errand(struct staple_entry *entry, void *errand)
{
	entry->errand = errand;
}

void *
staple_entry_errand(const struct staple_entry *entry)
{
	return entry->errand;
}

/* ---- Who is waited for ---- */

static bool
is_good(const struct staple_response *response)
{
	return response != NULL && !staple_response_is_revoked(response);
}

void
staple_cache_count_locked(
    struct staple_cache *cache, struct staple_entry *entry)
{
	bool awaited = entry->wish != STAPLE_WISH_NONE &&
		       !entry->progress.settled && !is_good(entry->response);

	if (awaited && !entry->awaited)
		cache->awaited++;
	if (!awaited && entry->awaited)
		cache->awaited--;
	entry->awaited = awaited;
}

void
staple_cache_unlock_counted(struct staple_cache *cache)
{
	bool settled = cache->awaited == 0;

	mutex_unlock(&cache->lock);
	if (settled)
		pthread_cond_broadcast(&cache->settled);
}

/* ---- Handshakes ---- */

/* Two answers said so, or the second could not be had. */
static bool
is_confirmed(const struct staple_progress *progress)
{
	return progress->confirmed || progress->unconfirmable;
}

static struct staple_response *choose_locked(const struct staple_entry *entry,
    const struct staple_policy *policy, int64_t now_s,
    enum staple_unsent *reason) REQUIRES(entry->cache->lock);

static struct staple_response *
choose_locked(const struct staple_entry *entry,
    const struct staple_policy *policy, int64_t now_s,
    enum staple_unsent *reason)
{
	struct staple_response *held = entry->response;

	if (staple_cert_wish(entry->cert, policy) == STAPLE_WISH_NONE)
		*reason = STAPLE_UNSENT_UNWANTED;
	else if (held == NULL)
		*reason = STAPLE_UNSENT_NONE;
	/* A revocation outlives the response that told of it. */
	else if (policy->on_revoked == STAPLE_REVOKED_REFUSE &&
		 staple_response_is_revoked(held) &&
		 is_confirmed(&entry->progress))
		*reason = STAPLE_UNSENT_REVOKED;
	/* RFC 6960 4.2.2.1: not to be relied on once nextUpdate has come.
	 * Asked here, so that it holds even if the staple thread has died. */
	else if (now_s >= staple_response_expires(held))
		*reason = STAPLE_UNSENT_EXPIRED;
	else
		return held;
	return NULL;
}

struct staple_response *
staple_cache_take(struct staple_entry *entry,
    const struct staple_policy *policy, int64_t now_s,
    enum staple_unsent *reason)
{
	struct staple_response *response;

	mutex_lock(&entry->cache->lock);
	response = choose_locked(entry, policy, now_s, reason);
	if (response != NULL)
		staple_response_ref(response);
	mutex_unlock(&entry->cache->lock);
	if (response == NULL)
		staple_cache_unsent(entry, *reason);
	return response;
}

void
staple_cache_sent(struct staple_entry *entry)
{
	atomic_fetch_add_explicit(&entry->sent, 1, memory_order_relaxed);
}

void
staple_cache_unsent(struct staple_entry *entry, enum staple_unsent reason)
{
	atomic_fetch_add_explicit(
	    &entry->unsent[reason], 1, memory_order_relaxed);
}

/* ---- The staple thread ---- */

struct staple_response *
staple_cache_held(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	struct staple_response *held;

	mutex_lock(&cache->lock);
	held = entry->response;
	if (held != NULL)
		staple_response_ref(held);
	mutex_unlock(&cache->lock);
	return held;
}

void
staple_cache_publish(struct staple_entry *entry, struct staple_response *fresh)
{
	struct staple_cache *cache = entry->cache;
	struct staple_response *old;

	if (fresh != NULL)
		staple_response_ref(fresh);
	mutex_lock(&cache->lock);
	old = entry->response;
	entry->response = fresh;
	staple_cache_count_locked(cache, entry);
	staple_cache_unlock_counted(cache);

	/* Freed out here: a last reference may cost a free of kilobytes. */
	staple_response_unref(old);
}

void
staple_cache_tell(
    struct staple_entry *entry, const struct staple_progress *progress)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->progress = *progress;
	/* What was tried with the old facts, while new ones wait to be taken
	 * over, settles nothing. */
	if (entry->known && !list_is_empty(&entry->in_changed))
		entry->progress.settled = false;
	staple_cache_count_locked(cache, entry);
	staple_cache_unlock_counted(cache);
}
