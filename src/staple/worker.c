/*
 * The staple thread and its turn.  Other threads reach it in two ways: through
 * the cache, which hands over entries that changed, and through fields of the
 * worker under its lock.  The wait ends with the next due time and never lasts longer than a minute, so
 * that a jump of the clock is noticed.  Of the files of the thread only this
 * one reads clocks; the others take the time from the worker.
 *
 * The fetcher is made at the start and not before: the wake-up socket of
 * libcurl must not be shared with a process that was forked.  The callbacks and
 * the store are taken from the first settings and never change, so that they
 * may be kept for other threads.
 */
#include "staple/worker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "staple/attempt.h"
#include "staple/cache.h"
#include "staple/host_limits.h"
#include "staple/job.h"
#include "staple/log_state.h"
#include "staple/settings.h"
#include "staple/store.h"
#include "staple/writer.h"

enum {
	NAP_MS = 60 * 1000,     /* the longest wait */
	SET_BACK_S = 2,         /* of the clock; less is rounding */
	POSTPONED_MS = 1000,    /* when memory for an entry was missing */
	REFRESH_MS = 10 * 1000, /* between refreshes on demand */
	RETRY_MS = 100,         /* when memory for a permit was missing */
	TAKEN_AT_ONCE = 64      /* entries, before exchanges move on */
};

/* ---- Settings and tools ---- */

static void
apply_settings(struct staple_worker *worker, struct staple_settings *settings)
{
	staple_settings_ref(settings);
	if (worker->fetcher != NULL)
		staple_settings_apply(settings, worker->fetcher);
	worker->hosts.max_permits = settings->values.max_fetches;
	/* Borrowed by the fetcher until now. */
	staple_settings_unref(worker->settings);
	worker->settings = settings;
}

static bool
open_store(struct staple_worker *worker, struct err *err)
{
	const char *folder = worker->settings->values.store_dir;

	if (folder == NULL)
		return true;
	worker->store = staple_store_open(folder, err);
	if (worker->store == NULL)
		return false;
	worker->issuer_store = staple_store_open_issuers(folder, err);
	return worker->issuer_store != NULL &&
	       staple_store_make_folder(worker->issuer_store, err);
}

static bool
open_tools(struct staple_worker *worker, struct staple_settings *settings,
    struct err *err)
{
	const struct staple_options *values = &settings->values;

	staple_hosts_init(&worker->hosts, values->max_fetches);
	worker->log = values->log;
	worker->on_change = values->on_change;
	worker->arg = values->arg;
	apply_settings(worker, settings);
	return open_store(worker, err);
}

static bool
make_fetcher(struct staple_worker *worker, struct err *err)
{
	worker->fetcher = staple_fetcher_new(err);
	if (worker->fetcher == NULL)
		return false;
	staple_settings_apply(worker->settings, worker->fetcher);
	return true;
}

static void
close_tools(struct staple_worker *worker)
{
	staple_fetcher_free(worker->fetcher);
	staple_hosts_fini(&worker->hosts);
	heap_fini(&worker->agenda);
	staple_store_close(worker->store);
	staple_store_close(worker->issuer_store);
	staple_issuers_fini(&worker->issuers);
	staple_settings_unref(worker->settings);
}

static void
wake_at(struct staple_worker *worker, int64_t mono_ms)
{
	if (mono_ms < worker->wake_ms)
		worker->wake_ms = mono_ms;
}

/* ---- Time ---- */

static void
read_clocks(struct staple_worker *worker)
{
	worker->wall_s = clock_wall_ms() / 1000;
	worker->mono_ms = clock_mono_ms();
}

static void
on_fetched(void *arg, const struct staple_fetch_result *result)
{
	struct staple_job *job = arg;

	read_clocks(job->worker);
	staple_attempt_fetched(job, result);
}

/*
 * ---- From other threads ----
 *
 * Nothing is queued: of two settings or two refreshes that have not been read,
 * the newer replaces the older.
 */

static void
report_disk(struct staple_worker *worker, const char *failure)
{
	if (failure[0] == '\0')
		staple_report_message(worker, STAPLE_LEVEL_NOTICE,
		    "saving responses works again");
	else
		staple_report_message(worker, STAPLE_LEVEL_WARNING,
		    "saving responses failed: %s; a restart fetches them "
		    "again",
		    failure);
}

/* false: stop. */
static bool
read_sent(struct staple_worker *worker)
{
	struct staple_settings *settings;
	bool stop, disk_changed;
	struct err disk_error;

	mutex_lock(&worker->lock);
	settings = worker->new_settings;
	worker->new_settings = NULL;
	worker->refresh_wanted |= worker->refresh;
	worker->refresh = false;
	stop = worker->stop;
	disk_changed = worker->disk_changed;
	worker->disk_changed = false;
	disk_error = worker->disk_error;
	mutex_unlock(&worker->lock);

	if (settings != NULL)
		apply_settings(worker, settings);
	worker->review_all |= settings != NULL;
	staple_settings_unref(settings);
	if (disk_changed)
		report_disk(worker, disk_error.text);
	return !stop;
}

void
staple_worker_wake(struct staple_worker *worker)
{
	if (atomic_load_explicit(&worker->is_prepared, memory_order_acquire))
		staple_fetcher_wake(worker->fetcher);
}

void
staple_worker_configure(
    struct staple_worker *worker, struct staple_settings *settings)
{
	struct staple_settings *unread;

	staple_settings_ref(settings);
	mutex_lock(&worker->lock);
	unread = worker->new_settings;
	worker->new_settings = settings;
	mutex_unlock(&worker->lock);
	staple_settings_unref(unread);
	staple_worker_wake(worker);
}

void
staple_worker_refresh(struct staple_worker *worker)
{
	mutex_lock(&worker->lock);
	worker->refresh = true;
	mutex_unlock(&worker->lock);
	staple_worker_wake(worker);
}

/* On the writer thread. */
static void
on_disk(void *arg, const char *id, const char *failure)
{
	struct staple_worker *worker = arg;
	struct err error = { "" };

	if (failure != NULL)
		err_set(&error, "%s: %s", id, failure);
	mutex_lock(&worker->lock);
	worker->disk_changed = true;
	worker->disk_error = error;
	mutex_unlock(&worker->lock);
	staple_worker_wake(worker);
}

/* ---- The turn ---- */

/* false: no memory. */
static bool
take_over(struct staple_worker *worker, struct staple_entry *entry)
{
	struct staple_job *job = staple_entry_job(entry);

	if (staple_cache_forget(entry)) {
		if (job != NULL)
			staple_job_free(job);
		return true;
	}
	if (job == NULL) {
		job = staple_job_new(worker, entry);
		if (job == NULL)
			return false;
		list_append(&worker->jobs, &job->node);
	}
	staple_job_update(job);
	if (staple_entry_take_request(entry)) {
		staple_hosts_probe_now(&worker->hosts, worker->mono_ms);
		staple_job_refresh(job);
	}
	return true;
}

static struct staple_entry *
next_entry(struct staple_worker *worker)
{
	struct staple_entry *entry = worker->postponed;

	worker->postponed = NULL;
	return entry != NULL ? entry : staple_cache_next_changed(worker->cache);
}

static void
take_over_changed(struct staple_worker *worker)
{
	struct staple_entry *entry;

	worker->more = false;
	for (int i = 0; i < TAKEN_AT_ONCE; i++) {
		entry = next_entry(worker);
		if (entry == NULL)
			return;
		if (!take_over(worker, entry)) {
			worker->postponed = entry;
			wake_at(worker, worker->mono_ms + POSTPONED_MS);
			return;
		}
		staple_entry_unref(entry);
	}
	worker->more = true;
}

static void
refresh_if_wanted(struct staple_worker *worker)
{
	int64_t polite_ms = worker->refreshed_ms + REFRESH_MS;

	if (!worker->refresh_wanted)
		return;
	if (worker->mono_ms < polite_ms) {
		wake_at(worker, polite_ms);
		return;
	}
	worker->refresh_wanted = false;
	worker->refreshed_ms = worker->mono_ms;
	staple_hosts_probe_now(&worker->hosts, worker->mono_ms);
	LIST_FOREACH(&worker->jobs, node) {
		staple_job_refresh(container_of(node, struct staple_job, node));
	}
}

/* Due times are of the wall clock; set back, it makes them too late. */
static bool
was_set_back(struct staple_worker *worker)
{
	int64_t before_s = worker->offset_s;

	worker->offset_s = worker->wall_s - worker->mono_ms / 1000;
	return worker->offset_s < before_s - SET_BACK_S;
}

/* The jobs that are due; all of them if their times may be wrong. */
static void
review_if_due(struct staple_worker *worker)
{
	struct heap_node *first;

	worker->review_all |= was_set_back(worker);
	if (worker->review_all) {
		worker->review_all = false;
		LIST_FOREACH(&worker->jobs, node) {
			staple_job_review(
			    container_of(node, struct staple_job, node));
		}
	}
	while ((first = heap_first(&worker->agenda)) != NULL &&
	       first->key <= worker->wall_s)
		staple_job_review(container_of(first, struct staple_job, wake));
}

/* A host went down or up. */
static void
reconsider_if_changed(struct staple_worker *worker)
{
	if (!worker->hosts.changed)
		return;
	worker->hosts.changed = false;
	LIST_FOREACH(&worker->jobs, node) {
		staple_attempt_reconsider(
		    container_of(node, struct staple_job, node));
	}
}

static void
start_exchanges(struct staple_worker *worker)
{
	struct staple_waiter *waiter;
	struct staple_permit *permit;

	while ((waiter = staple_queue_next(
		    &worker->hosts, worker->mono_ms, &permit)) != NULL)
		staple_attempt_start(waiter, permit);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until the next review, or until a permit turns slow or a host may be
 * probed. */
static uint32_t
find_wait(const struct staple_worker *worker)
{
	const struct heap_node *first = heap_first(&worker->agenda);
	int64_t wait_ms = worker->wake_ms - worker->mono_ms;
	int64_t permit_ms;

	if (worker->more || worker->hosts.changed)
		return 0;
	if (first != NULL && first->key - worker->wall_s < NAP_MS / 1000)
		wait_ms = earlier(
		    wait_ms, (first->key - worker->wall_s) * INT64_C(1000));
	permit_ms = staple_queue_until(&worker->hosts, worker->mono_ms);
	if (permit_ms <= worker->mono_ms)
		permit_ms = worker->mono_ms + RETRY_MS;
	wait_ms = earlier(wait_ms, permit_ms - worker->mono_ms);
	return wait_ms > 0 ? (uint32_t)wait_ms : 0;
}

bool
staple_worker_turn(struct staple_worker *worker)
{
	read_clocks(worker);
	worker->wake_ms = worker->mono_ms + NAP_MS;
	if (!read_sent(worker))
		return false;
	take_over_changed(worker);
	review_if_due(worker);
	refresh_if_wanted(worker);
	reconsider_if_changed(worker);
	start_exchanges(worker);
	staple_fetcher_turn(worker->fetcher, find_wait(worker));
	return true;
}

static void
run(void *arg)
{
	while (staple_worker_turn(arg))
		;
}

/* ---- Creation and end ---- */

struct staple_worker *
staple_worker_new(struct staple_cache *cache, struct staple_settings *settings,
    struct err *err)
{
	struct staple_worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	mutex_init(&worker->lock);
	atomic_init(&worker->is_prepared, false);
	list_init(&worker->jobs);
	worker->cache = staple_cache_ref(cache);
	/* The first refresh is not delayed, whatever the monotonic clock. */
	worker->refreshed_ms = -NAP_MS;
	worker->fetched = on_fetched;
	if (!open_tools(worker, settings, err)) {
		staple_worker_free(worker);
		return NULL;
	}
	return worker;
}

bool
staple_worker_prepare(struct staple_worker *worker, struct err *err)
{
	if (atomic_load_explicit(&worker->is_prepared, memory_order_relaxed))
		return true;
	if (!make_fetcher(worker, err))
		return false;
	atomic_store_explicit(&worker->is_prepared, true, memory_order_release);
	return true;
}

bool
staple_worker_start(struct staple_worker *worker, struct err *err)
{
	if (!staple_worker_prepare(worker, err))
		return false;
	/* It is there already when a start that failed is tried again. */
	if (worker->store != NULL && worker->writer == NULL) {
		worker->writer = staple_writer_start(worker->store,
		    worker->issuer_store, worker->cache, on_disk, worker, err);
		if (worker->writer == NULL)
			return false;
	}
	return thread_start(&worker->thread, "staple", run, worker, err);
}

void
staple_worker_free(struct staple_worker *worker)
{
	if (worker == NULL)
		return;
	mutex_lock(&worker->lock);
	worker->stop = true;
	mutex_unlock(&worker->lock);
	staple_worker_wake(worker);
	thread_join(&worker->thread);
	LIST_FOREACH(&worker->jobs, node) {
		staple_job_free(container_of(node, struct staple_job, node));
	}
	staple_entry_unref(worker->postponed);
	staple_writer_stop(worker->writer);
	close_tools(worker);
	staple_cache_unref(worker->cache);
	staple_settings_unref(worker->new_settings);
	mutex_fini(&worker->lock);
	free(worker);
}
