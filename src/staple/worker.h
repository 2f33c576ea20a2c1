/*
 * The staple thread: takes over what changed, reviews what is due, starts
 * exchanges within the permits and moves them on.  Its state of one
 * certificate is a job (job.h).
 */
#ifndef STAPLE_WORKER_H
#define STAPLE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "staple/fetch.h"
#include "staple/host_limits.h"
#include "staple/issuers.h"
#include "staple/staple.h"

struct staple_cache;
struct staple_entry;
struct staple_settings;
struct staple_store;
struct staple_writer;

struct staple_worker {
	/* fixed at creation */
	struct staple_cache *cache; /* owned reference */
	struct thread thread;

	struct mutex lock;

	/* under lock: what other threads have sent, of each the newest */
	struct staple_settings *new_settings; /* a reference; NULL: none */
	bool refresh;
	bool stop;
	bool disk_changed;     /* writing began to fail, or works again */
	struct err disk_error; /* why it fails; "": it works again */

	/* fetcher exists.  Settings that were sent before are read in the
	 * first turn. */
	atomic_bool is_prepared;

	/* staple thread only, from here on */

	/* fixed before the first turn */
	struct staple_fetcher *fetcher;    /* NULL: not prepared */
	struct staple_store *store;        /* NULL: none */
	struct staple_store *issuer_store; /* NULL: none */
	struct staple_writer *writer;      /* NULL: nothing is saved */
	staple_fetch_fn *fetched;          /* reads the clocks, then
					 staple_attempt_fetched */
	staple_log_fn *log;
	staple_change_fn *on_change;
	void *arg; /* of both */

	struct staple_settings *settings; /* owned reference; may change */
	struct staple_hosts hosts;
	struct heap agenda; /* jobs, by the wall second of their review */
	size_t job_count;
	struct staple_issuers issuers;

	/* now; and the end of the next wait at the latest */
	int64_t wall_s;
	int64_t mono_ms;
	int64_t wake_ms;

	struct list jobs;
	bool more;                      /* entries are left to take over */
	struct staple_entry *postponed; /* no memory for it; owned */
	bool refresh_wanted;            /* once REFRESH_MS have passed */
	bool review_all;                /* the intervals may have changed */
	int64_t offset_s;               /* wall clock less monotonic */
	int64_t refreshed_ms;
};

/* References cache and settings; opens the store.  Not started yet: no thread
 * exists, nor anything that two processes must not share after a fork, and
 * waking it does nothing. */
struct staple_worker *staple_worker_new(struct staple_cache *cache,
    struct staple_settings *settings, struct err *err) MUST_CHECK;
bool staple_worker_start(
    struct staple_worker *worker, struct err *err) MUST_CHECK;

/* Any thread: apply new settings; take over changed entries; fetch all now. */
void staple_worker_configure(
    struct staple_worker *worker, struct staple_settings *settings);
void staple_worker_wake(struct staple_worker *worker);
void staple_worker_refresh(struct staple_worker *worker);

/* Stop, join, free.  NULL ok. */
void staple_worker_free(struct staple_worker *worker);

/* One turn of the thread, repeated until it returns false (stop).  Public for
 * tests, which run the turns themselves. */
bool staple_worker_turn(struct staple_worker *worker);
/* What a turn needs besides.  staple_worker_start calls it. */
bool staple_worker_prepare(
    struct staple_worker *worker, struct err *err) MUST_CHECK;

#endif
