/*
 * One attempt: try after try, each in a slot of its own, until somebody gives
 * an answer, nobody is left, or the deadline is over.  It ends in
 * staple_errand_answered or staple_errand_failed.  A host that is down is left
 * out; where all are, the attempt waits in the queue of the first, and
 * staple_errand_blocked is called.  Staple thread only.
 */
#ifndef STAPLE_ASK_H
#define STAPLE_ASK_H

#include <stdint.h>

struct staple_errand;
struct staple_fetch_result;
struct staple_waiter;
struct staple_permit;

/* Hold the hosts of its URLs, in place of those held so far; or none. */
void staple_ask_hold_hosts(struct staple_errand *errand);
void staple_ask_drop_hosts(struct staple_errand *errand);

/* How many certificates share its responder host; of several the most. */
unsigned staple_ask_sharers(const struct staple_errand *errand);

/* All its hosts are down: when the first will be probed (wall seconds, later
 * than now).  0: one is not, or it has none. */
int64_t staple_ask_probe_time(const struct staple_errand *errand);

/* Not while it is busy. */
void staple_ask_begin(struct staple_errand *errand);

/* Its turn has come: ask, in this slot. */
void staple_ask_start(
    struct staple_waiter *waiter, struct staple_permit *permit);

/* The exchange has ended; the clocks have been read. */
void staple_ask_fetched(
    struct staple_errand *errand, const struct staple_fetch_result *result);

/* A host went down or up: wait for another, or no longer. */
void staple_ask_reconsider(struct staple_errand *errand);

/* Drop the attempt, whatever it is doing; nothing is concluded from it.  Not
 * busy: fine. */
void staple_ask_cancel(struct staple_errand *errand);

#endif
