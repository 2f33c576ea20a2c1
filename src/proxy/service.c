/*
 * One listener section at run time, as one counted object.  Built on the main
 * thread, referenced by any thread.  The last reference, often a connection's
 * on a listener thread, frees it: everything inside is counted for that reason.
 */
#include "proxy/service.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/backend.h"
#include "proxy/limit.h"
#include "proxy/stats.h"
#include "tls/tls_server.h"

struct service *
service_new(const struct config *config, const struct config_listener *listener,
    struct tls_server *tls, struct limit *limit, struct stats *stats)
{
	struct service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	service->sites = calloc(
	    tls_server_count(tls), sizeof(service->sites[0]));
	if (service->sites == NULL) {
		free(service);
		return NULL;
	}
	atomic_init(&service->references, 1);
	service->config = config_ref(config);
	service->listener = listener;
	service->tls = tls_server_ref(tls);
	service->limit = limit_ref(limit);
	service->stats = stats_ref(stats);
	return service;
}

void
service_add(struct service *service, const struct config_listener *settings,
    struct backends *backends)
{
	assert(service->site_count < tls_server_count(service->tls));
	service->sites[service->site_count++] = (struct service_site){
		.settings = settings,
		.backends = backends_ref(backends),
	};
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
	/* Acquire and release: the last one sees the writes of all others. */
	if (atomic_fetch_sub_explicit(
		&service->references, 1, memory_order_acq_rel) > 1)
		return;
	while (service->site_count > 0)
		backends_unref(service->sites[--service->site_count].backends);
	free(service->sites);
	limit_unref(service->limit);
	stats_unref(service->stats);
	tls_server_unref(service->tls);
	config_unref(service->config);
	free(service);
}
