/*
 * From configuration to services and sockets.  Main thread.  Everything that
 * can be wrong with the files of any listener is found before the first
 * socket is opened, so that a bad configuration disturbs nobody; a service
 * whose configuration and identity did not change is shared whole, which is
 * what keeps memory level over many reloads.
 */
#include "runtime/generation.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/ports.h"
#include "tls/context.h"
#include "tls/identity.h"

struct generation {
	atomic_uint references;

	/* fixed at creation */
	const struct config *config;
	struct service **services;
	size_t service_count;
	struct ports ports;
};

/* One run of generation_build. */
struct build {
	struct generation *old; /* may be NULL */
	const struct config *config;
	const struct generation_parts *parts;
	struct generation_errors *errors;
	struct generation *fresh;
	bool failed;
};

enum blame { BLAME_CONFIG, BLAME_SYSTEM };

void
generation_errors_free(struct generation_errors *errors)
{
	config_errors_free(&errors->all);
}

static void
add_error(struct build *build, enum blame blame, const char *text)
{
	struct config_strings *list = &build->errors->all.list;
	char **items;

	build->failed = true; /* even without memory to say why */
	if (blame == BLAME_CONFIG)
		build->errors->bad_config = true;
	items = realloc(list->items, (list->count + 1) * sizeof(items[0]));
	if (items == NULL)
		return;
	list->items = items;
	items[list->count] = strdup(text);
	if (items[list->count])
		list->count++;
}

static void
fail(struct build *build, enum blame blame, const struct config_where *where,
    const struct config_listener *listener, struct err *err)
{
	err_prefix(err, "listener %s", listener->name);
	if (where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	add_error(build, blame, err->text);
}

static void
warn(const struct build *build, const struct config_listener *listener,
    const char *text)
{
	if (text[0])
		log_warning(build->parts->log, "tls", text,
		    LOG_S("listener", listener->name));
}

static struct service *
find_old(const struct build *build, const char *name)
{
	size_t i;

	for (i = 0; build->old && i < build->old->service_count; i++)
		if (strcmp(build->old->services[i]->listener->name, name) == 0)
			return build->old->services[i];
	return NULL;
}

static void
warn_of_expiry(const struct build *build,
    const struct config_listener *listener, const struct identity *identity)
{
	if (identity_not_after(identity) * 1000 > clock_wall_ms())
		return;
	log_warning(build->parts->log, "tls", "certificate has expired",
	    LOG_S("listener", listener->name),
	    LOG_S("cert", identity_name(identity)),
	    LOG_S("file", listener->cert));
}

/* Each line to mend: the key's when it is the key, or is missing as well. */
static void
fail_identity(struct build *build, const struct config_listener *listener,
    struct err *err)
{
	bool is_key = err_names(err, listener->key) &&
		      !err_names(err, listener->cert);

	fail(build, BLAME_CONFIG,
	    is_key ? &listener->key_where : &listener->cert_where, listener,
	    err);
	if (is_key || !listener->key || access(listener->key, R_OK) == 0)
		return;
	err_set_errno(err, errno, "cannot read %s", listener->key);
	fail(build, BLAME_CONFIG, &listener->key_where, listener, err);
}

static struct identity *
load_identity(struct build *build, const struct config_listener *listener)
{
	struct err err = { "" }, warning = { "" };
	struct identity *identity;

	identity = identity_load(listener->cert, listener->key,
	    listener->key_permissions, &warning, &err);
	if (identity == NULL) {
		fail_identity(build, listener, &err);
		return NULL;
	}
	warn(build, listener, warning.text);
	warn_of_expiry(build, listener, identity);
	return identity;
}

static struct service *
make_service(struct build *build, const struct config_listener *listener,
    struct tls_context *tls, struct service *old)
{
	struct service *service = NULL;
	struct backends *backends = backends_new(listener);
	struct limit *limit;

	limit = old ? limit_ref(old->limit) : limit_new(build->parts->process);
	if (backends && limit) {
		if (old)
			backends_inherit(backends, old->backends);
		service = service_new(
		    build->config, listener, tls, backends, limit);
	}
	backends_unref(backends);
	limit_unref(limit);
	return service;
}

/* The value of the TLS key whose line the sentence begins with; or NULL. */
static const char **
find_blamed(struct config_listener *listener, const struct err *err)
{
	if (config_where_begins(&listener->ciphers_where, err->text))
		return &listener->ciphers;
	if (config_where_begins(&listener->ciphersuites_where, err->text))
		return &listener->ciphersuites;
	if (config_where_begins(&listener->groups_where, err->text))
		return &listener->groups;
	return NULL;
}

/* Each refused key is left out in turn, to learn what is wrong besides. */
static void
fail_tls(struct build *build, const struct config_listener *listener,
    struct identity *identity, struct err *err)
{
	struct config_listener rest = *listener;
	struct tls_context *tls = NULL;
	const char **blamed;

	while (tls == NULL && (blamed = find_blamed(&rest, err)) && *blamed) {
		add_error(build, BLAME_CONFIG, err->text);
		*blamed = NULL;
		tls = tls_context_new(
		    &rest, identity, build->parts->keys, NULL, err);
	}
	if (tls == NULL)
		fail(build, BLAME_CONFIG, &listener->where, listener, err);
	tls_context_unref(tls);
}

static struct service *
build_service(struct build *build, const struct config_listener *listener,
    struct identity *identity)
{
	struct service *old = find_old(build, listener->name);
	struct err err = { "" }, warning = { "" };
	struct service *service;
	struct tls_context *tls;

	if (old && config_listener_equal(old->listener, listener) &&
	    identity_equal(tls_context_identity(old->tls), identity))
		return service_ref(old);
	tls = tls_context_new(
	    listener, identity, build->parts->keys, &warning, &err);
	if (tls == NULL) {
		fail_tls(build, listener, identity, &err);
		return NULL;
	}
	warn(build, listener, warning.text);
	service = make_service(build, listener, tls, old);
	tls_context_unref(tls);
	if (service == NULL) {
		err_set(&err, "out of memory");
		fail(build, BLAME_SYSTEM, &listener->where, listener, &err);
	}
	return service;
}

static void
build_services(struct build *build)
{
	struct generation *fresh = build->fresh;
	const struct config_listener *listener;
	struct identity *identity;
	struct service *service;
	size_t i;

	for (i = 0; i < build->config->listener_count; i++) {
		listener = &build->config->listeners[i];
		identity = load_identity(build, listener);
		if (identity == NULL)
			continue;
		service = build_service(build, listener, identity);
		identity_unref(identity);
		if (service)
			fresh->services[fresh->service_count++] = service;
	}
}

/*
 * The sockets of one service.  A shared service keeps the configuration it was
 * born with, whose accept lines are equal to the new ones but for `where`.
 */
static void
build_ports(struct build *build, struct ports_source *source,
    const struct config_listener *listener, struct service *service)
{
	struct ports *ports = &build->fresh->ports;
	const struct config_accept *accept;
	struct err err = { "" };
	size_t i;

	if (listener->fd && !ports_add_named(ports, source, service, &err))
		fail(build, BLAME_SYSTEM, &listener->where, listener, &err);
	for (i = 0; i < listener->accept.count; i++) {
		accept = &listener->accept.items[i];
		if (!ports_add(ports, source, service, accept, &err))
			fail(build, BLAME_SYSTEM, &accept->where, listener,
			    &err);
	}
}

static void
build_all_ports(struct build *build)
{
	struct generation *fresh = build->fresh;
	struct ports_source source = { .parts = build->parts };
	size_t i;

	if (build->old) {
		source.old = &build->old->ports;
		source.taken = calloc(source.old->count + 1, sizeof(bool));
		if (source.taken == NULL) {
			add_error(build, BLAME_SYSTEM, "out of memory");
			return;
		}
	}
	for (i = 0; i < fresh->service_count; i++)
		build_ports(build, &source, &build->config->listeners[i],
		    fresh->services[i]);
	free(source.taken);
}

static struct generation *
new_generation(const struct config *config)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (generation == NULL)
		return NULL;
	atomic_init(&generation->references, 1);
	generation->services = calloc(
	    config->listener_count + 1, sizeof(generation->services[0]));
	if (generation->services == NULL) {
		free(generation);
		return NULL;
	}
	generation->config = config_ref(config);
	return generation;
}

struct generation *
generation_build(struct generation *old, const struct config *config,
    const struct generation_parts *parts, bool check_only,
    struct generation_errors *errors)
{
	struct build build = {
		.old = old,
		.config = config,
		.parts = parts,
		.errors = errors,
	};

	memset(errors, 0, sizeof(*errors));
	build.fresh = new_generation(config);
	if (build.fresh == NULL) {
		add_error(&build, BLAME_SYSTEM, "out of memory");
		return NULL;
	}
	build_services(&build);
	if (!build.failed && !check_only)
		build_all_ports(&build);
	if (!build.failed)
		return build.fresh;
	generation_unref(build.fresh);
	return NULL;
}

struct generation *
generation_ref(struct generation *generation)
{
	atomic_fetch_add_explicit(
	    &generation->references, 1, memory_order_relaxed);
	return generation;
}

void
generation_unref(struct generation *generation)
{
	size_t i;

	/* Acquire and release: the last holder sees what all others wrote. */
	if (generation == NULL ||
	    atomic_fetch_sub_explicit(
		&generation->references, 1, memory_order_acq_rel) > 1)
		return;
	ports_fini(&generation->ports);
	for (i = 0; i < generation->service_count; i++)
		service_unref(generation->services[i]);
	free(generation->services);
	config_unref(generation->config);
	free(generation);
}

const struct config *
generation_config(const struct generation *generation)
{
	return generation->config;
}

size_t
generation_port_count(const struct generation *generation)
{
	return generation->ports.count;
}

struct generation_port
generation_port(const struct generation *generation, size_t i)
{
	const struct port *port = &generation->ports.items[i];

	return (struct generation_port){
		.listener = port->listener,
		.service = port->service,
		.fresh = port->fresh,
	};
}

size_t
generation_service_count(const struct generation *generation)
{
	return generation->service_count;
}

struct service *
generation_service(const struct generation *generation, size_t i)
{
	return generation->services[i];
}
