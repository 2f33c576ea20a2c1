/* The diagnosis of responders: the order of requests and the result. */
#include "staple/diagnose.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "staple/response.h"
#include "staple/settings.h"
#include "tests/support/stage.h"

/* What was found, in short: "a good; a/get http_5xx; ". */
struct findings {
	char text[2048];
	unsigned slow; /* that took a second or more */
};

static struct staple_settings *settings;
static struct findings findings;
static struct err err;
static struct staple_result result;

static void
set_up(void)
{
	stage_open(NULL);
	/* The connection waits to the end. */
	stage.horizon_ms = INT64_MAX;
	settings = staple_settings_new(NULL);
	cr_assert_not_null(settings);
	findings = (struct findings){ .slow = 0 };
	err_set(&err, "%s", "");
	result = (struct staple_result){ .outcome = STAPLE_UNASKED };
}

static void
tear_down(void)
{
	staple_settings_unref(settings);
	stage_close();
}

TestSuite(diagnose, .init = set_up, .fini = tear_down);

static void
on_found(void *arg, const struct staple_request_variant *variant,
    const struct staple_result *found, uint32_t took_ms)
{
	const struct staple_cert *cert = arg;
	size_t len = strlen(findings.text);

	findings.slow += took_ms >= 1000;
	cr_assert_str_not_empty(found->said.text);
	snprintf(findings.text + len, sizeof(findings.text) - len,
	    "%c%s%s %s; ", cert->urls[variant->url][7],
	    variant->get ? "/get" : "",
	    variant->hash == STAPLE_SHA256 ? "/256" : "",
	    staple_outcome_name(found->outcome));
}

/* Is there a response?  The outcome is in `result`. */
static bool
diagnose(const struct stage_actor *actor, bool all)
{
	struct staple_response *response = staple_diagnose(
	    actor->cert, settings, all, on_found, actor->cert, &result);
	bool found = response != NULL;

	staple_response_unref(response);
	return found;
}

Test(diagnose, fetches_an_issuer_that_is_not_at_hand)
{
	struct stage_actor *actor = stage_enter_bare(STAGE_AIA_CA
	    ",caIssuers;URI:http://b.example/ca",
	    STAPLE_REQUIRE_NONE);
	struct staple_cert *whole;
	const char *url = NULL;

	cr_expect_not(diagnose(actor, true));
	cr_expect_eq(result.outcome, STAPLE_NO_ISSUER);
	STAGE_PLAY(STAGE_CA, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX);
	whole = staple_diagnose_issuer(actor->cert, settings, &url, &err);
	cr_assert_not_null(whole);
	cr_expect_eq(whole->origin, STAPLE_ORIGIN_AIA);
	cr_expect_str_eq(url, "http://b.example/ca");
	staple_cert_unref(whole);
	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	cr_expect_null(
	    staple_diagnose_issuer(actor->cert, settings, &url, &err));
	cr_expect_str_eq(err.text,
	    "issuer http://ca.example/ca.crt: timeout_headers; issuer "
	    "http://b.example/ca: timeout_headers");
}

Test(diagnose, sends_every_variant_to_every_url)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA_BOTH, STAPLE_REQUIRE_NONE);

	stage_play(STAGE_A, STAGE_GET,
	    &(const struct stage_part){
		.way = STAGE_FAILS, .outcome = STAPLE_HTTP_4XX });
	cr_assert(diagnose(actor, true));
	cr_assert_eq(result.outcome, STAPLE_GOOD);
	cr_assert_str_eq(findings.text,
	    "a/get http_4xx; a good; a/get/256 http_4xx; a/256 good; "
	    "b/get good; b good; b/get/256 good; b/256 good; ");
}

Test(diagnose, begins_with_the_forced_method)
{
	const struct staple_options options = { .method = STAPLE_METHOD_POST };
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);

	staple_settings_unref(settings);
	settings = staple_settings_new(&options);
	cr_assert_not_null(settings);
	cr_assert(diagnose(actor, true));
	cr_assert_str_eq(
	    findings.text, "a good; a/get good; a/256 good; a/get/256 good; ");
}

Test(diagnose, sends_no_more_to_a_host_with_retry_after)
{
	for (int all = 0; all < 2; all++) {
		struct stage_actor *actor;

		tear_down();
		set_up();
		actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_NONE);
		STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX,
		    .retry_after_s = 5);
		cr_assert(!diagnose(actor, all));
		cr_assert_str_eq(
		    findings.text, "a/get http_5xx; b/get http_5xx; ");
	}
}

/* As the daemon: an expired response may come from a cache. */
Test(diagnose, bypasses_caches_after_an_expired_response)
{
	static const char *const expect[] = {
		"a/get expired; a/get expired; ",
		"a/get expired; a/get expired; a expired; a expired; "
		"a/get/256 expired; a/get/256 expired; "
		"a/256 expired; a/256 expired; ",
	};

	for (int all = 0; all < 2; all++) {
		struct stage_actor *actor;

		tear_down();
		set_up();
		actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);
		STAGE_PLAY(NULL, .way = STAGE_ANSWERS,
		    .answer = { .this_update = -7200, .next_update = -60 });
		cr_assert(!diagnose(actor, all));
		cr_assert_str_eq(findings.text, expect[all]);
		for (unsigned i = 0; i < stage.asked_count; i++)
			cr_assert_eq(stage.asked[i].no_cache, i % 2);
	}
}

Test(diagnose, follows_the_order_of_the_daemon_to_the_first_answer)
{
	struct stage_actor *actor = stage_enter(
	    STAGE_AIA_BOTH, STAPLE_REQUIRE_NONE);

	STAGE_PLAY(STAGE_A, .way = STAGE_FAILS, .outcome = STAPLE_HTTP_5XX);
	cr_assert(diagnose(actor, false));
	cr_assert_str_eq(
	    findings.text, "a/get http_5xx; a http_5xx; b/get good; ");
}

static const enum staple_outcome dead[] = { STAPLE_NAME_NOT_FOUND,
	STAPLE_NAME_TIMEOUT, STAPLE_CONNECTION_REFUSED, STAPLE_UNREACHABLE,
	STAPLE_TLS_FAILED, STAPLE_PROXY_DENIED, STAPLE_TIMEOUT_CONNECT };

Test(diagnose, sends_one_request_to_a_closed_port)
{
	for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
		struct stage_actor *actor;

		tear_down();
		set_up();
		actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_NONE);
		STAGE_PLAY(NULL, .way = STAGE_FAILS, .outcome = dead[i]);
		cr_assert(!diagnose(actor, true));
		cr_assert_eq(result.outcome, dead[i]);
		cr_assert_eq(
		    stage.asked_count, 2, "%s", staple_outcome_name(dead[i]));
	}
}

Test(diagnose, gives_each_try_a_third_of_the_time)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA, STAPLE_REQUIRE_NONE);

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	cr_assert(!diagnose(actor, true));
	cr_assert_eq(result.outcome, STAPLE_TIMEOUT_HEADERS);
	cr_assert_eq(findings.slow, 4);
	cr_assert_eq(stage.asked[0].timeout_ms, 3333);
}

Test(diagnose, ends_at_the_time_limit_in_the_order_of_the_daemon)
{
	struct stage_actor *actor = stage_enter(STAGE_AIA_BOTH
	    ",OCSP;URI:http://c.example/,OCSP;URI:http://d.example/",
	    STAPLE_REQUIRE_NONE);

	STAGE_PLAY(NULL, .way = STAGE_HANGS);
	cr_assert(!diagnose(actor, false));
	cr_assert_eq(stage.asked_count, 3);
}

static const struct row {
	const char *what;
	struct stage_part a, b;
	bool response;
	enum staple_outcome expect;
} rows[] = {
	{ "both good", { 0 }, { 0 }, true, STAPLE_GOOD },
	{ "revoked later", { .answer = { .this_update = -90 } },
	    { .answer = { .status = OCSP_SAYS_REVOKED } }, true,
	    STAPLE_REVOKED },
	{ "good later",
	    { .answer = { .status = OCSP_SAYS_REVOKED, .this_update = -90 } },
	    { 0 }, true, STAPLE_GOOD },
	{ "one good, one unknown", { 0 },
	    { .answer = { .status = OCSP_SAYS_UNKNOWN } }, true, STAPLE_GOOD },
	{ "one unknown, one spoiled",
	    { .answer = { .status = OCSP_SAYS_UNKNOWN } },
	    { .answer = { .spoiled = true } }, false, STAPLE_UNKNOWN },
	{ "one spoiled, one busy", { .answer = { .spoiled = true } },
	    { .answer = { .error = 3 } }, false, STAPLE_BAD_SIGNATURE },
};

Test(diagnose, returns_the_newest_response_or_the_nearest_failure)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stage_actor *actor;

		tear_down();
		set_up();
		actor = stage_enter(STAGE_AIA_BOTH, STAPLE_REQUIRE_NONE);
		stage_play(STAGE_A, STAGE_ANY, &rows[i].a);
		stage_play(STAGE_B, STAGE_ANY, &rows[i].b);
		cr_assert_eq(diagnose(actor, true), rows[i].response, "%s",
		    rows[i].what);
		cr_assert_eq(result.outcome, rows[i].expect, "%s: %s",
		    rows[i].what, staple_outcome_name(result.outcome));
	}
}

Test(diagnose, has_the_reason_why_no_request_can_be_made)
{
	struct stage_actor *actor = stage_enter(NULL, STAPLE_REQUIRE_NONE);

	cr_assert(!diagnose(actor, true));
	cr_assert_eq(result.outcome, STAPLE_NO_RESPONDER);
	cr_assert_str_not_empty(result.said.text);
	cr_assert_eq(stage.asked_count, 0);
}
