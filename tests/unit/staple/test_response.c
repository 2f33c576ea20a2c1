/* A response, once there is one: what it tells, and what may replace it. */
#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>

#include "base/attr.h"
#include "tests/unit/staple/response_rig.h"

static struct rig rig;

static void
set_up(void)
{
	rig_init(&rig, PKI_P256);
}

static void
tear_down(void)
{
	rig_fini(&rig);
}

TestSuite(response, .init = set_up, .fini = tear_down);

Test(response, keeps_the_bytes_as_they_came)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made = ocsp_make(&wish);
	struct staple_response *response = rig_verify(&rig, &made);
	const unsigned char *der;
	size_t len;

	cr_assert_not_null(response);
	der = staple_response_der(response, &len);
	cr_expect_neq(der, made.der, "they are a copy");
	cr_expect_eq(len, made.len);
	cr_expect_eq(memcmp(der, made.der, len), 0);
	ocsp_drop(&made);
	staple_response_unref(response);
}

Test(response, tells_the_facts_of_a_good_one)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response = rig_response(&rig, &wish);

	cr_assert_not_null(response);
	cr_expect_not(staple_response_is_revoked(response));
	cr_expect_eq(staple_response_revoked_at(response), 0);
	cr_expect_eq(staple_response_this_update(response), RIG_NOW - RIG_HOUR);
	cr_expect_eq(staple_response_next_update(response), RIG_NOW + RIG_HOUR);
	cr_expect_eq(staple_response_expires(response), RIG_NOW + RIG_HOUR);
	cr_expect_str_eq(staple_response_signer(response), "CN=issuer");
	cr_expect(rig_said(&rig,
	    "good until 2031-07-01 01:00:00 UTC, signed by \"CN=issuer\""));
	staple_response_unref(response);
}

Test(response, tells_the_facts_of_a_revoked_one)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.status = OCSP_SAYS_REVOKED;
	wish.revoked_at = RIG_NOW - 24 * RIG_HOUR;
	wish.reason = 1;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(rig.verdict.outcome, STAPLE_REVOKED);
	cr_expect(staple_response_is_revoked(response));
	cr_expect_eq(staple_response_revoked_at(response), wish.revoked_at);
	cr_expect(rig_said(
	    &rig, "revoked since 2031-06-30 00:00:00 UTC (keyCompromise)"));
	staple_response_unref(response);
}

Test(response, says_when_no_reason_of_a_revocation_was_given)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.status = OCSP_SAYS_REVOKED;
	wish.revoked_at = RIG_NOW;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_REVOKED);
	cr_expect(rig_said(&rig, "(no reason given)"));
}

Test(response, is_never_made_of_unknown)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.status = OCSP_SAYS_UNKNOWN;
	cr_expect_null(rig_response(&rig, &wish));
	cr_expect_eq(rig.verdict.outcome, STAPLE_UNKNOWN);
}

Test(response, lives_as_long_as_its_last_reference)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response = rig_response(&rig, &wish);

	cr_assert_not_null(response);
	cr_expect_eq(staple_response_ref(response), response);
	staple_response_unref(response);
	cr_expect_eq(staple_response_this_update(response), wish.this_update);
	staple_response_unref(response);
	staple_response_unref(NULL);
}

/* Without the issuer no id is known and nobody can vouch for anything. */
Test(response, is_never_made_without_the_issuer)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_cert *whole = rig.cert;
	struct err err;

	rig.cert = staple_cert_new(
	    rig.leaf.certificate, NULL, NULL, NULL, &err);
	cr_assert_not_null(rig.cert);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_NO_ISSUER);
	staple_cert_unref(rig.cert);
	rig.cert = whole;
}

/*
 * Two faults at once: the earlier question is answered first.  Each row has
 * the fault of the row above as well, so the list is the order.
 */
Test(response, asks_its_questions_in_a_fixed_order)
{
	struct pki stranger = pki_make(&(struct pki_wish){ .name = "nobody" });
	struct ocsp_wish wish = rig_wish(&rig);

	wish.status = OCSP_SAYS_UNKNOWN;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_UNKNOWN);
	wish.next_update = RIG_NOW;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_EXPIRED);
	wish.signer = &stranger;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_WRONG_SIGNER);
	wish.leaf = &stranger;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_WRONG_CERTIFICATE);
	wish.error = OCSP_RESPONSE_STATUS_TRYLATER;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_TRY_LATER);
	pki_drop(&stranger);
}

/* What somebody else left in OpenSSL's queue is none of its business. */
Test(response, is_not_judged_by_errors_of_others)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.next_update = RIG_NOW;
	ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_EXPIRED);
}

Test(response, is_the_same_when_its_bytes_are)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made = ocsp_make(&wish);
	struct staple_response *a = rig_verify(&rig, &made);
	struct staple_response *b = rig_verify(&rig, &made);
	struct staple_response *other;

	wish.next_update++;
	other = rig_response(&rig, &wish);
	cr_assert(a != NULL && b != NULL && other != NULL);
	cr_expect(staple_response_same(a, b));
	cr_expect_not(staple_response_same(a, other));
	staple_response_unref(a);
	staple_response_unref(b);
	staple_response_unref(other);
	ocsp_drop(&made);
}

static struct staple_response *
make(enum ocsp_status status, int64_t age_s)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.status = status;
	wish.this_update = RIG_NOW - age_s;
	wish.revoked_at = RIG_NOW - 24 * RIG_HOUR;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	return response;
}

static const struct {
	const char *what;
	enum ocsp_status held, fresh;
	int64_t held_age_s, fresh_age_s;
	bool expect;
} replacements[] = {
	{ "a newer good one", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 9, 8, true },
	{ "one as new", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 9, 9, true },
	{ "an older one", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 8, 9, false },
	{ "bad news", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 9, 8, true },
	{ "bad news as new", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 9, 9, true },
	{ "old bad news", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 8, 9, false },
	{ "a lifted hold", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 9, 8, true },
	{ "a good one as new as the revoked one", OCSP_SAYS_REVOKED,
	    OCSP_SAYS_GOOD, 9, 9, false },
	{ "a good one from before", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 8, 9,
	    false },
	{ "revoked again", OCSP_SAYS_REVOKED, OCSP_SAYS_REVOKED, 9, 9, true },
};

Test(response, never_goes_back_in_time)
{
	for (size_t i = 0; i < ARRAY_LEN(replacements); i++) {
		struct staple_response *held, *fresh;

		held = make(replacements[i].held, replacements[i].held_age_s);
		fresh = make(
		    replacements[i].fresh, replacements[i].fresh_age_s);
		cr_expect_eq(staple_response_may_replace(held, fresh),
		    replacements[i].expect, "%s", replacements[i].what);
		staple_response_unref(held);
		staple_response_unref(fresh);
	}
}

Test(response, may_always_take_an_empty_place)
{
	struct staple_response *fresh = make(OCSP_SAYS_REVOKED, 9);

	cr_expect(staple_response_may_replace(NULL, fresh));
	staple_response_unref(fresh);
}
