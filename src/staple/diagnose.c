/*
 * The diagnosis of responders.  One thread, that of the command, which waits
 * for each exchange.  Fetching and checking are those of the daemon; only the
 * order differs if all variants are sent.  No response counts as held, so that
 * each is reported as it is; the newest one is returned.
 */
#include "staple/diagnose.h"

#include "base/clock.h"
#include "base/err.h"
#include "staple/fetch.h"
#include "staple/issuers.h"
#include "staple/outcome.h"
#include "staple/request_order.h"
#include "staple/response.h"
#include "staple/settings.h"

enum { TURN_MS = 1000 };

struct exam {
	const struct staple_cert *cert;
	const struct staple_options *settings;
	struct staple_fetcher *fetcher;
	staple_found_fn *found;
	void *arg;
	struct staple_response *best;
	X509 *issuer;                /* that was fetched; owned reference */
	enum staple_outcome nearest; /* of the variants that failed */

	/* the current exchange */
	struct staple_request_variant variant;
	bool waiting;
	bool told_to_wait; /* Retry-After */
	struct staple_result result;
	uint32_t took_ms;
};

/* true: the other method or hash cannot succeed after this outcome. */
static bool
is_dead(enum staple_outcome outcome)
{
	switch (outcome) {
	case STAPLE_BAD_URL:
	case STAPLE_NAME_NOT_FOUND:
	case STAPLE_NAME_TIMEOUT:
	case STAPLE_CONNECTION_REFUSED:
	case STAPLE_UNREACHABLE:
	case STAPLE_TLS_FAILED:
	case STAPLE_PROXY_DENIED:
	case STAPLE_TIMEOUT_CONNECT:
		return true;
	default:
		return false;
	}
}

/* ---- One variant ---- */

static void
report_variant(struct exam *exam)
{
	if (exam->variant.no_cache)
		err_prefix(&exam->result.said, "with Cache-Control: no-cache");
	exam->found(exam->arg, &exam->variant, &exam->result, exam->took_ms);
}

/* NULL: the variant failed.  Takes the reference. */
static void
keep_newest(struct exam *exam, struct staple_response *fresh, int64_t now_s)
{
	if (fresh == NULL) {
		exam->nearest = staple_outcome_nearer(
		    exam->nearest, exam->result.outcome);
	} else if (staple_response_may_replace(exam->best, fresh, now_s)) {
		staple_response_unref(exam->best);
		exam->best = fresh;
	} else {
		staple_response_unref(fresh);
	}
}

static void
on_fetched(void *arg, const struct staple_fetch_result *fetched)
{
	struct exam *exam = arg;
	const struct staple_clock clock = { clock_wall_ms() / 1000,
		exam->settings->default_lifetime_s };
	struct staple_response *fresh = staple_response_check_fetched(
	    exam->cert, NULL, fetched, &clock, &exam->result);

	exam->waiting = false;
	exam->took_ms = fetched->took_ms;
	exam->told_to_wait = fetched->retry_after_s > 0;
	report_variant(exam);
	keep_newest(exam, fresh, clock.now_s);
}

static void
wait_for_exchange(struct exam *exam)
{
	while (exam->waiting)
		staple_fetcher_turn(exam->fetcher, TURN_MS);
}

static void
send_variant(struct exam *exam, uint32_t timeout_ms)
{
	exam->took_ms = 0;
	exam->told_to_wait = false;
	exam->waiting = staple_request_start(exam->fetcher, exam->cert,
			    &exam->variant, timeout_ms, on_fetched,
			    exam) != NULL;
	if (!exam->waiting) {
		exam->result.outcome = STAPLE_NO_MEMORY;
		err_set(&exam->result.said, "out of memory");
		report_variant(exam);
		keep_newest(exam, NULL, 0);
	}
	wait_for_exchange(exam);
}

/* ---- All variants, or the order of the daemon ---- */

/* An expired response may be a cache's. */
static void
try_past_caches(struct exam *exam, uint32_t timeout_ms)
{
	send_variant(exam, timeout_ms);
	if (exam->result.outcome != STAPLE_EXPIRED)
		return;
	exam->variant.no_cache = true;
	send_variant(exam, timeout_ms);
}

/* By each hash, first by the method that the daemon uses first. */
static void
try_url(struct exam *exam, size_t url)
{
	static const enum staple_hash hashes[] = { STAPLE_SHA1, STAPLE_SHA1,
		STAPLE_SHA256, STAPLE_SHA256 };
	const struct staple_options *values = exam->settings;
	uint32_t share_ms = staple_request_time(
	    values->timeout_ms, values->timeout_ms);

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		bool get = staple_request_prefers_get(
		    exam->cert, url, hashes[i], values->method);

		exam->variant = (struct staple_request_variant){ url,
			i % 2 == 0 ? get : !get, hashes[i], false };
		try_past_caches(exam, share_ms);
		if (exam->told_to_wait || is_dead(exam->result.outcome))
			return;
	}
}

static void
try_all(struct exam *exam)
{
	for (size_t i = 0; i < exam->cert->url_count; i++)
		try_url(exam, i);
}

static void
try_to_first_answer(struct exam *exam)
{
	const struct staple_options *values = exam->settings;
	uint32_t left_ms = values->timeout_ms, share_ms;
	struct staple_request_order attempt;

	staple_request_order_begin(&attempt, exam->cert, values->method, false);
	while ((share_ms = staple_request_time(values->timeout_ms, left_ms)) !=
		   0 &&
	       staple_request_order_next(
		   &attempt, exam->result.outcome, &exam->variant)) {
		send_variant(exam, share_ms);
		if (exam->told_to_wait)
			staple_request_order_skip_host(&attempt);
		left_ms -= exam->took_ms < left_ms ? exam->took_ms : left_ms;
	}
}

/* false: *err. */
static bool
make_fetcher(
    struct exam *exam, const struct staple_settings *settings, struct err *err)
{
	exam->fetcher = staple_fetcher_new(err);
	if (exam->fetcher != NULL)
		staple_settings_apply(settings, exam->fetcher);
	return exam->fetcher != NULL;
}

/* ---- The issuer ---- */

static void
on_issuer(void *arg, const struct staple_fetch_result *fetched)
{
	struct exam *exam = arg;

	exam->waiting = false;
	exam->issuer = staple_issuer_check(exam->cert, fetched, &exam->result);
}

static void
fetch_issuer(struct exam *exam, size_t url)
{
	uint32_t timeout_ms = exam->settings->timeout_ms;

	err_set(&exam->result.said, "out of memory");
	exam->waiting = staple_issuer_fetch(exam->fetcher, exam->cert, url,
			    staple_request_time(timeout_ms, timeout_ms),
			    on_issuer, exam) != NULL;
	wait_for_exchange(exam);
}

struct staple_cert *
staple_diagnose_issuer(const struct staple_cert *cert,
    const struct staple_settings *settings, const char **url, struct err *err)
{
	struct exam exam = { .cert = cert, .settings = &settings->values };
	struct staple_cert *whole = NULL;

	if (!make_fetcher(&exam, settings, err))
		return NULL;
	err_set(err, "%s", "");
	for (size_t i = 0; exam.issuer == NULL && i < cert->issuer_url_count;
	     i++) {
		*url = cert->issuer_urls[i];
		fetch_issuer(&exam, i);
		if (exam.issuer == NULL)
			err_set(err, "%s%sissuer %s: %s", err->text,
			    i > 0 ? "; " : "", *url, exam.result.said.text);
	}
	if (exam.issuer != NULL)
		whole = staple_cert_with_issuer(
		    cert, cert->leaf, exam.issuer, STAPLE_ORIGIN_AIA, err);
	X509_free(exam.issuer);
	staple_fetcher_free(exam.fetcher);
	return whole;
}

struct staple_response *
staple_diagnose(const struct staple_cert *cert,
    const struct staple_settings *settings, bool all, staple_found_fn *found,
    void *arg, struct staple_result *result)
{
	struct exam exam = { .cert = cert,
		.settings = &settings->values,
		.found = found,
		.arg = arg };

	if (cert->unavailable_reason != STAPLE_UNASKED) {
		result->outcome = cert->unavailable_reason;
		err_set(&result->said, "%s", cert->hint);
		return NULL;
	}
	if (cert->issuer == NULL) { /* result->said has the reason */
		result->outcome = STAPLE_NO_ISSUER;
		return NULL;
	}
	if (!make_fetcher(&exam, settings, &result->said)) {
		result->outcome = STAPLE_NO_MEMORY;
		return NULL;
	}
	if (all)
		try_all(&exam);
	else
		try_to_first_answer(&exam);
	staple_fetcher_free(exam.fetcher);
	result->outcome = exam.nearest;
	if (exam.best != NULL)
		result->outcome = staple_response_is_revoked(exam.best)
				      ? STAPLE_REVOKED
				      : STAPLE_GOOD;
	return exam.best;
}
