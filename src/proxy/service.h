/*
 * What one listener section means at run time.  Immutable once served, and
 * counted: a connection holds the service it was accepted under until it
 * ends, whatever is reloaded meanwhile.  Any thread.
 */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct backends;
struct limit;
struct tls_server;

/* What one site of the listener (tls/server.h) means beyond TLS. */
struct service_site {
	const struct config_listener *settings; /* inside config */
	struct backends *backends;              /* a reference */
};

struct service {
	atomic_uint references;

	/* fixed when served; each is a reference of the service's own */
	const struct config *config;
	const struct config_listener *listener; /* inside config */
	struct tls_server *tls;
	struct service_site *sites; /* as many as tls has, by number */
	size_t site_count;
	struct limit *limit;
};

/* Takes references of its own to everything; with room for the sites of tls.
 * NULL: no memory. */
struct service *service_new(const struct config *config,
    const struct config_listener *listener, struct tls_server *tls,
    struct limit *limit) MUST_CHECK;

/* The next site, in the order of tls: takes a reference of its own. */
void service_add(struct service *service,
    const struct config_listener *settings, struct backends *backends);

struct service *service_ref(struct service *service);
void service_unref(struct service *service); /* NULL ok */

#endif
