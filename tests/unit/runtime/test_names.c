/*
 * The table of backend names: which there are, what is news, what is taken
 * over by the next generation.
 */
#include "runtime/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/backend.h"
#include "proxy/service.h"
#include "tests/support/site.h"

#define SECTION(name, connect)                                     \
	"[listener " name "]\naccept = 127.0.0.1:0\n" connect "\n" \
	"cert = cert.pem\nkey = key.pem\n"

static const char two_services[] = SECTION(
    "one", "connect = app.example:80\nconnect = 127.0.0.1:80\nresolve = 60s")
    SECTION("two", "connect = app.example:81\nconnect = db.example:82\n"
		   "resolve = 10s");

static struct site site;
static struct generation *generation;
static struct names names;

static void
set_up(void)
{
	site_open(&site, 1);
	generation = site_build(&site, NULL, two_services, true);
	cr_assert_not_null(generation);
	cr_assert(names_init(&names, generation));
}

static void
tear_down(void)
{
	names_fini(&names);
	generation_unref(generation);
	site_close(&site);
}

TestSuite(names, .init = set_up, .fini = tear_down);

static size_t
parse(const char *const *texts, size_t count, struct addr *addresses)
{
	for (size_t i = 0; i < count; i++)
		cr_assert(addr_parse(&addresses[i], NULL, texts[i], NULL));
	return count;
}

Test(names, are_each_there_once_with_the_shortest_interval)
{
	cr_assert_eq(names.count, 2u);
	cr_expect_str_eq(names.items[0].host, "app.example");
	cr_expect_eq(names.items[0].every_ms, 10000u);
	cr_expect_str_eq(names.items[1].host, "db.example");
}

Test(names, are_found_by_the_look_up_under_way)
{
	names.items[1].lookup = 7;
	cr_expect_eq(names_find(&names, 7), &names.items[1]);
	cr_expect_null(names_find(&names, 8));
	cr_expect_null(names_find(&names, 0));
}

Test(names, know_news_from_shuffling)
{
	static const struct {
		const char *what, *given[2];
		size_t count;
		bool expect;
	} rows[] = {
		{ "first answer", { "192.0.2.1:0", "192.0.2.2:0" }, 2, true },
		{ "the same", { "192.0.2.1:0", "192.0.2.2:0" }, 2, false },
		{ "shuffled", { "192.0.2.2:0", "192.0.2.1:0" }, 2, false },
		{ "one less", { "192.0.2.2:0" }, 1, true },
		{ "another", { "192.0.2.3:0" }, 1, true },
	};
	struct addr addresses[2];
	bool changed;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(rows[i].given, rows[i].count, addresses);
		cr_assert(name_remember(
		    &names.items[0], addresses, rows[i].count, &changed));
		cr_expect_eq(changed, rows[i].expect, "%s", rows[i].what);
	}
}

Test(names, put_their_answer_into_every_backend)
{
	static const char *const texts[] = { "192.0.2.1:0" };
	struct addr addresses[1];
	bool changed;

	cr_assert(name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	cr_expect_not(name_is_resolved(&names.items[0], generation));
	cr_assert(name_put(&names.items[0], generation));
	cr_expect(name_is_resolved(&names.items[0], generation));
	cr_expect_not(name_is_resolved(&names.items[1], generation));
	cr_expect(backends_resolved(
	    generation_service(generation, 1)->sites[0].backends, 0));
}

Test(names, hand_on_what_is_known)
{
	static const char *const texts[] = { "192.0.2.1:0" };
	struct addr addresses[1];
	struct names fresh;
	bool changed;

	cr_assert(name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	names.items[0].lookup = 9;
	names.items[0].failing = true;
	cr_assert(names_init(&fresh, generation));
	names_inherit(&fresh, &names);
	cr_expect_eq(fresh.items[0].lookup, 9u);
	cr_expect(fresh.items[0].failing);
	cr_expect_eq(fresh.items[0].last_count, 1u);
	cr_expect_eq(names.items[0].last_count, 0u);
	cr_expect_eq(fresh.items[1].last_count, 0u);
	names_fini(&fresh);
}

/* A connect to the first backend of the first service fails. */
static void
fail_connect(void)
{
	static const char *const texts[] = { "127.0.0.1:0" };
	struct backends *backends;
	struct backend_walk walk;
	struct addr addresses[1];
	bool changed;
	int fd;

	backends = generation_service(generation, 0)->sites[0].backends;
	cr_assert(name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	cr_assert(name_put(&names.items[0], generation));
	backend_walk_init(&walk, backends);
	if (backend_walk_next(&walk, 1, &fd) != BACKEND_NONE)
		close(fd);
	if (!backends_failed(backends, 0))
		backend_walk_failed(&walk, walk.candidate, ETIMEDOUT, 1);
	backend_walk_fini(&walk);
}

Test(names, are_due_at_once_after_a_failed_connect)
{
	static const struct {
		const char *what;
		int64_t asked_ms, due_ms, expect;
	} rows[] = {
		{ "long ago", 1000, 60000, 2000 },
		{ "due before", 1000, 1500, 1500 },
	};
	size_t i;

	fail_connect();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		names.items[0].asked_ms = rows[i].asked_ms;
		names.items[0].due_ms = rows[i].due_ms;
		names.items[1].due_ms = 70000;
		names_hurry(&names, generation, 1000);
		cr_expect_eq(
		    names.items[0].due_ms, rows[i].expect, "%s", rows[i].what);
		cr_expect_eq(names.items[1].due_ms, 70000, "it is another");
	}
	names.items[0].due_ms = 60000;
	name_clear_failed(&names.items[0], generation);
	names_hurry(&names, generation, 1000);
	cr_expect_eq(names.items[0].due_ms, 60000, "it is being looked up");
}
