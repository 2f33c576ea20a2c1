/*
 * I/O buffers and the blocks behind them.  One thread only.
 *
 * A pool holds the blocks of one thread.  A connection owns a block only while
 * its buffer holds bytes that could not be passed on yet; otherwise all
 * connections of the thread use the same few blocks, which stay in the cache.
 * So an idle connection owns no buffer memory, and the data path allocates
 * nothing per packet.
 *
 * A buffer is a byte queue over one block:
 *
 *	data            data+start        data+end          data+POOL_BLOCK_SIZE
 *	 | already passed on | readable bytes | writable room    |
 *
 * 0 <= start <= end <= POOL_BLOCK_SIZE.  data is NULL exactly when the buffer
 * has no block, and then start == end == 0.  A buffer is embedded in its owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/*
 * One block: 64 KiB of plaintext as TLS records (four of 16 KiB), each with
 * room for header, IV, padding and tag, fits with space to spare.
 */
#define POOL_BLOCK_SIZE (68u * 1024u)

struct pool;

struct pool *pool_new(void) MUST_CHECK; /* NULL: no memory */
void pool_free(struct pool *pool); /* every block was given back; NULL ok */

uint8_t *pool_take(struct pool *pool) MUST_CHECK;  /* NULL: no memory */
void pool_give(struct pool *pool, uint8_t *block); /* NULL ok */

size_t pool_in_use(const struct pool *pool); /* blocks taken now */

/* Free all but a few of the spare blocks. */
void pool_trim(struct pool *pool);

struct buf {
	uint8_t *data;
	size_t start;
	size_t end;
};

/* Take a block if there is none yet.  false: no memory. */
bool buf_hold(struct buf *buf, struct pool *pool) MUST_CHECK;

/* Give the block back if nothing is readable. */
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

/* n <= buf_len.  A buffer that becomes empty starts at its block's front. */
void buf_consume(struct buf *buf, size_t n);

/* Room behind the readable bytes; 0 without a block. */
size_t buf_room(const struct buf *buf);

static inline uint8_t *
buf_tail(struct buf *buf)
{
	return buf->data + buf->end;
}

/* n <= buf_room: n bytes were written at buf_tail. */
void buf_commit(struct buf *buf, size_t n);

#endif
