/*
 * The plan of one attempt: which URL, method and hash to try next.  A decider
 * without clock or network: it is told how the last try ended and names the
 * next one.  A plain value, embedded in its owner; one thread.
 *
 * Order: what worked last time, then every URL in order; each with POST, then
 * GET if POST failed for an HTTP reason (GET first where `get_first` and the
 * request is short, RFC 5019 5); then the other hash after unauthorized or
 * unknown.  No try is made twice.  A confirming attempt leaves out the try
 * that it is to confirm and takes another URL first, else the other method.
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

/* What is known before an attempt begins. */
struct staple_attempt_start {
	bool get_first;
	const struct staple_try *worked; /* last time; NULL: nothing did */
	const struct staple_try
	    *confirm; /* said revoked; NULL: not confirming */
};

struct staple_attempt {
	const struct staple_cert *cert; /* borrowed */
	bool get_first;
	bool confirming;
	struct staple_try current;
	bool begun;
	size_t lead;                   /* the URL to begin with */
	size_t steps;                  /* URLs done */
	uint8_t done[STAPLE_URLS_MAX]; /* bits of (get, hash) tried, by URL */
};

void staple_attempt_begin(struct staple_attempt *attempt,
    const struct staple_cert *cert, const struct staple_attempt_start *start);

/* The next try, given how the last one ended (STAPLE_UNASKED the first time).
 * false: the attempt is over. */
bool staple_attempt_next(struct staple_attempt *attempt,
    enum staple_outcome last, struct staple_try *next) MUST_CHECK;

#endif
