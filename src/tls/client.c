/*
 * Client certificates inside a handshake.  Listener threads.  OpenSSL verifies
 * a chain once, in a full handshake; a resumed one brings the leaf along and
 * says that it was fine then.  So whatever can have changed since is looked at
 * again here: dates, lists, and the rules themselves.
 */
#include "tls/client.h"

#include <string.h>
#include <time.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/clock.h"
#include "tls/allow.h"
#include "tls/context.h"
#include "tls/error.h"
#include "tls/server.h"
#include "tls/trust.h"

static int64_t
seconds_of(const ASN1_TIME *when)
{
	struct tm tm;

	return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int
client_on_verify(int ok, void *x509_store_ctx)
{
	X509_STORE_CTX *store = x509_store_ctx;
	const SSL *ssl;

	if (!ok || X509_STORE_CTX_get_error_depth(store) > 0)
		return ok;
	ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	if (allow_matches(tls_site_of(ssl)->settings,
		X509_STORE_CTX_get_current_cert(store)))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

int64_t
client_good_until(struct ssl_st *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t until = INT64_MAX, end;
	int i;

	for (i = 0; i < sk_X509_num(chain); i++) {
		end = seconds_of(X509_get0_notAfter(sk_X509_value(chain, i)));
		if (end < until)
			until = end;
	}
	return until;
}

/* Everything about a certificate that is not the mathematics. */
static bool
is_good(const struct tls_site *site, X509 *certificate, int64_t now_s)
{
	if (certificate == NULL)
		return site->settings->verify != VERIFY_REQUIRE;
	return seconds_of(X509_get0_notBefore(certificate)) <= now_s &&
	       seconds_of(X509_get0_notAfter(certificate)) > now_s &&
	       allow_matches(site->settings, certificate);
}

bool
client_may_resume(const struct tls_site *site, struct ssl_session_st *session,
    int64_t good_until, int64_t now_s)
{
	const struct trust *trust = tls_context_trust(site->context);

	if (trust == NULL)
		return true;
	return good_until > now_s && trust_lists_end(trust) > now_s &&
	       is_good(site, SSL_SESSION_get0_peer(session), now_s);
}

bool
client_is_admitted(const struct tls_site *site, struct ssl_st *ssl)
{
	const struct trust *trust = tls_context_trust(site->context);
	int64_t now_s = clock_wall_ms() / 1000;

	if (trust == NULL)
		return site->settings->verify == VERIFY_NONE;
	if (SSL_session_reused(ssl) && trust_lists_end(trust) <= now_s)
		return false;
	return SSL_get_verify_result(ssl) == X509_V_OK &&
	       is_good(site, SSL_get0_peer_certificate(ssl), now_s);
}

void
client_facts(struct ssl_st *ssl, struct client_facts *facts)
{
	bool has = SSL_get0_peer_certificate(ssl) != NULL;

	*facts = (struct client_facts){
		.presented = has && !SSL_session_reused(ssl),
		.in_session = has,
		.verify_result = SSL_get_verify_result(ssl),
	};
}

void
client_common_name(struct ssl_st *ssl, char *out, size_t max)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);

	out[0] = '\0';
	if (certificate)
		(void)X509_NAME_get_text_by_NID(
		    X509_get_subject_name(certificate), NID_commonName, out,
		    (int)max);
	tls_error_clear();
}

size_t
client_der(struct ssl_st *ssl, uint8_t *out, size_t max)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int len = certificate ? i2d_X509(certificate, NULL) : 0;

	if (len <= 0 || (size_t)len > max)
		return 0;
	len = i2d_X509(certificate, &out);
	return len > 0 ? (size_t)len : 0;
}
