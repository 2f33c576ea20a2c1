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

static const struct {
	const char *what;
	enum ocsp_status first, second;
	int64_t first_age_s, second_age_s;
	enum staple_outcome expect;
} twice[] = {
	{ "the newer is second", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 9, 8,
	    STAPLE_GOOD },
	{ "the newer is first", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 8, 9,
	    STAPLE_REVOKED },
	{ "a tie, revoked second", OCSP_SAYS_GOOD, OCSP_SAYS_REVOKED, 9, 9,
	    STAPLE_REVOKED },
	{ "a tie, revoked first", OCSP_SAYS_REVOKED, OCSP_SAYS_GOOD, 9, 9,
	    STAPLE_REVOKED },
	{ "a tie of revoked and unknown", OCSP_SAYS_REVOKED, OCSP_SAYS_UNKNOWN,
	    9, 9, STAPLE_REVOKED },
	{ "a tie of unknown and good", OCSP_SAYS_UNKNOWN, OCSP_SAYS_GOOD, 9, 9,
	    STAPLE_UNKNOWN },
};

Test(single, takes_the_newest_of_ours_and_of_equals_the_worst)
{
	for (size_t i = 0; i < ARRAY_LEN(twice) * 2; i++) {
		struct ocsp_wish second = rig_wish(&rig), first = second;
		size_t row = i / 2;

		first.status = twice[row].first;
		first.this_update = RIG_NOW - twice[row].first_age_s;
		first.sha256 = i % 2 == 1; /* the same one by another id */
		second.status = twice[row].second;
		second.this_update = RIG_NOW - twice[row].second_age_s;
		second.before = &first;
		cr_expect_eq(rig_outcome(&rig, &second), twice[row].expect,
		    "%s", twice[row].what);
	}
}

Test(single, refuses_an_unknown_critical_extension)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.critical_single = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "critical extension"));
}

static const struct {
	const char *what, *text;
	bool next;
} nonsense[] = {
	{ "words", "yesterday", false },
	{ "nothing", "", false },
	{ "a month that is not", "20261301000000Z", false },
	{ "a day that is not", "20260230000000Z", false },
	{ "no zone", "20260101000000", false },
	{ "words to end with", "tomorrow", true },
	{ "nothing to end with", "", true },
	{ "an end before time began", "19691231235959Z", true },
	{ "an end when time began", "19700101000000Z", true },
};

Test(single, refuses_a_time_that_is_none)
{
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		struct ocsp_wish wish = rig_wish(&rig);

		if (nonsense[i].next)
			wish.next_text = nonsense[i].text;
		else
			wish.this_text = nonsense[i].text;
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED, "%s",
		    nonsense[i].what);
		/* Some versions of OpenSSL refuse to parse some of them. */
		cr_expect_str_neq(
		    rig.verdict.said.text, "", "%s", nonsense[i].what);
	}
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
	int64_t from, received, signer_ends;
	enum staple_outcome expect;
	int64_t ends;
} lifetimes[] = {
	{ "from receipt", -900, -40, 9999, STAPLE_GOOD, 60 },
	{ "from thisUpdate", -40, -900, 9999, STAPLE_GOOD, 60 },
	{ "from a thisUpdate ahead", 200, 0, 9999, STAPLE_GOOD, 300 },
	{ "received in the future counts as now", -900, 500, 9999, STAPLE_GOOD,
	    100 },
	{ "it is over", -900, -100, 9999, STAPLE_EXPIRED, 0 },
	{ "one second is left", -900, -99, 9999, STAPLE_GOOD, 1 },
	{ "the signer ends first", -900, -40, 59, STAPLE_GOOD, 59 },
	{ "the signer ends now", -900, -40, 0, STAPLE_EXPIRED, 0 },
};

Test(single, lives_by_default_without_next_update)
{
	for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++) {
		struct staple_clock clock = { RIG_NOW,
			RIG_NOW + lifetimes[i].received, 100 };
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
	rig.clock.received_s = RIG_NOW - 60;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(staple_response_next_update(response), 0);
	cr_expect_eq(
	    staple_response_expires(response), RIG_NOW - 60 + 24 * RIG_HOUR);
	staple_response_unref(response);
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
	/* The issuer ends on 2099-01-01. */
	cr_expect_eq(staple_response_expires(response), INT64_C(4070908800));
	staple_response_unref(response);
}
