/*
 * Certificates in common.  One thread at a time.  Bytes are compared, not
 * names: authorities reissue intermediates under the same name and key.
 */
#include "tls/chain_cache.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "tls/error.h"

struct chain_cache {
	void *tree; /* of struct known */
};

struct known {
	X509 *certificate;
	const unsigned char *bytes; /* a copy of ours, or a stranger's */
	size_t len;
};

struct chain_cache *
chain_cache_new(void)
{
	return calloc(1, sizeof(struct chain_cache));
}

static void
forget(void *node)
{
	struct known *known = node;

	X509_free(known->certificate);
	free(known);
}

void
chain_cache_free(struct chain_cache *cache)
{
	if (cache == NULL)
		return;
	tdestroy(cache->tree, forget);
	free(cache);
}

static int
compare(const void *a, const void *b)
{
	const struct known *first = a, *second = b;

	if (first->len != second->len)
		return first->len < second->len ? -1 : 1;
	return memcmp(first->bytes, second->bytes, first->len);
}

/* Best effort: what cannot be remembered is decoded again. */
static void
remember(struct chain_cache *cache, X509 *certificate, const struct known *of)
{
	struct known *known = malloc(sizeof(*known) + of->len);

	if (known == NULL)
		return;
	known->bytes = memcpy(known + 1, of->bytes, of->len);
	known->len = of->len;
	known->certificate = certificate;
	if (tsearch(known, &cache->tree, compare) == NULL)
		free(known);
	else
		X509_up_ref(certificate);
}

X509 *
chain_cache_decode(
    struct chain_cache *cache, const unsigned char *bytes, size_t len)
{
	const struct known wanted = { .bytes = bytes, .len = len };
	struct known **found = cache ? tfind(&wanted, &cache->tree, compare)
				     : NULL;
	X509 *certificate;

	if (found) {
		X509_up_ref((*found)->certificate);
		return (*found)->certificate;
	}
	certificate = d2i_X509_AUX(NULL, &bytes, (long)len);
	if (certificate && cache)
		remember(cache, certificate, &wanted);
	return certificate;
}

void
chain_cache_know(struct chain_cache *cache, X509 *certificate)
{
	unsigned char *bytes = NULL;
	int len = i2d_X509_AUX(certificate, &bytes);
	const struct known of = { .bytes = bytes, .len = (size_t)len };

	if (len > 0 && tfind(&of, &cache->tree, compare) == NULL)
		remember(cache, certificate, &of);
	OPENSSL_free(bytes);
	tls_error_clear();
}
