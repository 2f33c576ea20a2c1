/*
 * The lines before the responders.  Staple thread only.  A line exists while
 * somebody waits in it, so there are never more lines than certificates that
 * are due; whoever joins with an old due time, such as the second try of an
 * attempt, walks to the front past those who have waited less.
 */
#include "staple/queue.h"

#include <stdlib.h>
#include <string.h>

#include "staple/slots.h"

struct staple_line {
	struct list node; /* of the queue */
	struct list places;
	char host[]; /* fixed at creation */
};

void
staple_queue_init(struct staple_queue *queue)
{
	list_init(&queue->lines);
}

static struct staple_line *
line_of(struct list *node)
{
	return container_of(node, struct staple_line, node);
}

static struct staple_place *
place_of(struct list *node)
{
	return container_of(node, struct staple_place, node);
}

static struct staple_line *
find(struct staple_queue *queue, const char *host)
{
	LIST_FOREACH(&queue->lines, node) {
		if (strcmp(line_of(node)->host, host) == 0)
			return line_of(node);
	}
	return NULL;
}

static struct staple_line *
open_line(struct staple_queue *queue, const char *host)
{
	size_t size = strlen(host) + 1;
	struct staple_line *line = malloc(sizeof(*line) + size);

	if (line == NULL)
		return NULL;
	memcpy(line->host, host, size);
	list_init(&line->places);
	list_append(&queue->lines, &line->node);
	return line;
}

bool
staple_queue_join(struct staple_queue *queue, struct staple_place *place,
    const char *host, int64_t due)
{
	struct staple_line *line = find(queue, host);
	struct list *behind;

	if (line == NULL)
		line = open_line(queue, host);
	if (line == NULL)
		return false;
	place->line = line;
	place->due = due;
	behind = line->places.prev;
	while (behind != &line->places && place_of(behind)->due > due)
		behind = behind->prev;
	/* To append before a node is to stand in front of it. */
	list_append(behind->next, &place->node);
	return true;
}

void
staple_queue_leave(struct staple_place *place)
{
	struct staple_line *line = place->line;

	if (line == NULL)
		return;
	place->line = NULL;
	list_remove(&place->node);
	if (!list_is_empty(&line->places))
		return;
	list_remove(&line->node);
	free(line);
}

struct staple_place *
staple_queue_next(struct staple_queue *queue, struct staple_slots *slots,
    int64_t mono_ms, struct staple_slot **slot)
{
	struct staple_place *place;

	LIST_FOREACH(&queue->lines, node) {
		*slot = staple_slots_take(slots, line_of(node)->host, mono_ms);
		if (*slot == NULL)
			continue;
		/* The next turn is another host's. */
		list_remove(node);
		list_append(&queue->lines, node);
		place = place_of(line_of(node)->places.next);
		staple_queue_leave(place);
		return place;
	}
	return NULL;
}

int64_t
staple_queue_until(const struct staple_queue *queue,
    const struct staple_slots *slots, int64_t mono_ms)
{
	int64_t until, soonest = INT64_MAX;

	LIST_FOREACH(&queue->lines, node) {
		until = staple_slots_until(slots, line_of(node)->host, mono_ms);
		if (until < soonest)
			soonest = until;
	}
	return soonest;
}
