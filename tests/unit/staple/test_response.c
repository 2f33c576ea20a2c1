/*
 * Verified responses: the entry about the certificate and its window, what is
 * kept of the bytes, what may replace a response that is held, and the n-th
 * allocation failing for every n: a refusal, or the right answer where OpenSSL
 * can do without that allocation.  OpenSSL 3.0 does not always report a lack of
 * memory: the refusal may then give another reason.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <openssl/err.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "tests/support/authority.h"
#include "tests/support/scarce.h"
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

/* `certs` is not signed: additions there change nothing. */
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
		    "%zu: %s", made.len, rig.checked.said.text);
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

Test(response, has_the_facts_of_a_good_one)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response = rig_response(&rig, &wish);

	cr_assert_not_null(response);
	cr_expect_not(staple_response_is_revoked(response));
	cr_expect_eq(staple_response_this_update(response), RIG_NOW - RIG_HOUR);
	cr_expect_eq(staple_response_next_update(response), RIG_NOW + RIG_HOUR);
	cr_expect_eq(staple_response_expires(response), RIG_NOW + RIG_HOUR);
	cr_expect_str_eq(staple_response_signer(response), "CN=issuer");
	cr_expect(rig_said(&rig,
	    "good until 2031-07-01 01:00:00 UTC, signed by \"CN=issuer\""));
	staple_response_unref(response);
}

Test(response, has_the_facts_of_a_revoked_one)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.status = OCSP_SAYS_REVOKED;
	wish.revoked_at = RIG_NOW - 24 * RIG_HOUR;
	wish.reason = 1;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(rig.checked.outcome, STAPLE_REVOKED);
	cr_expect(staple_response_is_revoked(response));
	cr_expect(rig_said(
	    &rig, "revoked since 2031-06-30 00:00:00 UTC (keyCompromise)"));
	staple_response_unref(response);
}

Test(response, reports_a_revocation_without_a_reason)
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
	cr_expect_eq(rig.checked.outcome, STAPLE_UNKNOWN);
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

/* Without the issuer there are no ids and no trust anchor. */
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
Test(response, is_checked_in_a_fixed_order)
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

/* Earlier errors in OpenSSL's queue are ignored. */
Test(response, is_not_affected_by_earlier_errors)
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

static struct pki other_ca, other_leaf;

static void
single_set_up(void)
{
	rig_init(&rig, PKI_P256);
	other_ca = pki_make(
	    &(struct pki_wish){ .name = "other issuer", .ca = true });
	other_leaf = pki_make(
	    &(struct pki_wish){ .name = "other leaf", .issuer = &rig.issuer });
}

static void
single_tear_down(void)
{
	pki_drop(&other_leaf);
	pki_drop(&other_ca);
	rig_fini(&rig);
}

TestSuite(single, .init = single_set_up, .fini = single_tear_down);

Test(single, understands_either_hash)
{
	struct ocsp_wish wish = rig_wish(&rig);

	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD, "SHA-1");
	wish.sha256 = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD, "SHA-256");
}

Test(single, refuses_the_answer_about_another_serial)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.leaf = &other_leaf;
	for (int i = 0; i < 2; i++) {
		wish.sha256 = i == 1;
		cr_expect_eq(
		    rig_outcome(&rig, &wish), STAPLE_WRONG_CERTIFICATE);
		cr_expect(rig_said(&rig, "it is about serial number "));
	}
}

/* Signed by our issuer, about another CA's certificate of the same serial. */
Test(single, refuses_the_serial_of_the_certificate_under_another_issuer)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.issuer = &other_ca;
	wish.signer = &rig.issuer;
	for (int i = 0; i < 2; i++) {
		wish.sha256 = i == 1;
		cr_expect_eq(
		    rig_outcome(&rig, &wish), STAPLE_WRONG_CERTIFICATE);
		cr_expect(
		    rig_said(&rig, "the same serial number, but of another"));
	}
}

Test(single, finds_ours_behind_another)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct ocsp_wish another = wish;

	another.leaf = &other_leaf;
	another.status = OCSP_SAYS_REVOKED;
	another.this_update -= RIG_HOUR;
	another.next_update = RIG_NOW - 1;
	another.sha256 = true;
	wish.before = &another;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* Seconds before now. */
static const struct {
	const char *what;
	enum ocsp_status first, second;
	int64_t first_age_s, second_age_s;
	enum staple_outcome expect;
} twice[] = {
	{ "two agree", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 9, 9, STAPLE_GOOD },
	{ "the second is newer", OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 9, 8,
	    STAPLE_GOOD },
	{ "both revoked", OCSP_SAYS_REVOKED, OCSP_SAYS_REVOKED, 9, 9,
	    STAPLE_REVOKED },
	{ "both unknown", OCSP_SAYS_UNKNOWN, OCSP_SAYS_UNKNOWN, 9, 9,
	    STAPLE_UNKNOWN },
	{ "revoked, then good and newer", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 9,
	    8, STAPLE_CONTRADICTORY },
	{ "revoked, then good and older", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 8,
	    9, STAPLE_CONTRADICTORY },
	{ "good, then revoked", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 9, 9,
	    STAPLE_CONTRADICTORY },
	{ "revoked, then unknown", OCSP_SAYS_REVOKED, OCSP_SAYS_UNKNOWN, 9, 9,
	    STAPLE_CONTRADICTORY },
	{ "unknown, then good", OCSP_SAYS_UNKNOWN, OCSP_SAYS_GOOD, 9, 9,
	    STAPLE_CONTRADICTORY },
};

Test(single, is_the_first_of_ours_unless_another_contradicts_it)
{
	for (size_t i = 0; i < ARRAY_LEN(twice) * 2; i++) {
		struct ocsp_wish second = rig_wish(&rig), first = second;
		struct staple_response *response;
		size_t row = i / 2;

		first.status = twice[row].first;
		first.this_update = RIG_NOW - twice[row].first_age_s;
		first.revoked_at = second.revoked_at = RIG_NOW - RIG_HOUR;
		first.sha256 = i % 2 == 1; /* the same one by another id */
		second.status = twice[row].second;
		second.this_update = RIG_NOW - twice[row].second_age_s;
		second.before = &first;
		response = rig_response(&rig, &second);
		cr_expect_eq(rig.checked.outcome, twice[row].expect, "%s",
		    twice[row].what);
		if (response != NULL)
			cr_expect_eq(staple_response_this_update(response),
			    first.this_update, "%s", twice[row].what);
		staple_response_unref(response);
	}
}

/* Clients with GnuTLS look at the first entry alone. */
Test(single, is_noted_for_not_being_the_first_of_all)
{
	static const struct {
		bool other, pair, leads;
	} orders[] = {
		{ false, false, true },
		{ false, true, true },
		{ true, false, false },
		{ true, true, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct ocsp_wish wish = rig_wish(&rig), first = wish;
		struct staple_response *response;

		first.sha256 = true;
		if (orders[i].pair)
			wish.before = &first;
		if (orders[i].other && orders[i].pair)
			first.second = &other_leaf;
		else if (orders[i].other)
			wish.second = &other_leaf;
		response = rig_response(&rig, &wish);
		cr_assert_not_null(response);
		cr_expect_eq(
		    staple_response_leads(response), orders[i].leads, "%zu", i);
		staple_response_unref(response);
	}
}

/* RFC 6960 4.4.8. */
static const struct {
	const char *what, *revoked_text;
	int reason;
	enum staple_outcome expect;
} holds[] = {
	{ "never issued", "19700101000000Z", 6, STAPLE_UNKNOWN },
	{ "a second later", "19700101000001Z", 6, STAPLE_REVOKED },
	{ "on hold since today", "20310701000000Z", 6, STAPLE_REVOKED },
	{ "for another reason", "19700101000000Z", 1, STAPLE_REVOKED },
	{ "for no reason", "19700101000000Z", 0, STAPLE_REVOKED },
};

Test(single, is_unknown_where_it_was_never_issued)
{
	for (size_t i = 0; i < ARRAY_LEN(holds); i++) {
		struct ocsp_wish wish = rig_wish(&rig);

		wish.status = OCSP_SAYS_REVOKED;
		wish.revoked_text = holds[i].revoked_text;
		wish.reason = holds[i].reason;
		cr_expect_eq(rig_outcome(&rig, &wish), holds[i].expect,
		    "%s: %s", holds[i].what, rig.checked.said.text);
		cr_expect_eq(rig_said(&rig, "never issued"),
		    holds[i].expect == STAPLE_UNKNOWN, "%s", holds[i].what);
	}
}

Test(single, refuses_an_unknown_critical_extension)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.critical_single = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "critical extension"));
}

enum which { THIS, NEXT, REVOKED, PRODUCED, WHICH };

static const struct {
	const char *what, *text;
} nonsense[] = {
	{ "words", "yesterday" },
	{ "nothing", "" },
	{ "a month that is not", "20311301000000Z" },
	{ "a day that is not", "20310230000000Z" },
	{ "an hour that is not", "20310630240000Z" },
	{ "no zone", "20310630230000" },
	{ "no seconds", "203106302300Z" },
	{ "a fraction", "20310630230000.5Z" },
	{ "a fraction of nothing", "20310630230000.0Z" },
	{ "an offset", "20310630230000+0000" },
	{ "an offset of an hour", "20310701000000+0100" },
	{ "a small z", "20310630230000z" },
	{ "a UTCTime", "310630230000Z" },
	{ "a blank", "2031063023000 Z" },
};

/* Clients are stricter than OpenSSL: RFC 5280 4.1.2.5.2. */
Test(single, refuses_a_time_that_is_not_in_der)
{
	for (size_t i = 0; i < ARRAY_LEN(nonsense) * WHICH; i++) {
		const char *text = nonsense[i / WHICH].text;
		struct ocsp_wish wish = rig_wish(&rig);

		wish.status = OCSP_SAYS_REVOKED;
		wish.this_text = i % WHICH == THIS ? text : NULL;
		wish.next_text = i % WHICH == NEXT ? text : NULL;
		wish.revoked_text = i % WHICH == REVOKED ? text : NULL;
		wish.produced_text = i % WHICH == PRODUCED ? text : NULL;
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED,
		    "%s in %zu", nonsense[i / WHICH].what, i % WHICH);
		/* Some versions of OpenSSL refuse to parse some of them. */
		cr_expect_str_neq(
		    rig.checked.said.text, "", "%s", nonsense[i / WHICH].what);
	}
}

/* Some clients read all entries before they look for theirs. */
Test(single, refuses_such_a_time_in_the_entry_of_another)
{
	struct ocsp_wish wish = rig_wish(&rig), another = wish;

	another.leaf = &other_leaf;
	another.next_text = "20310701010000.5Z";
	wish.before = &another;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED);
}

Test(single, refuses_an_end_before_time_began)
{
	static const char *const ends[] = { "19691231235959Z",
		"19700101000000Z" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct ocsp_wish wish = rig_wish(&rig);

		wish.next_text = ends[i];
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED);
		cr_expect(rig_said(&rig, "nextUpdate is no time"));
	}
}

Test(single, reads_the_one_form_of_each_time)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.status = OCSP_SAYS_REVOKED;
	wish.this_text = wish.produced_text = "20310630230000Z";
	wish.next_text = "20310701010000Z";
	wish.revoked_text = "20310630220000Z";
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_REVOKED);
}

/* Offsets from now. */
static const struct {
	const char *what;
	int64_t from, to;
	enum staple_outcome expect;
	const char *said;
} windows[] = {
	{ "in the middle", -10, 10, STAPLE_GOOD, "" },
	{ "from this very second", 0, 10, STAPLE_GOOD, "" },
	{ "ahead by the skew", 300, 400, STAPLE_GOOD, "" },
	{ "ahead by more", 301, 400, STAPLE_NOT_YET_VALID,
	    "it begins at 2031-07-01 00:05:01 UTC, 5 min 1 s from now: is the "
	    "clock of this host (2031-07-01 00:00:00 UTC) correct?" },
	{ "the clock is an hour slow", 3600, 86400, STAPLE_NOT_YET_VALID,
	    "1 h 0 min from now: is the clock" },
	{ "one second is left", -10, 1, STAPLE_GOOD, "" },
	{ "it ends now", -10, 0, STAPLE_EXPIRED,
	    "it ended at 2031-07-01 00:00:00 UTC, 0 s ago" },
	{ "it ended", -86400, -3600, STAPLE_EXPIRED,
	    "1 h 0 min ago by the clock of this host" },
	{ "no skew is granted at the end", -86400, -1, STAPLE_EXPIRED,
	    "1 s ago" },
	{ "it ends as it begins", -10, -10, STAPLE_EXPIRED, "" },
	{ "it ends before it begins", -10, -11, STAPLE_MALFORMED,
	    "lies before thisUpdate" },
	{ "both, in the future", 3601, 3600, STAPLE_MALFORMED,
	    "lies before thisUpdate" },
};

Test(single, holds_from_this_update_until_next_update)
{
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		struct ocsp_wish wish = rig_wish(&rig);

		wish.this_update = RIG_NOW + windows[i].from;
		wish.next_update = RIG_NOW + windows[i].to;
		cr_expect_eq(rig_outcome(&rig, &wish), windows[i].expect, "%s",
		    windows[i].what);
		cr_expect(rig_said(&rig, windows[i].said), "%s: %s",
		    windows[i].what, rig.checked.said.text);
	}
}

/* No nextUpdate, and a lifetime of 100 seconds.  Offsets from now. */
static const struct {
	const char *what;
	int64_t from;
	const char *signer_ends; /* NULL: the issuer signs */
	enum staple_outcome expect;
	int64_t ends;
	const char *said;
} lifetimes[] = {
	{ "from thisUpdate", -40, NULL, STAPLE_GOOD, 60, "" },
	{ "from a thisUpdate ahead", 200, NULL, STAPLE_GOOD, 300, "" },
	{ "one second is left", -99, NULL, STAPLE_GOOD, 1, "" },
	{ "it is over", -100, NULL, STAPLE_EXPIRED, 0, "0 s ago" },
	{ "it is replayed", -900, NULL, STAPLE_EXPIRED, 0, "13 min 20 s ago" },
	{ "the signer ends first", -40, "20310701000059Z", STAPLE_GOOD, 59,
	    "" },
	{ "the signer ends now", -40, "20310701000000Z", STAPLE_WRONG_SIGNER, 0,
	    "has expired" },
};

static void
expect_lifetime(size_t i)
{
	struct pki delegate = pki_make(&(struct pki_wish){ .name = "delegate",
	    .usage = "OCSPSigning",
	    .from = "20300101000000Z",
	    .to = lifetimes[i].signer_ends != NULL ? lifetimes[i].signer_ends
						   : "20320101000000Z",
	    .issuer = &rig.issuer });
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.next_update = 0;
	wish.this_update = RIG_NOW + lifetimes[i].from;
	if (lifetimes[i].signer_ends != NULL) {
		wish.signer = &delegate;
		wish.with_signer = true;
	}
	response = rig_response(&rig, &wish);
	cr_expect_eq(rig.checked.outcome, lifetimes[i].expect, "%s: %s",
	    lifetimes[i].what, rig.checked.said.text);
	cr_expect(rig_said(&rig, lifetimes[i].said), "%s: %s",
	    lifetimes[i].what, rig.checked.said.text);
	if (response != NULL)
		cr_expect_eq(staple_response_expires(response) - RIG_NOW,
		    lifetimes[i].ends, "%s", lifetimes[i].what);
	staple_response_unref(response);
	pki_drop(&delegate);
}

Test(single, lives_by_default_without_next_update)
{
	rig.clock.default_lifetime_s = 100;
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++)
		expect_lifetime(i);
}

/* The whole way: a response as `openssl ocsp` and EJBCA make them. */
Test(single, has_no_next_update_where_there_is_none)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.next_update = 0;
	wish.this_update = RIG_NOW - 60;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(staple_response_next_update(response), 0);
	cr_expect_eq(
	    staple_response_expires(response), RIG_NOW - 60 + 24 * RIG_HOUR);
	staple_response_unref(response);
	wish.this_update = RIG_NOW - 24 * RIG_HOUR;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_EXPIRED);
}

/* What is far away stays far away. */
Test(single, may_last_until_the_end_of_the_calendar)
{
	struct ocsp_wish wish = rig_wish(&rig);
	struct staple_response *response;

	wish.next_text = "99991231235959Z";
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(
	    staple_response_next_update(response), INT64_C(253402300799));
	cr_expect_eq(staple_response_expires(response), INT64_C(253402300799));
	staple_response_unref(response);
}

enum { NOW = 1800000000, HOUR = 3600 };

static struct authority authority;
static struct pki leaf;
static struct staple_cert *cert;

static void
judge_set_up(void)
{
	const struct pki_wish wish = { .name = "site.example" };

	authority_make(&authority);
	leaf = authority_issue(&authority, &wish);
	cert = authority_facts(&authority, &leaf, NULL);
}

static void
judge_tear_down(void)
{
	staple_cert_unref(cert);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(response_check, .init = judge_set_up, .fini = judge_tear_down);

static struct ocsp_made
judge_make(enum ocsp_status status, int64_t this_update)
{
	const struct ocsp_wish wish = { .status = status,
		.this_update = this_update,
		.next_update = this_update + HOUR,
		.revoked_at = NOW - HOUR };

	return authority_answer(&authority, &leaf, &wish);
}

static struct staple_response *
judge(const struct ocsp_made *made, const struct staple_response *held,
    struct staple_result *checked)
{
	static const struct staple_clock clock = { NOW, HOUR };

	return staple_response_check(
	    cert, held, made->der, made->len, &clock, checked);
}

static const struct held_row {
	const char *what;
	bool holds;
	enum ocsp_status held, fresh;
	int held_age, fresh_age; /* seconds */
	enum staple_outcome expect;
} held_rows[] = {
	{ "good, nothing held", false, 0, OCSP_SAYS_GOOD, 0, 60, STAPLE_GOOD },
	{ "revoked, nothing held", false, 0, OCSP_SAYS_REVOKED, 0, 60,
	    STAPLE_REVOKED },
	{ "unknown, nothing held", false, 0, OCSP_SAYS_UNKNOWN, 0, 60,
	    STAPLE_UNKNOWN },
	{ "newer", true, OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 60, 30, STAPLE_GOOD },
	{ "older", true, OCSP_SAYS_GOOD, OCSP_SAYS_GOOD, 60, 90, STAPLE_OLDER },
	{ "revoked since", true, OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 60, 30,
	    STAPLE_REVOKED },
	{ "good before it was revoked", true, OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD,
	    60, 90, STAPLE_OLDER },
	{ "lifted", true, OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 60, 30,
	    STAPLE_GOOD },
	{ "unknown beside a good one", true, OCSP_SAYS_GOOD, OCSP_SAYS_UNKNOWN,
	    60, 30, STAPLE_UNKNOWN },
};

Test(response_check, compares_a_response_with_the_held_one)
{
	for (size_t i = 0; i < ARRAY_LEN(held_rows); i++) {
		const struct held_row *row = &held_rows[i];
		struct ocsp_made old = judge_make(
		    row->held, NOW - row->held_age);
		struct ocsp_made new = judge_make(
		    row->fresh, NOW - row->fresh_age);
		struct staple_response *held = NULL, *fresh;
		struct staple_result checked;
		bool answer = row->expect <= STAPLE_REVOKED;

		if (row->holds)
			held = judge(&old, NULL, &checked);
		cr_assert_eq(held != NULL, row->holds, "%s", row->what);
		fresh = judge(&new, held, &checked);
		cr_assert_eq(checked.outcome, row->expect, "%s", row->what);
		cr_assert_eq(fresh != NULL, answer, "%s", row->what);
		cr_assert_str_not_empty(checked.said.text, "%s", row->what);
		staple_response_unref(held);
		staple_response_unref(fresh);
		ocsp_drop(&old);
		ocsp_drop(&new);
	}
}

Test(response_check, recognises_the_bytes_that_are_held)
{
	struct ocsp_made made = judge_make(OCSP_SAYS_GOOD, NOW - 60);
	struct ocsp_made bad = judge_make(OCSP_SAYS_REVOKED, NOW - 60);
	struct staple_result checked;
	struct staple_response *held = judge(&made, NULL, &checked);
	struct staple_response *again = judge(&made, held, &checked);
	struct staple_response *revoked;

	cr_assert_eq(checked.outcome, STAPLE_UNCHANGED);
	revoked = judge(&bad, held, &checked);
	cr_assert_eq(checked.outcome, STAPLE_REVOKED);
	staple_response_unref(again);
	again = judge(&bad, revoked, &checked);
	cr_assert_eq(checked.outcome, STAPLE_REVOKED, "no news, and bad news");
	staple_response_unref(held);
	staple_response_unref(again);
	staple_response_unref(revoked);
	ocsp_drop(&made);
	ocsp_drop(&bad);
}

static const struct exchange_row {
	const char *what;
	enum staple_outcome exchange;
	const char *body; /* NULL: a good response */
	bool right_type;
	enum staple_outcome expect;
} exchange_rows[] = {
	{ "a response", STAPLE_GOOD, NULL, true, STAPLE_GOOD },
	{ "a response that is labelled wrong", STAPLE_GOOD, NULL, false,
	    STAPLE_GOOD },
	{ "a login page", STAPLE_GOOD, "<html>", false, STAPLE_NOT_OCSP },
	{ "a page that calls itself a response", STAPLE_GOOD, "<html>", true,
	    STAPLE_MALFORMED },
	{ "no exchange", STAPLE_CONNECTION_REFUSED, "", false,
	    STAPLE_CONNECTION_REFUSED },
};

Test(response_check, has_the_outcome_of_the_exchange)
{
	for (size_t i = 0; i < ARRAY_LEN(exchange_rows); i++) {
		const struct exchange_row *row = &exchange_rows[i];
		struct ocsp_made made = judge_make(OCSP_SAYS_GOOD, NOW - 60);
		const struct staple_fetch_result result = {
			.outcome = row->exchange,
			.right_type = row->right_type,
			.body = row->body != NULL
				    ? (const unsigned char *)row->body
				    : made.der,
			.len = row->body != NULL ? strlen(row->body) : made.len,
			.said = "words",
		};
		static const struct staple_clock clock = { NOW, HOUR };
		struct staple_result checked;
		struct staple_response *fresh = staple_response_check_fetched(
		    cert, NULL, &result, &clock, &checked);

		cr_assert_eq(checked.outcome, row->expect, "%s", row->what);
		cr_assert_eq(fresh != NULL, row->body == NULL, "%s", row->what);
		cr_assert_str_not_empty(checked.said.text, "%s", row->what);
		staple_response_unref(fresh);
		ocsp_drop(&made);
	}
}

/* From the least to the nearest. */
static const enum staple_outcome telling[] = { STAPLE_UNASKED, STAPLE_NO_MEMORY,
	STAPLE_BAD_URL, STAPLE_CONNECTION_REFUSED, STAPLE_HTTP_5XX,
	STAPLE_NOT_OCSP, STAPLE_TRY_LATER, STAPLE_UNAUTHORIZED,
	STAPLE_WRONG_SIGNER, STAPLE_EXPIRED, STAPLE_UNKNOWN };

Test(response_check, keeps_the_nearest_failure)
{
	for (size_t i = 1; i < ARRAY_LEN(telling); i++) {
		enum staple_outcome less = telling[i - 1], more = telling[i];

		cr_assert_eq(staple_outcome_nearer(less, more), more, "%s",
		    staple_outcome_name(more));
		cr_assert_eq(staple_outcome_nearer(more, less), more, "%s",
		    staple_outcome_name(more));
	}
}

static struct pki delegate, impostor;

static void
memory_set_up(void)
{
	struct pki_wish wish = { .name = "delegate", .usage = "OCSPSigning" };

	rig_init(&rig, PKI_P256);
	wish.issuer = &rig.issuer;
	delegate = pki_make(&wish);
	wish.usage = "serverAuth";
	impostor = pki_make(&wish);
}

static void
memory_tear_down(void)
{
	pki_drop(&impostor);
	pki_drop(&delegate);
	rig_fini(&rig);
}

TestSuite(response_memory, .init = memory_set_up, .fini = memory_tear_down);

/* true: there was an n-th allocation. */
static bool
fail_at(const struct ocsp_made *made, enum staple_outcome right, long n)
{
	struct staple_response *response;
	enum staple_outcome outcome;
	bool failed;

	scarce_begin(n);
	response = staple_response_verify(
	    rig.cert, made->der, made->len, &rig.clock, &rig.checked);
	failed = scarce_end();
	outcome = rig.checked.outcome;
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (response != NULL) {
		cr_expect_eq(outcome, right, "allocation %ld", n);
		cr_expect_eq(
		    staple_response_expires(response), RIG_NOW + RIG_HOUR);
	} else {
		cr_expect(outcome == STAPLE_NO_MEMORY || outcome == right,
		    "allocation %ld: %s", n, staple_outcome_name(outcome));
	}
	staple_response_unref(response);
	return failed;
}

static void
fail_everywhere(struct ocsp_wish wish, const struct pki *signer)
{
	struct ocsp_made made;
	enum staple_outcome right;
	long n = 0;

	wish.signer = signer;
	wish.with_signer = signer != NULL;
	made = ocsp_make(&wish);
	/* What OpenSSL fetches once and keeps is then in place. */
	right = rig_judge(&rig, &made);
	while (n < 100000 && fail_at(&made, right, n))
		n++;
	/* Every allocation had its turn, and there were some. */
	cr_expect(n > 20 && n < 100000, "%ld", n);
	cr_expect_eq(rig.checked.outcome, right);
	ocsp_drop(&made);
}

Test(response_memory, running_out_makes_no_response)
{
	fail_everywhere(rig_wish(&rig), NULL);
	fail_everywhere(rig_wish(&rig), &delegate);
}

Test(response_memory, running_out_while_explaining_is_a_refusal)
{
	struct ocsp_wish wish = rig_wish(&rig);

	fail_everywhere(wish, &impostor);
	fail_everywhere(wish, &rig.leaf);
	wish.leaf = &impostor;
	fail_everywhere(wish, NULL);
	wish = rig_wish(&rig);
	wish.status = OCSP_SAYS_REVOKED;
	fail_everywhere(wish, NULL);
	wish.spoiled = true;
	fail_everywhere(wish, NULL);
}
