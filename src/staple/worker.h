/*
 * The staple thread: takes over what changed, reviews what is due, starts
 * exchanges within the slots and moves them on.  Everything it keeps about a
 * certificate is an errand (errand.h).
 */
#ifndef STAPLE_WORKER_H
#define STAPLE_WORKER_H

#include <stdbool.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;
struct staple_cache;
struct staple_settings;
struct staple_worker;

/* References cache and settings; opens the store.  Not started yet: no thread
 * exists, nor anything that two processes must not share after a fork, and
 * waking it does nothing. */
struct staple_worker *staple_worker_new(struct staple_cache *cache,
    struct staple_settings *settings, struct err *err) MUST_CHECK;
bool staple_worker_start(
    struct staple_worker *worker, struct err *err) MUST_CHECK;

/* Any thread: take new settings over; look at the cache; ask again. */
void staple_worker_configure(
    struct staple_worker *worker, struct staple_settings *settings);
void staple_worker_wake(struct staple_worker *worker);
void staple_worker_refresh(struct staple_worker *worker);

/* Stop, join, free.  NULL ok. */
void staple_worker_free(struct staple_worker *worker);

/* One turn of the thread, which it repeats until it is told to stop (false).
 * Public for tests alone, which take the thread's place. */
bool staple_worker_turn(struct staple_worker *worker);
/* What a turn needs besides.  staple_worker_start calls it. */
bool staple_worker_prepare(
    struct staple_worker *worker, struct err *err) MUST_CHECK;

#endif
