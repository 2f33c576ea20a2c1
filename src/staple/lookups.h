/*
 * How many name look-ups may have been left behind.  Nothing can stop
 * getaddrinfo: when an exchange is given up while its name is being looked up,
 * libcurl leaves the thread that does it alone.  Whether such a thread has
 * ended cannot be seen, so each counts for two minutes, which is longer than
 * any resolver takes.  A plain value, zero: none.  Staple thread only; time is
 * given.
 */
#ifndef STAPLE_LOOKUPS_H
#define STAPLE_LOOKUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

#define STAPLE_LOOKUPS_MAX 32
#define STAPLE_LOOKUP_MS (2 * 60 * 1000)

struct staple_lookups {
	int64_t until_ms[STAPLE_LOOKUPS_MAX]; /* monotonic; counted till then */
};

/* Are fewer than STAPLE_LOOKUPS_MAX left behind? */
bool staple_lookups_may(
    const struct staple_lookups *lookups, int64_t mono_ms) MUST_CHECK;

void staple_lookups_abandon(struct staple_lookups *lookups, int64_t mono_ms);

#endif
