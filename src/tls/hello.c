/*
 * The ClientHello callback.  The connection's thread.  The name is read here,
 * from the extension's bytes, rather than in OpenSSL's server name callback:
 * by then it has chosen a version, and opened the ticket of a session under
 * the policy of the wrong site.
 */
#include "tls/hello.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/server.h"

/* A vector behind two bytes of its length, which must end where they end. */
static bool
take_vector(const uint8_t **bytes, size_t *len)
{
	size_t inside;

	if (*len < 2)
		return false;
	inside = (size_t)(*bytes)[0] << 8 | (*bytes)[1];
	*bytes += 2;
	*len -= 2;
	return inside > 0 && inside == *len;
}

/*
 * RFC 6066 section 3: a ServerNameList has names of different types, and no
 * type but host_name was ever defined, so it has one.  OpenSSL holds to the
 * same.
 */
enum hello_name
hello_name(struct ssl_st *ssl, const uint8_t **name, size_t *len)
{
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_server_name, name, len) != 1)
		return HELLO_NO_NAME;
	if (!take_vector(name, len) || (*name)[0] != TLSEXT_NAMETYPE_host_name)
		return HELLO_MALFORMED;
	++*name;
	--*len;
	return take_vector(name, len) ? HELLO_NAME : HELLO_MALFORMED;
}

/* The reason is for the log: OpenSSL only adds that a callback failed. */
static int
refuse(int *alert, int code, int reason)
{
	ERR_raise(ERR_LIB_SSL, reason);
	*alert = code;
	return SSL_CLIENT_HELLO_ERROR;
}

/* Once it has answered with a HelloRetryRequest, OpenSSL knows the cipher. */
static bool
is_second_hello(SSL *ssl)
{
	return SSL_get_pending_cipher(ssl) != NULL;
}

int
hello_on_client_hello(struct ssl_st *ssl, int *alert, void *arg)
{
	const struct tls_site *old = tls_site_of(ssl), *site;
	const uint8_t *name = NULL;
	size_t len = 0;

	(void)arg;
	if (hello_name(ssl, &name, &len) == HELLO_MALFORMED)
		return refuse(alert, SSL_AD_DECODE_ERROR, SSL_R_BAD_EXTENSION);
	site = tls_server_find(old->server, (const char *)name, len);
	if (site == NULL)
		return refuse(alert, SSL_AD_UNRECOGNIZED_NAME,
		    SSL_R_SSL3_EXT_INVALID_SERVERNAME);
	/* RFC 8446 section 4.1.2: nothing that leads elsewhere may change. */
	if (site != old && is_second_hello(ssl))
		return refuse(
		    alert, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_EXTENSION);
	if (tls_site_enter(site, ssl))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}
