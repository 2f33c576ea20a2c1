/*
 * The listening sockets of a generation: inherited by LISTEN_FDS, taken over
 * from the generation before, or opened.  Main thread.
 *
 * An old socket is preferred to everything else, because the clients in its
 * queue are lost when it is closed; and first that of a listener of the same
 * name, so that two listeners with port 0 keep the port each of them got.  For
 * the same reason all sockets of an address stay together, also where an
 * upgrade found more of them than there are threads.  The
 * variables of LISTEN_FDS are removed whether or not they were meant for this
 * process: no child may inherit them.
 */
#include "runtime/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/generation.h"

/* ---- Inherited sockets ---- */

#define FIRST_FD 3 /* sd_listen_fds(3) */
#define FDS_MAX 1024L
#define ADMIN_BACKLOG 64

struct inherited_socket {
	int fd; /* -1: taken */
	char *name;
	struct addr addr;
};

struct inherited {
	struct inherited_socket *items;
	size_t count;
};

static bool
parse_number(const char *text, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return end != text && *end == '\0' && errno == 0;
}

/* The number of sockets for this process; 0: none, -1 and *err: invalid. */
static long
count_given(struct err *err)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	long number;

	if (pid == NULL || fds == NULL)
		return 0;
	if (!parse_number(pid, &number) || number != (long)getpid())
		return 0;
	if (!parse_number(fds, &number) || number < 0 || number > FDS_MAX) {
		err_set(err, "LISTEN_FDS=%s is not a number of sockets", fds);
		return -1;
	}
	return number;
}

/* The next name of a list separated by colons; "" after the last. */
static char *
next_name(const char **names)
{
	size_t length = strcspn(*names, ":");
	char *name = strndup(*names, length);

	*names += length;
	if (**names == ':')
		(*names)++;
	return name;
}

static bool
describe_socket(struct inherited_socket *given, int fd, struct err *err)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
		err_set_errno(err, errno,
		    "LISTEN_FDS announces descriptor %d, which is not open",
		    fd);
		return false;
	}
	given->fd = fd;
	if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) {
		err_set_errno(err, errno,
		    "LISTEN_FDS announces descriptor %d, which is not a socket",
		    fd);
		return false;
	}
	addr_from_sockaddr(
	    &given->addr, (const struct sockaddr *)&storage, length);
	return true;
}

static bool
collect(struct inherited *inherited, size_t count, struct err *err)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t i;

	if (names == NULL)
		names = "";
	inherited->items = calloc(count, sizeof(inherited->items[0]));
	if (inherited->items == NULL)
		goto fail;
	for (i = 0; i < count; i++) {
		inherited->items[i].fd = -1;
		inherited->count = i + 1;
		inherited->items[i].name = next_name(&names);
		if (inherited->items[i].name == NULL)
			goto fail;
		if (!describe_socket(
			&inherited->items[i], FIRST_FD + (int)i, err))
			return false;
	}
	return true;

fail:
	err_set(err, "out of memory for inherited sockets");
	return false;
}

struct inherited *
inherited_collect(struct err *err)
{
	struct inherited *inherited;
	long count = count_given(err);

	if (count < 0)
		return NULL;
	inherited = calloc(1, sizeof(*inherited));
	if (inherited == NULL) {
		err_set(err, "out of memory for inherited sockets");
		return NULL;
	}
	if (count > 0 && !collect(inherited, (size_t)count, err)) {
		inherited_free(inherited, NULL);
		return NULL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return inherited;
}

size_t
inherited_count(const struct inherited *inherited)
{
	size_t i, count = 0;

	if (inherited == NULL)
		return 0;
	for (i = 0; i < inherited->count; i++)
		count += inherited->items[i].fd >= 0;
	return count;
}

static bool
fits(const struct inherited_socket *given, const char *name,
    const struct addr *addr)
{
	if (given->fd < 0)
		return false;
	if (name)
		return strcmp(given->name, name) == 0;
	return addr_equal(&given->addr, addr);
}

int
inherited_take(
    struct inherited *inherited, const char *name, const struct addr *addr)
{
	size_t i;
	int fd;

	if (inherited == NULL)
		return -1;
	for (i = 0; i < inherited->count; i++) {
		if (!fits(&inherited->items[i], name, addr))
			continue;
		fd = inherited->items[i].fd;
		inherited->items[i].fd = -1;
		return fd;
	}
	return -1;
}

void
inherited_free(struct inherited *inherited, struct log *log)
{
	char text[ADDR_TEXT_MAX];
	struct inherited_socket *given;
	size_t i;

	if (inherited == NULL)
		return;
	for (i = 0; i < inherited->count; i++) {
		given = &inherited->items[i];
		if (given->fd >= 0) {
			log_warning(log, "process",
			    "inherited socket matches no listener; closed",
			    LOG_S("name", given->name),
			    LOG_S("address",
				addr_print(&given->addr, text, sizeof(text))));
			close(given->fd);
		}
		free(given->name);
	}
	free(inherited->items);
	free(inherited);
}

/* ---- Sockets of a generation ---- */

bool
sockets_append(struct sockets *sockets, const struct listen_socket *socket,
    struct err *err)
{
	struct listen_socket *items;
	size_t room = sockets->room ? sockets->room * 2 : 8;

	if (sockets->count == sockets->room) {
		items = realloc(sockets->items, room * sizeof(items[0]));
		if (items == NULL) {
			listener_unref(socket->listener);
			err_set(err, "out of memory for sockets");
			return false;
		}
		sockets->items = items;
		sockets->room = room;
	}
	sockets->items[sockets->count++] = *socket;
	return true;
}

static bool
append_fresh(struct sockets *sockets, struct service *service,
    struct listener *listener, bool named, struct err *err)
{
	const struct listen_socket socket = {
		.listener = listener,
		.service = service,
		.name = service->listener->name,
		.fd_name = named ? service->listener->fd : NULL,
		.fresh = true,
	};

	return sockets_append(sockets, &socket, err);
}

static bool
has_fd_name(const struct listen_socket *socket, const char *name)
{
	return socket->fd_name && name && strcmp(socket->fd_name, name) == 0;
}

/* Take over old socket i for this service. */
static bool
append_old(struct sockets *sockets, struct sockets_source *source, size_t i,
    struct service *service, struct err *err)
{
	const struct listen_socket *old = &source->old->items[i];
	const char *fd_name = service->listener->fd;
	const struct listen_socket socket = {
		.listener = listener_ref(old->listener),
		.service = service,
		.name = service->listener->name,
		.fd_name = has_fd_name(old, fd_name) ? fd_name : NULL,
	};

	source->taken[i] = true;
	return sockets_append(sockets, &socket, err);
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

/* After append_old(): the other sockets of this accept line. */
static bool
append_rest(struct sockets *sockets, struct sockets_source *source,
    const struct config_accept *accept, struct err *err)
{
	const struct listen_socket first = sockets->items[sockets->count - 1];
	const struct listener_options options = options_of(
	    first.service->listener, source->parts);
	const struct listener *other;
	size_t i;

	if (listener_is_inherited(first.listener))
		return true;
	for (i = 0; i < source->old->count; i++) {
		other = source->old->items[i].listener;
		if (source->taken[i] ||
		    !addr_equal(listener_address(other),
			listener_address(first.listener)) ||
		    !listener_matches(other, accept, &options))
			continue;
		if (!append_old(sockets, source, i, first.service, err))
			return false;
		sockets->items[sockets->count - 1].is_rest = true;
	}
	return true;
}

static bool
take_named_over(struct sockets *sockets, struct sockets_source *source,
    struct service *service, struct err *err)
{
	const char *name = service->listener->fd;
	size_t i;

	for (i = 0; source->old && i < source->old->count; i++) {
		if (source->taken[i] ||
		    !has_fd_name(&source->old->items[i], name))
			continue;
		if (!append_old(sockets, source, i, service, err))
			return false;
	}
	return true;
}

bool
sockets_add_named(struct sockets *sockets, struct sockets_source *source,
    struct service *service, struct err *err)
{
	const char *name = service->listener->fd;
	struct listener *listener;
	size_t before = sockets->count;
	int fd;

	if (!take_named_over(sockets, source, service, err))
		return false;
	while (
	    (fd = inherited_take(source->parts->inherited, name, NULL)) >= 0) {
		listener = listener_adopt(fd, err);
		if (listener == NULL)
			goto fail;
		if (!append_fresh(sockets, service, listener, true, err))
			goto fail;
	}
	if (sockets->count > before || service->listener->accept.count > 0)
		return true;
	err_set(err,
	    "no inherited socket has this name in LISTEN_FDNAMES; start clinch "
	    "from its socket unit, or set accept =");
fail:
	err_prefix(err, "fd %s", name);
	return false;
}

/* Is there a named socket of this service on that address? */
static bool
is_covered(const struct sockets *sockets, const struct service *service,
    const struct config_accept *accept)
{
	const struct listen_socket *socket;
	size_t i;

	for (i = 0; i < sockets->count; i++) {
		socket = &sockets->items[i];
		if (socket->service == service && socket->fd_name &&
		    addr_equal(
			listener_address(socket->listener), &accept->addr))
			return true;
	}
	return false;
}

static bool
is_same_name(const struct listen_socket *socket, const struct service *service)
{
	return strcmp(socket->name, service->listener->name) == 0;
}

/* The old socket that can serve this line; old->count: none. */
static size_t
find_old(const struct sockets_source *source, const struct service *service,
    const struct config_accept *accept)
{
	const struct listener_options options = options_of(
	    service->listener, source->parts);
	const struct sockets *old = source->old;
	size_t i, other = old->count;

	for (i = 0; i < old->count; i++) {
		if (source->taken[i] ||
		    !listener_matches(old->items[i].listener, accept, &options))
			continue;
		if (is_same_name(&old->items[i], service))
			return i;
		/* Port 0 of another listener is not taken. */
		if (addr_port(&accept->addr) != 0 ||
		    addr_is_unix(&accept->addr))
			other = i;
	}
	return other;
}

/* An inherited socket with that address; a bare port matches both families. */
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

/* Does an old socket have that port already, under another address or other
 * options? */
static bool
is_port_ours(
    const struct sockets_source *source, const struct config_accept *accept)
{
	size_t i;

	for (i = 0; source->old && i < source->old->count; i++)
		if (listener_overlaps(source->old->items[i].listener, accept))
			return true;
	return false;
}

static bool
open_new(struct sockets *sockets, struct sockets_source *source,
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
		    "kernel without IPv6; listening on IPv4 only",
		    LOG_S("listener", service->listener->name));
	return append_fresh(sockets, service, listener, false, err);
}

bool
sockets_add(struct sockets *sockets, struct sockets_source *source,
    struct service *service, const struct config_accept *accept,
    struct err *err)
{
	struct listener *listener;
	size_t i;
	int fd;

	if (is_covered(sockets, service, accept))
		return true;
	i = source->old ? find_old(source, service, accept) : 0;
	if (source->old && i < source->old->count)
		return append_old(sockets, source, i, service, err) &&
		       append_rest(sockets, source, accept, err);
	fd = take_inherited(source->parts->inherited, accept);
	if (fd < 0)
		return open_new(sockets, source, service, accept, err);
	listener = listener_adopt(fd, err);
	return listener && append_fresh(sockets, service, listener, false, err);
}

/* One thread serves it, so that it has one socket. */
struct listener *
sockets_open_admin(const struct admin_source *source,
    const struct config_accept *listen, struct err *err)
{
	const struct listener_options options = { .threads = 1,
		.backlog = ADMIN_BACKLOG,
		.unix_mode = source->unix_mode };
	size_t i;
	int fd;

	for (i = 0; i < source->old_count; i++)
		if (listener_matches(source->old[i], listen, &options))
			return listener_ref(source->old[i]);
	fd = take_inherited(source->parts->inherited, listen);
	if (fd >= 0)
		return listener_adopt(fd, err);
	return listener_open(listen, &options, NULL, err);
}

bool
sockets_share(struct sockets *sockets, const struct sockets *from,
    struct service *const *before, struct service *const *services,
    struct err *err)
{
	struct listen_socket socket;
	size_t i, k;

	for (i = 0; i < from->count; i++) {
		socket = from->items[i];
		for (k = 0; before[k] != socket.service; k++)
			; /* every socket belongs to one of them */
		socket.service = services[k];
		socket.name = socket.service->listener->name;
		if (socket.fd_name)
			socket.fd_name = socket.service->listener->fd;
		listener_ref(socket.listener);
		if (!sockets_append(sockets, &socket, err))
			return false;
	}
	return true;
}

void
sockets_fini(struct sockets *sockets)
{
	size_t i;

	for (i = 0; i < sockets->count; i++)
		listener_unref(sockets->items[i].listener);
	free(sockets->items);
	sockets->items = NULL;
	sockets->count = 0;
	sockets->room = 0;
}
