/*
 * Where the sockets of a generation come from.  Main thread.  An old socket
 * is preferred to everything else, because the clients in its queue are lost
 * when it is closed; first that of a listener of the same name, so that two
 * listeners with port 0 keep the port each of them got.
 */
#include "runtime/ports.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/generation.h"
#include "runtime/inherited.h"

/* Takes the reference, also when there is no memory. */
static bool
append(struct ports *ports, const struct port *port, struct err *err)
{
	struct port *items;
	size_t room = ports->room ? ports->room * 2 : 8;

	if (ports->count == ports->room) {
		items = realloc(ports->items, room * sizeof(items[0]));
		if (items == NULL) {
			listener_unref(port->listener);
			err_set(err, "out of memory for sockets");
			return false;
		}
		ports->items = items;
		ports->room = room;
	}
	ports->items[ports->count++] = *port;
	return true;
}

static bool
append_fresh(struct ports *ports, struct service *service,
    struct listener *listener, bool named, struct err *err)
{
	const struct port port = {
		.listener = listener,
		.service = service,
		.named = named,
		.fresh = true,
	};

	return append(ports, &port, err);
}

/* Take over old port i for this service. */
static bool
append_old(struct ports *ports, struct ports_source *source, size_t i,
    struct service *service, struct err *err)
{
	const struct port *old = &source->old->items[i];
	const struct port port = {
		.listener = listener_ref(old->listener),
		.service = service,
		.named = old->named,
		.fresh = false,
	};

	source->taken[i] = true;
	return append(ports, &port, err);
}

static bool
has_fd_name(const struct port *port, const char *name)
{
	const char *had = port->service->listener->fd;

	return port->named && had && strcmp(had, name) == 0;
}

static bool
take_named_over(struct ports *ports, struct ports_source *source,
    struct service *service, struct err *err)
{
	const char *name = service->listener->fd;
	size_t i;

	for (i = 0; source->old && i < source->old->count; i++) {
		if (source->taken[i] ||
		    !has_fd_name(&source->old->items[i], name))
			continue;
		if (!append_old(ports, source, i, service, err))
			return false;
	}
	return true;
}

bool
ports_add_named(struct ports *ports, struct ports_source *source,
    struct service *service, struct err *err)
{
	const char *name = service->listener->fd;
	struct listener *listener;
	size_t before = ports->count;
	int fd;

	if (!take_named_over(ports, source, service, err))
		return false;
	while (
	    (fd = inherited_take(source->parts->inherited, name, NULL)) >= 0) {
		listener = listener_adopt(fd, err);
		if (listener == NULL)
			goto fail;
		if (!append_fresh(ports, service, listener, true, err))
			goto fail;
	}
	if (ports->count > before || service->listener->accept.count > 0)
		return true;
	err_set(err,
	    "no inherited socket has this name in LISTEN_FDNAMES; start clinch "
	    "from its socket unit, or say accept =");
fail:
	err_prefix(err, "fd %s", name);
	return false;
}

static struct listener_options
options_of(
    const struct config_listener *config, const struct generation_parts *parts)
{
	return (struct listener_options){
		.threads = parts->threads,
		.backlog = config->backlog,
		.unix_mode = config->unix_mode,
		.v6only = config->v6only,
		.bind_early = config->bind_early,
		.device = config->device,
	};
}

/* A named socket of this service on the very address. */
static bool
is_covered(const struct ports *ports, const struct service *service,
    const struct config_accept *accept)
{
	const struct port *port;
	size_t i;

	for (i = 0; i < ports->count; i++) {
		port = &ports->items[i];
		if (port->service == service && port->named &&
		    addr_equal(listener_address(port->listener), &accept->addr))
			return true;
	}
	return false;
}

static bool
is_same_name(const struct port *port, const struct service *service)
{
	return strcmp(port->service->listener->name, service->listener->name) ==
	       0;
}

/* The old port that can serve this line; old->count: none. */
static size_t
find_old(const struct ports_source *source, const struct service *service,
    const struct config_accept *accept)
{
	const struct listener_options options = options_of(
	    service->listener, source->parts);
	const struct ports *old = source->old;
	size_t i, other = old->count;

	for (i = 0; i < old->count; i++) {
		if (source->taken[i] ||
		    !listener_matches(old->items[i].listener, accept, &options))
			continue;
		if (is_same_name(&old->items[i], service))
			return i;
		/* "Some port" of another listener is not ours to take. */
		if (addr_port(&accept->addr) != 0 ||
		    addr_is_unix(&accept->addr))
			other = i;
	}
	return other;
}

/* An inherited socket on that address; a bare port fits both families. */
static int
take_inherited(struct inherited *inherited, const struct config_accept *accept)
{
	struct addr any4;
	int fd = inherited_take(inherited, NULL, &accept->addr);

	if (fd >= 0 || !accept->any_family)
		return fd;
	memset(&any4, 0, sizeof(any4));
	any4.in.sin_family = AF_INET;
	any4.len = sizeof(any4.in);
	addr_set_port(&any4, addr_port(&accept->addr));
	return inherited_take(inherited, NULL, &any4);
}

/* Do we hold that port already, under another address or other options? */
static bool
is_port_ours(
    const struct ports_source *source, const struct config_accept *accept)
{
	size_t i;

	for (i = 0; source->old && i < source->old->count; i++)
		if (listener_overlaps(source->old->items[i].listener, accept))
			return true;
	return false;
}

static bool
open_new(struct ports *ports, struct ports_source *source,
    struct service *service, const struct config_accept *accept,
    struct err *err)
{
	struct listener_options options = options_of(
	    service->listener, source->parts);
	struct listener *listener;
	bool v4_only = false;

	options.port_is_ours = is_port_ours(source, accept);
	listener = listener_open(accept, &options, &v4_only, err);
	if (listener == NULL)
		return false;
	if (v4_only)
		log_info(source->parts->log, "listener",
		    "no IPv6 in this kernel, IPv4 alone",
		    LOG_S("listener", service->listener->name));
	return append_fresh(ports, service, listener, false, err);
}

bool
ports_add(struct ports *ports, struct ports_source *source,
    struct service *service, const struct config_accept *accept,
    struct err *err)
{
	struct listener *listener;
	size_t i;
	int fd;

	if (is_covered(ports, service, accept))
		return true;
	i = source->old ? find_old(source, service, accept) : 0;
	if (source->old && i < source->old->count)
		return append_old(ports, source, i, service, err);
	fd = take_inherited(source->parts->inherited, accept);
	if (fd < 0)
		return open_new(ports, source, service, accept, err);
	listener = listener_adopt(fd, err);
	return listener && append_fresh(ports, service, listener, false, err);
}

bool
ports_share(struct ports *ports, const struct ports *from,
    struct service *const *before, struct service *const *services,
    struct err *err)
{
	struct port port;
	size_t i, k;

	for (i = 0; i < from->count; i++) {
		port = from->items[i];
		for (k = 0; before[k] != port.service; k++)
			; /* every port belongs to one of them */
		port.service = services[k];
		listener_ref(port.listener);
		if (!append(ports, &port, err))
			return false;
	}
	return true;
}

void
ports_fini(struct ports *ports)
{
	size_t i;

	for (i = 0; i < ports->count; i++)
		listener_unref(ports->items[i].listener);
	free(ports->items);
	ports->items = NULL;
	ports->count = 0;
	ports->room = 0;
}
