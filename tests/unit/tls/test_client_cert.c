/*
 * Client certificates: which are accepted in a full handshake and after a
 * resumption, until when, the allow rules with the neighbour of each row that
 * must not match, the last check of a handshake, and the facts for the log.
 */
#include "tls/client_cert.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/support/link.h"
#include "tests/support/pki.h"
#include "tests/unit/tls/client_fixture.h"
#include "tls/stream_tls.h"

TestSuite(client_cert, .init = fixture_open, .fini = fixture_close);

/* ---- Full handshakes ---- */

static const struct {
	const char *what;
	struct policy_row rule;
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
check_first(size_t i, struct open_client *opened)
{
	const char *version = link_versions[opened->v].what;
	struct policy_server policy_server;
	enum io io;
	long result;

	policy_server_open(&policy_server, &firsts[i].rule, 1);
	io = open_client_connect(opened, policy_server.server);
	result = SSL_get_verify_result(opened->link.server.ssl);
	cr_expect_eq(io == IO_DONE, firsts[i].expect == X509_V_OK, "%s, %s",
	    firsts[i].what, version);
	cr_expect_eq(result, firsts[i].expect, "%s, %s: %ld", firsts[i].what,
	    version, result);
	cr_expect_eq(open_client_got_alert(opened), io != IO_DONE,
	    "%s, %s: alert", firsts[i].what, version);
	open_client_close(opened);
	policy_server_close(&policy_server);
}

Test(client_cert, is_accepted_if_verified_and_allowed)
{
	struct pki mid = pki_make(&(struct pki_wish){
	    .name = "mid", .issuer = &fixture.ca, .ca = true });
	struct pki far = pki_make(
	    &(struct pki_wish){ .name = "client", .issuer = &mid });

	fixture_write_ca("client.pem", &fixture.client);
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct open_client opened = { .v = v,
				.pair = &fixture.client };

			if (firsts[i].mid) {
				opened.pair = &far;
				opened.along = &mid;
			}
			check_first(i, &opened);
		}
	pki_drop(&mid);
	pki_drop(&far);
}

#define END_TEXT "20400101000000Z" /* FIXTURE_END_S */

/* ---- Resumption ---- */

enum { NOW_S = 1800000000 };

static const struct {
	const char *what;
	struct policy_row rule; /* of the site that resumes it */
	bool with_client;
	int64_t valid_until;
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
	    INT64_MAX, FIXTURE_END_S - 1, true },
	{ "when the list ends", { REQUIRE, .crl = "brief.crl" }, true,
	    INT64_MAX, FIXTURE_END_S, false },
	{ "when the list of another ends", { REQUIRE, .crl = "theirs.crl" },
	    true, INT64_MAX, FIXTURE_END_S, true },
	{ "when the list ends, optional", { OPTIONAL, .crl = "brief.crl" },
	    true, INT64_MAX, FIXTURE_END_S, false },
	{ "when the list ends, not there", { OPTIONAL, .crl = "brief.crl" },
	    false, INT64_MAX, FIXTURE_END_S, true },
};

Test(client_cert, may_resume_where_a_full_handshake_would_succeed)
{
	struct policy_server first;

	fixture_write_crl("theirs.crl",
	    &(struct crl_wish){ .issuer = &fixture.other_ca, .to = END_TEXT });
	policy_server_open(&first, &(struct policy_row){ OPTIONAL }, 1);
	for (size_t i = 0; i < ARRAY_LEN(returns); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct open_client opened = { .v = v,
				.pair = returns[i].with_client ? &fixture.client
							       : NULL };
			struct policy_server now;

			policy_server_open(&now, &returns[i].rule, 1);
			cr_assert_eq(open_client_connect(&opened, first.server),
			    IO_DONE);
			cr_expect_eq(
			    client_cert_may_resume(
				tls_server_site(now.server, 0),
				SSL_get_session(opened.link.server.ssl),
				returns[i].valid_until, returns[i].now_s),
			    returns[i].expect, "%s, %s", returns[i].what,
			    link_versions[v].what);
			open_client_close(&opened);
			policy_server_close(&now);
		}
	policy_server_close(&first);
}

/* ---- The last check ---- */

static const struct last {
	const char *what;
	struct policy_row before; /* it came in by this one */
	struct policy_row now;
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
	struct policy_server before, now;
	const struct tls_site *site;
	struct open_client opened = { .v = v,
		.pair = row->with_client ? &fixture.client : NULL };

	policy_server_open(&before, &row->before, 1);
	policy_server_open(&now, &row->now, 1);
	site = tls_server_site(now.server, 0);
	cr_assert_eq(open_client_connect(&opened, before.server), IO_DONE);
	cr_expect_eq(client_cert_is_admitted(site, opened.link.server.ssl),
	    row->expect_full, "%s, %s: full", row->what, link_versions[v].what);
	open_client_keep_session(&opened);
	open_client_close(&opened);
	cr_assert_eq(open_client_connect(&opened, before.server), IO_DONE);
	cr_assert(SSL_session_reused(opened.link.server.ssl));
	cr_expect_eq(client_cert_is_admitted(site, opened.link.server.ssl),
	    row->expect_resumed, "%s, %s: resumed", row->what,
	    link_versions[v].what);
	open_client_close(&opened);
	open_client_drop_session(&opened);
	policy_server_close(&before);
	policy_server_close(&now);
}

Test(client_cert, is_admitted_by_the_current_settings)
{
	fixture_write_crl(
	    "ended.crl", &(struct crl_wish){
			     .issuer = &fixture.ca, .to = "20210101000000Z" });
	for (size_t i = 0; i < ARRAY_LEN(lasts); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			check_last(&lasts[i], v);
}

Test(client_cert, is_not_admitted_unverified)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct open_client opened = { .v = v, .pair = &fixture.client };
		struct policy_server policy_server;
		const struct tls_site *site;

		policy_server_open(
		    &policy_server, &(struct policy_row){ OPTIONAL }, 1);
		site = tls_server_site(policy_server.server, 0);
		cr_assert_eq(open_client_connect(&opened, policy_server.server),
		    IO_DONE);
		cr_expect(
		    client_cert_is_admitted(site, opened.link.server.ssl));
		SSL_set_verify_result(
		    opened.link.server.ssl, X509_V_ERR_CERT_REVOKED);
		cr_expect_not(
		    client_cert_is_admitted(site, opened.link.server.ssl));
		open_client_close(&opened);
		policy_server_close(&policy_server);
	}
}

/* The clock of tickets stands in 2020 and lets the session pass; only the last
 * look sees that its certificate ended in 2021. */
Test(client_cert, is_refused_after_an_invalid_resumption)
{
	struct pki ended = pki_make(&(struct pki_wish){
	    .name = "client", .issuer = &fixture.ca, .to = "20210101000000Z" });
	const struct pki *pairs[] = { &ended, &fixture.client };

	fixture.now_ms = CLIENT_2020_S * 1000;
	for (size_t i = 0; i < 2; i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct open_client opened = {
				.v = v, .pair = pairs[i], .in_2020 = true
			};
			struct policy_server policy_server;
			enum io io;

			policy_server_open(
			    &policy_server, &(struct policy_row){ REQUIRE }, 1);
			cr_assert_eq(
			    open_client_connect(&opened, policy_server.server),
			    IO_DONE);
			open_client_keep_session(&opened);
			open_client_close(&opened);
			io = open_client_connect(&opened, policy_server.server);
			cr_assert(SSL_session_reused(opened.link.server.ssl));
			cr_expect_eq(io, i == 0 ? IO_FAILED : IO_DONE, "%s",
			    link_versions[v].what);
			open_client_close(&opened);
			open_client_drop_session(&opened);
			policy_server_close(&policy_server);
		}
	pki_drop(&ended);
}

/* ---- Until when ---- */

TestSuite(client_until, .init = fixture_open, .fini = fixture_close);

#define END_2030 "20300101000000Z"
#define END_2040 "20400101000000Z"
enum { S_2030 = 1893456000 };

/* A root, an intermediate and a client, and the lists of the first two. */
struct family {
	struct pki root, mid, leaf;
};

/* Ends; NULL: 2099. */
struct ends {
	const char *root, *mid, *leaf;
};

static struct pki
make(const char *name, const struct pki *issuer, const char *to)
{
	return pki_make(&(struct pki_wish){
	    .name = name, .issuer = issuer, .ca = true, .to = to });
}

static void
make_family(struct family *family, const struct ends *ends)
{
	family->root = make("CA", NULL, ends->root);
	family->mid = make("mid", &family->root, ends->mid);
	family->leaf = make("leaf", &family->mid, ends->leaf);
	fixture_write_ca("chain.pem", &family->root);
}

static void
write_lists(const struct family *family, const struct ends *ends)
{
	char *root = crl_pem(
	    &(struct crl_wish){ .issuer = &family->root, .to = ends->root });
	char *mid = crl_pem(
	    &(struct crl_wish){ .issuer = &family->mid, .to = ends->mid });
	char *both = pki_join(root, mid);

	free(pki_write(&fixture.folder, "chain.crl", both));
	free(root);
	free(mid);
	free(both);
}

static void
drop(struct family *family)
{
	pki_drop(&family->root);
	pki_drop(&family->mid);
	pki_drop(&family->leaf);
}

static int64_t
until(const struct family *family, const struct policy_row *rule, size_t v)
{
	struct open_client opened = {
		.v = v, .pair = &family->leaf, .along = &family->mid
	};
	struct policy_server policy_server;
	int64_t result;

	policy_server_open(&policy_server, rule, 1);
	cr_assert_eq(
	    open_client_connect(&opened, policy_server.server), IO_DONE);
	result = client_cert_valid_until(opened.link.server.ssl);
	open_client_close(&opened);
	policy_server_close(&policy_server);
	return result;
}

static const struct {
	const char *what;
	struct ends ends;
	int64_t expect;
} chains[] = {
	{ "the client's own", { END_2040, END_2040, END_2030 }, S_2030 },
	{ "the intermediate's", { END_2040, END_2030, END_2040 }, S_2030 },
	{ "the root's", { END_2030, END_2040, END_2040 }, S_2030 },
	{ "all one", { END_2040, END_2040, END_2040 }, FIXTURE_END_S },
};

Test(client_until, is_the_first_end_of_a_certificate_in_the_chain)
{
	const struct policy_row rule = { REQUIRE, .ca = "chain.pem" };
	struct family family;

	for (size_t i = 0; i < ARRAY_LEN(chains); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			make_family(&family, &chains[i].ends);
			cr_expect_eq(until(&family, &rule, v), chains[i].expect,
			    "%s, %s", chains[i].what, link_versions[v].what);
			drop(&family);
		}
}

static const struct {
	const char *what;
	struct ends ends; /* of lists */
	bool chain;
	int64_t expect;
} lists[] = {
	{ "leaf: its issuer's", { END_2040, END_2030, NULL }, false, S_2030 },
	{ "leaf: not the root's", { END_2030, END_2040, NULL }, false,
	    FIXTURE_END_S },
	{ "chain: its issuer's", { END_2040, END_2030, NULL }, true, S_2030 },
	{ "chain: the root's", { END_2030, END_2040, NULL }, true, S_2030 },
};

Test(client_until, is_the_first_end_of_a_crl_that_was_used)
{
	struct family family;

	make_family(&family, &(struct ends){ NULL, NULL, NULL });
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			const struct policy_row rule = { REQUIRE,
				.ca = "chain.pem", .crl = "chain.crl",
				.chain = lists[i].chain };

			write_lists(&family, &lists[i].ends);
			cr_expect_eq(until(&family, &rule, v), lists[i].expect,
			    "%s, %s", lists[i].what, link_versions[v].what);
		}
	drop(&family);
}

Test(client_until, is_unlimited_without_a_certificate)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct open_client opened = { .v = v };
		struct policy_server policy_server;

		policy_server_open(
		    &policy_server, &(struct policy_row){ OPTIONAL }, 1);
		cr_assert_eq(open_client_connect(&opened, policy_server.server),
		    IO_DONE);
		cr_expect_eq(
		    client_cert_valid_until(opened.link.server.ssl), INT64_MAX);
		open_client_close(&opened);
		policy_server_close(&policy_server);
	}
}

/* ---- The last check of a handshake ---- */

static struct config_listener config;
static struct ticket_keys *keys;
static struct tls_server *server;

/* The contexts request no certificate, whatever is set later. */
static void
set_up(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	server = link_server(&config, PKI_P256, keys);
}

static void
tear_down(void)
{
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(client_admission, .init = set_up, .fini = tear_down);

static void
open_version(struct link *link, size_t v)
{
	link_open_tls(link, LINK_STREAM, server);
	SSL_set_max_proto_version(link->client, link_versions[v].version);
}

Test(client_admission, is_the_last_step_of_a_handshake)
{
	static const struct {
		enum config_verify given;
		enum io expect;
	} rows[] = {
		{ VERIFY_NONE, IO_DONE },
		{ VERIFY_OPTIONAL, IO_DONE },
		{ VERIFY_REQUIRE, IO_FAILED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) * LINK_VERSIONS; i++) {
		struct link link;

		config.verify = rows[i / 2].given;
		open_version(&link, i % 2);
		cr_expect_eq(link_handshake(&link, NULL), rows[i / 2].expect,
		    "row %zu, %s", i / 2, link_versions[i % 2].what);
		link_close(&link);
	}
}

Test(client_admission, refused_leaves_nothing_to_read_or_write)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		const char *what = link_versions[v].what;
		struct link link;
		char text[16];

		config.verify = VERIFY_REQUIRE;
		open_version(&link, v);
		cr_expect_eq(link_handshake(&link, NULL), IO_FAILED);
		(void)link_say(&link, "question");
		cr_expect_eq(link_receive(&link, text, sizeof(text)), IO_FAILED,
		    "%s", what);
		cr_expect_eq(link_answer(&link, "answer"), IO_FAILED);
		cr_expect_eq(link_hear(&link, text, sizeof(text)), 0);
		cr_expect_null(link.session, "%s: a ticket", what);
		link_close(&link);
	}
}

Test(client_admission, refused_has_an_error_text)
{
	struct link link;
	char text[128];

	config.verify = VERIFY_REQUIRE;
	open_version(&link, 0);
	cr_expect_eq(link_handshake(&link, NULL), IO_FAILED);
	cr_expect_eq(link.server.error, STREAM_HANDSHAKE);
	stream_error_text(&link.server, text, sizeof(text));
	cr_expect_not_null(strstr(text, "resumed session refused"), "%s", text);
	link_close(&link);
}

/* ---- Facts ---- */

TestSuite(client_cert_facts, .init = fixture_open, .fini = fixture_close);

static void
expect_facts(struct open_client *opened, const struct client_cert_facts *expect)
{
	struct client_cert_facts facts;
	char name[16];
	uint8_t der[4096];
	size_t len;

	client_cert_facts(opened->link.server.ssl, &facts);
	cr_expect_eq(facts.presented, expect->presented);
	cr_expect_eq(facts.in_session, expect->in_session);
	cr_expect_eq(facts.verify_result, expect->verify_result);
	client_cert_common_name(opened->link.server.ssl, name, sizeof(name));
	cr_expect_str_eq(name, expect->in_session ? "client" : "");
	len = client_cert_der(opened->link.server.ssl, der, sizeof(der));
	cr_expect_eq(len > 0, expect->in_session);
	cr_expect_eq(ERR_peek_error(), 0);
}

static const struct {
	const char *what;
	struct policy_row rule;
	bool with_client;
	struct client_cert_facts first, then; /* resumed */
} facts_rows[] = {
	{ "nobody asks", { NONE }, true, { false, false, X509_V_OK },
	    { false, false, X509_V_OK } },
	{ "required", { REQUIRE }, true, { true, true, X509_V_OK },
	    { false, true, X509_V_OK } },
	{ "optional, without", { OPTIONAL }, false, { false, false, X509_V_OK },
	    { false, false, X509_V_OK } },
};

Test(client_cert_facts, distinguish_connection_and_session)
{
	for (size_t i = 0; i < ARRAY_LEN(facts_rows); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct open_client opened = { .v = v,
				.pair = facts_rows[i].with_client
					    ? &fixture.client
					    : NULL };
			struct policy_server policy_server;

			policy_server_open(
			    &policy_server, &facts_rows[i].rule, 1);
			cr_assert_eq(
			    open_client_connect(&opened, policy_server.server),
			    IO_DONE);
			expect_facts(&opened, &facts_rows[i].first);
			open_client_keep_session(&opened);
			open_client_close(&opened);
			cr_assert_eq(
			    open_client_connect(&opened, policy_server.server),
			    IO_DONE);
			expect_facts(&opened, &facts_rows[i].then);
			open_client_close(&opened);
			open_client_drop_session(&opened);
			policy_server_close(&policy_server);
		}
}

Test(client_cert_facts, contain_the_certificate_if_there_is_room)
{
	struct open_client opened = { .v = 1, .pair = &fixture.client };
	struct policy_server policy_server;
	unsigned char *expect = NULL;
	int len = i2d_X509(fixture.client.certificate, &expect);
	uint8_t der[4096];
	SSL *ssl;

	policy_server_open(&policy_server, &(struct policy_row){ REQUIRE }, 1);
	cr_assert_eq(
	    open_client_connect(&opened, policy_server.server), IO_DONE);
	ssl = opened.link.server.ssl;
	cr_assert_eq(client_cert_der(ssl, der, sizeof(der)), (size_t)len);
	cr_expect_arr_eq(der, expect, (size_t)len);
	cr_expect_eq(client_cert_der(ssl, der, (size_t)len), (size_t)len);
	cr_expect_eq(client_cert_der(ssl, der, (size_t)len - 1), 0);
	open_client_close(&opened);
	policy_server_close(&policy_server);
	OPENSSL_free(expect);
}

static struct pki
named(const char *name, int len)
{
	struct pki made = pki_make(&(struct pki_wish){ .issuer = &fixture.ca });

	cr_assert(X509_NAME_add_entry_by_NID(
	    X509_get_subject_name(made.certificate), NID_commonName,
	    V_ASN1_UTF8STRING, (const unsigned char *)name, len, -1, 0));
	cr_assert(
	    X509_sign(made.certificate, fixture.ca.key, EVP_sha256()) > 0);
	return made;
}

static const struct {
	const char *what;
	const char *name;
	int len;
	const char *expect;
} name_rows[] = {
	{ "short", "robot", 5, "robot" },
	{ "as long as there is room", "0123456789abcde", 15,
	    "0123456789abcde" },
	{ "longer", "0123456789abcdef", 16, "0123456789abcde" },
	{ "with a NUL", "root\0.example", 13, "" },
	{ "with a line", "a\nb", 3, "a\nb" },
};

Test(client_cert_facts, return_the_common_name)
{
	struct policy_server policy_server;
	char name[16];

	policy_server_open(&policy_server, &(struct policy_row){ REQUIRE }, 1);
	for (size_t i = 0; i < ARRAY_LEN(name_rows); i++) {
		struct pki pair = named(name_rows[i].name, name_rows[i].len);
		struct open_client opened = { .v = i % LINK_VERSIONS,
			.pair = &pair };

		cr_assert_eq(open_client_connect(&opened, policy_server.server),
		    IO_DONE);
		client_cert_common_name(
		    opened.link.server.ssl, name, sizeof(name));
		cr_expect_str_eq(
		    name, name_rows[i].expect, "%s", name_rows[i].what);
		open_client_close(&opened);
		pki_drop(&pair);
	}
	policy_server_close(&policy_server);
}

/* ---- The allow rules ---- */

struct row {
	const char *what;
	const char *allow; /* allow_san, or allow_cn */
	const char *given; /* SANs, or the common name; NULL: none */
	bool expect;
};

static struct config_strings
list_of(char **item)
{
	return (struct config_strings){ item, *item != NULL };
}

static void
expect_match(const struct row *row, const struct config_listener *settings,
    const struct pki_wish *wish)
{
	struct pki made = pki_make(wish);

	cr_expect_eq(client_cert_is_allowed(settings, made.certificate),
	    row->expect, "%s: %s and %s", row->what, row->allow,
	    row->given ? row->given : "nothing");
	cr_expect_eq(ERR_peek_error(), 0, "%s: an error is left", row->what);
	pki_drop(&made);
}

static void
walk_sans(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[128], *item = text;
		struct config_listener settings = { .allow_san = list_of(
							&item) };

		strcpy(text, rows[i].allow);
		expect_match(&rows[i], &settings,
		    &(struct pki_wish){
			.name = "a.example", .san = rows[i].given });
	}
}

static const struct row hosts[] = {
	{ "a bare word", "a.example", "DNS:a.example", true },
	{ "another", "a.example", "DNS:b.example", false },
	{ "with its prefix", "dns:a.example", "DNS:a.example", true },
	{ "prefix in capitals", "DNS:a.example", "DNS:a.example", true },
	{ "no case", "dns:A.exAmple", "DNS:a.eXample", true },
	{ "the root", "dns:a.example.", "DNS:a.example", true },
	{ "the root, in the certificate", "dns:a.example", "DNS:a.example.",
	    false },
	{ "begins alike", "dns:a.example", "DNS:a.example.net", false },
	{ "ends alike", "dns:a.example", "DNS:aa.example", false },
	{ "the second of two", "dns:a.example", "DNS:b.example,DNS:a.example",
	    true },
	{ "neither of two", "dns:a.example", "DNS:b.example,DNS:c.example",
	    false },
	{ "one label", "dns:*.example", "DNS:a.example", true },
	{ "no label", "dns:*.example", "DNS:example", false },
	{ "an empty label", "dns:*.example", "DNS:.example", false },
	{ "two labels", "dns:*.example", "DNS:b.a.example", false },
	{ "a label under two", "dns:*.a.example", "DNS:b.a.example", true },
	{ "another parent", "dns:*.a.example", "DNS:b.c.example", false },
	{ "a longer parent", "dns:*.a.example", "DNS:b.aa.example", false },
	{ "wildcard without case", "dns:*.A.example", "DNS:b.a.EXAMPLE", true },
	{ "a wildcard certificate", "dns:*.example", "DNS:*.example", false },
	{ "a wildcard for a name", "dns:a.example", "DNS:*.example", false },
	{ "an address as a name", "ip:192.0.2.1", "DNS:192.0.2.1", false },
	{ "the common name is no SAN", "dns:a.example", NULL, false },
};

Test(allow, compares_host_names)
{
	walk_sans(hosts, ARRAY_LEN(hosts));
}

static const struct row mails[] = {
	{ "exact", "email:a@x.example", "email:a@x.example", true },
	{ "another", "email:a@x.example", "email:b@x.example", false },
	{ "the domain has no case", "email:a@X.example", "email:a@x.EXAMPLE",
	    true },
	{ "the local part has", "email:a@x.example", "email:A@x.example",
	    false },
	{ "anybody there", "email:*@x.example", "email:b@X.example", true },
	{ "anybody under there", "email:*@x.example", "email:b@y.x.example",
	    false },
	{ "anybody elsewhere", "email:*@x.example", "email:b@y.example",
	    false },
	{ "an @ in quotes", "email:*@x.example",
	    "email:\"a@y.example\"@x.example", true },
	{ "the other way round", "email:*@y.example",
	    "email:\"a@y.example\"@x.example", false },
	{ "a star for a name", "email:a@x.example", "email:*@x.example",
	    false },
	{ "nobody there", "email:*@x.example", "email:@x.example", false },
	{ "no mailbox", "email:*@x.example", "email:x.example", false },
	{ "a host of the name", "dns:x.example", "email:a@x.example", false },
	{ "a URI of the name", "email:a@x.example", "URI:a@x.example", false },
};

Test(allow, compares_mailboxes)
{
	walk_sans(mails, ARRAY_LEN(mails));
}

static const struct row uris[] = {
	{ "exact", "uri:spiffe://x.example/a", "URI:spiffe://x.example/a",
	    true },
	{ "case", "uri:spiffe://x.example/a", "URI:spiffe://x.example/A",
	    false },
	{ "longer", "uri:spiffe://x.example/a", "URI:spiffe://x.example/ab",
	    false },
	{ "more than a segment", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/a/b", false },
	{ "a query", "uri:https://x.example/a*", "URI:https://x.example/ab?c",
	    false },
	{ "no end of a host name", "uri:https://x.example*",
	    "URI:https://x.example.net/", false },
	{ "a prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/a", true },
	{ "a prefix alone", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/", false },
	{ "less than the prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns", false },
	{ "another prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://y.example/ns/a", false },
	{ "a star in the certificate", "uri:spiffe://x.example/a",
	    "URI:spiffe://x.example/*", false },
	{ "a segment within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod/sa/web", true },
	{ "another end", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod/sa/webx", false },
	{ "two segments within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/a/b/sa/web", false },
	{ "no segment within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns//sa/web", false },
	{ "the end is missing", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod", false },
	{ "two stars", "uri:spiffe://x.example/*/a/*",
	    "URI:spiffe://x.example/ns/a/b", true },
	{ "the whole domain", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/ns/prod/sa/web", true },
	{ "one segment of it", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/a", true },
	{ "the domain itself", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example", false },
	{ "nothing in it", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/", false },
	{ "another domain", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example.net/a", false },
	{ "a query behind it", "uri:https://x.example/**",
	    "URI:https://x.example/a/b?c", false },
	{ "a part and the rest", "uri:spiffe://x.example/*/sa/**",
	    "URI:spiffe://x.example/ns/sa/web/1", true },
	{ "no host by **", "uri:https:/**", "URI:https://x.example/", false },
	{ "any", "uri:*", "URI:urn:x", true },
	{ "any, but a host", "uri:*", "DNS:x", false },
};

Test(allow, compares_uris)
{
	walk_sans(uris, ARRAY_LEN(uris));
}

static const struct row addresses[] = {
	{ "IPv4", "ip:192.0.2.1", "IP:192.0.2.1", true },
	{ "another", "ip:192.0.2.1", "IP:192.0.2.2", false },
	{ "a range", "ip:192.0.2.0/24", "IP:192.0.2.255", true },
	{ "beside it", "ip:192.0.2.0/24", "IP:192.0.3.0", false },
	{ "IPv6 in other words", "ip:2001:db8:0::1", "IP:2001:db8::0:1", true },
	{ "another IPv6", "ip:2001:db8::1", "IP:2001:db8::2", false },
	{ "an IPv6 range", "ip:2001:db8::/32", "IP:2001:db8:ffff::", true },
	{ "beside the IPv6 range", "ip:2001:db8::/32", "IP:2001:db9::", false },
	{ "any IPv4", "ip:0.0.0.0/0", "IP:192.0.2.1", true },
	{ "any IPv4, but IPv6", "ip:0.0.0.0/0", "IP:2001:db8::1", false },
	{ "mapped", "ip:192.0.2.1", "IP:::ffff:192.0.2.1", true },
	{ "any IPv6, but IPv4", "ip:::/0", "IP:192.0.2.1", false },
	{ "its text as a host", "dns:192.0.2.1", "IP:192.0.2.1", false },
};

Test(allow, compares_addresses)
{
	walk_sans(addresses, ARRAY_LEN(addresses));
}

static const struct row commons[] = {
	{ "exact", "robot 7", "robot 7", true },
	{ "another", "robot 7", "robot 8", false },
	{ "begins alike", "robot 7", "robot 77", false },
	{ "no case", "Robot 7", "rOBOT 7", true },
	{ "one label", "*.example", "a.example", true },
	{ "no label", "*.example", "example", false },
	{ "two labels", "*.example", "b.a.example", false },
	{ "no kind of SAN", "dns:a.example", "a.example", false },
	{ "a wildcard", "*.example", "*.example", false },
	{ "the root", "a.example.", "a.example", false },
	{ "none", "a.example", NULL, false },
};

Test(allow, compares_common_names)
{
	for (size_t i = 0; i < ARRAY_LEN(commons); i++) {
		char text[128], *item = text;
		struct config_listener settings = { .allow_cn = list_of(
							&item) };

		strcpy(text, commons[i].allow);
		expect_match(&commons[i], &settings,
		    &(struct pki_wish){
			.name = commons[i].given, .san = "DNS:a.example" });
	}
}

/* ---- Malformed names ---- */

static X509 *
with_san(int type, const char *bytes, int len)
{
	X509 *certificate = X509_new();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	cr_assert(certificate && names && name && string);
	cr_assert(ASN1_STRING_set(string, bytes, len));
	GENERAL_NAME_set0_value(name, type, string);
	cr_assert(sk_GENERAL_NAME_push(names, name));
	cr_assert(X509_add1_ext_i2d(
		      certificate, NID_subject_alt_name, names, 0, 0) == 1);
	GENERAL_NAMES_free(names);
	return certificate;
}

static const struct {
	const char *what;
	const char *allow;
	int type;
	const char *bytes;
	int len;
	bool expect;
} hostile[] = {
	{ "a host", "a.example", GEN_DNS, "a.example", 9, true },
	{ "a NUL behind it", "a.example", GEN_DNS, "a.example\0", 10, false },
	{ "a NUL and more", "a.example", GEN_DNS, "a.example\0.evil", 15,
	    false },
	{ "a NUL under a wildcard", "*.example", GEN_DNS, "\0.example", 9,
	    false },
	{ "a NUL in a mailbox", "email:*@x.example", GEN_EMAIL,
	    "a\0b@x.example", 13, false },
	{ "a mailbox", "email:*@x.example", GEN_EMAIL, "a.b@x.example", 13,
	    true },
	{ "a NUL in a URI", "uri:urn:x*", GEN_URI, "urn:x\0y", 7, false },
	{ "a URI", "uri:urn:x*", GEN_URI, "urn:xyy", 7, true },
	{ "nothing", "uri:*", GEN_URI, "", 0, false },
	{ "an address of three bytes", "ip:0.0.0.0/0", GEN_IPADD, "\xc0\0\x02",
	    3, false },
	{ "an address of four", "ip:0.0.0.0/0", GEN_IPADD, "\xc0\0\x02\x01", 4,
	    true },
	{ "a network of eight", "ip:0.0.0.0/0", GEN_IPADD,
	    "\xc0\0\x02\0\xff\xff\xff\0", 8, false },
};

Test(allow, matches_no_malformed_name)
{
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		X509 *certificate = with_san(
		    hostile[i].type, hostile[i].bytes, hostile[i].len);
		char text[64], *item = text;
		struct config_listener settings = { .allow_san = list_of(
							&item) };

		strcpy(text, hostile[i].allow);
		cr_expect_eq(client_cert_is_allowed(&settings, certificate),
		    hostile[i].expect, "%s", hostile[i].what);
		X509_free(certificate);
	}
}

/* In the middle of a handshake errors must not be left for others. */
Test(allow, leaves_no_openssl_error_of_unreadable_names)
{
	X509 *certificate = X509_new();
	ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;
	char text[] = "*.example", *item = text;
	struct config_listener settings = { .allow_san = list_of(&item) };

	cr_assert(ASN1_OCTET_STRING_set(junk, (const uint8_t *)"\x30\x7f", 2));
	extension = X509_EXTENSION_create_by_NID(
	    NULL, NID_subject_alt_name, 0, junk);
	cr_assert(X509_add_ext(certificate, extension, -1));
	cr_expect_not(client_cert_is_allowed(&settings, certificate));
	cr_expect_eq(ERR_peek_error(), 0);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(junk);
	X509_free(certificate);
}

static const struct {
	const char *what;
	int type;
	const char *first;
	const char *last; /* NULL: only the first */
	int len;          /* of the last one that is there */
	bool expect;
} subjects[] = {
	{ "UTF-8", V_ASN1_UTF8STRING, "root", NULL, 4, true },
	{ "UTF-16", V_ASN1_BMPSTRING, "\0r\0o\0o\0t", NULL, 8, true },
	{ "a NUL and more", V_ASN1_UTF8STRING, "root\0x", NULL, 6, false },
	{ "a NUL behind it", V_ASN1_UTF8STRING, "root\0", NULL, 5, false },
	{ "the last counts", V_ASN1_UTF8STRING, "other", "root", 4, true },
	{ "the first does not", V_ASN1_UTF8STRING, "root", "other", 5, false },
};

Test(allow, uses_the_last_common_name_in_any_alphabet)
{
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		X509 *certificate = X509_new();
		X509_NAME *name = X509_get_subject_name(certificate);
		const char *first = subjects[i].first, *last = subjects[i].last;
		char text[] = "root", *item = text;
		struct config_listener settings = { .allow_cn = list_of(
							&item) };

		cr_assert(X509_NAME_add_entry_by_NID(name, NID_commonName,
		    subjects[i].type, (const unsigned char *)first,
		    last ? (int)strlen(first) : subjects[i].len, -1, 0));
		cr_assert(last == NULL ||
			  X509_NAME_add_entry_by_NID(name, NID_commonName,
			      subjects[i].type, (const unsigned char *)last,
			      subjects[i].len, -1, 0));
		cr_expect_eq(client_cert_is_allowed(&settings, certificate),
		    subjects[i].expect, "%s", subjects[i].what);
		cr_expect_eq(ERR_peek_error(), 0);
		X509_free(certificate);
	}
}

/* ---- Several patterns ---- */

Test(allow, accepts_everything_without_rules)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = NULL });
	struct config_listener settings = { .allow_san = { NULL, 0 } };

	cr_expect(client_cert_is_allowed(&settings, made.certificate));
	pki_drop(&made);
}

Test(allow, accepts_a_match_of_either_key)
{
	static const struct {
		const char *cn, *san;
		bool expect;
	} rows[] = {
		{ "robot", "DNS:x.example", true },
		{ "else", "DNS:b.example", true },
		{ "robot", "DNS:b.example", true },
		{ "else", "DNS:x.example", false },
		{ "a.example", "DNS:robot", false }, /* not crosswise */
	};
	char a[] = "a.example", b[] = "b.example", robot[] = "robot";
	char *sans[] = { a, b }, *cns[] = { robot };
	struct config_listener settings = { .allow_san = { sans, 2 },
		.allow_cn = { cns, 1 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pki made = pki_make(&(struct pki_wish){
		    .name = rows[i].cn, .san = rows[i].san });

		cr_expect_eq(
		    client_cert_is_allowed(&settings, made.certificate),
		    rows[i].expect, "%s, %s", rows[i].cn, rows[i].san);
		pki_drop(&made);
	}
}
