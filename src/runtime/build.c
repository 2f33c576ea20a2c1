/*
 * From configuration to services and sockets.  Main thread.  Everything that
 * can be wrong with the files of any listener is found before the first
 * socket is opened, so that a bad configuration disturbs nobody.
 */
#include "runtime/build.h"
#include "runtime/certs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/generation_inner.h"
#include "runtime/sockets.h"
#include "tls/identity.h"
#include "tls/ticket.h"

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
    const struct config_where *where, const struct config_listener *settings,
    struct err *err)
{
	if (settings->pattern)
		err_prefix(err, "host %s", settings->pattern);
	err_prefix(err, "listener %s", settings->name);
	if (where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	build_error(build, blame, err->text);
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

/* The sockets of one service. */
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

/* With the same configuration the sockets are the same. */
static void
share_all_ports(struct build *build)
{
	struct err err = { "" };

	if (!ports_share(&build->fresh->ports, &build->old->ports,
		build->old->services, build->fresh->services, &err))
		build_error(build, BLAME_SYSTEM, err.text);
}

/* Keys that a fleet shares are read when the generation is in force; that
 * they can be is found out now. */
static void
check_tickets(struct build *build)
{
	const struct config *config = build->config;
	const struct config_where *where = &config->ticket_key_file_where;
	struct err err = { "" };

	if (config->ticket_key_file == NULL ||
	    build->cause == GENERATION_FILES ||
	    ticket_keys_check(config->ticket_key_file,
		config->ticket_key_permissions, NULL, &err))
		return;
	err_prefix(&err, "%s:%u: ticket_key_file", where->file, where->line);
	build_error(build, BLAME_CONFIG, err.text);
}

/*
 * What libstaple knows of a certificate follows from [ocsp]; as long as that
 * says the same, those it has been shown already need not be shown again.
 */
static bool
must_ask_anew(const struct config *config, const struct generation *old)
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

/* ---- One certificate, two sources ---- */

static const struct identity *
identity_of(const struct holding *holding)
{
	return holding->credential->renewal ? holding->credential->renewal
					    : holding->credential->identity;
}

static int
compare_certificates(const void *a, const void *b)
{
	const struct holding *const *one = a, *const *other = b;

	return identity_compare(identity_of(*one), identity_of(*other));
}

static bool
is_same_file(const struct holding *a, const struct holding *b)
{
	const char *one = a->credential->id.staple_file;
	const char *other = b->credential->id.staple_file;

	return one == other || (one && other && strcmp(one, other) == 0);
}

static void
report_contradiction(
    struct build *build, const struct holding *one, const struct holding *other)
{
	struct err err;

	if (one->credential->id.staple_file == NULL)
		return; /* the other one is to be mended */
	err_set(&err,
	    "staple_file: listener %s (%s:%u) shows the same certificate "
	    "without this file; say the same in both",
	    other->user->name, other->user->where.file,
	    other->user->where.line);
	build_fail(build, BLAME_CONFIG, &one->user->staple_files.items[0].where,
	    one->user, &err);
}

/* What is fetched belongs to the certificate: two sources contradict. */
static void
check_sources(struct build *build)
{
	const struct generation *fresh = build->fresh;
	const struct holding **sorted;
	size_t i, count = 0;

	sorted = calloc(fresh->holding_count + 1, sizeof(sorted[0]));
	if (sorted == NULL) {
		build_error(build, BLAME_SYSTEM, "out of memory");
		return;
	}
	for (i = 0; i < fresh->holding_count; i++)
		if (identity_of(&fresh->holdings[i]))
			sorted[count++] = &fresh->holdings[i];
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
run(struct build *build)
{
	size_t i;

	check_tickets(build);
	for (i = 0; i < build->config->listener_count; i++)
		build_display(build, i);
	if (build->cause != GENERATION_FILES)
		check_sources(build);
	/* Contexts too: all that is wrong is told in one run. */
	for (i = 0; i < build->config->listener_count; i++)
		build_service(build, i);
	/* With a service missing, a name might only seem to have no effect. */
	if (!build->failed && build->cause != GENERATION_FILES)
		build_survey(build);
	if (build->failed || build->cause == GENERATION_CHECK)
		return;
	if (build->cause == GENERATION_FILES)
		share_all_ports(build);
	else
		build_all_ports(build);
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
		.now_s = clock_wall_ms() / 1000,
		.errors = errors,
		.asks_anew = must_ask_anew(config, old),
	};

	memset(errors, 0, sizeof(*errors));
	build.fresh = generation_new(config);
	if (build.fresh && build_index(&build))
		run(&build);
	else
		build_error(&build, BLAME_SYSTEM, "out of memory");
	build_forget(&build);
	if (!build.failed)
		return build.fresh;
	generation_unref(build.fresh);
	return NULL;
}
