/* What is said about a certificate, and when: rules 37 and 38. */
#include "staple/voice.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

#define HOUR ((int64_t)3600)
#define DAY (24 * HOUR)
#define NOON ((int64_t)1767268800) /* 2026-01-01 12:00:00 UTC */

static struct staple_voice voice;
static struct staple_event event;

static void
set_up(void)
{
	memset(&voice, 0, sizeof(voice));
	memset(&event, 0, sizeof(event));
}

TestSuite(voice, .init = set_up);

static struct staple_news
news_of(enum staple_outcome outcome, int64_t now)
{
	return (struct staple_news){ .name = "a.example",
		.id = "1f",
		.outcome = outcome,
		.said = "",
		.now = now };
}

/* With a staple that is valid for a long time. */
static bool
hears(enum staple_outcome outcome, int64_t now)
{
	struct staple_news news = news_of(outcome, now);

	news.held = true;
	news.expires = NOON + 300 * DAY;
	return staple_voice_attempt(&voice, &news, &event);
}

static void
expect_says(const char *part)
{
	cr_expect_not_null(strstr(event.message, part), "\"%s\" says no \"%s\"",
	    event.message, part);
}

static void
expect_silent_about(const char *part)
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

static struct staple_news
news_of_row(const struct level_row *row)
{
	struct staple_news news = news_of(row->outcome, NOON);

	news.fatal = row->fatal;
	news.must_staple = row->must_staple;
	news.held = row->held == GOOD || row->held == REVOKED;
	news.revoked = row->held == REVOKED;
	if (row->held != NOTHING)
		news.expires = row->held == LOST ? NOON : NOON + DAY;
	return news;
}

Test(voice, raises_its_voice_as_the_matrix_says)
{
	for (size_t i = 0; i < ARRAY_LEN(level_rows); i++) {
		const struct level_row *row = &level_rows[i];
		struct staple_news news = news_of_row(row);

		set_up();
		cr_expect(staple_voice_attempt(&voice, &news, &event), "%s",
		    row->what);
		cr_expect_eq(event.level, row->expect, "%s", row->what);
		cr_expect_str_eq(event.certificate, "a.example");
		cr_expect_str_eq(event.id, "1f");
		cr_expect_eq(event.outcome, row->outcome, "%s", row->what);
	}
}

/* Whatever else goes wrong, while a good staple is served nobody is woken. */
Test(voice, calls_no_failure_an_error_while_something_valid_is_held)
{
	for (int i = STAPLE_NO_RESPONDER; i < STAPLE_OUTCOMES; i++) {
		struct staple_news news = news_of((enum staple_outcome)i, NOON);

		set_up();
		news.fatal = news.must_staple = news.held = true;
		news.expires = NOON + 1;
		cr_expect(staple_voice_attempt(&voice, &news, &event));
		cr_expect_eq(
		    event.level, STAPLE_LEVEL_WARNING, "outcome %d", i);
	}
}

/* ---- when ---- */

Test(voice, says_good_once)
{
	cr_expect(hears(STAPLE_GOOD, NOON));
	expect_says("the certificate is good;");
	cr_expect_not(hears(STAPLE_GOOD, NOON + HOUR));
	cr_expect_not(hears(STAPLE_UNCHANGED, NOON + 12 * HOUR));
	cr_expect_not(hears(STAPLE_GOOD, NOON + 5 * DAY));
}

Test(voice, says_that_it_is_good_again)
{
	cr_expect(hears(STAPLE_GOOD, NOON));
	cr_expect(hears(STAPLE_TRY_LATER, NOON + 1));
	cr_expect(hears(STAPLE_UNCHANGED, NOON + 2));
	cr_expect_eq(event.level, STAPLE_LEVEL_NOTICE);
	expect_says("good again");
}

Test(voice, says_that_a_revocation_was_lifted)
{
	cr_expect(hears(STAPLE_REVOKED, NOON));
	cr_expect(hears(STAPLE_GOOD, NOON + 1));
	expect_says("not revoked any more");
}

Test(voice, says_the_same_failure_once_and_counts_it_hourly)
{
	cr_expect(hears(STAPLE_HTTP_5XX, NOON));
	expect_silent_about("times");
	for (int64_t t = 60; t < HOUR; t += 60)
		cr_expect_not(hears(STAPLE_HTTP_5XX, NOON + t));
	cr_expect(hears(STAPLE_HTTP_5XX, NOON + HOUR));
	expect_says("60 times more since 2026-01-01 12:00:00 UTC: ");
	cr_expect_not(hears(STAPLE_HTTP_5XX, NOON + HOUR + 1));
	cr_expect(hears(STAPLE_HTTP_5XX, NOON + 2 * HOUR));
	expect_says("2 times more since 2026-01-01 13:00:00 UTC: ");
}

Test(voice, says_another_failure_at_once_and_counts_anew)
{
	cr_expect(hears(STAPLE_HTTP_5XX, NOON));
	cr_expect_not(hears(STAPLE_HTTP_5XX, NOON + 1));
	cr_expect(hears(STAPLE_HTTP_4XX, NOON + 2));
	expect_silent_about("times");
	cr_expect(hears(STAPLE_HTTP_5XX, NOON + 3));
	expect_silent_about("times");
}

Test(voice, repeats_that_it_is_revoked)
{
	cr_expect(hears(STAPLE_REVOKED, NOON));
	cr_expect_not(hears(STAPLE_REVOKED, NOON + 1));
	cr_expect(hears(STAPLE_REVOKED, NOON + 12 * HOUR));
	cr_expect_eq(event.level, STAPLE_LEVEL_ERROR);
}

Test(voice, is_not_silenced_by_a_clock_that_was_set_back)
{
	cr_expect(hears(STAPLE_EMPTY, NOON));
	cr_expect(hears(STAPLE_EMPTY, NOON - DAY));
	cr_expect_not(hears(STAPLE_EMPTY, NOON - DAY + 1));
}

/* ---- what ---- */

Test(voice, says_what_happened_what_is_served_and_what_to_do)
{
	struct staple_news news = news_of(STAPLE_CONNECTION_REFUSED, NOON);

	news.said = "http://ocsp.example/: connection refused";
	news.held = true;
	news.expires = NOON + 26 * HOUR;
	news.next_try = NOON + 12;
	cr_expect(staple_voice_attempt(&voice, &news, &event));
	cr_expect_str_eq(event.message,
	    "the responder refused the connection (http://ocsp.example/: "
	    "connection refused); the response held is valid until 2026-01-02 "
	    "14:00:00 UTC, for 1 day 2 h; asked again in 12 s; check the port "
	    "of the URL, and whether a firewall refuses");
}

static const struct clause_row {
	const char *what;
	enum staple_outcome outcome;
	enum held held;
	const char *says;
} clause_rows[] = {
	{ "nothing", STAPLE_EMPTY, NOTHING, "; nothing is stapled" },
	{ "a good one", STAPLE_EMPTY, GOOD, "; the response held is valid" },
	{ "a revoked one", STAPLE_EMPTY, REVOKED,
	    "; the revoked response held is valid until 2026-01-02" },
	{ "an expired one", STAPLE_EMPTY, LOST,
	    "expired at 2026-01-01 12:00:00 UTC and is not stapled" },
	{ "when it is revoked", STAPLE_REVOKED, REVOKED,
	    "; replace the certificate and its key" },
	{ "when there is no issuer", STAPLE_NO_ISSUER, NOTHING,
	    "append the issuer" },
	{ "when it is good", STAPLE_GOOD, GOOD,
	    "is good; the response held is valid until 2026-01-02 12:00:00" },
};

Test(voice, says_what_clients_get)
{
	for (size_t i = 0; i < ARRAY_LEN(clause_rows); i++) {
		const struct clause_row *row = &clause_rows[i];
		struct level_row held = { .outcome = row->outcome,
			.held = row->held };
		struct staple_news news = news_of_row(&held);

		set_up();
		cr_expect(staple_voice_attempt(&voice, &news, &event));
		expect_says(row->says);
		expect_silent_about("asked again");
	}
}

Test(voice, has_room_for_advice_after_many_urls)
{
	struct staple_news news = news_of(STAPLE_NOT_OCSP, NOON);
	char said[1024];

	memset(said, 'u', sizeof(said) - 1);
	said[sizeof(said) - 1] = '\0';
	news.said = said;
	news.held = news.revoked = true;
	news.expires = NOON + 300 * DAY;
	news.next_try = NOON + HOUR - 1;
	voice = (struct staple_voice){
		.spoke = true, .last = STAPLE_NOT_OCSP, .repeated = 4000000000
	};
	cr_expect(staple_voice_attempt(&voice, &news, &event));
	expect_says("or proxy answers in its place");
}

/* ---- the ladder ---- */

/* Failing since noon; what is held expires after a day or so. */
static bool
climbs(int64_t now, int64_t expires)
{
	struct staple_news news = news_of(STAPLE_TRY_LATER, now);

	news.held = now < expires;
	news.expires = expires;
	news.tries_since = NOON;
	return staple_voice_ladder(&voice, &news, &event);
}

Test(voice, climbs_to_an_error_each_rung_once)
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

Test(voice, says_only_the_highest_rung_after_a_suspend)
{
	cr_expect(climbs(NOON + DAY - 60, NOON + DAY));
	expect_says("no new response could be had since 2026-01-01 12:00:00 "
		    "UTC: the responder asks to try later");
	expect_says("for 1 min 0 s");
	cr_expect_not(climbs(NOON + DAY - 59, NOON + DAY));
}

Test(voice, says_that_nothing_is_stapled_any_more)
{
	cr_expect(climbs(NOON + DAY, NOON + DAY));
	expect_says("expired at 2026-01-02 12:00:00 UTC and is not stapled");
}

Test(voice, begins_another_ladder_with_another_expiry)
{
	cr_expect(climbs(NOON + DAY / 2, NOON + DAY));
	cr_expect_not(climbs(NOON + DAY / 2, NOON + 2 * DAY));
	cr_expect(climbs(NOON + DAY, NOON + 2 * DAY));
}

/* A responder that gives the same old one again resets tries_since. */
Test(voice, climbs_no_rung_twice_for_one_expiry)
{
	struct staple_news news = news_of(STAPLE_UNCHANGED, NOON + DAY / 2);

	cr_expect(climbs(NOON + DAY / 2, NOON + DAY));
	news.held = true;
	news.expires = NOON + DAY;
	cr_expect_not(staple_voice_ladder(&voice, &news, &event));
	cr_expect_not(climbs(NOON + DAY / 2 + 1, NOON + DAY));
	cr_expect(climbs(NOON + DAY * 3 / 4, NOON + DAY));
}

Test(voice, does_not_blame_an_answer_that_is_merely_old)
{
	struct staple_news news = news_of(STAPLE_UNCHANGED, NOON + DAY / 2);

	news.held = true;
	news.expires = NOON + DAY;
	news.tries_since = NOON;
	cr_expect(staple_voice_ladder(&voice, &news, &event));
	expect_says("since 2026-01-01 12:00:00 UTC; the response held");
}
