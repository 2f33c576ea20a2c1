/*
 * Looking at the cache from outside: status, waiting, and the end.  Any
 * thread.  Whoever walks over all entries takes the lock for one bucket at a
 * time, because a handshake must not wait until ten thousand were counted; so
 * an entry that comes or goes meanwhile may be seen or not.
 */
#include "staple/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/mutex.h"
#include "staple/cache_inner.h"
#include "staple/response.h"

/* ---- One entry ---- */

static void
describe_cert(struct staple_info *info, const struct staple_cert *cert)
{
	memcpy(info->name, cert->name, sizeof(info->name));
	memcpy(info->id, cert->id, sizeof(info->id));
	info->must_staple = cert->must_staple;
	info->responders = (unsigned)cert->url_count;
	info->hindrance = cert->hindrance;
	/* No attempt was made with these facts. */
	if (cert->hindrance != STAPLE_UNASKED)
		snprintf(info->said, sizeof(info->said), "%s", cert->hint);
}

static void
describe_progress(
    struct staple_info *info, const struct staple_progress *progress)
{
	info->settled = progress->settled;
	info->outcome = progress->outcome;
	info->failures = progress->failures;
	info->next_try = progress->next_try;
	info->confirmed = progress->confirmed;
	info->unconfirmable = progress->unconfirmable;
	memcpy(info->said, progress->said, sizeof(info->said));
}

static void
describe_response(struct staple_info *info,
    const struct staple_response *response, int64_t now_s)
{
	if (response == NULL)
		return;
	info->held = true;
	info->revoked = staple_response_is_revoked(response);
	info->this_update = staple_response_this_update(response);
	info->next_update = staple_response_next_update(response);
	info->expires = staple_response_expires(response);
	if (!info->revoked && staple_response_is_current(response, now_s))
		info->settled = true;
}

/* Who asked was sent a staple or not: one more counter would only disagree. */
static void
describe_counts(struct staple_info *info, const struct staple_entry *entry)
{
	info->sent = atomic_load_explicit(&entry->sent, memory_order_relaxed);
	info->asked = info->sent;
	for (size_t i = 0; i < STAPLE_UNSENT_REASONS; i++) {
		info->unsent[i] = atomic_load_explicit(
		    &entry->unsent[i], memory_order_relaxed);
		info->asked += info->unsent[i];
	}
}

void
staple_cache_read(
    struct staple_entry *entry, int64_t now_s, struct staple_info *info)
{
	struct staple_cache *cache = entry->cache;
	struct staple_response *response;
	struct staple_progress progress;
	struct staple_cert *cert;
	enum staple_wish wish;

	mutex_lock(&cache->lock);
	cert = staple_cert_ref(entry->cert);
	response = entry->response;
	if (response != NULL)
		staple_response_ref(response);
	progress = entry->progress;
	wish = entry->wish;
	mutex_unlock(&cache->lock);

	*info = (struct staple_info){ .wanted = wish != STAPLE_WISH_NONE };
	describe_progress(info, &progress);
	describe_cert(info, cert);
	describe_response(info, response, now_s);
	describe_counts(info, entry);
	staple_response_unref(response);
	staple_cert_unref(cert);
}

/* ---- All entries ---- */

struct roll {
	struct staple_entry **items;
	size_t count, room;
};

static bool
grow(struct roll *roll)
{
	size_t room = 2 * roll->room + 64;
	struct staple_entry **items = realloc(
	    roll->items, room * sizeof(struct staple_entry *));

	if (items == NULL)
		return false;
	roll->items = items;
	roll->room = room;
	return true;
}

/* All of a bucket; or, false, none of it for want of room. */
static bool gather_locked(struct staple_cache *cache, size_t bucket,
    struct roll *roll) REQUIRES(cache->lock);

static bool
gather_locked(struct staple_cache *cache, size_t bucket, struct roll *roll)
{
	size_t count = roll->count;

	LIST_FOREACH(&cache->buckets[bucket], node) {
		if (count == roll->room)
			return false;
		roll->items[count++] = container_of(
		    node, struct staple_entry, in_bucket);
	}
	while (roll->count < count)
		roll->items[roll->count++]->references++;
	return true;
}

static bool
gather(struct staple_cache *cache, size_t bucket, struct roll *roll)
{
	bool all;

	mutex_lock(&cache->lock);
	all = gather_locked(cache, bucket, roll);
	mutex_unlock(&cache->lock);
	return all;
}

struct staple_entry **
staple_cache_list(struct staple_cache *cache, size_t *count)
{
	struct roll roll = { 0 };

	if (!grow(&roll))
		return NULL;
	for (size_t i = 0; i < STAPLE_CACHE_BUCKETS; i++) {
		while (!gather(cache, i, &roll)) {
			if (!grow(&roll))
				goto fail;
		}
	}
	*count = roll.count;
	return roll.items;
fail:
	while (roll.count > 0)
		staple_entry_unref(roll.items[--roll.count]);
	free(roll.items);
	return NULL;
}

/* ---- Waiting, and the end ---- */

bool
staple_cache_wait(struct staple_cache *cache, int64_t until_ms)
{
	const struct timespec until = { .tv_sec = until_ms / 1000,
		.tv_nsec = until_ms % 1000 * 1000000 };
	bool settled;
	int failed = 0;

	mutex_lock(&cache->lock);
	while (cache->awaited > 0 && !cache->closed && failed == 0)
		failed = pthread_cond_timedwait(
		    &cache->settled, &cache->lock.native, &until);
	settled = cache->awaited == 0;
	mutex_unlock(&cache->lock);
	return settled;
}

bool
staple_cache_is_closed(struct staple_cache *cache)
{
	bool closed;

	mutex_lock(&cache->lock);
	closed = cache->closed;
	mutex_unlock(&cache->lock);
	return closed;
}

/* One response out of a bucket; NULL: none is left. */
static struct staple_response *
strip(struct staple_cache *cache, size_t bucket)
{
	struct staple_response *response = NULL;

	mutex_lock(&cache->lock);
	LIST_FOREACH(&cache->buckets[bucket], node) {
		struct staple_entry *entry = container_of(
		    node, struct staple_entry, in_bucket);

		if (response == NULL) {
			response = entry->response;
			entry->response = NULL;
		}
	}
	mutex_unlock(&cache->lock);
	return response;
}

void
staple_cache_close(struct staple_cache *cache)
{
	struct staple_response *response;
	struct staple_entry *entry;

	mutex_lock(&cache->lock);
	cache->closed = true;
	mutex_unlock(&cache->lock);
	pthread_cond_broadcast(&cache->settled);

	while ((entry = staple_cache_next_changed(cache)) != NULL)
		staple_entry_unref(entry);
	for (size_t i = 0; i < STAPLE_CACHE_BUCKETS; i++) {
		while ((response = strip(cache, i)) != NULL)
			staple_response_unref(response);
	}
}
