/*
 * Certificates out of a PEM file.  Main thread.  The first one is the leaf by
 * the convention of every TLS server; whether the others belong to it is not
 * asked here.
 */
#include "tls/chain.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "tls/chain_cache.h"
#include "tls/error.h"
#include "tls/pem.h"

/* Leaves differ; only those behind them are worth a look in the cache. */
static X509 *
decode(const struct chain *chain, struct chain_cache *cache,
    const struct pem_block *block)
{
	return chain_cache_decode(chain->leaf == NULL ? NULL : cache,
	    block->data, (size_t)block->len);
}

static bool
add(struct chain *chain, X509 *certificate, const char *path, struct err *err)
{
	int position = 1 + (chain->leaf != NULL) + sk_X509_num(chain->rest);

	if (certificate == NULL) {
		tls_error_set(
		    err, "certificate %d in %s is damaged", position, path);
		return false;
	}
	if (chain->leaf == NULL) {
		chain->leaf = certificate;
	} else if (sk_X509_push(chain->rest, certificate) <= 0) {
		X509_free(certificate);
		err_set(err, "out of memory");
		return false;
	}
	return true;
}

/* What to do about blocks that are near a certificate and are none. */
static const char *
advice_for(const char *type)
{
	if (strcmp(type, "PKCS7") == 0 || strcmp(type, "CMS") == 0)
		return "; take the certificates out of it with: openssl pkcs7 "
		       "-print_certs";
	if (strstr(type, "CERTIFICATE REQUEST") != NULL)
		return "; a CA makes a certificate of it";
	return "";
}

bool
chain_decode(struct chain *chain, struct chain_cache *cache,
    const struct pem *pem, const char *path, struct err *err)
{
	*chain = (struct chain){ NULL, sk_X509_new_null() };
	if (chain->rest == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	for (size_t i = 0; i < pem->count; i++)
		if (pem_is_certificate(pem->blocks[i].type) &&
		    !add(chain, decode(chain, cache, &pem->blocks[i]), path,
			err))
			return false;
	if (chain->leaf == NULL)
		err_set(err, "%s holds no certificate, only: %s%s", path,
		    pem->blocks[0].type, advice_for(pem->blocks[0].type));
	return chain->leaf != NULL;
}

bool
chain_load(struct chain *chain, const char *path, struct err *err)
{
	struct pem pem;
	bool loaded;

	*chain = (struct chain){ NULL, NULL };
	tls_error_clear();
	loaded = pem_read(&pem, path, err) &&
		 chain_decode(chain, NULL, &pem, path, err);
	/* There may have been a key in it. */
	pem_wipe(&pem);
	return loaded;
}

void
chain_drop(struct chain *chain)
{
	X509_free(chain->leaf);
	sk_X509_pop_free(chain->rest, X509_free);
	*chain = (struct chain){ NULL, NULL };
}

void
chain_print_serial(const X509 *certificate, char *text, size_t max)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(
	    X509_get0_serialNumber(certificate), NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;

	snprintf(text, max, "%s", hex != NULL ? hex : "?");
	OPENSSL_free(hex);
	BN_free(number);
	tls_error_clear();
}

void
chain_print_name(const X509_NAME *name, char *text, size_t max)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len = 0;

	/* XN_FLAG_RFC2253 escapes what could harm a terminal. */
	if (bio != NULL &&
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_get_mem_data(bio, &data);
	snprintf(text, max, "%.*s", (int)len, data != NULL ? data : "");
	BIO_free(bio);
	tls_error_clear();
}

void
chain_print_issuer(const X509 *certificate, char *text, size_t max)
{
	chain_print_name(X509_get_issuer_name(certificate), text, max);
}
