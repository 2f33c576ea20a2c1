/* Which addresses failed lately. */
#include "staple/addresses.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/attr.h"

#define NOW 1000000

static struct addr
address(const char *text)
{
	struct addr addr;

	cr_assert(addr_parse(&addr, NULL, text, NULL), "%s", text);
	return addr;
}

static const struct row {
	const char *what, *text;
	int64_t at;
	bool failed;
} rows[] = {
	{ "at once", "127.0.0.2:80", NOW, true },
	{ "just before ten minutes", "127.0.0.2:80",
	    NOW + STAPLE_ADDRESS_MS - 1, true },
	{ "after ten minutes", "127.0.0.2:80", NOW + STAPLE_ADDRESS_MS, false },
	{ "another address", "127.0.0.3:80", NOW, false },
	{ "another port", "127.0.0.2:81", NOW, false },
	{ "an IPv6 address", "[::1]:80", NOW, true },
};

Test(addresses, counts_a_failure_for_ten_minutes)
{
	struct staple_addresses addresses = { 0 };
	struct addr v4 = address("127.0.0.2:80"), v6 = address("[::1]:80");

	staple_addresses_note(&addresses, &v4, false, NOW);
	staple_addresses_note(&addresses, &v6, false, NOW);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct addr addr = address(row->text);

		cr_expect_eq(
		    staple_addresses_failed(&addresses, &addr, row->at),
		    row->failed, "%s", row->what);
	}
}

Test(addresses, forgets_the_failures_of_one_that_works)
{
	struct staple_addresses addresses = { 0 };
	struct addr addr = address("127.0.0.2:80");

	staple_addresses_note(&addresses, &addr, true, NOW);
	staple_addresses_note(&addresses, &addr, false, NOW);
	staple_addresses_note(&addresses, &addr, true, NOW + 1);
	cr_expect_not(staple_addresses_failed(&addresses, &addr, NOW + 1));
}

Test(addresses, replaces_the_one_that_ends_first)
{
	struct staple_addresses addresses = { 0 };
	struct addr addr = address("127.0.0.2:1");

	for (uint16_t i = 0; i <= STAPLE_ADDRESSES_MAX; i++) {
		addr_set_port(&addr, i + 1);
		staple_addresses_note(&addresses, &addr, false, NOW + i);
	}
	for (uint16_t i = 0; i <= STAPLE_ADDRESSES_MAX; i++) {
		addr_set_port(&addr, i + 1);
		cr_expect_eq(staple_addresses_failed(&addresses, &addr, NOW),
		    i != 0, "port %u", i + 1);
	}
}
