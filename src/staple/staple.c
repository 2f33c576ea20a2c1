/*
 * The public functions, see staple.h for their threads, and the settings that
 * the staple thread keeps.  Each function is a few calls into the parts.  The
 * order of creation is the reverse of staple_free.
 *
 * The strings of settings lie behind the struct in the same allocation: there
 * is one thing to fail and one to free.
 */
#include "staple/staple.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/cache.h"
#include "staple/cert.h"
#include "staple/fetch.h"
#include "staple/openssl_hooks.h"
#include "staple/settings.h"
#include "staple/worker.h"

/* ---- Settings ---- */

enum {
	TIMEOUT_MS = 10 * 1000,
	MIN_INTERVAL_S = 5 * 60,
	MAX_INTERVAL_S = 7 * 24 * 3600,
	DEFAULT_LIFETIME_S = 24 * 3600,
	MAX_RESPONSE = 64 * 1024,
	MAX_FETCHES = 32
};

static size_t
room_for(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

/* Copy *text to *room, make it point there, and move *room behind it. */
static void
adopt(const char **text, char **room)
{
	size_t size = room_for(*text);

	if (*text == NULL)
		return;
	memcpy(*room, *text, size);
	*text = *room;
	*room += size;
}

static void
fill_in(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

struct staple_settings *
staple_settings_new(const struct staple_options *options)
{
	struct staple_options values = { 0 };
	struct staple_settings *settings;
	char *room;

	if (options != NULL)
		values = *options;
	settings = malloc(sizeof(*settings) + room_for(values.store_dir) +
			  room_for(values.ca_file) + room_for(values.proxy));
	if (settings == NULL)
		return NULL;
	room = (char *)(settings + 1);
	adopt(&values.store_dir, &room);
	adopt(&values.ca_file, &room);
	adopt(&values.proxy, &room);
	fill_in(&values.timeout_ms, TIMEOUT_MS);
	fill_in(&values.min_interval_s, MIN_INTERVAL_S);
	fill_in(&values.max_interval_s, MAX_INTERVAL_S);
	fill_in(&values.default_lifetime_s, DEFAULT_LIFETIME_S);
	fill_in(&values.max_response, MAX_RESPONSE);
	fill_in(&values.max_fetches, MAX_FETCHES);
	settings->values = values;
	atomic_init(&settings->references, 1);
	return settings;
}

struct staple_settings *
staple_settings_ref(struct staple_settings *settings)
{
	atomic_fetch_add_explicit(
	    &settings->references, 1, memory_order_relaxed);
	return settings;
}

void
staple_settings_unref(struct staple_settings *settings)
{
	if (settings != NULL && atomic_fetch_sub_explicit(&settings->references,
				    1, memory_order_acq_rel) == 1)
		free(settings);
}

void
staple_settings_apply(
    const struct staple_settings *settings, struct staple_fetcher *fetcher)
{
	const struct staple_fetch_options options = {
		.proxy = settings->values.proxy,
		.ca_file = settings->values.ca_file,
		.max_response = settings->values.max_response,
	};

	staple_fetcher_configure(fetcher, &options);
}

struct staple {
	/* fixed at creation */
	struct staple_cache *cache;
	struct staple_worker *worker;

	/* setting-up thread only */
	struct staple_settings *settings;
	struct staple_trust trust;
	pid_t started_by; /* 0: not started */
};

static int64_t
now_s(void)
{
	return clock_wall_ms() / 1000;
}

/* The sentence of a failed verb; returns false. */
static bool
explain(const struct err *err, char *why, size_t why_len)
{
	if (why_len > 0)
		snprintf(why, why_len, "%s", err->text);
	return false;
}

/* ---- Creation and end ---- */

static bool
set_up(struct staple *staple, const struct staple_options *options,
    struct err *err)
{
	staple->settings = staple_settings_new(options);
	staple->cache = staple_cache_new();
	if (staple->settings == NULL || staple->cache == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	if (!staple_trust_init(
		&staple->trust, staple->settings->values.ca_file, err))
		return false;
	staple->trust.aia_issuer = !staple->settings->values.no_aia_issuer;
	staple->worker = staple_worker_new(
	    staple->cache, staple->settings, err);
	return staple->worker != NULL;
}

struct staple *
staple_new(const struct staple_options *options, char *why, size_t why_len)
{
	struct err err = { .text = "out of memory" };
	struct staple *staple = calloc(1, sizeof(*staple));

	if (staple != NULL && set_up(staple, options, &err))
		return staple;
	explain(&err, why, why_len);
	staple_free(staple);
	return NULL;
}

bool
staple_start(struct staple *staple, char *why, size_t why_len)
{
	struct err err;

	if (staple->started_by != 0) {
		err_set(&err, "stapling was started already");
		return explain(&err, why, why_len);
	}
	if (!staple_worker_start(staple->worker, &err))
		return explain(&err, why, why_len);
	staple->started_by = getpid();
	return true;
}

/*
 * After a fork the worker is the parent's: its threads do not exist here, they
 * may have been in the middle of anything, and closing libcurl's transfers
 * would write to the parent's connections.  It is left as it was.
 */
static struct staple_worker *
worker_of(const struct staple *staple)
{
	bool is_forked = staple->started_by != 0 &&
			 staple->started_by != getpid();

	if (is_forked)
		staple_cache_forked(staple->cache);
	return is_forked ? NULL : staple->worker;
}

void
staple_free(struct staple *staple)
{
	if (staple == NULL)
		return;
	staple_worker_free(worker_of(staple));
	if (staple->cache != NULL)
		staple_cache_close(staple->cache);
	staple_cache_unref(staple->cache);
	staple_trust_fini(&staple->trust);
	staple_settings_unref(staple->settings);
	free(staple);
}

/* ---- Configuring ---- */

bool
staple_configure(struct staple *staple, const struct staple_options *options,
    char *why, size_t why_len)
{
	/* store_dir and the callbacks stay: the worker has them from its
	 * first. */
	struct staple_settings *settings = staple_settings_new(options);
	struct err err = { .text = "out of memory" };
	struct staple_trust trust;

	if (settings == NULL ||
	    !staple_trust_init(&trust, settings->values.ca_file, &err)) {
		staple_settings_unref(settings);
		return explain(&err, why, why_len);
	}
	staple_trust_fini(&staple->trust);
	staple->trust = trust;
	staple->trust.aia_issuer = !settings->values.no_aia_issuer;
	staple_settings_unref(staple->settings);
	staple->settings = settings;
	staple_worker_configure(staple->worker, settings);
	return true;
}

/* ---- Contexts and certificates ---- */

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };

/* The thread is woken for what concerns it alone. */
static void
wake_if_changed(struct staple *staple)
{
	if (staple_cache_has_changed(staple->cache))
		staple_worker_wake(staple->worker);
}

static struct staple_watcher
watcher_of(struct staple *staple, const struct staple_policy *policy)
{
	return (struct staple_watcher){
		.cache = staple->cache,
		.trust = &staple->trust,
		.policy = policy != NULL ? policy : &automatic,
	};
}

bool
staple_attach(struct staple *staple, SSL_CTX *context,
    const struct staple_policy *policy, char *why, size_t why_len)
{
	struct staple_watcher watcher = watcher_of(staple, policy);
	struct err err;
	bool attached = staple_attach_context(&watcher, context, &err);

	/* What was watched before a failure stays so. */
	wake_if_changed(staple);
	return attached || explain(&err, why, why_len);
}

bool
staple_watch(struct staple *staple, X509 *certificate, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_policy *policy,
    char *why, size_t why_len)
{
	struct staple_watcher watcher = watcher_of(staple, policy);
	struct err err;

	if (!staple_watch_certificate(
		&watcher, certificate, chain, source, &err))
		return explain(&err, why, why_len);
	wake_if_changed(staple);
	return true;
}

/* ---- Waiting and status ---- */

bool
staple_wait(struct staple *staple, unsigned timeout_ms)
{
	/* A reference, as staple_free ends a wait. */
	struct staple_cache *cache = staple_cache_ref(staple->cache);
	bool settled = staple_cache_wait(
	    cache, clock_mono_ms() + (int64_t)timeout_ms);

	staple_cache_unref(cache);
	return settled;
}

void
staple_refresh(struct staple *staple)
{
	staple_worker_refresh(staple->worker);
}

static bool
is_named(const struct staple_info *info, const char *certificate)
{
	return strcmp(info->name, certificate) == 0 ||
	       (certificate[0] != '\0' &&
		   strncmp(info->id, certificate, strlen(certificate)) == 0);
}

size_t
staple_refresh_certificate(struct staple *staple, const char *certificate)
{
	struct staple_info info;
	size_t count = 0, found = 0;
	struct staple_entry **entries = staple_cache_list(
	    staple->cache, &count);

	for (size_t i = 0; i < count; i++) {
		staple_cache_read(entries[i], now_s(), &info);
		if (info.wanted && is_named(&info, certificate)) {
			staple_cache_request_fetch(entries[i]);
			found++;
		}
		staple_entry_unref(entries[i]);
	}
	free(entries);
	if (found > 0)
		staple_worker_wake(staple->worker);
	return found;
}

/* A new reference, or NULL. */
static struct staple_entry *
find(struct staple *staple, X509 *certificate)
{
	struct staple_entry *entry = staple_watch_entry(certificate);
	unsigned char key[STAPLE_KEY_SIZE];

	if (entry != NULL && staple_entry_cache(entry) == staple->cache) {
		staple_entry_ref(entry);
		return entry;
	}
	if (staple_cert_key(certificate, key))
		return staple_cache_find(staple->cache, key);
	ERR_clear_error();
	return NULL;
}

bool
staple_state(struct staple *staple, X509 *certificate, struct staple_info *info)
{
	struct staple_entry *entry = find(staple, certificate);

	if (entry == NULL)
		return false;
	staple_cache_read(entry, now_s(), info);
	staple_entry_unref(entry);
	return true;
}

void
staple_inspect(struct staple *staple, staple_visit_fn *visit, void *arg)
{
	struct staple_info info;
	size_t count = 0;
	struct staple_entry **entries = staple_cache_list(
	    staple->cache, &count);

	for (size_t i = 0; i < count; i++) {
		staple_cache_read(entries[i], now_s(), &info);
		staple_entry_unref(entries[i]);
		visit(arg, &info);
	}
	free(entries);
}
