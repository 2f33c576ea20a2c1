/*
 * Client certificates inside a handshake: which are taken, which sessions may
 * be resumed, and what is known of a client afterwards.  Listener threads.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct ssl_ctx_st;
struct ssl_st;
struct ssl_session_st;
struct tls_site;
struct x509_store_ctx_st;

/* The SSL_set_verify callback: OpenSSL's own verdict, then allow_san and
 * allow_cn of the site (server.h: tls_site_of) for the leaf. */
int client_on_verify(int ok, struct x509_store_ctx_st *store);

/*
 * Until when (seconds, epoch) the certificates that vouch for this connection
 * hold: the earliest notAfter of the chain that was verified, or end of a list
 * it was checked against; INT64_MAX for a client without one.  After a full
 * handshake.
 */
int64_t client_good_until(struct ssl_st *ssl);

/*
 * May this session be resumed under this site at now_s?  Looks at everything
 * a full handshake would: that there is a verified certificate where one is
 * required, its dates (good_until, from the ticket), the date of its issuer's
 * list, and the allow rules.  CVE-2025-23419, CVE-2022-21654.
 */
bool client_may_resume(const struct tls_site *site,
    struct ssl_session_st *session, int64_t good_until, int64_t now_s);

/*
 * The last look, once a handshake is done, full or resumed: does the
 * connection satisfy the site's policy?  false must end it.
 */
bool client_is_admitted(const struct tls_site *site, struct ssl_st *ssl);

/* What is known of the client's certificate; text is valid as long as the SSL.
 * The sentences of a failed verification are in stream_error.c. */
struct client_facts {
	bool presented;     /* in this connection */
	bool in_session;    /* in this one or the one it resumes */
	long verify_result; /* X509_V_OK: verified */
};
void client_facts(struct ssl_st *ssl, struct client_facts *facts);

/* Its common name into out (cut, terminated, "" when there is none). */
void client_common_name(struct ssl_st *ssl, char *out, size_t max);

/* Its DER into out; the length, 0: no certificate, or larger than max. */
size_t client_der(struct ssl_st *ssl, uint8_t *out, size_t max);

#endif
