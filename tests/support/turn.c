/*
 * Running an event loop for a while.  One thread.
 */
#include "tests/support/turn.h"

#include <ev.h>

static void
on_end(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

void
turn_loop(struct ev_loop *loop, double seconds)
{
	struct ev_timer end;

	ev_now_update(loop);
	ev_timer_init(&end, on_end, seconds, 0.0);
	ev_timer_start(loop, &end);
	ev_run(loop, 0);
	ev_timer_stop(loop, &end);
}
