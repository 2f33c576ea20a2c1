/*
 * A stack of spare blocks.  One thread.  The block given back last is the
 * next one taken, because it is still in the cache.  Spares are bounded by
 * what is in use (or a handful, if that is more): a crowd that comes and goes
 * costs few calls of malloc, and a crowd that has gone costs no memory.
 * Blocks hold plaintext and are cleansed when they leave the pool for good;
 * between uses they are not, since the next user overwrites before it reads.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HANDFUL = 8 };

/* Lies in the first bytes of a block while the block is spare. */
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
	trim_to(pool, pool->in_use > HANDFUL ? pool->in_use : HANDFUL);
}

size_t
pool_in_use(const struct pool *pool)
{
	return pool->in_use;
}

void
pool_trim(struct pool *pool)
{
	trim_to(pool, HANDFUL);
}
