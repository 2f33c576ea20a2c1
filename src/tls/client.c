/*
 * Client certificates inside a handshake.  Listener threads.  OpenSSL verifies
 * a chain once, in a full handshake; a resumed one brings the leaf along and
 * says that it was fine then.  So whatever can have changed since is looked at
 * again here: dates, lists, and the rules themselves.
 */
#include "tls/client.h"

#include <stdio.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/clock.h"
#include "tls/allow.h"
#include "tls/ca_store.h"
#include "tls/common_name.h"
#include "tls/context.h"
#include "tls/error.h"
#include "tls/server.h"
#include "tls/ticket_facts.h"

static bool
is_pinned(const struct tls_site *site, const X509 *certificate)
{
	return site->settings->verify != VERIFY_PINNED ||
	       trust_holds(tls_context_trust(site->context), certificate);
}

/* ---- The first look ---- */

int
client_on_verify(int ok, X509_STORE_CTX *store)
{
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	const struct tls_site *site;
	const SSL *ssl;
	int result, depth = 0;

	if (!ok || X509_STORE_CTX_get_error_depth(store) > 0)
		return ok;
	ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	site = tls_site_of(ssl);
	result = trust_check_chain(tls_context_trust(site->context),
	    X509_STORE_CTX_get0_chain(store), clock_wall_ms() / 1000, &depth);
	if (result != X509_V_OK) {
		X509_STORE_CTX_set_error_depth(store, depth);
		X509_STORE_CTX_set_error(store, result);
		return 0;
	}
	if (!is_pinned(site, certificate)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	if (allow_matches(site->settings, certificate))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* 0, long ago, for a date that is none. */
static int64_t
seconds_of(const ASN1_TIME *when)
{
	struct tm tm;

	return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
client_good_until(struct ssl_st *ssl)
{
	const struct trust *trust = tls_context_trust(
	    tls_site_of(ssl)->context);
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t until = INT64_MAX;
	const X509 *certificate;
	int i;

	if (chain == NULL && SSL_get0_peer_certificate(ssl) != NULL)
		return 0; /* nobody knows */
	for (i = 0; i < sk_X509_num(chain); i++) {
		certificate = sk_X509_value(chain, i);
		until = earlier(
		    until, seconds_of(X509_get0_notAfter(certificate)));
		if (i == 0 || trust_checks_chain(trust))
			until = earlier(
			    until, trust_list_end(trust, certificate));
	}
	return until;
}

/* ---- The next ones ---- */

/* Does the policy, as it is now, want this certificate, or do without one? */
static bool
is_wanted(const struct tls_site *site, X509 *certificate)
{
	if (certificate == NULL)
		return site->settings->verify < VERIFY_REQUIRE;
	return is_pinned(site, certificate) &&
	       allow_matches(site->settings, certificate);
}

bool
client_may_resume(const struct tls_site *site, struct ssl_session_st *session,
    int64_t good_until, int64_t now_s)
{
	const struct trust *trust = tls_context_trust(site->context);
	X509 *certificate = SSL_SESSION_get0_peer(session);

	if (site->settings->verify == VERIFY_NONE)
		return true;
	if (!is_wanted(site, certificate))
		return false;
	return certificate == NULL ||
	       (now_s < good_until &&
		   now_s < trust_list_end(trust, certificate));
}

bool
client_is_admitted(const struct tls_site *site, struct ssl_st *ssl)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	struct ticket_facts facts;

	if (site->settings->verify == VERIFY_NONE)
		return true;
	if (session == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	if (!SSL_session_reused(ssl)) /* dates and lists were fine just now */
		return is_wanted(site, SSL_get0_peer_certificate(ssl));
	return ticket_facts_get(session, &facts) &&
	       client_may_resume(
		   site, session, facts.good_until, clock_wall_ms() / 1000);
}

/* ---- What is known afterwards ---- */

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
	char *name = certificate ? common_name_of(certificate) : NULL;

	snprintf(out, max, "%s", name ? name : "");
	OPENSSL_free(name);
}

size_t
client_der(struct ssl_st *ssl, uint8_t *out, size_t max)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int len = certificate ? i2d_X509(certificate, NULL) : 0;

	if (len > 0 && (size_t)len <= max)
		len = i2d_X509(certificate, &out);
	else
		len = 0;
	tls_error_clear();
	return len > 0 ? (size_t)len : 0;
}
