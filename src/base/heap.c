/*
 * A binary heap in an array of pointers.  One thread at a time.  Each node has
 * its position, so that one in the middle is moved or removed without a search.
 */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { ROOM_MIN = 16 };

void
heap_fini(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){ 0 };
}

bool
heap_reserve(struct heap *heap, size_t count)
{
	size_t room = heap->room != 0 ? heap->room : ROOM_MIN;
	struct heap_node **nodes;

	if (count <= heap->room)
		return true;
	while (room < count)
		room *= 2;
	nodes = realloc(heap->nodes, room * sizeof(struct heap_node *));
	if (nodes == NULL)
		return false;
	heap->nodes = nodes;
	heap->room = room;
	return true;
}

static bool
is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void
place(struct heap *heap, struct heap_node *node, size_t position)
{
	heap->nodes[position - 1] = node;
	node->position = position;
}

static void
move_up(struct heap *heap, struct heap_node *node)
{
	size_t at = node->position;

	while (at > 1 && is_before(node, heap->nodes[at / 2 - 1])) {
		place(heap, heap->nodes[at / 2 - 1], at);
		at /= 2;
	}
	place(heap, node, at);
}

static void
move_down(struct heap *heap, struct heap_node *node)
{
	size_t at = node->position, child;

	for (; (child = 2 * at) <= heap->count; at = child) {
		if (child < heap->count &&
		    is_before(heap->nodes[child], heap->nodes[child - 1]))
			child++;
		if (is_before(node, heap->nodes[child - 1]))
			break;
		place(heap, heap->nodes[child - 1], at);
	}
	place(heap, node, at);
}

void
heap_put(struct heap *heap, struct heap_node *node, int64_t key)
{
	if (node->position == 0) {
		assert(heap->count < heap->room);
		place(heap, node, ++heap->count);
	}
	node->key = key;
	node->order = heap->order++;
	move_up(heap, node);
	move_down(heap, node);
}

void
heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t at = node->position;
	struct heap_node *last;

	if (at == 0)
		return;
	node->position = 0;
	last = heap->nodes[--heap->count];
	if (last == node)
		return;
	place(heap, last, at);
	move_up(heap, last);
	move_down(heap, last);
}

struct heap_node *
heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->nodes[0] : NULL;
}
