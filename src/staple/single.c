/*
 * The single response about our certificate, and its time window.  Any thread.
 * A response may use another hash than the request, and hold entries about
 * several certificates and several about ours.  Clients take the first that
 * matches, so that one counts; by which hash a client looks depends on the
 * client (GnuTLS and curl differ), so entries that disagree make the response
 * useless.  A SHA-1 and a SHA-256 entry that agree are normal (RFC 9919).
 */
#include "staple/single.h"

#include <stdbool.h>

#include "base/err.h"
#include "staple/cert.h"
#include "staple/response.h"
#include "staple/time_text.h"

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
note_never_issued(struct staple_single *single)
{
	if (single->status != V_OCSP_CERTSTATUS_REVOKED ||
	    single->reason != OCSP_REVOKED_STATUS_CERTIFICATEHOLD ||
	    single->revoked_at != 0)
		return;
	single->status = V_OCSP_CERTSTATUS_UNKNOWN;
	single->never_issued = true;
}

static bool
read_entry(
    struct staple_single *single, OCSP_SINGLERESP *entry, struct err *said)
{
	ASN1_GENERALIZEDTIME *from = NULL, *to = NULL, *revoked = NULL;

	*single = (struct staple_single){
		.reason = OCSP_REVOKED_STATUS_NOSTATUS
	};
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
	err_set(said, "it has a critical extension that is not known");
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

/* `entry` is the first that there is, about whomever. */
static void
tell_whose(
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
		err_set(said, "it is about a certificate with our serial "
			      "number, but of another issuer");
	else
		err_set(said, "it is about serial number %s, not %s",
		    print_serial(theirs).text, print_serial(ours).text);
	OCSP_CERTID_free(id);
}

enum staple_outcome
staple_single_find(struct staple_single *single, OCSP_BASICRESP *basic,
    const struct staple_cert *cert, struct err *said)
{
	struct staple_single one;
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
		tell_whose(OCSP_resp_get0(basic, 0), cert, said);
	else
		err_set(said, "it is about no certificate at all");
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
end_of(const struct staple_single *single, const struct staple_clock *clock)
{
	if (single->next_update != 0)
		return single->next_update;
	return single->this_update + clock->default_lifetime_s;
}

enum staple_outcome
staple_single_window(const struct staple_single *single,
    int64_t signer_not_after, const struct staple_clock *clock,
    int64_t *expires, struct err *said)
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
		    "machine (%s) right?",
		    staple_time_date(from).text,
		    staple_time_span(from - now).text,
		    staple_time_date(now).text);
		return STAPLE_NOT_YET_VALID;
	}
	*expires = earlier(to, signer_not_after);
	if (*expires <= now) {
		err_set(said,
		    "it ended at %s, %s ago by the clock of this machine (%s)",
		    staple_time_date(*expires).text,
		    staple_time_span(now - *expires).text,
		    staple_time_date(now).text);
		return STAPLE_EXPIRED;
	}
	return STAPLE_GOOD;
}

enum staple_outcome
staple_single_status(const struct staple_single *single, struct err *said)
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
		err_set(said,
		    "revoked since 1970 with certificateHold: the "
		    "authority never issued the certificate (RFC 6960 "
		    "4.4.8)");
		return STAPLE_UNKNOWN;
	}
	if (single->status != V_OCSP_CERTSTATUS_REVOKED) {
		err_set(said, "the responder does not know the certificate");
		return STAPLE_UNKNOWN;
	}
	if (single->reason == OCSP_REVOKED_STATUS_NOSTATUS)
		reason = "no reason given";
	err_set(said, "revoked since %s (%s)",
	    staple_time_date(single->revoked_at).text, reason);
	return STAPLE_REVOKED;
}
