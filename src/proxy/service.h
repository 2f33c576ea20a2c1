/*
 * One listener section at run time: its sites, limits and configuration.
 * Immutable once published, and counted: a connection keeps the service it was
 * accepted under until it ends, also over reloads.  Any thread.
 */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct backends;
struct limit;
struct stats;
struct tls_server;

/* One site of the listener (tls/tls_server.h) beyond TLS. */
struct service_site {
	const struct config_listener *settings; /* inside config */
	struct backends *backends;              /* a reference */
};

struct service {
	atomic_uint references;

	/* fixed when published; each is a reference */
	const struct config *config;
	const struct config_listener *listener; /* inside config */
	struct tls_server *tls;
	struct service_site *sites; /* those of tls, in the same order */
	size_t site_count;
	struct limit *limit;
	struct stats *stats;
};

/* References its arguments; has room for the sites of tls.  NULL: no memory. */
struct service *service_new(const struct config *config,
    const struct config_listener *listener, struct tls_server *tls,
    struct limit *limit, struct stats *stats) MUST_CHECK;

/* Add the next site, in the order of tls; references backends. */
void service_add(struct service *service,
    const struct config_listener *settings, struct backends *backends);

struct service *service_ref(struct service *service);
void service_unref(struct service *service); /* NULL ok */

#endif
