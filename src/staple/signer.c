/*
 * The signature and the right to sign.  Any thread.  OpenSSL decides, given a
 * store that holds the issuer alone, at the time that it is told, and one
 * candidate at a time: no root is needed, no certificate from inside the
 * response helps another one to be trusted (a delegate is issued directly),
 * and of several that go by one name the right one is found wherever it
 * stands.  What this file finds out by itself only explains a refusal.
 *
 * Weak digests are refused as far as OpenSSL's default for certificates goes:
 * SHA-1 signatures, which some responders still make, are accepted where the
 * system's policy does not forbid them.
 */
#include "staple/signer.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert.h"
#include "staple/text.h"
#include "staple/when.h"

/* Each costs a signature check; nobody honest has more of one name. */
#define CANDIDATES_MAX 16

struct search {
	OCSP_BASICRESP *basic;
	const struct staple_cert *cert;
	int64_t now_s;
	X509_STORE *store;      /* the issuer alone, at now_s */
	STACK_OF(X509) * alone; /* room for one candidate */
	unsigned candidates;    /* that were tried */
	X509 *impostor;         /* it did sign and may not; borrowed */
};

static bool
search_init(struct search *search)
{
	search->store = X509_STORE_new();
	search->alone = sk_X509_new_reserve(NULL, 1);
	if (search->store == NULL || search->alone == NULL ||
	    X509_STORE_add_cert(search->store, search->cert->issuer) != 1)
		return false;
	X509_VERIFY_PARAM_set_time(
	    X509_STORE_get0_param(search->store), (time_t)search->now_s);
	return true;
}

static void
search_fini(struct search *search)
{
	X509_STORE_free(search->store);
	sk_X509_free(search->alone);
}

/* RFC 6960 4.2.1: the signer goes by its subject or by its key's SHA-1. */
static bool
is_named(const OCSP_BASICRESP *basic, const X509 *candidate)
{
	const ASN1_OCTET_STRING *hash = NULL;
	const X509_NAME *name = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	OCSP_resp_get0_id(basic, &hash, &name);
	if (name != NULL)
		return X509_NAME_cmp(name, X509_get_subject_name(candidate)) ==
		       0;
	return X509_pubkey_digest(candidate, EVP_sha1(), digest, &len) == 1 &&
	       (unsigned)ASN1_STRING_length(hash) == len &&
	       memcmp(ASN1_STRING_get0_data(hash), digest, len) == 0;
}

static bool
verify(const struct search *search, X509 *candidate, unsigned long flags)
{
	sk_X509_zero(search->alone);
	return sk_X509_push(search->alone, candidate) == 1 &&
	       OCSP_basic_verify(
		   search->basic, search->alone, search->store, flags) == 1;
}

static bool
is_signer(struct search *search, X509 *candidate)
{
	if (!is_named(search->basic, candidate))
		return false;
	search->candidates++;
	if (verify(search, candidate,
		OCSP_PARTIAL_CHAIN | OCSP_NOCHAIN | OCSP_NOEXPLICIT))
		return true;
	/* The signature alone: it tells an impostor from changed bytes. */
	if (search->impostor == NULL &&
	    verify(search, candidate, OCSP_NOVERIFY))
		search->impostor = candidate;
	return false;
}

static X509 *
find_signer(struct search *search)
{
	const STACK_OF(X509) *inside = OCSP_resp_get0_certs(search->basic);

	if (is_signer(search, search->cert->issuer))
		return search->cert->issuer;
	for (int i = 0; i < sk_X509_num(inside); i++) {
		if (search->candidates == CANDIDATES_MAX)
			break;
		if (is_signer(search, sk_X509_value(inside, i)))
			return sk_X509_value(inside, i);
	}
	return NULL;
}

/* A subject as text, escaped as RFC 2253 does; cut to fit. */
static void
print_name(const X509_NAME *name, char *text, size_t max)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = 0;

	if (bio != NULL &&
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_read(bio, text, (int)max - 1);
	text[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
}

/* By whatever the response calls it. */
static void
print_responder(const OCSP_BASICRESP *basic, char *text, size_t max)
{
	const ASN1_OCTET_STRING *hash = NULL;
	const X509_NAME *name = NULL;

	OCSP_resp_get0_id(basic, &hash, &name);
	if (name != NULL)
		print_name(name, text, max);
	else
		staple_text_hex(text, max, ASN1_STRING_get0_data(hash),
		    (size_t)ASN1_STRING_length(hash));
}

static bool
is_leaf(const struct staple_cert *cert, const X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	return X509_digest(certificate, EVP_sha256(), digest, &len) == 1 &&
	       len == STAPLE_KEY_SIZE && memcmp(digest, cert->key, len) == 0;
}

static bool
is_issued(const struct search *search, X509 *certificate)
{
	X509 *issuer = search->cert->issuer;

	return certificate == issuer ||
	       (X509_check_issued(issuer, certificate) == X509_V_OK &&
		   X509_verify(certificate, X509_get0_pubkey(issuer)) == 1);
}

/* Why the impostor may not sign. */
static const char *
flaw(const struct search *search)
{
	X509 *impostor = search->impostor;
	time_t now = (time_t)search->now_s;

	if (is_leaf(search->cert, impostor))
		return "which is the certificate itself";
	if (!is_issued(search, impostor))
		return "whose certificate the issuer did not issue";
	if (X509_cmp_time(X509_get0_notAfter(impostor), &now) < 0)
		return "whose certificate has expired";
	if (X509_cmp_time(X509_get0_notBefore(impostor), &now) > 0)
		return "whose certificate is not valid yet";
	if ((X509_get_extension_flags(impostor) & EXFLAG_XKUSAGE) == 0 ||
	    (X509_get_extended_key_usage(impostor) & XKU_OCSP_SIGN) == 0)
		return "whose certificate has not the usage OCSPSigning";
	return "whose certificate OpenSSL does not accept for this";
}

static enum staple_outcome
refuse(const struct search *search, struct err *said)
{
	char name[128];

	if (search->impostor != NULL) {
		print_name(X509_get_subject_name(search->impostor), name,
		    sizeof(name));
		err_set(said, "signed by \"%s\", %s", name, flaw(search));
		return STAPLE_WRONG_SIGNER;
	}
	print_responder(search->basic, name, sizeof(name));
	if (search->candidates == 0) {
		err_set(said,
		    "signed by \"%s\", who is not the issuer and whose "
		    "certificate is not enclosed",
		    name);
		return STAPLE_WRONG_SIGNER;
	}
	err_set(said,
	    "the signature does not fit the key of \"%s\": the bytes were "
	    "changed, or somebody else signed in that name",
	    name);
	return STAPLE_BAD_SIGNATURE;
}

enum staple_outcome
staple_signer_check(struct staple_signer *signer, OCSP_BASICRESP *basic,
    const struct staple_cert *cert, int64_t now_s, struct err *said)
{
	struct search search = { .basic = basic, .cert = cert, .now_s = now_s };
	enum staple_outcome outcome = STAPLE_GOOD;
	X509 *found;

	if (!search_init(&search)) {
		err_set(said, "memory ran out");
		outcome = STAPLE_NO_MEMORY;
		goto out;
	}
	found = find_signer(&search);
	if (found == NULL ||
	    !staple_when_read(X509_get0_notAfter(found), &signer->not_after))
		outcome = refuse(&search, said);
	else
		print_name(X509_get_subject_name(found), signer->name,
		    sizeof(signer->name));
out:
	search_fini(&search);
	return outcome;
}
