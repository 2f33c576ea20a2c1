/*
 * Certificate and key files: what loads, and a sentence for each thing that
 * can be wrong with them.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder folder;
static struct pki site, other;
static char *cert, *key; /* PEM texts of site */

static void
set_up(void)
{
	pki_folder_make(&folder);
	site = pki_make(&(struct pki_wish){ .name = "site.example" });
	other = pki_make(&(struct pki_wish){ .name = "other.example" });
	cert = pki_certificate_pem(&site);
	key = pki_key_pem(&site);
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
	pki_drop(&site);
	pki_drop(&other);
	free(cert);
	free(key);
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
	char *both = pki_join(cert, key), *swapped = pki_join(key, cert);
	const struct {
		const char *what, *cert, *key;
	} rows[] = {
		{ "two files", cert, key },
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
	char *chain = pki_join(cert, second);
	struct err err;
	struct identity *identity = load(chain, key, NULL, &err);

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
} names[] = {
	{ { .name = "cn.example", .san = "DNS:a.example" }, "cn.example" },
	{ { .san = "IP:192.0.2.1,DNS:a.example,DNS:b.example" }, "a.example" },
	{ { 0 }, "unnamed" },
};

Test(identity, falls_back_to_the_first_dns_name)
{
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		struct pki made = pki_make(&names[i].wish);
		char *texts[] = { pki_certificate_pem(&made),
			pki_key_pem(&made) };
		struct identity *identity = load(
		    texts[0], texts[1], NULL, &err);

		cr_assert_not_null(identity, "%s", err.text);
		cr_assert_str_eq(identity_name(identity), names[i].expect);
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

	expect_refusal("", key, "@/cert.pem is empty");
	expect_refusal("no PEM at all\n", key,
	    "@/cert.pem holds no PEM block: no line begins with -----BEGIN");
	expect_refusal(
	    key, key, "@/cert.pem holds no certificate, only: PRIVATE KEY");
	expect_refusal(cert, cert,
	    "@/key.pem holds no private key, only: CERTIFICATE; key = has to "
	    "name the file of the key");
	expect_refusal(cert, NULL,
	    "@/cert.pem holds no private key, only: CERTIFICATE; name the "
	    "file of the key with key = PATH");
	expect_refusal(cert, request,
	    "@/key.pem holds no private key, only: PUBLIC KEY; "
	    "key = has to name the file of the key");
	free(request);
}

Test(identity, refuses_damaged_files)
{
	char *broken = strdup(cert);
	struct err err;

	memset(strchr(broken, '\n') + 9, '?', 4);
	cr_assert_null(load(broken, key, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "/cert.pem: PEM block 1 is damaged"), "%s",
	    err.text);
	cr_assert_null(load("-----BEGIN CERTIFICATE-----\nAAAA\n"
			    "-----END CERTIFICATE-----\n",
	    key, NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "certificate 1 in "), "%s", err.text);
	cr_assert_null(load(cert,
	    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	    NULL, &err));
	cr_assert_not_null(
	    strstr(err.text, "key.pem is damaged"), "%s", err.text);
	free(broken);
}

Test(identity, tells_how_to_decrypt_a_key)
{
	char *locked = pki_locked_key_pem(&site);
	static const char old[] = "-----BEGIN EC PRIVATE KEY-----\n"
				  "Proc-Type: 4,ENCRYPTED\n"
				  "DEK-Info: AES-128-CBC,00\n\nAAAA\n"
				  "-----END EC PRIVATE KEY-----\n";
	const char *expect =
	    "the private key in @/key.pem is encrypted, and a password is "
	    "never asked for; decrypt it with: openssl pkey -in @/key.pem -out "
	    "decrypted.key, and use decrypted.key as the file of the key";

	expect_refusal(cert, locked, expect);
	expect_refusal(cert, old, expect);
	free(locked);
}

Test(identity, refuses_a_pair_that_is_none)
{
	char *foreign = pki_key_pem(&other);
	char *second = pki_certificate_pem(&other);
	char *chain = pki_join(cert, second);

	expect_refusal(cert, foreign,
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

Test(identity, judges_who_may_read_the_key)
{
	char *both = pki_join(cert, key);
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

Test(identity, says_how_to_keep_others_from_the_key)
{
	char *both = pki_join(cert, key);
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

Test(identity, warns_of_dates_and_serves_all_the_same)
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

Test(identity, is_equal_to_its_copy_alone)
{
	char *second = pki_certificate_pem(&other);
	char *second_key = pki_key_pem(&other);
	char *chain = pki_join(cert, second);
	struct err err;
	struct identity *a = load(cert, key, NULL, &err);
	struct identity *b = load(cert, key, NULL, &err);
	struct identity *longer = load(chain, key, NULL, &err);
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
