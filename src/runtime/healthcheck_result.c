/*
 * The evaluation of one handshake of a health check.  Main thread.  A staple is
 * verified by libstaple itself, with an issuer from the chain that the server
 * sent, from ocsp.ca_file, the system's store or store_dir.  The chain is not
 * verified: the CA may be private.
 *
 * Stricter than the daemon in one point: a certificate whose staple is "revoked"
 * is unhealthy under every policy, because clients refuse it.
 */
#include "runtime/healthcheck_result.h"

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
requires_client(const struct config_listener *settings)
{
	return settings->verify == VERIFY_REQUIRE ||
	       settings->verify == VERIFY_PINNED;
}

/* TLS 1.2 has no alert of its own for it (RFC 5246 section 7.4.6). */
static bool
lacks_client_certificate(
    const struct config_listener *settings, const struct probe_result *result)
{
	return result->end == PROBE_ALERT && requires_client(settings) &&
	       result->certificate_requested &&
	       (result->alert == PROBE_CERTIFICATE_REQUIRED ||
		   result->alert == PROBE_HANDSHAKE_FAILURE);
}

/* The name of the certificate in an error, if the server sent none. */
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
	    result->alert == PROBE_INTERNAL_ERROR &&
	    policy_refuses_unstapled(policy))
		err_set(err,
		    "no staple for %s, mode %s: clients are refused; see the log "
		    "of the server for the reason",
		    label_of(target), stapling_mode_name(policy->mode));
	else if (result->end == PROBE_CLOSED &&
		 target->settings->per_ip_max > 0)
		err_set(err, "%s; per_ip_max may be reached", result->why.text);
	else
		err_set(err, "%s", result->why.text);
}

/* ---- The certificate ---- */

/* The certificate with an issuer that the daemon has fetched and saved.  NULL:
 * there is none. */
static struct staple_cert *
with_saved_issuer(const struct staple_cert *cert, const char *store_dir)
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
read_certificate(const struct healthcheck_eval *eval,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err)
{
	const struct config *config = eval->config;
	const struct staple_source source = {
		.urls = (const char *const *)config->ocsp.urls.items,
		.url_count = config->ocsp.urls.count,
		.staple_file = target->staple_file,
	};
	struct staple_cert *whole, *cert;

	if (result->chain.leaf == NULL) {
		err_set(err, "the server sent no certificate");
		return NULL;
	}
	cert = staple_cert_new(
	    result->chain.leaf, result->chain.rest, &source, &eval->trust, err);
	if (cert == NULL || cert->issuer != NULL || config->store_dir == NULL ||
	    cert->leaf == NULL)
		return cert;
	whole = with_saved_issuer(cert, config->store_dir);
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

/* Is the server unhealthy without a staple for this certificate? */
static bool
is_required(const struct staple_policy *policy, const struct staple_cert *cert,
    bool in_folder)
{
	const struct staple_info info = { .must_staple = cert->must_staple,
		.unavailable_reason = cert->unavailable_reason };

	return policy_needs_staple(policy, &info, in_folder);
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
		    "no staple for %s, mode %s: the server has none; see its "
		    "log, or run `clinch staple check`",
		    label, mode);
}

/* Without an issuer the staple cannot be verified here and counts as good: the
 * server has verified it. */
static bool
check_staple(const struct healthcheck_eval *eval,
    const struct staple_cert *cert, const struct probe_result *result,
    const char *label, struct err *err)
{
	const struct staple_clock clock = {
		.now_s = eval->now_s,
		.default_lifetime_s = eval->config->ocsp.default_lifetime_ms /
				      1000,
	};
	struct staple_result checked;
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
check_certificate(const struct healthcheck_eval *eval,
    const struct healthcheck_target *target, const struct staple_policy *policy,
    const struct probe_result *result, struct err *err)
{
	struct staple_cert *cert = read_certificate(eval, target, result, err);
	char label[512];
	bool good;

	if (cert == NULL)
		return false;
	if (target->cert != NULL)
		snprintf(
		    label, sizeof(label), "%s (%s)", cert->name, target->cert);
	else
		snprintf(label, sizeof(label), "%s", cert->name);
	good = check_dates(cert, label, eval->now_s, err);
	if (good && result->staple != NULL && policy->mode != STAPLE_NEVER) {
		good = check_staple(eval, cert, result, label, err);
	} else if (good && result->staple == NULL &&
		   is_required(policy, cert, target->in_folder)) {
		explain_missing(policy, cert, label, err);
		good = false;
	}
	staple_cert_unref(cert);
	return good;
}

bool
healthcheck_evaluate(const struct healthcheck_eval *eval,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err)
{
	const struct config_listener *settings = target->settings;
	const struct staple_policy policy = stapling_policy(
	    settings, target->in_folder);

	if (result->end == PROBE_ACCEPTED ||
	    lacks_client_certificate(settings, result))
		return check_certificate(eval, target, &policy, result, err);
	/* The listener refuses clients without a name, and the plan has found no
	 * name for it: the alert shows that it works. */
	if (result->end == PROBE_ALERT && target->name[0] == '\0' &&
	    result->alert == PROBE_UNRECOGNIZED_NAME &&
	    settings->sni_unknown == SNI_REJECT)
		return true;
	explain_end(target, &policy, result, err);
	return false;
}
