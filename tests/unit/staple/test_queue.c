/* What waits for a slot, and whose turn it is. */
#include "staple/queue.h"

#include <criterion/criterion.h>

#include "staple/hosts.h"
#include "staple/slots.h"

enum { PLACES = 8 };

static struct staple_hosts hosts;
static struct staple_slots *slots;
static struct staple_place places[PLACES];
static struct staple_slot *slot; /* of the last turn */

static void
set_up(void)
{
	staple_hosts_init(&hosts);
	slots = staple_slots_new(100);
	cr_assert_not_null(slots);
}

static void
tear_down(void)
{
	for (int i = 0; i < PLACES; i++)
		staple_queue_leave(&places[i]);
	staple_slots_free(slots);
	staple_hosts_fini(&hosts);
}

TestSuite(queue, .init = set_up, .fini = tear_down);

static struct staple_host *
host_of(const char *name)
{
	struct staple_host *host = staple_hosts_hold(&hosts, name, 0);

	cr_assert_not_null(host);
	return host;
}

static void
join(int place, const char *host, int64_t due)
{
	cr_assert(staple_queue_join(host_of(host), &places[place], due));
}

/* The number of the place whose turn it is; -1: nobody's. */
static int
next(int64_t mono_ms)
{
	struct staple_place *place = staple_queue_next(
	    &hosts, slots, mono_ms, &slot);

	return place != NULL ? (int)(place - places) : -1;
}

Test(queue, has_nobody_at_first)
{
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, slots, 0), INT64_MAX);
}

Test(queue, serves_a_line_by_due_time)
{
	join(0, "a:80", 30);
	join(1, "a:80", 10);
	join(2, "a:80", 20);
	join(3, "a:80", 10);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), 3, "who came first of two as old");
	cr_assert_eq(next(0), 2);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), -1);
}

Test(queue, serves_hosts_in_turn)
{
	join(0, "a:80", 1);
	join(1, "a:80", 1);
	join(2, "a:80", 1);
	join(3, "b:80", 9);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), 3, "another host comes before more of the same");
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), 2);
}

Test(queue, passes_by_a_host_whose_slots_are_taken)
{
	for (int i = 0; i < STAPLE_HOST_SLOTS; i++)
		cr_assert_not_null(
		    staple_slots_take(slots, host_of("a:80"), 0));
	join(0, "a:80", 1);
	join(1, "b:80", 2);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, slots, 0), STAPLE_SLOW_SLOT_MS);
	cr_assert_eq(next(STAPLE_SLOW_SLOT_MS), 0);
}

Test(queue, lets_nobody_in_when_all_slots_are_taken)
{
	struct staple_slot *taken;

	staple_slots_resize(slots, 1);
	join(0, "a:80", 1);
	join(1, "b:80", 1);
	cr_assert_eq(next(0), 0);
	taken = slot;
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, slots, 0), INT64_MAX);
	staple_slots_give(slots, taken);
	cr_assert_eq(next(0), 1);
}

Test(queue, forgets_who_leaves)
{
	join(0, "a:80", 1);
	join(1, "a:80", 2);
	staple_queue_leave(&places[0]);
	staple_queue_leave(&places[0]);
	cr_assert_eq(next(0), 1);
	cr_assert_eq(next(0), -1);
}

Test(queue, takes_back_who_has_left)
{
	join(0, "a:80", 1);
	cr_assert_eq(next(0), 0);
	join(0, "b:80", 1);
	cr_assert_eq(next(0), 0);
}

static void
fail(const char *host, int place, int times, int64_t at_ms)
{
	const struct staple_host_failure failure = {
		.outcome = STAPLE_CONNECTION_REFUSED,
		.mono_ms = at_ms,
		.began_ms = at_ms,
	};

	for (int i = 0; i < times; i++)
		(void)staple_host_failed(
		    host_of(host), &places[place], &failure);
}

Test(queue, lets_one_probe_a_host_that_is_down)
{
	struct staple_host *host = host_of("a:80");

	join(0, "a:80", 10);
	join(1, "a:80", 20);
	join(2, "b:80", 30);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert(host->down);
	cr_assert_eq(next(0), 2, "the other host is not concerned");
	cr_assert_eq(next(0), -1);
	cr_assert_eq(staple_queue_until(&hosts, slots, 0), host->probe_ms);
	cr_assert_eq(next(host->probe_ms - 1), -1);
	cr_assert_eq(next(host->probe_ms), 0);
	cr_assert_eq(next(host->probe_ms), -1, "one at a time");
	cr_assert_eq(staple_queue_until(&hosts, slots, host->probe_ms),
	    INT64_MAX, "until it has ended");
}

Test(queue, serves_the_second_try_of_a_probe_first)
{
	struct staple_host *host = host_of("a:80");

	join(0, "a:80", 10);
	join(1, "a:80", 20);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert_eq(next(host->probe_ms), 0);
	join(0, "a:80", 99);
	cr_assert_eq(next(host->probe_ms), 0);
	fail("a:80", 0, 1, host->probe_ms);
	cr_assert_eq(next(host->probe_ms - 1), -1);
	cr_assert_eq(next(host->probe_ms), 1);
}

Test(queue, releases_all_when_the_host_answers)
{
	join(0, "a:80", 10);
	join(1, "a:80", 20);
	fail("a:80", 7, STAPLE_HOST_DOWN_AFTER, 0);
	cr_assert_eq(next(0), -1);
	staple_host_answered(host_of("a:80"), 10);
	cr_assert_eq(next(0), 0);
	cr_assert_eq(next(0), 1);
}
