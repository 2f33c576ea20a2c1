/*
 * From certificates to verdicts.  Main thread; reads no clock.  The library
 * is asked about each certificate anew: its answers are snapshots, and an
 * opinion is only as old as the question.
 */
#include "runtime/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "runtime/credential.h"
#include "runtime/generation.h"
#include "runtime/stapling.h"
#include "staple/outcome.h"
#include "tls/identity.h"

static bool
is_patience_over(const struct judge *judge, const struct staple_policy *policy)
{
	return judge->patience_over ||
	       (judge->wait_over && !verdict_is_fatal(policy));
}

/*
 * Does the generation that is to be replaced show the very same without a
 * staple, by a policy as strict?  Refusing a reload would mend nothing then,
 * and might refuse the mending.
 */
static bool
fails_already(const struct judge *judge, const struct identity *identity,
    const struct staple_info *info)
{
	const struct generation *before = judge->before;
	const struct credential *old;
	size_t i;

	/* Time alone brings this hindrance to one that runs; any other comes
	 * with the configuration that is tried. */
	if (info->hindrance != STAPLE_UNASKED &&
	    info->hindrance != STAPLE_CERTIFICATE_EXPIRED)
		return false;
	for (i = 0; before && i < generation_holding_count(before); i++) {
		old = generation_holding(before, i)->credential;
		if (old->identity && identity_equal(old->identity, identity) &&
		    verdict_of(&old->id.policy, info, judge->phase,
			judge->now_s, true) == VERDICT_FAILED)
			return true;
	}
	return false;
}

static enum verdict
judge_one(const struct judge *judge, const struct staple_policy *policy,
    const struct identity *identity, const struct staple_info *info)
{
	enum verdict verdict = verdict_of(policy, info, judge->phase,
	    judge->now_s, is_patience_over(judge, policy));

	if (verdict == VERDICT_FAILED && fails_already(judge, identity, info))
		return VERDICT_DEGRADED;
	return verdict;
}

/* What waits and fails, waits on: the old certificate serves.  One that is
 * revoked ends nothing if it has a renewal, which takes its place at once; and
 * nothing in a folder concerns anyone but itself. */
static enum verdict
soften(const struct judge_opinion *opinion)
{
	enum verdict verdict = opinion->verdict;
	bool in_folder = opinion->credential->id.in_folder;

	if (opinion->renewal &&
	    (verdict == VERDICT_FAILED || verdict == VERDICT_DEGRADED ||
		(in_folder && verdict != VERDICT_WAIT)))
		return VERDICT_FINE;
	if (opinion->credential->unstapled && verdict == VERDICT_FAILED)
		return VERDICT_DEGRADED;
	if (opinion->renewed && verdict == VERDICT_REVOKED)
		return VERDICT_REVOKED_ON;
	if (in_folder && verdict == VERDICT_FAILED)
		return VERDICT_DEGRADED;
	return verdict;
}

static void
visit_one(const struct judge *judge, struct judge_opinion *opinion,
    judge_visit_fn *visit, void *arg)
{
	if (opinion->identity == NULL ||
	    !stapling_state(judge->stapling, opinion->identity, &opinion->info))
		return;
	opinion->verdict = judge_one(judge, &opinion->credential->id.policy,
	    opinion->identity, &opinion->info);
	opinion->verdict = soften(opinion);
	visit(arg, opinion);
}

void
judge_each(const struct judge *judge, const struct generation *generation,
    judge_visit_fn *visit, void *arg)
{
	const struct holding *holding;
	struct judge_opinion opinion;
	size_t i;

	for (i = 0; i < generation_holding_count(generation); i++) {
		memset(&opinion, 0, sizeof(opinion));
		holding = generation_holding(generation, i);
		opinion.user = holding->user;
		opinion.credential = holding->credential;
		opinion.identity = holding->credential->identity;
		opinion.renewed = holding->credential->renewal != NULL;
		visit_one(judge, &opinion, visit, arg);
		opinion.identity = holding->credential->renewal;
		opinion.renewal = true;
		opinion.renewed = false;
		visit_one(judge, &opinion, visit, arg);
	}
}

static bool
was_answered(const struct staple_info *info)
{
	return info->held || info->outcome == STAPLE_GOOD ||
	       info->outcome == STAPLE_UNCHANGED ||
	       info->outcome == STAPLE_REVOKED ||
	       info->outcome == STAPLE_UNKNOWN;
}

static void
add(void *arg, const struct judge_opinion *opinion)
{
	struct judge_sum *sum = arg;

	sum->counts[opinion->verdict]++;
	if (was_answered(&opinion->info))
		sum->answered++;
}

struct judge_sum
judge_all(const struct judge *judge, const struct generation *generation)
{
	struct judge_sum sum;

	memset(&sum, 0, sizeof(sum));
	judge_each(judge, generation, add, &sum);
	return sum;
}

bool
judge_may_ask(const struct judge *judge, const struct staple_policy *policy,
    const struct identity *identity, struct err *err)
{
	struct staple_info info;
	char why[ERR_TEXT_MAX / 2];

	if (!stapling_state(judge->stapling, identity, &info) ||
	    info.hindrance == STAPLE_UNASKED ||
	    judge_one(judge, policy, identity, &info) != VERDICT_FAILED)
		return true;
	judge_explain(&info, why, sizeof(why));
	err_set(err, "certificate %s must be stapled, but %s", info.name, why);
	return false;
}

bool
judge_gives_way(const struct judge *judge, const struct identity *served)
{
	return verdict_gives_way(identity_not_after(served), judge->now_s);
}

bool
judge_keeps_out(const struct judge *judge, const struct staple_policy *policy,
    const struct identity *renewed, const struct identity *served)
{
	struct staple_info fresh, old;
	const struct verdict_served before = {
		.info = &old,
		.ends_s = identity_not_after(served),
	};

	/* A certificate that is not valid yet replaces no valid one. */
	if (identity_not_before(renewed) > judge->now_s &&
	    before.ends_s > judge->now_s)
		return true;
	return stapling_state(judge->stapling, renewed, &fresh) &&
	       stapling_state(judge->stapling, served, &old) &&
	       verdict_keeps_out(policy, &fresh, &before, judge->now_s);
}

bool
judge_lets_in(const struct judge *judge, const struct staple_policy *policy,
    const struct identity *identity)
{
	struct staple_info info;

	if (!stapling_state(judge->stapling, identity, &info))
		return true;
	switch (verdict_of(policy, &info, PHASE_RELOAD, judge->now_s,
	    is_patience_over(judge, policy))) {
	case VERDICT_FINE:
	case VERDICT_DEGRADED:
	case VERDICT_REVOKED_ON:
		return true;
	default:
		return false;
	}
}

bool
judge_is_due(const struct judge *judge, const struct credential *credential)
{
	const struct staple_policy *policy = &credential->id.policy;

	if (credential->renewal == NULL)
		return false;
	if (credential->identity == NULL)
		return judge_lets_in(judge, policy, credential->renewal);
	return !judge_keeps_out(
	    judge, policy, credential->renewal, credential->identity);
}

void
judge_explain(const struct staple_info *info, char *out, size_t max)
{
	bool hindered = info->hindrance != STAPLE_UNASKED;
	enum staple_outcome outcome = hindered ? info->hindrance
					       : info->outcome;
	const char *advice = staple_outcome_advice(outcome);

	if (!hindered && info->said[0])
		snprintf(out, max, "%s", info->said);
	else if (outcome == STAPLE_UNASKED)
		snprintf(out, max,
		    "no responder (of %u) has answered yet; check that this "
		    "host can reach them, or allow more start_wait",
		    info->responders);
	else
		snprintf(out, max, "%s%s%s%s%s%s",
		    staple_outcome_sentence(outcome), info->said[0] ? " (" : "",
		    info->said, info->said[0] ? ")" : "", advice[0] ? "; " : "",
		    advice);
}
