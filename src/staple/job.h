/*
 * The job of one certificate on the staple thread: what is held, when the next
 * fetch is due, the last outcome, whether a revocation is confirmed.  One
 * attempt is in attempt.h, the reports are in log_state.h.  Staple thread only;
 * the time is that of the worker.
 */
#ifndef STAPLE_JOB_H
#define STAPLE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "staple/cert.h"
#include "staple/host_limits.h"
#include "staple/log_state.h"
#include "staple/request_order.h"
#include "staple/store.h"
#include "staple/worker.h"

struct staple_entry;
struct staple_fetch;
struct staple_host;
struct staple_permit;
struct staple_response;

/* One attempt: ask.c. */
struct staple_attempt {
	bool busy;
	bool confirming;   /* this attempt confirms a revoked response */
	size_t issuer_url; /* in hand, of cert->issuer_urls: no issuer yet */
	struct staple_request_order order;
	struct staple_request_variant variant;
	bool asked_before;            /* something stands in said */
	bool tried;                   /* an exchange was begun */
	int64_t began_ms;             /* the first of them */
	bool skipped;                 /* a host that is down */
	bool blocked;                 /* all hosts are down: it waits for one */
	uint32_t timeout_ms;          /* the deadline, as settings had it */
	uint32_t left_ms;             /* of it; waiting costs nothing */
	struct staple_waiter waiter;  /* while it waits for a slot */
	struct staple_host *host;     /* waited for or asked; borrowed */
	enum staple_outcome blame;    /* of the last request; UNASKED: none */
	int64_t blame_retry_s;        /* the Retry-After of that request */
	struct staple_permit *permit; /* while it is asking */
	struct staple_fetch *fetch;
	enum staple_outcome nearest; /* of the tries that failed */
	int64_t retry_after_s;       /* the longest that was asked for */
};

/* What is known about a revocation.  Who said so first must be remembered,
 * because only somebody else can confirm it. */
enum staple_revoked_by {
	STAPLE_REVOKED_BY_NONE,    /* what is held is good, or nothing is */
	STAPLE_REVOKED_BY_UNKNOWN, /* in another life, or of another source */
	STAPLE_REVOKED_BY_VARIANT  /* job->revoked_variant */
};

struct staple_job {
	struct list node;             /* of all errands */
	struct staple_worker *worker; /* borrowed */
	struct staple_entry *entry;   /* owned reference */
	struct staple_cert *cert;     /* owned reference */
	enum staple_wish wish;
	struct staple_host *hosts[STAPLE_URLS_MAX]; /* of its URLs; held */

	/* the schedule, wall seconds */
	struct heap_node wake; /* of worker->agenda */
	int64_t due;           /* 0: no fetch is scheduled */
	int64_t planned;       /* when that was worked out */
	bool probe_due;        /* due is the time of a host's next probe */
	unsigned failures;
	int64_t tries_since; /* first failure after the last answer; 0 */

	/* what is asked, and what came of it URL by URL */
	struct staple_attempt attempt;
	struct err said;
	bool worked_once;
	struct staple_request_variant worked;

	/* what is known */
	bool settled;
	enum staple_outcome outcome;
	enum staple_revoked_by revoked_by;
	struct staple_request_variant revoked_variant;
	bool confirmed, unconfirmable;

	/* processes that share the store */
	struct staple_stamp saved;  /* of the file, when it was last read */
	struct staple_claim *claim; /* during an attempt; NULL: none */
	int64_t yields_since_ms;    /* monotonic; 0: not waiting for another */
	bool on_demand;             /* the next attempt is */

	/* staple_file */
	bool looked;
	struct staple_stamp stamp;
	int64_t looked_at;

	/* what was told to others */
	uint32_t told;
	unsigned told_flaws;             /* of the responses held: report.c */
	bool mentioned;                  /* URLs that were left out */
	struct staple_host *issuer_host; /* held while it is asked: ask.c */
	struct staple_log_state log_state;
};

/* A new errand for an entry (a reference is taken), which knows it from now
 * on; empty until its first update.  NULL: no memory. */
struct staple_job *staple_job_new(
    struct staple_worker *worker, struct staple_entry *entry) MUST_CHECK;
/* Drops what is in flight.  What is held is the cache's. */
void staple_job_free(struct staple_job *job);

/* Take over the facts and the wish of its entry. */
void staple_job_update(struct staple_job *job);

/* The issuer of a certificate that was shown without it, from memory or from
 * the store; borrowed from the worker.  NULL: it has to be fetched. */
X509 *staple_job_known_issuer(struct staple_job *job,
    const struct staple_cert *cert, enum staple_origin *origin);

/* Look at the clock: ask what is due, warn of what is running out. */
void staple_job_review(struct staple_job *job);

/* Ask now, whatever the schedule says. */
void staple_job_refresh(struct staple_job *job);

/* An attempt has ended, with a verified response (borrowed; how long a cache
 * called it fresh, -1: not said) or with the failure that tells most. */
struct staple_job_result {
	enum staple_outcome outcome; /* GOOD, UNCHANGED or REVOKED */
	struct staple_response *response;
	int64_t freshness_s;
};
void staple_job_answered(
    struct staple_job *job, const struct staple_job_result *reply);
void staple_job_failed(struct staple_job *job, enum staple_outcome outcome);

/* Every responder host is down: for whatever waits for this certificate, that
 * is a failed attempt.  It stays in the queue. */
void staple_job_blocked(struct staple_job *job, enum staple_outcome outcome);

/* Is the next attempt to confirm what job->revoked_variant said?  It goes on doing
 * so when it was in vain (errand->unconfirmable), but nobody waits for it. */
bool staple_job_is_confirming(const struct staple_job *job);

/* If nothing is held, take what was saved, if it is any good.  Never fatal:
 * a line in the log at most. */
void staple_disk_load(struct staple_job *job);

/*
 * Right before a request of an attempt: does another process that shares the
 * store make it unnecessary?  true: the attempt has ended, either in
 * staple_job_answered with a fresh response that the other one has saved,
 * or it is due again in a second, because the other one is asking (for a
 * minute at most, five seconds while nothing valid is held).  false: ask; errand->claim has been taken, if it could be.
 * Not on demand, nor about a revocation.
 */
bool staple_job_spares_request(struct staple_job *job);

/* Look at staple_file, and judge it if it has changed, or if it was no good a
 * minute ago (a clock may have been set, a mode changed).  Ends in
 * staple_job_answered or staple_job_failed if it was judged. */
void staple_disk_look(struct staple_job *job);

/* When to look at it again: seconds after each look. */
#define STAPLE_FILE_CHECK_S 5

#endif
