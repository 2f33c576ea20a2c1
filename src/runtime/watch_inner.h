/*
 * How patient a watch is; tests are less so.  Main thread, before the first
 * watch_follow.
 */
#ifndef RUNTIME_WATCH_INNER_H
#define RUNTIME_WATCH_INNER_H

struct watch;

struct watch_patience {
	double quiet_s;   /* nothing happened for so long: it is over */
	double most_s;    /* or the first thing happened that long ago */
	double compare_s; /* between looks at all stamps */
};

void watch_be_patient(
    struct watch *watch, const struct watch_patience *patience);

#endif
