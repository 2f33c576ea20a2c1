/*
 * Results, and the table behind enum staple_outcome: name, class, sentence.  A new outcome
 * is one enumerator in staple.h, one row in outcome.c, one line in staple(3).
 * Constant; any thread.
 */
#ifndef STAPLE_OUTCOME_H
#define STAPLE_OUTCOME_H

#include <stdbool.h>

#include "base/err.h"
#include "staple/staple.h"

/*
 * What a check, an exchange or an attempt has ended with, and in words: the
 * signer, the offset of a clock, time and reason of a revocation; of an attempt
 * each URL and its result.  Safe to print.
 */
struct staple_result {
	enum staple_outcome outcome;
	struct err said;
};

/* What an attempt does next. */
enum staple_class {
	STAPLE_CLASS_NONE,   /* no attempt was made */
	STAPLE_CLASS_ANSWER, /* good, unchanged, revoked: it has ended */
	STAPLE_CLASS_METHOD, /* an HTTP reason: the other method may do */
	STAPLE_CLASS_HASH,   /* the other hash may do */
	STAPLE_CLASS_URL     /* only another responder may do */
};

enum staple_class staple_outcome_class(enum staple_outcome outcome);

/* "the responder answered with an HTTP 5xx status"; no full stop. */
const char *staple_outcome_sentence(enum staple_outcome outcome);

/* The remedy; "" if only waiting helps. */
const char *staple_outcome_advice(enum staple_outcome outcome);

/* Does the attempt count as failed (retry with backoff)? */
bool staple_outcome_is_failure(enum staple_outcome outcome);

/*
 * Of two failures of one attempt, the one that came nearer to a staple:
 * "unknown" before a response that must not be used, before an error of the
 * responder, before a body that is no response, before no response at all.
 * UNASKED is the least.
 */
enum staple_outcome staple_outcome_nearer(
    enum staple_outcome a, enum staple_outcome b);

#endif
