/*
 * The state that the staple thread, the listeners and the caller share.
 * Entries are found by the key of the certificate.  Each lives as long as a
 * holder (an X509) or the staple thread has a reference, and keeps the cache
 * alive.  Only plain memory work is done under the lock.  Any thread unless
 * noted.
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
 * Drop every response, wake waiters, end the hand-over.  The staple thread has
 * ended before.  Holders may still be added and released.
 */
void staple_cache_close(struct staple_cache *cache);
bool staple_cache_is_closed(struct staple_cache *cache);
/* In the child of a fork, before staple_cache_close: the lock may have been
 * held at the fork.  No other thread uses the cache. */
void staple_cache_forked(struct staple_cache *cache);

/* ---- Holders: one per X509 ---- */

/*
 * Find or create the entry of cert's key and add a holder with this requirement
 * (that of the holder's policy for the certificate).  The entry takes these
 * facts (a reference) unless it has the same pointer.  NULL: no memory.
 */
struct staple_entry *staple_cache_hold(struct staple_cache *cache,
    struct staple_cert *cert, enum staple_requirement requirement) MUST_CHECK;
/* New facts for an entry that is held; the same pointer changes nothing. */
void staple_cache_set_cert(
    struct staple_entry *entry, struct staple_cert *cert);
/* A holder changes its requirement. */
void staple_cache_set_requirement(struct staple_entry *entry,
    enum staple_requirement before, enum staple_requirement now);
/* Its staple_file may have changed: hand the entry over. */
void staple_cache_check_file(struct staple_entry *entry);
/* Fetch its response now: hand the entry over, if it is wanted. */
void staple_cache_request_fetch(struct staple_entry *entry);
/* Remove a holder. */
void staple_cache_release(
    struct staple_entry *entry, enum staple_requirement requirement);

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
 * The response for a client that sent status_request, under a policy without
 * BY_MODE in it: a new reference.  Lock, compare the expiry, reference, unlock.
 * NULL: *reason, which is counted already; a response that was sent is counted
 * by staple_cache_sent.
 */
struct staple_response *staple_cache_take(struct staple_entry *entry,
    const struct staple_policy *policy, int64_t now_s,
    enum staple_unsent *reason) MUST_CHECK;
void staple_cache_sent(struct staple_entry *entry);
void staple_cache_unsent(struct staple_entry *entry, enum staple_unsent reason);

/* ---- The staple thread ---- */

/*
 * The next entry whose staple became required, or whose requirement, facts or
 * staple_file changed since, or that lost its last holder; a new reference;
 * NULL: none.  An entry whose staple was never required is never returned.
 */
struct staple_entry *staple_cache_next_changed(struct staple_cache *cache);
bool staple_cache_has_changed(struct staple_cache *cache);

/* Was a fetch requested since the last call? */
bool staple_entry_take_request(struct staple_entry *entry);

/* The strongest requirement of any holder. */
enum staple_requirement staple_entry_requirement(struct staple_entry *entry);

/* The facts, a new reference, and the requirement at the same moment: the facts
 * of a wanted certificate are complete. */
struct staple_cert *staple_entry_facts(
    struct staple_entry *entry, enum staple_requirement *requirement);

/* Replace `before` by these facts (a reference is taken), without handing the
 * entry over.  If the entry has newer facts than `before`, they stay. */
void staple_cache_replace_cert(struct staple_entry *entry,
    const struct staple_cert *before, struct staple_cert *cert);

/* Remove an entry without holders from the table: true. */
bool staple_cache_forget(struct staple_entry *entry);

/* The job of an entry.  Staple thread only. */
void staple_entry_set_job(struct staple_entry *entry, void *job);
void *staple_entry_job(const struct staple_entry *entry);

/* A new reference to the response that is held, or NULL. */
struct staple_response *staple_cache_response(struct staple_entry *entry);

/* Replace the held response (a reference is taken; NULL: hold none).  The
 * caller has checked that it may; only the staple thread publishes. */
void staple_cache_publish(
    struct staple_entry *entry, struct staple_response *fresh);

/*
 * The state of an entry besides the response, set by the staple thread.  The
 * cache itself resets `settled` when the certificate becomes wanted or its
 * facts change.
 */
struct staple_progress {
	bool settled;
	bool confirmed;
	bool unconfirmable;
	enum staple_outcome outcome;
	unsigned failures;
	int64_t next_try;
	int64_t last_success;
	uint32_t fetches[STAPLE_OUTCOMES];
	char said[512];
};
void staple_cache_set_progress(
    struct staple_entry *entry, const struct staple_progress *progress);

/* ---- Status ---- */

/* settled is computed with now_s: a valid good response settles by itself. */
void staple_cache_read(
    struct staple_entry *entry, int64_t now_s, struct staple_info *info);

/* References to all entries: an array to free() after unref of each.  NULL:
 * no memory. */
struct staple_entry **staple_cache_list(
    struct staple_cache *cache, size_t *count) MUST_CHECK;

/* Wait until all wanted entries are settled: true.  false: the monotonic clock
 * has reached until_ms or the cache was closed before. */
bool staple_cache_wait(struct staple_cache *cache, int64_t until_ms);

#endif
