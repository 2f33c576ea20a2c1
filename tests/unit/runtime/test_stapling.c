/*
 * Stapling: configuration to the library's settings, the folder of responses,
 * counters, and the stapling policy: of one certificate as a table, and of all
 * certificates of a generation.
 */
#include "runtime/stapling.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/service.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "tests/support/stapled.h"

#define LISTENER                                                   \
	"[listener a]\naccept = 0\nconnect = 1\ncert = cert.pem\n" \
	"key = key.pem\n"

static struct stapled stapled;

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

TestSuite(stapling, .init = set_up, .fini = tear_down);

/* The state of the certificate of the only listener. */
static struct staple_info
look(const struct generation *generation)
{
	struct staple_info info;

	cr_assert(stapling_state(stapled.site.parts.stapling,
	    site_slot(generation, 0)->identity, &info));
	return info;
}

Test(stapling, passes_the_mode_on)
{
	static const struct {
		const char *more;
		bool plain, must_staple;
	} rows[] = {
		{ "ocsp = auto\n", false, true },
		{ "ocsp = must\n", false, true },
		{ "ocsp = always\n", true, true },
		{ "ocsp = never\n", false, false },
		{ "ocsp = prefer\n", true, true },
	};
	const char *const features[] = { NULL, "status_request" };
	struct generation *generation;
	struct pki leaf;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			const struct pki_wish wish = { .name = "leaf",
				.feature = features[k],
				.aia = "OCSP;URI:http://127.0.0.1:1/" };

			leaf = stapled_issue(&stapled, "leaf.pem", &wish);
			generation = stapled_build(
			    &stapled, NULL, "leaf.pem", rows[i].more);
			cr_expect_eq(look(generation).wanted,
			    k ? rows[i].must_staple : rows[i].plain, "%s, %zu",
			    rows[i].more, k);
			generation_unref(generation);
			pki_drop(&leaf);
		}
}

Test(stapling, prefers_configured_responders)
{
	static const struct {
		const char *more;
		unsigned expect;
	} rows[] = {
		{ "", 1 },
		{ "[ocsp]\nurl = http://a/, http://b/\n", 2 },
		{ "ocsp = always\nstaple_file = leaf.der\n", 1 },
	};
	const struct pki_wish wish = { .name = "leaf",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct generation *generation;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		cr_expect_eq(look(generation).responders, rows[i].expect, "%s",
		    rows[i].more);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

Test(stapling, restores_settings_of_an_old_generation)
{
	const struct pki_wish wish = { .name = "leaf",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct generation *old, *fresh;

	old = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = always\n");
	fresh = stapled_build(&stapled, old, "leaf.pem",
	    "ocsp = always\n[ocsp]\nurl = http://a/, http://b/\n");
	cr_expect_eq(look(old).responders, 2u, "the same certificate");
	generation_unref(fresh);
	stapling_restore(stapled.site.parts.stapling, old);
	cr_expect_eq(look(old).responders, 1u);
	generation_unref(old);
	pki_drop(&leaf);
}

/* One staple_file for one certificate. */
Test(stapling, refuses_two_sources_for_one_certificate)
{
	static const char text[] =
	    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
	    "cert = leaf.pem\nstaple_file = a.der\n"
	    "[listener b]\naccept = unix:b.sock\nconnect = 1\n"
	    "cert = copy.pem\nstaple_file = b.der\n";
	const struct pki_wish wish = { .name = "leaf" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	const struct config *config = site_config(&stapled.site, text);
	struct generation_errors errors;
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/leaf.pem", stapled.site.folder.path);
	snprintf(to, sizeof(to), "%s/copy.pem", stapled.site.folder.path);
	cr_assert_eq(link(from, to), 0);
	cr_expect_null(generation_build(
	    NULL, config, &stapled.site.parts, GENERATION_CHECK, &errors));
	cr_expect(errors.bad_config);
	cr_assert_eq(errors.all.list.count, 2u);
	cr_expect_not_null(
	    strstr(errors.all.list.items[0], "clinch.ini:5: listener a: "));
	cr_expect_not_null(strstr(errors.all.list.items[0], "listener b"));
	generation_errors_free(&errors);
	config_unref(config);
	pki_drop(&leaf);
}

static bool
has_folder(const char *name)
{
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
	       (status.st_mode & 0777) == 0700;
}

static void
remove_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	cr_expect_eq(rmdir(path), 0, "%s", path);
}

Test(stapling, makes_the_folder_of_responses)
{
	const struct config *config = site_config(
	    &stapled.site, "store_dir = state\n" LISTENER);
	struct err err = { "" };
	struct stapling *stapling = stapling_new(config, NULL, true, &err);

	cr_assert_not_null(stapling, "%s", err.text);
	stapling_free(stapling);
	cr_expect_not(has_folder("state"), "it was only a check");
	for (int i = 0; i < 2; i++) {
		stapling = stapling_new(config, NULL, false, &err);
		cr_assert_not_null(stapling, "%s", err.text);
		stapling_free(stapling);
		cr_expect(has_folder("state") && has_folder("state/ocsp") &&
			  has_folder("state/issuer"));
	}
	remove_folder("state/issuer");
	remove_folder("state/ocsp");
	remove_folder("state");
	config_unref(config);
}

Test(stapling, reports_the_line_of_an_error)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "store_dir = none/state\n" LISTENER,
		    "clinch.ini:1: store_dir: " },
		{ LISTENER "[ocsp]\nca_file = key.pem\n",
		    "clinch.ini:7: ca_file: " },
	};
	const struct config *config;
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config = site_config(&stapled.site, rows[i].given);
		cr_expect_null(stapling_new(config, NULL, false, &err));
		cr_expect_not_null(
		    strstr(err.text, rows[i].expect), "%s", err.text);
		config_unref(config);
	}
}

/* Send libstaple's log to this file of the folder. */
static struct log *
listen_to(const char *name)
{
	const struct config *config = site_config(&stapled.site, LISTENER);
	struct log *log = log_new();
	char path[128];
	struct log_options options = { LEVEL_INFO, LOG_TEXT, path, "off" };
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	cr_assert(log && log_configure(log, &options, &err));
	stapling_free(stapled.site.parts.stapling);
	stapled.site.parts.stapling = stapling_new(config, log, true, &err);
	cr_assert_not_null(stapled.site.parts.stapling);
	config_unref(config);
	return log;
}

static void
read_line(const char *name, char *line, int max)
{
	char path[128];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	in = fopen(path, "r");
	cr_assert_not_null(in);
	cr_assert_not_null(fgets(line, max, in));
	fclose(in);
}

Test(stapling, logs_counters_of_released_certificates)
{
	const struct pki_wish wish = { .name = "leaf.example",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct log *log = listen_to("log");
	struct stapling *stapling = stapled.site.parts.stapling;
	struct generation *generation = stapled_build(
	    &stapled, NULL, "leaf.pem", "ocsp = always\n");
	char line[256];

	stapling_keep(stapling, generation);
	generation_unref(generation);
	stapling_log_counters(stapling);
	stapling_free(stapling);
	stapled.site.parts.stapling = NULL;
	log_free(log);
	read_line("log", line, sizeof(line));
	cr_expect_not_null(
	    strstr(
		line, "info ocsp staples cert=leaf.example asked=0 sent=0\n"),
	    "%s", line);
	pki_drop(&leaf);
}

/* ---- Policy of one certificate ---- */

#define NOW 1000000
#define LETTERS ".wdrFR"

/* The state of a certificate with a valid response. */
#define NOTHING .held = false
#define VALID .held = true, .settled = true, .expires = NOW + 1
#define EXPIRED .held = true, .settled = true, .expires = NOW
#define REVOKED VALID, .revoked = true, .outcome = STAPLE_REVOKED

/* Each policy and certificate, in the order of a row's letters. */
static const struct column {
	enum staple_mode mode;
	bool must_staple;
} columns[] = {
	{ STAPLE_NEVER, false },
	{ STAPLE_NEVER, true },
	{ STAPLE_AUTO, false },
	{ STAPLE_AUTO, true },
	{ STAPLE_MUST, false },
	{ STAPLE_MUST, true },
	{ STAPLE_ALWAYS, false },
	{ STAPLE_ALWAYS, true },
	{ STAPLE_PREFER, false },
	{ STAPLE_PREFER, true },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The outcome; a string for start, running and reload each. */
struct row {
	const char *what;
	struct staple_info info;
	/*           never auto must always prefer; plain, must-staple */
	const char *expect[3];
};

static const struct row matrix_rows[] = {
	{ "good", { VALID, .outcome = STAPLE_GOOD },
	    { "..........", "..........", ".........." } },
	{ "nobody to ask", { .unavailable_reason = STAPLE_NO_RESPONDER },
	    { "...d.FFF..", "...d.ddd..", "...d.FFF.." } },
	{ "nobody to ask, with an answer from disk",
	    { VALID, .unavailable_reason = STAPLE_NO_RESPONDER },
	    { ".....FFF..", "..........", ".....FFF.." } },
	{ "no issuer", { .unavailable_reason = STAPLE_NO_ISSUER },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
	{ "revoked, confirmed", { REVOKED, .confirmed = true },
	    { "...r.RRRrr", "...r.RRRrr", "...r.RRRrr" } },
	{ "revoked, not confirmed yet", { REVOKED },
	    { "...r.wwwrr", "...r.wwwrr", "...r.wwwrr" } },
	{ "revoked on disk, not asked yet",
	    { .held = true, .expires = NOW + 1, .revoked = true },
	    { "...w.wwwww", "...r.wwwrr", "...w.wwwww" } },
	{ "revoked on disk, failure",
	    { VALID, .revoked = true, .unconfirmable = true,
		.outcome = STAPLE_CONNECTION_REFUSED },
	    { "...r.RRRrr", "...r.wwwrr", "...r.RRRrr" } },
	{ "revoked, expired since", { EXPIRED, .revoked = true },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
	{ "unknown, with an answer", { VALID, .outcome = STAPLE_UNKNOWN },
	    { "..........", "..........", ".........." } },
	{ "unknown", { .settled = true, .outcome = STAPLE_UNKNOWN },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
	{ "failure, with an answer", { VALID, .outcome = STAPLE_HTTP_5XX },
	    { "..........", "..........", ".........." } },
	{ "failure, nothing held",
	    { .settled = true, .outcome = STAPLE_HTTP_5XX },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
	{ "failure, what was held expired",
	    { EXPIRED, .outcome = STAPLE_HTTP_5XX },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
	{ "not asked yet", { NOTHING },
	    { "...w.wwwww", "...d.ddddd", "...w.wwwww" } },
};

/* The same once start_wait is over. */
static const struct row impatient_rows[] = {
	{ "good", { VALID, .outcome = STAPLE_GOOD },
	    { "..........", "..........", ".........." } },
	{ "revoked, not confirmed yet", { REVOKED },
	    { "...r.RRRrr", "...r.wwwrr", "...r.RRRrr" } },
	{ "revoked on disk, not asked yet",
	    { .held = true, .expires = NOW + 1, .revoked = true },
	    { "...r.RRRrr", "...r.wwwrr", "...r.RRRrr" } },
	{ "not asked yet", { NOTHING },
	    { "...d.FFFdd", "...d.ddddd", "...d.FFFdd" } },
};

static void
check_cell(const struct row *row, enum policy_phase phase, size_t column,
    bool timed_out)
{
	const struct staple_policy policy = { .mode = columns[column].mode };
	struct staple_info info = row->info;
	enum policy_result result;

	info.must_staple = columns[column].must_staple;
	result = policy_evaluate(&policy, &info, phase, NOW, timed_out);
	cr_expect_eq(LETTERS[result], row->expect[phase][column],
	    "%s: phase %d, mode %d, must-staple %d: %c", row->what, (int)phase,
	    (int)policy.mode, info.must_staple, LETTERS[result]);
}

static void
check_row(const struct row *row, bool timed_out)
{
	int phase;
	size_t column;

	for (phase = PHASE_START; phase <= PHASE_RELOAD; phase++)
		for (column = 0; column < COLUMNS; column++)
			check_cell(
			    row, (enum policy_phase)phase, column, timed_out);
}

Test(policy, is_the_matrix)
{
	for (size_t i = 0; i < sizeof(matrix_rows) / sizeof(matrix_rows[0]);
	     i++)
		check_row(&matrix_rows[i], false);
}

Test(policy, waits_no_more_after_the_timeout)
{
	size_t i, count = sizeof(impatient_rows) / sizeof(impatient_rows[0]);

	for (i = 0; i < count; i++)
		check_row(&impatient_rows[i], true);
}

Test(policy, lets_on_revoked_override_the_mode)
{
	static const struct {
		const char *what;
		enum staple_mode mode;
		enum staple_on_revoked given;
		char expect;
	} cases[] = {
		{ "auto, by mode", STAPLE_AUTO, STAPLE_REVOKED_BY_MODE, 'r' },
		{ "auto, exit", STAPLE_AUTO, STAPLE_REVOKED_EXIT, 'R' },
		{ "auto, refuse", STAPLE_AUTO, STAPLE_REVOKED_REFUSE, 'r' },
		{ "prefer, exit", STAPLE_PREFER, STAPLE_REVOKED_EXIT, 'R' },
		{ "must, by mode", STAPLE_MUST, STAPLE_REVOKED_BY_MODE, 'R' },
		{ "must, refuse", STAPLE_MUST, STAPLE_REVOKED_REFUSE, 'r' },
		{ "always, staple", STAPLE_ALWAYS, STAPLE_REVOKED_STAPLE, 'r' },
		{ "never, exit", STAPLE_NEVER, STAPLE_REVOKED_EXIT, '.' },
	};
	const struct staple_info info = { REVOKED, .confirmed = true,
		.must_staple = true };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct staple_policy policy = { .mode = cases[i].mode,
			.on_revoked = cases[i].given };

		for (int phase = PHASE_START; phase <= PHASE_RELOAD; phase++)
			cr_expect_eq(LETTERS[policy_evaluate(&policy, &info,
					 (enum policy_phase)phase, NOW, false)],
			    cases[i].expect, "%s", cases[i].what);
	}
}

/* Otherwise a start would wait for an answer without a request. */
Test(policy, waits_for_no_confirmation_without_a_responder)
{
	const struct staple_policy policy = { .mode = STAPLE_AUTO,
		.on_revoked = STAPLE_REVOKED_EXIT };
	const struct staple_info info = { VALID, .must_staple = true,
		.revoked = true, .unavailable_reason = STAPLE_NO_RESPONDER };

	for (int phase = PHASE_START; phase <= PHASE_RELOAD; phase++)
		cr_expect_eq(LETTERS[policy_evaluate(&policy, &info,
				 (enum policy_phase)phase, NOW, true)],
		    'r');
}

Test(policy, requires_a_staple_by_mode)
{
	static const char *const expect[] = { "...X.XXXXX", "...X.XXX.." };
	static const enum staple_outcome hindrances[] = { STAPLE_UNASKED,
		STAPLE_NO_RESPONDER };

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < COLUMNS; k++) {
			const struct staple_policy policy = {
				.mode = columns[k].mode
			};
			const struct staple_info info = {
				.must_staple = columns[k].must_staple,
				.unavailable_reason = hindrances[i],
			};

			cr_expect_eq(policy_requires_staple(&policy, &info),
			    expect[i][k] == 'X', "%zu, %zu", i, k);
		}
}

Test(policy, defers_a_renewal_until_it_has_a_staple)
{
	static const struct {
		const char *what;
		enum staple_mode mode;
		struct staple_info renewed, served;
		int64_t ends_s;
		bool expect;
	} cases[] = {
		{ "not answered yet", STAPLE_ALWAYS, { NOTHING }, { VALID },
		    NOW + 3601, true },
		{ "not answered, prefer", STAPLE_PREFER, { NOTHING }, { VALID },
		    NOW + 3601, true },
		{ "the old one ends within the hour", STAPLE_ALWAYS,
		    { NOTHING }, { VALID }, NOW + 3600, false },
		{ "answered", STAPLE_ALWAYS, { VALID }, { VALID }, NOW + 9999,
		    false },
		{ "its answer has expired", STAPLE_ALWAYS, { EXPIRED },
		    { VALID }, NOW + 9999, true },
		{ "revoked", STAPLE_ALWAYS, { REVOKED, .confirmed = true },
		    { VALID }, NOW + 9999, true },
		{ "revoked, and clients are to know", STAPLE_PREFER,
		    { REVOKED, .confirmed = true }, { VALID }, NOW + 9999,
		    false },
		{ "perhaps revoked", STAPLE_PREFER, { REVOKED }, { VALID },
		    NOW + 9999, true },
		{ "the old one is revoked", STAPLE_ALWAYS, { NOTHING },
		    { REVOKED }, NOW + 9999, false },
		{ "the old one has no staple", STAPLE_ALWAYS, { NOTHING },
		    { NOTHING }, NOW + 9999, true },
		{ "nobody to ask", STAPLE_ALWAYS,
		    { .unavailable_reason = STAPLE_NO_RESPONDER }, { VALID },
		    NOW + 9999, true },
		{ "nobody to ask, and the old one ends", STAPLE_ALWAYS,
		    { .unavailable_reason = STAPLE_NO_RESPONDER }, { VALID },
		    NOW + 3600, false },
		{ "nobody to ask, prefer", STAPLE_PREFER,
		    { .unavailable_reason = STAPLE_NO_RESPONDER }, { VALID },
		    NOW + 9999, false },
		{ "nobody to ask, auto", STAPLE_AUTO,
		    { .unavailable_reason = STAPLE_NO_RESPONDER,
			.must_staple = true },
		    { VALID }, NOW + 9999, false },
		{ "not wanted", STAPLE_AUTO, { NOTHING }, { VALID }, NOW + 9999,
		    false },
	};
	struct policy_served served;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct staple_policy policy = { .mode = cases[i].mode };

		served.info = &cases[i].served;
		served.ends_s = cases[i].ends_s;
		cr_expect_eq(policy_defers_renewal(
				 &policy, &cases[i].renewed, &served, NOW),
		    cases[i].expect, "%s", cases[i].what);
	}
}

/* ---- Policy of a generation ---- */

/* Refuses every connection at once. */
#define NOBODY "OCSP;URI:http://127.0.0.1:1/"

static const struct pki_wish demanding = {
	.name = "leaf", .feature = "status_request", .aia = NOBODY
};

TestSuite(policy_eval, .init = set_up, .fini = tear_down);

Test(policy_eval, waits_where_a_listener_requires_a_staple)
{
	static const struct {
		const char *more;
		enum policy_result expect;
	} rows[] = {
		{ "ocsp = auto\n", POLICY_WAIT },
		{ "ocsp = prefer\n", POLICY_WAIT },
		{ "ocsp = never\n", POLICY_OK },
	};
	const struct policy_eval eval = stapled_eval(&stapled, PHASE_START);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *generation;
	struct policy_counts sum;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		sum = policy_eval_all(&eval, generation);
		cr_expect_eq(
		    sum.counts[rows[i].expect], 1u, "%s", rows[i].more);
		cr_expect_eq(sum.answered, 0u);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

/* After start_wait only certificates under a strict policy are waited for,
 * while answers come; without any answer none are. */
Test(policy_eval, waits_longer_under_a_strict_policy)
{
	static const struct {
		const char *more;
		enum start_wait wait;
		enum policy_result expect;
	} rows[] = {
		{ "ocsp = auto\n", START_WAIT_STRICT, POLICY_DEGRADED },
		{ "ocsp = prefer\n", START_WAIT_STRICT, POLICY_DEGRADED },
		{ "ocsp = must\n", START_WAIT_STRICT, POLICY_WAIT },
		{ "ocsp = always\n", START_WAIT_STRICT, POLICY_WAIT },
		{ "ocsp = prefer\n", START_WAIT_OVER, POLICY_DEGRADED },
		{ "ocsp = always\n", START_WAIT_OVER, POLICY_FAILED },
	};
	struct policy_eval eval = stapled_eval(&stapled, PHASE_START);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *generation;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		eval.wait = rows[i].wait;
		cr_expect_eq(
		    policy_eval_all(&eval, generation).counts[rows[i].expect],
		    1u, "%zu: %s", i, rows[i].more);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

Test(policy_eval, differs_by_the_answer)
{
	static const struct {
		enum ocsp_status said;
		const char *more;
		enum policy_result expect;
	} rows[] = {
		{ OCSP_SAYS_GOOD, "[ocsp]\nmode = always\n", POLICY_OK },
		{ OCSP_SAYS_REVOKED, "[ocsp]\nmode = always\n",
		    POLICY_REVOKED },
		{ OCSP_SAYS_REVOKED, "[ocsp]\nmode = auto\n",
		    POLICY_REVOKED_CONTINUE },
		{ OCSP_SAYS_UNKNOWN, "[ocsp]\nmode = always\n", POLICY_FAILED },
		{ OCSP_SAYS_UNKNOWN, "[ocsp]\nmode = auto\n", POLICY_DEGRADED },
	};
	struct generation *generation;
	struct policy_counts sum;
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

Test(policy_eval, accepts_a_reload_with_an_old_failure)
{
	struct policy_eval eval = stapled_eval(&stapled, PHASE_RELOAD);
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &demanding);
	struct generation *lenient, *old, *fresh;

	stapled_run(&stapled);
	old = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = must\n");
	fresh = stapled_build(&stapled, old, "leaf.pem",
	    "ocsp = must\n[ocsp]\nwithout_staple = serve\n");
	lenient = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = auto\n");
	stapled_settle(&stapled, fresh);
	cr_expect_eq(policy_eval_all(&eval, fresh).counts[POLICY_FAILED], 1u,
	    "beside nothing");
	eval.before = lenient;
	cr_expect_eq(policy_eval_all(&eval, fresh).counts[POLICY_FAILED], 1u,
	    "beside a policy that did not demand it");
	eval.before = old;
	cr_expect_eq(policy_eval_all(&eval, fresh).counts[POLICY_DEGRADED], 1u);
	generation_unref(lenient);
	generation_unref(old);
	generation_unref(fresh);
	pki_drop(&leaf);
}

/* Builds the listener.  false: the error is in text. */
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

Test(policy_eval, refuses_a_start_without_a_responder)
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

Test(policy_eval, explains_the_attempt_or_the_remedy)
{
	static const struct {
		struct staple_info info;
		const char *expect;
	} rows[] = {
		{ { .said = "http://a/: HTTP 500" }, "http://a/: HTTP 500" },
		{ { .unavailable_reason = STAPLE_NO_ISSUER }, "issuer" },
		{ { .unavailable_reason = STAPLE_NO_RESPONDER,
		      .said = "the URL x was left out" },
		    "no responder URL (the URL x was left out); conf" },
		{ { .outcome = STAPLE_CERTIFICATE_EXPIRED }, "renew" },
		{ { .responders = 2 }, "no response yet (responders: 2)" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		policy_explain(&rows[i].info, text, sizeof(text));
		cr_expect_not_null(strstr(text, rows[i].expect), "%s", text);
	}
}
