/* How many name look-ups may have been left behind. */
#include "staple/lookups.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/attr.h"

#define MAX STAPLE_LOOKUPS_MAX
#define NOW 1000000

static const struct row {
	const char *what;
	unsigned abandoned; /* one a millisecond, the first at NOW */
	int64_t at;
	bool may;
} rows[] = {
	{ "none", 0, NOW, true },
	{ "one fewer than too many", MAX - 1, NOW + MAX, true },
	{ "too many", MAX, NOW + MAX, false },
	{ "just before the first ends", MAX, NOW + STAPLE_LOOKUP_MS - 1,
	    false },
	{ "when the first ends", MAX, NOW + STAPLE_LOOKUP_MS, true },
	{ "one more, when the first ends", MAX + 1, NOW + STAPLE_LOOKUP_MS,
	    false },
	{ "one more, when the second ends", MAX + 1, NOW + STAPLE_LOOKUP_MS + 1,
	    true },
};

Test(lookups, counts_each_for_two_minutes)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct staple_lookups lookups = { 0 };
		char host[16];

		for (unsigned n = 0; n < row->abandoned; n++) {
			snprintf(host, sizeof(host), "%u:80", n);
			staple_lookups_abandon(&lookups, host, NOW + n);
		}
		cr_expect_eq(staple_lookups_may(&lookups, "new:80", row->at),
		    row->may, "%s", row->what);
	}
}

/* Rule 28 */
Test(lookups, leaves_room_for_others_than_one_host)
{
	struct staple_lookups lookups = { 0 };
	unsigned count = 0;

	for (; staple_lookups_may(&lookups, "hangs:80", NOW); count++)
		staple_lookups_abandon(&lookups, "hangs:80", NOW);
	cr_expect_eq(count, STAPLE_LOOKUPS_HOST_MAX);
	cr_expect(staple_lookups_may(&lookups, "good:80", NOW));
	cr_expect(
	    staple_lookups_may(&lookups, "hangs:80", NOW + STAPLE_LOOKUP_MS));
}
