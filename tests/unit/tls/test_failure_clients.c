/*
 * Clients that are refused for their certificates, and the words for it: which
 * certificate, and what to look at.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/unit/tls/client_rig.h"
#include "tests/unit/tls/resumption_rig.h"

static struct pki ended, early, forged, alone, stranger, server_only, nameless;
static struct pki long_name;

static struct pki
make(const char *from, const char *to, const char *usage)
{
	return pki_make(&(struct pki_wish){ .name = "robot",
	    .issuer = &rig.ca,
	    .from = from,
	    .to = to,
	    .usage = usage });
}

static struct pki
make_long(void)
{
	struct pki made = pki_make(&(struct pki_wish){ .issuer = &rig.ca });
	unsigned char name[100];

	memset(name, 'x', sizeof(name));
	cr_assert(
	    X509_NAME_add_entry_by_NID(X509_get_subject_name(made.certificate),
		NID_commonName, V_ASN1_UTF8STRING, name, sizeof(name), -1, 0));
	cr_assert(X509_sign(made.certificate, rig.ca.key, EVP_sha256()) > 0);
	return made;
}

/* Its issuer has the name of the CA, and another key. */
static struct pki
make_forged(void)
{
	struct pki ca = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	struct pki made = pki_make(
	    &(struct pki_wish){ .name = "robot", .issuer = &ca });

	pki_drop(&ca);
	return made;
}

static void
write_lists(void)
{
	struct pki false_ca = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });

	client_rig_write_list("ended.crl",
	    &(struct crl_wish){ .issuer = &rig.ca, .to = "20210101000000Z" });
	client_rig_write_list("early.crl",
	    &(struct crl_wish){ .issuer = &rig.ca, .from = "20980101000000Z" });
	client_rig_write_list(
	    "other.crl", &(struct crl_wish){ .issuer = &rig.other_ca });
	client_rig_write_list(
	    "forged.crl", &(struct crl_wish){ .issuer = &false_ca });
	pki_drop(&false_ca);
}

static void
set_up(void)
{
	rig_open();
	ended = make(NULL, "20210101000000Z", NULL);
	early = make("20980101000000Z", NULL, NULL);
	server_only = make(NULL, NULL, "serverAuth");
	alone = pki_make(&(struct pki_wish){ .name = "robot" });
	stranger = pki_make(
	    &(struct pki_wish){ .name = "robot", .issuer = &rig.other_ca });
	nameless = pki_make(&(struct pki_wish){ .issuer = &rig.ca });
	forged = make_forged();
	long_name = make_long();
	write_lists();
}

static void
tear_down(void)
{
	struct pki *all[] = { &ended, &early, &forged, &alone, &stranger,
		&server_only, &nameless, &long_name };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		pki_drop(all[i]);
	rig_close();
}

TestSuite(failure_clients, .init = set_up, .fini = tear_down);

#define X16 "xxxxxxxxxxxxxxxx"

static const struct {
	const struct pki *pair;
	struct rule rule;
	const char *expect;
} rows[] = {
	{ NULL, { REQUIRE },
	    "no client certificate was sent, and one is required" },
	{ &ended, { REQUIRE },
	    "client certificate CN=robot: certificate has expired" },
	{ &ended, { OPTIONAL },
	    "client certificate CN=robot: certificate has expired" },
	{ &early, { REQUIRE },
	    "client certificate CN=robot: certificate is not yet valid" },
	{ &forged, { REQUIRE },
	    "client certificate CN=robot: certificate signature failure" },
	{ &server_only, { REQUIRE },
	    "client certificate CN=robot: is not for clients "
	    "(extendedKeyUsage)" },
	{ &alone, { REQUIRE },
	    "client certificate CN=robot: nobody in ca_file vouches for it" },
	{ &rig.client, { REQUIRE, .ca = "other.pem" },
	    "client certificate CN=client: nobody in ca_file vouches for it" },
	{ &stranger, { REQUIRE },
	    "client certificate CN=robot: nobody in ca_file vouches for it" },
	{ &rig.client, { REQUIRE, .crl = "revoked.crl" },
	    "client certificate CN=client: certificate revoked" },
	{ &rig.client, { REQUIRE, .crl = "other.crl" },
	    "client certificate CN=client: there is no revocation list of its "
	    "issuer in crl_file" },
	{ &rig.client, { REQUIRE, .crl = "ended.crl" },
	    "client certificate CN=client: the revocation list of its issuer "
	    "has expired" },
	{ &rig.client, { REQUIRE, .crl = "early.crl" },
	    "client certificate CN=client: the revocation list of its issuer "
	    "is not valid yet" },
	{ &rig.client, { REQUIRE, .crl = "forged.crl" },
	    "client certificate CN=client: the revocation list of its issuer "
	    "is not signed by it" },
	{ &rig.client, { REQUIRE, .allow = "else.example" },
	    "client certificate CN=client: is not allowed by allow_san or "
	    "allow_cn" },
	{ &nameless, { REQUIRE, .cn = "client" },
	    "client certificate: is not allowed by allow_san or allow_cn" },
	{ &long_name, { REQUIRE, .cn = "client" },
	    "client certificate CN=" X16 X16 X16 X16
	    ": is not allowed by allow_san or allow_cn" },
};

Test(failure_clients, says_which_certificate_and_why)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct guest guest = { .v = v, .pair = rows[i].pair };
			struct standing standing;
			char text[256];

			if (rows[i].pair == &stranger)
				guest.along = &rig.other_ca; /* its root */
			stand(&standing, &rows[i].rule, 1);
			cr_expect_eq(
			    guest_come(&guest, standing.server), IO_FAILED);
			cr_expect_eq(
			    guest.link.server.failure, STREAM_HANDSHAKE);
			cr_expect_str_eq(stream_failure_text(&guest.link.server,
					     text, sizeof(text)),
			    rows[i].expect, "%s: %s", link_versions[v].what,
			    text);
			guest_go(&guest);
			fall(&standing);
		}
}

/* See test_client.c: the clock of tickets stands in 2020. */
Test(failure_clients, says_that_a_session_should_not_have_been)
{
	rig.now_ms = GUEST_2020_S * 1000;
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct guest guest = {
			.v = v, .pair = &ended, .in_2020 = true
		};
		struct standing standing;
		char text[256];

		stand(&standing, &(struct rule){ REQUIRE }, 1);
		cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
		guest_keep_session(&guest);
		guest_go(&guest);
		cr_assert_eq(guest_come(&guest, standing.server), IO_FAILED);
		cr_expect_str_eq(
		    stream_failure_text(&guest.link.server, text, sizeof(text)),
		    "client certificate CN=robot: no longer admitted, in a "
		    "resumed session: by verify, allow rules, dates or lists");
		guest_go(&guest);
		guest_forget(&guest);
		fall(&standing);
	}
}
