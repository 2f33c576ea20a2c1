/*
 * The only state that the staple thread, the listeners and the caller share,
 * and the only lock in the library.  Entries are found by the certificate's
 * key; each lives as long as a holder (an X509) or the staple thread needs
 * it, and keeps the cache alive.  No function here does anything under the
 * lock but plain memory work.  Any thread unless it says otherwise.
 */
#ifndef STAPLE_CACHE_H
#define STAPLE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/staple.h"

struct staple_cache;
struct staple_entry;
struct staple_response;

struct staple_cache *staple_cache_new(void) MUST_CHECK;
struct staple_cache *staple_cache_ref(struct staple_cache *cache);
void staple_cache_unref(struct staple_cache *cache); /* NULL ok */

/*
 * No more staples: drops every response, wakes waiters, ends hand-over.  The
 * staple thread has ended before.  Holders may still come and go.
 */
void staple_cache_close(struct staple_cache *cache);
bool staple_cache_is_closed(struct staple_cache *cache);
/* In the child of a fork, before it is closed there: a thread of the parent
 * may have had the lock, or may have waited.  No other thread uses it. */
void staple_cache_forked(struct staple_cache *cache);

/* ---- Holders: one per X509 ---- */

/*
 * Find or create the entry of cert's key and become a holder of it, with this
 * wish (what the holder's policy makes of the certificate).  The entry takes
 * these facts (a reference) if they are not the very ones it has.  NULL: no
 * memory.
 */
struct staple_entry *staple_cache_hold(struct staple_cache *cache,
    struct staple_cert *cert, enum staple_wish wish) MUST_CHECK;
/* New facts for an entry that is held; the same pointer changes nothing. */
void staple_cache_correct(struct staple_entry *entry, struct staple_cert *cert);
/* A holder changes its wish. */
void staple_cache_wish(
    struct staple_entry *entry, enum staple_wish before, enum staple_wish now);
/* Its staple_file may be a new one: have the staple thread look at it. */
void staple_cache_look(struct staple_entry *entry);
/* Give up being a holder. */
void staple_cache_release(struct staple_entry *entry, enum staple_wish wish);

/* A new reference, or NULL. */
struct staple_entry *staple_cache_find(
    struct staple_cache *cache, const unsigned char key[STAPLE_KEY_SIZE]);
void staple_entry_ref(struct staple_entry *entry);
void staple_entry_unref(struct staple_entry *entry); /* NULL ok */

/* The facts as of now: a new reference. */
struct staple_cert *staple_entry_cert(struct staple_entry *entry);

/* The cache that it belongs to; borrowed from the entry. */
struct staple_cache *staple_entry_cache(const struct staple_entry *entry);

/* ---- Handshakes ---- */

/*
 * What a client that asked is to be sent under a policy without BY_MODE in
 * it: a new reference.  Lock, compare the expiry, reference, unlock.  NULL:
 * *reason, which is counted already; what is sent is counted by
 * staple_cache_sent.
 */
struct staple_response *staple_cache_take(struct staple_entry *entry,
    const struct staple_policy *policy, int64_t now_s,
    enum staple_unsent *reason) MUST_CHECK;
void staple_cache_sent(struct staple_entry *entry);
void staple_cache_unsent(struct staple_entry *entry, enum staple_unsent reason);

/* ---- The staple thread ---- */

/*
 * The next entry that is wanted for the first time, or whose wish or facts
 * changed since, or that is to be looked at, or that lost its last holder; a
 * new reference; NULL: none.  What was never wanted is never given out.
 */
struct staple_entry *staple_cache_next_changed(struct staple_cache *cache);
bool staple_cache_has_changed(struct staple_cache *cache);

/* The strongest wish of any holder. */
enum staple_wish staple_entry_wish(struct staple_entry *entry);

/* The facts, a new reference, and the wish that goes with them: what is wanted
 * is no sketch. */
struct staple_cert *staple_entry_facts(
    struct staple_entry *entry, enum staple_wish *wish);

/* Replace `before` by these facts (a reference is taken), without handing the
 * entry over.  If the entry has newer facts than `before`, they stay. */
void staple_cache_learn(struct staple_entry *entry,
    const struct staple_cert *before, struct staple_cert *cert);

/* Take it out of the table if nobody holds it: true. */
bool staple_cache_forget(struct staple_entry *entry);

/* The staple thread's own notes on an entry; no other thread asks. */
void staple_entry_set_job(struct staple_entry *entry, void *job);
void *staple_entry_job(const struct staple_entry *entry);

/* A new reference to what is held, or NULL. */
struct staple_response *staple_cache_held(struct staple_entry *entry);

/* Swap in (a reference is taken; NULL drops what is held).  Whether it may
 * replace the old one was asked before: only the staple thread publishes. */
void staple_cache_publish(
    struct staple_entry *entry, struct staple_response *fresh);

/*
 * What the staple thread knows about an entry besides the response.  `settled`
 * is taken back by the cache itself when the certificate becomes wanted, or
 * when its facts change.
 */
struct staple_progress {
	bool settled;
	bool confirmed;
	bool unconfirmable;
	enum staple_outcome outcome;
	unsigned failures;
	int64_t next_try;
	char said[512];
};
void staple_cache_tell(
    struct staple_entry *entry, const struct staple_progress *progress);

/* ---- Looking ---- */

/* settled is computed with now_s: a valid good response settles by itself. */
void staple_cache_read(
    struct staple_entry *entry, int64_t now_s, struct staple_info *info);

/* References to all entries: an array to free() after unref of each.  NULL:
 * no memory. */
struct staple_entry **staple_cache_list(
    struct staple_cache *cache, size_t *count) MUST_CHECK;

/* Wait until all wanted entries are settled: true.  false: they are not, and
 * the monotonic clock has reached until_ms or the cache was closed. */
bool staple_cache_wait(struct staple_cache *cache, int64_t until_ms);

#endif
