/*
 * The error of a stream as text for the log.  The stream's thread.  OpenSSL's
 * reason is used where it is clear; the tables below replace the others by what
 * the two sides disagree on.
 */
#include "tls/stream.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/client_cert.h"
#include "tls/error.h"

static const struct {
	int reason;
	const char *text;
} ssl_errors[] = {
	{ SSL_R_HTTP_REQUEST, "http request on a TLS port" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "proxy request on a TLS port" },
	{ SSL_R_NO_SHARED_CIPHER, "no shared cipher" },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, "no shared group" },
	{ SSL_R_NO_SUITABLE_GROUPS, "no shared group" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	    "no shared signature algorithm for the key of the certificate" },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
	    "no shared signature algorithm for the key of the certificate" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
	    "no client certificate was sent, and one is required" },
	{ SSL_R_SSL3_EXT_INVALID_SERVERNAME,
	    "unrecognized_name: no site for the SNI of the client" },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "no ALPN protocol in common" },
	{ SSL_R_INAPPROPRIATE_FALLBACK,
	    "inappropriate fallback of the client to an older version" },
	/* The status callback is the only extension callback that fails. */
	{ SSL_R_CLIENTHELLO_TLSEXT,
	    "client requested a staple, and there is no valid one" },
};

/* The highest version that the client can have offered. */
static const char *
client_limit(SSL *ssl)
{
	switch (SSL_client_version(ssl)) {
	case SSL3_VERSION:
		return "client offers at most SSLv3";
	case TLS1_VERSION:
		return "client offers at most TLSv1";
	case TLS1_1_VERSION:
		return "client offers at most TLSv1.1";
	default:
		break;
	}
	/* A TLS 1.3 client sends legacy_version 1.2: RFC 8446 section 4.1.2. */
	if (SSL_get_max_proto_version(ssl) == TLS1_2_VERSION)
		return "client offers only TLSv1.3";
	return "client offers at most TLSv1.2";
}

static bool
is_about_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE:
		return true;
	default:
		return false;
	}
}

static void
print_alert(int alert, char *out, size_t max)
{
	const char *name = SSL_alert_desc_string_long(alert);
	char small[64];
	size_t i;

	for (i = 0; i < sizeof(small) - 1 && name[i] != '\0'; i++)
		small[i] = (char)tolower((unsigned char)name[i]);
	small[i] = '\0';
	snprintf(out, max, "%s: alert %s",
	    is_about_certificate(alert) ? "client rejected the certificate"
					: "client aborted the handshake",
	    small);
}

#define NO_ISSUER "not issued by a CA in ca_file"

/* Stable words to search for: OpenSSL's change with its version, and do not
 * name the configuration keys. */
static const struct {
	int result;
	const char *text;
} verify_errors[] = {
	{ X509_V_ERR_APPLICATION_VERIFICATION,
	    "not allowed by allow_san or allow_cn" },
	{ X509_V_ERR_CERT_REJECTED,
	    "not one of the certificates in ca_file (verify = pinned)" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, "no CRL of its issuer in crl_file" },
	{ X509_V_ERR_CRL_HAS_EXPIRED, "the CRL of its issuer has expired" },
	{ X509_V_ERR_CRL_NOT_YET_VALID,
	    "the CRL of its issuer is not valid yet" },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE,
	    "the CRL of its issuer has a bad signature" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NO_ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, NO_ISSUER },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, NO_ISSUER },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, NO_ISSUER },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, NO_ISSUER },
	{ X509_V_ERR_INVALID_PURPOSE,
	    "not valid for clients (extendedKeyUsage)" },
	{ X509_V_ERR_CERT_HAS_EXPIRED, "certificate has expired" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "certificate is not yet valid" },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, "certificate signature failure" },
	{ X509_V_ERR_CERT_REVOKED, "certificate revoked" },
};

static const char *
verify_error_text(long result)
{
	size_t i;

	if (result == X509_V_OK)
		return "resumed session refused by verify, allow rules, dates "
		       "or CRLs";
	for (i = 0; i < sizeof(verify_errors) / sizeof(verify_errors[0]); i++)
		if (verify_errors[i].result == result)
			return verify_errors[i].text;
	return X509_verify_cert_error_string(result);
}

/* For a refused client OpenSSL has no peer certificate, but the chain that was
 * verified begins with it. */
static char *
client_name(SSL *ssl)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);

	if (certificate == NULL)
		certificate = sk_X509_value(SSL_get0_verified_chain(ssl), 0);
	return certificate ? client_cert_name_of(certificate) : NULL;
}

static void
print_verify_error(SSL *ssl, char *out, size_t max)
{
	const char *text = verify_error_text(SSL_get_verify_result(ssl));
	char *name = client_name(ssl);

	/* The name can be of any length; the log escapes it. */
	if (name)
		snprintf(
		    out, max, "client certificate CN=%.64s: %s", name, text);
	else
		snprintf(out, max, "client certificate: %s", text);
	OPENSSL_free(name);
}

static const char *
find_text(int reason)
{
	size_t i;

	for (i = 0; i < sizeof(ssl_errors) / sizeof(ssl_errors[0]); i++)
		if (ssl_errors[i].reason == reason)
			return ssl_errors[i].text;
	return NULL;
}

static void
print_openssl_error(const struct stream *stream, char *out, size_t max)
{
	unsigned long code = stream->openssl_error;
	int reason = ERR_GET_REASON(code);
	const char *text = find_text(reason);
	bool ours = ERR_GET_LIB(code) == ERR_LIB_SSL;

	/* The earliest error may be that of one signature in the chain. */
	if (SSL_get_verify_result(stream->ssl) != X509_V_OK ||
	    (ours && reason == SSL_R_CERTIFICATE_VERIFY_FAILED))
		print_verify_error(stream->ssl, out, max);
	else if (ours && reason >= SSL_AD_REASON_OFFSET)
		print_alert(reason - SSL_AD_REASON_OFFSET, out, max);
	else if (ours && (reason == SSL_R_UNSUPPORTED_PROTOCOL ||
			     reason == SSL_R_VERSION_TOO_LOW))
		snprintf(out, max, "no protocol version in common (%s)",
		    client_limit(stream->ssl));
	else if (ours && text != NULL)
		snprintf(out, max, "%s", text);
	else
		snprintf(out, max, "%s", tls_error_reason(code));
}

static void
print_not_tls(const struct stream *stream, char *out, size_t max)
{
	const char *text = find_text(ERR_GET_REASON(stream->openssl_error));

	snprintf(out, max, "%s",
	    text != NULL ? text : "the first bytes are not TLS");
}

const char *
stream_error_text(const struct stream *stream, char *out, size_t max)
{
	char text[128];

	switch (stream->error) {
	case STREAM_OK:
		snprintf(out, max, "no failure");
		break;
	case STREAM_RESET:
	case STREAM_SYSTEM:
		snprintf(out, max, "%s",
		    strerror_r(stream->error_errno, text, sizeof(text)));
		break;
	case STREAM_NOT_TLS:
		print_not_tls(stream, out, max);
		break;
	case STREAM_HANDSHAKE:
	case STREAM_PROTOCOL:
		print_openssl_error(stream, out, max);
		break;
	case STREAM_CLOSED_EARLY:
		snprintf(out, max,
		    "client closed the connection during the handshake");
		break;
	case STREAM_NO_MEMORY:
		snprintf(out, max, "out of memory");
		break;
	}
	return out;
}
