/* What is logged about a certificate, and when: rules 37 and 38. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "staple/log_state.h"

#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)
#define NOON ((int64_t)1767268800) /* 2026-01-01 12:00:00 UTC */

static struct staple_log_state state;
static struct staple_event event;

static void
set_up(void)
{
	memset(&state, 0, sizeof(state));
	memset(&event, 0, sizeof(event));
}

TestSuite(log_state, .init = set_up);

/* Expires: of the held response; 0: none is held. */
static struct staple_info
info_of(enum staple_outcome outcome, int64_t expires)
{
	return (struct staple_info){ .name = "a.example",
		.id = "1f",
		.outcome = outcome,
		.held = expires != 0,
		.expires = expires };
}

static bool
attempt(const struct staple_info *info, bool fatal, int64_t now)
{
	return staple_log_state_attempt(
	    &state, info, fatal, false, now, &event);
}

/* With a staple that is valid for a long time. */
static bool
logs(enum staple_outcome outcome, int64_t now)
{
	struct staple_info info = info_of(outcome, NOON + 300 * DAY);

	return attempt(&info, false, now);
}

static void
expect_text(const char *part)
{
	cr_expect_not_null(strstr(event.message, part), "\"%s\" says no \"%s\"",
	    event.message, part);
}

static void
expect_no_text(const char *part)
{
	cr_expect_null(strstr(event.message, part), "\"%s\"", event.message);
}

/* ---- levels ---- */

enum held { NOTHING, GOOD, REVOKED, LOST }; /* lost: it has expired */

static const struct level_row {
	const char *what;
	enum staple_outcome outcome;
	enum held held;
	bool fatal, must_staple;
	enum staple_level expect;
} level_rows[] = {
	{ "good", STAPLE_GOOD, GOOD, true, true, STAPLE_LEVEL_NOTICE },
	{ "from disk, and the same", STAPLE_UNCHANGED, GOOD, true, true,
	    STAPLE_LEVEL_NOTICE },
	{ "revoked", STAPLE_REVOKED, REVOKED, false, false,
	    STAPLE_LEVEL_ERROR },
	{ "failure, with L", STAPLE_HTTP_5XX, GOOD, false, true,
	    STAPLE_LEVEL_WARNING },
	{ "failure, with L, fatal", STAPLE_HTTP_5XX, GOOD, true, true,
	    STAPLE_LEVEL_WARNING },
	{ "failure, with a revoked L", STAPLE_TRY_LATER, REVOKED, false, true,
	    STAPLE_LEVEL_WARNING },
	{ "failure, no L", STAPLE_TIMEOUT_BODY, NOTHING, false, true,
	    STAPLE_LEVEL_WARNING },
	{ "failure, no L, fatal", STAPLE_TIMEOUT_BODY, NOTHING, true, true,
	    STAPLE_LEVEL_ERROR },
	{ "failure, L has expired", STAPLE_EMPTY, LOST, false, true,
	    STAPLE_LEVEL_ERROR },
	{ "failure, L has expired, fatal", STAPLE_EMPTY, LOST, true, true,
	    STAPLE_LEVEL_ERROR },
	{ "unknown, with L", STAPLE_UNKNOWN, GOOD, false, true,
	    STAPLE_LEVEL_WARNING },
	{ "unknown, with L, fatal", STAPLE_UNKNOWN, GOOD, true, true,
	    STAPLE_LEVEL_ERROR },
	{ "unknown, no L", STAPLE_UNKNOWN, NOTHING, false, true,
	    STAPLE_LEVEL_WARNING },
	{ "unknown, no L, fatal", STAPLE_UNKNOWN, NOTHING, true, true,
	    STAPLE_LEVEL_ERROR },
	{ "nobody to ask, plain", STAPLE_NO_RESPONDER, NOTHING, false, false,
	    STAPLE_LEVEL_INFO },
	{ "nobody to ask, must-staple", STAPLE_NO_RESPONDER, NOTHING, false,
	    true, STAPLE_LEVEL_WARNING },
	{ "nobody to ask, fatal", STAPLE_NO_RESPONDER, NOTHING, true, false,
	    STAPLE_LEVEL_WARNING },
	{ "no issuer", STAPLE_NO_ISSUER, NOTHING, false, false,
	    STAPLE_LEVEL_WARNING },
	{ "past notAfter, plain", STAPLE_CERTIFICATE_EXPIRED, NOTHING, false,
	    false, STAPLE_LEVEL_INFO },
	{ "past notAfter, must-staple", STAPLE_CERTIFICATE_EXPIRED, LOST, false,
	    true, STAPLE_LEVEL_WARNING },
};

static struct staple_info
info_of_row(const struct level_row *row)
{
	struct staple_info info = info_of(row->outcome, row->held == NOTHING ? 0
							: row->held == LOST
							    ? NOON
							    : NOON + DAY);

	info.must_staple = row->must_staple;
	info.revoked = row->held == REVOKED;
	return info;
}

Test(log_state, has_the_level_of_the_matrix)
{
	for (size_t i = 0; i < ARRAY_LEN(level_rows); i++) {
		const struct level_row *row = &level_rows[i];
		struct staple_info info = info_of_row(row);

		set_up();
		cr_expect(attempt(&info, row->fatal, NOON), "%s", row->what);
		cr_expect_eq(event.level, row->expect, "%s", row->what);
		cr_expect_str_eq(event.certificate, "a.example");
		cr_expect_str_eq(event.id, "1f");
		cr_expect_eq(event.outcome, row->outcome, "%s", row->what);
	}
}

/* While a good response is held no failure is an error. */
Test(log_state, logs_no_failure_as_error_while_a_valid_response_is_held)
{
	for (int i = STAPLE_NO_RESPONDER; i < STAPLE_OUTCOMES; i++) {
		struct staple_info info = info_of(
		    (enum staple_outcome)i, NOON + 1);

		set_up();
		info.must_staple = true;
		cr_expect(attempt(&info, true, NOON));
		cr_expect_eq(
		    event.level, STAPLE_LEVEL_WARNING, "outcome %d", i);
	}
}

/* ---- when ---- */

Test(log_state, logs_good_once)
{
	cr_expect(logs(STAPLE_GOOD, NOON));
	expect_text("the certificate is good;");
	cr_expect_not(logs(STAPLE_GOOD, NOON + HOUR));
	cr_expect_not(logs(STAPLE_UNCHANGED, NOON + 12 * HOUR));
	cr_expect_not(logs(STAPLE_GOOD, NOON + 5 * DAY));
}

Test(log_state, logs_that_it_is_good_again)
{
	cr_expect(logs(STAPLE_GOOD, NOON));
	cr_expect(logs(STAPLE_TRY_LATER, NOON + 1));
	cr_expect(logs(STAPLE_UNCHANGED, NOON + 2));
	cr_expect_eq(event.level, STAPLE_LEVEL_NOTICE);
	expect_text("good again");
}

Test(log_state, logs_that_a_revocation_was_lifted)
{
	cr_expect(logs(STAPLE_REVOKED, NOON));
	cr_expect(logs(STAPLE_GOOD, NOON + 1));
	expect_text("no longer revoked");
}

Test(log_state, logs_the_same_failure_once_and_counts_it_hourly)
{
	cr_expect(logs(STAPLE_HTTP_5XX, NOON));
	expect_no_text("times");
	for (int64_t t = 60; t < HOUR; t += 60)
		cr_expect_not(logs(STAPLE_HTTP_5XX, NOON + t));
	cr_expect(logs(STAPLE_HTTP_5XX, NOON + HOUR));
	expect_text("repeated 60 times since 2026-01-01 12:00:00 UTC: ");
	cr_expect_not(logs(STAPLE_HTTP_5XX, NOON + HOUR + 1));
	cr_expect(logs(STAPLE_HTTP_5XX, NOON + 2 * HOUR));
	expect_text("repeated 2 times since 2026-01-01 13:00:00 UTC: ");
}

Test(log_state, logs_another_failure_at_once_and_counts_anew)
{
	cr_expect(logs(STAPLE_HTTP_5XX, NOON));
	cr_expect_not(logs(STAPLE_HTTP_5XX, NOON + 1));
	cr_expect(logs(STAPLE_HTTP_4XX, NOON + 2));
	expect_no_text("times");
	cr_expect(logs(STAPLE_HTTP_5XX, NOON + 3));
	expect_no_text("times");
}

Test(log_state, repeats_that_it_is_revoked)
{
	cr_expect(logs(STAPLE_REVOKED, NOON));
	cr_expect_not(logs(STAPLE_REVOKED, NOON + 1));
	cr_expect(logs(STAPLE_REVOKED, NOON + 12 * HOUR));
	cr_expect_eq(event.level, STAPLE_LEVEL_ERROR);
}

Test(log_state, is_not_silenced_by_a_clock_that_was_set_back)
{
	cr_expect(logs(STAPLE_EMPTY, NOON));
	cr_expect(logs(STAPLE_EMPTY, NOON - DAY));
	cr_expect_not(logs(STAPLE_EMPTY, NOON - DAY + 1));
}

/* ---- what ---- */

Test(log_state, names_the_failure_what_is_served_and_the_remedy)
{
	struct staple_info info = info_of(
	    STAPLE_CONNECTION_REFUSED, NOON + 26 * HOUR);

	strcpy(info.said, "http://ocsp.example/: connection refused");
	info.next_try = NOON + 12;
	cr_expect(attempt(&info, false, NOON));
	cr_expect_str_eq(event.message,
	    "fetch failed: connection refused (http://ocsp.example/: "
	    "connection refused); held response valid until 2026-01-02 "
	    "14:00:00 UTC (1 day 2 h left); next attempt in 12 s (check the "
	    "port of the URL, and whether a firewall refuses)");
}

static const struct clause_row {
	const char *what;
	enum staple_outcome outcome;
	enum held held;
	const char *says;
} clause_rows[] = {
	{ "nothing", STAPLE_EMPTY, NOTHING, "; no staple available" },
	{ "a good one", STAPLE_EMPTY, GOOD, "; held response valid" },
	{ "a revoked one", STAPLE_EMPTY, REVOKED,
	    "; held response (revoked) valid until 2026-01-02" },
	{ "an expired one", STAPLE_EMPTY, LOST,
	    "expired at 2026-01-01 12:00:00 UTC, not stapled" },
	{ "when it is revoked", STAPLE_REVOKED, REVOKED,
	    " (replace the certificate and its key)" },
	{ "when there is no issuer", STAPLE_NO_ISSUER, NOTHING,
	    "append the issuer" },
	{ "when it is good", STAPLE_GOOD, GOOD,
	    "is good; held response valid until 2026-01-02 12:00:00" },
};

Test(log_state, names_what_clients_get)
{
	for (size_t i = 0; i < ARRAY_LEN(clause_rows); i++) {
		const struct clause_row *row = &clause_rows[i];
		struct level_row held = { .outcome = row->outcome,
			.held = row->held };
		struct staple_info info = info_of_row(&held);

		set_up();
		cr_expect(attempt(&info, false, NOON));
		expect_text(row->says);
		expect_no_text("asked again");
	}
}

Test(log_state, has_room_for_advice_after_many_urls)
{
	struct staple_info info = info_of(STAPLE_NOT_OCSP, NOON + 300 * DAY);

	memset(info.said, 'u', sizeof(info.said) - 1);
	info.revoked = true;
	info.next_try = NOON + HOUR - 1;
	state = (struct staple_log_state){
		.logged = true, .last = STAPLE_NOT_OCSP, .repeated = 4000000000
	};
	cr_expect(attempt(&info, false, NOON));
	expect_text("or proxy responds in its place");
}

/* ---- expiry warnings ---- */

/* Failing since noon; what is held expires after a day or so. */
static bool
climbs(int64_t now, int64_t expires)
{
	struct staple_info info = info_of(STAPLE_TRY_LATER, expires);

	return staple_log_state_expiry(&state, &info, NOON, now, &event);
}

Test(log_state, rises_to_an_error_each_level_once)
{
	static const struct rung_row {
		int64_t left;
		bool speaks;
		enum staple_level level;
	} rows[] = {
		{ DAY, false, STAPLE_LEVEL_WARNING },
		{ DAY / 2 + 1, false, STAPLE_LEVEL_WARNING },
		{ DAY / 2, true, STAPLE_LEVEL_WARNING },
		{ DAY / 2 - 1, false, STAPLE_LEVEL_WARNING },
		{ DAY / 4, true, STAPLE_LEVEL_WARNING },
		{ HOUR + 1, false, STAPLE_LEVEL_WARNING },
		{ HOUR, true, STAPLE_LEVEL_WARNING },
		{ 1, false, STAPLE_LEVEL_WARNING },
		{ 0, true, STAPLE_LEVEL_ERROR },
		{ -1, false, STAPLE_LEVEL_WARNING },
		{ -DAY, false, STAPLE_LEVEL_WARNING },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t now = NOON + DAY - rows[i].left;

		cr_expect_eq(climbs(now, NOON + DAY), rows[i].speaks,
		    "%lld s left", (long long)rows[i].left);
		if (rows[i].speaks)
			cr_expect_eq(event.level, rows[i].level);
	}
}

Test(log_state, logs_only_the_highest_level_after_a_suspend)
{
	cr_expect(climbs(NOON + DAY - 60, NOON + DAY));
	expect_text("no new response since 2026-01-01 12:00:00 UTC: "
		    "responder error tryLater");
	expect_text("(1 min 0 s left)");
	cr_expect_not(climbs(NOON + DAY - 59, NOON + DAY));
}

Test(log_state, logs_that_nothing_is_stapled_any_more)
{
	cr_expect(climbs(NOON + DAY, NOON + DAY));
	expect_text("expired at 2026-01-02 12:00:00 UTC, not stapled");
}

Test(log_state, begins_anew_with_another_expiry)
{
	cr_expect(climbs(NOON + DAY / 2, NOON + DAY));
	cr_expect_not(climbs(NOON + DAY / 2, NOON + 2 * DAY));
	cr_expect(climbs(NOON + DAY, NOON + 2 * DAY));
}

/* A responder that gives the same old one again resets tries_since. */
Test(log_state, logs_no_level_twice_for_one_expiry)
{
	struct staple_info info = info_of(STAPLE_UNCHANGED, NOON + DAY);

	cr_expect(climbs(NOON + DAY / 2, NOON + DAY));
	cr_expect_not(
	    staple_log_state_expiry(&state, &info, 0, NOON + DAY / 2, &event));
	cr_expect_not(climbs(NOON + DAY / 2 + 1, NOON + DAY));
	cr_expect(climbs(NOON + DAY * 3 / 4, NOON + DAY));
}

Test(log_state, does_not_blame_a_response_that_is_only_old)
{
	struct staple_info info = info_of(STAPLE_UNCHANGED, NOON + DAY);

	cr_expect(staple_log_state_expiry(
	    &state, &info, NOON, NOON + DAY / 2, &event));
	expect_text("since 2026-01-01 12:00:00 UTC; held response");
}
