/*
 * The staple thread: takes over what changed, reads the store, starts what is
 * due within the slots, moves exchanges on, verifies, publishes, saves, says.
 * Everything it keeps about a certificate is an errand (errand.h).
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

/* References cache and settings; opens the store.  Not started yet. */
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

#endif
