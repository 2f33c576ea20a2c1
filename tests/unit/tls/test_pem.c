/*
 * PEM files as published (white space behind boundaries and base64, blocks that
 * no reader uses), the chains in them, and certificates that many chains have
 * in common.
 */
#include "tls/pem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"
#include "tests/support/crl.h"
#include "tests/support/pki.h"
#include "tls/ca_store.h"
#include "tls/identity.h"

enum { NOW = 1800000000 };

static struct pki_folder folder;
static struct pki root, site;

static void
set_up(void)
{
	pki_folder_make(&folder);
	root = pki_make(&(struct pki_wish){ .name = "Root", .ca = true });
	site = pki_make(
	    &(struct pki_wish){ .name = "site.example", .issuer = &root });
}

static void
tear_down(void)
{
	pki_drop(&site);
	pki_drop(&root);
	pki_folder_remove(&folder);
}

TestSuite(pem, .init = set_up, .fini = tear_down);

/* The ways in which white space follows a line in published files. */
static const struct {
	const char *what;
	const char *boundary; /* appended to each line of a boundary */
	const char *base64;   /* appended to each other line */
} blanks[] = {
	{ "a blank", " ", "" },
	{ "a tab", "\t", "" },
	{ "blanks and CR LF", "  \r", "\r" },
	{ "blanks after base64", "", "  " },
	{ "all of them", " \t \r", " \t\r" },
};

/* A copy of a PEM text with white space at the end of its lines; frees it. */
static char *
spaced(char *pem, size_t row)
{
	size_t size = 4 * strlen(pem) + 16, at = 0;
	char *text = malloc(size), *rest = pem, *line;

	cr_assert_not_null(text);
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
		at += (size_t)snprintf(text + at, size - at, "%s%s\n", line,
		    line[0] == '-' ? blanks[row].boundary : blanks[row].base64);
	free(pem);
	return text;
}

static char *
joined(char *one, char *two)
{
	char *text = NULL;

	cr_assert_geq(asprintf(&text, "%s%s", one, two), 0);
	free(one);
	free(two);
	return text;
}

/* Writes a text and frees it; the path is the caller's. */
static char *
keep(const char *name, char *text)
{
	char *path = pki_write(&folder, name, text);

	free(text);
	return path;
}

Test(pem, reads_a_chain_and_a_key_with_blanks)
{
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		struct err err = { "" }, warning = { "" };
		char *cert = keep(
		    "cert.pem", joined(pki_certificate_pem(&site),
				    spaced(pki_certificate_pem(&root), i)));
		char *key = keep("key.pem", spaced(pki_key_pem(&site), i));
		struct identity *identity = identity_load(
		    cert, key, KEYS_REFUSE, &warning, &err);

		cr_assert_not_null(
		    identity, "%s: %s", blanks[i].what, err.text);
		cr_expect_eq(sk_X509_num(identity_chain(identity)), 1, "%s",
		    blanks[i].what);
		cr_expect_str_empty(warning.text, "%s", blanks[i].what);
		identity_unref(identity);
		free(cert);
		free(key);
	}
}

Test(pem, reads_cas_and_crls_with_blanks)
{
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		struct err err = { "" }, warning = { "" };
		char *ca = keep(
		    "ca.pem", joined(pki_certificate_pem(&site),
				  spaced(pki_certificate_pem(&root), i)));
		char *lists = keep("list.pem",
		    spaced(crl_pem(&(struct crl_wish){ .issuer = &root }), i));
		struct ca_store *ca_store = ca_store_load(
		    ca, lists, CRL_CHECK_LEAF, NOW, &warning, &err);

		cr_assert_not_null(
		    ca_store, "%s: %s", blanks[i].what, err.text);
		cr_expect_eq(sk_X509_NAME_num(ca_store_names(ca_store)), 2,
		    "%s", blanks[i].what);
		ca_store_unref(ca_store);
		free(ca);
		free(lists);
	}
}

static void
expect_mention(struct identity *identity, const struct err *warning,
    const struct err *err, const char *words)
{
	cr_assert_not_null(identity, "%s: %s", words, err->text);
	cr_expect(strstr(warning->text, words) != NULL, "%s", warning->text);
	identity_unref(identity);
}

Test(pem, warns_of_unused_blocks)
{
	struct err err = { "" }, warning = { "" };
	char *key = keep("key.pem", pki_key_pem(&site));
	char *cert = keep(
	    "cert.pem", joined(pki_certificate_pem(&site),
			    crl_pem(&(struct crl_wish){ .issuer = &root })));

	expect_mention(identity_load(cert, key, KEYS_REFUSE, &warning, &err),
	    &warning, &err, "PEM block 2 (X509 CRL) is not used");
	free(cert);

	cert = keep("cert.pem",
	    joined(pki_certificate_pem(&site),
		joined(strdup("Subject: x "), pki_certificate_pem(&root))));
	expect_mention(identity_load(cert, key, KEYS_REFUSE, &warning, &err),
	    &warning, &err, "text before -----BEGIN");
	free(cert);
	free(key);
}

Test(pem, does_not_warn_of_usual_files)
{
	struct err err = { "" }, warning = { "" };
	char *together = keep("site.pem",
	    joined(pki_certificate_pem(&site),
		joined(strdup("Bag Attributes\n    localKeyID: 01\n"),
		    pki_key_pem(&site))));
	char *cert = keep("cert.pem", pki_certificate_pem(&site));
	struct identity *identity = identity_load(
	    together, NULL, KEYS_REFUSE, &warning, &err);

	cr_assert_not_null(identity, "%s", err.text);
	cr_expect_str_empty(warning.text);
	identity_unref(identity);

	identity = identity_load(cert, together, KEYS_REFUSE, &warning, &err);
	cr_assert_not_null(identity, "%s", err.text);
	cr_expect_str_empty(warning.text);
	identity_unref(identity);
	free(together);
	free(cert);
}

Test(pem, warns_of_unused_blocks_in_a_ca_file)
{
	struct err err = { "" }, warning = { "" };
	char *ca = keep(
	    "ca.pem", joined(pki_certificate_pem(&root),
			  joined(strdup(" "), pki_certificate_pem(&site))));
	struct ca_store *ca_store = ca_store_load(
	    ca, NULL, CRL_CHECK_LEAF, NOW, &warning, &err);

	cr_assert_not_null(ca_store, "%s", err.text);
	cr_expect(strstr(warning.text, "text before -----BEGIN") != NULL, "%s",
	    warning.text);
	ca_store_unref(ca_store);
	free(ca);
}

/* ---- Chains ---- */

struct chain_fixture {
	struct pki_folder folder;
	struct pki ca, leaf;
	char *ca_pem, *leaf_pem, *key_pem;
	struct chain chain;
	struct err err;
};

static struct chain_fixture chain_fixture;

static void
set_up_chain(void)
{
	const struct pki_wish ca = { .name = "A, \x1b CA", .ca = true };
	struct pki_wish leaf = { .name = "leaf" };

	chain_fixture = (struct chain_fixture){ .chain = { NULL, NULL } };
	pki_folder_make(&chain_fixture.folder);
	chain_fixture.ca = pki_make(&ca);
	leaf.issuer = &chain_fixture.ca;
	chain_fixture.leaf = pki_make(&leaf);
	chain_fixture.ca_pem = pki_certificate_pem(&chain_fixture.ca);
	chain_fixture.leaf_pem = pki_certificate_pem(&chain_fixture.leaf);
	chain_fixture.key_pem = pki_key_pem(&chain_fixture.leaf);
}

static void
tear_down_chain(void)
{
	chain_drop(&chain_fixture.chain);
	free(chain_fixture.ca_pem);
	free(chain_fixture.leaf_pem);
	free(chain_fixture.key_pem);
	pki_drop(&chain_fixture.ca);
	pki_drop(&chain_fixture.leaf);
	pki_folder_remove(&chain_fixture.folder);
}

TestSuite(chain, .init = set_up_chain, .fini = tear_down_chain);

static bool
load_chain(const char *first, const char *second)
{
	char *text = pki_join(first, second);
	char *path = pki_write(&chain_fixture.folder, "site.pem", text);
	bool loaded = chain_load(
	    &chain_fixture.chain, path, &chain_fixture.err);

	free(text);
	free(path);
	return loaded;
}

Test(chain, begins_with_the_leaf)
{
	cr_assert(load_chain(chain_fixture.leaf_pem, chain_fixture.ca_pem));
	cr_assert_eq(
	    X509_cmp(chain_fixture.chain.leaf, chain_fixture.leaf.certificate),
	    0);
	cr_assert_eq(sk_X509_num(chain_fixture.chain.rest), 1);
	cr_assert_eq(X509_cmp(sk_X509_value(chain_fixture.chain.rest, 0),
			 chain_fixture.ca.certificate),
	    0);
}

Test(chain, skips_a_key)
{
	cr_assert(load_chain(chain_fixture.key_pem, chain_fixture.leaf_pem));
	cr_assert_eq(
	    X509_cmp(chain_fixture.chain.leaf, chain_fixture.leaf.certificate),
	    0);
	cr_assert_eq(sk_X509_num(chain_fixture.chain.rest), 0);
}

static const struct bad_row {
	const char *what, *text, *says;
} bad_rows[] = {
	{ "a key alone", NULL, "has no certificate" },
	{ "a damaged certificate",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    "certificate 1" },
	{ "no PEM", "hello\n", "site.pem" },
};

Test(chain, reports_the_path_of_a_bad_file)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		const char *text = bad_rows[i].text;

		cr_assert(!load_chain(
			      text != NULL ? text : chain_fixture.key_pem, ""),
		    "%s", bad_rows[i].what);
		cr_assert_not_null(
		    strstr(chain_fixture.err.text, bad_rows[i].says), "%s: %s",
		    bad_rows[i].what, chain_fixture.err.text);
		chain_drop(&chain_fixture.chain);
	}
}

Test(chain, prints_escaped_names)
{
	char text[128];

	chain_print_issuer(chain_fixture.leaf.certificate, text, sizeof(text));
	cr_assert_str_eq(text, "CN=A\\, \\1B CA");
	chain_print_issuer(chain_fixture.leaf.certificate, text, 6);
	cr_assert_str_eq(text, "CN=A\\");
	ASN1_INTEGER_set(
	    X509_get_serialNumber(chain_fixture.leaf.certificate), 0x1f2e);
	chain_print_serial(chain_fixture.leaf.certificate, text, sizeof(text));
	cr_assert_str_eq(text, "1F2E");
}

/* ---- Certificates in common ---- */

struct cache_fixture {
	struct pki a, b;
	unsigned char *a_der, *b_der;
	int a_len, b_len;
	struct chain_cache *cache;
};

static struct cache_fixture cache_fixture;

static void
set_up_cache(void)
{
	cache_fixture = (struct cache_fixture){ .cache = chain_cache_new() };
	/* The same name: only the bytes differ. */
	cache_fixture.a = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	cache_fixture.b = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	cache_fixture.a_len = i2d_X509(
	    cache_fixture.a.certificate, &cache_fixture.a_der);
	cache_fixture.b_len = i2d_X509(
	    cache_fixture.b.certificate, &cache_fixture.b_der);
}

static void
tear_down_cache(void)
{
	chain_cache_free(cache_fixture.cache);
	pki_drop(&cache_fixture.a);
	pki_drop(&cache_fixture.b);
	OPENSSL_free(cache_fixture.a_der);
	OPENSSL_free(cache_fixture.b_der);
}

TestSuite(chain_cache, .init = set_up_cache, .fini = tear_down_cache);

static X509 *
decode(struct chain_cache *cache, const unsigned char *der, int len)
{
	return chain_cache_decode(cache, der, (size_t)len);
}

Test(chain_cache, decodes_equal_bytes_once)
{
	X509 *first = decode(
	    cache_fixture.cache, cache_fixture.a_der, cache_fixture.a_len);
	X509 *second = decode(
	    cache_fixture.cache, cache_fixture.a_der, cache_fixture.a_len);
	X509 *other = decode(
	    cache_fixture.cache, cache_fixture.b_der, cache_fixture.b_len);
	X509 *again = decode(
	    cache_fixture.cache, cache_fixture.b_der, cache_fixture.b_len);

	cr_assert_not_null(first);
	cr_assert_eq(first, second);
	cr_assert_neq(first, other);
	cr_assert_eq(X509_cmp(other, cache_fixture.b.certificate), 0);
	cr_assert_eq(other, again);
	X509_free(first);
	X509_free(second);
	X509_free(other);
	X509_free(again);
}

Test(chain_cache, may_be_absent)
{
	X509 *first = decode(NULL, cache_fixture.a_der, cache_fixture.a_len);
	X509 *second = decode(NULL, cache_fixture.a_der, cache_fixture.a_len);

	cr_assert_neq(first, second);
	cr_assert_eq(X509_cmp(first, second), 0);
	X509_free(first);
	X509_free(second);
	chain_cache_free(NULL);
}

Test(chain_cache, keeps_certificates_alive_after_its_end)
{
	X509 *held = decode(
	    cache_fixture.cache, cache_fixture.a_der, cache_fixture.a_len);

	chain_cache_free(cache_fixture.cache);
	cache_fixture.cache = NULL;
	cr_assert_eq(X509_cmp(held, cache_fixture.a.certificate), 0);
	X509_free(held);
}

Test(chain_cache, caches_nothing_damaged)
{
	for (int cut = 0; cut < cache_fixture.a_len; cut += 100)
		cr_assert_null(
		    decode(cache_fixture.cache, cache_fixture.a_der, cut));
	X509_free(decode(
	    cache_fixture.cache, cache_fixture.a_der, cache_fixture.a_len));
}

Test(chain_cache, returns_an_added_certificate)
{
	X509 *found;

	chain_cache_add(cache_fixture.cache, cache_fixture.a.certificate);
	chain_cache_add(cache_fixture.cache, cache_fixture.a.certificate);
	found = decode(
	    cache_fixture.cache, cache_fixture.a_der, cache_fixture.a_len);
	cr_assert_eq(found, cache_fixture.a.certificate);
	X509_free(found);
	found = decode(
	    cache_fixture.cache, cache_fixture.b_der, cache_fixture.b_len);
	cr_assert_neq(found, cache_fixture.b.certificate);
	X509_free(found);
}
