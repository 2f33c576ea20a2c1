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

/* The state of a certificate has changed.  Called on the staple thread; main
 * turns it into an ev_async_send. */
typedef void stapling_changed_fn(void *arg);

/*
 * Before privileges are dropped: make store_dir and give it to the configured
 * user.  `check_only` touches no folder.  The log is borrowed.  NULL: *err,
 * with file:line where a key is wrong.
 */
struct stapling *stapling_new(const struct config *config, struct log *log,
    bool check_only, struct err *err) MUST_CHECK;

/* Start the staple thread; after privileges were dropped. */
bool stapling_start(struct stapling *stapling, stapling_changed_fn *changed,
    void *arg, struct err *err) MUST_CHECK;

/* Apply [ocsp] of another configuration. */
bool stapling_configure(struct stapling *stapling, const struct config *config,
    struct err *err) MUST_CHECK;

/*
 * These settings as libstaple's policy.  in_folder: for a certificate of
 * cert_dir, whose revocation never ends the process.
 */
struct staple_policy stapling_policy(
    const struct config_listener *settings, bool in_folder);

/* As the configuration has it: "auto", "must", ... */
const char *stapling_mode_name(enum staple_mode mode);

/* Fetch for this identity as its id requires.  Again with another
 * configuration: that one counts from now on, and a staple_file is read
 * again. */
bool stapling_watch(struct stapling *stapling, const struct config *config,
    const struct identity *identity, const struct cert_slot_key *id,
    struct err *err) MUST_CHECK;

/* Staple in this context.  Before another thread uses it. */
bool stapling_attach(struct stapling *stapling,
    const struct tls_context *context, const struct staple_policy *policy,
    struct err *err) MUST_CHECK;

/* Restore libstaple's settings from the running generation, after another one
 * was refused.  Failures are logged. */
void stapling_restore(
    struct stapling *stapling, const struct generation *generation);

/* Fetch now: every staple (certificate ""), or those of the certificates with
 * this name or beginning of an id.  Returns how many.  Any thread. */
size_t stapling_refresh(struct stapling *stapling, const char *certificate);

/* false: never watched.  Any thread. */
bool stapling_state(const struct stapling *stapling,
    const struct identity *identity, struct staple_info *info);

/* Keep the identities of a generation that is released, so that their counters
 * exist at the end. */
void stapling_keep(
    struct stapling *stapling, const struct generation *generation);

/* Log one line for each certificate that was stapled, at level info. */
void stapling_log_counters(struct stapling *stapling);

/* Before the log is freed.  Generations may be freed before or after. */
void stapling_free(struct stapling *stapling);

/* ---- Policy of one certificate ---- */

enum policy_phase { PHASE_START, PHASE_RUNNING, PHASE_RELOAD };

enum policy_result {
	POLICY_OK,       /* staple present, or none required */
	POLICY_WAIT,     /* no answer, no failure, or no confirmation yet */
	POLICY_DEGRADED, /* serve without a staple; logged */
	POLICY_REVOKED_CONTINUE, /* revoked; policy lets the process run on */
	POLICY_FAILED,           /* start: exit 1; reload: refused */
	POLICY_REVOKED /* start and running: exit 3; reload: refused */
};

/* Does a missing staple end a start under this policy? */
bool policy_is_strict(const struct staple_policy *policy);

/* Is a handshake without a staple refused under this policy? */
bool policy_refuses_unstapled(const struct staple_policy *policy);

/* Does this policy require a staple of this certificate? */
bool policy_requires_staple(
    const struct staple_policy *policy, const struct staple_info *info);

/*
 * Is the service at fault while this certificate has no staple?  With mode =
 * prefer only if it carries must-staple, because clients refuse it then.  Never
 * for a certificate of cert_dir, which concerns its own names alone.
 */
bool policy_needs_staple(const struct staple_policy *policy,
    const struct staple_info *info, bool in_folder);

/* The matrix of clinch(8): what the staple of one certificate means for the
 * process.  A pure function.  timed_out: a start and a reload do not wait for
 * this certificate any more (struct policy_eval). */
enum policy_result policy_evaluate(const struct staple_policy *policy,
    const struct staple_info *info, enum policy_phase phase, int64_t now_s,
    bool timed_out);

/* The certificate to be replaced. */
struct policy_served {
	const struct staple_info *info;
	int64_t ends_s; /* its notAfter */
};

/*
 * Must this renewal wait for its first staple while the old certificate serves?
 * At most until an hour before the end of the old one, and not for a revoked
 * one.  A renewal without a usable responder waits as well under a strict
 * policy.
 */
bool policy_defers_renewal(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct policy_served *served,
    int64_t now_s);

/* ---- Policy of a generation ---- */

/* Whose first answers a start or a reload waits for. */
enum start_wait {
	START_WAIT_ALL,
	START_WAIT_STRICT, /* start_wait has passed since the beginning: only
			    * certificates under a strict policy */
	START_WAIT_OVER    /* start_wait has passed since the last answer */
};

struct policy_eval {
	const struct stapling *stapling; /* NULL: no stapling */
	enum policy_phase phase;
	/* The generation that a reload would replace, or NULL.  A certificate
	 * that fails there already does not refuse the reload. */
	const struct generation *before;
	int64_t now_s;
	enum start_wait wait;
};

/* The evaluation of one certificate.  Borrowed for the call. */
struct evaluated_cert {
	/* the first listener or host that uses it */
	const struct config_listener *settings;
	const struct cert_slot *slot;
	const struct identity *identity;
	/* It is a renewal that waits: a failure only keeps it out. */
	bool renewal;
	bool renewed; /* it has a renewal and serves meanwhile */
	enum policy_result result;
	struct staple_info info;
};
typedef void policy_visit_fn(void *arg, const struct evaluated_cert *cert);

/* Visit every watched certificate once, renewals included. */
void policy_eval_each(const struct policy_eval *eval,
    const struct generation *generation, policy_visit_fn *visit, void *arg);

/* How many certificates have which result. */
struct policy_counts {
	size_t counts[POLICY_REVOKED + 1]; /* by result */
	size_t answered;                   /* by some responder, ever */
};
struct policy_counts policy_eval_all(
    const struct policy_eval *eval, const struct generation *generation);

/*
 * May a start or a reload begin with this certificate? false: no request can be
 * made, and the policy is strict; *err has the remedy.
 */
bool policy_eval_may_start(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *identity,
    struct err *err) MUST_CHECK;

/* Does `served` end within an hour, or has it ended? */
bool policy_eval_ends_soon(
    const struct policy_eval *eval, const struct identity *served);

/* Must `renewed` wait while `served` stays in service?  served = NULL: while
 * none does, as for a new certificate of cert_dir. */
bool policy_eval_defers(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *renewed,
    const struct identity *served);

/* May the renewal of this slot go into service now? */
bool policy_eval_is_due(
    const struct policy_eval *eval, const struct cert_slot *slot);

/* Describe the last attempt, or why there was none. */
void policy_explain(const struct staple_info *info, char *out, size_t max);

#endif
