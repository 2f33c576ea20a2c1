/*
 * CPU quotas as containers write them.
 */
#include "runtime/cpus.h"

#include <criterion/criterion.h>

Test(cpus, rounds_a_quota_up)
{
	static const struct {
		const char *given;
		unsigned expect;
	} rows[] = {
		{ "100000 100000\n", 1 },
		{ "150000 100000\n", 2 },
		{ "200000 100000\n", 2 },
		{ "1000 100000\n", 1 },
		{ "9223372036854775807 1\n", CPUS_MAX },
	};
	unsigned cpus;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert(cpus_parse_quota(rows[i].given, &cpus), "%s",
		    rows[i].given);
		cr_expect_eq(cpus, rows[i].expect, "%s", rows[i].given);
	}
}

Test(cpus, finds_no_quota_where_there_is_none)
{
	static const char *const rows[] = { "max 100000\n", "-1\n 100000\n", "",
		"100000", "100000 0", "0 100000", "no numbers" };
	unsigned cpus;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_not(cpus_parse_quota(rows[i], &cpus), "%s", rows[i]);
}

Test(cpus, counts_within_its_bounds)
{
	cr_expect_geq(cpus_count(), 1u);
	cr_expect_leq(cpus_count(), CPUS_MAX);
}
