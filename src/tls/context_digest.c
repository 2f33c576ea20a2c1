/*
 * What tells contexts apart.  Main thread.  Files are told by what was read
 * from them (the trust's digest), so that a renewed list makes another context
 * and a moved one does not.
 */
#include "tls/context.h"

#include <string.h>

#include <openssl/evp.h>

#include "tls/error.h"
#include "tls/trust.h"

static bool
add_number(EVP_MD_CTX *state, uint32_t number)
{
	const uint8_t bytes[] = { (uint8_t)(number >> 24),
		(uint8_t)(number >> 16), (uint8_t)(number >> 8),
		(uint8_t)number };

	return EVP_DigestUpdate(state, bytes, sizeof(bytes)) == 1;
}

/* NULL and "" differ, and no value can run into its neighbour. */
static bool
add_text(EVP_MD_CTX *state, const char *text)
{
	if (text == NULL)
		return EVP_DigestUpdate(state, "-", 2) == 1;
	return EVP_DigestUpdate(state, "+", 1) == 1 &&
	       EVP_DigestUpdate(state, text, strlen(text) + 1) == 1;
}

static bool
add_texts(EVP_MD_CTX *state, const struct config_strings *texts)
{
	bool ok = add_number(state, (uint32_t)texts->count);
	size_t i;

	for (i = 0; ok && i < texts->count; i++)
		ok = add_text(state, texts->items[i]);
	return ok;
}

static bool
add_trust(EVP_MD_CTX *state, const struct trust *trust)
{
	if (trust == NULL)
		return add_number(state, 0);
	return add_number(state, 1) &&
	       EVP_DigestUpdate(state, trust_digest(trust), 32) == 1;
}

static bool
add_settings(EVP_MD_CTX *state, const struct config_listener *settings)
{
	return add_number(state, settings->profile) &&
	       add_number(state, settings->min_version) &&
	       add_number(state, settings->max_version) &&
	       add_text(state, settings->ciphers) &&
	       add_text(state, settings->ciphersuites) &&
	       add_text(state, settings->groups) &&
	       add_number(state, settings->server_order) &&
	       add_texts(state, &settings->alpn) &&
	       add_number(state, settings->tickets) &&
	       add_number(state, settings->session_timeout_ms) &&
	       add_number(state, settings->verify) &&
	       add_number(state, settings->client_purpose) &&
	       add_texts(state, &settings->allow_san) &&
	       add_texts(state, &settings->allow_cn);
}

bool
tls_context_digest(const struct config_listener *settings,
    const struct trust *trust, uint8_t digest[32], struct err *err)
{
	EVP_MD_CTX *state = EVP_MD_CTX_new();
	bool ok = state != NULL &&
		  EVP_DigestInit_ex(state, EVP_sha256(), NULL) == 1 &&
		  add_settings(state, settings) && add_trust(state, trust) &&
		  EVP_DigestFinal_ex(state, digest, NULL) == 1;

	EVP_MD_CTX_free(state);
	if (!ok)
		tls_error_set(err, "no SHA-256");
	return ok;
}
