/*
 * The staple thread and its turn.  Others reach it in two ways: through the
 * cache, which hands over entries that changed, and through the inbox.  The
 * wait ends with the next due time and never lasts longer than a minute, so
 * that a jump of the clock is noticed.  This is the only file of the thread
 * that reads clocks; whatever runs in a turn takes the time from the office.
 */
#include "staple/worker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"
#include "staple/ask.h"
#include "staple/cache.h"
#include "staple/errand.h"
#include "staple/host_limits.h"
#include "staple/inbox.h"
#include "staple/office.h"
#include "staple/report.h"
#include "staple/settings.h"
#include "staple/writer.h"

enum {
	NAP_MS = 60 * 1000,     /* the longest wait */
	SET_BACK_S = 2,         /* the clock, where less is rounding */
	POSTPONED_MS = 1000,    /* when memory for an entry was missing */
	REFRESH_MS = 10 * 1000, /* and refreshes on demand */
	PATIENCE_MS = 100,      /* when memory for a slot was missing */
	TAKEN_AT_ONCE = 64      /* entries, then exchanges move on */
};

struct staple_worker {
	/* fixed at creation */
	struct staple_cache *cache;
	struct thread thread;
	struct staple_inbox inbox;

	/* office.fetcher exists; what was put into the inbox before is read in
	 * the first turn. */
	atomic_bool is_prepared;

	/* staple thread only */
	struct staple_office office;
	struct list errands;
	bool more;                      /* entries are left to take over */
	struct staple_entry *postponed; /* for want of memory; owned */
	bool refresh_wanted;            /* as soon as it is polite */
	bool review_all;                /* the intervals may be others */
	int64_t offset_s;               /* wall clock less monotonic */
	int64_t refreshed_ms;
};

static void
read_clocks(struct staple_office *office)
{
	office->wall_s = clock_wall_ms() / 1000;
	office->mono_ms = clock_mono_ms();
}

static void
on_fetched(void *arg, const struct staple_fetch_result *result)
{
	struct staple_errand *errand = arg;

	read_clocks(errand->office);
	staple_ask_fetched(errand, result);
}

/* ---- The inbox ---- */

static void
say_disk(struct staple_office *office, const char *failure)
{
	if (failure[0] == '\0')
		staple_report_trouble(office, STAPLE_LEVEL_NOTICE,
		    "responses can be saved again");
	else
		staple_report_trouble(office, STAPLE_LEVEL_WARNING,
		    "responses cannot be saved, a restart would have to fetch "
		    "them: %s",
		    failure);
}

/* false: stop. */
static bool
empty_inbox(struct staple_worker *worker)
{
	struct staple_mail mail;

	staple_inbox_take(&worker->inbox, &mail);
	if (mail.settings != NULL)
		staple_office_apply(&worker->office, mail.settings);
	worker->review_all |= mail.settings != NULL;
	staple_settings_unref(mail.settings);
	if (mail.disk_told)
		say_disk(&worker->office, mail.disk_said.text);
	worker->refresh_wanted |= mail.refresh;
	return !mail.stop;
}

void
staple_worker_wake(struct staple_worker *worker)
{
	if (atomic_load_explicit(&worker->is_prepared, memory_order_acquire))
		staple_fetcher_wake(worker->office.fetcher);
}

void
staple_worker_configure(
    struct staple_worker *worker, struct staple_settings *settings)
{
	staple_inbox_put_settings(&worker->inbox, settings);
	staple_worker_wake(worker);
}

void
staple_worker_refresh(struct staple_worker *worker)
{
	staple_inbox_put_refresh(&worker->inbox);
	staple_worker_wake(worker);
}

/* On the writer thread. */
static void
on_disk(void *arg, const char *id, const char *failure)
{
	struct staple_worker *worker = arg;
	struct err said = { "" };

	if (failure != NULL)
		err_set(&said, "%s: %s", id, failure);
	staple_inbox_put_disk(&worker->inbox, &said);
	staple_worker_wake(worker);
}

/* ---- The turn ---- */

/* false: no memory. */
static bool
take_over(struct staple_worker *worker, struct staple_entry *entry)
{
	struct staple_errand *errand = staple_entry_errand(entry);

	if (staple_cache_forget(entry)) {
		if (errand != NULL)
			staple_errand_free(errand);
		return true;
	}
	if (errand == NULL) {
		errand = staple_errand_new(&worker->office, entry);
		if (errand == NULL)
			return false;
		list_append(&worker->errands, &errand->node);
	}
	staple_errand_update(errand);
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
			staple_office_expect(&worker->office,
			    worker->office.mono_ms + POSTPONED_MS);
			return;
		}
		staple_entry_unref(entry);
	}
	worker->more = true;
}

static void
refresh_if_wanted(struct staple_worker *worker)
{
	struct staple_office *office = &worker->office;
	int64_t polite_ms = worker->refreshed_ms + REFRESH_MS;

	if (!worker->refresh_wanted)
		return;
	if (office->mono_ms < polite_ms) {
		staple_office_expect(office, polite_ms);
		return;
	}
	worker->refresh_wanted = false;
	worker->refreshed_ms = office->mono_ms;
	staple_hosts_hurry(&office->hosts, office->mono_ms);
	LIST_FOREACH(&worker->errands, node) {
		staple_errand_hurry(
		    container_of(node, struct staple_errand, node));
	}
}

/* Due times are of the wall clock; set back, it makes them too late. */
static bool
was_set_back(struct staple_worker *worker)
{
	struct staple_office *office = &worker->office;
	int64_t before_s = worker->offset_s;

	worker->offset_s = office->wall_s - office->mono_ms / 1000;
	return worker->offset_s < before_s - SET_BACK_S;
}

/* Those whose time has come; all of them when times may be wrong. */
static void
review_if_due(struct staple_worker *worker)
{
	struct staple_office *office = &worker->office;
	struct heap_node *first;

	worker->review_all |= was_set_back(worker);
	if (worker->review_all) {
		worker->review_all = false;
		LIST_FOREACH(&worker->errands, node) {
			staple_errand_review(
			    container_of(node, struct staple_errand, node));
		}
	}
	while ((first = heap_first(&office->agenda)) != NULL &&
	       first->key <= office->wall_s)
		staple_errand_review(
		    container_of(first, struct staple_errand, wake));
}

/* A host went down or up. */
static void
reconsider_if_changed(struct staple_worker *worker)
{
	if (!worker->office.hosts.changed)
		return;
	worker->office.hosts.changed = false;
	LIST_FOREACH(&worker->errands, node) {
		staple_ask_reconsider(
		    container_of(node, struct staple_errand, node));
	}
}

static void
start_exchanges(struct staple_worker *worker)
{
	struct staple_office *office = &worker->office;
	struct staple_waiter *waiter;
	struct staple_permit *permit;

	while ((waiter = staple_queue_next(&office->hosts, office->permits,
		    office->mono_ms, &permit)) != NULL)
		staple_ask_start(waiter, permit);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until the next review, or until a slot turns slow or a host may be probed. */
static uint32_t
find_wait(const struct staple_worker *worker)
{
	const struct staple_office *office = &worker->office;
	const struct heap_node *first = heap_first(&office->agenda);
	int64_t wait_ms = office->wake_ms - office->mono_ms;
	int64_t permit_ms;

	if (worker->more || office->hosts.changed)
		return 0;
	if (first != NULL && first->key - office->wall_s < NAP_MS / 1000)
		wait_ms = earlier(
		    wait_ms, (first->key - office->wall_s) * INT64_C(1000));
	permit_ms = staple_queue_until(
	    &office->hosts, office->permits, office->mono_ms);
	if (permit_ms <= office->mono_ms)
		permit_ms = office->mono_ms + PATIENCE_MS;
	wait_ms = earlier(wait_ms, permit_ms - office->mono_ms);
	return wait_ms > 0 ? (uint32_t)wait_ms : 0;
}

bool
staple_worker_turn(struct staple_worker *worker)
{
	struct staple_office *office = &worker->office;

	read_clocks(office);
	office->wake_ms = office->mono_ms + NAP_MS;
	if (!empty_inbox(worker))
		return false;
	take_over_changed(worker);
	review_if_due(worker);
	refresh_if_wanted(worker);
	reconsider_if_changed(worker);
	start_exchanges(worker);
	staple_fetcher_turn(office->fetcher, find_wait(worker));
	return true;
}

static void
run(void *arg)
{
	while (staple_worker_turn(arg))
		;
}

/* ---- Life ---- */

struct staple_worker *
staple_worker_new(struct staple_cache *cache, struct staple_settings *settings,
    struct err *err)
{
	struct staple_worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	staple_inbox_init(&worker->inbox);
	atomic_init(&worker->is_prepared, false);
	list_init(&worker->errands);
	worker->cache = staple_cache_ref(cache);
	/* Whatever the monotonic clock says: the first times are at once. */
	worker->refreshed_ms = -NAP_MS;
	worker->office.fetched = on_fetched;
	if (!staple_office_open(&worker->office, settings, err)) {
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
	if (!staple_office_equip(&worker->office, err))
		return false;
	atomic_store_explicit(&worker->is_prepared, true, memory_order_release);
	return true;
}

bool
staple_worker_start(struct staple_worker *worker, struct err *err)
{
	struct staple_office *office = &worker->office;

	if (!staple_worker_prepare(worker, err))
		return false;
	/* It is there already when a start that failed is tried again. */
	if (office->store != NULL && office->writer == NULL) {
		office->writer = staple_writer_start(office->store,
		    office->issuer_store, worker->cache, on_disk, worker, err);
		if (office->writer == NULL)
			return false;
	}
	return thread_start(&worker->thread, "staple", run, worker, err);
}

void
staple_worker_free(struct staple_worker *worker)
{
	struct staple_office *office;

	if (worker == NULL)
		return;
	office = &worker->office;
	staple_inbox_put_stop(&worker->inbox);
	staple_worker_wake(worker);
	thread_join(&worker->thread);
	LIST_FOREACH(&worker->errands, node) {
		staple_errand_free(
		    container_of(node, struct staple_errand, node));
	}
	staple_entry_unref(worker->postponed);
	staple_writer_stop(office->writer);
	staple_office_close(office);
	staple_cache_unref(worker->cache);
	staple_inbox_fini(&worker->inbox);
	free(worker);
}
