/*
 * A byte buffer over one pool block:
 *
 *	data            data+start        data+end          data+POOL_BLOCK_SIZE
 *	 | already passed on | readable bytes | writable room    |
 *
 * 0 <= start <= end <= POOL_BLOCK_SIZE.  data is NULL exactly when the buffer
 * holds no block, and then start == end == 0: an empty buffer gives its block
 * back.  One thread only; embedded in its owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct pool;

struct buf {
	uint8_t *data;
	size_t start;
	size_t end;
};

/* Take a block if there is none yet.  false: no memory. */
bool buf_hold(struct buf *buf, struct pool *pool) MUST_CHECK;

/* Give the block back if nothing is readable; start and end return to 0. */
void buf_rest(struct buf *buf, struct pool *pool);

/* Drop the contents and give the block back. */
void buf_drop(struct buf *buf, struct pool *pool);

static inline size_t
buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}

static inline const uint8_t *
buf_bytes(const struct buf *buf)
{
	return buf->data + buf->start;
}

/* n <= buf_len.  An emptied buffer starts over at the front of its block. */
void buf_consume(struct buf *buf, size_t n);

/* Room behind the readable bytes (0 when no block is held). */
size_t buf_room(const struct buf *buf);

static inline uint8_t *
buf_tail(struct buf *buf)
{
	return buf->data + buf->end;
}

/* n <= buf_room: n bytes were written at buf_tail. */
void buf_commit(struct buf *buf, size_t n);

#endif
