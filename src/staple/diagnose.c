/*
 * Asking in the open.  One thread, the command's own, which waits for each
 * try.  What a try is worth is the daemon's judgement; only the order differs
 * where all of them are wanted.  Nothing counts as held, so that an answer is
 * told for what it is, and the newest of several wins in the end.
 */
#include "staple/diagnose.h"

#include "base/clock.h"
#include "base/err.h"
#include "staple/fetch.h"
#include "staple/judge.h"
#include "staple/response.h"
#include "staple/settings.h"
#include "staple/try.h"

enum { TURN_MS = 1000 };

struct exam {
	const struct staple_question *question;
	struct staple_fetcher *fetcher;
	struct staple_response *best;
	enum staple_outcome nearest; /* of the tries that failed */

	/* the try in hand */
	struct staple_try trying;
	bool waiting;
	enum staple_outcome outcome;
	uint32_t took_ms;
};

bool
staple_diagnose_is_dead(enum staple_outcome outcome)
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

/* ---- One try ---- */

static void
tell(struct exam *exam, const struct staple_verdict *verdict)
{
	const struct staple_finding finding = { exam->trying, verdict->outcome,
		exam->took_ms, verdict->said.text };

	exam->outcome = verdict->outcome;
	exam->question->found(exam->question->arg, &finding);
}

/* Takes the reference. */
static void
keep_newest(struct exam *exam, struct staple_response *fresh)
{
	if (staple_response_may_replace(exam->best, fresh)) {
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
	const struct staple_matter matter = {
		.cert = exam->question->cert,
		.clock = { now, now,
		    exam->question->settings->values.default_lifetime_s },
	};
	struct staple_verdict verdict;
	struct staple_response *fresh = staple_judge_exchange(
	    result, &matter, &verdict);

	exam->waiting = false;
	exam->took_ms = result->took_ms;
	tell(exam, &verdict);
	if (fresh != NULL)
		keep_newest(exam, fresh);
	else
		exam->nearest = staple_judge_nearer(
		    exam->nearest, verdict.outcome);
}

static void
try_it(struct exam *exam, uint32_t timeout_ms)
{
	const struct staple_try_by by = { exam->fetcher, timeout_ms, on_fetched,
		exam };
	struct staple_verdict verdict = { STAPLE_NO_MEMORY,
		{ "out of memory" } };

	exam->took_ms = 0;
	exam->waiting = staple_try_start(
			    exam->question->cert, &exam->trying, &by) != NULL;
	if (!exam->waiting) {
		exam->nearest = staple_judge_nearer(
		    exam->nearest, verdict.outcome);
		tell(exam, &verdict);
	}
	while (exam->waiting)
		staple_fetcher_turn(exam->fetcher, TURN_MS);
}

/* ---- All of them, or as the daemon does ---- */

static void
try_url(struct exam *exam, size_t url)
{
	static const struct staple_try ways[] = {
		{ .get = false, .hash = STAPLE_SHA1 },
		{ .get = true, .hash = STAPLE_SHA1 },
		{ .get = false, .hash = STAPLE_SHA256 },
		{ .get = true, .hash = STAPLE_SHA256 },
	};
	uint32_t timeout_ms = exam->question->settings->values.timeout_ms;

	exam->outcome = STAPLE_UNASKED;
	for (size_t i = 0;
	     i < ARRAY_LEN(ways) && !staple_diagnose_is_dead(exam->outcome);
	     i++) {
		exam->trying = ways[i];
		exam->trying.url = url;
		try_it(exam, staple_try_time(timeout_ms, timeout_ms));
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
	const struct staple_attempt_start start = {
		.get_first = values->get_first
	};
	uint32_t left_ms = values->timeout_ms, share_ms;
	struct staple_attempt attempt;

	staple_attempt_begin(&attempt, exam->question->cert, &start);
	while ((share_ms = staple_try_time(values->timeout_ms, left_ms)) != 0 &&
	       staple_attempt_next(&attempt, exam->outcome, &exam->trying)) {
		try_it(exam, share_ms);
		left_ms -= exam->took_ms < left_ms ? exam->took_ms : left_ms;
	}
}

static bool
set_up(struct exam *exam, struct err *err)
{
	const struct staple_options *values = &exam->question->settings->values;
	const struct staple_fetch_options options = {
		.proxy = values->proxy,
		.ca_file = values->ca_file,
		.max_response = values->max_response,
	};

	exam->fetcher = staple_fetcher_new(err);
	if (exam->fetcher == NULL)
		return false;
	staple_fetcher_configure(exam->fetcher, &options);
	return true;
}

struct staple_response *
staple_diagnose(const struct staple_question *question,
    enum staple_outcome *outcome, struct err *err)
{
	struct exam exam = { .question = question };

	if (question->cert->hindrance != STAPLE_UNASKED) {
		*outcome = question->cert->hindrance;
		err_set(err, "%s", question->cert->hint);
		return NULL;
	}
	if (!set_up(&exam, err)) {
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
