/*
 * The slots that are taken, in the order they were.  Staple thread only.  A
 * plain list, walked whole: there are as many as `max_fetches`, and a table
 * by host would have to forget hosts again.
 */
#include "staple/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct staple_slot {
	struct list node;
	int64_t since_ms;
	char host[];
};

struct staple_slots {
	struct list taken; /* the oldest first */
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
		free(container_of(node, struct staple_slot, node));
	free(slots);
}

void
staple_slots_resize(struct staple_slots *slots, unsigned max)
{
	slots->max = max;
}

/* Does it count toward its host's four at that time? */
static bool
is_quick(const struct staple_slot *slot, int64_t mono_ms)
{
	return mono_ms - slot->since_ms < STAPLE_SLOW_SLOT_MS;
}

/* How many of this host's slots count; since when the oldest of them does. */
static unsigned
count_host(const struct staple_slots *slots, const char *host, int64_t mono_ms,
    int64_t *oldest_ms)
{
	unsigned count = 0;

	*oldest_ms = mono_ms;
	LIST_FOREACH(&slots->taken, node) {
		const struct staple_slot *slot = container_of(
		    node, struct staple_slot, node);

		if (!is_quick(slot, mono_ms) || strcmp(slot->host, host) != 0)
			continue;
		if (count++ == 0)
			*oldest_ms = slot->since_ms;
	}
	return count;
}

struct staple_slot *
staple_slots_take(struct staple_slots *slots, const char *host, int64_t mono_ms)
{
	size_t size = strlen(host) + 1;
	struct staple_slot *slot;
	int64_t oldest_ms;

	if (slots->count >= slots->max ||
	    count_host(slots, host, mono_ms, &oldest_ms) >= STAPLE_HOST_SLOTS)
		return NULL;
	slot = malloc(sizeof(*slot) + size);
	if (slot == NULL)
		return NULL;
	slot->since_ms = mono_ms;
	memcpy(slot->host, host, size);
	list_append(&slots->taken, &slot->node);
	slots->count++;
	return slot;
}

void
staple_slots_give(struct staple_slots *slots, struct staple_slot *slot)
{
	list_remove(&slot->node);
	slots->count--;
	free(slot);
}

int64_t
staple_slots_until(
    const struct staple_slots *slots, const char *host, int64_t mono_ms)
{
	int64_t oldest_ms;

	if (slots->count >= slots->max)
		return INT64_MAX;
	if (count_host(slots, host, mono_ms, &oldest_ms) < STAPLE_HOST_SLOTS)
		return mono_ms;
	return oldest_ms + STAPLE_SLOW_SLOT_MS;
}

unsigned
staple_slots_taken(const struct staple_slots *slots)
{
	return slots->count;
}
