/*
 * The job of one certificate: its facts, when the next fetch is due, the last
 * outcome, whether a revocation is confirmed.  The steps of one attempt are in
 * attempt.h, the reports in log_state.h.  Staple thread only; the time is that
 * of the worker.
 */
#ifndef STAPLE_JOB_H
#define STAPLE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/heap.h"
#include "base/list.h"
#include "staple/cert.h"
#include "staple/host_limits.h"
#include "staple/log_state.h"
#include "staple/outcome.h"
#include "staple/request_order.h"
#include "staple/response.h"
#include "staple/store.h"
#include "staple/worker.h"

#define STAPLE_FILE_CHECK_S 5 /* between two checks of a staple_file */

struct staple_entry;
struct staple_fetch;
struct staple_host;
struct staple_permit;

/* One attempt: attempt.c. */
struct staple_attempt {
	bool busy;
	bool confirming; /* this attempt confirms a revoked response */
	size_t
	    issuer_url; /* of cert->issuer_urls, while the issuer is missing */
	struct staple_request_order order;
	struct staple_request_variant variant;
	bool tried;          /* an exchange was started */
	int64_t began_ms;    /* its first exchange */
	bool skipped;        /* at least one host that is down */
	bool blocked;        /* waits for the probe: all hosts are down */
	uint32_t timeout_ms; /* of the whole attempt, from the settings */
	uint32_t left_ms;    /* of it; time in the queue does not count */
	struct staple_waiter waiter; /* while it waits for a permit */
	struct staple_host *host;    /* of the variant in hand; borrowed */
	enum staple_outcome
	    blame; /* for the host: of the last request; UNASKED: none */
	int64_t blame_retry_s;        /* the Retry-After of that request */
	struct staple_permit *permit; /* during an exchange */
	struct staple_fetch *fetch;
	int64_t retry_after_s; /* the longest that was received */
	/* So far: of the failures that of staple_outcome_nearer; each URL and
	 * its result. */
	struct staple_result result;
};

/* The source of the first "revoked": only the answer of another variant
 * confirms it. */
enum staple_revoked_by {
	STAPLE_REVOKED_BY_NONE,    /* nothing is held, or a good response */
	STAPLE_REVOKED_BY_UNKNOWN, /* a response from disk, or of other URLs */
	STAPLE_REVOKED_BY_VARIANT  /* job->revoked_variant */
};

struct staple_job {
	struct list node;             /* of worker->jobs */
	struct staple_worker *worker; /* borrowed */
	struct staple_entry *entry;   /* owned reference */
	struct staple_cert *cert;     /* owned reference */
	enum staple_requirement requirement;
	struct staple_host *hosts[STAPLE_URLS_MAX]; /* by URL; held */

	/* the schedule, wall seconds */
	struct heap_node wake; /* of worker->agenda */
	int64_t due;           /* 0: no fetch is scheduled */
	int64_t planned;       /* when due was computed */
	bool probe_due;        /* due is the time of a host's probe */
	unsigned failures;
	int64_t tries_since; /* first failure after the last success; 0 */

	struct staple_attempt attempt;
	bool worked_once;
	struct staple_request_variant worked;

	/* of the last attempt */
	bool settled; /* one has ended with these facts */
	struct staple_result result;
	int64_t last_success;              /* wall seconds; 0: none yet */
	uint32_t fetches[STAPLE_OUTCOMES]; /* ended attempts, by outcome */
	enum staple_revoked_by revoked_by;
	struct staple_request_variant revoked_variant;
	bool confirmed, unconfirmable;

	/* processes that share the store */
	struct staple_stamp saved;  /* of the file, when it was last read */
	struct staple_claim *claim; /* held during an attempt; NULL: none */
	int64_t yields_since_ms;    /* monotonic; 0: not waiting for another */
	bool on_demand;             /* the next attempt was requested */

	/* staple_file */
	bool file_checked;
	struct staple_stamp stamp;
	int64_t file_checked_s;

	/* what was reported: log_state.c */
	uint32_t reported;
	unsigned reported_flaws;         /* of the responses held */
	bool reported_urls;              /* URLs that are ignored */
	struct staple_host *issuer_host; /* held while the issuer is fetched */
	struct staple_log_state log_state;
};

/* A new job for an entry (a reference is taken); staple_entry_job returns it
 * from now on.  Empty until its first update.  NULL: no memory. */
struct staple_job *staple_job_new(
    struct staple_worker *worker, struct staple_entry *entry) MUST_CHECK;
/* Cancels its attempt.  The held response stays in the cache. */
void staple_job_free(struct staple_job *job);

/* Take over the facts and the requirement of its entry. */
void staple_job_update(struct staple_job *job);

/* The issuer of a certificate whose chain lacks it, from memory or from the
 * store; borrowed from the worker.  NULL: it has to be fetched. */
X509 *staple_job_known_issuer(struct staple_job *job,
    const struct staple_cert *cert, enum staple_origin *origin);

/* The settings of now; borrowed from the worker. */
const struct staple_options *staple_job_settings(const struct staple_job *job);

/* The time and the lifetime for the check of a response. */
struct staple_clock staple_job_clock(const struct staple_job *job);

/* Start a fetch that is due, and log warnings before an expiry. */
void staple_job_review(struct staple_job *job);

/* Fetch now, regardless of the schedule. */
void staple_job_refresh(struct staple_job *job);

/* An attempt has ended: with a verified response (borrowed) and its HTTP
 * freshness (-1: none), the outcome is GOOD, UNCHANGED or REVOKED; or with a
 * failure. */
void staple_job_answered(struct staple_job *job,
    struct staple_response *response, const struct staple_result *result,
    int64_t freshness_s);
void staple_job_failed(
    struct staple_job *job, const struct staple_result *result);

/* Every responder host is down.  For staple_wait and the policy that counts as
 * a failed attempt; the attempt stays in the queue. */
void staple_job_blocked(
    struct staple_job *job, const struct staple_result *result);

/* Will the next attempt try to confirm the answer of job->revoked_variant?  It
 * still does after a failure to confirm (job->unconfirmable), but staple_wait
 * no longer waits for it. */
bool staple_job_is_confirming(const struct staple_job *job);

/*
 * Does another process that shares the store make the next request of an
 * attempt unnecessary?  true: the attempt has ended.  Either
 * staple_job_answered was called with a response that the other process has
 * saved, or the job is due again in a second, because the other process is
 * fetching (for a minute at most, five seconds while nothing valid is held).
 * false: send the request; job->claim was taken if it was free.  Never true for
 * a refresh on demand or while a revocation is unconfirmed.
 */
bool staple_job_spares_request(struct staple_job *job);

#endif
