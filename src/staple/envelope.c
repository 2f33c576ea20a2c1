/*
 * From bytes to what lies in them.  Any thread.  Whoever sent the bytes may be
 * an enemy: they are decoded, encoded again and compared, so that what will be
 * sent to clients is, byte for byte, what is verified and nothing beside it.
 */
#include "staple/envelope.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "staple/text.h"

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
