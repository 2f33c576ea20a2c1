/*
 * A ring of lines, each with a small tag: plain memory, no lock, no clock.
 * The log keeps one under its lock; whole lines go in and come out in order.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct log_ring {
	char *bytes;
	size_t size; /* a power of two */
	size_t head; /* bytes ever taken; the offset is modulo size */
	size_t tail; /* bytes ever put; tail - head <= size */
};

/* size: a power of two.  false: no memory. */
bool log_ring_init(struct log_ring *ring, size_t size) MUST_CHECK;
void log_ring_fini(struct log_ring *ring); /* zeroed: nothing to do */

/* Append one line of at most 65535 bytes.  false: it does not fit. */
bool log_ring_put(struct log_ring *ring, uint16_t tag, const char *line,
    size_t len) MUST_CHECK;

/*
 * Move as many whole lines as fit into out, stopping where the tag changes;
 * says the tag.  Returns the bytes, 0 when the ring is empty.  max must hold
 * the longest line that was ever put.
 */
size_t log_ring_take(
    struct log_ring *ring, char *out, size_t max, uint16_t *tag);

/* Bytes held, overhead included. */
static inline size_t
log_ring_used(const struct log_ring *ring)
{
	return ring->tail - ring->head;
}

#endif
