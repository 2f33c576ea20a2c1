/*
 * The table behind enum staple_outcome: name, class, sentence.  A new outcome
 * is one enumerator in staple.h, one row in outcome.c, one line in staple(3).
 * Constant; any thread.
 */
#ifndef STAPLE_OUTCOME_H
#define STAPLE_OUTCOME_H

#include <stdbool.h>

#include "staple/staple.h"

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

/* What a person can do about it; "" where nothing helps but waiting. */
const char *staple_outcome_advice(enum staple_outcome outcome);

/* Does the attempt count as failed (retry with backoff)? */
bool staple_outcome_is_failure(enum staple_outcome outcome);

/*
 * Of two ways in which tries of one attempt failed, the one that tells more:
 * "unknown" before a response that must not be used, before a responder's
 * error, before an answer that is none, before no answer at all.  UNASKED
 * tells nothing.
 */
enum staple_outcome staple_outcome_nearer(
    enum staple_outcome a, enum staple_outcome b);

#endif
