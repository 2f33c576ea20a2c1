/*
 * The buffer's bookkeeping.  The thread that owns the buffer and its pool.
 * A buffer never moves its bytes: a block is emptied from the front and
 * filled at the back, and starts over only when it runs empty.
 */
#include "base/buf.h"

#include <assert.h>

#include "base/pool.h"

bool
buf_hold(struct buf *buf, struct pool *pool)
{
	if (buf->data == NULL)
		buf->data = pool_take(pool);
	return buf->data != NULL;
}

void
buf_rest(struct buf *buf, struct pool *pool)
{
	if (buf_len(buf) == 0)
		buf_drop(buf, pool);
}

void
buf_drop(struct buf *buf, struct pool *pool)
{
	pool_give(pool, buf->data);
	*buf = (struct buf){ 0 };
}

void
buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf_len(buf));
	buf->start += n;
	if (buf->start == buf->end) {
		buf->start = 0;
		buf->end = 0;
	}
}

size_t
buf_room(const struct buf *buf)
{
	return buf->data == NULL ? 0 : POOL_BLOCK_SIZE - buf->end;
}

void
buf_commit(struct buf *buf, size_t n)
{
	assert(n <= buf_room(buf));
	buf->end += n;
}
