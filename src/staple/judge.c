/*
 * From bytes to a judgement.  Any thread.  Whether a response may replace the
 * one held is decided here, with the bytes still in hand, and not by whoever
 * publishes: then an older answer is a failed try like any other, and the
 * next responder is asked.
 */
#include "staple/judge.h"

#include "staple/fetch.h"
#include "staple/outcome.h"

static enum staple_outcome
compare(const struct staple_response *held, const struct staple_response *fresh,
    int64_t now_s)
{
	if (!staple_response_may_replace(held, fresh, now_s))
		return STAPLE_OLDER;
	if (staple_response_is_revoked(fresh))
		return STAPLE_REVOKED;
	if (held != NULL && staple_response_same(held, fresh))
		return STAPLE_UNCHANGED;
	return STAPLE_GOOD;
}

static void
pass(struct staple_verdict *verdict, enum staple_outcome outcome)
{
	verdict->outcome = outcome;
	err_set(&verdict->said, "%s", staple_outcome_sentence(outcome));
}

struct staple_response *
staple_judge(const struct staple_matter *matter, struct staple_verdict *verdict)
{
	struct staple_response *fresh;

	fresh = staple_response_verify(
	    matter->cert, matter->der, matter->len, &matter->clock, verdict);
	if (fresh == NULL)
		return NULL;
	verdict->outcome = compare(matter->held, fresh, matter->clock.now_s);
	if (verdict->outcome != STAPLE_OLDER)
		return fresh;
	pass(verdict, STAPLE_OLDER);
	staple_response_unref(fresh);
	return NULL;
}

struct staple_response *
staple_judge_exchange(const struct staple_fetch_result *result,
    const struct staple_matter *matter, struct staple_verdict *verdict)
{
	struct staple_matter brought = *matter;
	struct staple_response *fresh;

	if (result->outcome != STAPLE_GOOD) {
		verdict->outcome = result->outcome;
		err_set(&verdict->said, "%s", result->said);
		return NULL;
	}
	brought.der = result->body;
	brought.len = result->len;
	fresh = staple_judge(&brought, verdict);
	/* A login page is not a malformed response: its label says what it
	 * is.  A response under a wrong label is one all the same. */
	if (verdict->outcome == STAPLE_MALFORMED && !result->right_type)
		pass(verdict, STAPLE_NOT_OCSP);
	return fresh;
}

/* The outcomes stand in this order in staple.h, but for these. */
static int
rank(enum staple_outcome outcome)
{
	if (outcome == STAPLE_UNKNOWN)
		return STAPLE_OUTCOMES;
	if (outcome == STAPLE_NO_MEMORY || outcome == STAPLE_FILE_UNREADABLE)
		return STAPLE_UNASKED + 1;
	return (int)outcome;
}

enum staple_outcome
staple_judge_nearer(enum staple_outcome a, enum staple_outcome b)
{
	return rank(b) > rank(a) ? b : a;
}
