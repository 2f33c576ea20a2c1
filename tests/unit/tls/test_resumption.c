/*
 * Resumption never carries a client past a policy: whatever has changed since
 * its first handshake, a client is resumed only where a full handshake would
 * have taken it as it is.  Every way is tried in both versions, and beside
 * each stands one that is open.  (CVE-2022-21654.)
 */
#include <criterion/criterion.h>

#include "tests/unit/tls/resumption_rig.h"

TestSuite(resumption, .init = rig_open, .fini = rig_close);

/* ---- a reload changes the policy, under keys that go on ---- */

struct change {
	const char *what;
	struct rule before;
	struct rule after;
	bool with_client; /* it has a certificate */
	enum visited visited;
};

static const struct change changes[] = {
	{ "nothing, no clients verified", { NONE }, { NONE }, false,
	    VISIT_RESUMED },
	{ "nothing, a required client", { REQUIRE }, { REQUIRE }, true,
	    VISIT_RESUMED },
	{ "nothing, an optional client", { OPTIONAL }, { OPTIONAL }, true,
	    VISIT_RESUMED },
	{ "nothing, optional, no certificate", { OPTIONAL }, { OPTIONAL },
	    false, VISIT_RESUMED },
	{ "nothing, with a list", { REQUIRE, .crl = "empty.crl" },
	    { REQUIRE, .crl = "empty.crl" }, true, VISIT_RESUMED },
	{ "nothing, allowed by SAN", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "client.example" }, true, VISIT_RESUMED },
	{ "nothing, allowed by CN", { REQUIRE, .cn = "client" },
	    { REQUIRE, .cn = "client" }, true, VISIT_RESUMED },

	{ "none to require, no certificate", { NONE }, { REQUIRE }, false,
	    VISIT_REFUSED },
	{ "none to require, with one", { NONE }, { REQUIRE }, true,
	    VISIT_FULL },
	{ "none to optional", { NONE }, { OPTIONAL }, false, VISIT_FULL },
	{ "optional to require, no certificate", { OPTIONAL }, { REQUIRE },
	    false, VISIT_REFUSED },
	{ "optional to require, with one", { OPTIONAL }, { REQUIRE }, true,
	    VISIT_FULL },
	{ "require to none", { REQUIRE }, { NONE }, true, VISIT_FULL },

	{ "another CA", { REQUIRE }, { REQUIRE, .ca = "other.pem" }, true,
	    VISIT_REFUSED },
	{ "one more CA", { REQUIRE }, { REQUIRE, .ca = "both.pem" }, true,
	    VISIT_FULL },
	{ "one CA less", { REQUIRE, .ca = "both.pem" },
	    { REQUIRE, .ca = "other.pem" }, true, VISIT_REFUSED },
	{ "another CA, optional", { OPTIONAL }, { OPTIONAL, .ca = "other.pem" },
	    true, VISIT_REFUSED },

	{ "a list that revokes", { REQUIRE, .crl = "empty.crl" },
	    { REQUIRE, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a first list, that revokes", { REQUIRE },
	    { REQUIRE, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a list that revokes, optional", { OPTIONAL, .crl = "empty.crl" },
	    { OPTIONAL, .crl = "revoked.crl" }, true, VISIT_REFUSED },
	{ "a first list of nobody", { REQUIRE },
	    { REQUIRE, .crl = "empty.crl" }, true, VISIT_FULL },

	{ "a SAN no longer allowed", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "dns:else.example" }, true, VISIT_REFUSED },
	{ "a first rule that excludes", { REQUIRE },
	    { REQUIRE, .allow = "dns:else.example" }, true, VISIT_REFUSED },
	{ "a SAN allowed otherwise", { REQUIRE, .allow = "client.example" },
	    { REQUIRE, .allow = "dns:*.example" }, true, VISIT_FULL },
	{ "a CN no longer allowed", { REQUIRE, .cn = "client" },
	    { REQUIRE, .cn = "else" }, true, VISIT_REFUSED },
	{ "optional, a SAN no longer allowed",
	    { OPTIONAL, .allow = "client.example" },
	    { OPTIONAL, .allow = "else.example" }, true, VISIT_REFUSED },

	{ "another listener, all else equal", { .listener = "a" },
	    { .listener = "b" }, false, VISIT_FULL },
	{ "another listener, a required client", { REQUIRE, .listener = "a" },
	    { REQUIRE, .listener = "b" }, true, VISIT_FULL },
	{ "other ciphers", { NONE }, { .ciphers = "ECDHE+AESGCM" }, false,
	    VISIT_FULL },
	{ "tickets no longer wanted", { NONE }, { .off = true }, false,
	    VISIT_FULL },
};

/* The first visits show that the ticket is good where it was given. */
static void
check_change(const struct change *change, size_t v)
{
	struct visitor visitor = rig_visitor(
	    v, "a.example", change->with_client ? &rig.client : NULL);
	struct standing before, after;
	enum visited visited;

	stand(&before, &change->before, 1);
	stand(&after, &change->after, 1);
	cr_assert_eq(visit(before.server, &visitor), VISIT_FULL, "%s, %s",
	    change->what, link_versions[v].what);
	cr_assert_eq(visit(before.server, &visitor), VISIT_RESUMED, "%s, %s",
	    change->what, link_versions[v].what);
	visited = visit(after.server, &visitor);
	cr_assert_eq(visited, change->visited, "%s, %s: %s", change->what,
	    link_versions[v].what, visit_names[visited]);
	visitor_drop(&visitor);
	fall(&before);
	fall(&after);
}

Test(resumption, goes_on_over_a_reload_only_if_nothing_changed)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			check_change(&changes[i], v);
}

Test(resumption, outlives_the_certificate_that_was_shown)
{
	static const struct rule rule = { REQUIRE };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = rig_visitor(
		    v, "a.example", &rig.client);
		struct standing before, after;

		stand(&before, &rule, 1);
		rig_renew();
		stand(&after, &rule, 1);
		(void)visit(before.server, &visitor);
		cr_assert_eq(visit(after.server, &visitor), VISIT_RESUMED, "%s",
		    link_versions[v].what);
		visitor_drop(&visitor);
		fall(&before);
		fall(&after);
	}
}

/* ---- time passes ---- */

static const struct {
	const char *what;
	struct rule rule;
	const struct pki *pair;
	enum visited visited;
} ends[] = {
	{ "nothing ends", { REQUIRE }, &rig.client, VISIT_RESUMED },
	{ "the client's certificate", { REQUIRE }, &rig.brief, VISIT_FULL },
	{ "that of the client's CA", { REQUIRE, .ca = "brief.pem" }, &rig.heir,
	    VISIT_FULL },
	{ "the certificate of an optional client", { OPTIONAL }, &rig.brief,
	    VISIT_FULL },
	{ "an optional client has none", { OPTIONAL }, NULL, VISIT_RESUMED },
	{ "a certificate that nobody asked for", { NONE }, &rig.brief,
	    VISIT_RESUMED },
	{ "the list", { REQUIRE, .crl = "brief.crl" }, &rig.client,
	    VISIT_FULL },
	{ "a list that goes on", { REQUIRE, .crl = "empty.crl" }, &rig.client,
	    VISIT_RESUMED },
};

Test(resumption, ends_with_what_vouches_for_the_client)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct visitor visitor = rig_visitor(
			    v, "a.example", ends[i].pair);
			struct standing standing;
			enum visited visited;

			rig.now_ms = (RIG_END_S - 60) * 1000;
			stand(&standing, &ends[i].rule, 1);
			cr_assert_eq(
			    visit(standing.server, &visitor), VISIT_FULL);
			rig.now_ms += 30 * 1000;
			cr_assert_eq(visit(standing.server, &visitor),
			    VISIT_RESUMED, "%s, %s: too early", ends[i].what,
			    link_versions[v].what);
			rig.now_ms += 60 * 1000;
			visited = visit(standing.server, &visitor);
			cr_assert_eq(visited, ends[i].visited, "%s, %s: %s",
			    ends[i].what, link_versions[v].what,
			    visit_names[visited]);
			visitor_drop(&visitor);
			fall(&standing);
		}
}

/* A client that comes back every half hour proves itself every two. */
Test(resumption, never_stretches_the_time_since_the_client_was_verified)
{
	static const struct rule rule = { REQUIRE };
	enum { HALF_HOUR_MS = 30 * 60 * 1000 };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct visitor visitor = rig_visitor(
		    v, "a.example", &rig.client);
		struct standing standing;

		stand(&standing, &rule, 1);
		for (int n = 0; n < 12; n++) {
			enum visited expected = n % 4 == 0 ? VISIT_FULL
							   : VISIT_RESUMED;

			cr_assert_eq(visit(standing.server, &visitor), expected,
			    "%s, visit %d", link_versions[v].what, n);
			/* so that TLS 1.2 renews its ticket too */
			cr_assert(ticket_keys_rotate(rig.keys, NULL));
			rig.now_ms += HALF_HOUR_MS;
		}
		visitor_drop(&visitor);
		fall(&standing);
	}
}
