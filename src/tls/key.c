/*
 * Private keys.  One thread at a time.  OpenSSL's general readers try every
 * decoder they know; told the type, which the block itself says, they try one
 * and are four times as fast.  OpenSSL 3.0 also collects its decoders anew for
 * each key, which takes longer than decoding one: so they are kept.
 */
#include "tls/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/decoder.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"

static const struct kind {
	int type;
	const char *name;
} kinds[] = {
	{ EVP_PKEY_EC, "EC" },
	{ EVP_PKEY_RSA, "RSA" },
	{ EVP_PKEY_RSA_PSS, "RSA-PSS" },
	{ EVP_PKEY_ED25519, "ED25519" },
	{ EVP_PKEY_ED448, "ED448" },
};

struct key_decoder {
	OSSL_DECODER_CTX *contexts[ARRAY_LEN(kinds)]; /* NULL: not yet */
	EVP_PKEY *key; /* where each of them puts what it has decoded */
};

struct key_decoder *
key_decoder_new(void)
{
	return calloc(1, sizeof(struct key_decoder));
}

void
key_decoder_free(struct key_decoder *decoder)
{
	if (decoder == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		OSSL_DECODER_CTX_free(decoder->contexts[i]);
	free(decoder);
}

static const struct kind *
find_kind(int type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
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
	if (strcmp(block->type, "DSA PRIVATE KEY") == 0)
		return EVP_PKEY_DSA;
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

/* NULL: it cannot, or will not. */
static EVP_PKEY *
decode_fast(struct key_decoder *decoder, const struct kind *kind,
    const struct pem_block *block)
{
	OSSL_DECODER_CTX **context = &decoder->contexts[kind - kinds];
	const unsigned char *der = block->data;
	size_t len = (size_t)block->len;

	decoder->key = NULL;
	if (*context == NULL)
		*context = OSSL_DECODER_CTX_new_for_pkey(&decoder->key, "DER",
		    NULL, kind->name, EVP_PKEY_KEYPAIR, NULL, NULL);
	if (*context && OSSL_DECODER_from_data(*context, &der, &len) == 1)
		return decoder->key;
	/* Whatever state it is in now, no other key is to meet it. */
	OSSL_DECODER_CTX_free(*context);
	*context = NULL;
	EVP_PKEY_free(decoder->key);
	return NULL;
}

static EVP_PKEY *
decode_as(struct key_decoder *decoder, const struct kind *kind,
    const struct pem_block *block)
{
	const unsigned char *der = block->data;
	EVP_PKEY *key = decoder ? decode_fast(decoder, kind, block) : NULL;

	if (key == NULL) {
		tls_error_clear();
		key = d2i_PrivateKey(kind->type, NULL, &der, block->len);
	}
	return key;
}

static EVP_PKEY *
decode(struct key_decoder *decoder, const struct pem_block *block,
    const char *path, struct err *err)
{
	int type = key_type(block);
	const struct kind *kind = find_kind(type);
	EVP_PKEY *key;

	if (strcmp(block->type, "OPENSSH PRIVATE KEY") == 0) {
		err_set(err,
		    "the private key in %s has the format of OpenSSH; convert "
		    "a copy of it with: ssh-keygen -p -N '' -m PKCS8 -f %s",
		    path, path);
		return NULL;
	}
	key = kind ? decode_as(decoder, kind, block) : NULL;

	if (kind == NULL && type != EVP_PKEY_NONE) {
		err_set(err,
		    "the private key in %s is %s; TLS needs RSA, ECDSA or "
		    "Ed25519",
		    path, OBJ_nid2sn(type));
		return NULL;
	}
	if (key == NULL)
		tls_error_set(err, "the private key in %s is damaged", path);
	return key;
}

static EVP_PKEY *
decode_plain(struct key_decoder *decoder, const struct pem_block *block,
    const char *path, struct err *err)
{
	if (!is_encrypted(block))
		return decode(decoder, block, path, err);
	err_set(err,
	    "the private key in %s is encrypted, and a password is never asked "
	    "for; decrypt it with: openssl pkey -in %s -out decrypted.key, and "
	    "use decrypted.key as the file of the key",
	    path, path);
	return NULL;
}

EVP_PKEY *
key_decode(struct key_decoder *decoder, const struct pem *pem, const char *path,
    struct err *err)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		if (pem_is_key(pem->blocks[i].type))
			return decode_plain(
			    decoder, &pem->blocks[i], path, err);
	err_set(err, "%s holds no private key, only: %s", path,
	    pem->blocks[0].type);
	return NULL;
}
