/*
 * The look-ups left behind, each as the time when it no longer counts.  Staple
 * thread only.  One more than there is room for takes the place of the oldest:
 * there is room again when the thirty-second youngest has ended, which is what
 * the bound asks for.
 */
#include "staple/lookups.h"

static unsigned
oldest(const struct staple_lookups *lookups)
{
	unsigned found = 0;

	for (unsigned i = 1; i < STAPLE_LOOKUPS_MAX; i++) {
		if (lookups->until_ms[i] < lookups->until_ms[found])
			found = i;
	}
	return found;
}

bool
staple_lookups_may(const struct staple_lookups *lookups, int64_t mono_ms)
{
	return lookups->until_ms[oldest(lookups)] <= mono_ms;
}

void
staple_lookups_abandon(struct staple_lookups *lookups, int64_t mono_ms)
{
	lookups->until_ms[oldest(lookups)] = mono_ms + STAPLE_LOOKUP_MS;
}
