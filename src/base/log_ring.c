/*
 * Lines as length-prefixed records that may wrap around the end of the ring.
 * Whoever guards the ring.  Head and tail only ever grow: their difference
 * is the fill even after they overflow, so full and empty never look alike.
 */
#include "base/log_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct record {
	uint16_t len;
	uint16_t tag;
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
copy_in(struct log_ring *ring, const void *from, size_t len)
{
	size_t at = ring->tail & (ring->size - 1);
	size_t first = least(len, ring->size - at);

	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, (const char *)from + first, len - first);
	ring->tail += len;
}

static void
copy_out(const struct log_ring *ring, size_t from, void *to, size_t len)
{
	size_t at = from & (ring->size - 1);
	size_t first = least(len, ring->size - at);

	memcpy(to, ring->bytes + at, first);
	memcpy((char *)to + first, ring->bytes, len - first);
}

bool
log_ring_init(struct log_ring *ring, size_t size)
{
	assert(size != 0 && (size & (size - 1)) == 0);
	*ring = (struct log_ring){ .bytes = malloc(size), .size = size };
	return ring->bytes != NULL;
}

void
log_ring_fini(struct log_ring *ring)
{
	free(ring->bytes);
	*ring = (struct log_ring){ 0 };
}

bool
log_ring_put(struct log_ring *ring, uint16_t tag, const char *line, size_t len)
{
	struct record record = { .len = (uint16_t)len, .tag = tag };

	assert(len <= UINT16_MAX);
	if (ring->size - log_ring_used(ring) < sizeof(record) + len)
		return false;
	copy_in(ring, &record, sizeof(record));
	copy_in(ring, line, len);
	return true;
}

size_t
log_ring_take(struct log_ring *ring, char *out, size_t max, uint16_t *tag)
{
	struct record record;
	size_t len = 0;

	while (log_ring_used(ring) > 0) {
		copy_out(ring, ring->head, &record, sizeof(record));
		if (len > 0 && (record.tag != *tag || record.len > max - len))
			break;
		assert(record.len <= max);
		*tag = record.tag;
		copy_out(
		    ring, ring->head + sizeof(record), out + len, record.len);
		len += record.len;
		ring->head += sizeof(record) + record.len;
	}
	return len;
}
