/*
 * Building a generation: from configuration to TLS contexts, services and
 * sockets.  Main thread.
 *
 * All errors in the files of any listener are found before the first socket is
 * opened, so that a bad configuration refuses no client.  Services are made
 * anew for every generation, out of parts that are shared where nothing
 * changed: an unchanged listener does not keep an old configuration alive.  The
 * contents of CA files and revocation lists are part of a context, so a new
 * list makes a new context, under which no older session is resumed.
 *
 * Settings and certificates of a name are found separately, each by the closest
 * pattern, and only then joined: a host "*.example.org" that requires client
 * certificates keeps that requirement for "a.example.org", although that name
 * has a certificate of its own in cert_dir.  The certificate of a name is its
 * host's own; else the listener's that matches, one of each kind; else the
 * listener's first.
 *
 * A renewal is such a build as well: from the configuration of the running
 * generation, with its files as they were read, and with renewed certificates
 * in place of the ones they replace.
 */
#include "runtime/build.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/limit.h"
#include "proxy/service.h"
#include "proxy/stats.h"
#include "runtime/cert_slot.h"
#include "runtime/certs.h"
#include "runtime/generation.h"
#include "runtime/handover.h"
#include "runtime/sockets.h"
#include "runtime/stapling.h"
#include "tls/ca_store.h"
#include "tls/context.h"
#include "tls/identity.h"
#include "tls/sni.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

/* ---- Errors ---- */

void
generation_errors_free(struct generation_errors *errors)
{
	config_errors_free(&errors->all);
}

/* Add an error; the build has failed. */
static void
build_error(
    struct build *build, enum build_error_source source, const char *text)
{
	struct config_strings *list = &build->errors->all.list;
	char **items;

	build->failed = true; /* also if there is no memory for the text */
	if (source == ERROR_CONFIG)
		build->errors->bad_config = true;
	items = realloc(list->items, (list->count + 1) * sizeof(items[0]));
	if (items == NULL)
		return;
	list->items = items;
	items[list->count] = strdup(text);
	if (items[list->count])
		list->count++;
}

void
build_fail(struct build *build, enum build_error_source source,
    const struct config_where *where, const struct config_listener *settings,
    struct err *err)
{
	if (settings->pattern)
		err_prefix(err, "host %s", settings->pattern);
	err_prefix(err, "listener %s", settings->name);
	if (where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	build_error(build, source, err->text);
}

void
build_warn(const struct build *build, const struct config_listener *settings,
    const char *text)
{
	struct log_field fields[3] = { { 0 } };
	size_t count = 1;

	if (text[0] == '\0')
		return;
	fields[count++] = LOG_S("listener", settings->name);
	if (settings->pattern)
		fields[count++] = LOG_S("host", settings->pattern);
	log_write(build->parts->log, LEVEL_WARNING, "tls", text, fields, count);
}

/* ---- TLS contexts ---- */

#define NS_PER_MS 1000000
#define TRUST_DIGEST 32

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

static const struct ca_entry *
find_trust(
    const struct generation *generation, const struct config_listener *settings)
{
	size_t i;

	for (i = 0; generation && i < generation->trust_count; i++)
		if (is_same_trust(generation->trusts[i].settings, settings))
			return &generation->trusts[i];
	return NULL;
}

static struct ca_entry
stamp_trust(const struct config_listener *settings)
{
	int64_t now_ns = clock_wall_ms() * NS_PER_MS;
	struct ca_entry entry = {
		.settings = settings,
		.ca_stamp = stamp_of(settings->ca_file),
	};

	if (settings->crl_file)
		entry.crl_stamp = stamp_of(settings->crl_file);
	entry.settled = stamp_is_settled(&entry.ca_stamp, now_ns) &&
			(settings->crl_file == NULL ||
			    stamp_is_settled(&entry.crl_stamp, now_ns));
	return entry;
}

static bool
may_share_ca(const struct build *build, const struct ca_entry *old,
    const struct ca_entry *now)
{
	return build->cause == GENERATION_RENEWAL ||
	       (old->settled && ca_entry_has_equal_stamps(old, now));
}

static bool
is_same_digest(const struct ca_store *a, const struct ca_store *b)
{
	return memcmp(ca_store_digest(a), ca_store_digest(b), TRUST_DIGEST) ==
	       0;
}

/* An unusable CRL is loaded at a start (its clients are refused) but never
 * replaces a usable one. */
static struct ca_store *
read_trust(struct build *build, const struct config_listener *settings,
    const struct ca_entry *old, struct err *err)
{
	struct err warning = { "" };
	struct ca_store *trust = ca_store_load(settings->ca_file,
	    settings->crl_file, settings->crl_check, build->eval.now_s,
	    &warning, err);

	if (trust == NULL)
		return NULL;
	if (build->same_config && old && !ca_store_crls_fit(trust) &&
	    ca_store_crls_fit(old->trust)) {
		err_set(err, "%s", warning.text);
		ca_store_unref(trust);
		return NULL;
	}
	if (old &&
	    ca_store_is_rollback(trust, old->trust, settings->crl_file, err)) {
		ca_store_unref(trust);
		return NULL;
	}
	/* Warn once about equal contents. */
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
	build_fail(build, ERROR_CONFIG,
	    config_where_of(
		settings->places, is_list ? KEY_CRL_FILE : KEY_CA_FILE),
	    settings, err);
}

/* Read the files, share the old result, or keep it where the files are bad. */
static struct ca_store *
choose_trust(struct build *build, const struct config_listener *settings,
    struct ca_entry *now)
{
	const struct ca_entry *old = find_trust(build->old, settings);
	struct err err = { "" };
	struct ca_store *trust;

	if (old && may_share_ca(build, old, now)) {
		*now = *old;
		now->settings = settings;
		return ca_store_ref(old->trust);
	}
	trust = read_trust(build, settings, old, &err);
	if (trust) {
		now->warned = old && is_same_digest(trust, old->trust)
				  ? old->warned
				  : validity_warning(ca_store_crls_start(trust),
					ca_store_crls_end(trust),
					build->eval.now_s);
		return trust;
	}
	if (!build->same_config || old == NULL) {
		fail_trust(build, settings, &err);
		return NULL;
	}
	if (!ca_entry_has_equal_stamps(old, now))
		log_error(build->parts->log, "tls",
		    "client CA files not replaced; the previous ones stay in use",
		    LOG_S("listener", settings->name),
		    LOG_S("error", err.text));
	return ca_store_ref(old->trust);
}

/* *trust stays NULL where clients are not verified. */
static bool
find_or_read_trust(struct build *build, const struct config_listener *settings,
    struct ca_store **trust)
{
	const struct ca_entry *known;
	struct ca_entry now;

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
	/* Keep bad files as well: one error, not one for each of a thousand
	 * hosts. */
	return generation_add_ca(build->fresh, &now) && now.trust;
}

/* The value of the TLS key that the error text begins with; or NULL. */
static const char **
find_failing_key(struct config_listener *settings, const struct err *err)
{
	const struct {
		enum config_key key;
		const char **value;
	} keys[] = {
		{ KEY_CIPHERS, &settings->ciphers },
		{ KEY_CIPHERSUITES, &settings->ciphersuites },
		{ KEY_GROUPS, &settings->groups },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++)
		if (config_where_begins(
			config_where_of(settings->places, keys[i].key),
			err->text))
			return keys[i].value;
	return NULL;
}

/* Leave out each refused key in turn, to find all errors. */
static void
fail_context(struct build *build, const struct config_listener *settings,
    struct ca_store *trust, struct err *err)
{
	struct config_listener rest = *settings;
	struct tls_context *context = NULL;
	const char **failing;

	while (context == NULL && (failing = find_failing_key(&rest, err)) &&
	       *failing) {
		build_error(build, ERROR_CONFIG, err->text);
		*failing = NULL;
		context = tls_context_new(&rest, trust, err);
	}
	if (context == NULL)
		build_fail(
		    build, ERROR_CONFIG, &settings->where, settings, err);
	tls_context_unref(context);
}

static struct tls_context *
make_context(struct build *build, const struct config_listener *settings,
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
	build_fail(build, ERROR_SYSTEM, &settings->where, settings, &err);
	tls_context_unref(context);
	return NULL;
}

static const struct context_entry *
find_context(
    const struct generation *generation, const struct context_entry *wanted)
{
	const struct context_entry *one;
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

/* The context for these settings and this staple policy: one of `fresh`, or
 * shared with `old`, or new.  Borrowed from `fresh`.  NULL: reported. */
static struct tls_context *
build_context(struct build *build, const struct config_listener *settings,
    const struct staple_policy *policy)
{
	struct context_entry wanted = { .policy = *policy };
	const struct context_entry *known;
	struct ca_store *trust;
	struct err err = { "" };

	if (!find_or_read_trust(build, settings, &trust))
		return NULL;
	if (!tls_context_digest(settings, trust, wanted.digest, &err)) {
		build_fail(
		    build, ERROR_SYSTEM, &settings->where, settings, &err);
		return NULL;
	}
	known = find_context(build->fresh, &wanted);
	if (known)
		return known->context;
	known = find_context(build->old, &wanted);
	wanted.context = known ? tls_context_ref(known->context)
			       : make_context(build, settings, trust, policy);
	if (wanted.context == NULL)
		return NULL;
	if (generation_add_context(build->fresh, &wanted))
		return wanted.context;
	err_set(&err, "out of memory");
	build_fail(build, ERROR_SYSTEM, &settings->where, settings, &err);
	return NULL;
}

/* ---- Names and sites ---- */

struct sites {
	struct build *build;
	const struct config_listener *listener;
	const struct cert_list *list;
	struct tls_server *server;
	struct name_map map;
	struct sni_table *by_host;  /* from patterns to hosts */
	struct cert_set *host_sets; /* by host, for hosts with certs_own */
};

static const struct config_listener *
settings_of(const struct sites *sites, size_t host)
{
	return host == SNI_NONE ? sites->listener
				: &sites->listener->hosts[host];
}

static void
report_duplicate(struct sites *sites, const struct config_listener *host,
    const struct cert_slot *slot)
{
	struct err err;

	err_set(&err,
	    "cert: %s is another %s certificate for the same name; name one "
	    "of each kind",
	    slot->id.cert, identity_kind_name(identity_kind(slot->identity)));
	build_fail(sites->build, ERROR_CONFIG, &host->certs.items[0].where,
	    host, &err);
}

static void
fill_host_sets(struct sites *sites)
{
	const struct config_listener *hosts = sites->listener->hosts;
	const struct cert_place *place;
	size_t i;

	for (i = 0; i < sites->list->count; i++) {
		place = &sites->list->items[i];
		if (place->settings != sites->listener &&
		    !cert_set_add(&sites->host_sets[place->settings - hosts],
			place->slot))
			report_duplicate(sites, place->settings, place->slot);
	}
}

static bool
fill_hosts(struct sites *sites)
{
	const struct config_listener *listener = sites->listener;
	size_t i;

	sites->host_sets = calloc(
	    listener->host_count + 1, sizeof(sites->host_sets[0]));
	sites->by_host = sni_table_new(listener->host_count);
	if (!sites->host_sets || !sites->by_host)
		return false;
	fill_host_sets(sites);
	for (i = 0; i < listener->host_count; i++)
		if (!sni_table_add(
			sites->by_host, listener->hosts[i].pattern, i))
			return false;
	sni_table_seal(sites->by_host);
	return true;
}

static size_t
find_host(const struct sites *sites, const char *pattern)
{
	return pattern[0] == '*' ? sni_table_exact(sites->by_host, pattern)
				 : sni_table_find(sites->by_host, pattern);
}

/* Consecutive names of one certificate share a site. */
static bool
shares_last_site(const struct sites *sites,
    const struct config_listener *settings, const struct cert_set *set)
{
	size_t count = tls_server_count(sites->server);
	const struct tls_site *last;

	if (count == 0)
		return false;
	last = tls_server_site(sites->server, count - 1);
	return last->settings == settings &&
	       memcmp(last->identities, set->identities,
		   sizeof(set->identities)) == 0;
}

/* Prefix the error with the file of a certificate of this set. */
static void
prefix_file(
    const struct sites *sites, const struct cert_set *set, struct err *err)
{
	const struct cert_slot *slot;
	size_t i, kind;

	for (i = 0; i < sites->list->count; i++) {
		slot = sites->list->items[i].slot;
		if (slot->identity == NULL)
			continue;
		kind = identity_kind(slot->identity);
		if (set->identities[kind] != slot->identity)
			continue;
		err_prefix(err, "%s", slot->id.cert);
		return;
	}
}

/* A certificate that no handshake can use (a key too weak, say) is an error
 * where a key names it.  One of cert_dir, or one that appeared in changed
 * files, is left out: its names are refused. */
static bool
leave_out(struct sites *sites, const struct config_listener *settings,
    struct tls_context *context, const struct cert_set *set, struct err *err)
{
	static struct identity *const nothing[IDENTITY_KINDS];
	struct build *build = sites->build;

	prefix_file(sites, set, err);
	if (!set->in_folder && !build->same_config) {
		build_fail(
		    build, ERROR_CONFIG, &settings->where, settings, err);
		return false;
	}
	log_error(build->parts->log, "tls", "certificate left out",
	    LOG_S("listener", settings->name), LOG_S("error", err->text));
	if (tls_server_add(sites->server, settings, context, nothing, err))
		return true;
	build_fail(build, ERROR_SYSTEM, &settings->where, settings, err);
	return false;
}

static bool
add_site(struct sites *sites, const struct config_listener *settings,
    const struct cert_set *set, size_t *number)
{
	const struct staple_policy policy = stapling_policy(
	    settings, set->in_folder);
	struct tls_context *context;
	struct err err = { "" };

	if (shares_last_site(sites, settings, set)) {
		*number = tls_server_count(sites->server) - 1;
		return true;
	}
	*number = tls_server_count(sites->server);
	context = build_context(sites->build, settings, &policy);
	if (context == NULL)
		return false; /* reported */
	return tls_server_add(
		   sites->server, settings, context, set->identities, &err) ||
	       leave_out(sites, settings, context, set, &err);
}

static bool
add_name(struct sites *sites, const char *pattern,
    const struct config_listener *settings, const struct cert_set *set)
{
	struct err err = { "out of memory" };
	size_t number;

	if (!add_site(sites, settings, set, &number))
		return false;
	if (tls_server_add_name(sites->server, pattern, number))
		return true;
	build_fail(
	    sites->build, ERROR_SYSTEM, &settings->where, settings, &err);
	return false;
}

static bool
add_hosts(struct sites *sites)
{
	const struct config_listener *host;
	const struct cert_set *set;
	size_t i;

	for (i = 0; i < sites->listener->host_count; i++) {
		host = &sites->listener->hosts[i];
		set = host->certs_own
			  ? &sites->host_sets[i]
			  : name_map_find(&sites->map, host->pattern);
		if (!add_name(sites, host->pattern, host,
			set ? set : &sites->map.first))
			return false;
	}
	return true;
}

static bool
add_mapped_names(struct sites *sites)
{
	const struct name_map *map = &sites->map;
	size_t i, host;

	for (i = 0; i < map->pattern_count; i++) {
		host = find_host(sites, map->patterns[i]);
		/* The host has its own certificates, and its pattern is in the
		 * table already. */
		if (host != SNI_NONE && sites->listener->hosts[host].certs_own)
			continue;
		if (!add_name(sites, map->patterns[i], settings_of(sites, host),
			&map->sets[i]))
			return false;
	}
	return true;
}

static bool
prepare_sites(struct sites *sites)
{
	const struct config_listener *listener = sites->listener;
	struct err err = { "out of memory" };
	size_t names;

	if (name_map_init(&sites->map, sites->list, sites->build->eval.now_s) &&
	    fill_hosts(sites)) {
		names = listener->host_count + sites->map.pattern_count;
		sites->server = tls_server_new(
		    1 + names, names, sites->build->parts->keys);
	}
	if (sites->server)
		return true;
	build_fail(
	    sites->build, ERROR_SYSTEM, &listener->where, listener, &err);
	return false;
}

/* The names, settings and certificates of listener i.  NULL: reported. */
static struct tls_server *
build_sites(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct sites sites = {
		.build = build,
		.listener = listener,
		.list = &build->fresh->cert_lists[i],
	};
	size_t own;
	bool fine = prepare_sites(&sites) &&
		    add_site(&sites, listener, &sites.map.first, &own) &&
		    add_hosts(&sites) && add_mapped_names(&sites);

	if (fine) {
		tls_server_seal(
		    sites.server, listener->sni_unknown == SNI_REJECT);
	} else {
		tls_server_unref(sites.server);
		sites.server = NULL;
	}
	name_map_fini(&sites.map);
	free(sites.host_sets);
	sni_table_free(sites.by_host);
	return sites.server;
}

/* ---- Services: backends ---- */

/* Reloads rarely reorder: try the same index first. */
static struct service *
find_old_service(const struct build *build, size_t i)
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

/* Sites of the listener itself come before those of its hosts. */
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

	/* Without memory a host starts without its old addresses. */
	for (i = 0; old && i < old->site_count; i++)
		(void)tsearch(&old->sites[i], &tree, compare_sites);
	return tree;
}

static void
keep_node(void *node)
{
	(void)node; /* a site of the old service */
}

static bool
check_alike(const struct config_listener *a, const struct config_listener *b)
{
	if (a->check == CHECK_OFF || b->check == CHECK_OFF)
		return a->check == b->check;
	return a->check_interval_ms == b->check_interval_ms &&
	       a->timeout_connect_ms == b->timeout_connect_ms;
}

static bool
connect_alike(const struct config_listener *a, const struct config_listener *b)
{
	size_t i;

	if (a->connect.count != b->connect.count || a->balance != b->balance ||
	    a->retry_after_ms != b->retry_after_ms || !check_alike(a, b))
		return false;
	for (i = 0; i < a->connect.count; i++)
		if (strcmp(a->connect.items[i].text,
			b->connect.items[i].text) != 0)
			return false;
	return true;
}

/* Share the backends of a site with equal keys; else make new ones, with the
 * addresses of the old ones of this pattern.  A reference. */
static struct backends *
find_or_make_backends(const struct service *service,
    const struct config_listener *settings, void *old_sites,
    struct backend_states *states)
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
	backends = backends_new(settings, states);
	if (backends && old)
		backends_inherit(backends, (*old)->backends);
	return backends;
}

static bool
add_sites(struct service *service, const struct service *old,
    struct backend_states *states)
{
	const struct config_listener *settings;
	void *old_sites = index_sites(old);
	struct backends *backends;
	size_t i;
	bool fine = true;

	for (i = 0; fine && i < tls_server_count(service->tls); i++) {
		settings = tls_server_site(service->tls, i)->settings;
		backends = find_or_make_backends(
		    service, settings, old_sites, states);
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
	struct stats *stats = old ? stats_ref(old->stats)
				  : stats_new(build->parts->threads);
	struct service *service = NULL;

	if (limit && stats)
		service = service_new(
		    build->config, listener, tls, limit, stats);
	limit_unref(limit);
	stats_unref(stats);
	if (service && add_sites(service, old, build->parts->states))
		return service;
	service_unref(service);
	return NULL;
}

/* Certificates of cert_dir may wait for a staple; if all its files are bad, the
 * listener would never have one. */
static bool
check_list(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	const struct cert_list *list = &build->fresh->cert_lists[i];
	const struct cert_slot *slot;
	struct err err;
	bool any = false;
	size_t k;

	for (k = 0; k < list->count; k++) {
		slot = list->items[k].slot;
		any |= slot->id.in_folder;
		if (slot->id.in_folder && !slot->bad)
			return true;
	}
	if (!any || listener->certs.count > 0 || build->same_config)
		return true;
	err_set(
	    &err, "cert_dir: no file in %s can be used", listener->cert_dir);
	build_fail(build, ERROR_CONFIG,
	    config_where_of(listener->places, KEY_CERT_DIR), listener, &err);
	return false;
}

/* Append the service of listener i; errors are reported. */
static void
build_service(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct generation *fresh = build->fresh;
	struct service *service;
	struct tls_server *tls;
	struct err err = { "out of memory" };

	if (!check_list(build, i))
		return;
	tls = build_sites(build, i);
	if (tls == NULL)
		return;
	service = make_service(
	    build, listener, tls, find_old_service(build, i));
	tls_server_unref(tls);
	if (service)
		fresh->services[fresh->service_count++] = service;
	else
		build_fail(
		    build, ERROR_SYSTEM, &listener->where, listener, &err);
}

/* ---- Services: lists of ciphers and groups ---- */

/* Is this certificate set by a key, rather than found in cert_dir? */
static bool
is_named(const struct build *build, size_t i, const struct identity *identity)
{
	const struct cert_list *list = &build->fresh->cert_lists[i];
	size_t k;

	for (k = 0; k < list->count; k++)
		if (list->items[k].slot->identity == identity)
			return !list->items[k].slot->id.in_folder;
	return true;
}

/* A cipher list that fails only for certificates of cert_dir does not fail the
 * start. */
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
		build_error(build, ERROR_CONFIG, err->text);
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

/* Warn about each name in ciphers, ciphersuites and groups that no service can
 * use; an empty rest is an error.  After all services. */
static void
build_survey(struct build *build)
{
	struct policy_survey *survey = policy_survey_new();
	size_t i;

	if (survey == NULL) {
		build_error(build, ERROR_SYSTEM, "out of memory");
		return;
	}
	for (i = 0; i < build->fresh->service_count; i++)
		survey_service(build, i, survey);
	policy_survey_report(survey, on_useless, build->parts->log);
	policy_survey_free(survey);
}

/* ---- Sockets ---- */

/* The sockets of one service. */
static void
build_sockets(struct build *build, struct sockets_source *source,
    const struct config_listener *listener, struct service *service)
{
	struct sockets *sockets = &build->fresh->sockets;
	const struct config_accept *accept;
	struct err err = { "" };
	size_t i;

	if (listener->fd && !sockets_add_named(sockets, source, service, &err))
		build_fail(
		    build, ERROR_SYSTEM, &listener->where, listener, &err);
	for (i = 0; i < listener->accept.count; i++) {
		accept = &listener->accept.items[i];
		if (!sockets_add(sockets, source, service, accept, &err))
			build_fail(build, ERROR_SYSTEM, &accept->where,
			    listener, &err);
	}
}

static void
build_all_sockets(struct build *build)
{
	struct generation *fresh = build->fresh;
	struct handover *handover = build->parts->handover;
	struct sockets_source source = { .parts = build->parts };
	bool *taken = NULL;
	size_t i;

	if (build->old == NULL && handover) {
		source.old = &handover->sockets;
		source.taken = handover->taken;
	} else if (build->old) {
		source.old = &build->old->sockets;
		taken = calloc(source.old->count + 1, sizeof(bool));
		source.taken = taken;
		if (taken == NULL) {
			build_error(build, ERROR_SYSTEM, "out of memory");
			return;
		}
	}
	for (i = 0; i < fresh->service_count; i++)
		build_sockets(build, &source, &build->config->listeners[i],
		    fresh->services[i]);
	free(taken);
}

/* An equal configuration has the same sockets. */
static void
share_all_sockets(struct build *build)
{
	struct err err = { "" };

	if (!sockets_share(&build->fresh->sockets, &build->old->sockets,
		build->old->services, build->fresh->services, &err))
		build_error(build, ERROR_SYSTEM, err.text);
}

/* The sockets of the admin endpoint.  An equal configuration has the same. */
static void
build_admin(struct build *build)
{
	const struct config_admin *config = &build->config->admin;
	struct generation *fresh = build->fresh;
	const struct handover *handover = build->parts->handover;
	struct admin_source source = {
		.parts = build->parts,
		.unix_mode = config->unix_mode,
	};
	struct listener *listener;
	struct err err = { "" };
	size_t i;

	if (build->old) {
		source.old = build->old->admin;
		source.old_count = build->old->admin_count;
	} else if (handover) {
		source.old = handover->admin;
		source.old_count = handover->admin_count;
	}
	fresh->admin = calloc(
	    config->listen.count + 1, sizeof(fresh->admin[0]));
	if (fresh->admin == NULL) {
		build_error(build, ERROR_SYSTEM, "out of memory");
		return;
	}
	for (i = 0; i < config->listen.count; i++) {
		const struct config_accept *listen = &config->listen.items[i];

		listener = sockets_open_admin(&source, listen, &err);
		if (listener) {
			fresh->admin[fresh->admin_count++] = listener;
			continue;
		}
		err_prefix(&err, "%s:%u: [admin] listen", listen->where.file,
		    listen->where.line);
		build_error(build, ERROR_SYSTEM, err.text);
	}
}

/* Shared ticket keys are loaded when the generation is published; check now
 * that they can be. */
static void
check_tickets(struct build *build)
{
	const struct config *config = build->config;
	const struct config_where *where = config_where_of(
	    config->places, KEY_TLS_TICKET_KEY_FILE);
	struct err err = { "" };

	if (config->ticket_key_file == NULL || build->same_config ||
	    ticket_keys_check(config->ticket_key_file,
		config->ticket_key_permissions, NULL, &err))
		return;
	err_prefix(&err, "%s:%u: ticket_key_file", where->file, where->line);
	build_error(build, ERROR_CONFIG, err.text);
}

/*
 * libstaple's requirements for a certificate follow from [ocsp].  While that is
 * unchanged, certificates need not be watched again.
 */
static bool
must_rewatch(const struct config *config, const struct generation *old)
{
	const struct config_strings *ours = &config->ocsp.urls, *theirs;
	size_t i;

	if (old == NULL || config == old->config)
		return old == NULL;
	theirs = &old->config->ocsp.urls;
	if (config->ocsp.ca_file || old->config->ocsp.ca_file ||
	    ours->count != theirs->count)
		return true;
	for (i = 0; i < ours->count; i++)
		if (strcmp(ours->items[i], theirs->items[i]) != 0)
			return true;
	return false;
}

/* ---- The whole ---- */

static const struct identity *
identity_of(const struct cert_entry *entry)
{
	return entry->slot->renewal ? entry->slot->renewal
				    : entry->slot->identity;
}

static int
compare_certificates(const void *a, const void *b)
{
	const struct cert_entry *const *one = a, *const *other = b;

	return identity_compare(identity_of(*one), identity_of(*other));
}

static bool
is_same_file(const struct cert_entry *a, const struct cert_entry *b)
{
	const char *one = a->slot->id.staple_file;
	const char *other = b->slot->id.staple_file;

	return one == other || (one && other && strcmp(one, other) == 0);
}

static void
report_contradiction(struct build *build, const struct cert_entry *one,
    const struct cert_entry *other)
{
	struct err err;

	if (one->slot->id.staple_file == NULL)
		return; /* the error belongs to the other listener */
	err_set(&err,
	    "staple_file: listener %s (%s:%u) shows the same certificate "
	    "without this file; set the same in both",
	    other->settings->name, other->settings->where.file,
	    other->settings->where.line);
	build_fail(build, ERROR_CONFIG,
	    &one->settings->staple_files.items[0].where, one->settings, &err);
}

/* Responses belong to the certificate: two sources contradict each other. */
static void
check_sources(struct build *build)
{
	const struct generation *fresh = build->fresh;
	const struct cert_entry **sorted;
	size_t i, count = 0;

	sorted = calloc(fresh->cert_count + 1, sizeof(sorted[0]));
	if (sorted == NULL) {
		build_error(build, ERROR_SYSTEM, "out of memory");
		return;
	}
	for (i = 0; i < fresh->cert_count; i++)
		if (identity_of(&fresh->certs[i]))
			sorted[count++] = &fresh->certs[i];
	qsort(sorted, count, sizeof(sorted[0]), compare_certificates);
	for (i = 1; i < count; i++) {
		if (compare_certificates(&sorted[i - 1], &sorted[i]) != 0 ||
		    is_same_file(sorted[i - 1], sorted[i]))
			continue;
		report_contradiction(build, sorted[i - 1], sorted[i]);
		report_contradiction(build, sorted[i], sorted[i - 1]);
	}
	free(sorted);
}

static void
build_all(struct build *build)
{
	size_t i;

	check_tickets(build);
	for (i = 0; i < build->config->listener_count; i++)
		certs_build_list(build, i);
	if (!build->same_config)
		check_sources(build);
	/* Build contexts even after errors: one run reports everything. */
	for (i = 0; i < build->config->listener_count; i++)
		build_service(build, i);
	/* With a service missing, a cipher might only seem unused. */
	if (!build->failed && !build->same_config)
		build_survey(build);
	if (build->failed || build->cause == GENERATION_CHECK)
		return;
	if (build->same_config)
		share_all_sockets(build);
	else
		build_all_sockets(build);
	build_admin(build);
}

/* NULL: failed, see the errors. */
static struct generation *
run(struct build *build)
{
	build->fresh = generation_new(build->config);
	if (build->fresh && certs_index(build))
		build_all(build);
	else
		build_error(build, ERROR_SYSTEM, "out of memory");
	certs_fini(build);
	if (!build->failed)
		return build->fresh;
	generation_unref(build->fresh);
	return NULL;
}

struct generation *
generation_build(struct generation *old, const struct config *config,
    const struct generation_parts *parts, enum generation_cause cause,
    struct generation_errors *errors)
{
	struct build build = {
		.old = old,
		.config = config,
		.parts = parts,
		.cause = cause,
		.same_config = cause == GENERATION_FILES,
		.eval = {
			.stapling = parts->stapling,
			.phase = old ? PHASE_RELOAD : PHASE_START,
			.now_s = clock_wall_ms() / 1000,
		},
		.errors = errors,
		.rewatch = must_rewatch(config, old),
	};

	memset(errors, 0, sizeof(*errors));
	return run(&build);
}

static bool
is_any_due(const struct policy_eval *eval, const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->cert_count; i++)
		if (policy_eval_is_due(eval, generation->certs[i].slot))
			return true;
	return false;
}

struct generation *
generation_renew(struct generation *from, const struct generation_parts *parts,
    const struct policy_eval *eval, struct generation_errors *errors)
{
	struct build build = {
		.old = from,
		.config = from->config,
		.parts = parts,
		.cause = GENERATION_RENEWAL,
		.same_config = true,
		.eval = *eval,
		.errors = errors,
	};

	memset(errors, 0, sizeof(*errors));
	return is_any_due(eval, from) ? run(&build) : NULL;
}
