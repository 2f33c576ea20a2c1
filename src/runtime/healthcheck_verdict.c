/*
 * The verdict of a health check.  Main thread.  A staple is verified by
 * libstaple itself, against the issuer of the shown chain, of ocsp.ca_file, of
 * the system's store or of store_dir.  The chain is not verified: the CA may be
 * private.
 *
 * Stricter than the daemon in one point: a certificate that its responder calls
 * revoked is unhealthy under every policy, because clients refuse it.
 */
#include "runtime/healthcheck_verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "runtime/healthcheck_plan.h"
#include "runtime/stapling.h"
#include "staple/issuers.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "staple/store.h"
#include "staple/time_text.h"

/* ---- The end of the handshake ---- */

static bool
demands_client(const struct config_listener *settings)
{
	return settings->verify == VERIFY_REQUIRE ||
	       settings->verify == VERIFY_PINNED;
}

/* TLS 1.2 has no alert of its own for it (RFC 5246 section 7.4.6). */
static bool
lacks_client_certificate(
    const struct config_listener *settings, const struct probe_result *result)
{
	return result->end == PROBE_ALERT && demands_client(settings) &&
	       result->certificate_requested &&
	       (result->alert == PROBE_CERTIFICATE_REQUIRED ||
		   result->alert == PROBE_HANDSHAKE_FAILURE);
}

static bool
refuses_unstapled(const struct staple_policy *policy)
{
	if (policy->without_staple == STAPLE_WITHOUT_BY_MODE)
		return policy_is_strict(policy);
	return policy->without_staple == STAPLE_WITHOUT_REFUSE;
}

/* What the certificate is called where none was shown. */
static const char *
label_of(const struct healthcheck_target *target)
{
	if (target->cert != NULL)
		return target->cert;
	return target->name[0] != '\0' ? target->name : "its certificate";
}

static void
explain_end(const struct healthcheck_target *target,
    const struct staple_policy *policy, const struct probe_result *result,
    struct err *err)
{
	if (result->end == PROBE_ALERT &&
	    result->alert == PROBE_INTERNAL_ERROR && refuses_unstapled(policy))
		err_set(err,
		    "no staple for %s, mode %s: clients are refused; the log of "
		    "the server says why it has none",
		    label_of(target), stapling_mode_name(policy->mode));
	else if (result->end == PROBE_CLOSED &&
		 target->settings->per_ip_max > 0)
		err_set(err, "%s; per_ip_max may be reached", result->why.text);
	else
		err_set(err, "%s", result->why.text);
}

/* ---- The certificate ---- */

/* As the daemon finds an issuer that it has fetched.  NULL: there is none. */
static struct staple_cert *
add_saved_issuer(const struct staple_cert *cert, const char *store_dir)
{
	struct staple_cert *whole = NULL;
	struct staple_store *store;
	X509 *issuer = NULL;
	struct err ignored;

	store = staple_store_open_issuers(store_dir, &ignored);
	if (store != NULL)
		issuer = staple_issuer_load(store, cert, &ignored);
	if (issuer != NULL)
		whole = staple_cert_with_issuer(
		    cert, cert->leaf, issuer, STAPLE_ORIGIN_STORE, &ignored);
	X509_free(issuer);
	staple_store_close(store);
	return whole;
}

/* The caller's reference; NULL: *err. */
static struct staple_cert *
read_certificate(const struct healthcheck_judge *judge,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err)
{
	const struct config *config = judge->config;
	const struct staple_source source = {
		.urls = (const char *const *)config->ocsp.urls.items,
		.url_count = config->ocsp.urls.count,
		.staple_file = target->staple_file,
	};
	struct staple_cert *whole, *cert;

	if (result->shown.leaf == NULL) {
		err_set(err, "the server showed no certificate");
		return NULL;
	}
	cert = staple_cert_new(result->shown.leaf, result->shown.rest, &source,
	    &judge->trust, err);
	if (cert == NULL || cert->issuer != NULL || config->store_dir == NULL ||
	    cert->leaf == NULL)
		return cert;
	whole = add_saved_issuer(cert, config->store_dir);
	if (whole == NULL)
		return cert;
	staple_cert_unref(cert);
	return whole;
}

static bool
check_dates(const struct staple_cert *cert, const char *label, int64_t now_s,
    struct err *err)
{
	if (cert->not_after != 0 && now_s > cert->not_after)
		err_set(err, "the certificate %s expired on %s", label,
		    staple_time_date(cert->not_after).text);
	else if (cert->not_before > now_s)
		err_set(err, "the certificate %s is not valid before %s", label,
		    staple_time_date(cert->not_before).text);
	else
		return true;
	return false;
}

/* ---- The staple ---- */

/*
 * Would a client be worse off without it?  More than the mode wants in prefer:
 * a must-staple certificate without a staple is refused by clients, whatever
 * the policy.  Those of cert_dir are not the process's health.
 */
static bool
is_demanded(const struct staple_policy *policy, const struct staple_cert *cert,
    bool in_folder)
{
	const struct staple_info info = { .must_staple = cert->must_staple,
		.unavailable_reason = cert->unavailable_reason };

	if (in_folder || !policy_requires_staple(policy, &info))
		return false;
	return policy->mode != STAPLE_PREFER || cert->must_staple;
}

static void
explain_missing(const struct staple_policy *policy,
    const struct staple_cert *cert, const char *label, struct err *err)
{
	const char *mode = stapling_mode_name(policy->mode);

	if (cert->unavailable_reason != STAPLE_UNASKED)
		err_set(err, "no staple for %s, mode %s: %s%s%s", label, mode,
		    staple_outcome_sentence(cert->unavailable_reason),
		    cert->hint[0] != '\0' ? ": " : "", cert->hint);
	else
		err_set(err,
		    "no staple for %s, mode %s: the server has none; its log "
		    "and `clinch staple check` say why",
		    label, mode);
}

/* One whose issuer is not at hand cannot be verified here.  The server has
 * verified it before it was stapled. */
static bool
check_staple(const struct healthcheck_judge *judge,
    const struct staple_cert *cert, const struct probe_result *result,
    const char *label, struct err *err)
{
	const struct staple_clock clock = {
		.now_s = judge->now_s,
		.default_lifetime_s = judge->config->ocsp.default_lifetime_ms /
				      1000,
	};
	struct staple_check_result checked;
	struct staple_response *response;

	if (cert->issuer == NULL)
		return true;
	response = staple_response_verify(
	    cert, result->staple, result->staple_len, &clock, &checked);
	staple_response_unref(response);
	if (checked.outcome == STAPLE_GOOD)
		return true;
	if (checked.outcome == STAPLE_REVOKED)
		err_set(err, "the certificate %s is revoked: %s", label,
		    checked.said.text);
	else
		err_set(err, "the staple of %s cannot be used: %s: %s", label,
		    staple_outcome_name(checked.outcome), checked.said.text);
	return false;
}

static bool
check_shown(const struct healthcheck_judge *judge,
    const struct healthcheck_target *target, const struct staple_policy *policy,
    const struct probe_result *result, struct err *err)
{
	struct staple_cert *cert = read_certificate(judge, target, result, err);
	char label[512];
	bool fine;

	if (cert == NULL)
		return false;
	if (target->cert != NULL)
		snprintf(
		    label, sizeof(label), "%s (%s)", cert->name, target->cert);
	else
		snprintf(label, sizeof(label), "%s", cert->name);
	fine = check_dates(cert, label, judge->now_s, err);
	if (fine && result->staple != NULL && policy->mode != STAPLE_NEVER) {
		fine = check_staple(judge, cert, result, label, err);
	} else if (fine && result->staple == NULL &&
		   is_demanded(policy, cert, target->in_folder)) {
		explain_missing(policy, cert, label, err);
		fine = false;
	}
	staple_cert_unref(cert);
	return fine;
}

bool
healthcheck_judge(const struct healthcheck_judge *judge,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err)
{
	const struct config_listener *settings = target->settings;
	const struct staple_policy policy = stapling_policy(
	    settings, target->in_folder);

	if (result->end == PROBE_ACCEPTED ||
	    lacks_client_certificate(settings, result))
		return check_shown(judge, target, &policy, result, err);
	/* It answers, and no name of it is known here. */
	if (result->end == PROBE_ALERT && target->name[0] == '\0' &&
	    result->alert == PROBE_UNRECOGNIZED_NAME &&
	    settings->sni_unknown == SNI_REJECT)
		return true;
	explain_end(target, &policy, result, err);
	return false;
}
