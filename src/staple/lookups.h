/*
 * How many name look-ups may have been left behind, in all and of one host.
 * Nothing can stop getaddrinfo: when an exchange is given up while its name is
 * being looked up, libcurl leaves the thread that does it alone.  Whether such
 * a thread has ended cannot be seen, so each counts for two minutes, which is
 * longer than any resolver takes.  A plain value, zero: none.  Staple thread
 * only; time is given.
 */
#ifndef STAPLE_LOOKUPS_H
#define STAPLE_LOOKUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

#define STAPLE_LOOKUPS_MAX 32
#define STAPLE_LOOKUPS_HOST_MAX 4 /* or one host would use them all up */
#define STAPLE_LOOKUP_MS (2 * 60 * 1000)

struct staple_lookups {
	struct staple_lookup {
		int64_t until_ms; /* monotonic; counted till then */
		uint32_t host;    /* a hash of it */
	} left[STAPLE_LOOKUPS_MAX];
};

/* Are there fewer than may be?  host: "name:port". */
bool staple_lookups_may(const struct staple_lookups *lookups, const char *host,
    int64_t mono_ms) MUST_CHECK;

void staple_lookups_abandon(
    struct staple_lookups *lookups, const char *host, int64_t mono_ms);

#endif
