/*
 * The request variants of one attempt (URL, method and hash), their order, and
 * the exchange of one of them.  Without clock: the caller passes the outcome of
 * the last variant and gets the next.  A plain value, embedded in its owner;
 * one thread.
 *
 * Order: what worked last time, then every URL in order.  Each URL begins with
 * SHA-1 (cert.c), by GET if its URL has at most 255 bytes and by POST otherwise
 * (RFC 5019 5, RFC 9919), or by the method that is forced.  Then the last
 * outcome decides (staple_outcome_class): an HTTP error turns to the other
 * method, whatever the length; unauthorized and unknown turn to the other hash;
 * anything else, or a variant that was sent already, turns to the next URL.
 * Two outcomes are special: an expired response is requested once more with
 * `Cache-Control: no-cache`, because it may come from a cache (RFC 5019 6.1);
 * and a host that sent Retry-After gets no further request
 * (staple_request_order_skip_host).
 *
 * A confirming attempt uses the other URLs first, in that manner, and then the
 * same URL with the other method.  It never repeats the variant that it is to
 * confirm, unless it failed to confirm before: then this variant comes last,
 * because its responder may be the only one that can revise its answer.
 */
#ifndef STAPLE_REQUEST_ORDER_H
#define STAPLE_REQUEST_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/staple.h"

struct staple_request_variant {
	size_t url; /* index into cert->urls */
	bool get;
	enum staple_hash hash;
	bool no_cache; /* with Cache-Control: no-cache; set by the order */
};

struct staple_request_order {
	const struct staple_cert *cert; /* borrowed */
	enum staple_method method;
	bool no_cache; /* of every variant */
	bool begun;
	bool has_first, has_last;
	struct staple_request_variant first; /* out of order: what worked */
	struct staple_request_variant
	    last; /* when confirming: of the same URL */
	struct staple_request_variant current;
	uint8_t done[STAPLE_URLS_MAX]; /* bits of (get, hash) tried, by URL */
};

/* no_cache: the last attempt came upon an old response. */
void staple_request_order_begin(struct staple_request_order *order,
    const struct staple_cert *cert, enum staple_method method, bool no_cache);

/* Both before the first variant; one whose URL cert does not have (any more)
 * changes nothing.  Begin with what worked last time. */
void staple_request_order_prefer(struct staple_request_order *order,
    const struct staple_request_variant *worked);
/* Confirm the "revoked" of this variant; then nothing is preferred.  in_vain:
 * an earlier attempt failed to confirm it. */
void staple_request_order_confirm(struct staple_request_order *order,
    const struct staple_request_variant *revoked, bool in_vain);

/* The next variant, given the outcome of the last one (ignored the first time).
 * false: the attempt is over; it has its answer, or no variant is left. */
bool staple_request_order_next(struct staple_request_order *order,
    enum staple_outcome last, struct staple_request_variant *next) MUST_CHECK;

/* The responder of the current variant sent Retry-After: skip all URLs of its
 * host. */
void staple_request_order_skip_host(struct staple_request_order *order);

/* Does this URL begin with GET? */
bool staple_request_prefers_get(const struct staple_cert *cert, size_t url,
    enum staple_hash hash, enum staple_method method) MUST_CHECK;

/*
 * The time limit of the next exchange of an attempt with left_ms of timeout_ms
 * left: at most a third of timeout_ms, so that a URL that hangs leaves time for
 * another one.  0: too little is left for an exchange.
 */
uint32_t staple_request_time(uint32_t timeout_ms, uint32_t left_ms);

/* Start the exchange of a variant.  cert must live until it has ended.  NULL:
 * as staple_fetch_start. */
struct staple_fetch *staple_request_start(struct staple_fetcher *fetcher,
    const struct staple_cert *cert,
    const struct staple_request_variant *variant, uint32_t timeout_ms,
    staple_fetch_fn *done, void *arg) MUST_CHECK;

#endif
