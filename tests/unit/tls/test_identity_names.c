/*
 * The host names of a certificate, whoever wrote them.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder folder;

static void
set_up(void)
{
	pki_folder_make(&folder);
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
}

TestSuite(identity_names, .init = set_up, .fini = tear_down);

/* Takes what was made. */
static struct identity *
load(struct pki made)
{
	char *cert = pki_certificate_pem(&made), *key = pki_key_pem(&made);
	char *text = pki_join(cert, key);
	char *path = pki_write(&folder, "site.pem", text);
	struct err err;
	struct identity *identity = identity_load(
	    path, NULL, KEYS_ANY, NULL, &err);

	cr_assert_not_null(identity, "%s", err.text);
	free(cert);
	free(key);
	free(text);
	free(path);
	pki_drop(&made);
	return identity;
}

/* Its patterns, each with a blank behind it.  Takes the identity. */
static void
expect_patterns(struct identity *identity, const char *expect, const char *what)
{
	char all[4096] = "";

	for (size_t i = 0; i < identity_pattern_count(identity); i++) {
		strcat(all, identity_pattern(identity, i));
		strcat(all, " ");
	}
	cr_assert_str_eq(all, expect, "%s: \"%s\"", what, all);
	identity_unref(identity);
}

static const struct row {
	const char *what;
	struct pki_wish given;
	const char *expect;
} rows[] = {
	{ "names and a wildcard",
	    { .name = "cn.example", .san = "DNS:b.example,DNS:*.a.example" },
	    "*.a.example b.example " },
	{ "doubles",
	    { .san = "DNS:a.example,DNS:b.example,DNS:A.Example,"
		     "DNS:a.example." },
	    "a.example b.example " },
	{ "no DNS name among the others",
	    { .name = "CN.example", .san = "IP:192.0.2.1,email:a@b.example" },
	    "cn.example " },
	{ "no other names at all", { .name = "cn.example" }, "cn.example " },
	{ "a common name that is a wildcard", { .name = "*.cn.example" },
	    "*.cn.example " },
	{ "a common name that is none", { .name = "My Company" }, "" },
	{ "no name at all", { 0 }, "" },
	{ "only a bad DNS name: the common name stays out",
	    { .name = "cn.example", .san = "DNS:a b.example" }, "" },
	{ "wildcards that are none",
	    { .san = "DNS:a.*.example,DNS:*a.example,DNS:a*.example,DNS:*,"
		     "DNS:*.,DNS:**.example,DNS:*.*.example,DNS:ok.example" },
	    "ok.example " },
	{ "addresses in the wrong place",
	    { .san = "DNS:192.0.2.1,DNS:2001\\:db8\\:\\:1,DNS:ok.example" },
	    "ok.example " },
	{ "empty labels",
	    { .san = "DNS:.,DNS:.a.example,DNS:a..example,DNS:ok.example" },
	    "ok.example " },
};

Test(identity_names, are_patterns_without_doubles)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_patterns(load(pki_make(&rows[i].given)), rows[i].expect,
		    rows[i].what);
}

/* Others are such bytes, which no tool would write. */
static void
add_name(GENERAL_NAMES *names, const char *bytes, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	cr_assert(ASN1_STRING_set(string, bytes, (int)len));
	GENERAL_NAME_set0_value(name, GEN_DNS, string);
	cr_assert(sk_GENERAL_NAME_push(names, name) > 0);
}

/* Takes the names. */
static struct pki
make_with(const char *common_name, GENERAL_NAMES *names)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = common_name });

	cr_assert(X509_add1_ext_i2d(
	    made.certificate, NID_subject_alt_name, names, 0, 0));
	cr_assert(X509_sign(made.certificate, made.key, EVP_sha256()) > 0);
	GENERAL_NAMES_free(names);
	return made;
}

#define BYTES(text) text, sizeof(text) - 1

static const struct hostile_row {
	const char *what, *bytes;
	size_t len;
} hostile_rows[] = {
	{ "a NUL in the middle", BYTES("good.example\0.evil.example") },
	{ "a NUL at the end", BYTES("good.example\0") },
	{ "a NUL alone", BYTES("\0") },
	{ "nothing", BYTES("") },
	{ "UTF-8", BYTES("b\xc3\xbc"
			 "cher.example") },
	{ "Latin-1", BYTES("b\xfc"
			   "cher.example") },
	{ "a control", BYTES("a\x1b[31m.example") },
	{ "a new line", BYTES("a.example\nb.example") },
};

Test(identity_names, leave_hostile_bytes_out)
{
	for (size_t i = 0; i < ARRAY_LEN(hostile_rows); i++) {
		const struct hostile_row *row = &hostile_rows[i];
		GENERAL_NAMES *names = GENERAL_NAMES_new();

		add_name(names, row->bytes, row->len);
		add_name(names, BYTES("ok.example"));
		expect_patterns(load(make_with("cn.example", names)),
		    "ok.example ", row->what);
	}
}

Test(identity_names, leave_out_what_is_longer_than_a_name)
{
	static char label[65], huge[60 * 1000];
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	memset(label, 'a', 64);
	memset(huge, 'a', sizeof(huge));
	for (size_t i = 60; i < sizeof(huge); i += 61)
		huge[i] = '.';
	add_name(names, label, 64);
	add_name(names, huge, sizeof(huge));
	add_name(names, huge, 254);
	add_name(names, BYTES("ok.example"));
	expect_patterns(load(make_with(NULL, names)), "ok.example ", "long");
}

Test(identity_names, may_be_many)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	struct identity *identity;
	char text[32];

	for (int i = 0; i < 10000; i++)
		add_name(names, text,
		    (size_t)snprintf(
			text, sizeof(text), "n%05d.example", i % 5000));
	identity = load(make_with(NULL, names));
	cr_assert_eq(identity_pattern_count(identity), 5000);
	cr_assert_str_eq(identity_pattern(identity, 0), "n00000.example");
	cr_assert_str_eq(identity_pattern(identity, 4999), "n04999.example");
	identity_unref(identity);
}

/* What an extension that cannot be read, or is there twice, may be hiding. */
Test(identity_names, trust_no_common_name_beside_a_damaged_extension)
{
	struct pki twice = pki_make(
	    &(struct pki_wish){ .name = "cn.example", .san = "DNS:a.example" });
	struct pki damaged = pki_make(
	    &(struct pki_wish){ .name = "cn.example" });
	ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension = X509_EXTENSION_dup(
	    X509_get_ext(twice.certificate, 0));

	cr_assert(X509_add_ext(twice.certificate, extension, -1));
	cr_assert(X509_sign(twice.certificate, twice.key, EVP_sha256()) > 0);
	expect_patterns(load(twice), "", "twice");
	cr_assert(
	    ASN1_OCTET_STRING_set(junk, (const unsigned char *)"junk", 4));
	cr_assert(X509_EXTENSION_set_data(extension, junk));
	cr_assert(X509_add_ext(damaged.certificate, extension, -1));
	cr_assert(
	    X509_sign(damaged.certificate, damaged.key, EVP_sha256()) > 0);
	expect_patterns(load(damaged), "", "damaged");
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(junk);
}
