/*
 * What all errands share: the tools they ask and remember with, the settings
 * in force, the responder hosts, and what time it is.  A plain
 * struct, owned by the worker.  Staple thread only once it has started.
 */
#ifndef STAPLE_OFFICE_H
#define STAPLE_OFFICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/heap.h"
#include "staple/fetch.h"
#include "staple/host_limits.h"
#include "staple/issuers.h"
#include "staple/staple.h"

struct err;
struct staple_settings;
struct staple_permits;
struct staple_store;
struct staple_writer;

struct staple_office {
	/* fixed before the first turn */
	struct staple_fetcher *fetcher; /* NULL before staple_office_equip */
	struct staple_permits *permits;
	struct staple_store *store;        /* NULL: none */
	struct staple_store *issuer_store; /* NULL: none */
	struct staple_writer *writer;      /* NULL: nothing is saved */
	staple_fetch_fn *fetched;          /* reads the clocks, then
					 staple_ask_fetched */
	staple_log_fn *log;
	staple_change_fn *on_change;
	void *arg; /* of both */

	struct staple_settings *settings; /* owned reference; may change */
	struct staple_hosts hosts;
	struct heap agenda; /* errands, by the wall second of their review */
	size_t errand_count;
	struct staple_issuers issuers;

	/* now; and when to wake at the latest, which others move earlier */
	int64_t wall_s;
	int64_t mono_ms;
	int64_t wake_ms;
};

/* Tools that need no thread yet.  false: *err; close it all the same, as a
 * zeroed one may be. */
bool staple_office_open(struct staple_office *office,
    struct staple_settings *settings, struct err *err) MUST_CHECK;
void staple_office_close(struct staple_office *office);

/* What must not cross a fork.  Once.  false: *err, and nothing has changed. */
bool staple_office_equip(
    struct staple_office *office, struct err *err) MUST_CHECK;

/* From now on these settings (a reference is taken); the store and the
 * callbacks stay. */
void staple_office_apply(
    struct staple_office *office, struct staple_settings *settings);

/* Have a turn at this time (monotonic ms), or earlier. */
void staple_office_expect(struct staple_office *office, int64_t mono_ms);

#endif
