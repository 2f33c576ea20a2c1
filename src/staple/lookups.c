/*
 * The look-ups left behind, each as the time when it no longer counts.  Staple
 * thread only.  One more than there is room for takes the place of the oldest:
 * there is room again when the thirty-second youngest has ended, which is what
 * the bound asks for.  Hosts are told apart by a hash: two that share one share
 * a bound, and that is all.
 */
#include "staple/lookups.h"

/* FNV-1a */
static uint32_t
hash(const char *host)
{
	uint32_t sum = 2166136261;

	for (; *host != '\0'; host++)
		sum = (sum ^ (unsigned char)*host) * 16777619;
	return sum;
}

bool
staple_lookups_may(
    const struct staple_lookups *lookups, const char *host, int64_t mono_ms)
{
	unsigned all = 0, of_host = 0;
	uint32_t sum = hash(host);

	for (unsigned i = 0; i < STAPLE_LOOKUPS_MAX; i++) {
		if (lookups->left[i].until_ms <= mono_ms)
			continue;
		all++;
		of_host += lookups->left[i].host == sum;
	}
	return all < STAPLE_LOOKUPS_MAX && of_host < STAPLE_LOOKUPS_HOST_MAX;
}

void
staple_lookups_abandon(
    struct staple_lookups *lookups, const char *host, int64_t mono_ms)
{
	struct staple_lookup *oldest = lookups->left;

	for (unsigned i = 1; i < STAPLE_LOOKUPS_MAX; i++) {
		if (lookups->left[i].until_ms < oldest->until_ms)
			oldest = &lookups->left[i];
	}
	*oldest = (struct staple_lookup){ mono_ms + STAPLE_LOOKUP_MS,
		hash(host) };
}
