/*
 * Names, policies and certificates brought together.  Main thread.  Policy and
 * certificate of a name are found apart, each by the closest pattern, and only
 * then joined: a host "*.example.org" that demands client certificates keeps
 * its say over "a.example.org", although that name has a certificate of its
 * own in the folder.
 *
 * What a name shows, in this order: its host's own certificates; those of the
 * listener whose names fit, one of each kind; the listener's first.
 */
#include "runtime/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/certs.h"
#include "runtime/generation_inner.h"
#include "runtime/stapling.h"
#include "tls/identity.h"
#include "tls/server.h"
#include "tls/sni.h"

struct sites {
	struct build *build;
	const struct config_listener *listener;
	const struct display *display;
	struct tls_server *server;
	struct claims claims;
	struct sni_table *by_host; /* from patterns to hosts */
	struct shown *host_shown;  /* by hosts with certificates of their own */
};

static const struct config_listener *
settings_of(const struct sites *sites, size_t host)
{
	return host == SNI_NONE ? sites->listener
				: &sites->listener->hosts[host];
}

/* ---- Hosts ---- */

static void
report_twins(struct sites *sites, const struct config_listener *host,
    const struct credential *credential)
{
	struct err err;

	err_set(&err,
	    "cert: %s is another %s certificate for the same name; name one "
	    "of each kind",
	    credential->id.cert,
	    identity_kind_name(identity_kind(credential->identity)));
	build_fail(sites->build, BLAME_CONFIG, &host->certs.items[0].where,
	    host, &err);
}

static void
fill_host(struct sites *sites, size_t i, size_t *next)
{
	const struct config_listener *host = &sites->listener->hosts[i];
	const struct credential *credential;
	struct shown *shown = &sites->host_shown[i];
	size_t k;

	for (k = 0; k < host->certs.count && *next < sites->display->count;
	     k++) {
		credential = sites->display->items[(*next)++];
		if (!shown_put(shown, credential))
			report_twins(sites, host, credential);
	}
}

static bool
fill_hosts(struct sites *sites)
{
	const struct config_listener *listener = sites->listener;
	size_t i, next = sites->claims.count;

	sites->host_shown = calloc(
	    listener->host_count + 1, sizeof(sites->host_shown[0]));
	sites->by_host = sni_table_new(listener->host_count);
	if (!sites->host_shown || !sites->by_host)
		return false;
	for (i = 0; i < listener->host_count; i++) {
		if (!sni_table_add(
			sites->by_host, listener->hosts[i].pattern, i))
			return false;
		if (listener->hosts[i].certs_own)
			fill_host(sites, i, &next);
	}
	sni_table_seal(sites->by_host);
	return true;
}

static size_t
find_host(const struct sites *sites, const char *pattern)
{
	return pattern[0] == '*' ? sni_table_exact(sites->by_host, pattern)
				 : sni_table_find(sites->by_host, pattern);
}

/* ---- Sites ---- */

/* Certificates with many names: one site for all of them. */
static bool
is_last(const struct sites *sites, const struct config_listener *settings,
    const struct shown *shown)
{
	size_t count = tls_server_count(sites->server);
	const struct tls_site *last;

	if (count == 0)
		return false;
	last = tls_server_site(sites->server, count - 1);
	return last->settings == settings &&
	       memcmp(last->identities, shown->identities,
		   sizeof(shown->identities)) == 0;
}

/* Put the file of a certificate of these in front of the sentence. */
static void
name_file(const struct sites *sites, const struct shown *shown, struct err *err)
{
	const struct credential *credential;
	size_t i, kind;

	for (i = 0; i < sites->display->count; i++) {
		credential = sites->display->items[i];
		if (credential->identity == NULL)
			continue;
		kind = identity_kind(credential->identity);
		if (shown->identities[kind] != credential->identity)
			continue;
		err_prefix(err, "%s", credential->id.cert);
		return;
	}
}

/* A certificate that no client can be shown (a key too weak, say) is an error
 * where keys name it.  One from a folder, or one that came by itself, is left
 * out: its names are refused. */
static bool
leave_out(struct sites *sites, const struct config_listener *settings,
    struct tls_context *context, const struct shown *shown, struct err *err)
{
	static struct identity *const nothing[IDENTITY_KINDS];
	struct build *build = sites->build;

	name_file(sites, shown, err);
	if (!shown->in_folder && build->cause != GENERATION_FILES) {
		build_fail(
		    build, BLAME_CONFIG, &settings->where, settings, err);
		return false;
	}
	log_error(build->parts->log, "tls", "certificate left out",
	    LOG_S("listener", settings->name), LOG_S("error", err->text));
	if (tls_server_add(sites->server, settings, context, nothing, err))
		return true;
	build_fail(build, BLAME_SYSTEM, &settings->where, settings, err);
	return false;
}

static bool
add_site(struct sites *sites, const struct config_listener *settings,
    const struct shown *shown, size_t *number)
{
	const struct staple_policy policy = stapling_policy(
	    settings, shown->in_folder);
	struct tls_context *context;
	struct err err = { "" };

	if (is_last(sites, settings, shown)) {
		*number = tls_server_count(sites->server) - 1;
		return true;
	}
	*number = tls_server_count(sites->server);
	context = build_context(sites->build, settings, &policy);
	if (context == NULL)
		return false; /* reported */
	return tls_server_add(
		   sites->server, settings, context, shown->identities, &err) ||
	       leave_out(sites, settings, context, shown, &err);
}

static bool
add_name(struct sites *sites, const char *pattern,
    const struct config_listener *settings, const struct shown *shown)
{
	struct err err = { "out of memory" };
	size_t number;

	if (!add_site(sites, settings, shown, &number))
		return false;
	if (tls_server_name(sites->server, pattern, number))
		return true;
	build_fail(
	    sites->build, BLAME_SYSTEM, &settings->where, settings, &err);
	return false;
}

static bool
add_hosts(struct sites *sites)
{
	const struct config_listener *host;
	const struct shown *shown;
	size_t i;

	for (i = 0; i < sites->listener->host_count; i++) {
		host = &sites->listener->hosts[i];
		shown = host->certs_own
			    ? &sites->host_shown[i]
			    : claims_find(&sites->claims, host->pattern);
		if (!add_name(sites, host->pattern, host,
			shown ? shown : &sites->claims.first))
			return false;
	}
	return true;
}

static bool
add_claimed(struct sites *sites)
{
	const struct claims *claims = &sites->claims;
	size_t i, host;

	for (i = 0; i < claims->pattern_count; i++) {
		host = find_host(sites, claims->patterns[i]);
		/* Then the host's own certificates are shown, and the host's
		 * pattern leads there already. */
		if (host != SNI_NONE && sites->listener->hosts[host].certs_own)
			continue;
		if (!add_name(sites, claims->patterns[i],
			settings_of(sites, host), &claims->shown[i]))
			return false;
	}
	return true;
}

static bool
prepare(struct sites *sites)
{
	const struct config_listener *listener = sites->listener;
	const struct display *display = sites->display;
	struct err err = { "out of memory" };
	size_t names;

	if (claims_init(&sites->claims, display->items, listener->certs.count,
		listener->certs.count + display->folder_count,
		sites->build->now_s) &&
	    fill_hosts(sites)) {
		names = listener->host_count + sites->claims.pattern_count;
		sites->server = tls_server_new(
		    1 + names, names, sites->build->parts->keys);
	}
	if (sites->server)
		return true;
	build_fail(
	    sites->build, BLAME_SYSTEM, &listener->where, listener, &err);
	return false;
}

struct tls_server *
build_sites(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct sites sites = {
		.build = build,
		.listener = listener,
		.display = &build->fresh->displays[i],
	};
	size_t own;
	bool fine = prepare(&sites) &&
		    add_site(&sites, listener, &sites.claims.first, &own) &&
		    add_hosts(&sites) && add_claimed(&sites);

	if (fine) {
		tls_server_seal(
		    sites.server, listener->sni_unknown == SNI_REJECT);
	} else {
		tls_server_unref(sites.server);
		sites.server = NULL;
	}
	claims_fini(&sites.claims);
	free(sites.host_shown);
	sni_table_free(sites.by_host);
	return sites.server;
}
