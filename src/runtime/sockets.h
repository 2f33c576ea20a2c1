/*
 * The listening sockets of a generation, and those that the service manager
 * opened for this process (LISTEN_FDS).  Main thread.
 */
#ifndef RUNTIME_SOCKETS_H
#define RUNTIME_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct addr;
struct err;
struct generation_parts;
struct inherited;
struct listener;
struct log;
struct service;

/* ---- Inherited sockets ---- */

/*
 * Collect LISTEN_FDS if LISTEN_PID is this process, mark each close-on-exec,
 * and remove the three variables from the environment.  An object without
 * sockets if there are none; NULL and *err if an announced socket does not
 * exist.
 */
struct inherited *inherited_collect(struct err *err) MUST_CHECK;

/* The number of sockets not taken yet.  NULL ok: 0. */
size_t inherited_count(const struct inherited *inherited);

/*
 * Take the first descriptor that matches: by name, or by address if name is
 * NULL. -1: none.  NULL ok.
 */
int inherited_take(
    struct inherited *inherited, const char *name, const struct addr *addr);

/* Close the sockets not taken, with a warning for each.  NULL ok. */
void inherited_free(struct inherited *inherited, struct log *log);

/* ---- Sockets of a generation ---- */

struct listen_socket {
	struct listener *listener; /* a reference */
	struct service *service;   /* borrowed from the generation */
	const char *name;          /* of the listener section; borrowed */
	const char *fd_name;       /* NULL: found by address, not by fd= */
	bool fresh;                /* opened or adopted just now */
	/* more sockets of the item before it: those of a process with more
	 * threads */
	bool is_rest;
};

struct sockets {
	struct listen_socket *items;
	size_t count;
	size_t room;
};

/* The sources of sockets.  `taken` marks the old sockets that are in use again;
 * the old generation itself does not change. */
struct sockets_source {
	const struct generation_parts *parts;
	const struct sockets *old; /* may be NULL */
	bool *taken;               /* old->count of them */
};

/* Takes the reference, also on failure. */
bool sockets_append(struct sockets *sockets, const struct listen_socket *socket,
    struct err *err) MUST_CHECK;

/*
 * fd=: every socket of that name becomes a socket of this service.  None is an
 * error only without an accept= line.
 */
bool sockets_add_named(struct sockets *sockets, struct sockets_source *source,
    struct service *service, struct err *err) MUST_CHECK;

/* A socket that exists already may serve an address of [admin] listen. */
struct admin_source {
	const struct generation_parts *parts;
	struct listener *const *old; /* of the running generation */
	size_t old_count;
	unsigned unix_mode;
};

/* One [admin] listen address: taken over, inherited, or opened.  A reference;
 * NULL: *err. */
struct listener *sockets_open_admin(const struct admin_source *source,
    const struct config_accept *listen, struct err *err) MUST_CHECK;

/*
 * One accept= line: covered by a named socket of this service, taken over,
 * inherited, or opened, in this order.
 */
bool sockets_add(struct sockets *sockets, struct sockets_source *source,
    struct service *service, const struct config_accept *accept,
    struct err *err) MUST_CHECK;

/*
 * Share the sockets for other services: services[i] replaces before[i].
 * `fresh` is copied.
 */
bool sockets_share(struct sockets *sockets, const struct sockets *from,
    struct service *const *before, struct service *const *services,
    struct err *err) MUST_CHECK;

void sockets_fini(struct sockets *sockets);

#endif
