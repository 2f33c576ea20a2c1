/*
 * A hash table with open addressing, never more than half full, so a search
 * always ends at a free slot.  The hash is FNV-1a: whoever could choose keys
 * that collide writes our configuration anyway.  One thread.
 */
#include "config/lookup.h"

#include <stdint.h>
#include <string.h>

#include "config/arena.h"

bool
lookup_init(struct lookup *lookup, struct arena *arena, size_t count)
{
	size_t size = 2;

	while (size < 2 * count)
		size *= 2;
	lookup->mask = size - 1;
	lookup->slots = arena_alloc(arena, size * sizeof(*lookup->slots));
	return lookup->slots != NULL;
}

static uint64_t
hash(const char *key)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (; *key != '\0'; key++)
		sum = (sum ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	/* The low bits choose the slot: let the high ones have a say. */
	return sum ^ sum >> 32;
}

/* The slot that holds the key, or the free one where it belongs. */
static struct lookup_slot *
seek(const struct lookup *lookup, const char *key)
{
	size_t i = (size_t)hash(key) & lookup->mask;

	while (lookup->slots[i].key != NULL &&
	       strcmp(lookup->slots[i].key, key) != 0)
		i = (i + 1) & lookup->mask;
	return &lookup->slots[i];
}

const void **
lookup_at(struct lookup *lookup, const char *key)
{
	struct lookup_slot *slot = seek(lookup, key);

	slot->key = key;
	return &slot->value;
}

const void *
lookup_find(const struct lookup *lookup, const char *key)
{
	return seek(lookup, key)->value;
}
