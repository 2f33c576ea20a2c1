/*
 * From bytes to the decoded form, and back.  Any thread.  The sender is not
 * trusted: the bytes are decoded, encoded again and compared, so that nothing
 * is in them that the decoded form does not show.
 *
 * The signature covers tbsResponseData alone.  Of the rest, responseStatus and
 * responseType have one value, signatureAlgorithm is accepted in one form only,
 * and `certs` is written anew for clients: an attacker on the path to the
 * responder can add certificates to a genuine response until it is larger than
 * clients accept.
 */
#include "staple/envelope.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "staple/text.h"
#include "staple/when.h"

/* RFC 6960 4.2.1; 4 is not used. */
static const struct status {
	const char *name;
	enum staple_outcome outcome;
} statuses[] = {
	[OCSP_RESPONSE_STATUS_SUCCESSFUL] = { "successful", STAPLE_GOOD },
	[OCSP_RESPONSE_STATUS_MALFORMEDREQUEST] = { "malformedRequest",
	    STAPLE_MALFORMED_REQUEST },
	[OCSP_RESPONSE_STATUS_INTERNALERROR] = { "internalError",
	    STAPLE_INTERNAL_ERROR },
	[OCSP_RESPONSE_STATUS_TRYLATER] = { "tryLater", STAPLE_TRY_LATER },
	[OCSP_RESPONSE_STATUS_SIGREQUIRED] = { "sigRequired",
	    STAPLE_SIG_REQUIRED },
	[OCSP_RESPONSE_STATUS_UNAUTHORIZED] = { "unauthorized",
	    STAPLE_UNAUTHORIZED },
};

/* How many bytes the outermost header promises, itself included; 0: none. */
static size_t
promised(const unsigned char *der, size_t len)
{
	size_t octets, total = 0;

	if (der[0] != (V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED))
		return 0;
	if (len < 2 || der[1] < 0x80)
		return 2 + (size_t)(len < 2 ? 0 : der[1]);
	octets = der[1] & 0x7f;
	if (octets == 0 || octets > 4)
		return 0;
	if (len < 2 + octets)
		return 2 + octets;
	for (size_t i = 0; i < octets; i++)
		total = total << 8 | der[2 + i];
	return 2 + octets + total;
}

/* Text, such as that of a web page, tells who really answered. */
static bool
is_text(const unsigned char *der, size_t len)
{
	for (size_t i = 0; i < 4; i++)
		if (i == len || der[i] < ' ' || der[i] > '~')
			return false;
	return true;
}

static enum staple_outcome
tell_undecodable(const unsigned char *der, size_t len, struct err *said)
{
	size_t whole = promised(der, len);
	char text[40];

	if (whole > len) {
		err_set(said, "%zu bytes came of %zu", len, whole);
		return STAPLE_TRUNCATED;
	}
	staple_text_escape(text, sizeof(text), (const char *)der, len);
	if (whole == 0 && is_text(der, len))
		err_set(said, "%zu bytes that begin with \"%s\"", len, text);
	else
		err_set(said, "%zu bytes that are no OCSP response", len);
	return STAPLE_MALFORMED;
}

static enum staple_outcome
decode(OCSP_RESPONSE **response, const unsigned char *der, size_t len,
    struct err *said)
{
	const unsigned char *end = der;

	if (len == 0) {
		err_set(said, "the answer has no bytes");
		return STAPLE_EMPTY;
	}
	if (len <= INT_MAX)
		*response = d2i_OCSP_RESPONSE(NULL, &end, (long)len);
	if (*response == NULL)
		return tell_undecodable(der, len, said);
	if (end == der + len)
		return STAPLE_GOOD;
	err_set(said, "%zu bytes follow the response of %zu",
	    len - (size_t)(end - der), (size_t)(end - der));
	return STAPLE_TRAILING_BYTES;
}

static enum staple_outcome
check_status(OCSP_RESPONSE *response, struct err *said)
{
	int status = OCSP_response_status(response);

	if (status < 0 || (size_t)status >= ARRAY_LEN(statuses) ||
	    statuses[status].name == NULL) {
		err_set(said, "an unknown response status, %d", status);
		return STAPLE_MALFORMED;
	}
	if (statuses[status].outcome != STAPLE_GOOD)
		err_set(
		    said, "the responder answers %s", statuses[status].name);
	return statuses[status].outcome;
}

/*
 * Is this the one encoding of what was decoded?  OpenSSL reads BER, and past
 * the end of what lies inside an octet string; a client may be stricter, so
 * whatever a stranger slipped in there would cost us the handshake.
 */
static bool
is_canonical(OCSP_BASICRESP *basic, const unsigned char *der, size_t len)
{
	OCSP_RESPONSE *again = OCSP_response_create(
	    OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	unsigned char *encoded = NULL;
	int size = again != NULL ? i2d_OCSP_RESPONSE(again, &encoded) : -1;
	bool same = size >= 0 && (size_t)size == len &&
		    memcmp(encoded, der, len) == 0;

	OPENSSL_free(encoded);
	OCSP_RESPONSE_free(again);
	return same;
}

/* SHA-256, -384 or -512 for both hashes (HH), their parameters NULL or absent,
 * and a salt (SS) as long as the hash. */
#define PSS_HASH "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\0" /* HH */
#define PSS_MGF1 "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define PSS_SALT "\xa2\x03\x02\x01\0" /* SS */

static const struct pss_form {
	const char *der;
	size_t len, hash_at, mgf_at; /* where HH stands; SS is the last */
} pss_forms[] = {
	{ "\x30\x34\xa0\x0f\x30\x0d" PSS_HASH "\x05\0"
	  "\xa1\x1c\x30\x1a" PSS_MGF1 "\x30\x0d" PSS_HASH "\x05\0" PSS_SALT,
	    54, 16, 46 },
	{ "\x30\x30\xa0\x0d\x30\x0b" PSS_HASH "\xa1\x1a\x30\x18" PSS_MGF1
	  "\x30\x0b" PSS_HASH PSS_SALT,
	    50, 16, 44 },
};

/* RFC 4055 3.1. */
static bool
is_usual_pss(const ASN1_STRING *value)
{
	const unsigned char *der = ASN1_STRING_get0_data(value);
	unsigned char usual[64];

	for (size_t i = 0; i < ARRAY_LEN(pss_forms) * 3; i++) {
		const struct pss_form *form = &pss_forms[i / 3];
		unsigned char hash = (unsigned char)(1 + i % 3);

		memcpy(usual, form->der, form->len);
		usual[form->hash_at] = usual[form->mgf_at] = hash;
		usual[form->len - 1] = (unsigned char)(16 + 16 * hash);
		if ((size_t)ASN1_STRING_length(value) == form->len &&
		    memcmp(der, usual, form->len) == 0)
			return true;
	}
	return false;
}

/*
 * OpenSSL ignores the parameters of nearly every algorithm and knows some
 * algorithms by a second, old identifier; clients may not, and the signature
 * does not cover either.  NULL for RSA (RFC 4055 5), absent for the rest (RFC
 * 5758 3.2, RFC 8410 3).
 */
static bool
has_usual_algorithm(const OCSP_BASICRESP *basic)
{
	const ASN1_OBJECT *object = NULL;
	const void *value = NULL;
	int type, nid, digest, key = NID_undef;

	X509_ALGOR_get0(
	    &object, &type, &value, OCSP_resp_get0_tbs_sigalg(basic));
	nid = OBJ_obj2nid(object);
	if (nid == NID_md5WithRSA || nid == NID_sha1WithRSA ||
	    nid == NID_dsaWithSHA || nid == NID_dsaWithSHA1_2)
		return false;
	if (nid == NID_rsassaPss)
		return type == V_ASN1_SEQUENCE && is_usual_pss(value);
	if (OBJ_find_sigid_algs(nid, &digest, &key) == 1 &&
	    key == NID_rsaEncryption)
		return type == V_ASN1_NULL;
	return type == V_ASN1_UNDEF;
}

static bool
is_produced(const OCSP_BASICRESP *basic)
{
	int64_t seconds;

	return staple_when_read_exact(
	    OCSP_resp_get0_produced_at(basic), &seconds);
}

static enum staple_outcome
open_basic(OCSP_BASICRESP **basic, OCSP_RESPONSE *response,
    const unsigned char *der, size_t len, struct err *said)
{
	*basic = OCSP_response_get1_basic(response);
	if (*basic == NULL)
		err_set(said, "no basic OCSP response is inside");
	else if (!is_canonical(*basic, der, len))
		err_set(said, "it is not encoded as DER, or more is inside "
			      "than belongs there");
	else if (!has_usual_algorithm(*basic))
		err_set(said, "the signature algorithm is not in its usual "
			      "form, which some clients refuse");
	else if (!is_produced(*basic))
		err_set(said, "producedAt is no time in DER");
	/* RFC 6960 4.4: what is critical must be understood. */
	else if (OCSP_BASICRESP_get_ext_by_critical(*basic, 1, -1) >= 0)
		err_set(said, "it has a critical extension that is not known");
	else
		return STAPLE_GOOD;
	return STAPLE_MALFORMED;
}

enum staple_outcome
staple_envelope_open(OCSP_BASICRESP **basic, const unsigned char *der,
    size_t len, struct err *said)
{
	OCSP_RESPONSE *response = NULL;
	enum staple_outcome outcome;

	outcome = decode(&response, der, len, said);
	if (outcome == STAPLE_GOOD)
		outcome = check_status(response, said);
	if (outcome == STAPLE_GOOD)
		outcome = open_basic(basic, response, der, len, said);
	OCSP_RESPONSE_free(response);
	return outcome;
}

/* ---- And back ---- */

/* Step into the element at *at, or over it.  false: there is none. */
static bool
enter(const unsigned char **at, const unsigned char *end, long *length)
{
	int tag, class;

	return (ASN1_get_object(at, length, &tag, &class, end - *at) & 0x80) ==
	       0;
}

static bool
pass(const unsigned char **at, const unsigned char *end)
{
	long length;

	if (!enter(at, end, &length))
		return false;
	*at += length;
	return true;
}

/* tbsResponseData, signatureAlgorithm and signature. */
static bool
find_signed(const unsigned char **at, const unsigned char *end,
    const unsigned char **signed_end)
{
	long length;

	if (!enter(at, end, &length) || /* OCSPResponse */
	    !pass(at, end) ||           /* responseStatus */
	    !enter(at, end, &length) || /* responseBytes [0] */
	    !enter(at, end, &length) || /* ResponseBytes */
	    !pass(at, end) ||           /* responseType */
	    !enter(at, end, &length) || /* response */
	    !enter(at, end, &length))   /* BasicOCSPResponse */
		return false;
	*signed_end = *at;
	return pass(signed_end, end) && pass(signed_end, end) &&
	       pass(signed_end, end);
}

/* Room that fills from its end, as a header needs the length of what follows
 * it. */
struct room {
	unsigned char *at, *end;
};

static void
put(struct room *room, const unsigned char *bytes, size_t len)
{
	room->at -= len;
	memcpy(room->at, bytes, len);
}

/* A header before all that is there. */
static void
wrap(struct room *room, int constructed, int tag, int class)
{
	int len = (int)(room->end - room->at);
	unsigned char *at;

	room->at -= ASN1_object_size(constructed, len, tag) - len;
	at = room->at;
	ASN1_put_object(&at, constructed, len, tag, class);
}

/* false: no memory. */
static bool
put_certificate(struct room *room, const X509 *certificate)
{
	unsigned char *encoded = NULL;
	int len = i2d_X509(certificate, &encoded);

	if (len <= 0)
		return false;
	put(room, encoded, (size_t)len);
	OPENSSL_free(encoded);
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	wrap(room, 1, 0, V_ASN1_CONTEXT_SPECIFIC);
	return true;
}

/* RFC 6960 4.2.1. */
static void
wrap_basic(struct room *room)
{
	static const unsigned char status[] = { V_ASN1_ENUMERATED, 1,
		OCSP_RESPONSE_STATUS_SUCCESSFUL };
	static const unsigned char type[] = { V_ASN1_OBJECT, 9, 0x2b, 6, 1, 5,
		5, 7, 48, 1, 1 }; /* id-pkix-ocsp-basic */

	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	wrap(room, 0, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL);
	put(room, type, sizeof(type));
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	wrap(room, 1, 0, V_ASN1_CONTEXT_SPECIFIC);
	put(room, status, sizeof(status));
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
}

unsigned char *
staple_envelope_trim(const unsigned char *der, size_t len,
    const X509 *certificate, size_t *trimmed_len)
{
	const unsigned char *from = der, *to;
	unsigned char *trimmed;
	struct room room;

	/* It is never longer than before, for the certificate was inside. */
	trimmed = OPENSSL_malloc(len);
	if (trimmed == NULL || !find_signed(&from, der + len, &to))
		goto fail;
	room.at = room.end = trimmed + len;
	if (certificate != NULL && !put_certificate(&room, certificate))
		goto fail;
	put(&room, from, (size_t)(to - from));
	wrap_basic(&room);
	*trimmed_len = (size_t)(room.end - room.at);
	memmove(trimmed, room.at, *trimmed_len);
	return trimmed;
fail:
	OPENSSL_free(trimmed);
	return NULL;
}
