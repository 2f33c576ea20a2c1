/*
 * One attempt: try after try, each in a slot of its own, until somebody gives
 * an answer, nobody is left, or the deadline is over.  It ends in
 * staple_job_answered or staple_job_failed.  A host that is down is left
 * out; where all are, the attempt waits in the queue of the first, and
 * staple_job_blocked is called.  Staple thread only.
 */
#ifndef STAPLE_ATTEMPT_H
#define STAPLE_ATTEMPT_H

#include <stdint.h>

struct staple_job;
struct staple_fetch_result;
struct staple_waiter;
struct staple_permit;

/* Hold the hosts of its URLs, in place of those held so far; or none. */
void staple_attempt_hold_hosts(struct staple_job *job);
void staple_attempt_drop_hosts(struct staple_job *job);

/* How many certificates share its responder host; of several the most. */
unsigned staple_attempt_sharers(const struct staple_job *job);

/* All its hosts are down: when the first will be probed (wall seconds, later
 * than now).  0: one is not, or it has none. */
int64_t staple_attempt_probe_time(const struct staple_job *job);

/* Not while it is busy. */
void staple_attempt_begin(struct staple_job *job);

/* Its turn has come: ask, in this slot. */
void staple_attempt_start(
    struct staple_waiter *waiter, struct staple_permit *permit);

/* The exchange has ended; the clocks have been read. */
void staple_attempt_fetched(
    struct staple_job *job, const struct staple_fetch_result *result);

/* A host went down or up: wait for another, or no longer. */
void staple_attempt_reconsider(struct staple_job *job);

/* Drop the attempt, whatever it is doing; nothing is concluded from it.  Not
 * busy: fine. */
void staple_attempt_cancel(struct staple_job *job);

#endif
