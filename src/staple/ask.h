/*
 * One attempt: try after try, each in a slot of its own, until somebody gives
 * an answer, nobody is left, or the deadline is over.  It ends in
 * staple_errand_answered or staple_errand_failed.  Staple thread only.
 */
#ifndef STAPLE_ASK_H
#define STAPLE_ASK_H

struct staple_errand;
struct staple_fetch_result;
struct staple_place;
struct staple_slot;

/* Not while it is busy. */
void staple_ask_begin(struct staple_errand *errand);

/* Its turn has come: ask, in this slot. */
void staple_ask_start(struct staple_place *place, struct staple_slot *slot);

/* The exchange has ended; the clocks have been read. */
void staple_ask_fetched(
    struct staple_errand *errand, const struct staple_fetch_result *result);

/* Drop the attempt, whatever it is doing; nothing is concluded from it.  Not
 * busy: fine. */
void staple_ask_cancel(struct staple_errand *errand);

#endif
