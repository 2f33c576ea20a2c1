/*
 * Configuration into libstaple, its words into the log.  Main thread, but for
 * the two callbacks, which run on the staple thread and touch only what was
 * fixed before that was started.  The library makes the folder of responses
 * while we are root; whether it was there before is the one thing to be known
 * for giving it to the user that will write there.
 */
#include "runtime/stapling.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/credential.h"
#include "runtime/generation.h"
#include "runtime/privilege.h"
#include "tls/context.h"
#include "tls/identity.h"

/* Enough of a fingerprint to tell an old certificate from its successor. */
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

	(void)info; /* main looks for itself, at all of them */
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

/* Strict modes stop when a certificate is revoked, if nothing else is said. */
static bool
ends_process(const struct staple_policy *policy)
{
	if (policy->on_revoked == STAPLE_REVOKED_BY_MODE)
		return policy->mode == STAPLE_MUST ||
		       policy->mode == STAPLE_ALWAYS;
	return policy->on_revoked == STAPLE_REVOKED_EXIT;
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

	if (in_folder && ends_process(&policy))
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

/* Put the line of the key in front whose file the sentence names. */
static void
blame(const struct config *config, struct err *err)
{
	if (err_names(err, config->ocsp.ca_file))
		err_prefix(err, "%s:%u: ca_file",
		    config->ocsp.ca_file_where.file,
		    config->ocsp.ca_file_where.line);
	else if (config->store_dir && strstr(err->text, config->store_dir))
		err_prefix(err, "%s:%u: store_dir",
		    config->store_dir_where.file, config->store_dir_where.line);
	else
		err_prefix(err, "%s: [ocsp]", config->file);
}

static bool
is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

enum { STORE_FOLDERS = 3 }; /* store_dir and the two in it */

/* The library gives a folder that it makes to the owner of the folder around
 * it.  Where `user` and `group` are configured, they get it instead: they
 * need not own store_dir. */
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
	blame(config, err);
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
	blame(config, err);
	return false;
}

bool
stapling_watch(struct stapling *stapling, const struct config *config,
    const struct identity *identity, const struct credential_key *id,
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
	const struct credential *credential;
	size_t i;

	if (!stapling_configure(stapling, config, err))
		return false;
	for (i = 0; i < generation_holding_count(generation); i++) {
		credential = generation_holding(generation, i)->credential;
		if (credential->identity &&
		    !stapling_watch(stapling, config, credential->identity,
			&credential->id, err))
			return false;
		if (credential->renewal &&
		    !stapling_watch(stapling, config, credential->renewal,
			&credential->id, err))
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
		    "the old settings could not be put back",
		    LOG_S("reason", err.text));
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
	size_t i, count = generation_holding_count(generation);
	struct identity *identity;

	if (stapling == NULL || stapling->kept)
		return;
	stapling->kept = calloc(count + 1, sizeof(stapling->kept[0]));
	if (stapling->kept == NULL)
		return; /* then some counters will be missing */
	for (i = 0; i < count; i++) {
		identity =
		    generation_holding(generation, i)->credential->identity;
		if (identity)
			stapling->kept[stapling->kept_count++] = identity_ref(
			    identity);
	}
}

static void
say_counters(void *arg, const struct staple_info *info)
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
stapling_say_counters(struct stapling *stapling)
{
	if (stapling)
		staple_inspect(stapling->staple, say_counters, stapling);
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
