/*
 * The plan of one attempt: which URL, method and hash to try next.  A decider
 * without clock or network: it is told how the last try ended and names the
 * next one.  A plain value, embedded in its owner; one thread.
 *
 * Order: what worked last time, then every URL in order.  At each URL, SHA-1
 * begins (request.c), by GET where its URL has at most 255 bytes and by POST
 * else (RFC 5019 5, RFC 9919), or by the method that is forced.  Then the last
 * outcome decides (staple_outcome_class): an HTTP reason turns to the other
 * method, whatever the length: it is the last thing that may do; unauthorized
 * or unknown turn to the other hash; anything else, or a try that was made
 * already, turns to the next URL.  Two outcomes are special: an expired
 * response is asked for once more with `Cache-Control: no-cache`, because it
 * may come from a cache (RFC 5019 6.1); and a host that sent Retry-After is
 * not asked again (staple_attempt_bar_host).
 *
 * A confirming attempt asks the other URLs first and in that manner, and then
 * the same URL with the other method.  It never repeats the try that it is to
 * confirm; unless that was in vain before: then this try comes last, because
 * who said "revoked" may be the only one who can take it back.
 */
#ifndef STAPLE_ATTEMPT_H
#define STAPLE_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/staple.h"

struct staple_try {
	size_t url; /* index into cert->urls */
	bool get;
	enum staple_hash hash;
};

/* What is known before an attempt begins.  A try of a URL that cert does not
 * have (any more) counts as NULL. */
struct staple_attempt_start {
	enum staple_method method;
	bool no_cache; /* the last attempt came upon an old response */
	const struct staple_try *worked; /* last time; NULL: nothing did */
	const struct staple_try
	    *confirm; /* said revoked; NULL: not confirming */
	bool in_vain; /* nobody has confirmed it so far */
};

struct staple_attempt {
	const struct staple_cert *cert; /* borrowed */
	enum staple_method method;
	bool no_cache;     /* of the current try: it carries no-cache */
	bool never_cached; /* all tries carry it */
	bool begun;
	bool has_first, has_last;
	struct staple_try first; /* out of order: what worked */
	struct staple_try last;  /* when confirming: of the same URL */
	struct staple_try current;
	uint8_t done[STAPLE_URLS_MAX]; /* bits of (get, hash) tried, by URL */
};

void staple_attempt_begin(struct staple_attempt *attempt,
    const struct staple_cert *cert, const struct staple_attempt_start *start);

/* The next try, given how the last one ended (not looked at the first time).
 * false: the attempt is over; it was answered, or nothing is left to try. */
bool staple_attempt_next(struct staple_attempt *attempt,
    enum staple_outcome last, struct staple_try *next) MUST_CHECK;

/* The responder of the current try sent Retry-After: make no more tries at
 * any URL of its host. */
void staple_attempt_bar_host(struct staple_attempt *attempt);

/* Is this URL to be asked by GET first? */
bool staple_attempt_prefers_get(const struct staple_cert *cert, size_t url,
    enum staple_hash hash, enum staple_method method) MUST_CHECK;

#endif
