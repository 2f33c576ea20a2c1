/*
 * One authority and what comes of it.  The responses are verified by the
 * library's own verifier, because nothing else can make one.
 */
#include "tests/support/authority.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/err.h"
#include "staple/response.h"

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "authority: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

void
authority_make(struct authority *authority)
{
	const struct pki_wish wish = { .name = "The Authority", .ca = true };

	authority->pki = pki_make(&wish);
	authority->chain = sk_X509_new_null();
	must(sk_X509_push(authority->chain, authority->pki.certificate) == 1,
	    "making a chain");
}

void
authority_drop(struct authority *authority)
{
	sk_X509_free(authority->chain);
	pki_drop(&authority->pki);
}

struct pki
authority_issue(const struct authority *authority, const struct pki_wish *wish)
{
	struct pki_wish issued = *wish;

	issued.issuer = &authority->pki;
	return pki_make(&issued);
}

struct staple_cert *
authority_facts(const struct authority *authority, const struct pki *leaf,
    const struct staple_source *source)
{
	struct err err = { "" };
	struct staple_cert *cert = staple_cert_new(
	    leaf->certificate, authority->chain, source, NULL, &err);

	must(cert != NULL, err.text);
	return cert;
}

struct ocsp_made
authority_answer(const struct authority *authority, const struct pki *leaf,
    const struct ocsp_wish *wish)
{
	struct ocsp_wish about = *wish;

	about.issuer = &authority->pki;
	about.leaf = leaf;
	return ocsp_make(&about);
}

struct staple_response *
authority_response(const struct authority *authority, const struct pki *leaf,
    const struct ocsp_wish *wish)
{
	const struct staple_clock clock = { .now_s = wish->this_update,
		.default_lifetime_s = 3600 };
	struct ocsp_made made = authority_answer(authority, leaf, wish);
	struct staple_cert *cert = authority_facts(authority, leaf, NULL);
	struct staple_result verdict;
	struct staple_response *response = staple_response_verify(
	    cert, made.der, made.len, &clock, &verdict);

	must(response != NULL, verdict.said.text);
	staple_cert_unref(cert);
	ocsp_drop(&made);
	return response;
}

void
authority_add(
    const struct authority *authority, SSL_CTX *context, const struct pki *leaf)
{
	must(SSL_CTX_use_cert_and_key(context, leaf->certificate, leaf->key,
		 authority->chain, 1) == 1,
	    "using a certificate");
}

SSL_CTX *
authority_context(const struct authority *authority, const struct pki *leaf)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	must(context != NULL, "making a context");
	must(SSL_CTX_set_session_id_context(
		 context, (const unsigned char *)"tests", 5) == 1,
	    "naming sessions");
	authority_add(authority, context, leaf);
	return context;
}
