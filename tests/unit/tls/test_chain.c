/* The certificates of a PEM file. */
#include "tls/chain.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "base/err.h"
#include "tests/support/pki.h"

struct fixture {
	struct pki_folder folder;
	struct pki ca, leaf;
	char *ca_pem, *leaf_pem, *key_pem;
	struct chain chain;
	struct err err;
};

static struct fixture fixture;

static void
set_up(void)
{
	const struct pki_wish ca = { .name = "A, \x1b CA", .ca = true };
	struct pki_wish leaf = { .name = "leaf" };

	fixture = (struct fixture){ .chain = { NULL, NULL } };
	pki_folder_make(&fixture.folder);
	fixture.ca = pki_make(&ca);
	leaf.issuer = &fixture.ca;
	fixture.leaf = pki_make(&leaf);
	fixture.ca_pem = pki_certificate_pem(&fixture.ca);
	fixture.leaf_pem = pki_certificate_pem(&fixture.leaf);
	fixture.key_pem = pki_key_pem(&fixture.leaf);
}

static void
tear_down(void)
{
	chain_drop(&fixture.chain);
	free(fixture.ca_pem);
	free(fixture.leaf_pem);
	free(fixture.key_pem);
	pki_drop(&fixture.ca);
	pki_drop(&fixture.leaf);
	pki_folder_remove(&fixture.folder);
}

TestSuite(chain, .init = set_up, .fini = tear_down);

static bool
load(const char *first, const char *second)
{
	char *text = pki_join(first, second);
	char *path = pki_write(&fixture.folder, "site.pem", text);
	bool loaded = chain_load(&fixture.chain, path, &fixture.err);

	free(text);
	free(path);
	return loaded;
}

Test(chain, begins_with_the_leaf)
{
	cr_assert(load(fixture.leaf_pem, fixture.ca_pem));
	cr_assert_eq(X509_cmp(fixture.chain.leaf, fixture.leaf.certificate), 0);
	cr_assert_eq(sk_X509_num(fixture.chain.rest), 1);
	cr_assert_eq(X509_cmp(sk_X509_value(fixture.chain.rest, 0),
			 fixture.ca.certificate),
	    0);
}

Test(chain, passes_over_a_key)
{
	cr_assert(load(fixture.key_pem, fixture.leaf_pem));
	cr_assert_eq(X509_cmp(fixture.chain.leaf, fixture.leaf.certificate), 0);
	cr_assert_eq(sk_X509_num(fixture.chain.rest), 0);
}

static const struct bad_row {
	const char *what, *text, *says;
} bad_rows[] = {
	{ "a key alone", NULL, "holds no certificate" },
	{ "a damaged certificate",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    "certificate 1" },
	{ "no PEM", "hello\n", "site.pem" },
};

Test(chain, names_the_file_that_is_no_good)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		const char *text = bad_rows[i].text;

		cr_assert(!load(text != NULL ? text : fixture.key_pem, ""),
		    "%s", bad_rows[i].what);
		cr_assert_not_null(strstr(fixture.err.text, bad_rows[i].says),
		    "%s: %s", bad_rows[i].what, fixture.err.text);
		chain_drop(&fixture.chain);
	}
}

Test(chain, prints_what_a_terminal_can_bear)
{
	char text[128];

	chain_print_issuer(fixture.leaf.certificate, text, sizeof(text));
	cr_assert_str_eq(text, "CN=A\\, \\1B CA");
	chain_print_issuer(fixture.leaf.certificate, text, 6);
	cr_assert_str_eq(text, "CN=A\\");
	ASN1_INTEGER_set(
	    X509_get_serialNumber(fixture.leaf.certificate), 0x1f2e);
	chain_print_serial(fixture.leaf.certificate, text, sizeof(text));
	cr_assert_str_eq(text, "1F2E");
}
