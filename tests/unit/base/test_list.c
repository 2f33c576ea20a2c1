/* The intrusive list: order, removal from within a walk, splicing. */
#include <criterion/criterion.h>

#include "base/list.h"

struct item {
	struct list node;
	int value;
};

/* The values as one decimal number, first item first. */
static int
digits(struct list *head)
{
	int all = 0;

	LIST_FOREACH(head, node)
		all = all * 10 + container_of(node, struct item, node)->value;
	return all;
}

static void
append(struct list *head, struct item *items, int count)
{
	for (int i = 0; i < count; i++)
		list_append(head, &items[i].node);
}

Test(list, keeps_the_order)
{
	struct item items[] = { { .value = 1 }, { .value = 2 },
		{ .value = 3 } };
	struct list head;

	list_init(&head);
	cr_expect(list_is_empty(&head));
	append(&head, items, 3);
	cr_expect_not(list_is_empty(&head));
	cr_expect_eq(digits(&head), 123);
}

Test(list, removing_twice_is_harmless)
{
	struct item items[] = { { .value = 1 }, { .value = 2 },
		{ .value = 3 } };
	struct list head;

	list_init(&head);
	append(&head, items, 3);
	list_remove(&items[1].node);
	cr_expect(list_is_empty(&items[1].node));
	list_remove(&items[1].node);
	cr_expect_eq(digits(&head), 13);
}

Test(list, a_walk_may_remove_what_it_visits)
{
	struct item items[] = { { .value = 1 }, { .value = 2 },
		{ .value = 3 } };
	struct list head;

	list_init(&head);
	append(&head, items, 3);
	LIST_FOREACH(&head, node) {
		if (container_of(node, struct item, node)->value != 2)
			list_remove(node);
	}
	cr_expect_eq(digits(&head), 2);
}

Test(list, splices_to_the_end)
{
	struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 },
		{ .value = 4 } };
	struct list to, from;

	list_init(&to);
	list_init(&from);
	append(&to, items, 2);
	list_splice(&to, &from);
	cr_expect_eq(digits(&to), 12);
	append(&from, items + 2, 2);
	list_splice(&to, &from);
	cr_expect_eq(digits(&to), 1234);
	cr_expect(list_is_empty(&from));
}

Test(list, splices_into_an_empty_one)
{
	struct item items[] = { { .value = 1 }, { .value = 2 } };
	struct list to, from;

	list_init(&to);
	list_init(&from);
	append(&from, items, 2);
	list_splice(&to, &from);
	cr_expect_eq(digits(&to), 12);
	cr_expect(list_is_empty(&from));
}
