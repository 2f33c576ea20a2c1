/*
 * Texts to pointers, for one pass over a large configuration: who has this
 * name, who was first to use that file.  A table is as large as its pass
 * says and lives in the arena.  One thread.
 */
#ifndef CONFIG_LOOKUP_H
#define CONFIG_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;

struct lookup_slot {
	const char *key;
	const void *value;
};

/* Embedded in its pass; zeroed, it has no room. */
struct lookup {
	struct lookup_slot *slots;
	size_t mask;
};

/* With room for so many keys.  false: no memory. */
bool lookup_init(
    struct lookup *lookup, struct arena *arena, size_t count) MUST_CHECK;

/* Where the value of this key is to be read or set; NULL until it was set.
 * The key is borrowed; there is room for it. */
const void **lookup_at(struct lookup *lookup, const char *key);

/* The value of this key; NULL: none. */
const void *lookup_find(const struct lookup *lookup, const char *key);

#endif
