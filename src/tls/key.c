/*
 * Private keys.  Main thread.  OpenSSL's general readers try every decoder
 * they know; told the type, which the block itself says, d2i_PrivateKey tries
 * one and is four times as fast.
 */
#include "tls/key.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"

static bool
is_key(const struct pem_block *block)
{
	const char *tail = "PRIVATE KEY";
	size_t len = strlen(block->type), tail_len = strlen(tail);

	return len >= tail_len &&
	       strcmp(block->type + len - tail_len, tail) == 0;
}

/* The type an unencrypted key block holds; EVP_PKEY_NONE: none of ours. */
static int
key_type(const struct pem_block *block)
{
	const unsigned char *der = block->data;
	const ASN1_OBJECT *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	int type = EVP_PKEY_NONE;

	if (strcmp(block->type, "RSA PRIVATE KEY") == 0)
		return EVP_PKEY_RSA;
	if (strcmp(block->type, "EC PRIVATE KEY") == 0)
		return EVP_PKEY_EC;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, block->len);
	if (info != NULL &&
	    PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) == 1)
		type = OBJ_obj2nid(algorithm);
	PKCS8_PRIV_KEY_INFO_free(info);
	return type;
}

static bool
is_encrypted(const struct pem_block *block)
{
	return strncmp(block->type, "ENCRYPTED", strlen("ENCRYPTED")) == 0 ||
	       strstr(block->header, "ENCRYPTED") != NULL;
}

/* Told its type, OpenSSL tries one decoder instead of all of them. */
static EVP_PKEY *
decode(const struct pem_block *block, const char *path, struct err *err)
{
	const unsigned char *der = block->data;
	int type;
	EVP_PKEY *key;

	if (is_encrypted(block)) {
		err_set(err,
		    "the private key in %s is encrypted; decrypt it with: "
		    "openssl pkey -in %s -out decrypted.pem",
		    path, path);
		return NULL;
	}
	type = key_type(block);
	if (type == EVP_PKEY_DSA ||
	    strcmp(block->type, "DSA PRIVATE KEY") == 0) {
		err_set(err,
		    "the private key in %s is DSA; TLS needs RSA, ECDSA or "
		    "Ed25519",
		    path);
		return NULL;
	}
	key = d2i_PrivateKey(type, NULL, &der, block->len);
	if (key == NULL)
		tls_error_set(err, "the private key in %s is damaged", path);
	tls_error_clear();
	return key;
}

EVP_PKEY *
key_decode(const struct pem *pem, const char *path, struct err *err)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		if (is_key(&pem->blocks[i]))
			return decode(&pem->blocks[i], path, err);
	if (strstr(pem->blocks[0].type, "CERTIFICATE") != NULL)
		err_set(err,
		    "%s holds no private key, only: %s; name the file of the "
		    "key with key = PATH",
		    path, pem->blocks[0].type);
	else
		err_set(err, "%s holds no private key, only: %s", path,
		    pem->blocks[0].type);
	return NULL;
}
