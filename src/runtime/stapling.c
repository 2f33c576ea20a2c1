/*
 * Stapling in the daemon: configuration to libstaple, libstaple's events to the
 * log, and the stapling policy of clinch(8).  Main thread, except for the two
 * callbacks, which run on the staple thread and touch only what was fixed
 * before that thread started.  The evaluation of the policy reads no clock and
 * keeps no state: each call takes a fresh snapshot from the library.
 *
 * A certificate without a usable responder is refused where failing is fatal,
 * even while a response from disk is still valid: else the outcome of a start
 * would depend on what an earlier configuration left behind.
 */
#include "runtime/stapling.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "runtime/process.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "tls/context.h"
#include "tls/identity.h"

/* ---- Policy of one certificate ---- */

/* A renewed certificate waits for its staple while the old one is valid for
 * longer than this. */
#define RENEWAL_MARGIN_S 3600

bool
policy_is_strict(const struct staple_policy *policy)
{
	return policy->mode == STAPLE_MUST || policy->mode == STAPLE_ALWAYS;
}

bool
policy_refuses_unstapled(const struct staple_policy *policy)
{
	if (policy->without_staple == STAPLE_WITHOUT_BY_MODE)
		return policy_is_strict(policy);
	return policy->without_staple == STAPLE_WITHOUT_REFUSE;
}

static enum staple_on_revoked
on_revoked(const struct staple_policy *policy)
{
	if (policy->on_revoked != STAPLE_REVOKED_BY_MODE)
		return policy->on_revoked;
	return policy_is_strict(policy) ? STAPLE_REVOKED_EXIT
					: STAPLE_REVOKED_STAPLE;
}

static bool
is_confirmed(const struct staple_info *info)
{
	return info->confirmed || info->unconfirmable;
}

bool
policy_requires_staple(
    const struct staple_policy *policy, const struct staple_info *info)
{
	switch (policy->mode) {
	case STAPLE_AUTO:
	case STAPLE_MUST:
		return info->must_staple;
	case STAPLE_ALWAYS:
		return true;
	case STAPLE_PREFER:
		return info->unavailable_reason != STAPLE_NO_RESPONDER;
	case STAPLE_NEVER:
		break;
	}
	return false;
}

bool
policy_needs_staple(const struct staple_policy *policy,
    const struct staple_info *info, bool in_folder)
{
	if (in_folder || !policy_requires_staple(policy, info))
		return false;
	return policy->mode != STAPLE_PREFER || info->must_staple;
}

/* Is there a verified response that is valid at this time? */
static bool
policy_has_response(const struct staple_info *info, int64_t now_s)
{
	return info->held && info->this_update <= now_s + STAPLE_SKEW_S &&
	       now_s < info->expires;
}

/*
 * One response "revoked", perhaps from disk, has to be confirmed before it ends
 * the process.  Where a start or a reload cannot get that, because the fetch
 * has failed or timed out, the stored response decides; a running process waits
 * for the second one.
 */
static enum policy_result
evaluate_revoked(const struct staple_policy *policy,
    const struct staple_info *info, bool may_wait, bool timed_out)
{
	if (on_revoked(policy) != STAPLE_REVOKED_EXIT) {
		if (may_wait && !info->settled && !timed_out)
			return POLICY_WAIT; /* a newer "good" lifts it */
		return POLICY_REVOKED_CONTINUE;
	}
	if (info->confirmed || (may_wait && (info->unconfirmable || timed_out)))
		return POLICY_REVOKED;
	/* Without a responder there is nothing to wait for. */
	return info->unavailable_reason == STAPLE_UNASKED
		   ? POLICY_WAIT
		   : POLICY_REVOKED_CONTINUE;
}

enum policy_result
policy_evaluate(const struct staple_policy *policy,
    const struct staple_info *info, enum policy_phase phase, int64_t now_s,
    bool timed_out)
{
	bool may_wait = phase != PHASE_RUNNING;
	bool hindered = info->unavailable_reason != STAPLE_UNASKED;

	if (!policy_requires_staple(policy, info))
		return POLICY_OK;
	if (hindered && may_wait && policy_is_strict(policy))
		return POLICY_FAILED;
	if (policy_has_response(info, now_s))
		return info->revoked ? evaluate_revoked(policy, info,
					   may_wait && !hindered, timed_out)
				     : POLICY_OK;
	if (!may_wait)
		return POLICY_DEGRADED;
	if (!hindered && !info->settled && !timed_out)
		return POLICY_WAIT;
	return policy_is_strict(policy) ? POLICY_FAILED : POLICY_DEGRADED;
}

/* Would handshakes get a staple, rather than an alert? */
static bool
is_stapled(const struct staple_policy *policy, const struct staple_info *info,
    int64_t now_s)
{
	if (!policy_has_response(info, now_s))
		return false;
	return !info->revoked || (on_revoked(policy) == STAPLE_REVOKED_STAPLE &&
				     is_confirmed(info));
}

/* Does a served certificate end within an hour?  Then its renewal goes into
 * service with or without a staple.  ends_s: its notAfter. */
static bool
policy_ends_soon(int64_t ends_s, int64_t now_s)
{
	return ends_s - now_s <= RENEWAL_MARGIN_S;
}

bool
policy_defers_renewal(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct policy_served *served,
    int64_t now_s)
{
	bool served_is_revoked = policy_has_response(served->info, now_s) &&
				 served->info->revoked;

	return policy_requires_staple(policy, renewed) &&
	       (renewed->unavailable_reason == STAPLE_UNASKED ||
		   policy_is_strict(policy)) &&
	       !is_stapled(policy, renewed, now_s) && !served_is_revoked &&
	       !policy_ends_soon(served->ends_s, now_s);
}

/* ---- Policy of a generation ---- */

static bool
is_timed_out(const struct policy_eval *eval, const struct staple_policy *policy)
{
	return eval->wait == START_WAIT_OVER ||
	       (eval->wait == START_WAIT_STRICT && !policy_is_strict(policy));
}

/*
 * Does the generation to be replaced serve this certificate without a staple,
 * under a policy as strict?  Then refusing the reload would improve nothing,
 * and might refuse the fix.
 */
static bool
fails_already(const struct policy_eval *eval, const struct identity *identity,
    const struct staple_info *info)
{
	const struct generation *before = eval->before;
	const struct cert_slot *old;
	size_t i;

	/* A certificate expires while it is served; every other obstacle comes
	 * with the new configuration. */
	if (info->unavailable_reason != STAPLE_UNASKED &&
	    info->unavailable_reason != STAPLE_CERTIFICATE_EXPIRED)
		return false;
	for (i = 0; before && i < generation_cert_count(before); i++) {
		old = generation_cert(before, i)->slot;
		if (old->identity && identity_equal(old->identity, identity) &&
		    policy_evaluate(&old->id.policy, info, eval->phase,
			eval->now_s, true) == POLICY_FAILED)
			return true;
	}
	return false;
}

static enum policy_result
evaluate_one(const struct policy_eval *eval, const struct staple_policy *policy,
    const struct identity *identity, const struct staple_info *info)
{
	enum policy_result result = policy_evaluate(
	    policy, info, eval->phase, eval->now_s, is_timed_out(eval, policy));

	if (result == POLICY_FAILED && fails_already(eval, identity, info))
		return POLICY_DEGRADED;
	return result;
}

/* A renewal that fails goes on waiting, and the old certificate serves.  A
 * revoked certificate with a renewal ends nothing: the renewal replaces it at
 * once.  A failure in cert_dir concerns that certificate alone. */
static enum policy_result
soften(const struct evaluated_cert *cert)
{
	enum policy_result result = cert->result;
	bool in_folder = cert->slot->id.in_folder;

	if (cert->renewal &&
	    (result == POLICY_FAILED || result == POLICY_DEGRADED ||
		(in_folder && result != POLICY_WAIT)))
		return POLICY_OK;
	if (cert->slot->unstapled && result == POLICY_FAILED)
		return POLICY_DEGRADED;
	if (cert->renewed && result == POLICY_REVOKED)
		return POLICY_REVOKED_CONTINUE;
	if (in_folder && result == POLICY_FAILED)
		return POLICY_DEGRADED;
	return result;
}

static void
visit_one(const struct policy_eval *eval, struct evaluated_cert *cert,
    policy_visit_fn *visit, void *arg)
{
	if (cert->identity == NULL ||
	    !stapling_state(eval->stapling, cert->identity, &cert->info))
		return;
	cert->result = evaluate_one(
	    eval, &cert->slot->id.policy, cert->identity, &cert->info);
	cert->result = soften(cert);
	visit(arg, cert);
}

void
policy_eval_each(const struct policy_eval *eval,
    const struct generation *generation, policy_visit_fn *visit, void *arg)
{
	const struct cert_entry *entry;
	struct evaluated_cert cert;
	size_t i;

	for (i = 0; i < generation_cert_count(generation); i++) {
		memset(&cert, 0, sizeof(cert));
		entry = generation_cert(generation, i);
		cert.settings = entry->settings;
		cert.slot = entry->slot;
		cert.identity = entry->slot->identity;
		cert.renewed = entry->slot->renewal != NULL;
		visit_one(eval, &cert, visit, arg);
		cert.identity = entry->slot->renewal;
		cert.renewal = true;
		cert.renewed = false;
		visit_one(eval, &cert, visit, arg);
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
add_to_sum(void *arg, const struct evaluated_cert *cert)
{
	struct policy_counts *sum = arg;

	sum->counts[cert->result]++;
	if (was_answered(&cert->info))
		sum->answered++;
}

struct policy_counts
policy_eval_all(
    const struct policy_eval *eval, const struct generation *generation)
{
	struct policy_counts sum;

	memset(&sum, 0, sizeof(sum));
	policy_eval_each(eval, generation, add_to_sum, &sum);
	return sum;
}

bool
policy_eval_may_start(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *identity,
    struct err *err)
{
	struct staple_info info;
	char why[ERR_TEXT_MAX / 2];

	if (!stapling_state(eval->stapling, identity, &info) ||
	    info.unavailable_reason == STAPLE_UNASKED ||
	    evaluate_one(eval, policy, identity, &info) != POLICY_FAILED)
		return true;
	policy_explain(&info, why, sizeof(why));
	err_set(err, "certificate %s must be stapled, but %s", info.name, why);
	return false;
}

bool
policy_eval_ends_soon(
    const struct policy_eval *eval, const struct identity *served)
{
	return policy_ends_soon(identity_not_after(served), eval->now_s);
}

/* May a certificate that replaces none go into service? */
static bool
admits(const struct policy_eval *eval, const struct staple_policy *policy,
    const struct identity *identity)
{
	struct staple_info info;

	if (!stapling_state(eval->stapling, identity, &info))
		return true;
	switch (policy_evaluate(policy, &info, PHASE_RELOAD, eval->now_s,
	    is_timed_out(eval, policy))) {
	case POLICY_OK:
	case POLICY_DEGRADED:
	case POLICY_REVOKED_CONTINUE:
		return true;
	default:
		return false;
	}
}

bool
policy_eval_defers(const struct policy_eval *eval,
    const struct staple_policy *policy, const struct identity *renewed,
    const struct identity *served)
{
	struct staple_info fresh, old;
	struct policy_served before = { .info = &old };

	if (served == NULL)
		return !admits(eval, policy, renewed);
	before.ends_s = identity_not_after(served);
	/* A certificate that is not valid yet replaces no valid one. */
	if (identity_not_before(renewed) > eval->now_s &&
	    before.ends_s > eval->now_s)
		return true;
	return stapling_state(eval->stapling, renewed, &fresh) &&
	       stapling_state(eval->stapling, served, &old) &&
	       policy_defers_renewal(policy, &fresh, &before, eval->now_s);
}

bool
policy_eval_is_due(const struct policy_eval *eval, const struct cert_slot *slot)
{
	return slot->renewal && !policy_eval_defers(eval, &slot->id.policy,
				    slot->renewal, slot->identity);
}

void
policy_explain(const struct staple_info *info, char *out, size_t max)
{
	bool hindered = info->unavailable_reason != STAPLE_UNASKED;
	enum staple_outcome outcome = hindered ? info->unavailable_reason
					       : info->outcome;
	const char *advice = staple_outcome_advice(outcome);

	if (!hindered && info->said[0])
		snprintf(out, max, "%s", info->said);
	else if (outcome == STAPLE_UNASKED)
		snprintf(out, max,
		    "no response yet (responders: %u); check that this "
		    "host can reach them, or allow more start_wait",
		    info->responders);
	else
		snprintf(out, max, "%s%s%s%s%s%s",
		    staple_outcome_sentence(outcome), info->said[0] ? " (" : "",
		    info->said, info->said[0] ? ")" : "", advice[0] ? "; " : "",
		    advice);
}

/* ---- Configuration and events ---- */

/* Enough of the fingerprint to distinguish a certificate from its successor. */
#define ID_SHOWN 8

struct stapling {
	/* fixed before the staple thread starts */
	struct staple *staple;
	struct log *log;
	stapling_changed_fn *changed; /* NULL: not started */
	void *arg;

	/* main thread only */
	struct identity **kept;
	size_t kept_count;
};

static void
on_event(void *arg, const struct staple_event *event)
{
	static const enum log_level levels[] = {
		[STAPLE_LEVEL_ERROR] = LEVEL_ERROR,
		[STAPLE_LEVEL_WARNING] = LEVEL_WARNING,
		[STAPLE_LEVEL_NOTICE] = LEVEL_NOTICE,
		[STAPLE_LEVEL_INFO] = LEVEL_INFO,
		[STAPLE_LEVEL_DEBUG] = LEVEL_DEBUG,
	};
	const struct stapling *stapling = arg;
	struct log_field fields[4] = { { 0 } };
	char id[ID_SHOWN + 1];
	size_t count = 1;

	if (event->certificate)
		fields[count++] = LOG_S("cert", event->certificate);
	if (event->id) {
		snprintf(id, sizeof(id), "%s", event->id);
		fields[count++] = LOG_S("id", id);
	}
	if (event->outcome != STAPLE_UNASKED)
		fields[count++] = LOG_S(
		    "outcome", staple_outcome_name(event->outcome));
	log_write(stapling->log, levels[event->level], "ocsp", event->message,
	    fields, count);
}

static void
on_change(void *arg, const struct staple_info *info)
{
	const struct stapling *stapling = arg;

	(void)info; /* main evaluates all of them */
	if (stapling->changed)
		stapling->changed(stapling->arg);
}

static struct staple_options
options_of(struct stapling *stapling, const struct config *config)
{
	static const enum staple_method methods[] = {
		[OCSP_METHOD_AUTO] = STAPLE_METHOD_AUTO,
		[OCSP_METHOD_POST] = STAPLE_METHOD_POST,
		[OCSP_METHOD_GET] = STAPLE_METHOD_GET,
	};
	const struct config_ocsp *ocsp = &config->ocsp;

	return (struct staple_options){
		.store_dir = config->store_dir,
		.ca_file = ocsp->ca_file,
		.proxy = ocsp->proxy,
		.method = methods[ocsp->method],
		.no_aia_issuer = !ocsp->aia_issuer,
		.timeout_ms = ocsp->timeout_ms,
		.min_interval_s = ocsp->min_interval_ms / 1000,
		.max_interval_s = ocsp->max_interval_ms / 1000,
		.default_lifetime_s = ocsp->default_lifetime_ms / 1000,
		.max_response = ocsp->max_response,
		.max_fetches = ocsp->max_fetches,
		.log = on_event,
		.on_change = on_change,
		.arg = stapling,
	};
}

struct staple_policy
stapling_policy(const struct config_listener *settings, bool in_folder)
{
	static const enum staple_mode modes[] = {
		[OCSP_MODE_AUTO] = STAPLE_AUTO,
		[OCSP_MODE_MUST] = STAPLE_MUST,
		[OCSP_MODE_ALWAYS] = STAPLE_ALWAYS,
		[OCSP_MODE_NEVER] = STAPLE_NEVER,
		[OCSP_MODE_PREFER] = STAPLE_PREFER,
	};
	static const enum staple_without withouts[] = {
		[OCSP_WITHOUT_BY_MODE] = STAPLE_WITHOUT_BY_MODE,
		[OCSP_WITHOUT_SERVE] = STAPLE_WITHOUT_SERVE,
		[OCSP_WITHOUT_REFUSE] = STAPLE_WITHOUT_REFUSE,
	};
	static const enum staple_on_revoked revokeds[] = {
		[OCSP_REVOKED_BY_MODE] = STAPLE_REVOKED_BY_MODE,
		[OCSP_REVOKED_EXIT] = STAPLE_REVOKED_EXIT,
		[OCSP_REVOKED_REFUSE] = STAPLE_REVOKED_REFUSE,
		[OCSP_REVOKED_STAPLE] = STAPLE_REVOKED_STAPLE,
	};

	struct staple_policy policy = {
		.mode = modes[settings->ocsp],
		.without_staple = withouts[settings->without_staple],
		.on_revoked = revokeds[settings->on_revoked],
	};

	if (in_folder && on_revoked(&policy) == STAPLE_REVOKED_EXIT)
		policy.on_revoked = STAPLE_REVOKED_REFUSE;
	return policy;
}

const char *
stapling_mode_name(enum staple_mode mode)
{
	static const char *const names[] = {
		[STAPLE_AUTO] = "auto",
		[STAPLE_MUST] = "must",
		[STAPLE_ALWAYS] = "always",
		[STAPLE_NEVER] = "never",
		[STAPLE_PREFER] = "prefer",
	};

	return names[mode];
}

/* Prefix the error with the line of the key whose file it names. */
static void
prefix_key(const struct config *config, struct err *err)
{
	const struct config_where *where;

	if (err_names(err, config->ocsp.ca_file)) {
		where = config_where_of(config->places, KEY_OCSP_CA_FILE);
		err_prefix(err, "%s:%u: ca_file", where->file, where->line);
	} else if (config->store_dir && strstr(err->text, config->store_dir)) {
		where = config_where_of(config->places, KEY_GLOBAL_STORE_DIR);
		err_prefix(err, "%s:%u: store_dir", where->file, where->line);
	} else {
		err_prefix(err, "%s: [ocsp]", config->file);
	}
}

static bool
is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

enum { STORE_FOLDERS = 3 }; /* store_dir and its two folders */

/* libstaple gives a folder that it makes to the owner of the parent folder.
 * Where `user` and `group` are configured, they get it instead: they need not
 * own store_dir. */
static struct staple *
open_library(const struct staple_options *options, const struct config *config,
    struct err *err)
{
	static const char *const names[STORE_FOLDERS] = { "", "/ocsp",
		"/issuer" };
	char folders[STORE_FOLDERS][PATH_MAX];
	bool had[STORE_FOLDERS], given = true;
	struct staple *staple;

	for (int i = 0; i < STORE_FOLDERS; i++) {
		snprintf(folders[i], sizeof(folders[i]), "%s%s",
		    options->store_dir ? options->store_dir : "", names[i]);
		had[i] = !options->store_dir || is_there(folders[i]);
	}
	staple = staple_new(options, err->text, sizeof(err->text));
	if (staple == NULL)
		return NULL;
	for (int i = 0; given && i < STORE_FOLDERS; i++)
		given = had[i] || privilege_give(folders[i], config->user,
				      config->group, err);
	if (given)
		return staple;
	staple_free(staple);
	return NULL;
}

struct stapling *
stapling_new(const struct config *config, struct log *log, bool check_only,
    struct err *err)
{
	struct stapling *stapling = calloc(1, sizeof(*stapling));
	struct staple_options options;

	if (stapling == NULL) {
		err_set(err, "out of memory for stapling");
		return NULL;
	}
	stapling->log = log;
	options = options_of(stapling, config);
	if (check_only)
		options.store_dir = NULL;
	stapling->staple = open_library(&options, config, err);
	if (stapling->staple)
		return stapling;
	prefix_key(config, err);
	free(stapling);
	return NULL;
}

bool
stapling_start(struct stapling *stapling, stapling_changed_fn *changed,
    void *arg, struct err *err)
{
	if (stapling == NULL)
		return true;
	stapling->changed = changed;
	stapling->arg = arg;
	return staple_start(stapling->staple, err->text, sizeof(err->text));
}

bool
stapling_configure(
    struct stapling *stapling, const struct config *config, struct err *err)
{
	struct staple_options options;

	if (stapling == NULL)
		return true;
	options = options_of(stapling, config);
	if (staple_configure(
		stapling->staple, &options, err->text, sizeof(err->text)))
		return true;
	prefix_key(config, err);
	return false;
}

bool
stapling_watch(struct stapling *stapling, const struct config *config,
    const struct identity *identity, const struct cert_slot_key *id,
    struct err *err)
{
	const struct staple_source source = {
		.urls = (const char *const *)config->ocsp.urls.items,
		.url_count = config->ocsp.urls.count,
		.staple_file = id->staple_file,
	};

	return stapling == NULL ||
	       staple_watch(stapling->staple, identity_certificate(identity),
		   identity_chain(identity), &source, &id->policy, err->text,
		   sizeof(err->text));
}

bool
stapling_attach(struct stapling *stapling, const struct tls_context *context,
    const struct staple_policy *policy, struct err *err)
{
	return stapling == NULL ||
	       staple_attach(stapling->staple, tls_context_native(context),
		   policy, err->text, sizeof(err->text));
}

static bool
restore(struct stapling *stapling, const struct generation *generation,
    struct err *err)
{
	const struct config *config = generation_config(generation);
	const struct cert_slot *slot;
	size_t i;

	if (!stapling_configure(stapling, config, err))
		return false;
	for (i = 0; i < generation_cert_count(generation); i++) {
		slot = generation_cert(generation, i)->slot;
		if (slot->identity && !stapling_watch(stapling, config,
					  slot->identity, &slot->id, err))
			return false;
		if (slot->renewal && !stapling_watch(stapling, config,
					 slot->renewal, &slot->id, err))
			return false;
	}
	return true;
}

void
stapling_restore(struct stapling *stapling, const struct generation *generation)
{
	struct err err = { "" };

	if (stapling && !restore(stapling, generation, &err))
		log_error(stapling->log, "ocsp",
		    "settings of the running configuration not restored",
		    LOG_S("reason", err.text));
}

static void
count_wanted(void *arg, const struct staple_info *info)
{
	size_t *count = arg;

	if (info->wanted)
		(*count)++;
}

size_t
stapling_refresh(struct stapling *stapling, const char *certificate)
{
	size_t count = 0;

	if (stapling == NULL)
		return 0;
	if (certificate[0] != '\0')
		return staple_refresh_certificate(
		    stapling->staple, certificate);
	staple_inspect(stapling->staple, count_wanted, &count);
	if (count > 0)
		staple_refresh(stapling->staple);
	return count;
}

bool
stapling_state(const struct stapling *stapling, const struct identity *identity,
    struct staple_info *info)
{
	return stapling && staple_state(stapling->staple,
			       identity_certificate(identity), info);
}

void
stapling_keep(struct stapling *stapling, const struct generation *generation)
{
	size_t i, count = generation_cert_count(generation);
	struct identity *identity;

	if (stapling == NULL || stapling->kept)
		return;
	stapling->kept = calloc(count + 1, sizeof(stapling->kept[0]));
	if (stapling->kept == NULL)
		return; /* some counters will be missing */
	for (i = 0; i < count; i++) {
		identity = generation_cert(generation, i)->slot->identity;
		if (identity)
			stapling->kept[stapling->kept_count++] = identity_ref(
			    identity);
	}
}

static void
log_counters_of(void *arg, const struct staple_info *info)
{
	static const char *const unsent[STAPLE_UNSENT_REASONS] = {
		[STAPLE_UNSENT_UNWANTED] = "unsent_unwanted",
		[STAPLE_UNSENT_NONE] = "unsent_none",
		[STAPLE_UNSENT_EXPIRED] = "unsent_expired",
		[STAPLE_UNSENT_NOT_YET_VALID] = "unsent_not_yet_valid",
		[STAPLE_UNSENT_NOT_FIRST] = "unsent_not_first",
		[STAPLE_UNSENT_REVOKED] = "unsent_revoked",
		[STAPLE_UNSENT_NO_MEMORY] = "unsent_no_memory",
	};
	const struct stapling *stapling = arg;
	struct log_field fields[4 + STAPLE_UNSENT_REASONS] = { { 0 } };
	size_t reason, count = 1;

	if (!info->wanted && info->asked == 0)
		return;
	fields[count++] = LOG_S("cert", info->name);
	fields[count++] = LOG_N("asked", info->asked);
	fields[count++] = LOG_N("sent", info->sent);
	for (reason = 0; reason < STAPLE_UNSENT_REASONS; reason++)
		if (info->unsent[reason] > 0)
			fields[count++] = LOG_N(
			    unsent[reason], info->unsent[reason]);
	log_write(stapling->log, LEVEL_INFO, "ocsp", "staples", fields, count);
}

void
stapling_log_counters(struct stapling *stapling)
{
	if (stapling)
		staple_inspect(stapling->staple, log_counters_of, stapling);
}

void
stapling_free(struct stapling *stapling)
{
	size_t i;

	if (stapling == NULL)
		return;
	staple_free(stapling->staple);
	for (i = 0; i < stapling->kept_count; i++)
		identity_unref(stapling->kept[i]);
	free(stapling->kept);
	free(stapling);
}
