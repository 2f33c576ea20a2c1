/*
 * What one listener section means at run time.  Immutable after birth and
 * counted: a connection holds the service it was accepted under until it
 * ends, whatever is reloaded meanwhile.  Any thread.
 */
#ifndef PROXY_SERVICE_H
#define PROXY_SERVICE_H

#include <stdatomic.h>

#include "base/attr.h"
#include "config/config.h"

struct backends;
struct limit;
struct tls_context;

struct service {
	atomic_uint references;

	/* fixed at creation; each is a reference of the service's own */
	const struct config *config;
	const struct config_listener *listener; /* inside config */
	struct tls_context *tls;
	struct backends *backends;
	struct limit *limit;
};

/* Takes references of its own to everything.  NULL: no memory. */
struct service *service_new(const struct config *config,
    const struct config_listener *listener, struct tls_context *tls,
    struct backends *backends, struct limit *limit) MUST_CHECK;

struct service *service_ref(struct service *service);
void service_unref(struct service *service); /* NULL ok */

#endif
