/*
 * The lines before the responders.  Staple thread only.  Each is a heap by due
 * time: the second try of an attempt, which has an old one, would have to walk
 * past all that wait in a plain list.  Only hosts that may be asked stand in
 * hosts->lines, so a turn costs nothing for those that are down.
 */
#include "staple/queue.h"

#include "staple/hosts.h"
#include "staple/slots.h"

static struct staple_place *
place_of(struct heap_node *node)
{
	return container_of(node, struct staple_place, node);
}

bool
staple_queue_join(
    struct staple_host *host, struct staple_place *place, int64_t due)
{
	if (!heap_reserve(&host->waiting, host->waiting.count + 1))
		return false;
	heap_put(&host->waiting, &place->node, due);
	place->host = host;
	staple_host_line_up(host);
	return true;
}

void
staple_queue_leave(struct staple_place *place)
{
	struct staple_host *host = place->host;

	if (host == NULL)
		return;
	heap_remove(&host->waiting, &place->node);
	if (host->waiting.count == 0)
		heap_fini(&host->waiting);
	place->host = NULL;
	staple_host_line_up(host);
}

static struct staple_place *
next_probe(struct staple_hosts *hosts, struct staple_slots *slots,
    int64_t mono_ms, struct staple_slot **slot)
{
	struct heap_node *first = heap_first(&hosts->probes);
	struct staple_place *place;
	struct staple_host *host;

	if (first == NULL || first->key > mono_ms)
		return NULL;
	host = container_of(first, struct staple_host, probe);
	*slot = staple_slots_take(slots, host, mono_ms);
	if (*slot == NULL)
		return NULL;
	place = place_of(heap_first(&host->waiting));
	/* The second try of a probe goes before all others. */
	if (host->prober != NULL)
		place = host->prober;
	host->prober = place;
	staple_queue_leave(place);
	return place;
}

struct staple_place *
staple_queue_next(struct staple_hosts *hosts, struct staple_slots *slots,
    int64_t mono_ms, struct staple_slot **slot)
{
	struct staple_place *place = next_probe(hosts, slots, mono_ms, slot);

	if (place != NULL)
		return place;
	LIST_FOREACH(&hosts->lines, node) {
		struct staple_host *host = container_of(
		    node, struct staple_host, in_line);

		*slot = staple_slots_take(slots, host, mono_ms);
		if (*slot == NULL)
			continue;
		/* The next turn is another host's. */
		list_remove(node);
		list_append(&hosts->lines, node);
		place = place_of(heap_first(&host->waiting));
		staple_queue_leave(place);
		return place;
	}
	return NULL;
}

int64_t
staple_queue_until(const struct staple_hosts *hosts,
    const struct staple_slots *slots, int64_t mono_ms)
{
	struct heap_node *probe = heap_first(&hosts->probes);
	int64_t until, soonest = INT64_MAX;

	LIST_FOREACH(&hosts->lines, node) {
		until = staple_slots_until(slots,
		    container_of(node, struct staple_host, in_line), mono_ms);
		if (until < soonest)
			soonest = until;
		if (until == INT64_MAX) /* all slots are taken */
			break;
	}
	if (probe == NULL)
		return soonest;
	until = staple_slots_until(
	    slots, container_of(probe, struct staple_host, probe), mono_ms);
	if (until < probe->key)
		until = probe->key;
	return until < soonest ? until : soonest;
}
