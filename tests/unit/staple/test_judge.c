/* What bytes are worth, beside what is held. */
#include "staple/judge.h"

#include <criterion/criterion.h>
#include <string.h>

#include "staple/cert.h"
#include "staple/fetch.h"
#include "tests/support/authority.h"

enum { NOW = 1800000000, HOUR = 3600 };

static struct authority authority;
static struct pki leaf;
static struct staple_cert *cert;

static void
set_up(void)
{
	const struct pki_wish wish = { .name = "site.example" };

	authority_make(&authority);
	leaf = authority_issue(&authority, &wish);
	cert = authority_facts(&authority, &leaf, NULL);
}

static void
tear_down(void)
{
	staple_cert_unref(cert);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(judge, .init = set_up, .fini = tear_down);

static struct ocsp_made
make(enum ocsp_status status, int64_t this_update)
{
	const struct ocsp_wish wish = { .status = status,
		.this_update = this_update,
		.next_update = this_update + HOUR,
		.revoked_at = NOW - HOUR };

	return authority_answer(&authority, &leaf, &wish);
}

static struct staple_response *
judge(const struct ocsp_made *made, const struct staple_response *held,
    struct staple_verdict *verdict)
{
	const struct staple_matter matter = {
		.cert = cert,
		.held = held,
		.der = made->der,
		.len = made->len,
		.clock = { NOW, HOUR },
	};

	return staple_judge(&matter, verdict);
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

Test(judge, weighs_what_comes_against_what_is_held)
{
	for (size_t i = 0; i < ARRAY_LEN(held_rows); i++) {
		const struct held_row *row = &held_rows[i];
		struct ocsp_made old = make(row->held, NOW - row->held_age);
		struct ocsp_made new = make(row->fresh, NOW - row->fresh_age);
		struct staple_response *held = NULL, *fresh;
		struct staple_verdict verdict;
		bool answer = row->expect <= STAPLE_REVOKED;

		if (row->holds)
			held = judge(&old, NULL, &verdict);
		cr_assert_eq(held != NULL, row->holds, "%s", row->what);
		fresh = judge(&new, held, &verdict);
		cr_assert_eq(verdict.outcome, row->expect, "%s", row->what);
		cr_assert_eq(fresh != NULL, answer, "%s", row->what);
		cr_assert_str_not_empty(verdict.said.text, "%s", row->what);
		staple_response_unref(held);
		staple_response_unref(fresh);
		ocsp_drop(&old);
		ocsp_drop(&new);
	}
}

Test(judge, knows_the_very_bytes_that_are_held)
{
	struct ocsp_made made = make(OCSP_SAYS_GOOD, NOW - 60);
	struct ocsp_made bad = make(OCSP_SAYS_REVOKED, NOW - 60);
	struct staple_verdict verdict;
	struct staple_response *held = judge(&made, NULL, &verdict);
	struct staple_response *again = judge(&made, held, &verdict);
	struct staple_response *revoked;

	cr_assert_eq(verdict.outcome, STAPLE_UNCHANGED);
	revoked = judge(&bad, held, &verdict);
	cr_assert_eq(verdict.outcome, STAPLE_REVOKED);
	staple_response_unref(again);
	again = judge(&bad, revoked, &verdict);
	cr_assert_eq(verdict.outcome, STAPLE_REVOKED, "no news, and bad news");
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

Test(judge, says_what_an_exchange_has_brought)
{
	for (size_t i = 0; i < ARRAY_LEN(exchange_rows); i++) {
		const struct exchange_row *row = &exchange_rows[i];
		struct ocsp_made made = make(OCSP_SAYS_GOOD, NOW - 60);
		const struct staple_fetch_result result = {
			.outcome = row->exchange,
			.right_type = row->right_type,
			.body = row->body != NULL
				    ? (const unsigned char *)row->body
				    : made.der,
			.len = row->body != NULL ? strlen(row->body) : made.len,
			.said = "words",
		};
		const struct staple_matter matter = { .cert = cert,
			.clock = { NOW, HOUR } };
		struct staple_verdict verdict;
		struct staple_response *fresh = staple_judge_exchange(
		    &result, &matter, &verdict);

		cr_assert_eq(verdict.outcome, row->expect, "%s", row->what);
		cr_assert_eq(fresh != NULL, row->body == NULL, "%s", row->what);
		cr_assert_str_not_empty(verdict.said.text, "%s", row->what);
		staple_response_unref(fresh);
		ocsp_drop(&made);
	}
}

/* From what tells least to what tells most. */
static const enum staple_outcome telling[] = { STAPLE_UNASKED, STAPLE_NO_MEMORY,
	STAPLE_BAD_URL, STAPLE_CONNECTION_REFUSED, STAPLE_HTTP_5XX,
	STAPLE_NOT_OCSP, STAPLE_TRY_LATER, STAPLE_UNAUTHORIZED,
	STAPLE_WRONG_SIGNER, STAPLE_EXPIRED, STAPLE_UNKNOWN };

Test(judge, keeps_the_failure_that_tells_most)
{
	for (size_t i = 1; i < ARRAY_LEN(telling); i++) {
		enum staple_outcome less = telling[i - 1], more = telling[i];

		cr_assert_eq(staple_judge_nearer(less, more), more, "%s",
		    staple_outcome_name(more));
		cr_assert_eq(staple_judge_nearer(more, less), more, "%s",
		    staple_outcome_name(more));
	}
}
