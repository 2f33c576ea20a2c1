/* A priority queue of embedded nodes. */
#include "base/heap.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/attr.h"

enum { COUNT = 500 };

static struct heap heap;
static struct heap_node nodes[COUNT];

static void
tear_down(void)
{
	heap_fini(&heap);
}

TestSuite(heap, .fini = tear_down);

/* Take all out: keys never fall, and equal ones keep their order. */
static size_t
drain(void)
{
	const struct heap_node *before = NULL;
	struct heap_node *first;
	size_t count = 0;

	for (; (first = heap_first(&heap)) != NULL; before = first, count++) {
		cr_assert(before == NULL || before->key < first->key ||
			  (before->key == first->key &&
			      before->order < first->order));
		heap_remove(&heap, first);
	}
	return count;
}

Test(heap, is_empty_at_first)
{
	struct heap_node node = { 0 };

	cr_assert_null(heap_first(&heap));
	heap_remove(&heap, &node);
	cr_assert_eq(drain(), 0);
}

Test(heap, gives_the_smallest_key_first)
{
	static const int64_t keys[] = { 5, 3, INT64_MAX, 3, 0, 8, INT64_MIN };

	cr_assert(heap_reserve(&heap, ARRAY_LEN(keys)));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		heap_put(&heap, &nodes[i], keys[i]);
	cr_assert_eq(heap_first(&heap), &nodes[6]);
	cr_assert_eq(drain(), ARRAY_LEN(keys));
}

Test(heap, lets_any_node_be_moved_and_removed)
{
	srand(1);
	cr_assert(heap_reserve(&heap, COUNT));
	for (size_t i = 0; i < COUNT; i++)
		heap_put(&heap, &nodes[i], rand() % 50);
	for (size_t i = 0; i < COUNT; i += 3)
		heap_put(&heap, &nodes[i], rand() % 50);
	for (size_t i = 0; i < COUNT; i += 5) {
		heap_remove(&heap, &nodes[i]);
		heap_remove(&heap, &nodes[i]);
	}
	cr_assert_eq(heap.count, COUNT - COUNT / 5);
	cr_assert_eq(drain(), COUNT - COUNT / 5);
}
