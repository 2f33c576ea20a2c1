/* The single response about a certificate, and its window. */
#include "staple/single.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"
#include "tests/unit/staple/response_rig.h"

static struct rig rig;
static struct pki other_ca, other_leaf;

static void
set_up(void)
{
	rig_init(&rig, PKI_P256);
	other_ca = pki_make(
	    &(struct pki_wish){ .name = "other issuer", .ca = true });
	other_leaf = pki_make(
	    &(struct pki_wish){ .name = "other leaf", .issuer = &rig.issuer });
}

static void
tear_down(void)
{
	pki_drop(&other_leaf);
	pki_drop(&other_ca);
	rig_fini(&rig);
}

TestSuite(single, .init = set_up, .fini = tear_down);

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
Test(single, refuses_our_serial_under_another_issuer)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.issuer = &other_ca;
	wish.signer = &rig.issuer;
	for (int i = 0; i < 2; i++) {
		wish.sha256 = i == 1;
		cr_expect_eq(
		    rig_outcome(&rig, &wish), STAPLE_WRONG_CERTIFICATE);
		cr_expect(rig_said(&rig, "our serial number, but of another"));
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
		cr_expect_eq(rig.verdict.outcome, twice[row].expect, "%s",
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
		    "%s: %s", holds[i].what, rig.verdict.said.text);
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
		    rig.verdict.said.text, "", "%s", nonsense[i / WHICH].what);
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
	    "clock of this machine (2031-07-01 00:00:00 UTC) right?" },
	{ "the clock is an hour slow", 3600, 86400, STAPLE_NOT_YET_VALID,
	    "1 h 0 min from now: is the clock" },
	{ "one second is left", -10, 1, STAPLE_GOOD, "" },
	{ "it ends now", -10, 0, STAPLE_EXPIRED,
	    "it ended at 2031-07-01 00:00:00 UTC, 0 s ago" },
	{ "it ended", -86400, -3600, STAPLE_EXPIRED,
	    "1 h 0 min ago by the clock of this machine" },
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
		    windows[i].what, rig.verdict.said.text);
	}
}

/* Offsets from now; no nextUpdate, and a lifetime of 100 seconds. */
static const struct {
	const char *what;
	int64_t from, signer_ends;
	enum staple_outcome expect;
	int64_t ends;
} lifetimes[] = {
	{ "from thisUpdate", -40, 9999, STAPLE_GOOD, 60 },
	{ "from a thisUpdate ahead", 200, 9999, STAPLE_GOOD, 300 },
	{ "one second is left", -99, 9999, STAPLE_GOOD, 1 },
	{ "it is over", -100, 9999, STAPLE_EXPIRED, 0 },
	{ "it is replayed", -900, 9999, STAPLE_EXPIRED, -800 },
	{ "the signer ends first", -40, 59, STAPLE_GOOD, 59 },
	{ "the signer ends now", -40, 0, STAPLE_EXPIRED, 0 },
};

Test(single, lives_by_default_without_next_update)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		struct staple_clock clock = { RIG_NOW, 100 };
		struct staple_single single = {
			.this_update = RIG_NOW + lifetimes[i].from,
		};
		int64_t expires = RIG_NOW;
		struct err said;

		cr_expect_eq(staple_single_window(&single,
				 RIG_NOW + lifetimes[i].signer_ends, &clock,
				 &expires, &said),
		    lifetimes[i].expect, "%s", lifetimes[i].what);
		cr_expect_eq(expires - RIG_NOW, lifetimes[i].ends, "%s: %d",
		    lifetimes[i].what, (int)(expires - RIG_NOW));
	}
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
