/*
 * Certificates: must-staple and the modes, the search for the issuer (RFC 6960
 * 4.2.2.2), the requests (RFC 6960 4.1, RFC 5019 2.1), and the n-th allocation
 * failing for every n: a whole certificate or an error, never half of one and
 * never a leak.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert.h"
#include "tests/support/pki.h"
#include "tests/support/scarce.h"

static struct staple_cert *
know(const struct pki *leaf, const struct staple_source *source)
{
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(leaf->certificate, NULL, source, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	return cert;
}

static struct staple_cert *
know_wish(const struct pki_wish *wish, const struct staple_source *source)
{
	struct pki leaf = pki_make(wish);
	struct staple_cert *cert = know(&leaf, source);

	pki_drop(&leaf);
	return cert;
}

static const struct {
	const char *what, *feature;
	bool expect;
} features[] = {
	{ "no extension", NULL, false },
	{ "5", "status_request", true },
	{ "17 alone", "status_request_v2", false },
	{ "17 and 5", "17,5", true },
	{ "5 and others", "0,1,5,65535", true },
	{ "others", "0,1,4,6,261,65535", false },
	{ "a number that begins like 5", "1281", false },
	{ "an empty list", "DER:3000", false },
	{ "5 by hand", "DER:3003020105", true },
	{ "minus 5", "DER:30030201FB", false },
	{ "5 with a zero before it", "DER:300402020005", false },
	{ "an enumerated 5", "DER:30030A0105", false },
	{ "no sequence", "DER:020105", false },
	{ "cut off", "DER:30030201", false },
	{ "a longer length than there is", "DER:307F020105", false },
	{ "a lone zero", "DER:00", false },
	{ "more than a machine word, then 5",
	    "DER:300E0209050505050505050505020105", true },
};

Test(cert, must_be_stapled_when_the_feature_list_has_5)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		struct pki leaf = pki_make(
		    &(struct pki_wish){ .feature = features[i].feature });
		struct staple_cert *cert = know(&leaf, NULL);

		cr_expect_eq(cert->must_staple, features[i].expect, "%s",
		    features[i].what);
		cr_expect_eq(ERR_peek_error(), 0);
		staple_cert_unref(cert);
		pki_drop(&leaf);
	}
}

Test(cert, must_be_stapled_when_either_of_two_lists_has_it)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .feature = "17" });
	X509_EXTENSION *second = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_tlsfeature, "status_request");
	struct staple_cert *cert = know(&leaf, NULL);

	cr_expect_not(cert->must_staple);
	staple_cert_unref(cert);
	X509_add_ext(leaf.certificate, second, -1);
	cert = know(&leaf, NULL);
	cr_expect(cert->must_staple);
	staple_cert_unref(cert);
	X509_EXTENSION_free(second);
	pki_drop(&leaf);
}

Test(cert, must_be_stapled_even_behind_hundreds_of_features)
{
	char list[300 * 7] = "";

	for (int i = 0; i < 300; i++)
		strcat(list, "60000,");
	strcat(list, "5");
	struct staple_cert *cert = know_wish(
	    &(struct pki_wish){ .feature = list }, NULL);

	cr_expect(cert->must_staple);
	staple_cert_unref(cert);
}

#define LABEL "a23456789-123456789-123456789-123456789-123456789-123456789."
#define LONG LABEL LABEL LABEL

static const struct {
	const char *what, *name, *san, *expect;
} names[] = {
	{ "the first DNS name", "cn",
	    "IP:192.0.2.1,DNS:a.example,DNS:b.example", "a.example" },
	{ "a wildcard", "cn", "DNS:*.example", "*.example" },
	{ "no DNS name", "cn", "IP:192.0.2.1,email:a@b", "cn" },
	{ "an empty DNS name", "cn", "DER:30058200820162", "b" },
	{ "no SAN", "cn", NULL, "cn" },
	{ "a SAN that cannot be read", "cn", "DER:30ff", "cn" },
	{ "a NUL in a DNS name", "cn", "DER:30058203610062", "a\\x00b" },
	{ "a terminal's escape", "\x1b[2Ja\nb\\", NULL,
	    "\\x1b[2Ja\\x0ab\\x5c" },
	{ "UTF-8", "\xc3\xa9", NULL, "\\xc3\\xa9" },
	{ "more than there is room for", NULL, "DNS:" LONG,
	    LABEL LABEL "a234567" },
};

Test(cert, is_called_by_its_dns_name_or_common_name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.name = names[i].name, .san = names[i].san },
		    NULL);

		cr_expect_str_eq(cert->name, names[i].expect, "%s: %s",
		    names[i].what, cert->name);
		staple_cert_unref(cert);
	}
}

Test(cert, without_a_name_is_called_by_its_serial_number)
{
	struct pki leaf = pki_make(&(struct pki_wish){ 0 });
	struct staple_cert *cert;

	ASN1_INTEGER_set(X509_get_serialNumber(leaf.certificate), 0x1fa0b);
	cert = know(&leaf, NULL);
	cr_expect_str_eq(cert->name, "serial 01fa0b");
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

Test(cert, is_identified_by_the_hash_of_its_encoding)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a" });
	unsigned char *der = NULL, expect[STAPLE_KEY_SIZE];
	unsigned char key[STAPLE_KEY_SIZE];
	int len = i2d_X509(leaf.certificate, &der);
	struct staple_cert *cert = know(&leaf, NULL);
	char hex[3];

	cr_assert_gt(len, 0);
	SHA256(der, (size_t)len, expect);
	cr_expect(staple_cert_key(leaf.certificate, key));
	cr_expect_arr_eq(key, expect, sizeof(key));
	cr_expect_arr_eq(cert->key, expect, sizeof(key));
	cr_expect_eq(strlen(cert->id), 64);
	snprintf(hex, sizeof(hex), "%02x", expect[31]);
	cr_expect_str_eq(cert->id + 62, hex);
	OPENSSL_free(der);
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

Test(cert, when_renewed_is_identified_by_another_key)
{
	struct pki_wish wish = { .name = "a.example" };
	struct staple_cert *old = know_wish(&wish, NULL);
	struct staple_cert *renewed = know_wish(&wish, NULL);

	cr_expect_str_eq(old->name, renewed->name);
	cr_expect_str_neq(old->id, renewed->id);
	staple_cert_unref(old);
	staple_cert_unref(renewed);
}

static const struct {
	const char *text;
	int64_t seconds;
} times[] = {
	{ "19700101000001Z", 1 },
	{ "20200101000000Z", 1577836800 },
	{ "20380119031408Z", INT64_C(1) << 31 },
	{ "99991231235959Z", 253402300799 },
};

Test(cert, has_its_validity)
{
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.from = times[i].text, .to = times[i].text },
		    NULL);

		cr_expect_eq(cert->not_before, times[i].seconds);
		cr_expect_eq(
		    cert->not_after, times[i].seconds, "%s", times[i].text);
		staple_cert_unref(cert);
	}
}

Test(cert, with_unreadable_dates_has_expired)
{
	struct pki leaf = pki_make(&(struct pki_wish){ 0 });
	struct staple_cert *cert;

	ASN1_STRING_set(X509_getm_notAfter(leaf.certificate), "tomorrow", 8);
	cert = know(&leaf, NULL);
	cr_expect_eq(cert->not_after, 0);
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

#define RESPONDER "OCSP;URI:http://a/"

static const struct {
	const char *what, *aia, *file;
	enum staple_outcome unavailable_reason;
} hindrances[] = {
	{ "neither responder nor issuer", NULL, NULL, STAPLE_NO_RESPONDER },
	{ "a responder", RESPONDER, NULL, STAPLE_NO_ISSUER },
	{ "a file needs no responder", NULL, "/x", STAPLE_NO_ISSUER },
	{ "a bad URL alone", "OCSP;URI:ldap://a/", NULL, STAPLE_NO_RESPONDER },
};

Test(cert, has_the_reason_why_no_request_can_be_made)
{
	for (size_t i = 0; i < ARRAY_LEN(hindrances); i++) {
		struct staple_source source = {
			.staple_file = hindrances[i].file
		};
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){ .aia = hindrances[i].aia }, &source);

		cr_expect_eq(cert->unavailable_reason,
		    hindrances[i].unavailable_reason, "%s", hindrances[i].what);
		cr_expect_str_neq(cert->hint, "", "%s", hindrances[i].what);
		staple_cert_unref(cert);
	}
}

Test(cert, has_no_hint_without_a_problem)
{
	struct pki ca = pki_make(&(struct pki_wish){ .name = "A", .ca = true });
	struct pki leaf = pki_make(
	    &(struct pki_wish){ .issuer = &ca, .aia = RESPONDER });
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct staple_cert *cert;
	struct err err;

	sk_X509_push(chain, ca.certificate);
	cert = staple_cert_new(leaf.certificate, chain, NULL, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(cert->unavailable_reason, STAPLE_UNASKED);
	cr_expect_str_eq(cert->hint, "");
	cr_expect_null(cert->staple_file);
	staple_cert_unref(cert);
	sk_X509_free(chain);
	pki_drop(&leaf);
	pki_drop(&ca);
}

Test(cert, owns_the_path_of_its_staple_file)
{
	char path[] = "/x.der";
	struct staple_source source = { .staple_file = path };
	struct staple_cert *cert = know_wish(&(struct pki_wish){ 0 }, &source);

	path[1] = 'y';
	cr_expect_str_eq(cert->staple_file, "/x.der");
	staple_cert_unref(cert);
}

#define NOT STAPLE_REQUIRE_NONE
#define WANT STAPLE_REQUIRE_WANTED
#define FATAL STAPLE_REQUIRE_FATAL

/* The requirement by mode and certificate. */
static const struct {
	const char *what, *feature, *aia, *file;
	enum staple_requirement
	    by_mode[5]; /* auto, must, always, never, prefer */
} wishes[] = {
	{ "plain", NULL, NULL, NULL, { NOT, NOT, FATAL, NOT, NOT } },
	{ "plain with a responder", NULL, RESPONDER, NULL,
	    { NOT, NOT, FATAL, NOT, WANT } },
	{ "plain with a file", NULL, NULL, "/x",
	    { NOT, NOT, FATAL, NOT, WANT } },
	{ "must-staple with a responder", "5", RESPONDER, NULL,
	    { WANT, FATAL, FATAL, NOT, WANT } },
	{ "must-staple without one", "5", NULL, NULL,
	    { WANT, FATAL, FATAL, NOT, NOT } },
	{ "17 alone", "17", RESPONDER, NULL, { NOT, NOT, FATAL, NOT, WANT } },
};

Test(cert, is_wanted_as_the_mode_says)
{
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		struct staple_source source = { .staple_file = wishes[i].file };
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.aia = wishes[i].aia, .feature = wishes[i].feature },
		    &source);

		for (int mode = STAPLE_AUTO; mode <= STAPLE_PREFER; mode++)
			cr_expect_eq(
			    staple_cert_requirement(
				cert, &(struct staple_policy){ .mode = mode }),
			    wishes[i].by_mode[mode], "%s, mode %d",
			    wishes[i].what, mode);
		staple_cert_unref(cert);
	}
}

Test(cert, lives_as_long_as_its_references)
{
	struct staple_cert *cert = know_wish(
	    &(struct pki_wish){ .name = "a" }, NULL);

	cr_expect_eq(staple_cert_ref(cert), cert);
	staple_cert_unref(cert);
	cr_expect_str_eq(cert->name, "a");
	staple_cert_unref(cert);
	staple_cert_unref(NULL);
}

Test(cert, is_not_blamed_for_failures_of_others)
{
	struct staple_cert *cert;

	ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
	cert = know_wish(&(struct pki_wish){ .name = "a" }, NULL);
	cr_expect_str_eq(cert->name, "a");
	staple_cert_unref(cert);
}

Test(cert, that_cannot_be_encoded_is_refused)
{
	X509 *empty = X509_new();
	unsigned char key[STAPLE_KEY_SIZE];
	struct err err = { "" };

	cr_expect_not(staple_cert_key(empty, key));
	cr_expect_null(staple_cert_new(empty, NULL, NULL, NULL, &err));
	cr_expect_not_null(strstr(err.text, "cannot be encoded"));
	cr_expect_eq(ERR_peek_error(), 0);
	X509_free(empty);
}

static const char *const one_url[] = { "http://one.example/" };
static const char *const other_url[] = { "http://other.example/" };

static const struct same_row {
	const char *what;
	struct staple_source a, b;
	bool expect;
} same_rows[] = {
	{ "nothing", { 0 }, { 0 }, true },
	{ "one URL", { one_url, 1, NULL }, { one_url, 1, NULL }, true },
	{ "another URL", { one_url, 1, NULL }, { other_url, 1, NULL }, false },
	{ "a URL and none", { one_url, 1, NULL }, { 0 }, false },
	{ "one file", { NULL, 0, "a" }, { NULL, 0, "a" }, true },
	{ "another file", { NULL, 0, "a" }, { NULL, 0, "b" }, false },
	{ "a file besides", { one_url, 1, "a" }, { one_url, 1, NULL }, false },
};

Test(cert, equals_one_with_the_same_requests)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a" });

	for (size_t i = 0; i < ARRAY_LEN(same_rows); i++) {
		const struct same_row *row = &same_rows[i];
		struct staple_cert *a = know(&leaf, &row->a);
		struct staple_cert *b = know(&leaf, &row->b);

		cr_expect_eq(
		    staple_cert_equals(a, b), row->expect, "%s", row->what);
		staple_cert_unref(a);
		staple_cert_unref(b);
	}
	pki_drop(&leaf);
}

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
	/* The system's store has what a test puts here. */
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
issuer_know(const struct pki *leaf)
{
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(
	    leaf->certificate, fixture.chain, NULL, &fixture.trust, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	return cert;
}

/* Expects `issuer` (NULL: none) from this origin. */
static void
expect(const struct pki *issuer, enum staple_origin origin)
{
	struct staple_cert *cert = issuer_know(&fixture.leaf);

	cr_expect_eq(cert->origin, origin);
	cr_expect_eq(cert->unavailable_reason,
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

Test(issuer, is_missing_when_no_candidate_exists)
{
	struct staple_cert *cert = issuer_know(&fixture.leaf);

	cr_expect_eq(cert->unavailable_reason, STAPLE_NO_ISSUER);
	cr_expect_str_eq(
	    cert->hint, "its issuer (/CN=Authority) was not found");
	staple_cert_unref(cert);
	expect(NULL, STAPLE_ORIGIN_NONE);
}

Test(issuer, is_the_signer_and_not_a_namesake)
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
	cert = issuer_know(&fixture.leaf);
	cr_expect_str_eq(cert->hint,
	    "a certificate with its issuer's name (/CN=Authority) was found, "
	    "but its key did not sign it");
	staple_cert_unref(cert);
}

/* The key matches, so only the name shows that this is another CA. */
Test(issuer, has_the_issuer_name_of_the_leaf)
{
	struct pki other = pki_make(
	    &(struct pki_wish){ .name = "Other", .ca = true });

	X509_set_pubkey(other.certificate, fixture.ca.key);
	X509_sign(other.certificate, fixture.ca.key, EVP_sha256());
	chain_up(&other);
	expect(NULL, STAPLE_ORIGIN_NONE);
	pki_drop(&other);
}

/* Name and key fit, but its key usage excludes certificates. */
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

Test(issuer, of_a_self_signed_certificate_does_not_exist)
{
	struct pki self = pki_make(
	    &(struct pki_wish){ .name = "Self", .aia = "OCSP;URI:http://a/" });
	struct staple_cert *cert;

	chain_up(&self);
	trust_file(&self, NULL);
	cert = issuer_know(&self);
	cr_expect_null(cert->issuer);
	cr_expect_eq(cert->unavailable_reason, STAPLE_NO_ISSUER);
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

Test(issuer, does_not_keep_a_leaf_without_holders)
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
		cert = issuer_know(&leaf);
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

static struct {
	struct pki ca, leaf;
	struct staple_cert *cert;
} request_fixture;

static void
request_set_up(void)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct err err;

	request_fixture.ca = pki_make(
	    &(struct pki_wish){ .name = "Authority", .ca = true });
	request_fixture.leaf = pki_make(&(struct pki_wish){
	    .name = "a.example", .issuer = &request_fixture.ca });
	sk_X509_push(chain, request_fixture.ca.certificate);
	request_fixture.cert = staple_cert_new(
	    request_fixture.leaf.certificate, chain, NULL, NULL, &err);
	cr_assert_not_null(request_fixture.cert, "%s", err.text);
	sk_X509_free(chain);
}

static void
request_tear_down(void)
{
	staple_cert_unref(request_fixture.cert);
	pki_drop(&request_fixture.leaf);
	pki_drop(&request_fixture.ca);
}

TestSuite(request, .init = request_set_up, .fini = request_tear_down);

static const int digests[STAPLE_HASHES] = { NID_sha1, NID_sha256 };

/* Decoded, with nothing left over. */
static OCSP_REQUEST *
decode(int hash)
{
	const struct staple_request *request =
	    &request_fixture.cert->requests[hash];
	const unsigned char *at = request->der;
	OCSP_REQUEST *asked;

	asked = d2i_OCSP_REQUEST(NULL, &at, (long)request->len);
	cr_assert_not_null(asked);
	cr_assert_eq(at, request->der + request->len);
	return asked;
}

Test(request, is_for_one_certificate_by_each_hash)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		OCSP_REQUEST *asked = decode(i);
		OCSP_CERTID *wanted = OCSP_cert_to_id(
		    EVP_get_digestbynid(digests[i]),
		    request_fixture.leaf.certificate,
		    request_fixture.ca.certificate);

		cr_expect_eq(OCSP_request_onereq_count(asked), 1);
		cr_expect_eq(OCSP_id_cmp(wanted,
				 OCSP_onereq_get0_id(
				     OCSP_request_onereq_get0(asked, 0))),
		    0);
		OCSP_CERTID_free(wanted);
		OCSP_REQUEST_free(asked);
	}
}

Test(request, keeps_the_ids_to_match_the_response)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		ASN1_OBJECT *digest;
		ASN1_INTEGER *serial;

		OCSP_id_get0_info(
		    NULL, &digest, NULL, &serial, request_fixture.cert->ids[i]);
		cr_expect_eq(OBJ_obj2nid(digest), digests[i]);
		cr_expect_eq(ASN1_INTEGER_cmp(
				 serial, X509_get0_serialNumber(
					     request_fixture.leaf.certificate)),
		    0);
	}
}

Test(request, carries_neither_nonce_nor_signature_nor_name)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		OCSP_REQUEST *asked = decode(i);

		cr_expect_eq(OCSP_REQUEST_get_ext_count(asked), 0);
		cr_expect_eq(OCSP_ONEREQ_get_ext_count(
				 OCSP_request_onereq_get0(asked, 0)),
		    0);
		cr_expect_eq(OCSP_request_is_signed(asked), 0);
		OCSP_REQUEST_free(asked);
	}
}

/* RFC 5019 5: up to 255 bytes of encoded request go with GET. */
Test(request, is_short_enough_for_get)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		size_t base64 = (request_fixture.cert->requests[i].len + 2) /
				3 * 4;

		cr_expect(base64 < 255, "%zu", base64);
	}
}

Test(request, is_not_made_without_an_issuer)
{
	struct staple_cert *alone;
	struct err err;

	alone = staple_cert_new(
	    request_fixture.leaf.certificate, NULL, NULL, NULL, &err);
	cr_assert_not_null(alone);
	for (int i = 0; i < STAPLE_HASHES; i++) {
		cr_expect_null(alone->ids[i]);
		cr_expect_null(alone->requests[i].der);
		cr_expect_eq(alone->requests[i].len, 0);
	}
	cr_expect_eq(ERR_peek_error(), 0);
	staple_cert_unref(alone);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t len)
{
	return scarce_fails_now() ? NULL : __real_strndup(text, len);
}

static struct {
	struct pki ca, impostor, leaf, bare;
	STACK_OF(X509) * chain;
	struct staple_trust trust;
} memory_fixture;

static void
memory_set_up(void)
{
	struct pki_wish authority = { .name = "Authority", .ca = true };
	struct pki_folder folder;
	char *pem, *path;
	struct err err;

	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	memory_fixture.ca = pki_make(&authority);
	memory_fixture.impostor = pki_make(&authority);
	memory_fixture.leaf = pki_make(&(struct pki_wish){ .name = "cn",
	    .san = "IP:192.0.2.1,DNS:a.example",
	    .aia = "OCSP;URI:http://b/,OCSP;URI:x,OCSP;URI:http://a/",
	    .feature = "17,5",
	    .issuer = &memory_fixture.ca });
	memory_fixture.chain = sk_X509_new_null();
	sk_X509_push(memory_fixture.chain, memory_fixture.impostor.certificate);
	pki_folder_make(&folder);
	pem = pki_certificate_pem(&memory_fixture.ca);
	path = pki_write(&folder, "ca.pem", pem);
	cr_assert(staple_trust_init(&memory_fixture.trust, path, &err));
	free(path);
	free(pem);
	pki_folder_remove(&folder);
}

static void
memory_tear_down(void)
{
	staple_trust_fini(&memory_fixture.trust);
	sk_X509_free(memory_fixture.chain);
	pki_drop(&memory_fixture.leaf);
	pki_drop(&memory_fixture.impostor);
	pki_drop(&memory_fixture.ca);
}

TestSuite(cert_memory, .init = memory_set_up, .fini = memory_tear_down);

static void
expect_issuer(const struct staple_cert *cert, long n)
{
	cr_expect_eq(cert->origin, STAPLE_ORIGIN_CA_FILE, "allocation %ld", n);
	cr_expect_eq(
	    cert->unavailable_reason, STAPLE_UNASKED, "allocation %ld", n);
	for (int i = 0; i < STAPLE_HASHES; i++)
		cr_expect(cert->requests[i].len > 0, "allocation %ld", n);
}

static void
expect_whole(const struct staple_cert *cert, long n)
{
	static const char hint[] =
	    "the URL x was left out, as it is neither http nor https";

	cr_expect_str_eq(cert->name, "a.example", "allocation %ld", n);
	cr_expect(cert->must_staple, "allocation %ld", n);
	cr_expect_eq(cert->url_count, 2, "allocation %ld", n);
	cr_expect_eq(memcmp(cert->hint, hint, strlen(hint)), 0,
	    "allocation %ld: %s", n, cert->hint);
	cr_expect_str_eq(cert->staple_file, "/x", "allocation %ld", n);
	expect_issuer(cert, n);
}

/* Was there an n-th allocation, which then failed?  OpenSSL notes things on a
 * certificate that it looks at: each time a fresh copy. */
static bool
know_with_failure(long n)
{
	struct staple_source source = { .staple_file = "/x" };
	X509 *leaf = X509_dup(memory_fixture.leaf.certificate);
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_new(
	    leaf, memory_fixture.chain, &source, &memory_fixture.trust, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL) {
		expect_whole(cert, n);
		cr_expect(failed || cert->issuer != NULL);
	} else {
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	}
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_anywhere_leaves_a_whole_certificate_or_none)
{
	long n = 0;

	/* What OpenSSL sets up once for the process is not ours. */
	cr_assert_not(know_with_failure(1000000));
	while (n < 100000 && know_with_failure(n))
		n++;
	/* Every allocation had its turn, and there were some. */
	cr_expect(n > 100 && n < 100000, "%ld", n);
}

/* A new stack of new copies, without what OpenSSL has cached in them. */
static STACK_OF(X509) * fresh_chain(void)
{
	STACK_OF(X509) *chain = sk_X509_new_null();

	sk_X509_push(chain, X509_dup(memory_fixture.impostor.certificate));
	sk_X509_push(chain, X509_dup(memory_fixture.ca.certificate));
	return chain;
}

/* Was there an n-th allocation?  After it failed, the same X509s are read
 * again with memory. */
static bool
read_after_failure(long n)
{
	struct staple_source source = { .staple_file = "/x" };
	X509 *leaf = X509_dup(memory_fixture.leaf.certificate);
	STACK_OF(X509) *chain = fresh_chain();
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	staple_cert_unref(staple_cert_new(leaf, chain, &source, NULL, &err));
	failed = scarce_end();
	cert = staple_cert_new(leaf, chain, &source, NULL, &err);
	cr_assert_not_null(cert, "allocation %ld: %s", n, err.text);
	cr_expect_eq(cert->origin, STAPLE_ORIGIN_CHAIN, "allocation %ld", n);
	cr_expect(cert->must_staple, "allocation %ld", n);
	staple_cert_unref(cert);
	sk_X509_pop_free(chain, X509_free);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_does_not_spoil_what_is_read_again)
{
	long n = 0;

	cr_assert_not(read_after_failure(1000000));
	while (n < 100000 && read_after_failure(n))
		n++;
	cr_expect(n > 100 && n < 100000, "%ld", n);
}

/* The same for partial facts that are completed. */
static bool
complete_with_failure(const struct staple_cert *sketch, long n)
{
	X509 *leaf = X509_dup(memory_fixture.leaf.certificate);
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_complete(
	    sketch, leaf, memory_fixture.chain, &memory_fixture.trust, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL)
		expect_whole(cert, n);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_leaves_partial_facts_completed_or_unchanged)
{
	const struct staple_source source = { .staple_file = "/x" };
	struct err err;
	struct staple_cert *sketch = staple_cert_partial(
	    memory_fixture.leaf.certificate, &source, &err);
	long n = 0;

	cr_assert_not_null(sketch);
	cr_assert_not(complete_with_failure(sketch, 1000000));
	while (n < 100000 && complete_with_failure(sketch, n))
		n++;
	cr_expect(n > 50 && n < 100000, "%ld", n);
	cr_expect_not(sketch->complete);
	staple_cert_unref(sketch);
}

Test(cert_memory, running_out_while_stores_are_opened_is_an_error)
{
	struct staple_trust trust;
	struct err err;
	bool failed = true;
	long n = 0;

	for (; failed && n < 100000; n++) {
		err.text[0] = '\0';
		scarce_begin(n);
		if (staple_trust_init(&trust, NULL, &err))
			staple_trust_fini(&trust);
		else
			cr_expect_str_neq(err.text, "", "allocation %ld", n);
		failed = scarce_end();
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	}
	cr_expect(n > 3 && n < 100000, "%ld", n);
}

/* A certificate whose issuer is fetched later. */
static bool
fetch_with_failure(long n)
{
	static const struct staple_trust trust = { .aia_issuer = true };
	X509 *leaf = X509_dup(memory_fixture.bare.certificate);
	struct staple_cert *cert, *whole = NULL;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_new(leaf, NULL, NULL, &trust, &err);
	if (cert != NULL && cert->leaf != NULL)
		whole = staple_cert_with_issuer(cert, cert->leaf,
		    memory_fixture.ca.certificate, STAPLE_ORIGIN_AIA, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL) {
		cr_expect_eq(cert->unavailable_reason, STAPLE_UNASKED);
		cr_expect_eq(cert->issuer_url_count, 2, "allocation %ld", n);
		cr_expect_not_null(cert->leaf, "allocation %ld", n);
	}
	if (whole != NULL)
		cr_expect(whole->requests[STAPLE_SHA256].len > 0);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	staple_cert_unref(whole);
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_never_loses_the_way_to_an_issuer)
{
	long n = 0;

	memory_fixture.bare = pki_make(&(struct pki_wish){ .name = "bare",
	    .aia = "OCSP;URI:http://b/,caIssuers;URI:http://c/,"
		   "caIssuers;URI:http://d/",
	    .issuer = &memory_fixture.ca });
	cr_assert_not(fetch_with_failure(1000000));
	while (n < 100000 && fetch_with_failure(n))
		n++;
	cr_expect(n > 100 && n < 100000, "%ld", n);
	pki_drop(&memory_fixture.bare);
}
