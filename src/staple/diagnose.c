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
	const struct staple_question *question;
	struct staple_fetcher *fetcher;
	struct staple_response *best;
	enum staple_outcome nearest; /* of the variants that failed */

	/* the current variant */
	struct staple_request_variant variant;
	bool waiting;
	bool told_to_wait; /* Retry-After */
	enum staple_outcome outcome;
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
report_variant(struct exam *exam, const struct staple_result *checked)
{
	struct err said = checked->said;
	const struct staple_finding finding = { exam->variant, checked->outcome,
		exam->took_ms, said.text };

	if (exam->variant.no_cache)
		err_prefix(&said, "with Cache-Control: no-cache");
	exam->outcome = checked->outcome;
	exam->question->found(exam->question->arg, &finding);
}

/* Takes the reference. */
static void
keep_newest(struct exam *exam, struct staple_response *fresh, int64_t now_s)
{
	if (staple_response_may_replace(exam->best, fresh, now_s)) {
		staple_response_unref(exam->best);
		exam->best = fresh;
	} else {
		staple_response_unref(fresh);
	}
}

static void
on_fetched(void *arg, const struct staple_fetch_result *result)
{
	struct exam *exam = arg;
	int64_t now = clock_wall_ms() / 1000;
	const struct staple_response_check check = {
		.cert = exam->question->cert,
		.clock = { now,
		    exam->question->settings->values.default_lifetime_s },
	};
	struct staple_result checked;
	struct staple_response *fresh = staple_response_check_fetched(
	    result, &check, &checked);

	exam->waiting = false;
	exam->took_ms = result->took_ms;
	exam->told_to_wait = result->retry_after_s > 0;
	report_variant(exam, &checked);
	if (fresh != NULL)
		keep_newest(exam, fresh, now);
	else
		exam->nearest = staple_outcome_nearer(
		    exam->nearest, checked.outcome);
}

static void
send_variant(struct exam *exam, uint32_t timeout_ms)
{
	struct staple_result checked = { STAPLE_NO_MEMORY,
		{ "out of memory" } };

	exam->took_ms = 0;
	exam->told_to_wait = false;
	exam->waiting = staple_request_start(exam->fetcher,
			    exam->question->cert, &exam->variant, timeout_ms,
			    on_fetched, exam) != NULL;
	if (!exam->waiting) {
		exam->nearest = staple_outcome_nearer(
		    exam->nearest, checked.outcome);
		report_variant(exam, &checked);
	}
	while (exam->waiting)
		staple_fetcher_turn(exam->fetcher, TURN_MS);
}

/* ---- All variants, or the order of the daemon ---- */

/* An expired response may be a cache's. */
static void
try_past_caches(struct exam *exam, uint32_t timeout_ms)
{
	send_variant(exam, timeout_ms);
	if (exam->outcome != STAPLE_EXPIRED)
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
	const struct staple_options *values = &exam->question->settings->values;
	uint32_t share_ms = staple_request_time(
	    values->timeout_ms, values->timeout_ms);

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		bool get = staple_request_prefers_get(
		    exam->question->cert, url, hashes[i], values->method);

		exam->variant = (struct staple_request_variant){ url,
			i % 2 == 0 ? get : !get, hashes[i], false };
		try_past_caches(exam, share_ms);
		if (exam->told_to_wait || is_dead(exam->outcome))
			return;
	}
}

static void
try_all(struct exam *exam)
{
	for (size_t i = 0; i < exam->question->cert->url_count; i++)
		try_url(exam, i);
}

static void
try_to_first_answer(struct exam *exam)
{
	const struct staple_options *values = &exam->question->settings->values;
	uint32_t left_ms = values->timeout_ms, share_ms;
	struct staple_request_order attempt;

	staple_request_order_begin(
	    &attempt, exam->question->cert, values->method, false);
	while ((share_ms = staple_request_time(values->timeout_ms, left_ms)) !=
		   0 &&
	       staple_request_order_next(
		   &attempt, exam->outcome, &exam->variant)) {
		send_variant(exam, share_ms);
		if (exam->told_to_wait)
			staple_request_order_skip_host(&attempt);
		left_ms -= exam->took_ms < left_ms ? exam->took_ms : left_ms;
	}
}

/* NULL: *err. */
static struct staple_fetcher *
make_fetcher(const struct staple_settings *settings, struct err *err)
{
	const struct staple_options *values = &settings->values;
	const struct staple_fetch_options options = {
		.proxy = values->proxy,
		.ca_file = values->ca_file,
		.max_response = values->max_response,
	};
	struct staple_fetcher *fetcher = staple_fetcher_new(err);

	if (fetcher != NULL)
		staple_fetcher_configure(fetcher, &options);
	return fetcher;
}

/* ---- The issuer ---- */

struct issuer_fetch {
	const struct staple_cert *cert;
	struct staple_fetcher *fetcher;
	bool waiting;
	X509 *found;
	struct staple_result checked;
};

static void
on_issuer(void *arg, const struct staple_fetch_result *result)
{
	struct issuer_fetch *search = arg;

	search->waiting = false;
	search->found = staple_issuer_check(
	    search->cert, result, &search->checked);
}

static void
fetch_issuer(struct issuer_fetch *search, size_t url, uint32_t timeout_ms)
{
	err_set(&search->checked.said, "out of memory");
	search->waiting = staple_issuer_fetch(search->fetcher, search->cert,
			      url, timeout_ms, on_issuer, search) != NULL;
	while (search->waiting)
		staple_fetcher_turn(search->fetcher, TURN_MS);
}

struct staple_cert *
staple_diagnose_issuer(const struct staple_cert *cert,
    const struct staple_settings *settings, const char **url, struct err *err)
{
	uint32_t timeout_ms = settings->values.timeout_ms;
	struct issuer_fetch search = { .cert = cert };
	struct staple_cert *whole = NULL;

	search.fetcher = make_fetcher(settings, err);
	if (search.fetcher == NULL)
		return NULL;
	err_set(err, "%s", "");
	for (size_t i = 0; search.found == NULL && i < cert->issuer_url_count;
	     i++) {
		*url = cert->issuer_urls[i];
		fetch_issuer(
		    &search, i, staple_request_time(timeout_ms, timeout_ms));
		if (search.found == NULL)
			err_set(err, "%s%sissuer %s: %s", err->text,
			    i > 0 ? "; " : "", *url, search.checked.said.text);
	}
	if (search.found != NULL)
		whole = staple_cert_with_issuer(
		    cert, cert->leaf, search.found, STAPLE_ORIGIN_AIA, err);
	X509_free(search.found);
	staple_fetcher_free(search.fetcher);
	return whole;
}

struct staple_response *
staple_diagnose(const struct staple_question *question,
    enum staple_outcome *outcome, struct err *err)
{
	struct exam exam = { .question = question };

	if (question->cert->unavailable_reason != STAPLE_UNASKED) {
		*outcome = question->cert->unavailable_reason;
		err_set(err, "%s", question->cert->hint);
		return NULL;
	}
	if (question->cert->issuer == NULL) { /* *err has the reason */
		*outcome = STAPLE_NO_ISSUER;
		return NULL;
	}
	exam.fetcher = make_fetcher(question->settings, err);
	if (exam.fetcher == NULL) {
		*outcome = STAPLE_NO_MEMORY;
		return NULL;
	}
	if (question->all)
		try_all(&exam);
	else
		try_to_first_answer(&exam);
	staple_fetcher_free(exam.fetcher);
	*outcome = exam.nearest;
	if (exam.best != NULL)
		*outcome = staple_response_is_revoked(exam.best)
			       ? STAPLE_REVOKED
			       : STAPLE_GOOD;
	return exam.best;
}
