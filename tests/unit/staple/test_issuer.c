/* Whose certificate signed the leaf, and where it is found. */
#include "staple/cert.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct {
	struct pki ca, leaf;
	struct pki impostor; /* the same name, another key */
	STACK_OF(X509) * chain;
	struct pki_folder folder;
	struct staple_trust trust;
} fixture;

static void
set_up(void)
{
	struct pki_wish authority = { .name = "Authority", .ca = true };

	fixture.ca = pki_make(&authority);
	fixture.impostor = pki_make(&authority);
	fixture.leaf = pki_make(&(struct pki_wish){
	    .issuer = &fixture.ca, .aia = "OCSP;URI:http://a/" });
	fixture.chain = sk_X509_new_null();
	pki_folder_make(&fixture.folder);
	/* The system's store is whatever a test puts here. */
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

static void
tear_down(void)
{
	staple_trust_fini(&fixture.trust);
	sk_X509_free(fixture.chain);
	pki_folder_remove(&fixture.folder);
	pki_drop(&fixture.ca);
	pki_drop(&fixture.impostor);
	pki_drop(&fixture.leaf);
}

TestSuite(issuer, .init = set_up, .fini = tear_down);

/* A file with these certificates (the second may be NULL); free() it. */
static char *
write_certificates(
    const char *name, const struct pki *first, const struct pki *second)
{
	char *a = pki_certificate_pem(first);
	char *b = second != NULL ? pki_certificate_pem(second) : strdup("");
	char *both = pki_join(a, b);
	char *path = pki_write(&fixture.folder, name, both);

	free(a);
	free(b);
	free(both);
	return path;
}

static void
trust_file(const struct pki *first, const struct pki *second)
{
	char *path = write_certificates("ca.pem", first, second);
	struct err err;

	staple_trust_fini(&fixture.trust);
	cr_assert(
	    staple_trust_init(&fixture.trust, path, &err), "%s", err.text);
	free(path);
}

static void
trust_system(const struct pki *first)
{
	char *path = write_certificates("system.pem", first, NULL);
	struct err err;

	setenv("SSL_CERT_FILE", path, 1);
	staple_trust_fini(&fixture.trust);
	cr_assert(
	    staple_trust_init(&fixture.trust, NULL, &err), "%s", err.text);
	free(path);
}

static void
chain_up(const struct pki *one)
{
	cr_assert_gt(sk_X509_push(fixture.chain, one->certificate), 0);
}

static struct staple_cert *
know(const struct pki *leaf)
{
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(
	    leaf->certificate, fixture.chain, NULL, &fixture.trust, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	return cert;
}

/* Finds `issuer` (NULL: nobody) there, and says so. */
static void
expect(const struct pki *issuer, enum staple_origin origin)
{
	struct staple_cert *cert = know(&fixture.leaf);

	cr_expect_eq(cert->origin, origin);
	cr_expect_eq(cert->hindrance,
	    issuer != NULL ? STAPLE_UNASKED : STAPLE_NO_ISSUER);
	cr_expect_eq(cert->issuer != NULL, issuer != NULL);
	if (cert->issuer != NULL && issuer != NULL)
		cr_expect_eq(X509_cmp(cert->issuer, issuer->certificate), 0);
	staple_cert_unref(cert);
}

Test(issuer, is_found_in_the_chain)
{
	chain_up(&fixture.leaf);
	chain_up(&fixture.ca);
	expect(&fixture.ca, STAPLE_ORIGIN_CHAIN);
}

Test(issuer, is_found_in_the_ca_file)
{
	trust_file(&fixture.ca, NULL);
	expect(&fixture.ca, STAPLE_ORIGIN_CA_FILE);
}

Test(issuer, is_found_in_the_system_store)
{
	trust_system(&fixture.ca);
	expect(&fixture.ca, STAPLE_ORIGIN_SYSTEM);
}

Test(issuer, is_taken_from_the_nearest_place)
{
	char *path = write_certificates("system.pem", &fixture.ca, NULL);

	setenv("SSL_CERT_FILE", path, 1);
	free(path);
	trust_file(&fixture.ca, NULL);
	expect(&fixture.ca, STAPLE_ORIGIN_CA_FILE);
	chain_up(&fixture.ca);
	expect(&fixture.ca, STAPLE_ORIGIN_CHAIN);
}

Test(issuer, is_looked_for_in_the_system_store_beside_a_ca_file)
{
	char *path = write_certificates("system.pem", &fixture.ca, NULL);

	setenv("SSL_CERT_FILE", path, 1);
	free(path);
	trust_file(&fixture.impostor, NULL);
	expect(&fixture.ca, STAPLE_ORIGIN_SYSTEM);
}

Test(issuer, is_nobody_when_nobody_is_at_hand)
{
	struct staple_cert *cert = know(&fixture.leaf);

	cr_expect_eq(cert->hindrance, STAPLE_NO_ISSUER);
	cr_expect_str_eq(
	    cert->hint, "its issuer (/CN=Authority) is nowhere to be found");
	staple_cert_unref(cert);
	expect(NULL, STAPLE_ORIGIN_NONE);
}

Test(issuer, is_whoever_signed_and_not_a_namesake)
{
	chain_up(&fixture.impostor);
	expect(NULL, STAPLE_ORIGIN_NONE);
	chain_up(&fixture.ca);
	expect(&fixture.ca, STAPLE_ORIGIN_CHAIN);
}

Test(issuer, is_found_behind_namesakes_in_a_store)
{
	trust_file(&fixture.impostor, NULL);
	expect(NULL, STAPLE_ORIGIN_NONE);
	trust_file(&fixture.impostor, &fixture.ca);
	expect(&fixture.ca, STAPLE_ORIGIN_CA_FILE);
	trust_file(&fixture.ca, &fixture.impostor);
	expect(&fixture.ca, STAPLE_ORIGIN_CA_FILE);
}

Test(issuer, that_is_a_namesake_is_mentioned)
{
	struct staple_cert *cert;

	chain_up(&fixture.impostor);
	cert = know(&fixture.leaf);
	cr_expect_str_eq(cert->hint,
	    "a certificate of its issuer's name (/CN=Authority) is at hand, "
	    "but did not sign it");
	staple_cert_unref(cert);
}

/* The key fits, so only the name says that this is another authority. */
Test(issuer, has_the_name_that_the_leaf_says)
{
	struct pki other = pki_make(
	    &(struct pki_wish){ .name = "Other", .ca = true });

	X509_set_pubkey(other.certificate, fixture.ca.key);
	X509_sign(other.certificate, fixture.ca.key, EVP_sha256());
	chain_up(&other);
	expect(NULL, STAPLE_ORIGIN_NONE);
	pki_drop(&other);
}

/* Name and key fit, but it says itself that it signs no certificates. */
Test(issuer, may_sign_certificates)
{
	X509_EXTENSION *usage = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_key_usage, "critical,digitalSignature");

	X509_add_ext(fixture.ca.certificate, usage, -1);
	X509_sign(fixture.ca.certificate, fixture.ca.key, EVP_sha256());
	X509_EXTENSION_free(usage);
	chain_up(&fixture.ca);
	expect(NULL, STAPLE_ORIGIN_NONE);
}

Test(issuer, of_a_self_signed_certificate_is_nobody)
{
	struct pki self = pki_make(
	    &(struct pki_wish){ .name = "Self", .aia = "OCSP;URI:http://a/" });
	struct staple_cert *cert;

	chain_up(&self);
	trust_file(&self, NULL);
	cert = know(&self);
	cr_expect_null(cert->issuer);
	cr_expect_eq(cert->hindrance, STAPLE_NO_ISSUER);
	cr_expect_not_null(strstr(cert->hint, "self-signed"));
	staple_cert_unref(cert);
	pki_drop(&self);
}

static void
on_free(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long argl,
    void *freed)
{
	(void)parent;
	(void)data;
	(void)all;
	(void)index;
	(void)argl;
	*(bool *)freed = true;
}

Test(issuer, does_not_keep_a_leaf_whose_last_holder_lets_go)
{
	static bool freed; /* the index outlives the test */

	cr_assert_geq(X509_get_ex_new_index(0, &freed, NULL, NULL, on_free), 0);
	for (int i = 0; i < 2; i++) {
		struct pki leaf = pki_make(&(struct pki_wish){
		    .name = "L", .issuer = i == 0 ? &fixture.ca : NULL });
		struct staple_cert *cert;

		sk_X509_zero(fixture.chain);
		chain_up(&leaf);
		chain_up(&fixture.ca);
		cert = know(&leaf);
		sk_X509_zero(fixture.chain);
		freed = false;
		pki_drop(&leaf);
		cr_expect(freed, "%s", i == 0 ? "issued" : "self-signed");
		staple_cert_unref(cert);
	}
}

static const struct {
	const char *what, *text, *expect;
} files[] = {
	{ "no file", NULL, "No such file" },
	{ "an empty file", "", "no CA certificate can be read" },
	{ "no PEM", "hello\n", "no CA certificate can be read" },
	{ "a damaged certificate",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    "no CA certificate can be read" },
};

Test(issuer, is_not_sought_in_a_ca_file_that_cannot_be_read)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct staple_trust trust;
		char path[128];
		struct err err;

		snprintf(path, sizeof(path), "%s/x.pem", fixture.folder.path);
		if (files[i].text != NULL)
			free(
			    pki_write(&fixture.folder, "x.pem", files[i].text));
		cr_expect_not(
		    staple_trust_init(&trust, path, &err), "%s", files[i].what);
		cr_expect(err_names(&err, path), "%s", err.text);
		cr_expect_not_null(strstr(err.text, files[i].expect), "%s: %s",
		    files[i].what, err.text);
		cr_expect_null(trust.ca_file);
		cr_expect_null(trust.system);
		cr_expect_eq(ERR_peek_error(), 0);
	}
}
