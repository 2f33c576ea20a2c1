/*
 * How an attempt goes on.  Staple thread only.  Its deadline is kept as time
 * that is left, of which only asking takes away: an attempt that waits for a
 * slot, first or between two tries, has lost nothing.
 */
#include "staple/ask.h"

#include "staple/cache.h"
#include "staple/disk.h"
#include "staple/errand.h"
#include "staple/judge.h"
#include "staple/outcome.h"
#include "staple/report.h"
#include "staple/response.h"
#include "staple/settings.h"
#include "staple/slots.h"
#include "staple/try.h"

enum { HOST_MAX = 512 };

static const struct staple_options *
settings_of(const struct staple_errand *errand)
{
	return &errand->office->settings->values;
}

/* The attempt is over before its conclusion is drawn, which may begin the
 * next one. */
static void
end(struct staple_ask *ask)
{
	staple_queue_leave(&ask->place);
	ask->busy = false;
}

static void
give_up(struct staple_errand *errand)
{
	end(&errand->ask);
	staple_errand_failed(errand, errand->ask.nearest);
}

/* A try that came to nothing without an exchange. */
static enum staple_outcome
miss(struct staple_errand *errand, enum staple_outcome outcome)
{
	struct staple_verdict verdict = { outcome, { "" } };

	err_set(&verdict.said, "%s", staple_outcome_sentence(outcome));
	staple_report_try(errand, &verdict, 0);
	errand->ask.nearest = staple_judge_nearer(errand->ask.nearest, outcome);
	return outcome;
}

/* 0: the deadline is over. */
static uint32_t
time_for_try(const struct staple_ask *ask)
{
	return staple_try_time(ask->timeout_ms, ask->left_ms);
}

/* Wait for a slot of the next try, given how the last one ended. */
static void
go_on(struct staple_errand *errand, enum staple_outcome last)
{
	struct staple_ask *ask = &errand->ask;
	char host[HOST_MAX];

	while (time_for_try(ask) != 0 &&
	       staple_attempt_next(&ask->attempt, last, &ask->trying)) {
		if (!staple_fetch_host(errand->cert->urls[ask->trying.url],
			host, sizeof(host))) {
			last = miss(errand, STAPLE_BAD_URL);
			continue;
		}
		if (!staple_queue_join(&errand->office->queue, &ask->place,
			host, errand->due)) {
			miss(errand, STAPLE_NO_MEMORY);
			break;
		}
		return;
	}
	give_up(errand);
}

/* Was the last answer one that a cache may have kept too long: expired, or the
 * same again near its end?  RFC 5019 6.1: only then is no-cache allowed. */
static bool
got_old(const struct staple_errand *errand)
{
	return errand->outcome == STAPLE_EXPIRED ||
	       (errand->outcome == STAPLE_UNCHANGED &&
		   errand->tries_since != 0);
}

void
staple_ask_begin(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;
	struct staple_attempt_start start = {
		.method = settings_of(errand)->method,
		.no_cache = got_old(errand),
		.worked = errand->worked_once ? &errand->worked : NULL,
		.confirm = staple_errand_is_confirming(errand)
			       ? &errand->accusing
			       : NULL,
		.in_vain = errand->unconfirmable,
	};

	*ask = (struct staple_ask){
		.busy = true,
		.confirming = start.confirm != NULL,
		.timeout_ms = settings_of(errand)->timeout_ms,
		.left_ms = settings_of(errand)->timeout_ms,
		.nearest = STAPLE_UNASKED,
	};
	staple_attempt_begin(&ask->attempt, errand->cert, &start);
	go_on(errand, STAPLE_UNASKED);
}

void
staple_ask_start(struct staple_place *place, struct staple_slot *slot)
{
	struct staple_ask *ask = container_of(place, struct staple_ask, place);
	struct staple_errand *errand = container_of(
	    ask, struct staple_errand, ask);
	const struct staple_try_by by = {
		.fetcher = errand->office->fetcher,
		.timeout_ms = time_for_try(ask),
		.no_cache = ask->attempt.no_cache,
		.done = errand->office->fetched,
		.arg = errand,
	};

	ask->slot = slot;
	if (staple_disk_spares(errand))
		return;
	ask->fetch = staple_try_start(errand->cert, &ask->trying, &by);
	if (ask->fetch != NULL)
		return;
	staple_slots_give(errand->office->slots, slot);
	ask->slot = NULL;
	miss(errand, STAPLE_NO_MEMORY);
	give_up(errand);
}

static struct staple_response *
judge(struct staple_errand *errand, const struct staple_fetch_result *result,
    struct staple_verdict *verdict)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	struct staple_response *fresh;
	struct staple_matter matter = {
		.cert = errand->cert,
		.held = held,
		.clock = { errand->office->wall_s, errand->office->wall_s,
		    settings_of(errand)->default_lifetime_s },
	};

	fresh = staple_judge_exchange(result, &matter, verdict);
	staple_response_unref(held);
	return fresh;
}

/* What confirms a revocation is somebody's second choice, on purpose. */
static void
remember(struct staple_errand *errand)
{
	if (errand->ask.confirming)
		return;
	errand->worked_once = true;
	errand->worked = errand->ask.trying;
}

static void
put_down(struct staple_errand *errand, const struct staple_fetch_result *result)
{
	struct staple_ask *ask = &errand->ask;

	ask->fetch = NULL;
	staple_slots_give(errand->office->slots, ask->slot);
	ask->slot = NULL;
	ask->left_ms -= result->took_ms < ask->left_ms ? result->took_ms
						       : ask->left_ms;
	if (result->retry_after_s > ask->retry_after_s)
		ask->retry_after_s = result->retry_after_s;
	if (result->retry_after_s > 0)
		staple_attempt_bar_host(&ask->attempt);
}

void
staple_ask_fetched(
    struct staple_errand *errand, const struct staple_fetch_result *result)
{
	struct staple_verdict verdict;
	struct staple_reply answer;

	put_down(errand, result);
	answer.response = judge(errand, result, &verdict);
	answer.outcome = verdict.outcome;
	answer.freshness_s = result->freshness_s;
	staple_report_try(errand, &verdict, result->took_ms);
	if (answer.response == NULL) {
		errand->ask.nearest = staple_judge_nearer(
		    errand->ask.nearest, answer.outcome);
		go_on(errand, answer.outcome);
		return;
	}
	end(&errand->ask);
	remember(errand);
	staple_errand_answered(errand, &answer);
	staple_response_unref(answer.response);
}

void
staple_ask_cancel(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;

	if (!ask->busy)
		return;
	staple_fetch_cancel(ask->fetch);
	ask->fetch = NULL;
	if (ask->slot != NULL)
		staple_slots_give(errand->office->slots, ask->slot);
	ask->slot = NULL;
	staple_claim_release(errand->claim);
	errand->claim = NULL;
	end(ask);
}
