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
struct cert_slot;
struct cert_slot_key;
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
    const struct identity *identity, const struct cert_slot_key *id,
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
void stapling_log_counters(struct stapling *stapling);

/* Before the log ends.  Generations may end before or after. */
void stapling_free(struct stapling *stapling);

/* ---- Policy of one certificate ---- */

enum policy_phase { PHASE_START, PHASE_RUNNING, PHASE_RELOAD };

enum policy_result {
	POLICY_OK,       /* nothing stands in the way */
	POLICY_WAIT,     /* not answered, not failed, or not confirmed yet */
	POLICY_DEGRADED, /* go on without a staple; the log says so */
	POLICY_REVOKED_CONTINUE, /* revoked, and by policy the process goes on */
	POLICY_FAILED,           /* start: exit 1; reload: refused */
	POLICY_REVOKED /* start and running: exit 3; reload: refused */
};

/* Does this policy ask for a staple of this certificate? */
bool policy_requires_staple(
    const struct staple_policy *policy, const struct staple_info *info);

/* By this policy, does failing end a start? */
bool policy_is_strict(const struct staple_policy *policy);

/* Does a verified response say anything valid at this time? */
bool policy_has_response(const struct staple_info *info, int64_t now_s);

/* timed_out: a start and a reload wait no more for this certificate
 * (struct policy_eval). */
enum policy_result policy_evaluate(const struct staple_policy *policy,
    const struct staple_info *info, enum policy_phase phase, int64_t now_s,
    bool timed_out);

/* The certificate that would be replaced. */
struct policy_served {
	const struct staple_info *info;
	int64_t ends_s; /* its notAfter */
};

/* A served certificate that ends within an hour: its renewal goes into service
 * whether it has a staple or not.  ends_s: its notAfter. */
bool policy_ends_soon(int64_t ends_s, int64_t now_s);

/*
 * Renewal: must this certificate, read from the files just now, wait for its
 * first staple while the old one serves?  At most until an hour before the
 * end of the old one, and not for one that is revoked.  One that no responder
 * can answer for waits as well where failing is fatal.
 */
bool policy_defers_renewal(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct policy_served *served,
    int64_t now_s);

/* ---- Policy of a generation ---- */

struct policy_eval {
	const struct stapling *stapling; /* NULL: nobody is stapled */
	enum policy_phase phase;
	/* What a reload would replace; NULL: nothing.  A certificate that
	 * fails there already is no reason to refuse. */
	const struct generation *before;
	int64_t now_s;
	/* start_wait has passed since the last answer to anything: nothing is
	 * waited for.  Since the beginning: only for what is fatal. */
	bool timed_out;
	bool start_wait_over;
};

/* One certificate, as of now.  Borrowed for the call. */
struct evaluated_cert {
	const struct config_listener *user; /* the first that shows it */
	const struct cert_slot *slot;
	const struct identity *identity;
	/* It waits to come into service: failing only keeps it out. */
	bool renewal;
	bool renewed; /* ...and this is the one that serves meanwhile */
	enum policy_result result;
	struct staple_info info;
};
typedef void policy_visit_fn(void *arg, const struct evaluated_cert *cert);

/* Every certificate that is watched, once, with a listener that shows it. */
void policy_eval_each(const struct policy_eval *eval,
    const struct generation *generation, policy_visit_fn *visit, void *arg);

/* All of them taken together. */
struct policy_counts {
	size_t counts[POLICY_REVOKED + 1]; /* by result */
	size_t answered;                   /* by some responder, ever */
};
struct policy_counts policy_eval_all(
    const struct policy_eval *eval, const struct generation *generation);

/*
 * A start or a reload must not begin with this one: nobody can be asked, and
 * by policy failing is fatal.  false: *err says what to do.
 */
bool policy_eval_may_start(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *identity,
    struct err *err) MUST_CHECK;

/* Renewal: does `served` end within an hour, or has it ended? */
bool policy_eval_ends_soon(
    const struct policy_eval *eval, const struct identity *served);

/* Renewal: must `renewed` wait while `served` goes on? */
bool policy_eval_defers(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *renewed,
    const struct identity *served);

/* May one that is new, and replaces nobody, come into service now? */
bool policy_eval_admits(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *identity);

/* Has the time of what waits in this credential come? */
bool policy_eval_is_due(
    const struct policy_eval *eval, const struct cert_slot *slot);

/* What came of asking, in words: the attempt, or why there was none. */
void policy_explain(const struct staple_info *info, char *out, size_t max);

#endif
