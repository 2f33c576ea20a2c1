/*
 * Which clients are taken, in a full handshake and after a resumption.  Here
 * the judge is asked directly, about sites whose scope would not even let the
 * session come so far (test_resumption.c has the two together).
 */
#include "tls/client.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/unit/tls/client_rig.h"
#include "tests/unit/tls/resumption_rig.h"

TestSuite(client, .init = rig_open, .fini = rig_close);

/* ---- in a full handshake ---- */

static const struct {
	const char *what;
	struct rule rule;
	bool mid; /* the client of an intermediate, which it sends */
	long expect;
} firsts[] = {
	{ "no rules", { REQUIRE }, false, X509_V_OK },
	{ "its SAN", { REQUIRE, .allow = "*.example" }, false, X509_V_OK },
	{ "another SAN", { REQUIRE, .allow = "else.example" }, false,
	    X509_V_ERR_APPLICATION_VERIFICATION },
	{ "another SAN, optional", { OPTIONAL, .allow = "else.example" }, false,
	    X509_V_ERR_APPLICATION_VERIFICATION },
	{ "its CN", { REQUIRE, .cn = "client" }, false, X509_V_OK },
	{ "another CN", { REQUIRE, .cn = "else" }, false,
	    X509_V_ERR_APPLICATION_VERIFICATION },
	{ "its CN, by an intermediate", { REQUIRE, .cn = "client" }, true,
	    X509_V_OK },
	{ "the CN of the intermediate", { REQUIRE, .cn = "mid" }, true,
	    X509_V_ERR_APPLICATION_VERIFICATION },
	/* a chain of one certificate, which ends where it begins */
	{ "itself in ca_file", { REQUIRE, .ca = "client.pem" }, false,
	    X509_V_OK },
	{ "itself in ca_file, another SAN",
	    { REQUIRE, .ca = "client.pem", .allow = "else.example" }, false,
	    X509_V_ERR_APPLICATION_VERIFICATION },
	{ "OpenSSL's verdict first",
	    { REQUIRE, .ca = "other.pem", .cn = "client" }, false,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "its SAN, but revoked",
	    { REQUIRE, .crl = "revoked.crl", .allow = "*.example" }, false,
	    X509_V_ERR_CERT_REVOKED },
};

static void
check_first(size_t i, struct guest *guest)
{
	const char *version = link_versions[guest->v].what;
	struct standing standing;
	enum io io;
	long result;

	stand(&standing, &firsts[i].rule, 1);
	io = guest_come(guest, standing.server);
	result = SSL_get_verify_result(guest->link.server.ssl);
	cr_expect_eq(io == IO_DONE, firsts[i].expect == X509_V_OK, "%s, %s",
	    firsts[i].what, version);
	cr_expect_eq(result, firsts[i].expect, "%s, %s: %ld", firsts[i].what,
	    version, result);
	cr_expect_eq(guest_was_told(guest), io != IO_DONE, "%s, %s: alert",
	    firsts[i].what, version);
	guest_go(guest);
	fall(&standing);
}

Test(client, is_taken_if_verified_and_allowed)
{
	struct pki mid = pki_make(
	    &(struct pki_wish){ .name = "mid", .issuer = &rig.ca, .ca = true });
	struct pki far = pki_make(
	    &(struct pki_wish){ .name = "client", .issuer = &mid });

	client_rig_write("client.pem", &rig.client);
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct guest guest = { .v = v, .pair = &rig.client };

			if (firsts[i].mid) {
				guest.pair = &far;
				guest.along = &mid;
			}
			check_first(i, &guest);
		}
	pki_drop(&mid);
	pki_drop(&far);
}

#define RIG_END "20400101000000Z" /* RIG_END_S */

/* ---- who comes back ---- */

enum { NOW_S = 1800000000 };

static const struct {
	const char *what;
	struct rule rule; /* of the site it comes back to */
	bool with_client;
	int64_t good_until;
	int64_t now_s;
	bool expect;
} returns[] = {
	{ "nobody asks", { NONE }, false, INT64_MAX, NOW_S, true },
	{ "nobody asks, and it ended", { NONE }, true, NOW_S, NOW_S, true },
	{ "required, and there", { REQUIRE }, true, NOW_S + 1, NOW_S, true },
	{ "required, and not there", { REQUIRE }, false, INT64_MAX, NOW_S,
	    false },
	{ "optional, and there", { OPTIONAL }, true, NOW_S + 1, NOW_S, true },
	{ "optional, and not there", { OPTIONAL }, false, INT64_MAX, NOW_S,
	    true },
	{ "required, and ended", { REQUIRE }, true, NOW_S, NOW_S, false },
	{ "optional, and ended", { OPTIONAL }, true, NOW_S, NOW_S, false },

	{ "allowed by SAN", { REQUIRE, .allow = "client.example" }, true,
	    NOW_S + 1, NOW_S, true },
	{ "not allowed by SAN", { REQUIRE, .allow = "else.example" }, true,
	    NOW_S + 1, NOW_S, false },
	{ "not allowed by SAN, optional", { OPTIONAL, .allow = "else.example" },
	    true, NOW_S + 1, NOW_S, false },
	{ "not there, optional, rules", { OPTIONAL, .allow = "else.example" },
	    false, INT64_MAX, NOW_S, true },
	{ "allowed by CN", { REQUIRE, .cn = "client" }, true, NOW_S + 1, NOW_S,
	    true },
	{ "not allowed by CN", { REQUIRE, .cn = "else" }, true, NOW_S + 1,
	    NOW_S, false },

	{ "before the list ends", { REQUIRE, .crl = "brief.crl" }, true,
	    INT64_MAX, RIG_END_S - 1, true },
	{ "when the list ends", { REQUIRE, .crl = "brief.crl" }, true,
	    INT64_MAX, RIG_END_S, false },
	{ "when the list of another ends", { REQUIRE, .crl = "theirs.crl" },
	    true, INT64_MAX, RIG_END_S, true },
	{ "when the list ends, optional", { OPTIONAL, .crl = "brief.crl" },
	    true, INT64_MAX, RIG_END_S, false },
	{ "when the list ends, not there", { OPTIONAL, .crl = "brief.crl" },
	    false, INT64_MAX, RIG_END_S, true },
};

Test(client, may_resume_where_it_could_come_again)
{
	struct standing first;

	client_rig_write_list("theirs.crl",
	    &(struct crl_wish){ .issuer = &rig.other_ca, .to = RIG_END });
	stand(&first, &(struct rule){ OPTIONAL }, 1);
	for (size_t i = 0; i < ARRAY_LEN(returns); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct guest guest = { .v = v,
				.pair = returns[i].with_client ? &rig.client
							       : NULL };
			struct standing now;

			stand(&now, &returns[i].rule, 1);
			cr_assert_eq(guest_come(&guest, first.server), IO_DONE);
			cr_expect_eq(
			    client_may_resume(tls_server_site(now.server, 0),
				SSL_get_session(guest.link.server.ssl),
				returns[i].good_until, returns[i].now_s),
			    returns[i].expect, "%s, %s", returns[i].what,
			    link_versions[v].what);
			guest_go(&guest);
			fall(&now);
		}
	fall(&first);
}

/* ---- the last look ---- */

static const struct last {
	const char *what;
	struct rule before; /* it came in by this one */
	struct rule now;
	bool with_client;
	bool expect_full;
	bool expect_resumed;
} lasts[] = {
	{ "nothing asked", { NONE }, { NONE }, false, true, true },
	{ "required", { REQUIRE }, { REQUIRE }, true, true, true },
	{ "optional", { OPTIONAL }, { OPTIONAL }, true, true, true },
	{ "optional, not there", { OPTIONAL }, { OPTIONAL }, false, true,
	    true },
	{ "none, then require", { NONE }, { REQUIRE }, false, false, false },
	{ "none, then require, with one", { NONE }, { REQUIRE }, true, false,
	    false },
	{ "none, then optional", { NONE }, { OPTIONAL }, false, true, true },
	{ "optional, then require", { OPTIONAL }, { REQUIRE }, false, false,
	    false },
	{ "optional, then require, with one", { OPTIONAL }, { REQUIRE }, true,
	    true, true },
	{ "allowed", { REQUIRE }, { REQUIRE, .allow = "client.example" }, true,
	    true, true },
	{ "not allowed", { REQUIRE }, { REQUIRE, .allow = "else.example" },
	    true, false, false },
	{ "not allowed by CN", { OPTIONAL }, { OPTIONAL, .cn = "else" }, true,
	    false, false },
	{ "a list that lasts", { REQUIRE }, { REQUIRE, .crl = "empty.crl" },
	    true, true, true },
	/* in a full handshake OpenSSL has seen to that */
	{ "a list that ended", { REQUIRE }, { REQUIRE, .crl = "ended.crl" },
	    true, true, false },
	{ "a list that ended, not there", { OPTIONAL },
	    { OPTIONAL, .crl = "ended.crl" }, false, true, true },
};

static void
check_last(const struct last *row, size_t v)
{
	struct standing before, now;
	const struct tls_site *site;
	struct guest guest = { .v = v,
		.pair = row->with_client ? &rig.client : NULL };

	stand(&before, &row->before, 1);
	stand(&now, &row->now, 1);
	site = tls_server_site(now.server, 0);
	cr_assert_eq(guest_come(&guest, before.server), IO_DONE);
	cr_expect_eq(client_is_admitted(site, guest.link.server.ssl),
	    row->expect_full, "%s, %s: full", row->what, link_versions[v].what);
	guest_keep_session(&guest);
	guest_go(&guest);
	cr_assert_eq(guest_come(&guest, before.server), IO_DONE);
	cr_assert(SSL_session_reused(guest.link.server.ssl));
	cr_expect_eq(client_is_admitted(site, guest.link.server.ssl),
	    row->expect_resumed, "%s, %s: resumed", row->what,
	    link_versions[v].what);
	guest_go(&guest);
	guest_forget(&guest);
	fall(&before);
	fall(&now);
}

Test(client, is_admitted_by_the_policy_of_now)
{
	client_rig_write_list("ended.crl",
	    &(struct crl_wish){ .issuer = &rig.ca, .to = "20210101000000Z" });
	for (size_t i = 0; i < ARRAY_LEN(lasts); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			check_last(&lasts[i], v);
}

Test(client, is_not_admitted_when_it_was_not_verified)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct guest guest = { .v = v, .pair = &rig.client };
		struct standing standing;
		const struct tls_site *site;

		stand(&standing, &(struct rule){ OPTIONAL }, 1);
		site = tls_server_site(standing.server, 0);
		cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
		cr_expect(client_is_admitted(site, guest.link.server.ssl));
		SSL_set_verify_result(
		    guest.link.server.ssl, X509_V_ERR_CERT_REVOKED);
		cr_expect_not(client_is_admitted(site, guest.link.server.ssl));
		guest_go(&guest);
		fall(&standing);
	}
}

/* The clock of tickets stands in 2020 and lets the session pass; only the last
 * look sees that its certificate ended in 2021. */
Test(client, is_turned_away_after_a_resumption_that_should_not_have_been)
{
	struct pki ended = pki_make(&(struct pki_wish){
	    .name = "client", .issuer = &rig.ca, .to = "20210101000000Z" });
	const struct pki *pairs[] = { &ended, &rig.client };

	rig.now_ms = GUEST_2020_S * 1000;
	for (size_t i = 0; i < 2; i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct guest guest = {
				.v = v, .pair = pairs[i], .in_2020 = true
			};
			struct standing standing;
			enum io io;

			stand(&standing, &(struct rule){ REQUIRE }, 1);
			cr_assert_eq(
			    guest_come(&guest, standing.server), IO_DONE);
			guest_keep_session(&guest);
			guest_go(&guest);
			io = guest_come(&guest, standing.server);
			cr_assert(SSL_session_reused(guest.link.server.ssl));
			cr_expect_eq(io, i == 0 ? IO_FAILED : IO_DONE, "%s",
			    link_versions[v].what);
			guest_go(&guest);
			guest_forget(&guest);
			fall(&standing);
		}
	pki_drop(&ended);
}
