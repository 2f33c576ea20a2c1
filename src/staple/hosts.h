/*
 * Responder hosts ("host:port"): what the certificates of one responder have
 * in common.  How many may be asked at once, whether the host is down, and
 * which certificates wait for it.  Staple thread only; time is given.
 *
 * A host is down after STAPLE_HOST_DOWN_AFTER attempts in a row, of any
 * certificates, that brought no sound OCSP response from it (staple_host_is_blamed),
 * or after one with a Retry-After.  Then one attempt at a time, the probe,
 * sends requests, after pauses of staple_schedule_probe; the other certificates
 * wait for its outcome.  Any other response, even "unknown" or a wrong
 * signature, ends that: waiting certificates are fetched at the normal rate.
 *
 * Up to `limit` exchanges run at once: four at first, one more for each answer
 * within half a second, at most 32; four again after a slower one or a
 * failure.
 *
 * A host is forgotten when no certificate names it: at once where nothing has
 * failed, else after an hour.
 */
#ifndef STAPLE_HOSTS_H
#define STAPLE_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/heap.h"
#include "base/list.h"
#include "staple/staple.h"

#define STAPLE_HOST_SLOTS 4
#define STAPLE_HOST_SLOTS_MAX 32
#define STAPLE_HOST_QUICK_MS 500
#define STAPLE_HOST_DOWN_AFTER 5
/* From a failure to the first attempt of a certificate. */
#define STAPLE_HOST_UNTRIED_MS 10000
#define STAPLE_HOST_BUCKETS 1024

struct staple_place;

struct staple_hosts {
	struct list buckets[STAPLE_HOST_BUCKETS];
	size_t count;
	struct list lines;  /* hosts that are up, with certificates waiting */
	struct heap probes; /* hosts that are down, by time of the next probe */
	struct list unused; /* hosts that no certificate names, oldest first */
	size_t unused_count;
	bool changed; /* one went down or up; the reader resets it */
};

struct staple_host {
	struct staple_hosts *hosts;
	struct list node; /* of its bucket */
	unsigned certificates;
	struct list in_unused;
	int64_t unused_ms;

	/* queue.c */
	struct heap waiting; /* places, by due time */
	struct list in_line;
	struct heap_node probe; /* of hosts->probes */

	/* slots.c */
	struct list slots; /* taken, oldest first */
	unsigned limit;

	/* health; monotonic ms */
	bool down;
	bool untried_waits; /* wait for the outcome of the next probe */
	unsigned failures;  /* in a row */
	enum staple_outcome outcome; /* of the last one */
	int64_t failed_ms;
	int64_t probe_ms;
	int64_t asked_until_ms;      /* Retry-After */
	struct staple_place *prober; /* whose attempt is the probe */

	/* ask.c: its lines in the log */
	bool logged, log_up;
	int64_t logged_ms;

	char name[]; /* fixed at creation */
};

void staple_hosts_init(struct staple_hosts *hosts);
void staple_hosts_fini(struct staple_hosts *hosts); /* nothing waits */

/* One more certificate names this host.  NULL: no memory. */
struct staple_host *staple_hosts_hold(
    struct staple_hosts *hosts, const char *name, int64_t mono_ms) MUST_CHECK;
/* One less.  NULL ok. */
void staple_host_drop(struct staple_host *host, int64_t mono_ms);

/* Does this end of an attempt count against the host?  No connection, no
 * HTTP answer, an answer that is no OCSP response (of a proxy or a login page
 * as well), tryLater or internalError. */
bool staple_host_is_blamed(enum staple_outcome outcome);

/* An OCSP response has come, after took_ms. */
void staple_host_answered(struct staple_host *host, unsigned took_ms);

struct staple_host_failure {
	enum staple_outcome outcome;
	int64_t retry_after_s; /* 0: none */
	int64_t wall_s, mono_ms;
	int64_t began_ms; /* of the attempt: pauses are counted from here */
	double roll;
};
/* The attempt of this place has failed on it.  true: it is down now and was
 * not before. */
bool staple_host_failed(struct staple_host *host,
    const struct staple_place *place,
    const struct staple_host_failure *failure);

/* The attempt of this place has ended without saying anything about it. */
void staple_host_left(
    struct staple_host *host, const struct staple_place *place);

/* true: no request may be sent to this host now.  The host is down, its probe
 * is not due or is another certificate's, and this certificate has been tried
 * or must wait for the probe. */
bool staple_host_is_closed(const struct staple_host *host,
    const struct staple_place *place, int64_t mono_ms);

/* A place has joined a host that is down: its next probe may have to come
 * earlier. */
void staple_host_expect(
    struct staple_host *host, const struct staple_place *place, int64_t wall_s);

/* Probe all that are down as soon as Retry-After allows. */
void staple_hosts_hurry(struct staple_hosts *hosts, int64_t mono_ms);

/* For queue.c: put it into lines or probes, as its state wants. */
void staple_host_line_up(struct staple_host *host);

#endif
