/*
 * What the certificates of a generation, taken together, mean.
 */
#include "runtime/judge.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "runtime/generation.h"
#include "tests/support/stapled.h"

/* Refuses every connection at once. */
#define NOBODY "OCSP;URI:http://127.0.0.1:1/"

static struct stapled stapled;
static const struct pki_wish demanding = {
	.name = "leaf", .feature = "status_request", .aia = NOBODY
};

static void
set_up(void)
{
	stapled_open(&stapled);
}

static void
tear_down(void)
{
	stapled_close(&stapled);
}

TestSuite(judge, .init = set_up, .fini = tear_down);

Test(judge, waits_for_what_a_listener_wants)
{
	static const struct {
		const char *more;
		enum verdict expect;
	} rows[] = {
		{ "ocsp = auto\n", VERDICT_WAIT },
		{ "ocsp = prefer\n", VERDICT_WAIT },
		{ "ocsp = never\n", VERDICT_FINE },
	};
	const struct judge judge = stapled_judge(&stapled, PHASE_START);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *generation;
	struct judge_sum sum;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		sum = judge_all(&judge, generation);
		cr_expect_eq(
		    sum.counts[rows[i].expect], 1u, "%s", rows[i].more);
		cr_expect_eq(sum.answered, 0u);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

/* After start_wait only what must be there is waited for while answers come;
 * without any answer nothing is. */
Test(judge, waits_longer_for_what_is_fatal)
{
	static const struct {
		const char *more;
		bool wait_over, patience_over;
		enum verdict expect;
	} rows[] = {
		{ "ocsp = auto\n", true, false, VERDICT_DEGRADED },
		{ "ocsp = prefer\n", true, false, VERDICT_DEGRADED },
		{ "ocsp = must\n", true, false, VERDICT_WAIT },
		{ "ocsp = always\n", true, false, VERDICT_WAIT },
		{ "ocsp = prefer\n", false, true, VERDICT_DEGRADED },
		{ "ocsp = always\n", false, true, VERDICT_FAILED },
	};
	struct judge judge = stapled_judge(&stapled, PHASE_START);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *generation;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		judge.wait_over = rows[i].wait_over;
		judge.patience_over = rows[i].patience_over;
		cr_expect_eq(
		    judge_all(&judge, generation).counts[rows[i].expect], 1u,
		    "%zu: %s", i, rows[i].more);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

Test(judge, tells_apart_what_was_answered)
{
	static const struct {
		enum ocsp_status said;
		const char *more;
		enum verdict expect;
	} rows[] = {
		{ OCSP_SAYS_GOOD, "[ocsp]\nmode = always\n", VERDICT_FINE },
		{ OCSP_SAYS_REVOKED, "[ocsp]\nmode = always\n",
		    VERDICT_REVOKED },
		{ OCSP_SAYS_REVOKED, "[ocsp]\nmode = auto\n",
		    VERDICT_REVOKED_ON },
		{ OCSP_SAYS_UNKNOWN, "[ocsp]\nmode = always\n",
		    VERDICT_FAILED },
		{ OCSP_SAYS_UNKNOWN, "[ocsp]\nmode = auto\n",
		    VERDICT_DEGRADED },
	};
	struct generation *generation;
	struct judge_sum sum;
	struct pki leaf;
	char more[128];

	stapled_run(&stapled);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
		stapled_answer(&stapled, "leaf.der", &leaf, rows[i].said);
		snprintf(more, sizeof(more), "staple_file = leaf.der\n%s",
		    rows[i].more);
		generation = stapled_build(&stapled, NULL, "leaf.pem", more);
		sum = stapled_settle(&stapled, generation);
		cr_expect_eq(
		    sum.counts[rows[i].expect], 1u, "%zu: %s", i, more);
		cr_expect_eq(sum.answered, 1u, "%zu: %s", i, more);
		generation_unref(generation);
		pki_drop(&leaf);
	}
}

Test(judge, refuses_no_reload_for_what_fails_already)
{
	struct judge judge = stapled_judge(&stapled, PHASE_RELOAD);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *lenient, *old, *fresh;

	stapled_run(&stapled);
	old = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = must\n");
	fresh = stapled_build(&stapled, old, "leaf.pem",
	    "ocsp = must\n[ocsp]\nwithout_staple = serve\n");
	lenient = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = auto\n");
	stapled_settle(&stapled, fresh);
	cr_expect_eq(judge_all(&judge, fresh).counts[VERDICT_FAILED], 1u,
	    "beside nothing");
	judge.before = lenient;
	cr_expect_eq(judge_all(&judge, fresh).counts[VERDICT_FAILED], 1u,
	    "beside a policy that did not demand it");
	judge.before = old;
	cr_expect_eq(judge_all(&judge, fresh).counts[VERDICT_DEGRADED], 1u);
	generation_unref(lenient);
	generation_unref(old);
	generation_unref(fresh);
	pki_drop(&leaf);
}

/* Builds the listener; true: it went well.  Else the sentence is in text. */
static bool
try_to_build(const char *cert, const char *more, char *text, size_t max)
{
	struct generation_errors errors;
	struct generation *generation;
	const struct config *config;
	char ini[256];

	snprintf(ini, sizeof(ini),
	    "[listener a]\naccept = unix:a.sock\nconnect = 1\ncert = %s\n%s",
	    cert, more);
	config = site_config(&stapled.site, ini);
	generation = generation_build(
	    NULL, config, &stapled.site.parts, GENERATION_CHECK, &errors);
	text[0] = '\0';
	if (generation == NULL)
		snprintf(text, max, "%s", errors.all.list.items[0]);
	cr_expect_not(errors.bad_config, "%s", text);
	generation_errors_free(&errors);
	generation_unref(generation);
	config_unref(config);
	return text[0] == '\0';
}

Test(judge, lets_nobody_begin_with_nobody_to_ask)
{
	static const struct {
		const char *feature, *more;
		bool expect;
	} rows[] = {
		{ "status_request", "ocsp = auto\n", true },
		{ "status_request", "ocsp = prefer\n", true },
		{ "status_request", "ocsp = never\n", true },
		{ "status_request", "ocsp = must\n", false },
		{ NULL, "ocsp = must\n", true },
		{ NULL, "ocsp = always\n", false },
		{ NULL, "ocsp = always\nstaple_file = later.der\n", true },
	};
	struct pki leaf;
	char text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pki_wish wish = { .name = "leaf.example",
			.feature = rows[i].feature };

		leaf = stapled_issue(&stapled, "leaf.pem", &wish);
		cr_expect_eq(
		    try_to_build("leaf.pem", rows[i].more, text, sizeof(text)),
		    rows[i].expect, "%s: %s", rows[i].more, text);
		cr_expect(rows[i].expect ||
			      (strstr(text, "clinch.ini:5: listener a: ") &&
				  strstr(text, "leaf.example") &&
				  strstr(text, "responder")),
		    "%s", text);
		pki_drop(&leaf);
	}
}

Test(judge, explains_with_what_was_said_or_what_to_do)
{
	static const struct {
		struct staple_info info;
		const char *expect;
	} rows[] = {
		{ { .said = "http://a/: HTTP 500" }, "http://a/: HTTP 500" },
		{ { .hindrance = STAPLE_NO_ISSUER }, "issuer" },
		{ { .hindrance = STAPLE_NO_RESPONDER,
		      .said = "the URL x was left out" },
		    "no responder URL (the URL x was left out); conf" },
		{ { .outcome = STAPLE_CERTIFICATE_EXPIRED }, "renew" },
		{ { .responders = 2 }, "no responder (of 2) has answered" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge_explain(&rows[i].info, text, sizeof(text));
		cr_expect_not_null(strstr(text, rows[i].expect), "%s", text);
	}
}
