/*
 * Many identities through one loader: what is shared, and that one bad file
 * spoils no other.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "tests/support/pki.h"

struct fixture {
	struct pki_folder folder;
	struct pki ca;
	struct identity_loader *loader;
	char *bundle; /* PEM of the CA */
};

static struct fixture fixture;

static void
set_up(void)
{
	pki_folder_make(&fixture.folder);
	fixture.ca = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	fixture.bundle = pki_certificate_pem(&fixture.ca);
	fixture.loader = identity_loader_new();
	cr_assert_not_null(fixture.loader);
}

static void
tear_down(void)
{
	identity_loader_free(fixture.loader);
	free(fixture.bundle);
	pki_drop(&fixture.ca);
	pki_folder_remove(&fixture.folder);
}

TestSuite(identity_loader, .init = set_up, .fini = tear_down);

/* A certificate of the CA, the CA, and these texts as the key.  NULL: *err. */
static struct identity *
load(const struct pki *made, const char *key, struct err *err)
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
	struct identity *identity = load(&made, key, &err);

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

Test(identity_loader, takes_up_what_another_has_loaded)
{
	struct identity *old = load_leaf(), *fresh;

	identity_loader_free(fixture.loader);
	fixture.loader = identity_loader_new();
	identity_loader_know(fixture.loader, old);
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
			struct identity *identity = load(one, forms[j], &err);

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
Test(identity_loader, takes_no_public_key_for_a_private_one)
{
	static const char *const types[] = { "PRIVATE KEY", "EC PRIVATE KEY" };
	struct pki made = make_leaf(PKI_P256);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(made.key, &der);
		char *text = pem_of(types[i], der, len);

		identity_unref(load_leaf());
		cr_assert_null(load(&made, text, &err), "%s", types[i]);
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
	{ "", "holds no private key" },
};

Test(identity_loader, goes_on_after_a_bad_file)
{
	struct pki made = make_leaf(PKI_P256);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
		cr_assert_null(load(&made, bad_rows[i].key, &err));
		cr_assert_not_null(strstr(err.text, bad_rows[i].says), "%s: %s",
		    bad_rows[i].key, err.text);
		identity_unref(load_leaf());
	}
	pki_drop(&made);
}
