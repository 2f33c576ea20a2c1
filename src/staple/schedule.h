/*
 * When to fetch next, how long to back off, when to warn.
 *
 * The functions on numbers are pure: no clock, no state, no randomness of their
 * own; `jitter` is a fraction in [0, 1) that the caller drew.  All times are
 * wall seconds since the epoch, of the years 0 to 9999 (the range of ASN.1);
 * nothing overflows on those.  Any thread.
 *
 * The functions on a job apply them to the response it holds and to the time of
 * its worker.  Staple thread only.
 */
#ifndef STAPLE_SCHEDULE_H
#define STAPLE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/staple.h"

struct staple_job;

struct staple_window {
	int64_t this_update;
	int64_t expires; /* exclusive */
};

/*
 * The next regular fetch after a response with this window, by min_interval and
 * max_interval of the settings, exactly:
 *
 *   length  expires - thisUpdate
 *   half    length / 2
 *   T       thisUpdate + half
 *   left    expires - now, at least 0
 *   plan    now < T: T plus (2 jitter - 1) tenths of half; but if that or T
 *           has passed, an old response came again: now + left / 4
 *   fresh   freshness_ends (Cache-Control, Expires; 0: not given), but not
 *           before now + length / 10; where that is earlier than the plan,
 *           else the plan
 *   least   min_interval, but no more than left / 4
 *   most    max_interval less one tenth of it times jitter
 *
 * and then `fresh`, not before now + least, not after now + most, not before
 * now + 1.  So an HTTP cache lifetime of 0 (max-age=0, no-cache, no-store)
 * costs at most ten fetches in a window, and a response of seven days is
 * fetched once, near its middle: the default max_interval is seven days.  The
 * jitter is in `most` too, because where that limit is the earlier one, it must
 * spread certificates.  The result is always later than now, and before
 * expires where that is at least 2 s away.  (An expired response is a failure:
 * staple_schedule_retry.)
 */
int64_t staple_schedule_refresh(const struct staple_window *window, int64_t now,
    const struct staple_options *settings, int64_t freshness_ends,
    double jitter);

/*
 * The next attempt after `failures` (>= 1) in a row, exactly:
 *
 *   left     expires - now; without end where nothing valid is held (expires
 *            is 0 or past)
 *   least    10 s; 5 s where left <= 60 s
 *   cap      an hour; where nothing valid is held 60 s, or 120 s if more than
 *            100 certificates share the responder host
 *   most     the lowest of 10 s doubled `failures` times, cap, and left / 8
 *            (so that 8 more tries fit); at least `least`
 *   backoff  least + jitter (most - least): full jitter
 *   asked    retry_after_s (of a 429 or 503; 0: none), at most an hour and
 *            at most left / 2
 *
 * and then now + the greater of backoff and asked.
 */
int64_t staple_schedule_retry(unsigned failures, int64_t now, int64_t expires,
    int64_t retry_after_s, unsigned certificates, double jitter);

/*
 * The pause before the next probe of a responder host that is down, in
 * seconds, after `failures` attempts in a row that failed on it:
 *
 *   left     of the waiting certificate that has least; 0: one holds nothing
 *            valid
 *   least    10 s; 5 s where 0 < left <= 60 s
 *   most     the lowest of 10 s doubled `failures` times, an hour (60 s where
 *            left is 0), and left / 8; at least `least`, or 60 s if more than
 *            100 certificates share the host: of so many, one is always about
 *            to expire
 *   pause    most less an eighth of it times jitter, at least `least`
 *   asked    as above
 *
 * and then the greater of pause and asked.  The jitter is narrow because one
 * probe stands for all certificates of the process: it must separate hosts of
 * a fleet, not certificates.
 */
int64_t staple_schedule_probe(unsigned failures, int64_t left,
    int64_t retry_after_s, unsigned certificates, double jitter);

/* Levels of the warning that a held response comes near its expiry, by the part
 * that is left of the time from `tries_since` to `expires`. */
enum staple_expiry_warning {
	STAPLE_EXPIRY_WARNING_NONE,
	STAPLE_EXPIRY_WARNING_HALF,      /* half of it is left */
	STAPLE_EXPIRY_WARNING_QUARTER,   /* a quarter, over an hour */
	STAPLE_EXPIRY_WARNING_LAST_HOUR, /* a quarter, at most an hour */
	STAPLE_EXPIRY_WARNING_EXPIRED
};

/* tries_since: the first failure after the last success; 0: none, and no
 * warning. expires 0: nothing is held, and no warning. */
enum staple_expiry_warning staple_schedule_expiry_warning(
    int64_t tries_since, int64_t expires, int64_t now);

/* When the next level will be reached, later than now; 0: none is left. */
int64_t staple_schedule_next_expiry_warning(
    int64_t tries_since, int64_t expires, int64_t now);

/* ---- The schedule of a job ---- */

/* A fraction in [0, 1). */
double staple_schedule_jitter(void);

/* The window of the held response; false: there is none, or it is dated in the
 * future (the clock was set back), and the window is {0, 0}. */
bool staple_job_window(
    const struct staple_job *job, struct staple_window *window);

/* The moment after so many quarters of a window. */
int64_t staple_schedule_quarters(const struct staple_window *window, int count);

/* Due at that time. */
void staple_job_set_due(struct staple_job *job, int64_t due);

/* After a success; the HTTP freshness of the response (-1: none). */
void staple_job_schedule_refresh(struct staple_job *job, int64_t freshness_s);

/* After a failure, which job->failures counts already. */
void staple_job_schedule_retry(struct staple_job *job);

/* At the start: a good response before the middle of its window is refreshed on
 * schedule, anything else is fetched now. */
void staple_job_schedule_first(struct staple_job *job);

/* Work it out again if the clock was set back since, or if intervals were
 * shortened. */
void staple_job_correct_schedule(struct staple_job *job);

/* Have it reviewed when it will have something to do or to report. */
void staple_job_schedule_review(struct staple_job *job);

#endif
