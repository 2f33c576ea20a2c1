/*
 * What is known of a TLS stream once its handshake is done.  The stream's
 * thread.  OpenSSL keeps these facts, and they are read from it when the log or
 * a header needs them.  `stapled` is the exception: secure.c frees OpenSSL's
 * copy of the response when the handshake is done.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/client.h"
#include "tls/secure.h"

static const char *
group_name(SSL *ssl)
{
	int id = (int)SSL_get_negotiated_group(ssl);

	return id == 0 ? NULL : SSL_group_to_name(ssl, id);
}

/* "EC256", "RSA2048"; those of one size only have none in their name. */
static void
name_key(EVP_PKEY *key, char *out, size_t max)
{
	const char *name = EVP_PKEY_get0_type_name(key);
	int type = EVP_PKEY_get_base_id(key);

	if (type == EVP_PKEY_EC || type == EVP_PKEY_RSA ||
	    type == EVP_PKEY_RSA_PSS)
		snprintf(out, max, "%s%d", name, EVP_PKEY_get_bits(key));
	else
		snprintf(out, max, "%s", name ? name : "");
}

/* A resumed client is shown no certificate. */
static void
describe_shown(SSL *ssl, struct stream_facts *facts)
{
	X509 *shown = facts->resumed ? NULL : SSL_get_certificate(ssl);

	facts->signature_algorithm = "";
	if (shown == NULL)
		return;
	name_key(X509_get0_pubkey(shown), facts->key_algorithm,
	    sizeof(facts->key_algorithm));
	facts->signature_algorithm = OBJ_nid2sn(X509_get_signature_nid(shown));
}

static void
describe_client(SSL *ssl, struct stream_facts *facts)
{
	struct client_facts client;

	client_facts(ssl, &client);
	facts->client_presented = client.presented;
	facts->client_in_session = client.in_session;
	facts->client_verified = client.in_session &&
				 client.verify_result == X509_V_OK;
}

void
secure_facts(const struct stream *stream, struct stream_facts *facts)
{
	SSL *ssl = stream->ssl;
	const unsigned char *alpn = NULL;
	unsigned alpn_len = 0;

	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	*facts = (struct stream_facts){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
		.group = group_name(ssl),
		.sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
		.alpn = (const char *)alpn,
		.alpn_len = alpn_len,
		.resumed = SSL_session_reused(ssl) == 1,
		.stapled = stream->stapled,
	};
	describe_shown(ssl, facts);
	describe_client(ssl, facts);
}

static bool
lacks_certificate(const struct stream *stream)
{
	unsigned long code = stream->failure_code;

	return ERR_GET_LIB(code) == ERR_LIB_SSL &&
	       ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

bool
stream_is_check(const struct stream *stream)
{
	const unsigned char *alpn = NULL;
	unsigned len = 0;

	if (stream->ssl == NULL)
		return false;
	if (stream->failure != STREAM_OK && !lacks_certificate(stream))
		return false;
	SSL_get0_alpn_selected(stream->ssl, &alpn, &len);
	return len == strlen(STREAM_CHECK_PROTOCOL) &&
	       memcmp(alpn, STREAM_CHECK_PROTOCOL, len) == 0;
}

void
stream_client_name(const struct stream *stream, char *out, size_t max)
{
	client_common_name(stream->ssl, out, max);
}

size_t
stream_client_der(const struct stream *stream, uint8_t *out, size_t max)
{
	return client_der(stream->ssl, out, max);
}
