/*
 * The matrix, cell by cell.  One letter a verdict: '.' fine, 'w' wait, 'd'
 * degraded, 'r' revoked and going on, 'F' failed, 'R' revoked.
 */
#include "runtime/verdict.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW 1000000
#define LETTERS ".wdrFR"

/* What is known of a certificate whose answer is still valid. */
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

/* What the responder says; a string for start, running and reload each. */
struct row {
	const char *what;
	struct staple_info info;
	/*           never auto must always prefer; plain, must-staple */
	const char *expect[3];
};

static const struct row rows[] = {
	{ "good", { VALID, .outcome = STAPLE_GOOD },
	    { "..........", "..........", ".........." } },
	{ "nobody to ask", { .hindrance = STAPLE_NO_RESPONDER },
	    { "...d.FFF..", "...d.ddd..", "...d.FFF.." } },
	{ "nobody to ask, with an answer from disk",
	    { VALID, .hindrance = STAPLE_NO_RESPONDER },
	    { ".....FFF..", "..........", ".....FFF.." } },
	{ "no issuer", { .hindrance = STAPLE_NO_ISSUER },
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
check_cell(const struct row *row, enum verdict_phase phase, size_t column,
    bool patience_over)
{
	const struct staple_policy policy = { .mode = columns[column].mode };
	struct staple_info info = row->info;
	enum verdict verdict;

	info.must_staple = columns[column].must_staple;
	verdict = verdict_of(&policy, &info, phase, NOW, patience_over);
	cr_expect_eq(LETTERS[verdict], row->expect[phase][column],
	    "%s: phase %d, mode %d, must-staple %d: %c", row->what, (int)phase,
	    (int)policy.mode, info.must_staple, LETTERS[verdict]);
}

static void
check_row(const struct row *row, bool patience_over)
{
	int phase;
	size_t column;

	for (phase = PHASE_START; phase <= PHASE_RELOAD; phase++)
		for (column = 0; column < COLUMNS; column++)
			check_cell(row, (enum verdict_phase)phase, column,
			    patience_over);
}

Test(verdict, is_the_matrix)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i], false);
}

Test(verdict, waits_no_more_when_patience_is_over)
{
	size_t i, count = sizeof(impatient_rows) / sizeof(impatient_rows[0]);

	for (i = 0; i < count; i++)
		check_row(&impatient_rows[i], true);
}

Test(verdict, lets_on_revoked_have_its_own_way)
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
			cr_expect_eq(
			    LETTERS[verdict_of(&policy, &info,
				(enum verdict_phase)phase, NOW, false)],
			    cases[i].expect, "%s", cases[i].what);
	}
}

/* Or a start would wait for an answer that nobody is asked for. */
Test(verdict, waits_for_no_confirmation_where_nobody_is_asked)
{
	const struct staple_policy policy = { .mode = STAPLE_AUTO,
		.on_revoked = STAPLE_REVOKED_EXIT };
	const struct staple_info info = { VALID, .must_staple = true,
		.revoked = true, .hindrance = STAPLE_NO_RESPONDER };

	for (int phase = PHASE_START; phase <= PHASE_RELOAD; phase++)
		cr_expect_eq(LETTERS[verdict_of(&policy, &info,
				 (enum verdict_phase)phase, NOW, true)],
		    'r');
}

Test(verdict, wants_what_the_mode_wants)
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
				.hindrance = hindrances[i],
			};

			cr_expect_eq(verdict_wants(&policy, &info),
			    expect[i][k] == 'X', "%zu, %zu", i, k);
		}
}

Test(verdict, keeps_a_renewal_out_until_it_has_a_staple)
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
		    { .hindrance = STAPLE_NO_RESPONDER }, { VALID }, NOW + 9999,
		    true },
		{ "nobody to ask, and the old one ends", STAPLE_ALWAYS,
		    { .hindrance = STAPLE_NO_RESPONDER }, { VALID }, NOW + 3600,
		    false },
		{ "nobody to ask, prefer", STAPLE_PREFER,
		    { .hindrance = STAPLE_NO_RESPONDER }, { VALID }, NOW + 9999,
		    false },
		{ "nobody to ask, auto", STAPLE_AUTO,
		    { .hindrance = STAPLE_NO_RESPONDER, .must_staple = true },
		    { VALID }, NOW + 9999, false },
		{ "not wanted", STAPLE_AUTO, { NOTHING }, { VALID }, NOW + 9999,
		    false },
	};
	struct verdict_served served;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct staple_policy policy = { .mode = cases[i].mode };

		served.info = &cases[i].served;
		served.ends_s = cases[i].ends_s;
		cr_expect_eq(
		    verdict_keeps_out(&policy, &cases[i].renewed, &served, NOW),
		    cases[i].expect, "%s", cases[i].what);
	}
}
