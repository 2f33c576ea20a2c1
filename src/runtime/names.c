/*
 * Which names there are and what they meant last time.  Main thread.  The
 * table is keyed by host alone: two services that ask for one host differ in
 * port at most, and one question is enough.
 */
#include "runtime/names.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/backend.h"
#include "proxy/service.h"
#include "runtime/generation.h"

/* Walks over all backends of a generation; sites that share theirs stand
 * together, and are met once. */
struct walk {
	struct generation *generation;
	size_t service;
	size_t site;
	const struct service_site *met; /* the last one */
	size_t next;                    /* of its backends */
};

static const struct service_site *
next_site(struct walk *walk)
{
	const struct service_site *site;
	struct service *service;

	while (walk->service < generation_service_count(walk->generation)) {
		service = generation_service(walk->generation, walk->service);
		while (walk->site < service->site_count) {
			site = &service->sites[walk->site++];
			if (walk->met && walk->met->backends == site->backends)
				continue;
			walk->met = site;
			walk->next = 0;
			return site;
		}
		walk->service++;
		walk->site = 0;
	}
	return NULL;
}

/* The next backend is walk->met's, its number *i. */
static bool
next_backend(struct walk *walk, size_t *i)
{
	while (!walk->met || walk->next == backends_count(walk->met->backends))
		if (next_site(walk) == NULL)
			return false;
	*i = walk->next++;
	return true;
}

static size_t
count_backends(struct generation *generation)
{
	struct walk walk = { .generation = generation };
	const struct service_site *site;
	size_t total = 0;

	while ((site = next_site(&walk)) != NULL)
		total += backends_count(site->backends);
	return total;
}

static struct name *
find_host(struct names *names, const char *host)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (strcmp(names->items[i].host, host) == 0)
			return &names->items[i];
	return NULL;
}

static bool
add(struct names *names, const char *host, uint32_t every_ms)
{
	struct name *name = find_host(names, host);

	if (name) {
		if (every_ms < name->every_ms)
			name->every_ms = every_ms;
		return true;
	}
	name = &names->items[names->count];
	name->host = strdup(host);
	if (name->host == NULL)
		return false;
	name->every_ms = every_ms;
	names->count++;
	return true;
}

bool
names_init(struct names *names, struct generation *generation)
{
	struct walk walk = { .generation = generation };
	const char *host;
	uint16_t port;
	size_t i;

	names->count = 0;
	names->items = calloc(
	    count_backends(generation) + 1, sizeof(names->items[0]));
	if (names->items == NULL)
		return false;
	while (next_backend(&walk, &i)) {
		host = backends_host(walk.met->backends, i, &port);
		if (host && !add(names, host, walk.met->settings->resolve_ms)) {
			names_fini(names);
			return false;
		}
	}
	return true;
}

void
names_fini(struct names *names)
{
	size_t i;

	for (i = 0; i < names->count; i++) {
		free(names->items[i].host);
		free(names->items[i].last);
	}
	free(names->items);
	names->items = NULL;
	names->count = 0;
}

void
names_inherit(struct names *fresh, struct names *old)
{
	struct name *name, *known;
	size_t i;

	for (i = 0; i < fresh->count; i++) {
		name = &fresh->items[i];
		known = find_host(old, name->host);
		if (known == NULL)
			continue;
		name->lookup = known->lookup;
		name->due_ms = known->due_ms;
		name->asked_ms = known->asked_ms;
		name->failing = known->failing;
		name->last = known->last;
		name->last_count = known->last_count;
		known->last = NULL;
		known->last_count = 0;
	}
}

struct name *
names_find(struct names *names, uint64_t lookup)
{
	size_t i;

	for (i = 0; lookup != 0 && i < names->count; i++)
		if (names->items[i].lookup == lookup)
			return &names->items[i];
	return NULL;
}

static bool
is_known(const struct name *name, const struct addr *addr)
{
	size_t i;

	for (i = 0; i < name->last_count; i++)
		if (addr_equal(&name->last[i], addr))
			return true;
	return false;
}

bool
name_remember(struct name *name, const struct addr *addresses, size_t count,
    bool *changed)
{
	struct addr *copy;
	size_t i;

	/* No address comes twice in an answer, so equal counts and all known
	 * means the same set. */
	*changed = count != name->last_count;
	for (i = 0; i < count && !*changed; i++)
		*changed = !is_known(name, &addresses[i]);
	if (!*changed)
		return true;
	copy = calloc(count, sizeof(copy[0]));
	if (copy == NULL)
		return false;
	memcpy(copy, addresses, count * sizeof(copy[0]));
	free(name->last);
	name->last = copy;
	name->last_count = count;
	return true;
}

/* The next backend of that name; NULL: there is none. */
static struct backends *
next_of(struct walk *walk, const struct name *name, size_t *i)
{
	const char *host;
	uint16_t port;

	while (next_backend(walk, i)) {
		host = backends_host(walk->met->backends, *i, &port);
		if (host && strcmp(host, name->host) == 0)
			return walk->met->backends;
	}
	return NULL;
}

bool
name_put(const struct name *name, struct generation *generation)
{
	struct walk walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	if (name->last_count == 0)
		return true;
	while ((backends = next_of(&walk, name, &i)) != NULL)
		if (!backends_put(backends, i, name->last, name->last_count))
			return false;
	return true;
}

static void
hurry(struct names *names, const struct backends *backends, size_t i,
    int64_t least_ms)
{
	uint16_t port;
	const char *host = backends_host(backends, i, &port);
	struct name *name = host ? find_host(names, host) : NULL;

	if (name != NULL && name->asked_ms + least_ms < name->due_ms)
		name->due_ms = name->asked_ms + least_ms;
}

void
names_hurry(
    struct names *names, struct generation *generation, int64_t least_ms)
{
	struct walk walk = { .generation = generation };
	size_t i;

	while (next_backend(&walk, &i))
		if (backends_failed(walk.met->backends, i))
			hurry(names, walk.met->backends, i, least_ms);
}

void
name_clear_failed(const struct name *name, struct generation *generation)
{
	struct walk walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	while ((backends = next_of(&walk, name, &i)) != NULL)
		backends_clear_failed(backends, i);
}

bool
name_is_resolved(const struct name *name, struct generation *generation)
{
	struct walk walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	while ((backends = next_of(&walk, name, &i)) != NULL)
		if (!backends_resolved(backends, i))
			return false;
	return true;
}
