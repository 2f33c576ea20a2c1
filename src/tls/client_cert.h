/*
 * Client certificates inside a handshake: verification, resumption, and the
 * facts afterwards.  Listener threads.
 */
#ifndef TLS_CLIENT_CERT_H
#define TLS_CLIENT_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

typedef struct x509_st X509;
struct ssl_st;
struct ssl_session_st;
struct tls_site;
struct x509_store_ctx_st;

/* The callback of SSL_set_verify: after OpenSSL's own checks of the leaf, the
 * CRLs of its chain and verify, allow_san and allow_cn of the site
 * (tls_site_of). */
int client_cert_on_verify(int ok, struct x509_store_ctx_st *store);

/*
 * The time (epoch seconds) until which the client's certificate is valid: the
 * earliest notAfter of the verified chain and end of a CRL that it was checked
 * against; INT64_MAX: no certificate.  After a full handshake.
 */
int64_t client_cert_valid_until(struct ssl_st *ssl);

/*
 * May this session be resumed in this site at now_s?  The checks are those of a
 * full handshake: a verified certificate if one is required, its dates
 * (valid_until, from the ticket), the end of its issuer's CRL, and the allow
 * rules.  CVE-2025-23419, CVE-2022-21654.
 */
bool client_cert_may_resume(const struct tls_site *site,
    struct ssl_session_st *session, int64_t valid_until, int64_t now_s);

/*
 * The last check, after the handshake, full or resumed: does the connection
 * satisfy the site's settings?  false: it must be closed.
 */
bool client_cert_is_admitted(const struct tls_site *site, struct ssl_st *ssl);

/* The facts of the client's certificate. */
struct client_cert_facts {
	bool presented;     /* in this connection */
	bool in_session;    /* in this one or the one it resumes */
	long verify_result; /* X509_V_OK: verified */
};
void client_cert_facts(struct ssl_st *ssl, struct client_cert_facts *facts);

/* Its common name into out (cut and terminated; "": none). */
void client_cert_common_name(struct ssl_st *ssl, char *out, size_t max);

/* Its DER into out.  Returns the length; 0: no certificate, or larger than
 * max. */
size_t client_cert_der(struct ssl_st *ssl, uint8_t *out, size_t max);

/*
 * The subject's most specific (last) common name, as UTF-8.  The allow rules,
 * the log and the PROXY header all use this one.  NULL: there is none, it is
 * empty or no text, it contains a NUL, or no memory.  OPENSSL_free it.
 */
char *client_cert_name_of(const X509 *certificate) MUST_CHECK;

/*
 * true: the settings have neither key, or one pattern of either matches.
 * "dns:" (or none): host names, "*." stands for one label, without case;
 * "email:" an address, or "*@domain"; "uri:" exact, or a prefix that ends
 * with "*" ("uri:spiffe://a.example/ns/" then anything); "ip:" an address or
 * a CIDR range.  allow_cn: exact without case, or "*.name".  A name with a NUL
 * in it matches nothing, nor does a host or common name with a "*".
 * Pure; any thread.
 */
bool client_cert_is_allowed(
    const struct config_listener *settings, X509 *certificate);

#endif
