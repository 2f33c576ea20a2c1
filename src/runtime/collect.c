/*
 * Collect the overview of the process.  See collect.h for the threads.
 *
 * The overview is collected anew for each request from immutable objects and
 * relaxed counters.  The lock is held for as long as it takes to copy a pointer
 * and a few numbers, so that a scrape of ten thousand certificates delays no
 * other thread.
 */
#include "runtime/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/endpoint.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mutex.h"
#include "proxy/backend.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "runtime/stapling.h"
#include "tls/ca_store.h"
#include "tls/context.h"
#include "tls/identity.h"

enum { REASONS_MAX = 20 };

struct collect {
	/* fixed at creation */
	const struct generation_parts *parts;
	const char *config_path;
	struct collect_calls calls;
	void *arg;
	int64_t start_s;

	/* main thread only */
	struct endpoint *endpoint; /* NULL: no [admin] listen */

	struct mutex lock;
	/* under lock */
	enum overview_state state;
	struct generation *current; /* a reference; NULL: none, or draining */
	struct service **services;  /* references; while draining */
	size_t service_count;
	struct overview_reloads reloads;
	uint64_t upgrades; /* that are decided */
	bool upgrading;
};

/* ---- What an overview is made of ---- */

/* In a drain no generation is kept, because it would keep its sockets open; the
 * services with their counters are. */
struct snapshot {
	struct generation *generation; /* a reference; NULL: none */
	struct service **services;     /* references */
	size_t count;
};

static void
drop_services(struct service **services, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		service_unref(services[i]);
	free(services);
}

static void
free_snapshot(void *owner)
{
	struct snapshot *snapshot = owner;

	drop_services(snapshot->services, snapshot->count);
	generation_unref(snapshot->generation);
	free(snapshot);
}

/* NULL: no memory. */
static struct snapshot *
take_snapshot(struct collect *collect, struct overview *overview)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	size_t i;

	if (snapshot == NULL)
		return NULL;
	mutex_lock(&collect->lock);
	overview->state = collect->state;
	overview->reloads = collect->reloads;
	if (collect->current)
		snapshot->generation = generation_ref(collect->current);
	snapshot->services = calloc(
	    collect->service_count + 1, sizeof(snapshot->services[0]));
	for (i = 0; snapshot->services && i < collect->service_count; i++)
		snapshot->services[snapshot->count++] = service_ref(
		    collect->services[i]);
	mutex_unlock(&collect->lock);
	if (snapshot->services)
		return snapshot;
	free_snapshot(snapshot);
	return NULL;
}

/* ---- Listeners ---- */

static int
compare_backends(const void *a, const void *b)
{
	const struct overview_backend *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* Hosts often share a backend: one item for each name, the errors added up. */
static void
merge_backends(struct overview_listener *listener)
{
	struct overview_backend *items = listener->backends;
	size_t i, kept = 0;

	qsort(
	    items, listener->backend_count, sizeof(items[0]), compare_backends);
	for (i = 0; i < listener->backend_count; i++) {
		if (kept == 0 ||
		    strcmp(items[kept - 1].name, items[i].name) != 0) {
			items[kept++] = items[i];
			continue;
		}
		items[kept - 1].errors += items[i].errors;
		items[kept - 1].checked |= items[i].checked;
		if (items[i].state == BACKEND_STATE_DOWN)
			items[kept - 1].state = BACKEND_STATE_DOWN;
		items[kept - 1].host = NULL;
	}
	listener->backend_count = kept;
}

/* Wall time of a monotonic one, in seconds; 0 stays 0. */
static int64_t
wall_s(const struct overview *overview, int64_t mono_ms, int64_t at_ms)
{
	return at_ms == 0 ? 0 : (overview->now_ms - (mono_ms - at_ms)) / 1000;
}

static void
collect_backend(const struct overview *overview, struct overview_backend *out,
    const struct service_site *site, size_t i)
{
	static const enum overview_backend_state states[] = {
		[BACKEND_UNRESOLVED] = BACKEND_STATE_UNRESOLVED,
		[BACKEND_UP] = BACKEND_STATE_UP,
		[BACKEND_RESTING] = BACKEND_STATE_RESTING,
		[BACKEND_DOWN] = BACKEND_STATE_DOWN,
	};
	int64_t mono_ms = clock_mono_ms();
	char text[sizeof(out->error)];
	struct backend_view view;

	backends_view(site->backends, i, mono_ms, &view);
	*out = (struct overview_backend){
		.name = view.name,
		.host = site->settings->pattern,
		.addresses = view.addresses,
		.resting = view.resting,
		.errors = view.errors,
		.state = states[view.condition],
		.checked = view.checked,
		.since_s = wall_s(overview, mono_ms, view.since_ms),
		.error_s = wall_s(overview, mono_ms, view.error_ms),
	};
	if (view.errnum != 0)
		snprintf(out->error, sizeof(out->error), "%s",
		    backend_error_text(view.errnum, text, sizeof(text)));
}

static bool
collect_backends(const struct overview *overview, struct overview_listener *out,
    const struct service *service)
{
	size_t i, k, room = 0;

	for (i = 0; i < service->site_count; i++)
		room += backends_count(service->sites[i].backends);
	out->backends = calloc(room + 1, sizeof(out->backends[0]));
	if (out->backends == NULL)
		return false;
	for (i = 0; i < service->site_count; i++)
		for (k = 0; k < backends_count(service->sites[i].backends); k++)
			collect_backend(overview,
			    &out->backends[out->backend_count++],
			    &service->sites[i], k);
	merge_backends(out);
	return true;
}

/* generation: NULL: none, the sockets are closed. */
static bool
collect_addresses(struct overview_listener *out,
    const struct generation *generation, const struct service *service)
{
	size_t i, count = generation ? generation_socket_count(generation) : 0;

	out->addresses = calloc(count + 1, sizeof(out->addresses[0]));
	for (i = 0; out->addresses && i < count; i++) {
		const struct listen_socket *socket = generation_socket(
		    generation, i);

		if (socket->service == service && !socket->is_rest)
			addr_print(listener_address(socket->listener),
			    out->addresses[out->address_count++],
			    ADDR_TEXT_MAX);
	}
	return out->addresses != NULL;
}

static bool
collect_listeners(struct overview *overview, const struct snapshot *snapshot)
{
	size_t i;

	overview->listeners = calloc(
	    snapshot->count + 1, sizeof(overview->listeners[0]));
	for (i = 0; overview->listeners && i < snapshot->count; i++) {
		const struct service *service = snapshot->services[i];
		struct overview_listener *out = &overview->listeners[i];

		overview->listener_count++;
		out->name = service->listener->name;
		out->max_connections = service->listener->max_connections;
		stats_sum(service->stats, &out->counts);
		if (!collect_addresses(out, snapshot->generation, service) ||
		    !collect_backends(overview, out, service))
			return false;
	}
	return overview->listeners != NULL;
}

/* ---- Certificates: what clients get ---- */

static bool
refuses_without(const struct staple_policy *policy)
{
	return policy->without_staple == STAPLE_WITHOUT_REFUSE ||
	       (policy->without_staple == STAPLE_WITHOUT_BY_MODE &&
		   policy_is_strict(policy));
}

static void
rate(struct overview_certificate *out, enum overview_severity severity,
    const char *clients_get)
{
	out->severity = severity;
	out->clients_get = clients_get;
}

static void
rate_revoked(
    struct overview_certificate *out, const struct staple_policy *policy)
{
	if (policy->on_revoked == STAPLE_REVOKED_REFUSE)
		rate(out, SEVERITY_CRITICAL,
		    "an alert, because the certificate is revoked");
	else
		rate(out, SEVERITY_CRITICAL, "a staple: revoked");
}

static void
rate_missing(
    struct overview_certificate *out, const struct staple_policy *policy)
{
	if (refuses_without(policy))
		rate(out, SEVERITY_CRITICAL,
		    "an alert if they request a staple, because there is none");
	else if (out->staple.must_staple)
		rate(out, SEVERITY_CRITICAL,
		    "no staple, so strict clients refuse the certificate");
	else
		rate(out, SEVERITY_WARNING, "no staple");
}

/* At least three quarters of the staple's life have passed, and the last
 * attempt failed. */
static bool
runs_out(const struct staple_info *staple, int64_t now_s)
{
	int64_t life_s = staple->expires - staple->this_update;

	return staple->failures > 0 && staple->expires != 0 &&
	       staple->expires - now_s < life_s / 4;
}

static void
rate_staple(struct overview_certificate *out,
    const struct staple_policy *policy, int64_t now_s)
{
	const struct staple_info *staple = &out->staple;
	const char *state = overview_staple_state(staple, now_s);

	if (!out->in_service)
		rate(out, SEVERITY_NOTICE,
		    "the certificate before it: this one waits for its staple");
	else if (state && strcmp(state, "revoked") == 0)
		rate_revoked(out, policy);
	else if (state && strcmp(state, "good") == 0)
		rate(out,
		    runs_out(staple, now_s) ? SEVERITY_WARNING
		    : staple->failures > 0  ? SEVERITY_NOTICE
					    : SEVERITY_GOOD,
		    "a staple: good");
	else if (staple->wanted)
		rate_missing(out, policy);
	else if (staple->must_staple)
		rate(out, SEVERITY_WARNING,
		    "no staple by policy, so strict clients refuse the "
		    "certificate");
	else
		rate(out, SEVERITY_GOOD, "no staple, by policy");
}

/* The dates of the certificate itself count as well. */
static void
rate_dates(struct overview_certificate *out, int64_t now_s)
{
	static const enum overview_severity severities[] = {
		[VALIDITY_FINE] = SEVERITY_GOOD,
		[VALIDITY_THIRD] = SEVERITY_NOTICE,
		[VALIDITY_SIXTH] = SEVERITY_WARNING,
		[VALIDITY_THIRTIETH] = SEVERITY_CRITICAL,
		[VALIDITY_ENDED] = SEVERITY_CRITICAL,
	};
	enum overview_severity severity = severities[validity_warning(
	    out->not_before, out->not_after, now_s)];

	if (now_s < out->not_before)
		severity = SEVERITY_CRITICAL;
	if (severity > out->severity)
		out->severity = severity;
}

/* ---- Certificates ---- */

static void
collect_certificate(struct overview_certificate *out,
    const struct stapling *stapling, const struct cert_entry *entry,
    const struct identity *identity, int64_t now_s)
{
	const struct staple_policy *policy = &entry->slot->id.policy;
	struct identity_description text;

	identity_describe(identity, &text);
	if (!stapling_state(stapling, identity, &out->staple)) {
		memset(&out->staple, 0, sizeof(out->staple));
		snprintf(out->staple.name, sizeof(out->staple.name), "%s",
		    identity_name(identity));
		memcpy(out->staple.id, text.id, sizeof(text.id));
	}
	memcpy(out->serial, text.serial, sizeof(text.serial));
	memcpy(out->kind, text.key, sizeof(text.key));
	memcpy(out->issuer, text.issuer, sizeof(text.issuer));
	out->listener = entry->settings->name;
	out->host = entry->settings->pattern;
	out->file = entry->slot->id.cert;
	out->mode = stapling_mode_name(policy->mode);
	out->in_service = identity == entry->slot->identity;
	out->not_before = identity_not_before(identity);
	out->not_after = identity_not_after(identity);
	rate_staple(out, policy, now_s);
	rate_dates(out, now_s);
}

/* The worst one of a certificate first: it is the one that is shown. */
static int
compare_certificates(const void *a, const void *b)
{
	const struct overview_certificate *left = a, *right = b;
	int order = strcmp(left->staple.id, right->staple.id);

	return order ? order : (int)right->severity - (int)left->severity;
}

static bool
collect_certificates(struct overview *overview, const struct stapling *stapling,
    const struct generation *generation)
{
	int64_t now_s = overview->now_ms / 1000;
	size_t i, room = 2 * generation->cert_count + 1, count = 0;
	struct overview_certificate *items = calloc(room, sizeof(items[0]));

	if (items == NULL)
		return false;
	for (i = 0; i < generation->cert_count; i++) {
		const struct cert_entry *entry = &generation->certs[i];

		if (entry->slot->identity)
			collect_certificate(&items[count++], stapling, entry,
			    entry->slot->identity, now_s);
		if (entry->slot->renewal)
			collect_certificate(&items[count++], stapling, entry,
			    entry->slot->renewal, now_s);
	}
	qsort(items, count, sizeof(items[0]), compare_certificates);
	overview->certificates = items;
	overview->certificate_count = count;
	return true;
}

/* ---- CRLs ---- */

struct crl_list {
	struct overview *overview;
	const char *file;
	size_t room;
	bool failed;
};

static void
add_crl(void *arg, const char *issuer, int64_t next_update_s)
{
	struct crl_list *list = arg;
	struct overview *overview = list->overview;
	struct overview_crl *item;
	size_t i;

	if (next_update_s == INT64_MAX)
		return; /* it never expires */
	for (i = 0; i < overview->crl_count; i++) {
		item = &overview->crls[i];
		if (strcmp(item->issuer, issuer) != 0)
			continue;
		if (next_update_s < item->next_update)
			item->next_update = next_update_s;
		return;
	}
	if (overview->crl_count == list->room) {
		size_t room = 2 * list->room + 4;

		item = realloc(overview->crls, room * sizeof(item[0]));
		if (item == NULL) {
			list->failed = true;
			return;
		}
		overview->crls = item;
		list->room = room;
	}
	item = &overview->crls[overview->crl_count++];
	snprintf(item->issuer, sizeof(item->issuer), "%s", issuer);
	item->file = list->file;
	item->next_update = next_update_s;
}

static bool
collect_crls(struct overview *overview, const struct generation *generation)
{
	struct crl_list list = { .overview = overview };
	size_t i;

	for (i = 0; i < generation->trust_count; i++) {
		list.file = generation->trusts[i].settings->crl_file;
		if (list.file != NULL)
			ca_store_each_crl(
			    generation->trusts[i].trust, add_crl, &list);
	}
	return !list.failed;
}

/* ---- Readiness ---- */

struct readiness {
	struct overview *overview;
	size_t others; /* reasons without room */
};

static void
add_reason(struct readiness *readiness, const char *reason, const char *detail)
{
	struct overview *overview = readiness->overview;

	if (overview->reason_count == REASONS_MAX) {
		readiness->others++;
		return;
	}
	snprintf(overview->reasons[overview->reason_count++],
	    sizeof(overview->reasons[0]), "%s%s", reason, detail);
}

/* The rule of `clinch healthcheck`, applied to what is held instead of to what a
 * handshake brings. */
static void
check_staple(void *arg, const struct evaluated_cert *cert)
{
	struct readiness *readiness = arg;
	const struct cert_slot_key *id = &cert->slot->id;
	const char *state = overview_staple_state(
	    &cert->info, readiness->overview->now_ms / 1000);

	if (cert->renewal ||
	    !policy_needs_staple(&id->policy, &cert->info, id->in_folder))
		return;
	if (state && strcmp(state, "revoked") == 0)
		add_reason(readiness, "revoked: ", cert->info.name);
	else if (state == NULL || strcmp(state, "good") != 0)
		add_reason(readiness, "no staple: ", cert->info.name);
}

static bool
collect_readiness(struct overview *overview, const struct stapling *stapling,
    const struct generation *generation)
{
	const struct policy_eval eval = {
		.stapling = stapling,
		.phase = PHASE_RUNNING,
		.now_s = overview->now_ms / 1000,
		.wait = START_WAIT_OVER,
	};
	struct readiness readiness = { .overview = overview };
	char text[64];

	overview->reasons = calloc(
	    REASONS_MAX + 1, sizeof(overview->reasons[0]));
	if (overview->reasons == NULL)
		return false;
	if (overview->state != STATE_SERVING)
		add_reason(&readiness, "the process is ",
		    overview_state_name(overview->state));
	else
		policy_eval_each(&eval, generation, check_staple, &readiness);
	if (readiness.others > 0) {
		snprintf(text, sizeof(text), "%zu more", readiness.others);
		snprintf(overview->reasons[overview->reason_count++],
		    sizeof(overview->reasons[0]), "%s", text);
	}
	overview->ready = overview->reason_count == 0;
	return true;
}

/* ---- Callbacks of the endpoint ---- */

static bool
collect_all(struct overview *overview, const struct stapling *stapling,
    const struct snapshot *snapshot)
{
	const struct generation *generation = snapshot->generation;

	return collect_readiness(overview, stapling, generation) &&
	       collect_listeners(overview, snapshot) &&
	       (generation == NULL ||
		   (collect_certificates(overview, stapling, generation) &&
		       collect_crls(overview, generation)));
}

static struct overview *
collect_overview(void *arg)
{
	struct collect *collect = arg;
	struct overview *overview = calloc(1, sizeof(*overview));

	if (overview == NULL)
		return NULL;
	overview->owner = take_snapshot(collect, overview);
	if (overview->owner == NULL)
		goto fail;
	overview->release = free_snapshot;
	overview->now_ms = clock_wall_ms();
	overview->start_s = collect->start_s;
	overview->config_file = collect->config_path;
	overview->openssl = tls_library_version();
	overview->threads = collect->parts->threads;
	overview->log_lines_dropped = log_dropped(collect->parts->log);
	if (collect_all(overview, collect->parts->stapling, overview->owner))
		return overview;
fail:
	overview_free(overview);
	return NULL;
}

static void
send_ping(void *arg)
{
	const struct collect *collect = arg;

	collect->calls.ping(collect->arg);
}

/* A reload that is running may have read the file already: then the one after
 * it counts. */
static uint64_t
request_reload(void *arg)
{
	struct collect *collect = arg;
	const struct overview_reloads *reloads = &collect->reloads;
	uint64_t number = 0;

	mutex_lock(&collect->lock);
	if (collect->state != STATE_DRAINING)
		number = reloads->succeeded + reloads->failed +
			 (reloads->running ? 2 : 1);
	mutex_unlock(&collect->lock);
	if (number > 0)
		collect->calls.reload(collect->arg);
	return number;
}

static uint64_t
request_upgrade(void *arg, bool *is_running)
{
	struct collect *collect = arg;
	uint64_t number = 0;

	mutex_lock(&collect->lock);
	*is_running = collect->upgrading;
	if (collect->state != STATE_DRAINING && !collect->upgrading) {
		collect->upgrading = true;
		number = collect->upgrades + 1;
	}
	mutex_unlock(&collect->lock);
	if (number > 0)
		collect->calls.upgrade(collect->arg);
	return number;
}

static size_t
refresh(void *arg, const char *certificate)
{
	const struct collect *collect = arg;

	return stapling_refresh(collect->parts->stapling, certificate);
}

/* ---- The main thread ---- */

struct collect *
collect_new(const struct generation_parts *parts, const char *config_path,
    const struct collect_calls *calls, void *arg)
{
	struct collect *collect = calloc(1, sizeof(*collect));

	if (collect == NULL)
		return NULL;
	collect->parts = parts;
	collect->config_path = config_path;
	collect->calls = *calls;
	collect->arg = arg;
	collect->start_s = clock_wall_ms() / 1000;
	mutex_init(&collect->lock);
	return collect;
}

/* References to the services of a generation; NULL: none, or no memory. */
static struct service **
list_services(const struct generation *generation, size_t *count)
{
	size_t i, all = generation ? generation_service_count(generation) : 0;
	struct service **services = all > 0 ? calloc(all, sizeof(services[0]))
					    : NULL;

	for (i = 0; services && i < all; i++)
		services[i] = service_ref(generation_service(generation, i));
	*count = services ? all : 0;
	return services;
}

void
collect_set(struct collect *collect, enum overview_state state,
    struct generation *current)
{
	struct service **services, **old_services;
	size_t count, old_count;
	struct generation *old;

	services = list_services(current, &count);
	mutex_lock(&collect->lock);
	old = collect->current;
	old_services = collect->services;
	old_count = collect->service_count;
	collect->state = state;
	collect->services = services;
	collect->service_count = count;
	collect->current = current && state != STATE_DRAINING
			       ? generation_ref(current)
			       : NULL;
	mutex_unlock(&collect->lock);
	drop_services(old_services, old_count);
	generation_unref(old);
}

bool
collect_serve(struct collect *collect, const struct generation *generation,
    struct err *err)
{
	static const struct endpoint_calls calls = {
		.collect = collect_overview,
		.ping = send_ping,
		.reload = request_reload,
		.refresh = refresh,
		.upgrade = request_upgrade,
	};

	if (generation->admin_count == 0) {
		endpoint_stop(collect->endpoint);
		collect->endpoint = NULL;
		return true;
	}
	if (collect->endpoint == NULL)
		collect->endpoint = endpoint_start(
		    &calls, collect, collect->parts->log, err);
	if (collect->endpoint == NULL)
		return false;
	if (endpoint_serve(
		collect->endpoint, generation->admin, generation->admin_count))
		return true;
	err_set(err, "out of memory for the admin endpoint");
	return false;
}

void
collect_reload_begins(struct collect *collect)
{
	mutex_lock(&collect->lock);
	collect->reloads.running = true;
	collect->reloads.error[0] = '\0';
	mutex_unlock(&collect->lock);
}

void
collect_reload_error(struct collect *collect, const char *text)
{
	char *error = collect->reloads.error;
	size_t used, max = sizeof(collect->reloads.error);

	mutex_lock(&collect->lock);
	used = strlen(error);
	if (collect->reloads.running)
		snprintf(error + used, max - used, "%s\n", text);
	mutex_unlock(&collect->lock);
}

void
collect_reloaded(struct collect *collect, bool adopted)
{
	struct overview_reloads *reloads = &collect->reloads;
	char error[sizeof(reloads->error)];
	uint64_t number;

	mutex_lock(&collect->lock);
	reloads->running = false;
	reloads->last_failed = !adopted;
	reloads->last_s = clock_wall_ms() / 1000;
	if (adopted)
		reloads->succeeded++;
	else
		reloads->failed++;
	number = reloads->succeeded + reloads->failed;
	memcpy(error, reloads->error, sizeof(error));
	mutex_unlock(&collect->lock);
	endpoint_reloaded(collect->endpoint, number, adopted, error);
}

void
collect_upgrade_begins(struct collect *collect)
{
	mutex_lock(&collect->lock);
	collect->upgrading = true;
	mutex_unlock(&collect->lock);
}

void
collect_upgraded(struct collect *collect, bool succeeded, const char *text)
{
	uint64_t number;

	mutex_lock(&collect->lock);
	collect->upgrading = false;
	number = ++collect->upgrades;
	mutex_unlock(&collect->lock);
	endpoint_upgraded(collect->endpoint, number, succeeded, text);
}

void
collect_leave(struct collect *collect)
{
	if (collect->endpoint)
		endpoint_leave(collect->endpoint);
}

void
collect_pong(struct collect *collect)
{
	endpoint_pong(collect->endpoint);
}

void
collect_free(struct collect *collect)
{
	if (collect == NULL)
		return;
	endpoint_stop(collect->endpoint);
	drop_services(collect->services, collect->service_count);
	generation_unref(collect->current);
	mutex_fini(&collect->lock);
	free(collect);
}
