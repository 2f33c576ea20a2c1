/*
 * Resumption never carries a client from the policy of one name to that of
 * another, in either version; nor, under one policy, from name to name.
 * (CVE-2025-23419; RFC 6066 section 3.)
 */
#include <criterion/criterion.h>

#include "tests/unit/tls/resumption_rig.h"

TestSuite(resumption_names, .init = rig_open, .fini = rig_close);

static const struct rule house[] = {
	{ NONE },
	{ NONE, .pattern = "open.example" },
	{ NONE, .pattern = "*.wild.example" },
	{ OPTIONAL, .pattern = "optional.example" },
	{ REQUIRE, .pattern = "closed.example" },
	{ REQUIRE, .pattern = "else.example", .ca = "other.pem" },
};

static const struct rule allowing[] = {
	{ REQUIRE, .allow = "client.example" },
	{ REQUIRE, .pattern = "same.example", .allow = "client.example" },
	{ REQUIRE, .pattern = "other.example", .allow = "else.example" },
	{ REQUIRE, .pattern = "revoked.example", .allow = "client.example",
	    .crl = "revoked.crl" },
	{ .pattern = "off.example", .off = true },
};

static const struct rule listener_off[] = {
	{ .off = true },
	{ .pattern = "on.example" },
};

#define RULES(array) array, sizeof(array) / sizeof(array[0])

static const struct walk {
	const char *what;
	const struct rule *rules;
	size_t count;
	const char *from; /* NULL: no server_name */
	const char *to;
	bool with_client;
	enum visited visited;
} walks[] = {
	{ "the same name", RULES(house), "open.example", "open.example", false,
	    VISIT_RESUMED },
	{ "the same in capitals", RULES(house), "open.example", "OPEN.example",
	    false, VISIT_RESUMED },
	{ "no name, twice", RULES(house), NULL, NULL, false, VISIT_RESUMED },
	{ "an unknown name, twice", RULES(house), "who.example", "who.example",
	    false, VISIT_RESUMED },
	{ "a name of a wildcard, twice", RULES(house), "a.wild.example",
	    "a.wild.example", false, VISIT_RESUMED },
	{ "a closed host, twice", RULES(house), "closed.example",
	    "closed.example", true, VISIT_RESUMED },
	{ "an optional host, twice", RULES(house), "optional.example",
	    "optional.example", false, VISIT_RESUMED },

	/* RFC 6066 section 3: one policy, other names */
	{ "two names of a wildcard", RULES(house), "a.wild.example",
	    "b.wild.example", false, VISIT_FULL },
	{ "two unknown names", RULES(house), "who.example", "what.example",
	    false, VISIT_FULL },
	{ "two hosts alike", RULES(house), "open.example", "a.wild.example",
	    false, VISIT_FULL },
	{ "no name, then one", RULES(house), NULL, "open.example", false,
	    VISIT_FULL },
	{ "no name, then an unknown one", RULES(house), NULL, "who.example",
	    false, VISIT_FULL },
	{ "a name, then none", RULES(house), "open.example", NULL, false,
	    VISIT_FULL },
	{ "a name with a longer one", RULES(house), "who.example",
	    "who.example.", false, VISIT_FULL },
	{ "a name that another begins with", RULES(house), "who.example.net",
	    "who.example", false, VISIT_FULL },
	{ "hosts alike, with a client", RULES(allowing), "same.example",
	    "who.example", true, VISIT_FULL },

	{ "open to closed, no certificate", RULES(house), "open.example",
	    "closed.example", false, VISIT_REFUSED },
	{ "open to closed, with one", RULES(house), "open.example",
	    "closed.example", true, VISIT_FULL },
	{ "no name to closed", RULES(house), NULL, "closed.example", false,
	    VISIT_REFUSED },
	{ "optional to closed, no certificate", RULES(house),
	    "optional.example", "closed.example", false, VISIT_REFUSED },
	{ "optional to closed, with one", RULES(house), "optional.example",
	    "closed.example", true, VISIT_FULL },
	{ "closed to one with another CA", RULES(house), "closed.example",
	    "else.example", true, VISIT_REFUSED },
	{ "closed to open", RULES(house), "closed.example", "open.example",
	    true, VISIT_FULL },
	{ "to one that allows others", RULES(allowing), "same.example",
	    "other.example", true, VISIT_REFUSED },
	{ "to one whose list revokes", RULES(allowing), "same.example",
	    "revoked.example", true, VISIT_REFUSED },

	{ "to one without tickets", RULES(allowing), "same.example",
	    "off.example", true, VISIT_FULL },
	{ "one without tickets, twice", RULES(allowing), "off.example",
	    "off.example", false, VISIT_FULL },
	{ "one with tickets, where its listener has none", RULES(listener_off),
	    "on.example", "on.example", false, VISIT_RESUMED },
	{ "a listener without tickets, twice", RULES(listener_off),
	    "who.example", "who.example", false, VISIT_FULL },
	{ "one with tickets, then its listener", RULES(listener_off),
	    "on.example", "who.example", false, VISIT_FULL },
};

Test(resumption_names, stays_with_the_name_it_began_with)
{
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			const struct walk *walk = &walks[i];
			struct visitor visitor = rig_visitor(v, walk->from,
			    walk->with_client ? &rig.client : NULL);
			struct standing standing;
			enum visited visited;

			stand(&standing, walk->rules, walk->count);
			cr_assert_eq(
			    visit(standing.server, &visitor), VISIT_FULL);
			visitor.name = walk->to;
			visited = visit(standing.server, &visitor);
			cr_assert_eq(visited, walk->visited, "%s, %s: %s",
			    walk->what, link_versions[v].what,
			    visit_names[visited]);
			visitor_drop(&visitor);
			fall(&standing);
		}
}

/* RFC 8446 section 4.1.4: the second ClientHello brings the ticket again. */
Test(resumption_names, goes_through_a_retry_and_keeps_its_name)
{
	struct visitor visitor = { .version = TLS1_3_VERSION,
		.name = "open.example",
		.groups = "P-521:P-256" };
	struct standing standing;

	stand(&standing, house, RIG_SITES);
	cr_assert_eq(visit(standing.server, &visitor), VISIT_FULL);
	cr_assert_eq(visit(standing.server, &visitor), VISIT_RESUMED);
	visitor.name = "a.wild.example";
	cr_assert_eq(visit(standing.server, &visitor), VISIT_FULL);
	visitor.name = "closed.example";
	cr_assert_eq(visit(standing.server, &visitor), VISIT_REFUSED);
	visitor_drop(&visitor);
	fall(&standing);
}
