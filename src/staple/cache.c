/*
 * The cache: one entry per certificate, shared by the staple thread, the
 * listeners and the caller.  Any thread; it has the only lock of the library.
 * Readers take a reference rather than a copy: the critical section is a few
 * loads and an increment, whatever the size of the response, and nothing is
 * allocated while the lock is held.
 *
 * The references of an entry are a plain number under the lock, not an atomic
 * one: the call that drops the last reference removes the entry from the table
 * under the same lock, so a look-up never finds an entry that is about to be
 * freed.  The table itself holds no reference.
 */
#include "staple/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mutex.h"
#include "staple/response.h"

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
	unsigned
	    holders[STAPLE_REQUIREMENTS]; /* how many have this requirement */
	enum staple_requirement requirement; /* the strongest of them */
	bool known;                          /* to the staple thread */
	bool awaited;                        /* counted in cache->awaited */
	bool fetch_requested;
	struct staple_cert *cert;
	struct staple_response *response; /* NULL: none */
	struct staple_progress progress;

	/* staple thread only */
	void *job;
};

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

/* One reference, in no list. */
static struct staple_entry *
new_entry(struct staple_cache *cache, struct staple_cert *cert)
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

/* Never under the lock: kilobytes and, maybe, the cache go with it. */
static void
free_entry(struct staple_entry *entry)
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
		free_entry(entry);
}

static struct list *
bucket_of(struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE])
{
	/* A SHA-256: any of its bits are as good as a hash of it. */
	return &cache->buckets[(key[0] | key[1] << 8) % STAPLE_CACHE_BUCKETS];
}

static struct staple_entry *find_locked(struct staple_cache *cache,
    const unsigned char key[STAPLE_KEY_SIZE]) REQUIRES(cache->lock);
static void count_locked(struct staple_cache *cache, struct staple_entry *entry)
    REQUIRES(cache->lock);
static void unlock_counted(struct staple_cache *cache) RELEASES(cache->lock);

/* Borrowed while the lock is held; NULL: not there. */
static struct staple_entry *
find_locked(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE])
{
	LIST_FOREACH(bucket_of(cache, key), node) {
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
	entry = find_locked(cache, key);
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
staple_entry_set_job(struct staple_entry *entry, void *job)
{
	entry->job = job;
}

void *
staple_entry_job(const struct staple_entry *entry)
{
	return entry->job;
}

/* ---- Entries that staple_wait waits for ---- */

/* A response dated in the future (the clock was set back) is fetched again. */
static bool
is_good(const struct staple_response *response)
{
	return response != NULL && !staple_response_is_revoked(response) &&
	       !staple_response_is_ahead(response, clock_wall_ms() / 1000);
}

/* Update cache->awaited: the requirement, the progress or the response of this
 * entry has changed. */
static void
count_locked(struct staple_cache *cache, struct staple_entry *entry)
{
	bool awaited = entry->requirement != STAPLE_REQUIRE_NONE &&
		       !entry->progress.settled && !is_good(entry->response);

	if (awaited && !entry->awaited)
		cache->awaited++;
	if (!awaited && entry->awaited)
		cache->awaited--;
	entry->awaited = awaited;
}

/* Unlock, and wake the waiters if nothing is awaited any more.  The caller
 * keeps the cache alive. */
static void
unlock_counted(struct staple_cache *cache)
{
	bool settled = cache->awaited == 0;

	mutex_unlock(&cache->lock);
	if (settled)
		pthread_cond_broadcast(&cache->settled);
}

/* ---- Handshakes ---- */

/* Two answers agree, or a second one could not be had. */
static bool
is_confirmed(const struct staple_progress *progress)
{
	return progress->confirmed || progress->unconfirmable;
}

/* Clients expect a staple of must-staple, and a strict mode promises one: there
 * a staple that GnuTLS refuses is better than none. */
static bool
may_go_without(
    const struct staple_cert *cert, const struct staple_policy *policy)
{
	return !cert->must_staple &&
	       staple_cert_requirement(cert, policy) != STAPLE_REQUIRE_FATAL;
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

	if (staple_cert_requirement(entry->cert, policy) == STAPLE_REQUIRE_NONE)
		*reason = STAPLE_UNSENT_UNWANTED;
	else if (held == NULL)
		*reason = STAPLE_UNSENT_NONE;
	/* A revocation outlives the response that contains it. */
	else if (policy->on_revoked == STAPLE_REVOKED_REFUSE &&
		 staple_response_is_revoked(held) &&
		 is_confirmed(&entry->progress))
		*reason = STAPLE_UNSENT_REVOKED;
	/* RFC 6960 4.2.2.1: unreliable once nextUpdate has come.  Checked here,
	 * so that it holds even if the staple thread hangs. */
	else if (now_s >= staple_response_expires(held))
		*reason = STAPLE_UNSENT_EXPIRED;
	/* Likewise, a thisUpdate later than now is unreliable. */
	else if (staple_response_is_ahead(held, now_s))
		*reason = STAPLE_UNSENT_NOT_YET_VALID;
	else if (!staple_response_leads(held) &&
		 may_go_without(entry->cert, policy))
		*reason = STAPLE_UNSENT_NOT_FIRST;
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
staple_cache_response(struct staple_entry *entry)
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
	count_locked(cache, entry);
	unlock_counted(cache);

	/* Freed out here: a last reference may cost a free of kilobytes. */
	staple_response_unref(old);
}

void
staple_cache_set_progress(
    struct staple_entry *entry, const struct staple_progress *progress)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->progress = *progress;
	/* What was tried with the old facts, while new ones wait to be taken
	 * over, settles nothing. */
	if (entry->known && !list_is_empty(&entry->in_changed))
		entry->progress.settled = false;
	count_locked(cache, entry);
	unlock_counted(cache);
}

/*
 * ---- Requirements of the holders ----
 *
 * An entry that becomes wanted, changes or loses its last holder is put on
 * cache->changed, which the staple thread empties; membership is a reference.
 * An entry that no policy has wanted yet is not put there.  A holder is
 * released wherever its X509 is freed, even inside the free of a connection.
 * The staple thread is not woken by that: it has a turn at least once a minute.
 */

static bool
is_held(const struct staple_entry *entry)
{
	for (size_t i = 0; i < STAPLE_REQUIREMENTS; i++) {
		if (entry->holders[i] > 0)
			return true;
	}
	return false;
}

static enum staple_requirement
strongest(const struct staple_entry *entry)
{
	if (entry->holders[STAPLE_REQUIRE_FATAL] > 0)
		return STAPLE_REQUIRE_FATAL;
	if (entry->holders[STAPLE_REQUIRE_WANTED] > 0)
		return STAPLE_REQUIRE_WANTED;
	return STAPLE_REQUIRE_NONE;
}

static void hand_over_locked(struct staple_cache *cache,
    struct staple_entry *entry) REQUIRES(cache->lock);
static void withdraw_locked(struct staple_cache *cache,
    struct staple_entry *entry) REQUIRES(cache->lock);
static void review_locked(struct staple_cache *cache,
    struct staple_entry *entry) REQUIRES(cache->lock);
static struct staple_cert *learn_locked(struct staple_cache *cache,
    struct staple_entry *entry, struct staple_cert *cert) REQUIRES(cache->lock);

static void
hand_over_locked(struct staple_cache *cache, struct staple_entry *entry)
{
	if (cache->closed || !list_is_empty(&entry->in_changed))
		return;
	list_append(&cache->changed, &entry->in_changed);
	entry->references++;
}

/* The caller has a reference too, so this one is never the last. */
static void
withdraw_locked(struct staple_cache *cache, struct staple_entry *entry)
{
	(void)cache; /* names the lock */
	if (list_is_empty(&entry->in_changed))
		return;
	list_remove(&entry->in_changed);
	entry->references--;
}

/* The holders have changed. */
static void
review_locked(struct staple_cache *cache, struct staple_entry *entry)
{
	enum staple_requirement requirement = strongest(entry);

	if (requirement != entry->requirement) {
		/* An attempt before it became wanted does not count. */
		if (entry->requirement == STAPLE_REQUIRE_NONE)
			entry->progress.settled = false;
		entry->requirement = requirement;
		hand_over_locked(cache, entry);
	}
	count_locked(cache, entry);
}

/* Take these facts over; what it had is the caller's to unref. */
static struct staple_cert *
learn_locked(struct staple_cache *cache, struct staple_entry *entry,
    struct staple_cert *cert)
{
	struct staple_cert *before = entry->cert;

	if (cert == before)
		return NULL;
	entry->cert = staple_cert_ref(cert);
	entry->progress.settled = false;
	if (entry->known || entry->requirement != STAPLE_REQUIRE_NONE)
		hand_over_locked(cache, entry);
	return before;
}

struct staple_entry *
staple_cache_hold(struct staple_cache *cache, struct staple_cert *cert,
    enum staple_requirement requirement)
{
	struct staple_entry *fresh = new_entry(cache, cert), *entry;
	struct staple_cert *before;

	if (fresh == NULL)
		return NULL;
	mutex_lock(&cache->lock);
	entry = find_locked(cache, cert->key);
	if (entry == NULL) {
		entry = fresh;
		list_append(bucket_of(cache, cert->key), &entry->in_bucket);
	} else {
		entry->references++;
	}
	entry->holders[requirement]++;
	before = learn_locked(cache, entry, cert);
	review_locked(cache, entry);
	unlock_counted(cache);

	staple_cert_unref(before);
	if (entry != fresh)
		free_entry(fresh);
	return entry;
}

void
staple_cache_set_cert(struct staple_entry *entry, struct staple_cert *cert)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *before;

	mutex_lock(&cache->lock);
	before = learn_locked(cache, entry, cert);
	count_locked(cache, entry);
	mutex_unlock(&cache->lock);
	staple_cert_unref(before);
}

void
staple_cache_set_requirement(struct staple_entry *entry,
    enum staple_requirement before, enum staple_requirement now)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->holders[before]--;
	entry->holders[now]++;
	review_locked(cache, entry);
	unlock_counted(cache);
}

void
staple_cache_check_file(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	if (entry->requirement != STAPLE_REQUIRE_NONE)
		hand_over_locked(cache, entry);
	mutex_unlock(&cache->lock);
}

void
staple_cache_request_fetch(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	if (entry->requirement != STAPLE_REQUIRE_NONE) {
		entry->fetch_requested = true;
		hand_over_locked(cache, entry);
	}
	mutex_unlock(&cache->lock);
}

bool
staple_entry_take_request(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	bool requested;

	mutex_lock(&cache->lock);
	requested = entry->fetch_requested;
	entry->fetch_requested = false;
	mutex_unlock(&cache->lock);
	return requested;
}

void
staple_cache_release(
    struct staple_entry *entry, enum staple_requirement requirement)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->holders[requirement]--;
	review_locked(cache, entry);
	/* The staple thread must free the job.  An entry that it was never
	 * given does not wait for a thread that may never be started. */
	if (!is_held(entry) && entry->known)
		hand_over_locked(cache, entry);
	else if (!is_held(entry))
		withdraw_locked(cache, entry);
	unlock_counted(cache);
	staple_entry_unref(entry);
}

/* ---- The hand-over to the staple thread ---- */

struct staple_entry *
staple_cache_next_changed(struct staple_cache *cache)
{
	struct staple_entry *entry = NULL;

	mutex_lock(&cache->lock);
	if (!list_is_empty(&cache->changed)) {
		/* The reference of the list becomes the caller's. */
		entry = container_of(
		    cache->changed.next, struct staple_entry, in_changed);
		list_remove(&entry->in_changed);
		entry->known = true;
	}
	mutex_unlock(&cache->lock);
	return entry;
}

bool
staple_cache_has_changed(struct staple_cache *cache)
{
	bool changed;

	mutex_lock(&cache->lock);
	changed = !list_is_empty(&cache->changed);
	mutex_unlock(&cache->lock);
	return changed;
}

struct staple_cert *
staple_entry_facts(
    struct staple_entry *entry, enum staple_requirement *requirement)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *cert;

	mutex_lock(&cache->lock);
	cert = staple_cert_ref(entry->cert);
	*requirement = entry->requirement;
	mutex_unlock(&cache->lock);
	return cert;
}

void
staple_cache_replace_cert(struct staple_entry *entry,
    const struct staple_cert *before, struct staple_cert *cert)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *old = NULL;

	mutex_lock(&cache->lock);
	if (entry->cert == before) {
		old = entry->cert;
		entry->cert = staple_cert_ref(cert);
	}
	mutex_unlock(&cache->lock);
	staple_cert_unref(old);
}

enum staple_requirement
staple_entry_requirement(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	enum staple_requirement requirement;

	mutex_lock(&cache->lock);
	requirement = entry->requirement;
	mutex_unlock(&cache->lock);
	return requirement;
}

bool
staple_cache_forget(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	bool forgotten;

	mutex_lock(&cache->lock);
	forgotten = !is_held(entry);
	if (forgotten) {
		list_remove(&entry->in_bucket);
		withdraw_locked(cache, entry);
	}
	mutex_unlock(&cache->lock);
	return forgotten;
}

/* ---- Status of one entry ---- */

static void
describe_cert(struct staple_info *info, const struct staple_cert *cert)
{
	memcpy(info->name, cert->name, sizeof(info->name));
	memcpy(info->id, cert->id, sizeof(info->id));
	info->must_staple = cert->must_staple;
	info->responders = (unsigned)cert->url_count;
	info->unavailable_reason = cert->unavailable_reason;
	/* No attempt was made with these facts. */
	if (cert->unavailable_reason != STAPLE_UNASKED)
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
	info->last_success = progress->last_success;
	memcpy(info->fetches, progress->fetches, sizeof(info->fetches));
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

/* `asked` is the sum of the others: a counter of its own could disagree. */
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
	enum staple_requirement requirement;

	mutex_lock(&cache->lock);
	cert = staple_cert_ref(entry->cert);
	response = entry->response;
	if (response != NULL)
		staple_response_ref(response);
	progress = entry->progress;
	requirement = entry->requirement;
	mutex_unlock(&cache->lock);

	*info = (struct staple_info){ .wanted = requirement !=
						STAPLE_REQUIRE_NONE };
	describe_progress(info, &progress);
	describe_cert(info, cert);
	describe_response(info, response, now_s);
	describe_counts(info, entry);
	staple_response_unref(response);
	staple_cert_unref(cert);
}

/*
 * ---- All entries ----
 *
 * The lock is taken for one bucket at a time, so that a handshake never waits
 * until ten thousand entries are counted.  An entry that is added or removed
 * meanwhile may or may not be visited.
 */

struct entry_list {
	struct staple_entry **items;
	size_t count, room;
};

static bool
grow(struct entry_list *list)
{
	size_t room = 2 * list->room + 64;
	struct staple_entry **items = realloc(
	    list->items, room * sizeof(struct staple_entry *));

	if (items == NULL)
		return false;
	list->items = items;
	list->room = room;
	return true;
}

/* All of a bucket; false: none of it, the array is too small. */
static bool gather_locked(struct staple_cache *cache, size_t bucket,
    struct entry_list *list) REQUIRES(cache->lock);

static bool
gather_locked(
    struct staple_cache *cache, size_t bucket, struct entry_list *list)
{
	size_t count = list->count;

	LIST_FOREACH(&cache->buckets[bucket], node) {
		if (count == list->room)
			return false;
		list->items[count++] = container_of(
		    node, struct staple_entry, in_bucket);
	}
	while (list->count < count)
		list->items[list->count++]->references++;
	return true;
}

static bool
gather(struct staple_cache *cache, size_t bucket, struct entry_list *list)
{
	bool all;

	mutex_lock(&cache->lock);
	all = gather_locked(cache, bucket, list);
	mutex_unlock(&cache->lock);
	return all;
}

struct staple_entry **
staple_cache_list(struct staple_cache *cache, size_t *count)
{
	struct entry_list list = { 0 };

	if (!grow(&list))
		return NULL;
	for (size_t i = 0; i < STAPLE_CACHE_BUCKETS; i++) {
		while (!gather(cache, i, &list)) {
			if (!grow(&list))
				goto fail;
		}
	}
	*count = list.count;
	return list.items;
fail:
	while (list.count > 0)
		staple_entry_unref(list.items[--list.count]);
	free(list.items);
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
