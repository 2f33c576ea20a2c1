/*
 * Priority queue of nodes that are embedded in their owners: the smallest key
 * comes first, and of equal keys the one that was put first.  A node that is in
 * no heap has position 0 (a zeroed one), so removing it twice is harmless.  One
 * thread at a time.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct heap_node {
	int64_t key;
	uint64_t order;  /* among equal keys */
	size_t position; /* 1 is the first; 0: in no heap */
};

/* Zeroed: empty. */
struct heap {
	struct heap_node **nodes; /* owned; nodes[0] is the first */
	size_t count;
	size_t room;
	uint64_t order;
};

void heap_fini(struct heap *heap); /* does not free nodes */

/* Make room for `count` nodes; heap_put needs it.  false: no memory. */
bool heap_reserve(struct heap *heap, size_t count) MUST_CHECK;

/* Put a node in, or change the key of one that is in. */
void heap_put(struct heap *heap, struct heap_node *node, int64_t key);

/* Remove a node.  Does nothing if it is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* NULL: empty. */
struct heap_node *heap_first(const struct heap *heap);

#endif
