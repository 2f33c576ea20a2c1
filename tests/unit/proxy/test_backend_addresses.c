/* The set of addresses behind a backend, and who rests in it. */
#include "proxy/backend_addresses.h"

#include <criterion/criterion.h>

static struct addr
address(const char *text)
{
	struct addr addr;

	cr_assert(addr_parse(&addr, NULL, text, NULL), "%s", text);
	return addr;
}

/* `first` and, unless NULL, `second`. */
static struct backend_addresses *
make(const char *first, const char *second)
{
	struct backend_addresses *addresses;
	struct addr list[2] = { address(first) };

	if (second != NULL)
		list[1] = address(second);
	addresses = backend_addresses_new(list, second != NULL ? 2 : 1, 80);
	cr_assert_not_null(addresses);
	return addresses;
}

Test(backend_addresses, have_the_port_of_the_backend)
{
	struct backend_addresses *addresses = make("10.0.0.1:0", "[::1]:7");

	cr_expect_eq(addr_port(&addresses->items[0].addr), 80);
	cr_expect_eq(addr_port(&addresses->items[1].addr), 80);
	backend_addresses_unref(addresses);
}

static const struct equal_row {
	const char *what, *first, *second;
	bool expect;
} equal_rows[] = {
	{ "the same two", "10.0.0.1:0", "10.0.0.2:0", true },
	{ "in another order", "10.0.0.2:0", "10.0.0.1:0", false },
	{ "one less", "10.0.0.1:0", NULL, false },
	{ "another second", "10.0.0.1:0", "10.0.0.3:0", false },
};

Test(backend_addresses, are_equal_when_they_are_the_same_in_order)
{
	struct backend_addresses *one = make("10.0.0.1:0", "10.0.0.2:0");

	for (size_t i = 0; i < ARRAY_LEN(equal_rows); i++) {
		const struct equal_row *row = &equal_rows[i];
		struct backend_addresses *two = make(row->first, row->second);

		cr_expect_eq(backend_addresses_equal(one, two), row->expect,
		    "%s", row->what);
		backend_addresses_unref(two);
	}
	backend_addresses_unref(one);
}

Test(backend_addresses, rest_until_the_time_has_come)
{
	struct backend_addresses *addresses = make("10.0.0.1:0", NULL);
	struct candidate *candidate = &addresses->items[0];

	cr_expect_not(candidate_rests(candidate, 1));
	candidate_rest(candidate, 100);
	cr_expect(candidate_rests(candidate, 99));
	cr_expect_not(candidate_rests(candidate, 100));
	backend_addresses_unref(addresses);
}

Test(backend_addresses, rest_by_address_and_not_by_place)
{
	struct backend_addresses *old = make("10.0.0.1:0", "10.0.0.2:0");
	struct backend_addresses *fresh = make("10.0.0.3:0", "10.0.0.1:0");

	candidate_rest(&old->items[0], 100);
	backend_addresses_keep_rests(fresh, old);
	cr_expect_not(candidate_rests(&fresh->items[0], 50));
	cr_expect(candidate_rests(&fresh->items[1], 50));
	backend_addresses_unref(fresh);
	backend_addresses_unref(old);
}
