/*
 * What a listener section means at run time, as one counted object.  Built on
 * the main thread, held by any thread.  The last holder, often a connection
 * on a listener thread, frees it: everything inside is counted for that.
 */
#include "proxy/service.h"

#include <stdlib.h>

#include "proxy/backend.h"
#include "proxy/limit.h"
#include "tls/context.h"

struct service *
service_new(const struct config *config, const struct config_listener *listener,
    struct tls_context *tls, struct backends *backends, struct limit *limit)
{
	struct service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	atomic_init(&service->references, 1);
	service->config = config_ref(config);
	service->listener = listener;
	service->tls = tls_context_ref(tls);
	service->backends = backends_ref(backends);
	service->limit = limit_ref(limit);
	return service;
}

struct service *
service_ref(struct service *service)
{
	atomic_fetch_add_explicit(
	    &service->references, 1, memory_order_relaxed);
	return service;
}

void
service_unref(struct service *service)
{
	if (service == NULL)
		return;
	/* Acquire and release: the last holder sees what all others wrote. */
	if (atomic_fetch_sub_explicit(
		&service->references, 1, memory_order_acq_rel) > 1)
		return;
	limit_unref(service->limit);
	backends_unref(service->backends);
	tls_context_unref(service->tls);
	config_unref(service->config);
	free(service);
}
