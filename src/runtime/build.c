/*
 * From configuration to services and sockets.  Main thread.  Everything that
 * can be wrong with the files of any listener is found before the first
 * socket is opened, so that a bad configuration disturbs nobody.
 */
#include "runtime/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/service.h"
#include "runtime/generation.h"
#include "runtime/generation_inner.h"
#include "runtime/ports.h"
#include "runtime/stapling.h"
#include "tls/context.h"

void
generation_errors_free(struct generation_errors *errors)
{
	config_errors_free(&errors->all);
}

void
build_error(struct build *build, enum blame blame, const char *text)
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

void
build_fail(struct build *build, enum blame blame,
    const struct config_where *where, const struct config_listener *listener,
    struct err *err)
{
	err_prefix(err, "listener %s", listener->name);
	if (where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	build_error(build, blame, err->text);
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
		build_fail(
		    build, BLAME_SYSTEM, &listener->where, listener, &err);
	for (i = 0; i < listener->accept.count; i++) {
		accept = &listener->accept.items[i];
		if (!ports_add(ports, source, service, accept, &err))
			build_fail(build, BLAME_SYSTEM, &accept->where,
			    listener, &err);
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
			build_error(build, BLAME_SYSTEM, "out of memory");
			return;
		}
	}
	for (i = 0; i < fresh->service_count; i++)
		build_ports(build, &source, &build->config->listeners[i],
		    fresh->services[i]);
	free(source.taken);
}

/* The other listener that shows this certificate with another staple_file. */
static const struct config_listener *
find_contradiction(const struct build *build, size_t i, const char *id)
{
	const char *file = build->config->listeners[i].staple_file;
	const struct config_listener *other;
	struct staple_info info;
	size_t k;

	for (k = 0; k < build->fresh->service_count; k++) {
		other = &build->config->listeners[k];
		if (other->staple_file && strcmp(other->staple_file, file) == 0)
			continue;
		if (stapling_state(build->parts->stapling,
			tls_context_identity(build->fresh->services[k]->tls),
			&info) &&
		    strcmp(info.id, id) == 0)
			return other;
	}
	return NULL;
}

/* What is fetched belongs to the certificate: two sources contradict. */
static void
check_sources(struct build *build)
{
	const struct config_listener *listener, *other;
	struct staple_info info;
	struct err err;
	size_t i;

	for (i = 0; i < build->fresh->service_count; i++) {
		listener = &build->config->listeners[i];
		if (listener->staple_file == NULL ||
		    !stapling_state(build->parts->stapling,
			tls_context_identity(build->fresh->services[i]->tls),
			&info))
			continue;
		other = find_contradiction(build, i, info.id);
		if (other == NULL)
			continue;
		err_set(&err,
		    "staple_file: listener %s (%s:%u) shows the same "
		    "certificate without this file; say the same in both",
		    other->name, other->where.file, other->where.line);
		build_fail(build, BLAME_CONFIG, &listener->staple_file_where,
		    listener, &err);
	}
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
		.now_s = clock_wall_ms() / 1000,
		.errors = errors,
	};
	size_t i;

	memset(errors, 0, sizeof(*errors));
	build.fresh = generation_new(config);
	if (build.fresh == NULL) {
		build_error(&build, BLAME_SYSTEM, "out of memory");
		return NULL;
	}
	for (i = 0; i < config->listener_count; i++)
		build_service(&build, &config->listeners[i]);
	if (!build.failed)
		check_sources(&build);
	if (!build.failed && !check_only)
		build_all_ports(&build);
	if (!build.failed)
		return build.fresh;
	generation_unref(build.fresh);
	return NULL;
}
