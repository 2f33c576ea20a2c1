/*
 * What is known of a client afterwards, and what is said of one that was not
 * let in.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/unit/tls/client_rig.h"
#include "tests/unit/tls/resumption_rig.h"
#include "tls/client.h"

TestSuite(client_facts, .init = rig_open, .fini = rig_close);

static void
expect_facts(struct guest *guest, const struct client_facts *expect)
{
	struct client_facts facts;
	char name[16];
	uint8_t der[4096];
	size_t len;

	client_facts(guest->link.server.ssl, &facts);
	cr_expect_eq(facts.presented, expect->presented);
	cr_expect_eq(facts.in_session, expect->in_session);
	cr_expect_eq(facts.verify_result, expect->verify_result);
	client_common_name(guest->link.server.ssl, name, sizeof(name));
	cr_expect_str_eq(name, expect->in_session ? "client" : "");
	len = client_der(guest->link.server.ssl, der, sizeof(der));
	cr_expect_eq(len > 0, expect->in_session);
	cr_expect_eq(ERR_peek_error(), 0);
}

static const struct {
	const char *what;
	struct rule rule;
	bool with_client;
	struct client_facts first, then; /* resumed */
} rows[] = {
	{ "nobody asks", { NONE }, true, { false, false, X509_V_OK },
	    { false, false, X509_V_OK } },
	{ "required", { REQUIRE }, true, { true, true, X509_V_OK },
	    { false, true, X509_V_OK } },
	{ "optional, without", { OPTIONAL }, false, { false, false, X509_V_OK },
	    { false, false, X509_V_OK } },
};

Test(client_facts, tell_this_connection_from_its_session)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct guest guest = { .v = v,
				.pair = rows[i].with_client ? &rig.client
							    : NULL };
			struct standing standing;

			stand(&standing, &rows[i].rule, 1);
			cr_assert_eq(
			    guest_come(&guest, standing.server), IO_DONE);
			expect_facts(&guest, &rows[i].first);
			guest_keep_session(&guest);
			guest_go(&guest);
			cr_assert_eq(
			    guest_come(&guest, standing.server), IO_DONE);
			expect_facts(&guest, &rows[i].then);
			guest_go(&guest);
			guest_forget(&guest);
			fall(&standing);
		}
}

Test(client_facts, hold_the_certificate_if_there_is_room)
{
	struct guest guest = { .v = 1, .pair = &rig.client };
	struct standing standing;
	unsigned char *expect = NULL;
	int len = i2d_X509(rig.client.certificate, &expect);
	uint8_t der[4096];
	SSL *ssl;

	stand(&standing, &(struct rule){ REQUIRE }, 1);
	cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
	ssl = guest.link.server.ssl;
	cr_assert_eq(client_der(ssl, der, sizeof(der)), (size_t)len);
	cr_expect_arr_eq(der, expect, (size_t)len);
	cr_expect_eq(client_der(ssl, der, (size_t)len), (size_t)len);
	cr_expect_eq(client_der(ssl, der, (size_t)len - 1), 0);
	guest_go(&guest);
	fall(&standing);
	OPENSSL_free(expect);
}

static struct pki
named(const char *name, int len)
{
	struct pki made = pki_make(&(struct pki_wish){ .issuer = &rig.ca });

	cr_assert(X509_NAME_add_entry_by_NID(
	    X509_get_subject_name(made.certificate), NID_commonName,
	    V_ASN1_UTF8STRING, (const unsigned char *)name, len, -1, 0));
	cr_assert(X509_sign(made.certificate, rig.ca.key, EVP_sha256()) > 0);
	return made;
}

static const struct {
	const char *what;
	const char *name;
	int len;
	const char *expect;
} names[] = {
	{ "short", "robot", 5, "robot" },
	{ "as long as there is room", "0123456789abcde", 15,
	    "0123456789abcde" },
	{ "longer", "0123456789abcdef", 16, "0123456789abcde" },
	{ "with a NUL", "root\0.example", 13, "" },
	{ "with a line", "a\nb", 3, "a\nb" },
};

Test(client_facts, read_its_name_whole_or_not_at_all)
{
	struct standing standing;
	char name[16];

	stand(&standing, &(struct rule){ REQUIRE }, 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct pki pair = named(names[i].name, names[i].len);
		struct guest guest = { .v = i % LINK_VERSIONS, .pair = &pair };

		cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
		client_common_name(guest.link.server.ssl, name, sizeof(name));
		cr_expect_str_eq(name, names[i].expect, "%s", names[i].what);
		guest_go(&guest);
		pki_drop(&pair);
	}
	fall(&standing);
}
