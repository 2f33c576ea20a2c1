/*
 * What one listener section means: names and certificates, backends, limits.
 * Main thread.  A service is made anew for every generation, out of parts that
 * are shared where nothing changed: so that no old configuration is kept
 * alive by the one listener that never changes.
 */
#include "runtime/build.h"

#include <search.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/limit.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "runtime/generation_inner.h"
#include "tls/context.h"
#include "tls/policy.h"
#include "tls/server.h"

/* ---- What went before ---- */

/* Reloads rarely reorder: the same place is tried first. */
static struct service *
find_old(const struct build *build, size_t i)
{
	const char *name = build->config->listeners[i].name;
	const struct generation *old = build->old;
	size_t k;

	if (old == NULL)
		return NULL;
	if (i < old->service_count &&
	    strcmp(old->services[i]->listener->name, name) == 0)
		return old->services[i];
	for (k = 0; k < old->service_count; k++)
		if (strcmp(old->services[k]->listener->name, name) == 0)
			return old->services[k];
	return NULL;
}

/* Sites of the listener itself come before those of hosts. */
static int
compare_sites(const void *a, const void *b)
{
	const struct service_site *one = a, *other = b;
	const char *first = one->settings->pattern;
	const char *second = other->settings->pattern;

	return strcmp(first ? first : "", second ? second : "");
}

static void *
index_sites(const struct service *old)
{
	void *tree = NULL;
	size_t i;

	/* Without memory a host begins without its old answers. */
	for (i = 0; old && i < old->site_count; i++)
		(void)tsearch(&old->sites[i], &tree, compare_sites);
	return tree;
}

static void
keep_node(void *node)
{
	(void)node; /* a site of the old service */
}

/* ---- Backends ---- */

static bool
connect_alike(const struct config_listener *a, const struct config_listener *b)
{
	size_t i;

	if (a->connect.count != b->connect.count || a->balance != b->balance ||
	    a->retry_after_ms != b->retry_after_ms)
		return false;
	for (i = 0; i < a->connect.count; i++)
		if (strcmp(a->connect.items[i].text,
			b->connect.items[i].text) != 0)
			return false;
	return true;
}

/* Those of another site that says the same; or new ones that know what the
 * old ones of this pattern knew.  A reference. */
static struct backends *
find_or_make_backends(const struct service *service,
    const struct config_listener *settings, void *old_sites)
{
	const struct service_site wanted = { .settings = settings };
	struct service_site **old;
	struct backends *backends;
	size_t i, tries[2] = { 0, service->site_count - 1 };

	for (i = 0; service->site_count > 0 && i < ARRAY_LEN(tries); i++)
		if (connect_alike(service->sites[tries[i]].settings, settings))
			return backends_ref(service->sites[tries[i]].backends);
	old = tfind(&wanted, &old_sites, compare_sites);
	if (old && (*old)->settings == settings) /* the same configuration */
		return backends_ref((*old)->backends);
	backends = backends_new(settings);
	if (backends && old)
		backends_inherit(backends, (*old)->backends);
	return backends;
}

static bool
add_sites(struct service *service, const struct service *old)
{
	const struct config_listener *settings;
	void *old_sites = index_sites(old);
	struct backends *backends;
	size_t i;
	bool fine = true;

	for (i = 0; fine && i < tls_server_count(service->tls); i++) {
		settings = tls_server_site(service->tls, i)->settings;
		backends = find_or_make_backends(service, settings, old_sites);
		fine = backends != NULL;
		if (fine)
			service_add(service, settings, backends);
		backends_unref(backends);
	}
	tdestroy(old_sites, keep_node);
	return fine;
}

/* ---- Services ---- */

static struct service *
make_service(struct build *build, const struct config_listener *listener,
    struct tls_server *tls, struct service *old)
{
	struct limit *limit = old ? limit_ref(old->limit)
				  : limit_new(build->parts->process);
	struct service *service = NULL;

	if (limit)
		service = service_new(build->config, listener, tls, limit);
	limit_unref(limit);
	if (service && add_sites(service, old))
		return service;
	service_unref(service);
	return NULL;
}

/* A certificate may be waited for (in a folder); files that are all bad may
 * not, as there would be nothing to show for ever. */
static bool
check_shown(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	const struct display *display = &build->fresh->displays[i];
	struct err err;
	size_t k;

	for (k = 0; k < display->folder_count; k++)
		if (!display->items[listener->certs.count + k]->bad)
			return true;
	if (display->folder_count == 0 || listener->certs.count > 0 ||
	    build->cause == GENERATION_FILES)
		return true;
	err_set(
	    &err, "cert_dir: no file in %s can be used", listener->cert_dir);
	build_fail(
	    build, BLAME_CONFIG, &listener->cert_dir_where, listener, &err);
	return false;
}

void
build_service(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct generation *fresh = build->fresh;
	struct service *service;
	struct tls_server *tls;
	struct err err = { "out of memory" };

	if (!check_shown(build, i))
		return;
	tls = build_sites(build, i);
	if (tls == NULL)
		return;
	service = make_service(build, listener, tls, find_old(build, i));
	tls_server_unref(tls);
	if (service)
		fresh->services[fresh->service_count++] = service;
	else
		build_fail(
		    build, BLAME_SYSTEM, &listener->where, listener, &err);
}

/* ---- Lists of ciphers and groups ---- */

/* Do the keys name this certificate?  Else cert_dir brought it. */
static bool
is_named(const struct build *build, size_t i, const struct identity *identity)
{
	const struct display *display = &build->fresh->displays[i];
	size_t named = build->config->listeners[i].certs.count;
	size_t k;

	for (k = 0; k < display->count; k++)
		if (display->items[k]->identity == identity)
			return k < named || k >= named + display->folder_count;
	return true;
}

/* What a certificate of a folder cannot use is no reason not to start. */
static void
report_list(
    struct build *build, size_t i, const struct tls_site *site, struct err *err)
{
	bool named = false, any = false;
	size_t kind;

	for (kind = 0; kind < IDENTITY_KINDS; kind++) {
		if (site->identities[kind] == NULL)
			continue;
		any = true;
		named |= is_named(build, i, site->identities[kind]);
	}
	if (named || !any)
		build_error(build, BLAME_CONFIG, err->text);
	else
		build_warn(build, site->settings, err->text);
}

static void
survey_service(struct build *build, size_t i, struct policy_survey *survey)
{
	const struct tls_server *tls = build->fresh->services[i]->tls;
	const struct tls_site *site;
	struct err err = { "" };
	unsigned kinds;
	size_t k, kind;

	for (k = 0; k < tls_server_count(tls); k++) {
		site = tls_server_site(tls, k);
		kinds = 0;
		for (kind = 0; kind < IDENTITY_KINDS; kind++)
			if (site->identities[kind])
				kinds |= 1u << kind;
		if (!policy_survey_add(survey,
			tls_context_native(site->context), site->settings,
			kinds, &err))
			report_list(build, i, site, &err);
	}
}

static void
on_useless(void *log, const char *sentence)
{
	log_warning(log, "tls", sentence);
}

void
build_survey(struct build *build)
{
	struct policy_survey *survey = policy_survey_new();
	size_t i;

	if (survey == NULL) {
		build_error(build, BLAME_SYSTEM, "out of memory");
		return;
	}
	for (i = 0; i < build->fresh->service_count; i++)
		survey_service(build, i, survey);
	policy_survey_report(survey, on_useless, build->parts->log);
	policy_survey_free(survey);
}
