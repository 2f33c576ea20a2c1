/*
 * OCSP responses for tests.  One thread.  Certificates are added after the
 * signing, since they are no part of what is signed, and a signature is
 * spoiled in the finished bytes, so that nothing else about them changes.
 */
#include "tests/support/ocsp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

static const int statuses[] = {
	[OCSP_SAYS_GOOD] = V_OCSP_CERTSTATUS_GOOD,
	[OCSP_SAYS_REVOKED] = V_OCSP_CERTSTATUS_REVOKED,
	[OCSP_SAYS_UNKNOWN] = V_OCSP_CERTSTATUS_UNKNOWN,
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "ocsp: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static ASN1_GENERALIZEDTIME *
make_time(int64_t seconds)
{
	ASN1_GENERALIZEDTIME *made = ASN1_GENERALIZEDTIME_set(NULL, seconds);

	must(made != NULL, "making a time");
	return made;
}

/* Afterwards, as OpenSSL would not put it in. */
static void
write_texts(OCSP_SINGLERESP *single, const struct ocsp_wish *wish)
{
	ASN1_GENERALIZEDTIME *from = NULL, *to = NULL;

	OCSP_single_get0_status(single, NULL, NULL, &from, &to);
	if (wish->this_text != NULL)
		must(ASN1_STRING_set(from, wish->this_text, -1) == 1,
		    "writing thisUpdate");
	if (wish->next_text != NULL)
		must(ASN1_STRING_set(to, wish->next_text, -1) == 1,
		    "writing nextUpdate");
}

/* An extension that nobody knows. */
static X509_EXTENSION *
make_critical(void)
{
	X509_EXTENSION *made = X509V3_EXT_conf(
	    NULL, NULL, "1.3.6.1.4.1.99999.1", "critical,ASN1:NULL");

	must(made != NULL, "making an extension");
	return made;
}

static void
mark_single(OCSP_SINGLERESP *single)
{
	X509_EXTENSION *critical = make_critical();

	must(OCSP_SINGLERESP_add_ext(single, critical, -1) == 1,
	    "adding an extension");
	X509_EXTENSION_free(critical);
}

static void
mark_response(OCSP_BASICRESP *basic)
{
	X509_EXTENSION *critical = make_critical();

	must(OCSP_BASICRESP_add_ext(basic, critical, -1) == 1,
	    "adding an extension");
	X509_EXTENSION_free(critical);
}

static void
add_single(
    OCSP_BASICRESP *basic, const struct ocsp_wish *wish, const struct pki *leaf)
{
	int reason = wish->reason != 0 ? wish->reason
				       : OCSP_REVOKED_STATUS_NOSTATUS;
	ASN1_GENERALIZEDTIME *from, *to = NULL, *revoked;
	OCSP_SINGLERESP *single;
	OCSP_CERTID *id;

	id = OCSP_cert_to_id(wish->sha256 ? EVP_sha256() : EVP_sha1(),
	    leaf->certificate, wish->issuer->certificate);
	from = make_time(wish->this_update);
	if (wish->next_update != 0 || wish->next_text != NULL)
		to = make_time(wish->next_update);
	revoked = make_time(wish->revoked_at);
	single = OCSP_basic_add1_status(
	    basic, id, statuses[wish->status], reason, revoked, from, to);
	must(id != NULL && single != NULL, "adding a single response");
	write_texts(single, wish);
	if (wish->critical_single)
		mark_single(single);
	OCSP_CERTID_free(id);
	ASN1_GENERALIZEDTIME_free(from);
	ASN1_GENERALIZEDTIME_free(to);
	ASN1_GENERALIZEDTIME_free(revoked);
}

static void
add_singles(OCSP_BASICRESP *basic, const struct ocsp_wish *wish)
{
	if (wish->before != NULL)
		add_singles(basic, wish->before);
	if (wish->second != NULL)
		add_single(basic, wish, wish->second);
	add_single(basic, wish, wish->leaf);
}

static void
add_certificates(OCSP_BASICRESP *basic, const struct ocsp_wish *wish,
    const struct pki *signer)
{
	unsigned copies = wish->also_copies != 0 ? wish->also_copies : 1;

	for (unsigned i = 0; wish->also != NULL && i < copies; i++)
		must(OCSP_basic_add1_cert(basic, wish->also->certificate) == 1,
		    "adding a certificate");
	if (wish->with_signer)
		must(OCSP_basic_add1_cert(basic, signer->certificate) == 1,
		    "adding the signer's certificate");
}

static OCSP_BASICRESP *
make_basic(const struct ocsp_wish *wish)
{
	const struct pki *signer = wish->signer != NULL ? wish->signer
							: wish->issuer;
	const EVP_MD *digest = wish->digest != NULL ? wish->digest
						    : EVP_sha256();
	unsigned long flags = OCSP_NOCERTS |
			      (wish->by_key ? OCSP_RESPID_KEY : 0);
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();

	must(basic != NULL, "making a response");
	add_singles(basic, wish);
	if (wish->critical)
		mark_response(basic);
	must(OCSP_basic_sign(basic, signer->certificate, signer->key, digest,
		 NULL, flags) == 1,
	    "signing");
	add_certificates(basic, wish, signer);
	return basic;
}

/* The last byte of the signature: its encoding stays right. */
static void
spoil(struct ocsp_made *made, const OCSP_BASICRESP *basic)
{
	const ASN1_OCTET_STRING *signature = OCSP_resp_get0_signature(basic);
	size_t len = (size_t)ASN1_STRING_length(signature);
	unsigned char *at;

	at = memmem(
	    made->der, made->len, ASN1_STRING_get0_data(signature), len);
	must(at != NULL, "finding the signature");
	at[len - 1] ^= 1;
}

struct ocsp_made
ocsp_make(const struct ocsp_wish *wish)
{
	OCSP_BASICRESP *basic = wish->error == 0 ? make_basic(wish) : NULL;
	OCSP_RESPONSE *response = OCSP_response_create(wish->error, basic);
	struct ocsp_made made = { 0 };
	int len = i2d_OCSP_RESPONSE(response, &made.der);

	must(response != NULL && len > 0, "encoding");
	made.len = (size_t)len;
	if (wish->spoiled)
		spoil(&made, basic);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return made;
}

void
ocsp_drop(struct ocsp_made *made)
{
	OPENSSL_free(made->der);
	*made = (struct ocsp_made){ 0 };
}
