/*
 * Certificate and key files: what loads, the sentence of each error, the names
 * and the kind of a certificate, many identities through one loader, and the
 * n-th allocation failing for every n.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "tests/support/pki.h"
#include "tests/support/scarce.h"

static struct pki_folder folder;
static struct pki site, other;
static char *site_cert, *site_key; /* PEM texts of site */

static void
set_up(void)
{
	pki_folder_make(&folder);
	site = pki_make(&(struct pki_wish){ .name = "site.example" });
	other = pki_make(&(struct pki_wish){ .name = "other.example" });
	site_cert = pki_certificate_pem(&site);
	site_key = pki_key_pem(&site);
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
	pki_drop(&site);
	pki_drop(&other);
	free(site_cert);
	free(site_key);
}

TestSuite(identity, .init = set_up, .fini = tear_down);

/* Load texts as two files (key NULL: one file); *err and *warning filled. */
static struct identity *
load(const char *cert_text, const char *key_text, struct err *warning,
    struct err *err)
{
	char *cert_path = pki_write(&folder, "cert.pem", cert_text);
	char *key_path = key_text == NULL
			     ? NULL
			     : pki_write(&folder, "key.pem", key_text);
	struct identity *identity = identity_load(
	    cert_path, key_path, KEYS_REFUSE, warning, err);

	free(cert_path);
	free(key_path);
	return identity;
}

/* `expect` with every @ standing for the folder. */
static void
expect_sentence(const char *text, const char *expect)
{
	char full[ERR_TEXT_MAX] = "";
	size_t at = 0;

	for (; *expect != '\0'; expect++)
		at += (size_t)snprintf(full + at, sizeof(full) - at, "%.*s",
		    *expect == '@' ? 64 : 1,
		    *expect == '@' ? folder.path : expect);
	cr_assert_str_eq(text, full);
}

static void
expect_refusal(const char *cert_text, const char *key_text, const char *expect)
{
	struct err err, warning;

	cr_assert_null(load(cert_text, key_text, &warning, &err), "%s", expect);
	expect_sentence(err.text, expect);
}

Test(identity, loads_one_file_or_two)
{
	char *both = pki_join(site_cert, site_key),
	     *swapped = pki_join(site_key, site_cert);
	const struct {
		const char *what, *cert, *key;
	} rows[] = {
		{ "two files", site_cert, site_key },
		{ "one file", both, NULL },
		{ "key before certificate", swapped, NULL },
	};
	struct err err, warning;

	for (size_t i = 0; i < 3; i++) {
		struct identity *identity = load(
		    rows[i].cert, rows[i].key, &warning, &err);

		cr_assert_not_null(identity, "%s: %s", rows[i].what, err.text);
		cr_assert_str_empty(warning.text);
		cr_assert_str_eq(identity_name(identity), "site.example");
		cr_assert_eq(identity_not_after(identity), 4070908800);
		identity_unref(identity);
	}
	free(both);
	free(swapped);
}

Test(identity, loads_every_form_of_key)
{
	struct pki rsa = pki_make(
	    &(struct pki_wish){ .name = "rsa", .key = PKI_RSA });
	struct pki *rows[] = { &site, &rsa };
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		char *pem = pki_certificate_pem(rows[i]);
		char *forms[] = { pki_key_pem(rows[i]),
			pki_legacy_key_pem(rows[i]) };

		for (size_t j = 0; j < 2; j++) {
			struct identity *identity = load(
			    pem, forms[j], NULL, &err);

			cr_assert_not_null(
			    identity, "%.40s: %s", forms[j], err.text);
			identity_unref(identity);
			free(forms[j]);
		}
		free(pem);
	}
	pki_drop(&rsa);
}

Test(identity, keeps_the_chain_in_order)
{
	char *second = pki_certificate_pem(&other);
	char *chain = pki_join(site_cert, second);
	struct err err;
	struct identity *identity = load(chain, site_key, NULL, &err);

	cr_assert_not_null(identity, "%s", err.text);
	cr_assert_eq(
	    X509_cmp(identity_certificate(identity), site.certificate), 0);
	cr_assert_eq(sk_X509_num(identity_chain(identity)), 1);
	cr_assert_eq(X509_cmp(sk_X509_value(identity_chain(identity), 0),
			 other.certificate),
	    0);
	cr_assert_eq(EVP_PKEY_eq(identity_key(identity), site.key), 1);
	identity_unref(identity);
	free(chain);
	free(second);
}

static const struct {
	struct pki_wish wish;
	const char *expect;
} name_sources[] = {
	{ { .name = "cn.example", .san = "DNS:a.example" }, "cn.example" },
	{ { .san = "IP:192.0.2.1,DNS:a.example,DNS:b.example" }, "a.example" },
	{ { 0 }, "unnamed" },
};

Test(identity, falls_back_to_the_first_dns_name)
{
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		struct pki made = pki_make(&name_sources[i].wish);
		char *texts[] = { pki_certificate_pem(&made),
			pki_key_pem(&made) };
		struct identity *identity = load(
		    texts[0], texts[1], NULL, &err);

		cr_assert_not_null(identity, "%s", err.text);
		cr_assert_str_eq(
		    identity_name(identity), name_sources[i].expect);
		identity_unref(identity);
		free(texts[0]);
		free(texts[1]);
		pki_drop(&made);
	}
}

Test(identity, refuses_files_without_what_is_needed)
{
	char *request = pki_join(
	    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "");

	expect_refusal("", site_key, "@/cert.pem is empty");
	expect_refusal("no PEM at all\n", site_key,
	    "@/cert.pem has no PEM block: no line begins with -----BEGIN");
	expect_refusal(site_key, site_key,
	    "@/cert.pem has no certificate, only: PRIVATE KEY");
	expect_refusal(site_cert, site_cert,
	    "@/key.pem has no private key, only: CERTIFICATE; key = has to "
	    "name the file of the key");
	expect_refusal(site_cert, NULL,
	    "@/cert.pem has no private key, only: CERTIFICATE; name the "
	    "file of the key with key = PATH");
	expect_refusal(site_cert, request,
	    "@/key.pem has no private key, only: PUBLIC KEY; "
	    "key = has to name the file of the key");
	free(request);
}

Test(identity, refuses_damaged_files)
{
	char *broken = strdup(site_cert);
	struct err err;

	memset(strchr(broken, '\n') + 9, '?', 4);
	cr_assert_null(load(broken, site_key, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "/cert.pem: PEM block 1 is damaged"), "%s",
	    err.text);
	cr_assert_null(load("-----BEGIN CERTIFICATE-----\nAAAA\n"
			    "-----END CERTIFICATE-----\n",
	    site_key, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "certificate 1 in "), "%s", err.text);
	cr_assert_null(load(site_cert,
	    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	    NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "key.pem is damaged"), "%s", err.text);
	free(broken);
}

Test(identity, reports_how_to_decrypt_a_key)
{
	char *locked = pki_locked_key_pem(&site);
	static const char old[] = "-----BEGIN EC PRIVATE KEY-----\n"
				  "Proc-Type: 4,ENCRYPTED\n"
				  "DEK-Info: AES-128-CBC,00\n\nAAAA\n"
				  "-----END EC PRIVATE KEY-----\n";
	const char *expect =
	    "the private key in @/key.pem is encrypted; decrypt it with: "
	    "openssl pkey -in @/key.pem -out decrypted.key, and use "
	    "decrypted.key as the file of the key";

	expect_refusal(site_cert, locked, expect);
	expect_refusal(site_cert, old, expect);
	free(locked);
}

Test(identity, refuses_a_key_of_another_certificate)
{
	char *foreign = pki_key_pem(&other);
	char *second = pki_certificate_pem(&other);
	char *chain = pki_join(site_cert, second);

	expect_refusal(site_cert, foreign,
	    "key does not match certificate: @/key.pem, @/cert.pem");
	expect_refusal(chain, foreign,
	    "key does not match certificate: @/key.pem belongs to "
	    "certificate 2 of @/cert.pem, which must come first");
	free(foreign);
	free(second);
	free(chain);
}

Test(identity, names_the_path_it_cannot_read)
{
	char missing[128], big[1024 * 1024 + 2];
	struct err err;

	snprintf(missing, sizeof(missing), "%s/none.pem", folder.path);
	cr_assert_null(identity_load(missing, NULL, KEYS_ANY, NULL, &err));
	expect_sentence(
	    err.text, "cannot read @/none.pem: No such file or directory");
	cr_assert_null(identity_load(folder.path, NULL, KEYS_ANY, NULL, &err));
	expect_sentence(err.text, "@ is a directory, not a PEM file");
	cr_assert_null(identity_load("/dev/null", NULL, KEYS_ANY, NULL, &err));
	cr_assert_str_eq(err.text, "/dev/null is not a regular file");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	expect_refusal(
	    big, NULL, "@/cert.pem is larger than 1 MiB: no PEM file");
}

Test(identity, does_not_wait_for_a_fifo)
{
	char path[128];
	struct err err;

	snprintf(path, sizeof(path), "%s/fifo", folder.path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_null(identity_load(path, NULL, KEYS_ANY, NULL, &err));
	expect_sentence(err.text, "@/fifo is not a regular file");
}

static const struct {
	enum config_key_permissions rule;
	mode_t mode;
	bool loads, warns;
} rules[] = {
	{ KEYS_WARN, 0640, true, false },
	{ KEYS_WARN, 0644, true, true },
	{ KEYS_REFUSE, 0640, true, false },
	{ KEYS_REFUSE, 0604, false, false },
	{ KEYS_ANY, 0666, true, false },
};

Test(identity, checks_the_mode_of_the_key_file)
{
	char *both = pki_join(site_cert, site_key);
	char *path = pki_write(&folder, "both.pem", both);
	struct err err, warning;

	for (size_t i = 0; i < 5; i++) {
		struct identity *identity;

		cr_assert_eq(chmod(path, rules[i].mode), 0);
		identity = identity_load(
		    path, NULL, rules[i].rule, &warning, &err);
		cr_assert_eq(identity != NULL, rules[i].loads, "row %zu", i);
		cr_assert_eq(
		    warning.text[0] != '\0', rules[i].warns, "row %zu", i);
		identity_unref(identity);
	}
	free(path);
	free(both);
}

Test(identity, reports_the_remedy_for_the_mode)
{
	char *both = pki_join(site_cert, site_key);
	char *path = pki_write(&folder, "both.pem", both);
	struct err err;

	cr_assert_eq(chmod(path, 0604), 0);
	cr_assert_null(identity_load(path, NULL, KEYS_REFUSE, NULL, &err));
	expect_sentence(err.text,
	    "the private key in @/both.pem can be used by every user (mode "
	    "0604); chmod o= @/both.pem");
	free(path);
	free(both);
}

static const struct {
	struct pki_wish wish;
	const char *expect;
} dates[] = {
	{ { .name = "x", .to = "20210101000000Z" },
	    "the certificate in @/cert.pem expired on 2021-01-01 "
	    "00:00:00 UTC" },
	{ { .name = "x", .from = "20980101000000Z" },
	    "the certificate in @/cert.pem is not valid before "
	    "2098-01-01 00:00:00 UTC" },
};

Test(identity, warns_of_dates_and_loads)
{
	struct err err, warning;

	for (size_t i = 0; i < 2; i++) {
		struct pki made = pki_make(&dates[i].wish);
		char *texts[] = { pki_certificate_pem(&made),
			pki_key_pem(&made) };
		struct identity *identity = load(
		    texts[0], texts[1], &warning, &err);

		cr_assert_not_null(identity, "%s", err.text);
		expect_sentence(warning.text, dates[i].expect);
		identity_unref(identity);
		free(texts[0]);
		free(texts[1]);
		pki_drop(&made);
	}
}

Test(identity, equals_only_its_copy)
{
	char *second = pki_certificate_pem(&other);
	char *second_key = pki_key_pem(&other);
	char *chain = pki_join(site_cert, second);
	struct err err;
	struct identity *a = load(site_cert, site_key, NULL, &err);
	struct identity *b = load(site_cert, site_key, NULL, &err);
	struct identity *longer = load(chain, site_key, NULL, &err);
	struct identity *foreign = load(second, second_key, NULL, &err);

	cr_assert(identity_equal(a, b));
	cr_assert_not(identity_equal(a, longer), "another chain");
	cr_assert_not(identity_equal(a, foreign), "another certificate");
	identity_unref(identity_ref(a));
	identity_unref(a);
	identity_unref(b);
	identity_unref(longer);
	identity_unref(foreign);
	free(second);
	free(second_key);
	free(chain);
}

/* ---- Names ---- */

static void
set_up_names(void)
{
	pki_folder_make(&folder);
}

static void
tear_down_names(void)
{
	pki_folder_remove(&folder);
}

TestSuite(identity_names, .init = set_up_names, .fini = tear_down_names);

/* Takes ownership of the pair. */
static struct identity *
load_made(struct pki made)
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

/* Its patterns, each with a blank behind it.  Frees the identity. */
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

static const struct name_row {
	const char *what;
	struct pki_wish given;
	const char *expect;
} name_rows[] = {
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

Test(identity_names, are_patterns_without_duplicates)
{
	for (size_t i = 0; i < ARRAY_LEN(name_rows); i++)
		expect_patterns(load_made(pki_make(&name_rows[i].given)),
		    name_rows[i].expect, name_rows[i].what);
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

/* Frees the names. */
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

Test(identity_names, leave_out_malformed_names)
{
	for (size_t i = 0; i < ARRAY_LEN(hostile_rows); i++) {
		const struct hostile_row *name_row = &hostile_rows[i];
		GENERAL_NAMES *names = GENERAL_NAMES_new();

		add_name(names, name_row->bytes, name_row->len);
		add_name(names, BYTES("ok.example"));
		expect_patterns(load_made(make_with("cn.example", names)),
		    "ok.example ", name_row->what);
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
	expect_patterns(
	    load_made(make_with(NULL, names)), "ok.example ", "long");
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
	identity = load_made(make_with(NULL, names));
	cr_assert_eq(identity_pattern_count(identity), 5000);
	cr_assert_str_eq(identity_pattern(identity, 0), "n00000.example");
	cr_assert_str_eq(identity_pattern(identity, 4999), "n04999.example");
	identity_unref(identity);
}

/* What an extension that cannot be read, or is there twice, may be hiding. */
Test(identity_names, ignore_the_common_name_beside_a_damaged_extension)
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
	expect_patterns(load_made(twice), "", "twice");
	cr_assert(
	    ASN1_OCTET_STRING_set(junk, (const unsigned char *)"junk", 4));
	cr_assert(X509_EXTENSION_set_data(extension, junk));
	cr_assert(X509_add_ext(damaged.certificate, extension, -1));
	cr_assert(
	    X509_sign(damaged.certificate, damaged.key, EVP_sha256()) > 0);
	expect_patterns(load_made(damaged), "", "damaged");
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(junk);
}

/* ---- Kinds of key ---- */

static struct pki signer;

static void
set_up_kinds(void)
{
	pki_folder_make(&folder);
	signer = pki_make(&(struct pki_wish){ .name = "signer" });
}

static void
tear_down_kinds(void)
{
	pki_folder_remove(&folder);
	pki_drop(&signer);
}

TestSuite(identity_kind, .init = set_up_kinds, .fini = tear_down_kinds);

/* Load a certificate for this key; frees the key. */
static struct identity *
load_with_key(EVP_PKEY *key, struct err *err)
{
	struct pki made = { X509_dup(signer.certificate), key };
	char *texts[2], *both, *path;
	struct identity *identity;

	cr_assert_not_null(key);
	cr_assert(X509_set_pubkey(made.certificate, key));
	cr_assert(X509_sign(made.certificate, signer.key, EVP_sha256()) > 0);
	texts[0] = pki_certificate_pem(&made);
	texts[1] = pki_key_pem(&made);
	both = pki_join(texts[0], texts[1]);
	path = pki_write(&folder, "site.pem", both);
	identity = identity_load(path, NULL, KEYS_ANY, NULL, err);
	free(texts[0]);
	free(texts[1]);
	free(both);
	free(path);
	pki_drop(&made);
	return identity;
}

static EVP_PKEY *
make_pss(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
	    NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;

	cr_assert(EVP_PKEY_keygen_init(context) == 1);
	cr_assert(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1);
	cr_assert(EVP_PKEY_generate(context, &key) == 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

Test(identity_kind, is_that_of_the_key)
{
	const struct {
		EVP_PKEY *key;
		enum identity_kind kind;
		const char *name;
	} rows[] = {
		{ EVP_RSA_gen(2048), IDENTITY_RSA, "RSA" },
		{ make_pss(), IDENTITY_RSA_PSS, "RSA-PSS" },
		{ EVP_EC_gen("P-256"), IDENTITY_ECDSA, "ECDSA" },
		{ EVP_EC_gen("P-384"), IDENTITY_ECDSA, "ECDSA" },
		{ EVP_EC_gen("P-521"), IDENTITY_ECDSA, "ECDSA" },
		{ EVP_EC_gen("brainpoolP256r1"), IDENTITY_ECDSA, "ECDSA" },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), IDENTITY_ED25519,
		    "Ed25519" },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), IDENTITY_ED448,
		    "Ed448" },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct identity *identity = load_with_key(rows[i].key, &err);

		cr_assert_not_null(
		    identity, "%s %zu: %s", rows[i].name, i, err.text);
		cr_assert_eq(
		    identity_kind(identity), rows[i].kind, "%s", rows[i].name);
		cr_assert_str_eq(
		    identity_kind_name(rows[i].kind), rows[i].name);
		identity_unref(identity);
	}
}

/* P-256 with explicit parameters. */
static EVP_PKEY *
make_described(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	cr_assert(EVP_PKEY_set_utf8_string_param(
	    key, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT));
	return key;
}

static EVP_PKEY *
make_dsa(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *parameters = NULL, *key = NULL;

	cr_assert(EVP_PKEY_paramgen_init(context) == 1);
	cr_assert(EVP_PKEY_CTX_set_dsa_paramgen_bits(context, 1024) == 1);
	cr_assert(EVP_PKEY_paramgen(context, &parameters) == 1);
	EVP_PKEY_CTX_free(context);
	context = EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL);
	cr_assert(EVP_PKEY_keygen_init(context) == 1);
	cr_assert(EVP_PKEY_generate(context, &key) == 1);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(parameters);
	return key;
}

Test(identity_kind, is_none_for_what_tls_cannot_use)
{
	const struct {
		EVP_PKEY *key;
		const char *says;
	} rows[] = {
		{ EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
		    "has a key of type X25519; TLS needs RSA, ECDSA or "
		    "Ed25519" },
		{ make_dsa(), "has a key of type DSA; TLS needs" },
		{ EVP_EC_gen("secp256k1"),
		    "is on a curve that TLS cannot use (secp256k1); use "
		    "P-256, P-384 or P-521" },
		{ EVP_EC_gen("P-224"), "TLS cannot use (secp224r1)" },
		{ make_described(), "(explicit parameters, no name)" },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert_null(
		    load_with_key(rows[i].key, &err), "%s", rows[i].says);
		cr_assert_not_null(strstr(err.text, rows[i].says), "%s: %s",
		    rows[i].says, err.text);
		cr_assert_not_null(strstr(err.text, "/site.pem"));
	}
}

/* The sentence names a key file of its own. */
Test(identity_kind, is_checked_for_the_key_as_well)
{
	char *cert = pki_certificate_pem(&signer), *key, *paths[2];
	struct pki useless = { NULL, EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };
	struct err err;

	key = pki_key_pem(&useless);
	paths[0] = pki_write(&folder, "cert.pem", cert);
	paths[1] = pki_write(&folder, "key.pem", key);
	cr_assert_null(identity_load(paths[0], paths[1], KEYS_ANY, NULL, &err));
	cr_assert_not_null(strstr(err.text, "key.pem is X25519; TLS needs RSA"),
	    "%s", err.text);
	free(cert);
	free(key);
	free(paths[0]);
	free(paths[1]);
	pki_drop(&useless);
}

/* ---- The loader ---- */

struct fixture {
	struct pki_folder folder;
	struct pki ca;
	struct identity_loader *loader;
	char *bundle; /* PEM of the CA */
};

static struct fixture fixture;

static void
set_up_loader(void)
{
	pki_folder_make(&fixture.folder);
	fixture.ca = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	fixture.bundle = pki_certificate_pem(&fixture.ca);
	fixture.loader = identity_loader_new();
	cr_assert_not_null(fixture.loader);
}

static void
tear_down_loader(void)
{
	identity_loader_free(fixture.loader);
	free(fixture.bundle);
	pki_drop(&fixture.ca);
	pki_folder_remove(&fixture.folder);
}

TestSuite(identity_loader, .init = set_up_loader, .fini = tear_down_loader);

/* A certificate of the CA, the CA, and these texts as the key.  NULL: *err. */
static struct identity *
load_of_ca(const struct pki *made, const char *key, struct err *err)
{
	char *cert = pki_certificate_pem(made);
	char *chain = pki_join(cert, fixture.bundle);
	char *text = pki_join(chain, key);
	char *path = pki_write(&fixture.folder, "site.pem", text);
	const struct identity_files files = {
		.cert = path,
		.permissions = KEYS_REFUSE,
	};
	struct identity *identity = identity_loader_load(
	    fixture.loader, &files, NULL, err);

	free(cert);
	free(chain);
	free(text);
	free(path);
	return identity;
}

static struct pki
make_leaf(enum pki_key key)
{
	return pki_make(&(struct pki_wish){
	    .name = "leaf.example", .key = key, .issuer = &fixture.ca });
}

/* A new one of the CA, in the usual form. */
static struct identity *
load_leaf(void)
{
	struct pki made = make_leaf(PKI_P256);
	char *key = pki_key_pem(&made);
	struct err err;
	struct identity *identity = load_of_ca(&made, key, &err);

	cr_assert_not_null(identity, "%s", err.text);
	free(key);
	pki_drop(&made);
	return identity;
}

static X509 *
intermediate(const struct identity *identity)
{
	cr_assert_eq(sk_X509_num(identity_chain(identity)), 1);
	return sk_X509_value(identity_chain(identity), 0);
}

Test(identity_loader, shares_intermediates_and_nothing_else)
{
	struct identity *a = load_leaf(), *b = load_leaf();

	cr_assert_eq(intermediate(a), intermediate(b));
	cr_assert_neq(identity_certificate(a), identity_certificate(b));
	cr_assert_neq(identity_key(a), identity_key(b));
	identity_unref(a);
	cr_assert_eq(X509_cmp(intermediate(b), fixture.ca.certificate), 0);
	identity_unref(b);
}

Test(identity_loader, shares_what_another_has_loaded)
{
	struct identity *old = load_leaf(), *fresh;

	identity_loader_free(fixture.loader);
	fixture.loader = identity_loader_new();
	identity_loader_share(fixture.loader, old);
	fresh = load_leaf();
	cr_assert_eq(intermediate(old), intermediate(fresh));
	identity_unref(old);
	identity_unref(fresh);
}

/* The second time round everything meets what the first has left. */
Test(identity_loader, reads_every_form_of_key_again_and_again)
{
	struct pki made[] = { make_leaf(PKI_P256), make_leaf(PKI_RSA) };
	struct err err;

	for (size_t i = 0; i < 3 * ARRAY_LEN(made); i++) {
		const struct pki *one = &made[i % ARRAY_LEN(made)];
		char *forms[] = { pki_key_pem(one), pki_legacy_key_pem(one) };

		for (size_t j = 0; j < ARRAY_LEN(forms); j++) {
			struct identity *identity = load_of_ca(
			    one, forms[j], &err);

			cr_assert_not_null(
			    identity, "%.40s: %s", forms[j], err.text);
			cr_assert(
			    EVP_PKEY_eq(identity_key(identity), one->key) == 1);
			identity_unref(identity);
			free(forms[j]);
		}
	}
	pki_drop(&made[0]);
	pki_drop(&made[1]);
}

/* PEM of what DER these two calls make. */
static char *
pem_of(const char *type, unsigned char *der, int len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long size;

	cr_assert(PEM_write_bio(bio, type, "", der, len) > 0);
	size = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)size);
	BIO_free(bio);
	OPENSSL_free(der);
	return text;
}

/* A public key, under whatever name, is no private one: the pair would match
 * and no handshake work. */
Test(identity_loader, rejects_a_public_key)
{
	static const char *const types[] = { "PRIVATE KEY", "EC PRIVATE KEY" };
	struct pki made = make_leaf(PKI_P256);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(made.key, &der);
		char *text = pem_of(types[i], der, len);

		identity_unref(load_leaf());
		cr_assert_null(load_of_ca(&made, text, &err), "%s", types[i]);
		cr_assert_not_null(strstr(err.text, "is damaged"), "%s: %s",
		    types[i], err.text);
		free(text);
	}
	pki_drop(&made);
}

static const struct bad_row {
	const char *key, *says;
} bad_rows[] = {
	{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	    "is damaged" },
	{ "-----BEGIN EC PRIVATE KEY-----\nMAAA\n"
	  "-----END EC PRIVATE KEY-----\n",
	    "is damaged" },
	{ "-----BEGIN RSA PRIVATE KEY-----\nMAAA\n"
	  "-----END RSA PRIVATE KEY-----\n",
	    "is damaged" },
	{ "", "has no private key" },
};

Test(identity_loader, goes_on_after_a_bad_file)
{
	struct pki made = make_leaf(PKI_P256);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		cr_assert_null(load_of_ca(&made, bad_rows[i].key, &err));
		cr_assert_not_null(strstr(err.text, bad_rows[i].says), "%s: %s",
		    bad_rows[i].key, err.text);
		identity_unref(load_leaf());
	}
	pki_drop(&made);
}

/* ---- Out of memory ---- */

enum { ENOUGH = 100000 };

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

static char *site_path;

static void
set_up_memory(void)
{
	struct pki ca = pki_make(
	    &(struct pki_wish){ .name = "ca", .ca = true });
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a.example",
	    .san = "DNS:a.example,DNS:*.b.example,DNS:c.example",
	    .issuer = &ca });
	char *parts[] = { pki_certificate_pem(&leaf), pki_certificate_pem(&ca),
		pki_key_pem(&leaf) };
	char text[16384] = "";

	for (size_t i = 0; i < 3; i++) {
		strcat(text, parts[i]);
		free(parts[i]);
	}
	pki_folder_make(&folder);
	site_path = pki_write(&folder, "site.pem", text);
	pki_drop(&leaf);
	pki_drop(&ca);
}

static void
tear_down_memory(void)
{
	free(site_path);
	pki_folder_remove(&folder);
}

TestSuite(identity_memory, .init = set_up_memory, .fini = tear_down_memory);

static void
expect_whole(const struct identity *identity, long n)
{
	static const char *const names[] = { "*.b.example", "a.example",
		"c.example" };

	cr_assert_eq(identity_pattern_count(identity), 3, "allocation %ld", n);
	for (size_t i = 0; i < 3; i++)
		cr_expect_str_eq(identity_pattern(identity, i), names[i],
		    "allocation %ld", n);
	cr_expect_str_eq(
	    identity_name(identity), "a.example", "allocation %ld", n);
	cr_expect_eq(sk_X509_num(identity_chain(identity)), 1, "%ld", n);
	cr_expect_eq(identity_kind(identity), IDENTITY_ECDSA, "%ld", n);
	cr_expect_gt(identity_not_after(identity), 0, "allocation %ld", n);
}

/* Was there an n-th allocation? */
static bool
load_site(long n)
{
	struct err warning, err = { "" };
	struct identity *identity;
	bool failed;

	scarce_begin(n);
	identity = identity_load(site_path, NULL, KEYS_ANY, &warning, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (identity != NULL)
		expect_whole(identity, n);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	identity_unref(identity);
	return failed;
}

Test(identity_memory, allocation_failure_is_an_error_or_changes_nothing)
{
	long n = 0;

	cr_assert_not(load_site(1000000));
	while (n < ENOUGH && load_site(n))
		n++;
	cr_expect(n > 50 && n < ENOUGH, "%ld", n);
}

/* ---- Warning levels of a validity period ---- */

#define DAY 86400.0
#define FROM 1800000000

static const struct {
	const char *what;
	double period, left; /* days */
	enum validity_warning expect;
} validity_rows[] = {
	{ "a 6-day certificate, new", 6, 6, VALIDITY_FINE },
	{ "6 days, over a third", 6, 2.01, VALIDITY_FINE },
	{ "6 days, a third", 6, 2, VALIDITY_THIRD },
	{ "6 days, a sixth", 6, 1, VALIDITY_SIXTH },
	{ "6 days, a thirtieth", 6, 0.2, VALIDITY_THIRTIETH },
	{ "6 days, ended", 6, 0, VALIDITY_ENDED },
	{ "90 days, over a third", 90, 30.01, VALIDITY_FINE },
	{ "90 days, a third", 90, 30, VALIDITY_THIRD },
	{ "90 days, a sixth", 90, 15, VALIDITY_SIXTH },
	{ "a year: at most 30 days ahead", 365, 30.01, VALIDITY_FINE },
	{ "a year", 365, 30, VALIDITY_THIRD },
	{ "a year, 15 days", 365, 15, VALIDITY_SIXTH },
	{ "a year, 3 days", 365, 3, VALIDITY_THIRTIETH },
	{ "a daily list, new", 1, 1, VALIDITY_FINE },
	{ "a daily list, 8 hours", 1, 1 / 3.0, VALIDITY_THIRD },
	{ "long past", 1, -100, VALIDITY_ENDED },
};

Test(validity, warns_by_the_fraction_that_is_left)
{
	for (size_t i = 0; i < ARRAY_LEN(validity_rows); i++) {
		int64_t end = FROM + (int64_t)(validity_rows[i].period * DAY);
		int64_t now = end - (int64_t)(validity_rows[i].left * DAY);

		cr_expect_eq(validity_warning(FROM, end, now),
		    validity_rows[i].expect, "%s", validity_rows[i].what);
	}
}

Test(validity, overflows_on_no_date)
{
	cr_expect_eq(validity_warning(0, INT64_MAX, FROM), VALIDITY_FINE);
	cr_expect_eq(validity_warning(FROM, 0, FROM), VALIDITY_ENDED);
	cr_expect_eq(
	    validity_warning(FROM + 100, FROM + 50, FROM), VALIDITY_FINE);
}
