/*
 * The slots that are taken, of each host in the order they were.  Staple
 * thread only.  Those that are not slow yet stand at the end of a host's list
 * and are at most its limit, so counting them is short.
 */
#include "staple/slots.h"

#include <stdlib.h>

#include "base/list.h"
#include "staple/hosts.h"

struct staple_slot {
	struct list node;    /* of all */
	struct list of_host; /* of host->slots */
	int64_t since_ms;
};

struct staple_slots {
	struct list taken;
	unsigned count;
	unsigned max;
};

struct staple_slots *
staple_slots_new(unsigned max)
{
	struct staple_slots *slots = calloc(1, sizeof(*slots));

	if (slots == NULL)
		return NULL;
	list_init(&slots->taken);
	slots->max = max;
	return slots;
}

void
staple_slots_free(struct staple_slots *slots)
{
	if (slots == NULL)
		return;
	LIST_FOREACH(&slots->taken, node)
		staple_slots_give(
		    slots, container_of(node, struct staple_slot, node));
	free(slots);
}

void
staple_slots_resize(struct staple_slots *slots, unsigned max)
{
	slots->max = max;
}

/* How many of this host's slots count; since when the oldest of them does. */
static unsigned
count_host(const struct staple_host *host, int64_t mono_ms, int64_t *oldest_ms)
{
	unsigned count = 0;

	*oldest_ms = mono_ms;
	for (struct list *node = host->slots.prev; node != &host->slots;
	     node = node->prev) {
		const struct staple_slot *slot = container_of(
		    node, struct staple_slot, of_host);

		if (mono_ms - slot->since_ms >= STAPLE_SLOW_SLOT_MS)
			break;
		*oldest_ms = slot->since_ms;
		count++;
	}
	return count;
}

struct staple_slot *
staple_slots_take(
    struct staple_slots *slots, struct staple_host *host, int64_t mono_ms)
{
	struct staple_slot *slot;
	int64_t oldest_ms;

	if (slots->count >= slots->max ||
	    count_host(host, mono_ms, &oldest_ms) >= host->limit)
		return NULL;
	slot = malloc(sizeof(*slot));
	if (slot == NULL)
		return NULL;
	slot->since_ms = mono_ms;
	list_append(&slots->taken, &slot->node);
	list_append(&host->slots, &slot->of_host);
	slots->count++;
	return slot;
}

void
staple_slots_give(struct staple_slots *slots, struct staple_slot *slot)
{
	list_remove(&slot->node);
	list_remove(&slot->of_host);
	slots->count--;
	free(slot);
}

int64_t
staple_slots_until(const struct staple_slots *slots,
    const struct staple_host *host, int64_t mono_ms)
{
	int64_t oldest_ms;

	if (slots->count >= slots->max)
		return INT64_MAX;
	if (count_host(host, mono_ms, &oldest_ms) < host->limit)
		return mono_ms;
	return oldest_ms + STAPLE_SLOW_SLOT_MS;
}

unsigned
staple_slots_taken(const struct staple_slots *slots)
{
	return slots->count;
}
