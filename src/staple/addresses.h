/*
 * Addresses at which a transfer failed lately.  Where a name has several, the
 * next transfers try the others first; a name that has no other address is
 * not affected.  A plain value, zero: none.  Staple thread only; the caller
 * passes the time.
 */
#ifndef STAPLE_ADDRESSES_H
#define STAPLE_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

#define STAPLE_ADDRESSES_MAX 64
#define STAPLE_ADDRESS_MS (10 * 60 * 1000)

struct staple_addresses {
	struct staple_address {
		struct addr addr;
		int64_t until_ms; /* monotonic; avoided till then */
	} failed[STAPLE_ADDRESSES_MAX];
};

/* Has it failed within the last STAPLE_ADDRESS_MS? */
bool staple_addresses_failed(const struct staple_addresses *addresses,
    const struct addr *addr, int64_t mono_ms) MUST_CHECK;

/* It failed now; or it works, and earlier failures are forgotten. */
void staple_addresses_note(struct staple_addresses *addresses,
    const struct addr *addr, bool works, int64_t mono_ms);

#endif
