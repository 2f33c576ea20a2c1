/*
 * Policies made real, each once: a thousand hosts with equal settings share
 * one context, and so do generations.  Main thread.  What files say about
 * clients is part of a policy, so a new revocation list makes a new context,
 * under which no older session is resumed.
 */
#include "runtime/build.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/generation_inner.h"
#include "runtime/stapling.h"
#include "tls/ca_store.h"
#include "tls/context.h"

#define NS_PER_MS 1000000
#define TRUST_DIGEST 32

/* ---- Who vouches for clients ---- */

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
is_same_trust(const struct config_listener *a, const struct config_listener *b)
{
	return is_same_text(a->ca_file, b->ca_file) &&
	       is_same_text(a->crl_file, b->crl_file) &&
	       a->crl_check == b->crl_check;
}

static const struct trust_holding *
find_trust(
    const struct generation *generation, const struct config_listener *settings)
{
	size_t i;

	for (i = 0; generation && i < generation->trust_count; i++)
		if (is_same_trust(generation->trusts[i].user, settings))
			return &generation->trusts[i];
	return NULL;
}

static struct trust_holding
stamp_trust(const struct config_listener *settings)
{
	int64_t now_ns = clock_wall_ms() * NS_PER_MS;
	struct trust_holding holding = {
		.user = settings,
		.ca_stamp = stamp_of(settings->ca_file),
	};

	if (settings->crl_file)
		holding.crl_stamp = stamp_of(settings->crl_file);
	holding.settled = stamp_is_settled(&holding.ca_stamp, now_ns) &&
			  (settings->crl_file == NULL ||
			      stamp_is_settled(&holding.crl_stamp, now_ns));
	return holding;
}

static bool
is_current(const struct trust_holding *old, const struct trust_holding *now)
{
	return old->settled && trust_holding_has_equal_stamps(old, now);
}

static bool
is_same_digest(const struct ca_store *a, const struct ca_store *b)
{
	return memcmp(ca_store_digest(a), ca_store_digest(b), TRUST_DIGEST) ==
	       0;
}

/* Lists that help nobody are taken at a start, where they close the door, but
 * do not replace better ones. */
static struct ca_store *
read_trust(struct build *build, const struct config_listener *settings,
    const struct trust_holding *old, struct err *err)
{
	struct err warning = { "" };
	struct ca_store *trust = ca_store_load(settings->ca_file,
	    settings->crl_file, settings->crl_check, build->now_s, &warning,
	    err);

	if (trust == NULL)
		return NULL;
	if (build->cause == GENERATION_FILES && old &&
	    !ca_store_crls_fit(trust) && ca_store_crls_fit(old->trust)) {
		err_set(err, "%s", warning.text);
		ca_store_unref(trust);
		return NULL;
	}
	if (old &&
	    ca_store_is_rollback(trust, old->trust, settings->crl_file, err)) {
		ca_store_unref(trust);
		return NULL;
	}
	/* What is said of the very same has been said. */
	if (old == NULL || !is_same_digest(trust, old->trust))
		build_warn(build, settings, warning.text);
	return trust;
}

static void
fail_trust(struct build *build, const struct config_listener *settings,
    struct err *err)
{
	bool is_list = err_names(err, settings->crl_file) &&
		       !err_names(err, settings->ca_file);

	err_prefix(err, is_list ? "crl_file" : "ca_file");
	build_fail(build, BLAME_CONFIG,
	    is_list ? &settings->crl_file_where : &settings->ca_file_where,
	    settings, err);
}

/* Read, shared, or for want of something better the old one. */
static struct ca_store *
choose_trust(struct build *build, const struct config_listener *settings,
    struct trust_holding *now)
{
	const struct trust_holding *old = find_trust(build->old, settings);
	struct err err = { "" };
	struct ca_store *trust;

	if (old && is_current(old, now)) {
		now->warned = old->warned;
		return ca_store_ref(old->trust);
	}
	trust = read_trust(build, settings, old, &err);
	if (trust) {
		now->warned = old && is_same_digest(trust, old->trust)
				  ? old->warned
				  : validity_warning(ca_store_crls_start(trust),
					ca_store_crls_end(trust), build->now_s);
		return trust;
	}
	if (build->cause != GENERATION_FILES || old == NULL) {
		fail_trust(build, settings, &err);
		return NULL;
	}
	if (!trust_holding_has_equal_stamps(old, now))
		log_error(build->parts->log, "tls",
		    "client certificates are checked as before",
		    LOG_S("listener", settings->name),
		    LOG_S("error", err.text));
	return ca_store_ref(old->trust);
}

/* *trust stays NULL where no clients are verified. */
static bool
find_or_read_trust(struct build *build, const struct config_listener *settings,
    struct ca_store **trust)
{
	const struct trust_holding *known;
	struct trust_holding now;

	*trust = NULL;
	if (settings->verify == VERIFY_NONE)
		return true;
	known = find_trust(build->fresh, settings);
	if (known) {
		*trust = known->trust;
		return known->trust != NULL;
	}
	now = stamp_trust(settings);
	now.trust = choose_trust(build, settings, &now);
	*trust = now.trust;
	/* What is bad is held too: said once, not by each of a thousand. */
	return generation_hold_trust(build->fresh, &now) && now.trust;
}

/* ---- Contexts ---- */

/* The value of the TLS key whose line the sentence begins with; or NULL. */
static const char **
find_blamed(struct config_listener *settings, const struct err *err)
{
	if (config_where_begins(&settings->ciphers_where, err->text))
		return &settings->ciphers;
	if (config_where_begins(&settings->ciphersuites_where, err->text))
		return &settings->ciphersuites;
	if (config_where_begins(&settings->groups_where, err->text))
		return &settings->groups;
	return NULL;
}

/* Each refused key is left out in turn, to learn what is wrong besides. */
static void
fail_context(struct build *build, const struct config_listener *settings,
    struct ca_store *trust, struct err *err)
{
	struct config_listener rest = *settings;
	struct tls_context *context = NULL;
	const char **blamed;

	while (
	    context == NULL && (blamed = find_blamed(&rest, err)) && *blamed) {
		build_error(build, BLAME_CONFIG, err->text);
		*blamed = NULL;
		context = tls_context_new(&rest, trust, err);
	}
	if (context == NULL)
		build_fail(
		    build, BLAME_CONFIG, &settings->where, settings, err);
	tls_context_unref(context);
}

static struct tls_context *
make(struct build *build, const struct config_listener *settings,
    struct ca_store *trust, const struct staple_policy *policy)
{
	struct err err = { "" };
	struct tls_context *context = tls_context_new(settings, trust, &err);

	if (context == NULL) {
		fail_context(build, settings, trust, &err);
		return NULL;
	}
	if (stapling_attach(build->parts->stapling, context, policy, &err))
		return context;
	build_fail(build, BLAME_SYSTEM, &settings->where, settings, &err);
	tls_context_unref(context);
	return NULL;
}

static const struct context_holding *
find(const struct generation *generation, const struct context_holding *wanted)
{
	const struct context_holding *one;
	size_t i;

	for (i = 0; generation && i < generation->context_count; i++) {
		one = &generation->contexts[i];
		if (memcmp(one->digest, wanted->digest, sizeof(one->digest)) ==
			0 &&
		    memcmp(&one->policy, &wanted->policy,
			sizeof(one->policy)) == 0)
			return one;
	}
	return NULL;
}

struct tls_context *
build_context(struct build *build, const struct config_listener *settings,
    const struct staple_policy *policy)
{
	struct context_holding wanted = { .policy = *policy };
	const struct context_holding *known;
	struct ca_store *trust;
	struct err err = { "" };

	if (!find_or_read_trust(build, settings, &trust))
		return NULL;
	if (!tls_context_digest(settings, trust, wanted.digest, &err)) {
		build_fail(
		    build, BLAME_SYSTEM, &settings->where, settings, &err);
		return NULL;
	}
	known = find(build->fresh, &wanted);
	if (known)
		return known->context;
	known = find(build->old, &wanted);
	wanted.context = known ? tls_context_ref(known->context)
			       : make(build, settings, trust, policy);
	if (wanted.context == NULL)
		return NULL;
	if (generation_hold_context(build->fresh, &wanted))
		return wanted.context;
	err_set(&err, "out of memory");
	build_fail(build, BLAME_SYSTEM, &settings->where, settings, &err);
	return NULL;
}
