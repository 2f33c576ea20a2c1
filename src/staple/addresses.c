/*
 * The table of failed addresses.  Staple thread only.  When it is full, a new
 * entry replaces the one that ends first: forgetting an address costs one
 * connect that times out, and no more.
 */
#include "staple/addresses.h"

#include <stddef.h>

/* Its entry, whether or not that still counts; NULL: none. */
static const struct staple_address *
find(const struct staple_addresses *addresses, const struct addr *addr)
{
	for (size_t i = 0; i < STAPLE_ADDRESSES_MAX; i++) {
		const struct staple_address *one = &addresses->failed[i];

		if (one->until_ms != 0 && addr_equal(&one->addr, addr))
			return one;
	}
	return NULL;
}

bool
staple_addresses_failed(const struct staple_addresses *addresses,
    const struct addr *addr, int64_t mono_ms)
{
	const struct staple_address *found = find(addresses, addr);

	return found != NULL && mono_ms < found->until_ms;
}

static struct staple_address *
first_to_end(struct staple_addresses *addresses)
{
	struct staple_address *first = addresses->failed;

	for (size_t i = 1; i < STAPLE_ADDRESSES_MAX; i++) {
		if (addresses->failed[i].until_ms < first->until_ms)
			first = &addresses->failed[i];
	}
	return first;
}

void
staple_addresses_note(struct staple_addresses *addresses,
    const struct addr *addr, bool works, int64_t mono_ms)
{
	const struct staple_address *found = find(addresses, addr);
	struct staple_address *entry;

	if (found == NULL && works)
		return;
	entry = found != NULL ? &addresses->failed[found - addresses->failed]
			      : first_to_end(addresses);
	entry->addr = *addr;
	entry->until_ms = works ? 0 : mono_ms + STAPLE_ADDRESS_MS;
}
