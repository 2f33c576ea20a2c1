/* How many may be asked at once, in all and of one responder. */
#include "staple/slots.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/attr.h"
#include "staple/hosts.h"

#define SLOW STAPLE_SLOW_SLOT_MS

static struct staple_hosts hosts;
static struct staple_slots *slots;

static void
set_up(void)
{
	staple_hosts_init(&hosts);
	slots = staple_slots_new(32);
	cr_assert_not_null(slots);
}

static void
tear_down(void)
{
	staple_slots_free(slots);
	staple_hosts_fini(&hosts);
}

TestSuite(slots, .init = set_up, .fini = tear_down);

static struct staple_host *
host_of(const char *name)
{
	struct staple_host *host = staple_hosts_hold(&hosts, name, 0);

	cr_assert_not_null(host);
	return host;
}

/* Take as many as there are for this host, at most `want`; how many. */
static unsigned
take(const char *host, unsigned want, int64_t mono_ms)
{
	unsigned got = 0;

	while (got < want &&
	       staple_slots_take(slots, host_of(host), mono_ms) != NULL)
		got++;
	return got;
}

Test(slots, gives_four_to_a_host_at_first)
{
	cr_expect_eq(take("a:80", 9, 0), STAPLE_HOST_SLOTS);
	cr_expect_eq(take("b:80", 9, 0), STAPLE_HOST_SLOTS);
	cr_expect_eq(take("a:81", 9, 0), STAPLE_HOST_SLOTS, "another port");
	cr_expect_eq(staple_slots_taken(slots), 12);
}

Test(slots, gives_no_more_than_all_there_are)
{
	char host[16];
	unsigned got = 0;

	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "host%d:80", i);
		got += take(host, 4, 0);
	}
	cr_expect_eq(got, 32);
	cr_expect_eq(staple_slots_taken(slots), 32);
}

Test(slots, gives_again_what_was_given_back)
{
	struct staple_slot *slot = staple_slots_take(slots, host_of("a:80"), 0);

	cr_assert_not_null(slot);
	cr_expect_eq(take("a:80", 9, 0), 3);
	staple_slots_give(slots, slot);
	cr_expect_eq(take("a:80", 9, 0), 1);
	cr_expect_eq(staple_slots_taken(slots), 4);
}

static const struct slow_row {
	const char *what;
	int64_t at;
	unsigned expect;
} slow_rows[] = {
	{ "at once", 0, 0 },
	{ "a moment before", SLOW - 1, 0 },
	{ "held for two seconds", SLOW, 1 },
};

Test(slots, does_not_count_a_slow_slot_toward_its_host)
{
	cr_expect_eq(take("a:80", 1, 0), 1);
	cr_expect_eq(take("a:80", 3, 1), 3);
	for (size_t i = 0; i < ARRAY_LEN(slow_rows); i++) {
		const struct slow_row *row = &slow_rows[i];

		cr_expect_eq(
		    take("a:80", 1, row->at), row->expect, "%s", row->what);
	}
}

Test(slots, counts_a_slow_slot_toward_all)
{
	staple_slots_resize(slots, 4);
	cr_expect_eq(take("a:80", 4, 0), 4);
	cr_expect_eq(take("a:80", 1, SLOW), 0);
	cr_expect_eq(take("b:80", 1, SLOW), 0);
}

Test(slots, lets_other_hosts_pass_a_hanging_one)
{
	int64_t now = 0;

	/* One host hangs; whatever it holds, 4 are let to it in 2 s. */
	for (; now < 3 * SLOW; now += SLOW)
		cr_expect_eq(take("hangs:80", 32, now), 4);
	cr_expect_eq(take("good:80", 4, now), 4);
}

static const struct until_row {
	const char *what, *host;
	int64_t at, expect;
} until_rows[] = {
	{ "a host with none taken", "b:80", 20, 20 },
	{ "a host with its four", "a:80", 20, 10 + SLOW },
	{ "when its first turned slow", "a:80", 10 + SLOW, 10 + SLOW },
};

Test(slots, tells_when_to_come_again)
{
	cr_expect_eq(take("a:80", 1, 10), 1);
	cr_expect_eq(take("a:80", 3, 15), 3);
	for (size_t i = 0; i < ARRAY_LEN(until_rows); i++) {
		const struct until_row *row = &until_rows[i];

		cr_expect_eq(
		    staple_slots_until(slots, host_of(row->host), row->at),
		    row->expect, "%s", row->what);
	}
	staple_slots_resize(slots, 4);
	cr_expect_eq(staple_slots_until(slots, host_of("b:80"), 20), INT64_MAX,
	    "only when one is given back");
}

Test(slots, gives_none_until_a_smaller_house_has_room)
{
	struct staple_slot *first = staple_slots_take(
	    slots, host_of("a:80"), 0);
	struct staple_slot *second = staple_slots_take(
	    slots, host_of("b:80"), 0);

	cr_assert(first != NULL && second != NULL);
	staple_slots_resize(slots, 1);
	staple_slots_give(slots, first);
	cr_expect_null(staple_slots_take(slots, host_of("c:80"), 0));
	staple_slots_give(slots, second);
	cr_expect_not_null(staple_slots_take(slots, host_of("c:80"), 0));
}

/* ---- the limit of a host ---- */

static const struct limit_row {
	const char *what;
	unsigned quick, took_ms; /* so many answers, each within this */
	unsigned expect;
} limit_rows[] = {
	{ "one more for each quick answer", 3, 500, 7 },
	{ "up to 32", 100, 1, 32 },
	{ "a slow answer: four again", 100, 501, 4 },
};

Test(slots, follow_how_quickly_a_host_answers)
{
	struct staple_host *host;

	for (size_t i = 0; i < ARRAY_LEN(limit_rows); i++) {
		const struct limit_row *row = &limit_rows[i];
		char name[16];

		snprintf(name, sizeof(name), "h%zu:80", i);
		host = host_of(name);
		for (unsigned n = 0; n < row->quick; n++)
			staple_host_answered(host, row->took_ms);
		cr_expect_eq(host->limit, row->expect, "%s", row->what);
	}
	host = host_of("h1:80");
	cr_expect_eq(take("h1:80", 99, 0), 32);
	staple_host_answered(host, 600);
	cr_expect_eq(host->limit, STAPLE_HOST_SLOTS);
	cr_expect_eq(staple_slots_until(slots, host, 1), INT64_MAX);
}
