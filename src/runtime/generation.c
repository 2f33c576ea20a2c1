/*
 * The object itself: its parts, its references and what can be asked of it.
 * Made on the main thread, held by any.  What waits to be renewed is part of
 * a generation, so that whoever lets one go forgets that as well.
 */
#include "runtime/generation.h"

#include <stdlib.h>

#include "proxy/service.h"
#include "runtime/generation_inner.h"
#include "tls/identity.h"

struct generation *
generation_new(const struct config *config)
{
	size_t room = config->listener_count + 1;
	struct generation *generation = calloc(1, sizeof(*generation));

	if (generation == NULL)
		return NULL;
	atomic_init(&generation->references, 1);
	generation->config = config_ref(config);
	generation->services = calloc(room, sizeof(generation->services[0]));
	generation->renewals = calloc(room, sizeof(generation->renewals[0]));
	if (generation->services && generation->renewals)
		return generation;
	generation_unref(generation);
	return NULL;
}

void
generation_add(struct generation *generation, struct service *service,
    struct identity *renewal)
{
	generation->services[generation->service_count] = service;
	generation->renewals[generation->service_count] = renewal;
	generation->service_count++;
}

struct generation *
generation_ref(struct generation *generation)
{
	atomic_fetch_add_explicit(
	    &generation->references, 1, memory_order_relaxed);
	return generation;
}

void
generation_unref(struct generation *generation)
{
	size_t i;

	/* Acquire and release: the last holder sees what all others wrote. */
	if (generation == NULL ||
	    atomic_fetch_sub_explicit(
		&generation->references, 1, memory_order_acq_rel) > 1)
		return;
	ports_fini(&generation->ports);
	for (i = 0; i < generation->service_count; i++) {
		service_unref(generation->services[i]);
		identity_unref(generation->renewals[i]);
	}
	free(generation->services);
	free(generation->renewals);
	config_unref(generation->config);
	free(generation);
}

const struct config *
generation_config(const struct generation *generation)
{
	return generation->config;
}

size_t
generation_port_count(const struct generation *generation)
{
	return generation->ports.count;
}

struct generation_port
generation_port(const struct generation *generation, size_t i)
{
	const struct port *port = &generation->ports.items[i];

	return (struct generation_port){
		.listener = port->listener,
		.service = port->service,
		.fresh = port->fresh,
	};
}

size_t
generation_service_count(const struct generation *generation)
{
	return generation->service_count;
}

struct service *
generation_service(const struct generation *generation, size_t i)
{
	return generation->services[i];
}

struct identity *
generation_renewal(const struct generation *generation, size_t i)
{
	return generation->renewals[i];
}

bool
generation_has_service(
    const struct generation *generation, const struct service *service)
{
	size_t i;

	for (i = 0; i < generation->service_count; i++)
		if (generation->services[i] == service)
			return true;
	return false;
}
