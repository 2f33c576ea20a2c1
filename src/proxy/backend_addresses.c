/*
 * The counted set of addresses behind one backend.  Name servers rotate their
 * answers, so who rests is carried over by address, not by place.
 * Any thread; the only thing that changes after birth is one relaxed atomic
 * per address, and a stale read of it costs one more try.
 */
#include "proxy/backend_addresses.h"

#include <stdlib.h>

struct backend_addresses *
backend_addresses_new(const struct addr *list, size_t count, uint16_t port)
{
	struct backend_addresses *addresses;

	addresses = calloc(
	    1, sizeof(*addresses) + count * sizeof(addresses->items[0]));
	if (addresses == NULL)
		return NULL;
	atomic_init(&addresses->references, 1);
	addresses->count = count;
	for (size_t i = 0; i < count; i++) {
		addresses->items[i].addr = list[i];
		addr_set_port(&addresses->items[i].addr, port);
	}
	return addresses;
}

struct backend_addresses *
backend_addresses_ref(struct backend_addresses *addresses)
{
	if (addresses != NULL)
		atomic_fetch_add_explicit(
		    &addresses->references, 1, memory_order_relaxed);
	return addresses;
}

void
backend_addresses_unref(struct backend_addresses *addresses)
{
	if (addresses != NULL &&
	    atomic_fetch_sub_explicit(
		&addresses->references, 1, memory_order_acq_rel) == 1)
		free(addresses);
}

bool
backend_addresses_equal(
    const struct backend_addresses *a, const struct backend_addresses *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!addr_equal(&a->items[i].addr, &b->items[i].addr))
			return false;
	}
	return true;
}

static int64_t
rest_until(const struct candidate *candidate)
{
	return atomic_load_explicit(
	    &candidate->rest_until_ms, memory_order_relaxed);
}

static const struct candidate *
find(const struct backend_addresses *addresses, const struct addr *addr)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (addr_equal(&addresses->items[i].addr, addr))
			return &addresses->items[i];
	}
	return NULL;
}

void
backend_addresses_keep_rests(
    struct backend_addresses *fresh, const struct backend_addresses *old)
{
	for (size_t i = 0; i < fresh->count; i++) {
		const struct candidate *known;

		known = find(old, &fresh->items[i].addr);
		if (known != NULL)
			candidate_rest(&fresh->items[i], rest_until(known));
	}
}

bool
candidate_rests(const struct candidate *candidate, int64_t now_ms)
{
	return rest_until(candidate) > now_ms;
}

void
candidate_rest(struct candidate *candidate, int64_t until_ms)
{
	atomic_store_explicit(
	    &candidate->rest_until_ms, until_ms, memory_order_relaxed);
}
