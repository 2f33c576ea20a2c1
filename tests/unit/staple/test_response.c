/* A response, once there is one: what it tells, and what may replace it. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <string.h>
#include <time.h>

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

static void
expect_bytes(const struct ocsp_wish *wish)
{
	struct ocsp_made made = ocsp_make(wish);
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

Test(response, keeps_the_bytes_of_one_that_has_no_needless_ones)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct pki delegate = pki_make(&(struct pki_wish){ .name = "delegate",
	    .usage = "OCSPSigning",
	    .issuer = &rig.issuer });

	expect_bytes(&wish);
	wish.signer = &delegate;
	wish.with_signer = true;
	expect_bytes(&wish);
	wish.by_key = true;
	expect_bytes(&wish);
	/* With lengths of one byte, two and three around it. */
	for (wish.signed_bytes = 1; wish.signed_bytes < 15000;
	     wish.signed_bytes *= 2)
		expect_bytes(&wish);
	pki_drop(&delegate);
}

/* `certs` is not signed: whatever is added there changes nothing. */
static void
append_and_compare(struct ocsp_wish wish, const struct pki *more)
{
	struct ocsp_made made = ocsp_make(&wish);
	struct staple_response *plain = rig_verify(&rig, &made), *padded;
	static const unsigned copies[] = { 1, 7, 300 };

	cr_assert_not_null(plain);
	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		struct ocsp_made longer = ocsp_append(&made, more, copies[i]);

		padded = rig_verify(&rig, &longer);
		cr_assert_not_null(padded, "%u", copies[i]);
		cr_expect(staple_response_same(plain, padded), "%u", copies[i]);
		staple_response_unref(padded);
		ocsp_drop(&longer);
	}
	staple_response_unref(plain);
	ocsp_drop(&made);
}

Test(response, drops_certificates_that_did_not_sign_it)
{
	struct pki stranger = pki_make(&(struct pki_wish){ .name = "nobody" });
	struct pki delegate = pki_make(&(struct pki_wish){ .name = "delegate",
	    .usage = "OCSPSigning",
	    .issuer = &rig.issuer });
	struct ocsp_wish wish = rig_wish(&rig);

	append_and_compare(wish, &stranger);
	append_and_compare(wish, &rig.issuer);
	wish.signer = &delegate;
	wish.with_signer = true;
	append_and_compare(wish, &stranger);
	append_and_compare(wish, &delegate);
	wish.status = OCSP_SAYS_REVOKED;
	append_and_compare(wish, &rig.leaf);
	pki_drop(&delegate);
	pki_drop(&stranger);
}

/* The issuer's certificate is of no use to clients: they have it. */
Test(response, does_not_keep_the_issuers_certificate)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made = ocsp_make(&wish);
	struct ocsp_made longer = ocsp_append(&made, &rig.issuer, 1);
	struct staple_response *response = rig_verify(&rig, &longer);
	size_t len;

	cr_assert_not_null(response);
	cr_expect_eq(
	    memcmp(staple_response_der(response, &len), made.der, made.len), 0);
	cr_expect_eq(len, made.len);
	staple_response_unref(response);
	ocsp_drop(&longer);
	ocsp_drop(&made);
}

/* Microseconds of CPU for one with so many copies of a certificate more. */
static long
cost_of(const struct ocsp_made *made, const struct pki *more, unsigned copies)
{
	struct ocsp_made longer = ocsp_append(made, more, copies);
	clock_t began = clock();

	for (int i = 0; i < 10; i++)
		cr_expect_eq(rig_judge(&rig, &longer), STAPLE_GOOD);
	began = clock() - began;
	cr_log_info("%zu bytes: %ld us\n", longer.len,
	    (long)(began * 100000 / CLOCKS_PER_SEC));
	ocsp_drop(&longer);
	return (long)(began * 100000 / CLOCKS_PER_SEC);
}

/* 4,000 certificates cost what twenty responses do: those of other names are
 * not decoded, and of those of the signer's name few are tried. */
Test(response, costs_little_however_much_was_added, .timeout = 120)
{
	struct pki_wish name = { .name = "delegate",
		.usage = "OCSPSigning",
		.issuer = &rig.issuer };
	struct pki delegate = pki_make(&name), namesake = pki_make(&name);
	struct ocsp_wish wish = rig_wish(&rig);
	struct pki stranger;
	struct ocsp_made made;
	long alone;

	name.name = "stranger";
	stranger = pki_make(&name);
	wish.signer = &delegate;
	wish.with_signer = true;
	for (int i = 0; i < 2; i++) {
		wish.by_key = i == 1;
		made = ocsp_make(&wish);
		alone = cost_of(&made, &stranger, 0);
		cr_expect_lt(cost_of(&made, &stranger, 4000), 100 * alone);
		cr_expect_lt(cost_of(&made, &namesake, 4000), 100 * alone);
		ocsp_drop(&made);
	}
	pki_drop(&stranger);
	pki_drop(&namesake);
	pki_drop(&delegate);
}

/* Where it is not even DER, it is dropped just the same. */
Test(response, drops_what_is_no_certificate)
{
	struct pki delegate = pki_make(&(struct pki_wish){ .name = "delegate",
	    .usage = "OCSPSigning",
	    .issuer = &rig.issuer });
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made, longer;
	struct staple_response *plain, *spoiled;

	wish.signer = &delegate;
	wish.with_signer = true;
	made = ocsp_make(&wish);
	longer = ocsp_append(&made, &rig.leaf, 2);
	memset(longer.der + longer.len - 300, 0xff, 300);
	plain = rig_verify(&rig, &made);
	spoiled = rig_verify(&rig, &longer);
	cr_assert(plain != NULL && spoiled != NULL);
	cr_expect(staple_response_same(plain, spoiled));
	staple_response_unref(plain);
	staple_response_unref(spoiled);
	ocsp_drop(&longer);
	ocsp_drop(&made);
	pki_drop(&delegate);
}

/* What is too long for clients, and none of it can be dropped. */
Test(response, is_never_longer_than_clients_accept)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made;

	wish.signed_bytes = STAPLE_RESPONSE_MAX - 400;
	made = ocsp_make(&wish);
	wish.signed_bytes += STAPLE_RESPONSE_MAX - (unsigned)made.len - 2;
	ocsp_drop(&made);
	/* The signature of ECDSA is 70 to 72 bytes long. */
	for (int i = 0; i < 12; i++, wish.signed_bytes++) {
		made = ocsp_make(&wish);
		cr_expect_eq(rig_judge(&rig, &made),
		    made.len <= STAPLE_RESPONSE_MAX
			? STAPLE_GOOD
			: STAPLE_TOO_LARGE_TO_STAPLE,
		    "%zu: %s", made.len, rig.verdict.said.text);
		ocsp_drop(&made);
	}
	cr_expect(rig_said(&rig, "more than 16000 are never stapled"));
	wish.signed_bytes = 60000;
	wish.status = OCSP_SAYS_REVOKED;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_TOO_LARGE_TO_STAPLE);
}

/* As much may have been added on the way. */
Test(response, may_come_longer_than_clients_accept)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_made made = ocsp_make(&wish);
	struct ocsp_made longer = ocsp_append(&made, &rig.issuer, 400);

	cr_assert_gt(longer.len, 100000);
	cr_expect_eq(rig_judge(&rig, &longer), STAPLE_GOOD);
	ocsp_drop(&longer);
	ocsp_drop(&made);
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

	wish.signed_bytes = STAPLE_RESPONSE_MAX;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_TOO_LARGE_TO_STAPLE);
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
		cr_expect_eq(staple_response_may_replace(held, fresh, RIG_NOW),
		    replacements[i].expect, "%s", replacements[i].what);
		staple_response_unref(held);
		staple_response_unref(fresh);
	}
}

Test(response, may_always_take_an_empty_place)
{
	struct staple_response *fresh = make(OCSP_SAYS_REVOKED, 9);

	cr_expect(staple_response_may_replace(NULL, fresh, RIG_NOW));
	staple_response_unref(fresh);
}

/* The clock was ahead of the true time when `held` was verified, and an hour is
 * taken off it now. */
static const struct {
	const char *what;
	enum ocsp_status held, fresh;
	int64_t back_s; /* how far the clock was set back */
	bool expect;
} set_back[] = {
	{ "within the skew", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, STAPLE_SKEW_S,
	    false },
	{ "beyond it", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, STAPLE_SKEW_S + 1,
	    true },
	{ "bad news", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 3600, true },
	{ "revoked again", OCSP_SAYS_REVOKED, OCSP_SAYS_REVOKED, 3600, true },
	{ "a clock undoes no revocation", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD,
	    3600, false },
};

Test(response, gives_way_to_an_older_one_when_it_is_dated_in_the_future)
{
	for (size_t i = 0; i < ARRAY_LEN(set_back); i++) {
		struct staple_response *held = make(set_back[i].held, 0);
		struct staple_response *fresh = make(set_back[i].fresh, 600);
		int64_t now = RIG_NOW - set_back[i].back_s;
		bool ahead = set_back[i].back_s > STAPLE_SKEW_S;

		cr_expect_eq(staple_response_may_replace(held, fresh, now),
		    set_back[i].expect, "%s", set_back[i].what);
		cr_expect_eq(staple_response_is_ahead(held, now), ahead);
		cr_expect_eq(staple_response_is_current(held, now), !ahead);
		cr_expect(staple_response_is_current(held, RIG_NOW));
		cr_expect_not(
		    staple_response_is_current(held, RIG_NOW + RIG_HOUR));
		staple_response_unref(held);
		staple_response_unref(fresh);
	}
}
