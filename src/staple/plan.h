/*
 * When an errand is due: the arithmetic of schedule.h applied to what it
 * holds and to the worker's clock.  Staple thread only.
 */
#ifndef STAPLE_PLAN_H
#define STAPLE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct staple_errand;
struct staple_window;

/* A fraction in [0, 1). */
double staple_plan_roll(void);

/* The window of the held response; false: there is none, or it is dated in the
 * future (the clock was set back), and the window is {0, 0}. */
bool staple_plan_window(
    const struct staple_errand *errand, struct staple_window *window);

/* The moment after so many quarters of a window. */
int64_t staple_plan_quarters(const struct staple_window *window, int count);

/* Due at that time. */
void staple_plan_at(struct staple_errand *errand, int64_t due);

/* After an answer that a cache called fresh for so long (-1: not said). */
void staple_plan_refresh(struct staple_errand *errand, int64_t freshness_s);

/* After a failure; errand->failures counts it. */
void staple_plan_retry(struct staple_errand *errand);

/* With what an earlier life has left: good and before the middle of its
 * window may wait for its time, anything else asks now. */
void staple_plan_first(struct staple_errand *errand);

/* Work it out again if the clock was set back since, or if intervals were
 * shortened. */
void staple_plan_correct(struct staple_errand *errand);

/* Have it reviewed when it will have something to do or to report. */
void staple_plan_expect(struct staple_errand *errand);

#endif
