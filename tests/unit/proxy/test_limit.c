/* Caps, allow and deny lists, and that every slot is released. */
#include "proxy/limit.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/err.h"

struct fixture {
	struct limit_process *process;
	struct limit *limit;
	struct config_listener config;
};

static struct fixture fixture;

static void
set_up(void)
{
	fixture = (struct fixture){ .process = limit_process_new() };
	cr_assert_not_null(fixture.process);
	fixture.limit = limit_new(fixture.process);
	cr_assert_not_null(fixture.limit);
}

static void
tear_down(void)
{
	limit_unref(fixture.limit);
	limit_process_free(fixture.process);
}

TestSuite(limit, .init = set_up, .fini = tear_down);

static enum limit_answer
reserve(void)
{
	return limit_reserve(fixture.limit, &fixture.config);
}

static void
release(void)
{
	limit_handshake_done(fixture.limit);
	limit_release(fixture.limit);
}

static struct addr
address(const char *text)
{
	struct addr addr;
	struct err err;

	cr_assert(addr_parse(&addr, NULL, text, &err), "%s", text);
	return addr;
}

static enum limit_answer
admit(const char *text, struct limit_address **counted)
{
	struct addr peer = address(text);

	return limit_admit(fixture.limit, &fixture.config, &peer, counted);
}

static const struct cap_row {
	const char *what;
	uint32_t process, connections, handshakes;
	enum limit_answer second;
} cap_rows[] = {
	{ "no cap at all", 0, 0, 0, LIMIT_OK },
	{ "caps of two", 2, 2, 2, LIMIT_OK },
	{ "the process takes one", 1, 2, 2, LIMIT_FULL_PROCESS },
	{ "the listener takes one", 2, 1, 2, LIMIT_FULL_LISTENER },
	{ "one handshake at once", 2, 2, 1, LIMIT_FULL_HANDSHAKES },
};

Test(limit, reserves_up_to_the_caps)
{
	for (size_t i = 0; i < ARRAY_LEN(cap_rows); i++) {
		const struct cap_row *row = &cap_rows[i];

		limit_process_set_cap(fixture.process, row->process);
		fixture.config.max_connections = row->connections;
		fixture.config.max_handshakes = row->handshakes;
		cr_expect_eq(reserve(), LIMIT_OK, "%s: the first", row->what);
		cr_expect_eq(
		    reserve(), row->second, "%s: the second", row->what);
		release();
		if (row->second == LIMIT_OK)
			release();
	}
}

Test(limit, reserves_nothing_when_full)
{
	fixture.config.max_handshakes = 1;
	cr_expect_eq(reserve(), LIMIT_OK);
	cr_expect_eq(reserve(), LIMIT_FULL_HANDSHAKES);
	cr_expect_eq(limit_connections(fixture.limit), 1);
	cr_expect_eq(limit_process_connections(fixture.process), 1);
	release();
	cr_expect_eq(limit_connections(fixture.limit), 0);
	cr_expect_eq(limit_process_connections(fixture.process), 0);
}

Test(limit, counts_a_finished_handshake_as_a_connection_only)
{
	fixture.config.max_handshakes = 1;
	fixture.config.max_connections = 2;
	cr_expect_eq(reserve(), LIMIT_OK);
	limit_handshake_done(fixture.limit);
	cr_expect_eq(reserve(), LIMIT_OK);
	limit_handshake_done(fixture.limit);
	cr_expect_eq(reserve(), LIMIT_FULL_LISTENER);
	limit_release(fixture.limit);
	limit_release(fixture.limit);
}

Test(limit, shares_the_cap_of_the_process_between_listeners)
{
	struct limit *other = limit_new(fixture.process);

	cr_assert_not_null(other);
	limit_process_set_cap(fixture.process, 1);
	cr_expect_eq(reserve(), LIMIT_OK);
	cr_expect_eq(limit_reserve(other, &fixture.config), LIMIT_FULL_PROCESS);
	cr_expect_eq(limit_connections(other), 0);
	release();
	limit_unref(other);
}

static const struct list_row {
	const char *what, *allow, *deny, *peer;
	enum limit_answer expect;
} list_rows[] = {
	{ "no list", NULL, NULL, "192.0.2.1:5", LIMIT_OK },
	{ "denied", NULL, "192.0.2.0/24", "192.0.2.1:5", LIMIT_DENIED },
	{ "another is denied", NULL, "192.0.2.0/24", "10.0.0.1:5", LIMIT_OK },
	{ "allowed", "192.0.2.0/24", NULL, "192.0.2.1:5", LIMIT_OK },
	{ "not among the allowed", "192.0.2.0/24", NULL, "10.0.0.1:5",
	    LIMIT_DENIED },
	{ "deny comes before allow", "192.0.2.0/24", "192.0.2.1", "192.0.2.1:5",
	    LIMIT_DENIED },
	{ "allowed beside a denied one", "192.0.2.0/24", "192.0.2.1",
	    "192.0.2.2:5", LIMIT_OK },
	{ "IPv6 denied", NULL, "2001:db8::/32", "[2001:db8::1]:5",
	    LIMIT_DENIED },
	{ "IPv6 is not IPv4", "0.0.0.0/0", NULL, "[2001:db8::1]:5",
	    LIMIT_DENIED },
	{ "unix has no address to match", "192.0.2.0/24", NULL, "unix:/c",
	    LIMIT_OK },
};

static void
set_list(struct config_cidrs *list, struct cidr *space, const char *text)
{
	struct err err;

	*list = (struct config_cidrs){ .items = space, .count = text != NULL };
	if (text != NULL)
		cr_assert(cidr_parse(space, text, &err), "%s", text);
}

Test(limit, checks_deny_before_allow)
{
	struct limit_address *counted;
	struct cidr allow, deny;

	for (size_t i = 0; i < ARRAY_LEN(list_rows); i++) {
		const struct list_row *row = &list_rows[i];

		set_list(&fixture.config.allow, &allow, row->allow);
		set_list(&fixture.config.deny, &deny, row->deny);
		cr_expect_eq(
		    admit(row->peer, &counted), row->expect, "%s", row->what);
		cr_expect_null(counted, "%s", row->what);
	}
}

static const struct address_row {
	const char *what, *first, *second;
	enum limit_answer expect;
} address_rows[] = {
	{ "the same address", "192.0.2.1:5", "192.0.2.1:6",
	    LIMIT_FULL_ADDRESS },
	{ "the address beside it", "192.0.2.1:5", "192.0.2.2:5", LIMIT_OK },
	{ "the same /64", "[2001:db8::1]:5", "[2001:db8::2]:5",
	    LIMIT_FULL_ADDRESS },
	{ "the /64 beside it", "[2001:db8::1]:5", "[2001:db8:0:1::1]:5",
	    LIMIT_OK },
	{ "IPv4 whose bytes begin an IPv6", "[102:304::1]:5", "1.2.3.4:5",
	    LIMIT_OK },
};

Test(limit, counts_clients_by_address)
{
	fixture.config.per_ip_max = 1;
	for (size_t i = 0; i < ARRAY_LEN(address_rows); i++) {
		const struct address_row *row = &address_rows[i];
		struct limit_address *first, *second;

		cr_expect_eq(admit(row->first, &first), LIMIT_OK);
		cr_expect_not_null(first, "%s", row->what);
		cr_expect_eq(
		    admit(row->second, &second), row->expect, "%s", row->what);
		cr_expect_eq(
		    second != NULL, row->expect == LIMIT_OK, "%s", row->what);
		limit_forget(fixture.limit, second);
		limit_forget(fixture.limit, first);
	}
}

Test(limit, has_room_when_a_client_of_the_address_ends)
{
	struct limit_address *first, *second, *third;

	fixture.config.per_ip_max = 2;
	cr_expect_eq(admit("192.0.2.1:5", &first), LIMIT_OK);
	cr_expect_eq(admit("192.0.2.1:6", &second), LIMIT_OK);
	cr_expect_eq(admit("192.0.2.1:7", &third), LIMIT_FULL_ADDRESS);
	limit_forget(fixture.limit, first);
	cr_expect_eq(admit("192.0.2.1:7", &third), LIMIT_OK);
	limit_forget(fixture.limit, second);
	limit_forget(fixture.limit, third);
}

Test(limit, keeps_thousands_of_addresses_apart)
{
	enum { MANY = 20000 };
	static struct limit_address *counted[MANY];
	struct limit_address *again;
	struct addr peer = address("10.0.0.0:1");

	fixture.config.per_ip_max = 1;
	for (uint32_t i = 0; i < MANY; i++) {
		peer.in.sin_addr.s_addr = htonl(0x0a000000 + i);
		cr_assert_eq(limit_admit(fixture.limit, &fixture.config, &peer,
				 &counted[i]),
		    LIMIT_OK);
	}
	cr_expect_eq(admit("10.0.0.7:1", &again), LIMIT_FULL_ADDRESS);
	for (uint32_t i = 0; i < MANY; i++)
		limit_forget(fixture.limit, counted[i]);
	cr_expect_eq(admit("10.0.0.7:1", &again), LIMIT_OK);
	limit_forget(fixture.limit, again);
}

static const struct {
	const char *what, *given;
	bool expect, by_nobody; /* with a list of two, without one */
} trust_rows[] = {
	{ "inside a network", "192.0.2.77:9", true, false },
	{ "outside of it", "192.0.3.77:9", false, false },
	{ "IPv6", "[2001:db8::7]:9", true, false },
	{ "IPv6, outside", "[2001:db9::7]:9", false, false },
	{ "a Unix client", "unix:/run/clinch.sock", true, true },
};

Test(limit, trusts_the_list_and_every_unix_client)
{
	struct cidr list[2];

	cr_assert(cidr_parse(&list[0], "192.0.2.0/24", NULL));
	cr_assert(cidr_parse(&list[1], "2001:db8::/32", NULL));
	for (size_t i = 0; i < ARRAY_LEN(trust_rows); i++) {
		struct addr peer = address(trust_rows[i].given);

		fixture.config.proxy_trust = (struct config_cidrs){ list, 2 };
		cr_expect_eq(limit_trusts(&fixture.config, &peer),
		    trust_rows[i].expect, "%s", trust_rows[i].what);
		fixture.config.proxy_trust.count = 0;
		cr_expect_eq(limit_trusts(&fixture.config, &peer),
		    trust_rows[i].by_nobody, "%s", trust_rows[i].what);
	}
}
