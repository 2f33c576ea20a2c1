/*
 * One attempt to get a response: request variant after variant, each with a
 * permit, until a responder answers, no variant is left, or the time is over.
 * It ends in staple_job_answered or staple_job_failed.  Hosts that are down are
 * left out.  If all are down, the attempt waits in the queue of the first, and
 * staple_job_blocked is called.  Staple thread only.
 */
#ifndef STAPLE_ATTEMPT_H
#define STAPLE_ATTEMPT_H

#include <stdint.h>

struct staple_job;
struct staple_fetch_result;
struct staple_waiter;
struct staple_permit;

/* Hold the hosts of its URLs in place of those held before; release them. */
void staple_attempt_hold_hosts(struct staple_job *job);
void staple_attempt_drop_hosts(struct staple_job *job);

/* The number of certificates of its responder host; of several the largest. */
unsigned staple_attempt_sharers(const struct staple_job *job);

/* All its hosts are down: when the first will be probed (wall seconds, later
 * than now).  0: one is not, or it has none. */
int64_t staple_attempt_probe_time(const struct staple_job *job);

/* Not while it is busy. */
void staple_attempt_begin(struct staple_job *job);

/* Send the next request; takes the permit. */
void staple_attempt_start(
    struct staple_waiter *waiter, struct staple_permit *permit);

/* The exchange has ended; the time of the worker is up to date. */
void staple_attempt_fetched(
    struct staple_job *job, const struct staple_fetch_result *fetched);

/* A host went down or up: queue at another one, or leave the queue. */
void staple_attempt_reconsider(struct staple_job *job);

/* End the attempt without a result.  Not busy: fine. */
void staple_attempt_cancel(struct staple_job *job);

#endif
