/*
 * Running an event loop for a while, in tests.  One thread.
 */
#ifndef SUPPORT_TURN_H
#define SUPPORT_TURN_H

struct ev_loop;

/* Run it for at most this long: an ev_break() ends it earlier. */
void turn_loop(struct ev_loop *loop, double seconds);

#endif
