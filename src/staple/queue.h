/*
 * What waits for a slot: one line per responder host, the oldest due time in
 * front, the hosts served in turn, so that ten thousand certificates of one
 * responder do not stand before the one certificate of another.  Before a host
 * that is down one certificate at a time gets a slot, to probe it.  Staple
 * thread only.
 */
#ifndef STAPLE_QUEUE_H
#define STAPLE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/heap.h"

struct staple_host;
struct staple_hosts;
struct staple_slot;
struct staple_slots;

/* A place in a line; embedded in what waits.  Zeroed: in none. */
struct staple_place {
	struct heap_node node;    /* of host->waiting */
	struct staple_host *host; /* NULL: in none */
	/* of the certificate, kept by the owner */
	int64_t expires; /* of what it holds, wall seconds; 0: nothing */
	bool untried;    /* never tried, and it holds nothing valid */
};

/* Wait for a slot of this host.  Not twice.  false: no memory. */
bool staple_queue_join(struct staple_host *host, struct staple_place *place,
    int64_t due) MUST_CHECK;

/* Wait no more.  In no line: fine. */
void staple_queue_leave(struct staple_place *place);

/* Remove and return the next waiter; *slot is its permit.  NULL: no waiter has
 * a free permit. */
struct staple_place *staple_queue_next(struct staple_hosts *hosts,
    struct staple_slots *slots, int64_t mono_ms, struct staple_slot **slot);

/* When time alone may bring a turn (monotonic ms); INT64_MAX: never. */
int64_t staple_queue_until(const struct staple_hosts *hosts,
    const struct staple_slots *slots, int64_t mono_ms);

#endif
