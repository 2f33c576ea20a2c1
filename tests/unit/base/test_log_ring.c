/* Lines go in and come out whole, in order, around the end of the ring. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/log_ring.h"

static struct log_ring ring;

static void
set_up(void)
{
	cr_assert(log_ring_init(&ring, 64));
}

static void
tear_down(void)
{
	log_ring_fini(&ring);
}

TestSuite(log_ring, .init = set_up, .fini = tear_down);

static bool
put(uint16_t tag, const char *line)
{
	return log_ring_put(&ring, tag, line, strlen(line));
}

static void
expect_take(size_t max, uint16_t tag, const char *expect)
{
	uint16_t got_tag = 0xffff;
	char got[65] = "";
	size_t len = log_ring_take(&ring, got, max, &got_tag);

	cr_expect_eq(len, strlen(expect), "%s, not %s", got, expect);
	cr_expect_str_eq(got, expect);
	cr_expect_eq(got_tag, tag);
}

Test(log_ring, is_empty_at_first)
{
	uint16_t tag;
	char out[8];

	cr_expect_eq(log_ring_used(&ring), 0);
	cr_expect_eq(log_ring_take(&ring, out, sizeof(out), &tag), 0);
}

Test(log_ring, takes_lines_of_one_tag_together)
{
	cr_expect(put(1, "one\n"));
	cr_expect(put(1, "two\n"));
	cr_expect(put(2, "three\n"));
	expect_take(64, 1, "one\ntwo\n");
	expect_take(64, 2, "three\n");
	cr_expect_eq(log_ring_used(&ring), 0);
}

Test(log_ring, takes_whole_lines_only)
{
	cr_expect(put(1, "one\n"));
	cr_expect(put(1, "two\n"));
	expect_take(7, 1, "one\n");
	expect_take(7, 1, "two\n");
}

Test(log_ring, refuses_what_does_not_fit_and_keeps_the_rest)
{
	cr_expect(put(1, "0123456789012345678901234\n"));
	cr_expect(put(1, "0123456789012345678901234\n"));
	cr_expect_not(put(1, "\n"));
	expect_take(26, 1, "0123456789012345678901234\n");
	cr_expect(put(1, "\n"));
	expect_take(64, 1, "0123456789012345678901234\n\n");
}

Test(log_ring, can_be_filled_to_the_last_byte)
{
	char line[61];

	memset(line, 'x', 60);
	line[60] = '\0';
	cr_expect_not(log_ring_put(&ring, 1, line, 61));
	cr_expect(put(1, line));
	cr_expect_eq(log_ring_used(&ring), 64);
	expect_take(64, 1, line);
}

Test(log_ring, goes_round_and_round)
{
	char line[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "line %d %.*s\n", i, i % 11,
		    "xxxxxxxxxxx");
		cr_assert(put((uint16_t)i, line));
		expect_take(64, (uint16_t)i, line);
	}
}
