/*
 * Stapling in the daemon: the joint of configuration, log and libstaple, and
 * the stapling policy of clinch(8).  Main thread.  Every function that takes a
 * struct stapling takes NULL for "no stapling" and then succeeds.
 */
#ifndef RUNTIME_STAPLING_H
#define RUNTIME_STAPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "staple/staple.h"

struct config_listener;
struct credential;
struct credential_key;
struct err;
struct generation;
struct identity;
struct log;
struct stapling;
struct tls_context;

/* ---- Configuration and events ---- */

/* Something that decides has changed.  Called on the staple thread: main
 * turns it into an ev_async_send. */
typedef void stapling_changed_fn(void *arg);

/*
 * Before privileges are dropped: makes store_dir and gives what it made to
 * the configured user.  `check_only` touches no folder.  The log is borrowed.
 * NULL: *err, with file:line where a key is to blame.
 */
struct stapling *stapling_new(const struct config *config, struct log *log,
    bool check_only, struct err *err) MUST_CHECK;

/* Start the staple thread; after privileges were dropped. */
bool stapling_start(struct stapling *stapling, stapling_changed_fn *changed,
    void *arg, struct err *err) MUST_CHECK;

/* [ocsp] of another configuration from now on. */
bool stapling_configure(struct stapling *stapling, const struct config *config,
    struct err *err) MUST_CHECK;

/*
 * What these settings ask for, in the library's words.  in_folder: of a
 * certificate from cert_dir, whose revocation never ends the process.
 */
struct staple_policy stapling_policy(
    const struct config_listener *settings, bool in_folder);

/* Fetch for this identity as its id says.  Again with another configuration:
 * that one counts from now on, and a staple_file is looked at again. */
bool stapling_watch(struct stapling *stapling, const struct config *config,
    const struct identity *identity, const struct credential_key *id,
    struct err *err) MUST_CHECK;

/* Staple in this context.  Before any other thread uses it. */
bool stapling_attach(struct stapling *stapling,
    const struct tls_context *context, const struct staple_policy *policy,
    struct err *err) MUST_CHECK;

/* [ocsp] and every identity of a running generation as they were before
 * another one was tried.  What fails is logged. */
void stapling_restore(
    struct stapling *stapling, const struct generation *generation);

/* false: never watched. */
bool stapling_state(const struct stapling *stapling,
    const struct identity *identity, struct staple_info *info);

/* Hold the identities of a generation that is let go, so that their counters
 * are still there at the end. */
void stapling_keep(
    struct stapling *stapling, const struct generation *generation);

/* One line for each certificate that was stapled, at level info. */
void stapling_say_counters(struct stapling *stapling);

/* Before the log ends.  Generations may end before or after. */
void stapling_free(struct stapling *stapling);

/* ---- Policy of one certificate ---- */

enum verdict_phase { PHASE_START, PHASE_RUNNING, PHASE_RELOAD };

enum verdict {
	VERDICT_FINE,       /* nothing stands in the way */
	VERDICT_WAIT,       /* not answered, not failed, or not confirmed yet */
	VERDICT_DEGRADED,   /* go on without a staple; the log says so */
	VERDICT_REVOKED_ON, /* revoked, and by policy the process goes on */
	VERDICT_FAILED,     /* start: exit 1; reload: refused */
	VERDICT_REVOKED     /* start and running: exit 3; reload: refused */
};

/* Does this policy ask for a staple of this certificate? */
bool verdict_wants(
    const struct staple_policy *policy, const struct staple_info *info);

/* By this policy, does failing end a start? */
bool verdict_is_fatal(const struct staple_policy *policy);

/* Does a verified response say anything valid at this time? */
bool verdict_holds(const struct staple_info *info, int64_t now_s);

/* patience_over: a start and a reload wait no more for this certificate
 * (judge.h). */
enum verdict verdict_of(const struct staple_policy *policy,
    const struct staple_info *info, enum verdict_phase phase, int64_t now_s,
    bool patience_over);

/* The certificate that would be replaced. */
struct verdict_served {
	const struct staple_info *info;
	int64_t ends_s; /* its notAfter */
};

/* A served certificate that ends within an hour: its renewal goes into service
 * whether it has a staple or not.  ends_s: its notAfter. */
bool verdict_gives_way(int64_t ends_s, int64_t now_s);

/*
 * Renewal: must this certificate, read from the files just now, wait for its
 * first staple while the old one serves?  At most until an hour before the
 * end of the old one, and not for one that is revoked.  One that no responder
 * can answer for waits as well where failing is fatal.
 */
bool verdict_keeps_out(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct verdict_served *served,
    int64_t now_s);

/* ---- Policy of a generation ---- */

struct judge {
	const struct stapling *stapling; /* NULL: nobody is stapled */
	enum verdict_phase phase;
	/* What a reload would replace; NULL: nothing.  A certificate that
	 * fails there already is no reason to refuse. */
	const struct generation *before;
	int64_t now_s;
	/* start_wait has passed since the last answer to anything: nothing is
	 * waited for.  Since the beginning: only for what is fatal. */
	bool patience_over;
	bool wait_over;
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
