/* The invariant of a buffer, and when it owns a block. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/pool.h"

static struct pool *pool;

static void
set_up(void)
{
	pool = pool_new();
	cr_assert_not_null(pool);
}

static void
tear_down(void)
{
	pool_free(pool);
}

TestSuite(buf, .init = set_up, .fini = tear_down);

static void
fill(struct buf *buf, const char *text)
{
	cr_assert(buf_hold(buf, pool));
	memcpy(buf_tail(buf), text, strlen(text));
	buf_commit(buf, strlen(text));
}

Test(buf, has_no_room_without_a_block)
{
	struct buf buf = { 0 };

	cr_expect_eq(buf_room(&buf), 0);
	cr_expect_eq(buf_len(&buf), 0);
	cr_assert(buf_hold(&buf, pool));
	cr_expect_eq(buf_room(&buf), POOL_BLOCK_SIZE);
	buf_drop(&buf, pool);
	cr_expect_null(buf.data);
}

Test(buf, holds_one_block_however_often_it_is_asked)
{
	struct buf buf = { 0 };

	cr_assert(buf_hold(&buf, pool));
	cr_assert(buf_hold(&buf, pool));
	cr_expect_eq(pool_in_use(pool), 1);
	buf_drop(&buf, pool);
	cr_expect_eq(pool_in_use(pool), 0);
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
	buf_drop(&buf, pool);
}

Test(buf, starts_over_when_emptied)
{
	struct buf buf = { 0 };

	fill(&buf, "abc");
	buf_consume(&buf, 3);
	cr_expect_eq(buf_room(&buf), POOL_BLOCK_SIZE);
	cr_expect_eq(buf_len(&buf), 0);
	buf_drop(&buf, pool);
}

Test(buf, rests_only_when_it_is_empty)
{
	struct buf buf = { 0 };

	fill(&buf, "abc");
	buf_rest(&buf, pool);
	cr_expect_eq(buf_len(&buf), 3);
	cr_expect_eq(pool_in_use(pool), 1);
	buf_consume(&buf, 3);
	buf_rest(&buf, pool);
	cr_expect_null(buf.data);
	cr_expect_eq(pool_in_use(pool), 0);
	buf_rest(&buf, pool);
	cr_expect_eq(pool_in_use(pool), 0);
}

Test(buf, can_be_filled_to_the_last_byte)
{
	struct buf buf = { 0 };

	cr_assert(buf_hold(&buf, pool));
	memset(buf_tail(&buf), 'x', buf_room(&buf));
	buf_commit(&buf, buf_room(&buf));
	cr_expect_eq(buf_room(&buf), 0);
	cr_expect_eq(buf_len(&buf), POOL_BLOCK_SIZE);
	buf_drop(&buf, pool);
}
