/*
 * Responder hosts ("host:port") and the limits on requests to them.  Staple
 * thread only; the caller passes the time.
 *
 * A host is down after STAPLE_HOST_DOWN_AFTER attempts in a row, of any
 * certificates, that brought no sound OCSP response from it
 * (staple_host_is_blamed), or after one with a Retry-After.  Then one attempt
 * at a time, the probe, sends requests, after pauses of staple_schedule_probe;
 * the other certificates wait for its outcome.  Any other response, even
 * "unknown" or a wrong signature, ends that: waiting certificates are fetched
 * at the normal rate.
 *
 * A host is forgotten when no certificate names it: at once where nothing has
 * failed, else after an hour.
 *
 * A permit allows one exchange at a time: `max_fetches` in all, and
 * host->limit of one host: four at first, one more for each response within
 * half a second, at most 32; four again after a slower one or a failure.  A
 * permit held for over two seconds no longer counts toward its host, so that a
 * hanging responder delays none of its good certificates.  Permits are taken
 * before a transfer is handed to libcurl, because libcurl's own queueing counts
 * against the timeout.
 *
 * Waiters stand in one queue per host, the oldest due time first; the hosts are
 * served in turn, so that ten thousand certificates of one responder do not
 * delay the one certificate of another.
 */
#ifndef STAPLE_HOST_LIMITS_H
#define STAPLE_HOST_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/heap.h"
#include "base/list.h"
#include "staple/staple.h"

struct staple_permit; /* one that is taken; belongs to its host */

#define STAPLE_HOST_PERMITS 4
#define STAPLE_HOST_PERMITS_MAX 32
#define STAPLE_HOST_QUICK_MS 500
#define STAPLE_HOST_DOWN_AFTER 5
/* From a failure to the first attempt of a certificate. */
#define STAPLE_HOST_UNTRIED_MS 10000
#define STAPLE_HOST_BUCKETS 1024
#define STAPLE_SLOW_PERMIT_MS 2000

/* Waits for a permit of a host; embedded in its owner.  Zeroed: in no queue. */
struct staple_waiter {
	struct heap_node node;    /* of host->waiting */
	struct staple_host *host; /* NULL: in no queue */
	/* of the certificate, set by the owner */
	int64_t expires; /* of the held response, wall seconds; 0: none */
	bool untried;    /* without an attempt, and nothing valid is held */
};

struct staple_hosts {
	struct list buckets[STAPLE_HOST_BUCKETS];
	size_t count;
	struct list queues; /* hosts that are up, with certificates waiting */
	struct heap probes; /* hosts that are down, by time of the next probe */
	struct list unused; /* hosts that no certificate names, oldest first */
	size_t unused_count;
	bool changed;         /* one went down or up; the reader resets it */
	unsigned max_permits; /* of all hosts; may change at any time */
	unsigned permits;     /* taken */
};

struct staple_host {
	struct staple_hosts *hosts;
	struct list node; /* of its bucket */
	unsigned certificates;
	struct list in_unused;
	int64_t unused_ms;

	/* its queue */
	struct heap waiting; /* waiters, by due time */
	struct list in_queues;
	struct heap_node probe; /* of hosts->probes */

	/* its permits */
	struct list permits; /* taken, oldest first */
	unsigned limit;

	/* health; monotonic ms */
	bool down;
	bool untried_waits; /* wait for the outcome of the next probe */
	unsigned failures;  /* in a row */
	enum staple_outcome outcome; /* of the last one */
	int64_t failed_ms;
	int64_t probe_ms;
	int64_t asked_until_ms;       /* Retry-After */
	struct staple_waiter *prober; /* whose attempt is the probe */

	/* attempt.c: its lines in the log */
	bool logged, log_up;
	int64_t logged_ms;

	char name[]; /* fixed at creation */
};

void staple_hosts_init(struct staple_hosts *hosts, unsigned max_permits);
/* Nothing waits; permits that are taken are given back. */
void staple_hosts_fini(struct staple_hosts *hosts);

/* One more certificate names this host.  NULL: no memory. */
struct staple_host *staple_hosts_hold(
    struct staple_hosts *hosts, const char *name, int64_t mono_ms) MUST_CHECK;
/* One less.  NULL ok. */
void staple_host_drop(struct staple_host *host, int64_t mono_ms);

/* Does this outcome count against the host?  No connection, no HTTP response, a
 * body that is no OCSP response (also of a proxy or a login page), tryLater or
 * internalError. */
bool staple_host_is_blamed(enum staple_outcome outcome);

/* An OCSP response has come, after took_ms. */
void staple_host_works(struct staple_host *host, unsigned took_ms);

struct staple_host_failure {
	enum staple_outcome outcome;
	int64_t retry_after_s; /* 0: none */
	int64_t wall_s, mono_ms;
	int64_t began_ms; /* of the attempt: pauses are counted from here */
	double jitter;
};
/* The attempt of this waiter has failed at the host.  true: it is down now and
 * was not before. */
bool staple_host_failed(struct staple_host *host,
    const struct staple_waiter *waiter,
    const struct staple_host_failure *failure);

/* The attempt of this waiter has ended without evidence about the host. */
void staple_host_skipped(
    struct staple_host *host, const struct staple_waiter *waiter);

/* true: no request may be sent to this host now.  The host is down, its probe
 * is not due or is another certificate's, and this certificate has been tried
 * or must wait for the probe. */
bool staple_host_is_closed(const struct staple_host *host,
    const struct staple_waiter *waiter, int64_t mono_ms);

/* A waiter has joined a host that is down: its next probe may have to come
 * earlier. */
void staple_host_joined(struct staple_host *host,
    const struct staple_waiter *waiter, int64_t wall_s);

/* Probe all that are down as soon as Retry-After allows. */
void staple_hosts_probe_now(struct staple_hosts *hosts, int64_t mono_ms);

/* ---- Permits ---- */

/* NULL: not now (or no memory).  The host lives until it is given back. */
struct staple_permit *staple_permit_take(
    struct staple_host *host, int64_t mono_ms) MUST_CHECK;
void staple_permit_return(struct staple_permit *permit);

/* When a permit of this host may become free by turning slow (monotonic ms);
 * INT64_MAX: only by being given back. */
int64_t staple_permit_until(const struct staple_host *host, int64_t mono_ms);

/* ---- Queues ---- */

/* Wait for a permit of this host.  Not twice.  false: no memory. */
bool staple_queue_join(struct staple_host *host, struct staple_waiter *waiter,
    int64_t due) MUST_CHECK;

/* Leave the queue.  In no queue: fine. */
void staple_queue_leave(struct staple_waiter *waiter);

/* Remove and return the next waiter; *permit is its permit.  NULL: no waiter
 * has a free permit. */
struct staple_waiter *staple_queue_next(
    struct staple_hosts *hosts, int64_t mono_ms, struct staple_permit **permit);

/* When time alone may bring a turn (monotonic ms); INT64_MAX: never. */
int64_t staple_queue_until(const struct staple_hosts *hosts, int64_t mono_ms);

#endif
