/*
 * Priority queue of nodes that are embedded in their owners: the smallest key
 * first, of equal keys the one that was put first.  A node that is in no heap
 * has position 0 (a zeroed one), so taking it out twice is harmless.  One
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

void heap_fini(struct heap *heap); /* the nodes are the owners' */

/* Room for so many nodes: heap_put does not fail up to that number.  false:
 * no memory. */
bool heap_reserve(struct heap *heap, size_t count) MUST_CHECK;

/* Put a node in, or give one that is in another key.  Needs room. */
void heap_put(struct heap *heap, struct heap_node *node, int64_t key);

/* Take a node out, wherever it is.  In no heap: fine. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* NULL: empty. */
struct heap_node *heap_first(const struct heap *heap);

#endif
