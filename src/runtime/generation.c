/*
 * A generation: its parts, its references, its accessors.  Made on the main
 * thread, released on any.  Renewed certificates that wait for a staple are
 * part of their slots, so that releasing a generation forgets them too.
 */
#include "runtime/generation.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "tls/ca_store.h"
#include "tls/context.h"

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
	generation->cert_lists = calloc(
	    room, sizeof(generation->cert_lists[0]));
	if (generation->services && generation->cert_lists)
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
generation_add_cert(struct generation *generation,
    const struct config_listener *settings, struct cert_slot *slot)
{
	void *items = generation->certs;
	bool fine = grow(&items, &generation->cert_room, generation->cert_count,
	    sizeof(generation->certs[0]));

	generation->certs = items;
	if (fine)
		generation->certs[generation->cert_count++] =
		    (struct cert_entry){ settings, slot };
	else
		cert_slot_unref(slot);
	return fine;
}

bool
generation_add_ca(struct generation *generation, const struct ca_entry *entry)
{
	void *items = generation->trusts;
	bool fine = grow(&items, &generation->trust_room,
	    generation->trust_count, sizeof(generation->trusts[0]));

	generation->trusts = items;
	if (fine)
		generation->trusts[generation->trust_count++] = *entry;
	else
		ca_store_unref(entry->trust);
	return fine;
}

bool
generation_add_context(
    struct generation *generation, const struct context_entry *entry)
{
	void *items = generation->contexts;
	bool fine = grow(&items, &generation->context_room,
	    generation->context_count, sizeof(generation->contexts[0]));

	generation->contexts = items;
	if (fine)
		generation->contexts[generation->context_count++] = *entry;
	else
		tls_context_unref(entry->context);
	return fine;
}

bool
cert_list_add(struct cert_list *list, const struct cert_place *place)
{
	struct cert_place *grown = realloc(
	    list->items, (list->count + 1) * sizeof(grown[0]));

	if (grown == NULL)
		return false;
	list->items = grown;
	list->items[list->count++] = *place;
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
		if (generation->cert_lists)
			free(generation->cert_lists[i].items);
	for (i = 0; i < generation->cert_count; i++)
		cert_slot_unref(generation->certs[i].slot);
	for (i = 0; i < generation->trust_count; i++)
		ca_store_unref(generation->trusts[i].trust);
	for (i = 0; i < generation->context_count; i++)
		tls_context_unref(generation->contexts[i].context);
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
	sockets_fini(&generation->sockets);
	for (i = 0; i < generation->admin_count; i++)
		listener_unref(generation->admin[i]);
	free_parts(generation);
	free(generation->admin);
	free(generation->services);
	free(generation->cert_lists);
	free(generation->certs);
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
generation_socket_count(const struct generation *generation)
{
	return generation->sockets.count;
}

const struct listen_socket *
generation_socket(const struct generation *generation, size_t i)
{
	return &generation->sockets.items[i];
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
generation_cert_count(const struct generation *generation)
{
	return generation->cert_count;
}

const struct cert_entry *
generation_cert(const struct generation *generation, size_t i)
{
	return &generation->certs[i];
}

bool
generation_has(
    const struct generation *generation, const struct identity *identity)
{
	size_t i;

	for (i = 0; i < generation->cert_count; i++)
		if (generation->certs[i].slot->identity == identity)
			return true;
	return false;
}

bool
generation_waits(const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->cert_count; i++)
		if (generation->certs[i].slot->renewal)
			return true;
	return false;
}

/* Both are built from one configuration: equal indexes are comparable. */
bool
generation_differs(const struct generation *a, const struct generation *b)
{
	const struct cert_slot *first, *second;
	size_t i;

	if (a->cert_count != b->cert_count || a->trust_count != b->trust_count)
		return true;
	for (i = 0; i < a->cert_count; i++) {
		first = a->certs[i].slot;
		second = b->certs[i].slot;
		if (strcmp(first->id.cert, second->id.cert) != 0 ||
		    first->identity != second->identity ||
		    first->renewal != second->renewal)
			return true;
	}
	for (i = 0; i < a->trust_count; i++)
		if (memcmp(ca_store_digest(a->trusts[i].trust),
			ca_store_digest(b->trusts[i].trust), 32) != 0)
			return true;
	return false;
}

bool
ca_entry_has_equal_stamps(const struct ca_entry *a, const struct ca_entry *b)
{
	return stamp_equal(&a->ca_stamp, &b->ca_stamp) &&
	       stamp_equal(&a->crl_stamp, &b->crl_stamp);
}

/* For two generations that do not differ. */
bool
generation_read_more(const struct generation *a, const struct generation *b)
{
	size_t i;

	for (i = 0; i < a->cert_count; i++)
		if (!cert_slot_has_equal_stamps(
			a->certs[i].slot, b->certs[i].slot))
			return true;
	for (i = 0; i < a->trust_count; i++)
		if (!ca_entry_has_equal_stamps(&a->trusts[i], &b->trusts[i]))
			return true;
	for (i = 0; i < a->config->listener_count; i++)
		if (a->cert_lists[i].folder_kept !=
		    b->cert_lists[i].folder_kept)
			return true;
	return false;
}
