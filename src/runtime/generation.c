/*
 * The object itself: its parts, its references and what can be asked of it.
 * Made on the main thread, held by any.  What waits to be renewed is part of
 * a generation, so that whoever lets one go forgets that as well.
 */
#include "runtime/generation.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "tls/context.h"
#include "tls/trust.h"

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
	generation->displays = calloc(room, sizeof(generation->displays[0]));
	if (generation->services && generation->displays)
		return generation;
	generation_unref(generation);
	return NULL;
}

/* Room for one more item of `size` bytes. */
static bool
grow(void **items, size_t *room, size_t count, size_t size)
{
	size_t wanted = *room > 0 ? 2 * *room : 8;
	void *grown;

	if (count < *room)
		return true;
	grown = realloc(*items, wanted * size);
	if (grown == NULL)
		return false;
	*items = grown;
	*room = wanted;
	return true;
}

bool
generation_hold(struct generation *generation,
    const struct config_listener *user, struct credential *credential)
{
	void *items = generation->holdings;
	bool fine = grow(&items, &generation->holding_room,
	    generation->holding_count, sizeof(generation->holdings[0]));

	generation->holdings = items;
	if (fine)
		generation->holdings[generation->holding_count++] =
		    (struct holding){ user, credential };
	else
		credential_unref(credential);
	return fine;
}

bool
generation_hold_trust(
    struct generation *generation, const struct trust_holding *holding)
{
	void *items = generation->trusts;
	bool fine = grow(&items, &generation->trust_room,
	    generation->trust_count, sizeof(generation->trusts[0]));

	generation->trusts = items;
	if (fine)
		generation->trusts[generation->trust_count++] = *holding;
	else
		trust_unref(holding->trust);
	return fine;
}

bool
generation_hold_context(
    struct generation *generation, const struct context_holding *holding)
{
	void *items = generation->contexts;
	bool fine = grow(&items, &generation->context_room,
	    generation->context_count, sizeof(generation->contexts[0]));

	generation->contexts = items;
	if (fine)
		generation->contexts[generation->context_count++] = *holding;
	else
		tls_context_unref(holding->context);
	return fine;
}

bool
display_add(struct display *display, struct credential *credential)
{
	struct credential **grown = realloc(
	    display->items, (display->count + 1) * sizeof(grown[0]));

	if (grown == NULL)
		return false;
	display->items = grown;
	display->items[display->count++] = credential;
	return true;
}

struct generation *
generation_ref(struct generation *generation)
{
	atomic_fetch_add_explicit(
	    &generation->references, 1, memory_order_relaxed);
	return generation;
}

static void
free_parts(struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->service_count; i++)
		service_unref(generation->services[i]);
	for (i = 0; i < generation->config->listener_count; i++)
		if (generation->displays)
			free(generation->displays[i].items);
	for (i = 0; i < generation->holding_count; i++)
		credential_unref(generation->holdings[i].credential);
	for (i = 0; i < generation->trust_count; i++)
		trust_unref(generation->trusts[i].trust);
	for (i = 0; i < generation->context_count; i++)
		tls_context_unref(generation->contexts[i].context);
}

void
generation_unref(struct generation *generation)
{
	/* Acquire and release: the last holder sees what all others wrote. */
	if (generation == NULL ||
	    atomic_fetch_sub_explicit(
		&generation->references, 1, memory_order_acq_rel) > 1)
		return;
	ports_fini(&generation->ports);
	free_parts(generation);
	free(generation->services);
	free(generation->displays);
	free(generation->holdings);
	free(generation->trusts);
	free(generation->contexts);
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

size_t
generation_holding_count(const struct generation *generation)
{
	return generation->holding_count;
}

const struct holding *
generation_holding(const struct generation *generation, size_t i)
{
	return &generation->holdings[i];
}

bool
generation_has(
    const struct generation *generation, const struct identity *identity)
{
	size_t i;

	for (i = 0; i < generation->holding_count; i++)
		if (generation->holdings[i].credential->identity == identity)
			return true;
	return false;
}

/* Both come from one configuration: what stands at one place is comparable. */
bool
generation_differs(const struct generation *a, const struct generation *b)
{
	const struct credential *first, *second;
	size_t i;

	if (a->holding_count != b->holding_count ||
	    a->trust_count != b->trust_count)
		return true;
	for (i = 0; i < a->holding_count; i++) {
		first = a->holdings[i].credential;
		second = b->holdings[i].credential;
		if (strcmp(first->id.cert, second->id.cert) != 0 ||
		    first->identity != second->identity ||
		    first->renewal != second->renewal)
			return true;
	}
	for (i = 0; i < a->trust_count; i++)
		if (memcmp(trust_digest(a->trusts[i].trust),
			trust_digest(b->trusts[i].trust), 32) != 0)
			return true;
	return false;
}

bool
trust_holding_has_equal_stamps(
    const struct trust_holding *a, const struct trust_holding *b)
{
	return stamp_equal(&a->ca_stamp, &b->ca_stamp) &&
	       stamp_equal(&a->crl_stamp, &b->crl_stamp);
}

/* Of two that do not differ. */
bool
generation_read_more(const struct generation *a, const struct generation *b)
{
	size_t i;

	for (i = 0; i < a->holding_count; i++)
		if (!credential_has_equal_stamps(
			a->holdings[i].credential, b->holdings[i].credential))
			return true;
	for (i = 0; i < a->trust_count; i++)
		if (!trust_holding_has_equal_stamps(
			&a->trusts[i], &b->trusts[i]))
			return true;
	for (i = 0; i < a->config->listener_count; i++)
		if (a->displays[i].folder_kept != b->displays[i].folder_kept)
			return true;
	return false;
}
