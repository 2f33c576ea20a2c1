/*
 * The matrix as a few questions in a fixed order.  Any thread; no state.  A
 * certificate about which nobody can be asked is refused where failing is
 * fatal, even while a response from disk is still valid: else the outcome of a
 * start would depend on what an earlier configuration left behind.
 */
#include "runtime/verdict.h"

#include "staple/response.h"

/* A renewed certificate waits for its staple until the old one has less. */
#define RENEWAL_MARGIN_S 3600

bool
verdict_is_fatal(const struct staple_policy *policy)
{
	return policy->mode == STAPLE_MUST || policy->mode == STAPLE_ALWAYS;
}

static enum staple_on_revoked
on_revoked(const struct staple_policy *policy)
{
	if (policy->on_revoked != STAPLE_REVOKED_BY_MODE)
		return policy->on_revoked;
	return verdict_is_fatal(policy) ? STAPLE_REVOKED_EXIT
					: STAPLE_REVOKED_STAPLE;
}

static bool
is_confirmed(const struct staple_info *info)
{
	return info->confirmed || info->unconfirmable;
}

bool
verdict_wants(
    const struct staple_policy *policy, const struct staple_info *info)
{
	switch (policy->mode) {
	case STAPLE_AUTO:
	case STAPLE_MUST:
		return info->must_staple;
	case STAPLE_ALWAYS:
		return true;
	case STAPLE_PREFER:
		return info->hindrance != STAPLE_NO_RESPONDER;
	case STAPLE_NEVER:
		break;
	}
	return false;
}

bool
verdict_holds(const struct staple_info *info, int64_t now_s)
{
	return info->held && info->this_update <= now_s + STAPLE_SKEW_S &&
	       now_s < info->expires;
}

/*
 * A held "revoked" alone, perhaps from disk, ends nothing: it is confirmed
 * first.  Where a start or a reload cannot have that, because asking has failed
 * or patience is over, what is held is the last word there is; but a process
 * that runs goes on until there is a second one.
 */
static enum verdict
judge_revoked(const struct staple_policy *policy,
    const struct staple_info *info, bool may_wait, bool patience_over)
{
	if (on_revoked(policy) != STAPLE_REVOKED_EXIT) {
		if (may_wait && !info->settled && !patience_over)
			return VERDICT_WAIT; /* a newer good one lifts it */
		return VERDICT_REVOKED_ON;
	}
	if (info->confirmed ||
	    (may_wait && (info->unconfirmable || patience_over)))
		return VERDICT_REVOKED;
	/* Where nobody is asked there is nothing to wait for. */
	return info->hindrance == STAPLE_UNASKED ? VERDICT_WAIT
						 : VERDICT_REVOKED_ON;
}

enum verdict
verdict_of(const struct staple_policy *policy, const struct staple_info *info,
    enum verdict_phase phase, int64_t now_s, bool patience_over)
{
	bool may_wait = phase != PHASE_RUNNING;
	bool hindered = info->hindrance != STAPLE_UNASKED;

	if (!verdict_wants(policy, info))
		return VERDICT_FINE;
	if (hindered && may_wait && verdict_is_fatal(policy))
		return VERDICT_FAILED;
	if (verdict_holds(info, now_s))
		return info->revoked ? judge_revoked(policy, info,
					   may_wait && !hindered, patience_over)
				     : VERDICT_FINE;
	if (!may_wait)
		return VERDICT_DEGRADED;
	if (!hindered && !info->settled && !patience_over)
		return VERDICT_WAIT;
	return verdict_is_fatal(policy) ? VERDICT_FAILED : VERDICT_DEGRADED;
}

/* Would handshakes be given something, rather than an alert? */
static bool
is_stapled(const struct staple_policy *policy, const struct staple_info *info,
    int64_t now_s)
{
	if (!verdict_holds(info, now_s))
		return false;
	return !info->revoked || (on_revoked(policy) == STAPLE_REVOKED_STAPLE &&
				     is_confirmed(info));
}

bool
verdict_gives_way(int64_t ends_s, int64_t now_s)
{
	return ends_s - now_s <= RENEWAL_MARGIN_S;
}

bool
verdict_keeps_out(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct verdict_served *served,
    int64_t now_s)
{
	bool served_is_revoked = verdict_holds(served->info, now_s) &&
				 served->info->revoked;

	return verdict_wants(policy, renewed) &&
	       (renewed->hindrance == STAPLE_UNASKED ||
		   verdict_is_fatal(policy)) &&
	       !is_stapled(policy, renewed, now_s) && !served_is_revoked &&
	       !verdict_gives_way(served->ends_s, now_s);
}
