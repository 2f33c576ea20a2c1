/*
 * Who waits for a slot: one line per responder host, the oldest due time in
 * front, the hosts served in turn, so that ten thousand certificates of one
 * responder do not stand before the one certificate of another.  Staple
 * thread only.
 */
#ifndef STAPLE_QUEUE_H
#define STAPLE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"

struct staple_line;
struct staple_slot;
struct staple_slots;

struct staple_queue {
	struct list lines;
};

/* A place in a line; embedded in whoever waits.  Zeroed: in none. */
struct staple_place {
	struct list node;
	struct staple_line *line; /* NULL: in none */
	int64_t due;              /* wall seconds */
};

void staple_queue_init(struct staple_queue *queue);

/* Wait for a slot of this host ("host:port").  Not twice.  false: no
 * memory. */
bool staple_queue_join(struct staple_queue *queue, struct staple_place *place,
    const char *host, int64_t due) MUST_CHECK;

/* Wait no more.  In no line: fine. */
void staple_queue_leave(struct staple_place *place);

/* Whose turn it is: he has left the queue, and *slot is his.  NULL: nobody's
 * now. */
struct staple_place *staple_queue_next(struct staple_queue *queue,
    struct staple_slots *slots, int64_t mono_ms, struct staple_slot **slot);

/* When time alone may free a slot for somebody (monotonic ms); INT64_MAX:
 * never. */
int64_t staple_queue_until(const struct staple_queue *queue,
    const struct staple_slots *slots, int64_t mono_ms);

#endif
