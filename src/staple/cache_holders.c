/*
 * Who wants which certificate to be stapled, and how the staple thread learns
 * of it: an entry that is wanted, changed or given up is put on a list that the
 * thread empties, and membership is a reference.  What nobody has wanted yet
 * is none of the thread's business and costs it nothing.  Any thread: the last holder
 * of a certificate lets go wherever its X509 is freed, even inside the free
 * of a connection.  Nobody is woken by that: the staple thread looks at least
 * once a minute.
 */
#include "staple/cache.h"

#include "base/list.h"
#include "base/mutex.h"
#include "staple/cache_inner.h"

static bool
is_held(const struct staple_entry *entry)
{
	for (size_t i = 0; i < STAPLE_WISHES; i++) {
		if (entry->holders[i] > 0)
			return true;
	}
	return false;
}

static enum staple_wish
strongest(const struct staple_entry *entry)
{
	if (entry->holders[STAPLE_WISH_FATAL] > 0)
		return STAPLE_WISH_FATAL;
	if (entry->holders[STAPLE_WISH_WANTED] > 0)
		return STAPLE_WISH_WANTED;
	return STAPLE_WISH_NONE;
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

/* The caller has a reference of its own, so this one is never the last. */
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
	enum staple_wish wish = strongest(entry);

	if (wish != entry->wish) {
		/* What was tried before anybody wanted it settles nothing. */
		if (entry->wish == STAPLE_WISH_NONE)
			entry->progress.settled = false;
		entry->wish = wish;
		hand_over_locked(cache, entry);
	}
	staple_cache_count_locked(cache, entry);
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
	if (entry->known || entry->wish != STAPLE_WISH_NONE)
		hand_over_locked(cache, entry);
	return before;
}

struct staple_entry *
staple_cache_hold(
    struct staple_cache *cache, struct staple_cert *cert, enum staple_wish wish)
{
	struct staple_entry *fresh = staple_entry_new(cache, cert), *entry;
	struct staple_cert *before;

	if (fresh == NULL)
		return NULL;
	mutex_lock(&cache->lock);
	entry = staple_cache_find_locked(cache, cert->key);
	if (entry == NULL) {
		entry = fresh;
		list_append(
		    staple_cache_bucket(cache, cert->key), &entry->in_bucket);
	} else {
		entry->references++;
	}
	entry->holders[wish]++;
	before = learn_locked(cache, entry, cert);
	review_locked(cache, entry);
	staple_cache_unlock_counted(cache);

	staple_cert_unref(before);
	if (entry != fresh)
		staple_entry_free(fresh);
	return entry;
}

void
staple_cache_correct(struct staple_entry *entry, struct staple_cert *cert)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *before;

	mutex_lock(&cache->lock);
	before = learn_locked(cache, entry, cert);
	staple_cache_count_locked(cache, entry);
	mutex_unlock(&cache->lock);
	staple_cert_unref(before);
}

void
staple_cache_wish(
    struct staple_entry *entry, enum staple_wish before, enum staple_wish now)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->holders[before]--;
	entry->holders[now]++;
	review_locked(cache, entry);
	staple_cache_unlock_counted(cache);
}

void
staple_cache_look(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	if (entry->wish != STAPLE_WISH_NONE)
		hand_over_locked(cache, entry);
	mutex_unlock(&cache->lock);
}

void
staple_cache_release(struct staple_entry *entry, enum staple_wish wish)
{
	struct staple_cache *cache = entry->cache;

	mutex_lock(&cache->lock);
	entry->holders[wish]--;
	review_locked(cache, entry);
	/* The staple thread is to let go of what it knows; what it was never
	 * given does not wait for a thread that may never be started. */
	if (!is_held(entry) && entry->known)
		hand_over_locked(cache, entry);
	else if (!is_held(entry))
		withdraw_locked(cache, entry);
	staple_cache_unlock_counted(cache);
	staple_entry_unref(entry);
}

/* ---- The staple thread ---- */

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
staple_entry_facts(struct staple_entry *entry, enum staple_wish *wish)
{
	struct staple_cache *cache = entry->cache;
	struct staple_cert *cert;

	mutex_lock(&cache->lock);
	cert = staple_cert_ref(entry->cert);
	*wish = entry->wish;
	mutex_unlock(&cache->lock);
	return cert;
}

void
staple_cache_learn(struct staple_entry *entry, const struct staple_cert *before,
    struct staple_cert *cert)
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

enum staple_wish
staple_entry_wish(struct staple_entry *entry)
{
	struct staple_cache *cache = entry->cache;
	enum staple_wish wish;

	mutex_lock(&cache->lock);
	wish = entry->wish;
	mutex_unlock(&cache->lock);
	return wish;
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
