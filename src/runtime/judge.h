/*
 * The verdicts on all certificates of a generation: looks every one up in the
 * library and asks verdict.h.  Main thread.
 */
#ifndef RUNTIME_JUDGE_H
#define RUNTIME_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "runtime/verdict.h"

struct config_listener;
struct credential;
struct err;
struct generation;
struct identity;
struct stapling;

struct judge {
	const struct stapling *stapling; /* NULL: nobody is stapled */
	enum verdict_phase phase;
	/* What a reload would replace; NULL: nothing.  A certificate that
	 * fails there already is no reason to refuse. */
	const struct generation *before;
	int64_t now_s;
	bool patience_over;
};

/* One certificate, as of now.  Borrowed for the call. */
struct judge_opinion {
	const struct config_listener *user; /* the first that shows it */
	const struct credential *credential;
	const struct identity *identity;
	/* It waits to come into service: failing only keeps it out. */
	bool renewal;
	bool renewed; /* ...and this is the one that serves meanwhile */
	enum verdict verdict;
	struct staple_info info;
};
typedef void judge_visit_fn(void *arg, const struct judge_opinion *opinion);

/* Every certificate that is watched, once, with a listener that shows it. */
void judge_each(const struct judge *judge, const struct generation *generation,
    judge_visit_fn *visit, void *arg);

/* All of them taken together. */
struct judge_sum {
	size_t counts[VERDICT_REVOKED + 1]; /* by verdict */
	size_t answered;                    /* by some responder, ever */
};
struct judge_sum judge_all(
    const struct judge *judge, const struct generation *generation);

/*
 * A start or a reload must not begin with this one: nobody can be asked, and
 * by policy failing is fatal.  false: *err says what to do.
 */
bool judge_may_ask(const struct judge *judge,
    const struct staple_policy *policy, const struct identity *identity,
    struct err *err) MUST_CHECK;

/* Renewal: does `served` end within an hour, or has it ended? */
bool judge_gives_way(const struct judge *judge, const struct identity *served);

/* Renewal: must `renewed` wait while `served` goes on? */
bool judge_keeps_out(const struct judge *judge,
    const struct staple_policy *policy, const struct identity *renewed,
    const struct identity *served);

/* May one that is new, and replaces nobody, come into service now? */
bool judge_lets_in(const struct judge *judge,
    const struct staple_policy *policy, const struct identity *identity);

/* Has the time of what waits in this credential come? */
bool judge_is_due(
    const struct judge *judge, const struct credential *credential);

/* What came of asking, in words: the attempt, or why there was none. */
void judge_explain(const struct staple_info *info, char *out, size_t max);

#endif
