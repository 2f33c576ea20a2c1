/*
 * The clocks.  Functions that reason about time take `now` as a parameter; only
 * event loops and the log call these.  Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Wall time, milliseconds since the epoch.  May jump. */
int64_t clock_wall_ms(void);

/* Monotonic time, milliseconds since an arbitrary start.  Never jumps. */
int64_t clock_mono_ms(void);

/* The same in microseconds. */
int64_t clock_mono_us(void);

#endif
