/*
 * Which keys TLS can use, and a sentence for those it cannot.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct pki_folder folder;
static struct pki signer;

static void
set_up(void)
{
	pki_folder_make(&folder);
	signer = pki_make(&(struct pki_wish){ .name = "signer" });
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
	pki_drop(&signer);
}

TestSuite(identity_kind, .init = set_up, .fini = tear_down);

/* Load a certificate for this key, which it takes. */
static struct identity *
load(EVP_PKEY *key, struct err *err)
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
		struct identity *identity = load(rows[i].key, &err);

		cr_assert_not_null(
		    identity, "%s %zu: %s", rows[i].name, i, err.text);
		cr_assert_eq(
		    identity_kind(identity), rows[i].kind, "%s", rows[i].name);
		cr_assert_str_eq(
		    identity_kind_name(rows[i].kind), rows[i].name);
		identity_unref(identity);
	}
}

/* P-256, but told by its numbers. */
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
		{ make_described(), "(described, not named)" },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert_null(load(rows[i].key, &err), "%s", rows[i].says);
		cr_assert_not_null(strstr(err.text, rows[i].says), "%s: %s",
		    rows[i].says, err.text);
		cr_assert_not_null(strstr(err.text, "/site.pem"));
	}
}

/* A key of its own file is told of as such. */
Test(identity_kind, is_asked_of_the_key_as_well)
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
