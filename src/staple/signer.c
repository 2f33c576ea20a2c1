/*
 * The signature and the right to sign.  Any thread.  OpenSSL decides, given a
 * store that holds the issuer alone, and one candidate at a time: no root is
 * needed, no certificate from inside the response helps another one to be
 * trusted (a delegate is issued directly), and of several that go by one name
 * the right one is found wherever it stands.
 *
 * X509_V_FLAG_NO_CHECK_TIME is set; is_in_time() checks a delegate's dates.  An
 * authority that was renewed with its key has two certificates of one name, and
 * which of them was found first must not decide.
 *
 * MD2, MD4 and MD5 are refused whatever OpenSSL's security level is, and so is
 * an RSA key of at most 1024 bits, because clients refuse them.  SHA-1
 * signatures, which some responders still make, are accepted where the system's
 * policy does not forbid them.
 */
#include "staple/signer.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert.h"
#include "staple/envelope.h"
#include "staple/time_text.h"

/* Each costs a signature check; nobody honest has more of one name. */
#define CANDIDATES_MAX 16

enum { RSA_REFUSED_BITS = 1024, RSA_DUE_BITS = 2048 };

struct search {
	OCSP_BASICRESP *basic;
	struct staple_certs certs; /* those that were not looked at yet */
	const struct staple_cert *cert;
	int64_t now_s;
	X509_STORE *store;      /* the issuer alone; no dates are checked */
	STACK_OF(X509) * alone; /* room for one candidate */
	unsigned candidates;    /* that were tried */
	X509 *impostor;         /* it did sign and may not; a reference */
};

static bool
search_init(struct search *search)
{
	search->store = X509_STORE_new();
	search->alone = sk_X509_new_reserve(NULL, 1);
	if (search->store == NULL || search->alone == NULL ||
	    X509_STORE_add_cert(search->store, search->cert->issuer) != 1)
		return false;
	return X509_STORE_set_flags(search->store, X509_V_FLAG_NO_CHECK_TIME) ==
	       1;
}

static void
search_fini(struct search *search)
{
	X509_STORE_free(search->store);
	sk_X509_free(search->alone);
	X509_free(search->impostor);
}

static bool
verify(const struct search *search, X509 *candidate, unsigned long flags)
{
	sk_X509_zero(search->alone);
	return sk_X509_push(search->alone, candidate) == 1 &&
	       OCSP_basic_verify(
		   search->basic, search->alone, search->store, flags) == 1;
}

/* Only a delegate's own dates count. */
static bool
is_in_time(const struct search *search, const X509 *candidate)
{
	int64_t from, to;

	return candidate == search->cert->issuer ||
	       (staple_time_read(X509_get0_notBefore(candidate), &from) &&
		   staple_time_read(X509_get0_notAfter(candidate), &to) &&
		   from <= search->now_s && search->now_s < to);
}

static bool
is_signer(struct search *search, X509 *candidate)
{
	if (!staple_envelope_names(search->basic, candidate))
		return false;
	search->candidates++;
	if (is_in_time(search, candidate) &&
	    verify(search, candidate,
		OCSP_PARTIAL_CHAIN | OCSP_NOCHAIN | OCSP_NOEXPLICIT))
		return true;
	/* The signature alone: it tells an impostor from changed bytes. */
	if (search->impostor == NULL &&
	    verify(search, candidate, OCSP_NOVERIFY) &&
	    X509_up_ref(candidate) == 1)
		search->impostor = candidate;
	return false;
}

/* A reference. */
static X509 *
find_signer(struct search *search)
{
	X509 *issuer = search->cert->issuer, *candidate;

	if (is_signer(search, issuer))
		return X509_up_ref(issuer) == 1 ? issuer : NULL;
	while (search->candidates < CANDIDATES_MAX &&
	       (candidate = staple_envelope_next(
		    &search->certs, search->basic)) != NULL) {
		if (is_signer(search, candidate))
			return candidate;
		X509_free(candidate);
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
	int64_t from, to;

	if (is_leaf(search->cert, impostor))
		return "which is the certificate itself";
	if (!is_issued(search, impostor))
		return "whose certificate the issuer did not issue";
	if (staple_time_read(X509_get0_notAfter(impostor), &to) &&
	    search->now_s >= to)
		return "whose certificate has expired";
	if (staple_time_read(X509_get0_notBefore(impostor), &from) &&
	    search->now_s < from)
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

/* ---- Strength ---- */

static bool
is_weak_digest(int signature_nid)
{
	int digest = NID_undef;

	(void)OBJ_find_sigid_algs(signature_nid, &digest, NULL);
	return digest == NID_md5 || digest == NID_md4 || digest == NID_md2;
}

static int
rsa_bits(const X509 *certificate)
{
	const EVP_PKEY *key = X509_get0_pubkey(certificate);

	return key != NULL && (EVP_PKEY_is_a(key, "RSA") == 1 ||
				  EVP_PKEY_is_a(key, "RSA-PSS") == 1)
		   ? EVP_PKEY_get_bits(key)
		   : 0;
}

static enum staple_outcome
check_digest(const OCSP_BASICRESP *basic, struct err *said)
{
	int nid = OBJ_obj2nid(OCSP_resp_get0_tbs_sigalg(basic)->algorithm);

	if (!is_weak_digest(nid))
		return STAPLE_GOOD;
	err_set(said, "the signature is %s", OBJ_nid2sn(nid));
	return STAPLE_WEAK_SIGNATURE;
}

/* Of what signed the response, and of what signed that. */
static enum staple_outcome
check_strength(
    struct staple_signer *signer, const X509 *found, struct err *said)
{
	int bits = rsa_bits(found), nid = X509_get_signature_nid(found);

	if (bits > 0 && bits <= RSA_REFUSED_BITS) {
		err_set(said, "the key of \"%s\" is RSA of %d bits",
		    signer->name, bits);
		return STAPLE_WEAK_SIGNATURE;
	}
	if (signer->delegate != NULL && is_weak_digest(nid)) {
		err_set(said, "the certificate of \"%s\" is signed with %s",
		    signer->name, OBJ_nid2sn(nid));
		return STAPLE_WEAK_SIGNATURE;
	}
	signer->weak_bits = bits < RSA_DUE_BITS ? bits : 0;
	return STAPLE_GOOD;
}

static enum staple_outcome
describe(struct staple_signer *signer, const struct search *search, X509 *found,
    struct err *said)
{
	print_name(
	    X509_get_subject_name(found), signer->name, sizeof(signer->name));
	signer->not_after = INT64_MAX;
	if (found == search->cert->issuer)
		X509_free(found);
	else
		signer->delegate = found;
	if (signer->delegate != NULL &&
	    !staple_time_read(X509_get0_notAfter(found), &signer->not_after))
		return refuse(search, said);
	return check_strength(signer, found, said);
}

enum staple_outcome
staple_signer_check(struct staple_signer *signer, OCSP_BASICRESP *basic,
    const struct staple_certs *certs, const struct staple_cert *cert,
    int64_t now_s, struct err *said)
{
	struct search search = {
		.basic = basic, .certs = *certs, .cert = cert, .now_s = now_s
	};
	enum staple_outcome outcome = check_digest(basic, said);
	X509 *found;

	if (outcome != STAPLE_GOOD)
		return outcome;
	if (!search_init(&search)) {
		err_set(said, "memory ran out");
		outcome = STAPLE_NO_MEMORY;
		goto out;
	}
	found = find_signer(&search);
	outcome = found != NULL ? describe(signer, &search, found, said)
				: refuse(&search, said);
out:
	search_fini(&search);
	return outcome;
}
