/*
 * What no single key can know: that something is missing, said twice or
 * contradicts another.  Each error stands where the user would mend it, so
 * the search for a key's place goes from the listener up through the
 * sections its value may have come from.  Main thread.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "config/arena.h"
#include "config/build.h"
#include "config/report.h"

#define ACCEPTS_MAX 4096 /* in all listeners */

static void
check_missing(struct report *report, const struct config_listener *listener,
    const struct layer *layer)
{
	/* What was said wrongly has been reported and is not missing. */
	if (apply_said(layer, "accept") == NULL &&
	    apply_said(layer, "fd") == NULL)
		report_error(report, &listener->where,
		    "listener %.64s has no accept: say where clients connect, "
		    "such as accept = 443",
		    listener->name);
	if (apply_said(layer, "connect") == NULL)
		report_error(report, &listener->where,
		    "listener %.64s has no connect: name the backend, such as "
		    "connect = 127.0.0.1:8080",
		    listener->name);
	if (apply_said(layer, "cert") == NULL)
		report_error(report, &listener->where,
		    "listener %.64s has no cert: name a PEM file with its "
		    "certificate",
		    listener->name);
}

/* The later of two places where one of the two keys was said. */
static const struct config_where *
blame(const struct config_listener *listener, const struct layer *layer,
    const char *first, const char *second)
{
	const struct config_where *where = apply_said(layer, first);

	if (where == NULL)
		where = apply_said(layer, second);
	return where != NULL ? where : &listener->where;
}

static void
check_versions(struct report *report, const struct config_listener *listener,
    const struct layer *layer)
{
	if (listener->max_version != TLS_VERSION_1_2)
		return;
	if (listener->min_version == TLS_VERSION_1_3)
		report_error(report,
		    blame(listener, layer, "max_version", "min_version"),
		    "listener %.64s allows no TLS version at all: min_version "
		    "is TLSv1.3 and max_version is TLSv1.2",
		    listener->name);
	else if (listener->profile == PROFILE_MODERN)
		report_error(report,
		    blame(listener, layer, "max_version", "profile"),
		    "listener %.64s: profile modern is TLS 1.3 alone, but "
		    "max_version is TLSv1.2",
		    listener->name);
}

static void
check_names(const struct build *build)
{
	const struct config *config = build->config;

	for (size_t i = 1; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		const struct config_listener *other = config->listeners;

		while (strcmp(other->name, listener->name) != 0)
			other++;
		if (other != listener)
			report_error(build->report, &listener->where,
			    "there is already a listener %.64s in %s:%u",
			    listener->name, other->where.file,
			    other->where.line);
	}
}

/* One accept of any listener. */
struct taken {
	const struct config_accept *accept;
	const struct config_listener *listener;
};

static bool
is_fixed(const struct addr *addr)
{
	return addr_is_unix(addr) || addr_port(addr) != 0;
}

static void
report_twice(struct report *report, const struct taken *first,
    const struct taken *second)
{
	char text[ADDR_TEXT_MAX];

	report_error(report, &second->accept->where,
	    "accept %s of listener %.64s is already taken by listener %.64s "
	    "in %s:%u",
	    addr_print(&second->accept->addr, text, sizeof(text)),
	    second->listener->name, first->listener->name,
	    first->accept->where.file, first->accept->where.line);
}

static void
find_twins(struct report *report, const struct taken *taken, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct addr *addr = &taken[i].accept->addr;

		for (size_t j = 0; j < i; j++) {
			if (!addr_equal(addr, &taken[j].accept->addr))
				continue;
			report_twice(report, &taken[j], &taken[i]);
			break;
		}
	}
}

static size_t
count_accepts(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		count += config->listeners[i].accept.count;
	return count;
}

static void
check_addresses(const struct build *build)
{
	const struct config *config = build->config;
	size_t max = count_accepts(config), count = 0;
	struct taken *taken;

	if (max > ACCEPTS_MAX) {
		report_error(build->report,
		    &(struct config_where){ config->file, 0 },
		    "there are more than %d addresses to accept on",
		    ACCEPTS_MAX);
		return;
	}
	taken = arena_alloc(build->arena, max * sizeof(*taken));
	if (taken == NULL) {
		report_no_memory(build->report);
		return;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->accept.count; j++)
			if (is_fixed(&listener->accept.items[j].addr))
				taken[count++] = (struct taken){
					&listener->accept.items[j], listener
				};
	}
	find_twins(build->report, taken, count);
}

void
check_config(const struct build *build)
{
	const struct config *config = build->config;

	for (size_t i = 0; i < config->listener_count; i++) {
		check_missing(
		    build->report, &config->listeners[i], &build->listeners[i]);
		check_versions(
		    build->report, &config->listeners[i], &build->listeners[i]);
	}
	check_names(build);
	check_addresses(build);
	if (config->listener_count == 0 && report_is_clean(build->report))
		report_error(build->report,
		    &(struct config_where){ config->file, 0 },
		    "there is no listener: add a section [listener NAME] with "
		    "accept, connect and cert");
}

static void
check_file(struct report *report, const char *key, const char *path,
    const struct config_where *where)
{
	if (path != NULL && access(path, R_OK) != 0)
		report_error(report, where, "%s: cannot read %s: %s", key, path,
		    strerror(errno));
}

void
check_files(const struct build *build)
{
	const struct config *config = build->config;

	if (report_is_clean(build->report))
		return;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];

		check_file(build->report, "cert", listener->cert,
		    &listener->cert_where);
		check_file(
		    build->report, "key", listener->key, &listener->key_where);
	}
	check_file(build->report, "ca_file", config->ocsp.ca_file,
	    &config->ocsp.ca_file_where);
}
