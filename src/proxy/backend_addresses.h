/*
 * The addresses one backend means at the moment: a counted set whose addresses
 * never change, each with the time until which it is left alone.  The struct is
 * open because backend.c walks it; nobody else should.  Any thread.
 */
#ifndef PROXY_BACKEND_ADDRESSES_H
#define PROXY_BACKEND_ADDRESSES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

struct candidate {
	struct addr addr;              /* fixed at creation */
	_Atomic int64_t rest_until_ms; /* relaxed; monotonic, 0: never failed */
};

struct backend_addresses {
	atomic_uint references;
	size_t count;
	struct candidate items[];
};

/* Copies `list`, every address with this port.  NULL: no memory. */
struct backend_addresses *backend_addresses_new(
    const struct addr *list, size_t count, uint16_t port) MUST_CHECK;

/* Both: NULL ok. */
struct backend_addresses *backend_addresses_ref(
    struct backend_addresses *addresses);
void backend_addresses_unref(struct backend_addresses *addresses);

/* The same addresses in the same order? */
bool backend_addresses_equal(
    const struct backend_addresses *a, const struct backend_addresses *b);

/* Before `fresh` is shown to anybody: who rests in `old` rests in it too. */
void backend_addresses_keep_rests(
    struct backend_addresses *fresh, const struct backend_addresses *old);

bool candidate_rests(const struct candidate *candidate, int64_t now_ms);
void candidate_rest(struct candidate *candidate, int64_t until_ms);

#endif
