/*
 * Blocks and buffers.  The thread that owns the pool.
 *
 * The pool is a stack: the block given back last is the next one taken, as it
 * is still in the cache.  There are never more spare blocks than blocks in use
 * (or SPARES_MIN), so that a burst of connections costs few calls of malloc
 * and no memory once it is over.  Blocks hold plaintext and are cleansed when
 * they leave the pool; between uses they are not, since the next user
 * overwrites before it reads.
 *
 * A buffer never moves its bytes: a block is emptied from the front and filled
 * at the back, and starts over only when it runs empty.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Up to this number spare blocks are kept, whatever is in use. */
enum { SPARES_MIN = 8 };

/* The first bytes of a spare block. */
struct spare {
	struct spare *next;
};

struct pool {
	struct spare *spares;
	size_t spare_count;
	size_t in_use;
};

static void
release(void *block)
{
	explicit_bzero(block, POOL_BLOCK_SIZE);
	free(block);
}

static void *
pop(struct pool *pool)
{
	struct spare *top = pool->spares;

	pool->spares = top->next;
	pool->spare_count--;
	return top;
}

static void
trim_to(struct pool *pool, size_t keep)
{
	while (pool->spare_count > keep)
		release(pop(pool));
}

struct pool *
pool_new(void)
{
	return calloc(1, sizeof(struct pool));
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->in_use == 0);
	trim_to(pool, 0);
	free(pool);
}

uint8_t *
pool_take(struct pool *pool)
{
	void *block = pool->spares != NULL ? pop(pool)
					   : malloc(POOL_BLOCK_SIZE);

	if (block != NULL)
		pool->in_use++;
	return block;
}

void
pool_give(struct pool *pool, uint8_t *block)
{
	struct spare *spare = (void *)block;

	if (block == NULL)
		return;
	assert(pool->in_use > 0);
	pool->in_use--;
	spare->next = pool->spares;
	pool->spares = spare;
	pool->spare_count++;
	trim_to(pool, pool->in_use > SPARES_MIN ? pool->in_use : SPARES_MIN);
}

size_t
pool_in_use(const struct pool *pool)
{
	return pool->in_use;
}

void
pool_trim(struct pool *pool)
{
	trim_to(pool, SPARES_MIN);
}

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
