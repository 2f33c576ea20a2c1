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
#include <openssl/rsa.h>
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
	ASN1_GENERALIZEDTIME *from = NULL, *to = NULL, *revoked = NULL;

	OCSP_single_get0_status(single, NULL, &revoked, &from, &to);
	if (wish->revoked_text != NULL)
		must(ASN1_STRING_set(revoked, wish->revoked_text, -1) == 1,
		    "writing revocationTime");
	if (wish->this_text != NULL)
		must(ASN1_STRING_set(from, wish->this_text, -1) == 1,
		    "writing thisUpdate");
	if (wish->next_text != NULL)
		must(ASN1_STRING_set(to, wish->next_text, -1) == 1,
		    "writing nextUpdate");
}

/* An unknown extension. */
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

static void
enlarge(OCSP_BASICRESP *basic, unsigned bytes)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	unsigned char *zeros = calloc(1, bytes);
	X509_EXTENSION *extension;

	must(value != NULL && zeros != NULL &&
		 ASN1_OCTET_STRING_set(value, zeros, (int)bytes) == 1,
	    "making bytes");
	extension = X509_EXTENSION_create_by_NID(
	    NULL, NID_id_pkix_OCSP_serviceLocator, 0, value);
	must(OCSP_BASICRESP_add_ext(basic, extension, -1) == 1,
	    "adding an extension");
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	free(zeros);
}

static void
write_produced(OCSP_BASICRESP *basic, const char *text)
{
	const ASN1_GENERALIZEDTIME *produced = OCSP_resp_get0_produced_at(
	    basic);

	must(ASN1_STRING_set((ASN1_STRING *)(uintptr_t)produced, text, -1) == 1,
	    "writing producedAt");
}

static void
sign(OCSP_BASICRESP *basic, const struct ocsp_wish *wish,
    const struct pki *signer)
{
	const EVP_MD *digest = wish->digest != NULL ? wish->digest
						    : EVP_sha256();
	unsigned long flags = OCSP_NOCERTS |
			      (wish->by_key ? OCSP_RESPID_KEY : 0);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key = NULL;

	if (wish->produced_text != NULL) {
		write_produced(basic, wish->produced_text);
		flags |= OCSP_NOTIME;
	}
	must(EVP_DigestSignInit(context, &key, digest, NULL, signer->key) == 1,
	    "beginning to sign");
	if (wish->pss_salt != 0)
		must(EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) ==
			     1 &&
			 EVP_PKEY_CTX_set_rsa_pss_saltlen(
			     key, wish->pss_salt) == 1,
		    "choosing RSA-PSS");
	must(OCSP_basic_sign_ctx(
		 basic, signer->certificate, context, NULL, flags) == 1,
	    "signing");
	EVP_MD_CTX_free(context);
}

/* After the signing, as it is not signed. */
static void
change_algorithm(OCSP_BASICRESP *basic, const struct ocsp_wish *wish)
{
	X509_ALGOR *algorithm = (X509_ALGOR *)(uintptr_t)
	    OCSP_resp_get0_tbs_sigalg(basic);
	ASN1_OBJECT *object = wish->algorithm != 0
				  ? OBJ_nid2obj(wish->algorithm)
				  : OBJ_dup(algorithm->algorithm);
	ASN1_STRING *junk = NULL;
	int type = wish->parameters != 0 ? wish->parameters : V_ASN1_NULL;

	if (type != V_ASN1_NULL && type != V_ASN1_UNDEF) {
		junk = ASN1_STRING_type_new(type);
		must(ASN1_STRING_set(junk, "junk", -1) == 1, "making junk");
	}
	must(X509_ALGOR_set0(algorithm, object, type, junk) == 1,
	    "changing the algorithm");
}

static OCSP_BASICRESP *
make_basic(const struct ocsp_wish *wish)
{
	const struct pki *signer = wish->signer != NULL ? wish->signer
							: wish->issuer;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();

	must(basic != NULL, "making a response");
	add_singles(basic, wish);
	if (wish->critical)
		mark_response(basic);
	if (wish->signed_bytes != 0)
		enlarge(basic, wish->signed_bytes);
	sign(basic, wish, signer);
	if (wish->algorithm != 0 || wish->parameters != 0)
		change_algorithm(basic, wish);
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

struct ocsp_made
ocsp_append(const struct ocsp_made *made, const struct pki *certificate,
    unsigned copies)
{
	const unsigned char *der = made->der;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(
	    NULL, &der, (long)made->len);
	OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
	struct ocsp_made longer = { 0 };
	int len;

	for (unsigned i = 0; i < copies; i++)
		must(OCSP_basic_add1_cert(basic, certificate->certificate) == 1,
		    "adding a certificate");
	OCSP_RESPONSE_free(response);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(response, &longer.der);
	must(len > 0, "encoding");
	longer.len = (size_t)len;
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return longer;
}
