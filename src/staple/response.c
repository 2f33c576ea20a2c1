/*
 * Verified OCSP responses.  Any thread.  The steps of verification are the
 * sections below, in their order: decoding (ocsp_der.c), the single response
 * about the certificate, the signature and the right to sign, the time window,
 * the status.  The decoded form is not kept: a handshake needs the bytes,
 * everything else a few times and a name.
 */
#include "staple/response.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/memory.h"
#include "staple/ocsp_der.h"
#include "staple/outcome.h"
#include "staple/time_text.h"

/* Times are seconds since the epoch. */
struct single {
	int status; /* V_OCSP_CERTSTATUS_... */
	int reason; /* OCSP_REVOKED_STATUS_... */
	int64_t this_update;
	int64_t next_update; /* 0: none */
	int64_t revoked_at;  /* 0: good */
	bool never_issued;   /* the reason why status is unknown */
	bool leads;          /* it is the first entry of the response */
	bool contradicted;   /* by another entry about this certificate */
};

struct signer {
	char name[128]; /* printable */
	/* From here on a delegate's signature is worth nothing.  The issuer's
	 * own dates do not count: INT64_MAX. */
	int64_t not_after;
	int weak_bits; /* of an RSA key below 2048 bits; 0: not below */
	X509
	    *delegate; /* a reference, also after a refusal; NULL: the issuer */
};

/*
 * ---- The single response ----
 *
 * A response may use another hash than the request, and hold entries about
 * several certificates and several about ours.  Clients take the first that
 * matches, so that one counts; by which hash a client looks depends on the
 * client (GnuTLS and curl differ), so entries that disagree make the response
 * useless.  A SHA-1 and a SHA-256 entry that agree are normal (RFC 9919).
 */

static bool
is_ours(const OCSP_SINGLERESP *entry, const struct staple_cert *cert)
{
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(entry);

	for (int hash = 0; hash < STAPLE_HASHES; hash++)
		if (OCSP_id_cmp(cert->ids[hash], id) == 0)
			return true;
	return false;
}

/* RFC 6960 4.4.8, the extended revoked definition: a responder may call a
 * certificate that was never issued revoked, on hold since 1970. */
static void
note_never_issued(struct single *single)
{
	if (single->status != V_OCSP_CERTSTATUS_REVOKED ||
	    single->reason != OCSP_REVOKED_STATUS_CERTIFICATEHOLD ||
	    single->revoked_at != 0)
		return;
	single->status = V_OCSP_CERTSTATUS_UNKNOWN;
	single->never_issued = true;
}

static bool
read_entry(struct single *single, OCSP_SINGLERESP *entry, struct err *said)
{
	ASN1_GENERALIZEDTIME *from = NULL, *to = NULL, *revoked = NULL;

	*single = (struct single){ .reason = OCSP_REVOKED_STATUS_NOSTATUS };
	single->status = OCSP_single_get0_status(
	    entry, &single->reason, &revoked, &from, &to);
	if (!staple_time_read_exact(from, &single->this_update)) {
		err_set(said, "thisUpdate is no time in DER");
		return false;
	}
	if (to != NULL && (!staple_time_read_exact(to, &single->next_update) ||
			      single->next_update <= 0)) {
		err_set(said, "nextUpdate is no time in DER");
		return false;
	}
	if (revoked != NULL &&
	    !staple_time_read_exact(revoked, &single->revoked_at)) {
		err_set(said, "revocationTime is no time in DER");
		return false;
	}
	note_never_issued(single);
	return true;
}

/* RFC 6960 4.4: what is critical must be understood. */
static bool
is_understood(OCSP_SINGLERESP *entry, struct err *said)
{
	if (OCSP_SINGLERESP_get_ext_by_critical(entry, 1, -1) < 0)
		return true;
	err_set(said, "it has an unknown critical extension");
	return false;
}

/* RFC 5280 4.1.2.2 allows 20 bytes; what is longer is cut. */
struct serial {
	char text[2 * 20 + 1];
};

static struct serial
print_serial(const ASN1_INTEGER *number)
{
	struct serial serial = { "" };

	staple_text_hex(serial.text, sizeof(serial.text),
	    ASN1_STRING_get0_data(number), (size_t)ASN1_STRING_length(number));
	return serial;
}

/* Describe a response without an entry about the certificate, by its first
 * entry. */
static void
describe_other(
    OCSP_SINGLERESP *entry, const struct staple_cert *cert, struct err *said)
{
	OCSP_CERTID *id = OCSP_CERTID_dup(OCSP_SINGLERESP_get0_id(entry));
	ASN1_INTEGER *theirs = NULL, *ours = NULL;

	if (id == NULL ||
	    OCSP_id_get0_info(NULL, NULL, NULL, &theirs, id) != 1 ||
	    OCSP_id_get0_info(
		NULL, NULL, NULL, &ours, cert->ids[STAPLE_SHA1]) != 1)
		err_set(said, "it is about another certificate");
	else if (ASN1_INTEGER_cmp(theirs, ours) == 0)
		err_set(said, "it is about a certificate with the same serial "
			      "number, but of another issuer");
	else
		err_set(said, "it is about serial number %s, not %s",
		    print_serial(theirs).text, print_serial(ours).text);
	OCSP_CERTID_free(id);
}

static enum staple_outcome
find_single(struct single *single, OCSP_BASICRESP *basic,
    const struct staple_cert *cert, struct err *said)
{
	struct single one;
	bool found = false;

	if (cert->issuer == NULL) {
		err_set(said, "without the issuer it cannot be verified");
		return STAPLE_NO_ISSUER;
	}
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *entry = OCSP_resp_get0(basic, i);

		if (!read_entry(&one, entry, said))
			return STAPLE_MALFORMED;
		if (!is_ours(entry, cert))
			continue;
		if (!is_understood(entry, said))
			return STAPLE_MALFORMED;
		if (found)
			single->contradicted |= one.status != single->status;
		else
			*single = one;
		if (i == 0)
			single->leads = true;
		found = true;
	}
	if (found)
		return STAPLE_GOOD;
	if (OCSP_resp_count(basic) > 0)
		describe_other(OCSP_resp_get0(basic, 0), cert, said);
	else
		err_set(said, "it has no entry about a certificate");
	return STAPLE_WRONG_CERTIFICATE;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * RFC 6960 4.2.2.1: without nextUpdate newer information is always available.
 * The lifetime counts from thisUpdate: counted from receipt, a response that
 * is replayed would never end.
 */
static int64_t
end_of(const struct single *single, const struct staple_clock *clock)
{
	if (single->next_update != 0)
		return single->next_update;
	return single->this_update + clock->default_lifetime_s;
}

static enum staple_outcome
check_window(const struct single *single, int64_t signer_not_after,
    const struct staple_clock *clock, int64_t *expires, struct err *said)
{
	int64_t from = single->this_update, now = clock->now_s;
	int64_t to = end_of(single, clock);

	if (to < from) {
		err_set(said, "nextUpdate (%s) lies before thisUpdate (%s)",
		    staple_time_date(to).text, staple_time_date(from).text);
		return STAPLE_MALFORMED;
	}
	/* RFC 6960 4.2.2.1: a thisUpdate later than now is unreliable. */
	if (from > now + STAPLE_SKEW_S) {
		err_set(said,
		    "it begins at %s, %s from now: is the clock of this "
		    "host (%s) correct?",
		    staple_time_date(from).text,
		    staple_time_span(from - now).text,
		    staple_time_date(now).text);
		return STAPLE_NOT_YET_VALID;
	}
	*expires = earlier(to, signer_not_after);
	if (*expires <= now) {
		err_set(said,
		    "it ended at %s, %s ago by the clock of this host (%s)",
		    staple_time_date(*expires).text,
		    staple_time_span(now - *expires).text,
		    staple_time_date(now).text);
		return STAPLE_EXPIRED;
	}
	return STAPLE_GOOD;
}

static enum staple_outcome
check_certificate_status(const struct single *single, struct err *said)
{
	const char *reason = OCSP_crl_reason_str(single->reason);

	if (single->contradicted) {
		err_set(said,
		    "the first entry about the certificate is \"%s\", "
		    "another one is not",
		    OCSP_cert_status_str(single->status));
		return STAPLE_CONTRADICTORY;
	}
	if (single->status == V_OCSP_CERTSTATUS_GOOD)
		return STAPLE_GOOD;
	if (single->never_issued) {
		err_set(said, "revoked since 1970 with certificateHold: the "
			      "CA never issued the certificate (RFC 6960 "
			      "4.4.8)");
		return STAPLE_UNKNOWN;
	}
	if (single->status != V_OCSP_CERTSTATUS_REVOKED) {
		err_set(
		    said, "the responder does not recognise the certificate");
		return STAPLE_UNKNOWN;
	}
	if (single->reason == OCSP_REVOKED_STATUS_NOSTATUS)
		reason = "no reason given";
	err_set(said, "revoked since %s (%s)",
	    staple_time_date(single->revoked_at).text, reason);
	return STAPLE_REVOKED;
}

/*
 * ---- The signer ----
 *
 * RFC 6960 4.2.2.2: the issuer of the certificate, or a delegate: a certificate
 * directly issued by it with the usage id-kp-OCSPSigning.  OpenSSL decides,
 * given a store that holds the issuer alone, and one candidate at a time: no
 * root is needed, no certificate from inside the response helps another one to
 * be trusted, and of several of one name the right one is found at any
 * position.
 *
 * X509_V_FLAG_NO_CHECK_TIME is set; is_in_time() checks a delegate's dates.  An
 * authority that was renewed with its key has two certificates of one name, and
 * the order in which they are found must not decide.
 *
 * MD2, MD4 and MD5 are refused at every security level of OpenSSL, and so is an
 * RSA key of at most 1024 bits, because clients refuse them.  SHA-1 signatures,
 * which some responders still make, are accepted unless the system's policy
 * forbids them.
 */

/* Each costs a signature check; no real responder has more of one name. */
#define CANDIDATES_MAX 16

enum { RSA_REFUSED_BITS = 1024, RSA_DUE_BITS = 2048 };

struct signer_search {
	OCSP_BASICRESP *basic;
	struct staple_ocsp_certs certs; /* not yet examined */
	const struct staple_cert *cert;
	int64_t now_s;
	X509_STORE *store;      /* the issuer alone; no dates are checked */
	STACK_OF(X509) * alone; /* room for one candidate */
	unsigned candidates;    /* that were tried */
	X509 *impostor;         /* it did sign and may not; a reference */
};

static bool
search_init(struct signer_search *search)
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
search_fini(struct signer_search *search)
{
	X509_STORE_free(search->store);
	sk_X509_free(search->alone);
	X509_free(search->impostor);
}

static bool
verify(const struct signer_search *search, X509 *candidate, unsigned long flags)
{
	sk_X509_zero(search->alone);
	return sk_X509_push(search->alone, candidate) == 1 &&
	       OCSP_basic_verify(
		   search->basic, search->alone, search->store, flags) == 1;
}

/* Only a delegate's own dates count. */
static bool
is_in_time(const struct signer_search *search, const X509 *candidate)
{
	int64_t from, to;

	return candidate == search->cert->issuer ||
	       (staple_time_read(X509_get0_notBefore(candidate), &from) &&
		   staple_time_read(X509_get0_notAfter(candidate), &to) &&
		   from <= search->now_s && search->now_s < to);
}

static bool
is_signer(struct signer_search *search, X509 *candidate)
{
	if (!staple_ocsp_names(search->basic, candidate))
		return false;
	search->candidates++;
	if (is_in_time(search, candidate) &&
	    verify(search, candidate,
		OCSP_PARTIAL_CHAIN | OCSP_NOCHAIN | OCSP_NOEXPLICIT))
		return true;
	/* The signature alone: distinguishes an impostor from changed bytes. */
	if (search->impostor == NULL &&
	    verify(search, candidate, OCSP_NOVERIFY) &&
	    X509_up_ref(candidate) == 1)
		search->impostor = candidate;
	return false;
}

/* A reference. */
static X509 *
find_signer(struct signer_search *search)
{
	X509 *issuer = search->cert->issuer, *candidate;

	if (is_signer(search, issuer))
		return X509_up_ref(issuer) == 1 ? issuer : NULL;
	while (search->candidates < CANDIDATES_MAX &&
	       (candidate = staple_ocsp_next_signer(
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

/* The responder ID of the response: a name or a key hash. */
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
is_issued(const struct signer_search *search, X509 *certificate)
{
	X509 *issuer = search->cert->issuer;

	return certificate == issuer ||
	       (X509_check_issued(issuer, certificate) == X509_V_OK &&
		   X509_verify(certificate, X509_get0_pubkey(issuer)) == 1);
}

/* Why the impostor may not sign. */
static const char *
flaw(const struct signer_search *search)
{
	X509 *impostor = search->impostor;
	int64_t from, to;

	if (is_leaf(search->cert, impostor))
		return "which is the certificate itself";
	if (!is_issued(search, impostor))
		return "whose certificate was not issued by the issuer";
	if (staple_time_read(X509_get0_notAfter(impostor), &to) &&
	    search->now_s >= to)
		return "whose certificate has expired";
	if (staple_time_read(X509_get0_notBefore(impostor), &from) &&
	    search->now_s < from)
		return "whose certificate is not valid yet";
	if ((X509_get_extension_flags(impostor) & EXFLAG_XKUSAGE) == 0 ||
	    (X509_get_extended_key_usage(impostor) & XKU_OCSP_SIGN) == 0)
		return "whose certificate lacks the usage OCSPSigning";
	return "whose certificate OpenSSL does not accept as signer";
}

static enum staple_outcome
refuse(const struct signer_search *search, struct err *said)
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
		    "signed by \"%s\", which is not the issuer and whose "
		    "certificate is not enclosed",
		    name);
		return STAPLE_WRONG_SIGNER;
	}
	err_set(said,
	    "the signature does not fit the key of \"%s\": the bytes were "
	    "changed, or another key signed in that name",
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
check_strength(struct signer *signer, const X509 *found, struct err *said)
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
describe(struct signer *signer, const struct signer_search *search, X509 *found,
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

static enum staple_outcome
check_signer(struct signer *signer, OCSP_BASICRESP *basic,
    const struct staple_ocsp_certs *certs, const struct staple_cert *cert,
    int64_t now_s, struct err *said)
{
	struct signer_search search = {
		.basic = basic, .certs = *certs, .cert = cert, .now_s = now_s
	};
	enum staple_outcome outcome = check_digest(basic, said);
	X509 *found;

	if (outcome != STAPLE_GOOD)
		return outcome;
	if (!search_init(&search)) {
		err_set(said, "out of memory");
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

/* ---- Verification ---- */

struct facts {
	struct single single;
	struct signer signer;
	int64_t expires;
};

struct staple_response {
	atomic_uint references;

	/* fixed at creation */
	struct facts facts;
	size_t len;
	unsigned char der[];
};

/* The checks of a decoded response, in their order. */
static enum staple_outcome
check_basic(struct facts *facts, OCSP_BASICRESP *basic,
    const struct staple_ocsp_certs *certs, const struct staple_cert *cert,
    const struct staple_clock *clock, struct err *said)
{
	enum staple_outcome outcome;

	outcome = find_single(&facts->single, basic, cert, said);
	if (outcome == STAPLE_GOOD)
		outcome = check_signer(
		    &facts->signer, basic, certs, cert, clock->now_s, said);
	if (outcome == STAPLE_GOOD)
		outcome = check_window(&facts->single, facts->signer.not_after,
		    clock, &facts->expires, said);
	if (outcome == STAPLE_GOOD)
		outcome = check_certificate_status(&facts->single, said);
	if (outcome == STAPLE_GOOD)
		err_set(said, "good until %s, signed by \"%s\"",
		    staple_time_date(facts->expires).text, facts->signer.name);
	if (outcome == STAPLE_GOOD && facts->signer.weak_bits != 0)
		err_set(said, "%s (RSA key of %d bits: 2048 are required)",
		    said->text, facts->signer.weak_bits);
	return outcome;
}

static struct staple_response *
new_response(const struct facts *facts, const unsigned char *der, size_t len)
{
	struct staple_response *response = calloc(1, sizeof(*response) + len);

	if (response == NULL)
		return NULL;
	atomic_init(&response->references, 1);
	response->facts = *facts;
	response->facts.signer.delegate = NULL; /* it is not kept */
	response->len = len;
	memcpy(response->der, der, len);
	return response;
}

/* NULL: no memory; or, with another outcome, it cannot be stapled. */
static struct staple_response *
make(const struct facts *facts, const unsigned char *der, size_t len,
    struct staple_result *checked)
{
	struct staple_response *response = NULL;
	size_t trimmed_len;
	unsigned char *trimmed = staple_ocsp_trim(
	    der, len, facts->signer.delegate, &trimmed_len);

	if (trimmed != NULL && trimmed_len > STAPLE_RESPONSE_MAX) {
		checked->outcome = STAPLE_TOO_LARGE_TO_STAPLE;
		err_set(&checked->said,
		    "%zu bytes with only the signer's certificate; more than "
		    "%d are never stapled",
		    trimmed_len, STAPLE_RESPONSE_MAX);
	} else if (trimmed != NULL) {
		response = new_response(facts, trimmed, trimmed_len);
	}
	OPENSSL_free(trimmed);
	return response;
}

static bool
is_answer(const struct staple_result *checked)
{
	return checked->outcome == STAPLE_GOOD ||
	       checked->outcome == STAPLE_REVOKED;
}

struct staple_response *
staple_response_verify(const struct staple_cert *cert, const unsigned char *der,
    size_t len, const struct staple_clock *clock, struct staple_result *checked)
{
	struct staple_response *response = NULL;
	OCSP_BASICRESP *basic = NULL;
	struct staple_ocsp_certs certs;
	struct facts facts = { 0 };
	bool failed;

	staple_memory_watch();
	checked->outcome = staple_ocsp_decode(
	    &basic, &certs, der, len, &checked->said);
	if (checked->outcome == STAPLE_GOOD)
		checked->outcome = check_basic(
		    &facts, basic, &certs, cert, clock, &checked->said);
	if (is_answer(checked))
		response = make(&facts, der, len, checked);
	X509_free(facts.signer.delegate);
	OCSP_BASICRESP_free(basic);
	failed = staple_memory_failed(response == NULL);
	/* An allocation failure overrides any other outcome. */
	if ((failed || is_answer(checked)) && response == NULL) {
		checked->outcome = STAPLE_NO_MEMORY;
		err_set(&checked->said, "out of memory");
	}
	return response;
}

struct staple_response *
staple_response_ref(struct staple_response *response)
{
	atomic_fetch_add_explicit(
	    &response->references, 1, memory_order_relaxed);
	return response;
}

void
staple_response_unref(struct staple_response *response)
{
	if (response != NULL && atomic_fetch_sub_explicit(&response->references,
				    1, memory_order_acq_rel) == 1)
		free(response);
}

const unsigned char *
staple_response_der(const struct staple_response *response, size_t *len)
{
	*len = response->len;
	return response->der;
}

bool
staple_response_is_revoked(const struct staple_response *response)
{
	return response->facts.single.status == V_OCSP_CERTSTATUS_REVOKED;
}

int64_t
staple_response_this_update(const struct staple_response *response)
{
	return response->facts.single.this_update;
}

int64_t
staple_response_next_update(const struct staple_response *response)
{
	return response->facts.single.next_update;
}

int64_t
staple_response_expires(const struct staple_response *response)
{
	return response->facts.expires;
}

const char *
staple_response_signer(const struct staple_response *response)
{
	return response->facts.signer.name;
}

bool
staple_response_leads(const struct staple_response *response)
{
	return response->facts.single.leads;
}

int
staple_response_weak_bits(const struct staple_response *response)
{
	return response->facts.signer.weak_bits;
}

bool
staple_response_is_ahead(const struct staple_response *response, int64_t now_s)
{
	return staple_response_this_update(response) > now_s + STAPLE_SKEW_S;
}

bool
staple_response_is_current(
    const struct staple_response *response, int64_t now_s)
{
	return !staple_response_is_ahead(response, now_s) &&
	       now_s < staple_response_expires(response);
}

bool
staple_response_same(
    const struct staple_response *a, const struct staple_response *b)
{
	return a->len == b->len && memcmp(a->der, b->der, a->len) == 0;
}

bool
staple_response_may_replace(const struct staple_response *held,
    const struct staple_response *fresh, int64_t now_s)
{
	int64_t older, newer;

	if (held == NULL)
		return true;
	older = staple_response_this_update(held);
	newer = staple_response_this_update(fresh);
	if (staple_response_is_revoked(held) &&
	    !staple_response_is_revoked(fresh))
		return newer > older;
	return newer >= older || staple_response_is_ahead(held, now_s);
}

/*
 * ---- The check against the response that is held ----
 *
 * A response that may not replace the one held is refused here, with the bytes
 * still in hand, and not when it is published: an older response is then a
 * failure like any other, and the next responder is used.
 */

static enum staple_outcome
compare(const struct staple_response *held, const struct staple_response *fresh,
    int64_t now_s)
{
	if (!staple_response_may_replace(held, fresh, now_s))
		return STAPLE_OLDER;
	if (staple_response_is_revoked(fresh))
		return STAPLE_REVOKED;
	if (held != NULL && staple_response_same(held, fresh))
		return STAPLE_UNCHANGED;
	return STAPLE_GOOD;
}

static void
pass(struct staple_result *checked, enum staple_outcome outcome)
{
	checked->outcome = outcome;
	err_set(&checked->said, "%s", staple_outcome_sentence(outcome));
}

struct staple_response *
staple_response_check(const struct staple_cert *cert,
    const struct staple_response *held, const unsigned char *der, size_t len,
    const struct staple_clock *clock, struct staple_result *checked)
{
	struct staple_response *fresh = staple_response_verify(
	    cert, der, len, clock, checked);

	if (fresh == NULL)
		return NULL;
	checked->outcome = compare(held, fresh, clock->now_s);
	if (checked->outcome != STAPLE_OLDER)
		return fresh;
	pass(checked, STAPLE_OLDER);
	staple_response_unref(fresh);
	return NULL;
}

struct staple_response *
staple_response_check_fetched(const struct staple_cert *cert,
    const struct staple_response *held,
    const struct staple_fetch_result *fetched, const struct staple_clock *clock,
    struct staple_result *checked)
{
	struct staple_response *fresh;

	if (fetched->outcome != STAPLE_GOOD) {
		checked->outcome = fetched->outcome;
		err_set(&checked->said, "%s", fetched->said);
		return NULL;
	}
	fresh = staple_response_check(
	    cert, held, fetched->body, fetched->len, clock, checked);
	/* A login page is not a malformed response: see its Content-Type.  A
	 * valid response with a wrong Content-Type is accepted. */
	if (checked->outcome == STAPLE_MALFORMED && !fetched->right_type)
		pass(checked, STAPLE_NOT_OCSP);
	return fresh;
}
