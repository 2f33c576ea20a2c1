/*
 * What kind of key a certificate certifies.  Any thread.  Judged when it is
 * loaded: OpenSSL takes keys that no handshake can use, and then refuses every
 * client without a word to us.
 */
#include "tls/identity_inner.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "tls/error.h"

static const struct kind {
	int type;
	const char *name;
} kinds[IDENTITY_KINDS] = {
	[IDENTITY_RSA] = { EVP_PKEY_RSA, "RSA" },
	[IDENTITY_RSA_PSS] = { EVP_PKEY_RSA_PSS, "RSA-PSS" },
	[IDENTITY_ECDSA] = { EVP_PKEY_EC, "ECDSA" },
	[IDENTITY_ED25519] = { EVP_PKEY_ED25519, "Ed25519" },
	[IDENTITY_ED448] = { EVP_PKEY_ED448, "Ed448" },
};

/* RFC 8422 section 5.1.1 has left these of all NIST curves; RFC 7027 adds the
 * Brainpool curves. */
static const char *const curves[] = {
	"prime256v1",
	"secp384r1",
	"secp521r1",
	"brainpoolP256r1",
	"brainpoolP384r1",
	"brainpoolP512r1",
};

static bool
is_curve_of_tls(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(curves[i], name) == 0)
			return true;
	return false;
}

/* RFC 5480 section 2.1.1: a curve is named, never described. */
static bool
check_curve(const EVP_PKEY *key, const char *path, struct err *err)
{
	char name[80] = "without a name";
	int described = 0;

	if (EVP_PKEY_get_int_param(key,
		OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
		&described) == 1 &&
	    !described &&
	    EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) == 1 &&
	    is_curve_of_tls(name))
		return true;
	tls_error_clear();
	err_set(err,
	    "the key of the certificate in %s is on a curve that TLS cannot "
	    "use (%s); use P-256, P-384 or P-521",
	    path, described ? "described, not named" : name);
	return false;
}

static bool
refuse(int type, const char *path, struct err *err)
{
	err_set(err,
	    "the certificate in %s has a key of type %s; TLS needs RSA, ECDSA "
	    "or Ed25519",
	    path, OBJ_nid2sn(type));
	tls_error_clear();
	return false;
}

bool
identity_kind_find(enum identity_kind *kind, const X509 *leaf, const char *path,
    struct err *err)
{
	const EVP_PKEY *key = X509_get0_pubkey(leaf);
	int type, i;

	if (key == NULL) {
		tls_error_set(err,
		    "the public key of the certificate in %s cannot be read",
		    path);
		return false;
	}
	type = EVP_PKEY_get_base_id(key);
	for (i = 0; i < IDENTITY_KINDS; i++)
		if (kinds[i].type == type)
			break;
	if (i == IDENTITY_KINDS)
		return refuse(type, path, err);
	*kind = (enum identity_kind)i;
	return *kind != IDENTITY_ECDSA || check_curve(key, path, err);
}

const char *
identity_kind_name(enum identity_kind kind)
{
	return kinds[kind].name;
}
