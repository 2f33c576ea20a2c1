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
#include "staple/ocsp_der.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "staple/time_text.h"

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

/* Text, such as that of a web page, identifies the server that answered. */
static bool
is_text(const unsigned char *der, size_t len)
{
	for (size_t i = 0; i < 4; i++)
		if (i == len || der[i] < ' ' || der[i] > '~')
			return false;
	return true;
}

static enum staple_outcome
describe_undecodable(const unsigned char *der, size_t len, struct err *said)
{
	size_t whole = promised(der, len);
	char text[40];

	if (whole > len) {
		err_set(said, "%zu of %zu bytes received", len, whole);
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
		err_set(said, "the response is empty");
		return STAPLE_EMPTY;
	}
	if (len <= INT_MAX)
		*response = d2i_OCSP_RESPONSE(NULL, &end, (long)len);
	if (*response == NULL)
		return describe_undecodable(der, len, said);
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
		err_set(said, "responder error %s", statuses[status].name);
	return statuses[status].outcome;
}

/* ---- The parts of the encoding ---- */

/* Identifiers of elements. */
enum {
	SEQUENCE = V_ASN1_CONSTRUCTED | V_ASN1_SEQUENCE,
	EXPLICIT_0 = V_ASN1_CONSTRUCTED | V_ASN1_CONTEXT_SPECIFIC
};

/* Step into the element at *at, or over so many.  false: there are none. */
static bool
enter(const unsigned char **at, const unsigned char *end, int identifier)
{
	long length;
	int tag, class;

	return *at < end && **at == identifier &&
	       (ASN1_get_object(at, &length, &tag, &class, end - *at) & 0x80) ==
		   0;
}

static bool
pass(const unsigned char **at, const unsigned char *end, int elements)
{
	long length;
	int tag, class;

	while (elements-- > 0) {
		if ((ASN1_get_object(at, &length, &tag, &class, end - *at) &
			0x80) != 0)
			return false;
		*at += length;
	}
	return true;
}

/* id-pkix-ocsp-basic */
static const unsigned char basic_type[] = { V_ASN1_OBJECT, 9, 0x2b, 6, 1, 5, 5,
	7, 48, 1, 1 };

/* Of a response: tbsResponseData, signatureAlgorithm and signature are from
 * `core` to `core_end`, certs, if any, from there to `end`. */
struct parts {
	const unsigned char *core, *core_end, *end;
};

enum { CORE_ELEMENTS = 3 };

/* false: it is no basic response.  The nesting of the elements is checked when
 * they are encoded again. */
static bool
find_parts(struct parts *parts, const unsigned char *der, size_t len)
{
	const unsigned char *at = der, *end = der + len, *type;

	if (!enter(&at, end, SEQUENCE) ||   /* OCSPResponse */
	    !pass(&at, end, 1) ||           /* responseStatus */
	    !enter(&at, end, EXPLICIT_0) || /* responseBytes [0] */
	    !enter(&at, end, SEQUENCE))     /* ResponseBytes */
		return false;
	type = at;
	if (!pass(&at, end, 1) || (size_t)(at - type) != sizeof(basic_type) ||
	    memcmp(type, basic_type, sizeof(basic_type)) != 0 ||
	    !enter(&at, end, V_ASN1_OCTET_STRING) || /* response */
	    !enter(&at, end, SEQUENCE))              /* BasicOCSPResponse */
		return false;
	*parts = (struct parts){ .core = at, .end = end };
	if (!pass(&at, end, CORE_ELEMENTS))
		return false;
	parts->core_end = at;
	return true;
}

/* Nothing, or [0] with one SEQUENCE and nothing else. */
static bool
find_certs(struct staple_ocsp_certs *certs, const struct parts *parts)
{
	const unsigned char *at = parts->core_end, *over = at;

	*certs = (struct staple_ocsp_certs){ parts->end, parts->end };
	if (at == parts->end)
		return true;
	if (!pass(&over, parts->end, 1) || over != parts->end ||
	    !enter(&at, parts->end, EXPLICIT_0))
		return false;
	over = at;
	if (!pass(&over, parts->end, 1) || over != parts->end ||
	    !enter(&at, parts->end, SEQUENCE))
		return false;
	certs->at = at;
	return true;
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

/* The core before what is there, and the basic response around both. */
static void
put_core(struct room *room, const struct parts *parts)
{
	put(room, parts->core, (size_t)(parts->core_end - parts->core));
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
}

/* RFC 6960 4.2.1: the response around a basic one. */
static void
wrap_basic(struct room *room)
{
	static const unsigned char status[] = { V_ASN1_ENUMERATED, 1,
		OCSP_RESPONSE_STATUS_SUCCESSFUL };

	wrap(room, 0, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL);
	put(room, basic_type, sizeof(basic_type));
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	wrap(room, 1, 0, V_ASN1_CONTEXT_SPECIFIC);
	put(room, status, sizeof(status));
	wrap(room, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
}

/*
 * Are the headers around the parts in their shortest form, and is nothing
 * beside the parts?  `spare` has more room than the response.
 */
static bool
is_wrapped(const struct parts *parts, const unsigned char *der, size_t len,
    struct room spare)
{
	put(&spare, parts->core_end, (size_t)(parts->end - parts->core_end));
	put_core(&spare, parts);
	wrap_basic(&spare);
	return (size_t)(spare.end - spare.at) == len &&
	       memcmp(spare.at, der, len) == 0;
}

/* The basic response without certificates, decoded; NULL: it is none, or, with
 * *canonical false, this is not its one encoding. */
static OCSP_BASICRESP *
decode_core(const struct parts *parts, struct room spare, bool *canonical)
{
	OCSP_BASICRESP *basic;
	const unsigned char *at;
	unsigned char *again = NULL;
	long len;
	int size;

	put_core(&spare, parts);
	at = spare.at;
	len = (long)(spare.end - spare.at);
	basic = d2i_OCSP_BASICRESP(NULL, &at, len);
	size = basic != NULL ? i2d_OCSP_BASICRESP(basic, &again) : -1;
	*canonical = again != NULL && size == len &&
		     memcmp(again, spare.at, (size_t)len) == 0;
	OPENSSL_free(again);
	return basic;
}

/* ---- Fields that are not signed ---- */

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
 * OpenSSL ignores the parameters of nearly every algorithm and accepts a second,
 * old identifier of some; other TLS libraries may not, and the signature covers
 * neither.  NULL for RSA (RFC 4055 5), absent for the rest (RFC
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

	return staple_time_read_exact(
	    OCSP_resp_get0_produced_at(basic), &seconds);
}

/* Headers of more bytes than were there, in the worst case. */
enum { HEADERS_MAX = 64 };

/*
 * OpenSSL reads BER, and past the end of what lies inside an octet string; a
 * client may be stricter, so bytes that were inserted there would fail the
 * handshake.
 */
static bool
decode_parts(OCSP_BASICRESP **basic, struct staple_ocsp_certs *certs,
    const unsigned char *der, size_t len, struct err *said)
{
	unsigned char *spare = OPENSSL_malloc(len + HEADERS_MAX);
	struct room room = { spare, spare };
	struct parts parts;
	bool canonical = false, fine = false;

	if (spare != NULL)
		room.at = room.end = spare + len + HEADERS_MAX;
	if (spare != NULL && find_parts(&parts, der, len))
		*basic = decode_core(&parts, room, &canonical);
	if (*basic == NULL)
		err_set(said, "it contains no basic OCSP response");
	else if (!canonical || !is_wrapped(&parts, der, len, room) ||
		 !find_certs(certs, &parts))
		err_set(said, "it is not DER, or has unexpected "
			      ""
			      "elements");
	else
		fine = true;
	OPENSSL_free(spare);
	return fine;
}

static enum staple_outcome
open_basic(OCSP_BASICRESP **basic, struct staple_ocsp_certs *certs,
    const unsigned char *der, size_t len, struct err *said)
{
	if (!decode_parts(basic, certs, der, len, said))
		return STAPLE_MALFORMED;
	if (!has_usual_algorithm(*basic))
		err_set(said, "the signature algorithm is not in its usual "
			      "form, which some clients refuse");
	else if (!is_produced(*basic))
		err_set(said, "producedAt is no time in DER");
	/* RFC 6960 4.4: what is critical must be understood. */
	else if (OCSP_BASICRESP_get_ext_by_critical(*basic, 1, -1) >= 0)
		err_set(said, "it has an unknown critical extension");
	else
		return STAPLE_GOOD;
	return STAPLE_MALFORMED;
}

enum staple_outcome
staple_ocsp_decode(OCSP_BASICRESP **basic, struct staple_ocsp_certs *certs,
    const unsigned char *der, size_t len, struct err *said)
{
	OCSP_RESPONSE *response = NULL;
	enum staple_outcome outcome;

	outcome = decode(&response, der, len, said);
	if (outcome == STAPLE_GOOD)
		outcome = check_status(response, said);
	if (outcome == STAPLE_GOOD)
		outcome = open_basic(basic, certs, der, len, said);
	OCSP_RESPONSE_free(response);
	return outcome;
}

/* ---- The certificates inside ---- */

bool
staple_ocsp_names(const OCSP_BASICRESP *basic, const X509 *candidate)
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

/* RFC 5280 4.1: to the subject of the certificate at *at, behind which its key
 * follows. */
static bool
find_subject(const unsigned char **at, const unsigned char *end)
{
	if (!enter(at, end, SEQUENCE)) /* Certificate */
		return false;
	if (!enter(at, end, SEQUENCE)) /* TBSCertificate */
		return false;
	/* version [0], which version 1 does not have */
	if (*at < end && **at != V_ASN1_INTEGER && !pass(at, end, 1))
		return false;
	/* serialNumber, signature, issuer, validity */
	return pass(at, end, 4);
}

static bool
has_name(
    const X509_NAME *name, const unsigned char *at, const unsigned char *end)
{
	X509_NAME *subject = d2i_X509_NAME(NULL, &at, end - at);
	bool same = subject != NULL && X509_NAME_cmp(name, subject) == 0;

	X509_NAME_free(subject);
	return same;
}

/* The hash of the bits of the key, without their count of unused ones. */
static bool
has_key(const ASN1_OCTET_STRING *hash, const unsigned char *at,
    const unsigned char *end)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	const unsigned char *over;
	unsigned len = 0;

	if (!enter(&at, end, SEQUENCE) || !pass(&at, end, 1))
		return false;
	over = at;
	if (!pass(&over, end, 1) || !enter(&at, end, V_ASN1_BIT_STRING) ||
	    at >= over)
		return false;
	return EVP_Digest(at + 1, (size_t)(over - at - 1), digest, &len,
		   EVP_sha1(), NULL) == 1 &&
	       (unsigned)ASN1_STRING_length(hash) == len &&
	       memcmp(ASN1_STRING_get0_data(hash), digest, len) == 0;
}

/* Is it worth decoding? */
static bool
may_be_named(const OCSP_BASICRESP *basic, const unsigned char *at,
    const unsigned char *end)
{
	const ASN1_OCTET_STRING *hash = NULL;
	const X509_NAME *name = NULL;

	OCSP_resp_get0_id(basic, &hash, &name);
	if (!find_subject(&at, end))
		return false;
	if (name != NULL)
		return has_name(name, at, end);
	return pass(&at, end, 1) && has_key(hash, at, end);
}

X509 *
staple_ocsp_next_signer(
    struct staple_ocsp_certs *certs, const OCSP_BASICRESP *basic)
{
	const unsigned char *at, *end = certs->end;
	X509 *found = NULL;

	while (found == NULL && certs->at < end) {
		at = certs->at;
		if (!pass(&certs->at, end, 1))
			certs->at = end;
		else if (may_be_named(basic, at, certs->at))
			found = d2i_X509(NULL, &at, certs->at - at);
	}
	return found;
}

/* ---- Encoding ---- */

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

unsigned char *
staple_ocsp_trim(const unsigned char *der, size_t len, const X509 *certificate,
    size_t *trimmed_len)
{
	unsigned char *trimmed = OPENSSL_malloc(len + HEADERS_MAX);
	struct room room;
	struct parts parts;

	if (trimmed == NULL || !find_parts(&parts, der, len))
		goto fail;
	room.at = room.end = trimmed + len + HEADERS_MAX;
	if (certificate != NULL && !put_certificate(&room, certificate))
		goto fail;
	put_core(&room, &parts);
	wrap_basic(&room);
	*trimmed_len = (size_t)(room.end - room.at);
	memmove(trimmed, room.at, *trimmed_len);
	return trimmed;
fail:
	OPENSSL_free(trimmed);
	return NULL;
}
