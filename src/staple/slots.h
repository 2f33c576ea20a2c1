/*
 * How many may be asked at once: `max_fetches` in all, and so many of one
 * responder host as its limit says (hosts.h), where a slot held for over two
 * seconds no longer counts toward its host's (a hanging responder must not
 * starve its good certificates, nor be flooded).  Kept before a transfer is
 * handed to libcurl, because its own queueing counts against the timeout.
 * Staple thread only; time is given.
 */
#ifndef STAPLE_SLOTS_H
#define STAPLE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

#define STAPLE_SLOW_SLOT_MS 2000

struct staple_host;
struct staple_slots;
struct staple_slot; /* one taken; belongs to the slots */

struct staple_slots *staple_slots_new(unsigned max) MUST_CHECK;
void staple_slots_free(struct staple_slots *slots); /* NULL ok; gives back */
void staple_slots_resize(struct staple_slots *slots, unsigned max);

/* NULL: not now (or no memory).  The host lives until it is given back. */
struct staple_slot *staple_slots_take(struct staple_slots *slots,
    struct staple_host *host, int64_t mono_ms) MUST_CHECK;
void staple_slots_give(struct staple_slots *slots, struct staple_slot *slot);

/* When a slot of this host may become free by turning slow (monotonic ms);
 * INT64_MAX: only by being given back. */
int64_t staple_slots_until(const struct staple_slots *slots,
    const struct staple_host *host, int64_t mono_ms);

unsigned staple_slots_taken(const struct staple_slots *slots);

#endif
