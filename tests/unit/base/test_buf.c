/*
 * Buffers: their invariant, and when they own a block.  Blocks: the newest is
 * reused first, and spare ones do not pile up.
 */
#include <criterion/criterion.h>
#include <malloc.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"

static struct pool *shared;

static void
set_up(void)
{
	shared = pool_new();
	cr_assert_not_null(shared);
}

static void
tear_down(void)
{
	pool_free(shared);
}

TestSuite(buf, .init = set_up, .fini = tear_down);

static void
fill(struct buf *buf, const char *text)
{
	cr_assert(buf_hold(buf, shared));
	memcpy(buf_tail(buf), text, strlen(text));
	buf_commit(buf, strlen(text));
}

Test(buf, has_no_room_without_a_block)
{
	struct buf buf = { 0 };

	cr_expect_eq(buf_room(&buf), 0);
	cr_expect_eq(buf_len(&buf), 0);
	cr_assert(buf_hold(&buf, shared));
	cr_expect_eq(buf_room(&buf), POOL_BLOCK_SIZE);
	buf_drop(&buf, shared);
	cr_expect_null(buf.data);
}

Test(buf, has_one_block_however_often_hold_is_called)
{
	struct buf buf = { 0 };

	cr_assert(buf_hold(&buf, shared));
	cr_assert(buf_hold(&buf, shared));
	cr_expect_eq(pool_in_use(shared), 1);
	buf_drop(&buf, shared);
	cr_expect_eq(pool_in_use(shared), 0);
}

Test(buf, gives_back_the_bytes_in_order)
{
	struct buf buf = { 0 };

	fill(&buf, "one");
	fill(&buf, "two");
	cr_expect_eq(buf_len(&buf), 6);
	cr_expect_arr_eq(buf_bytes(&buf), "onetwo", 6);
	buf_consume(&buf, 2);
	cr_expect_eq(buf_len(&buf), 4);
	cr_expect_arr_eq(buf_bytes(&buf), "etwo", 4);
	cr_expect_eq(buf_room(&buf), POOL_BLOCK_SIZE - 6);
	buf_drop(&buf, shared);
}

Test(buf, starts_over_when_emptied)
{
	struct buf buf = { 0 };

	fill(&buf, "abc");
	buf_consume(&buf, 3);
	cr_expect_eq(buf_room(&buf), POOL_BLOCK_SIZE);
	cr_expect_eq(buf_len(&buf), 0);
	buf_drop(&buf, shared);
}

Test(buf, rests_only_when_it_is_empty)
{
	struct buf buf = { 0 };

	fill(&buf, "abc");
	buf_rest(&buf, shared);
	cr_expect_eq(buf_len(&buf), 3);
	cr_expect_eq(pool_in_use(shared), 1);
	buf_consume(&buf, 3);
	buf_rest(&buf, shared);
	cr_expect_null(buf.data);
	cr_expect_eq(pool_in_use(shared), 0);
	buf_rest(&buf, shared);
	cr_expect_eq(pool_in_use(shared), 0);
}

Test(buf, can_be_filled_to_the_last_byte)
{
	struct buf buf = { 0 };

	cr_assert(buf_hold(&buf, shared));
	memset(buf_tail(&buf), 'x', buf_room(&buf));
	buf_commit(&buf, buf_room(&buf));
	cr_expect_eq(buf_room(&buf), 0);
	cr_expect_eq(buf_len(&buf), POOL_BLOCK_SIZE);
	buf_drop(&buf, shared);
}

static void
take_all(struct pool *pool, uint8_t **blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		blocks[i] = pool_take(pool);
		cr_assert_not_null(blocks[i]);
	}
}

static void
give_all(struct pool *pool, uint8_t **blocks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pool_give(pool, blocks[i]);
}

Test(pool, hands_out_the_newest_spare_first)
{
	struct pool *pool = pool_new();
	uint8_t *blocks[3], *again[3];

	take_all(pool, blocks, 3);
	give_all(pool, blocks, 3);
	take_all(pool, again, 3);
	cr_expect_eq(again[0], blocks[2]);
	cr_expect_eq(again[1], blocks[1]);
	cr_expect_eq(again[2], blocks[0]);
	give_all(pool, again, 3);
	pool_free(pool);
}

Test(pool, counts_what_is_out)
{
	struct pool *pool = pool_new();
	uint8_t *blocks[2];

	cr_expect_eq(pool_in_use(pool), 0);
	take_all(pool, blocks, 2);
	cr_expect_eq(pool_in_use(pool), 2);
	pool_give(pool, NULL);
	cr_expect_eq(pool_in_use(pool), 2);
	give_all(pool, blocks, 2);
	cr_expect_eq(pool_in_use(pool), 0);
	pool_free(pool);
}

Test(pool, gives_every_block_its_whole_size)
{
	struct pool *pool = pool_new();
	uint8_t *blocks[20];

	take_all(pool, blocks, ARRAY_LEN(blocks));
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		memset(blocks[i], (int)i, POOL_BLOCK_SIZE);
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		cr_expect_eq(blocks[i][0], i);
		cr_expect_eq(blocks[i][POOL_BLOCK_SIZE - 1], i);
	}
	give_all(pool, blocks, ARRAY_LEN(blocks));
	pool_free(pool);
}

Test(pool, survives_trimming_in_use_and_idle)
{
	struct pool *pool = pool_new();
	uint8_t *blocks[40];

	take_all(pool, blocks, 40);
	give_all(pool, blocks, 20);
	pool_trim(pool);
	cr_expect_eq(pool_in_use(pool), 20);
	give_all(pool, blocks + 20, 20);
	pool_trim(pool);
	cr_expect_eq(pool_in_use(pool), 0);
	take_all(pool, blocks, 40);
	cr_expect_eq(pool_in_use(pool), 40);
	give_all(pool, blocks, 40);
	pool_free(pool);
}

Test(pool, free_accepts_nothing)
{
	struct pool *pool = pool_new();

	cr_expect_not_null(pool);
	pool_free(pool);
	pool_free(NULL);
}

Test(pool, a_burst_leaves_a_handful_of_blocks)
{
	struct pool *pool = pool_new();
	uint8_t *blocks[100];
	size_t before = mallinfo2().uordblks;
	size_t peak, after;

	take_all(pool, blocks, 100);
	peak = mallinfo2().uordblks;
	give_all(pool, blocks, 100);
	after = mallinfo2().uordblks;
	/* A sanitizer's allocator counts nothing: then all three are equal. */
	cr_expect_leq(before, peak);
	cr_expect_lt(after - before, 9 * (POOL_BLOCK_SIZE + 64));
	pool_free(pool);
}
