/*
 * Pure arithmetic: when to ask next, how long to back off, when to warn.  No
 * clock, no state, no randomness of its own: `roll` is a fraction in [0, 1)
 * that the caller drew.  All times are wall seconds since the epoch.
 */
#ifndef STAPLE_SCHEDULE_H
#define STAPLE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct staple_window {
	int64_t this_update;
	int64_t expires; /* exclusive */
};

struct staple_pace {
	int64_t min_interval_s;
	int64_t max_interval_s;
};

/*
 * The next regular fetch after an answer.  T is the middle of the window.
 * Before T: T plus or minus 10 % (of the way from now to T... see .c for
 * exactly what jitters).  After T (`unchanged` or a CDN's old one): now + a
 * quarter of what is left.  Clamped to [min_interval, max_interval] from now,
 * min_interval being capped at a quarter of what is left.
 * freshness_ends: from Cache-Control or Expires; it may move the time
 * earlier (never under the clamped minimum), never later; 0: not said.
 */
int64_t staple_schedule_refresh(const struct staple_window *window, int64_t now,
    const struct staple_pace *pace, int64_t freshness_ends, double roll);

/*
 * The next try after `failures` (>= 1) in a row.  Exponential from 10 s with
 * full jitter, never so long that fewer than 8 tries remain before `expires`
 * (0: nothing is held), never under 10 s (5 s in the last minute), at most an
 * hour.  retry_after_s: what a 429 or 503 asked for, 0: nothing; honoured up
 * to an hour or half of the time left.
 */
int64_t staple_schedule_retry(unsigned failures, int64_t now, int64_t expires,
    int64_t retry_after_s, double roll);

/* The ladder of warnings while a held response runs out. */
enum staple_rung {
	STAPLE_RUNG_NONE,
	STAPLE_RUNG_HALF,      /* half of the retry time is left */
	STAPLE_RUNG_QUARTER,   /* a quarter */
	STAPLE_RUNG_LAST_HOUR, /* and no more than an hour */
	STAPLE_RUNG_EXPIRED
};

/* tries_since: when asking anew first failed after the last answer. */
enum staple_rung staple_schedule_rung(
    int64_t tries_since, int64_t expires, int64_t now);

/* When the next rung will be reached; 0: there is none left. */
int64_t staple_schedule_next_rung(
    int64_t tries_since, int64_t expires, int64_t now);

#endif
