/*
 * The resolver in its event loop: when it reports, and that the answer reaches
 * the backends.  Then its parts: the table of names (which are there, what is
 * another answer, what the next generation takes over), and look-ups.  Only
 * localhost is looked up, which needs no name server.
 */
#include "runtime/resolve.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/backend.h"
#include "proxy/service.h"
#include "tests/support/site.h"

#define DEADLINE_S 20.0

static const char no_name[] =
    "[listener a]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:1\n"
    "cert = cert.pem\nkey = key.pem\n";
static const char one_name[] =
    "[listener a]\naccept = 127.0.0.1:0\nconnect = localhost:1\n"
    "cert = cert.pem\nkey = key.pem\n";

static struct site site;
static struct ev_loop *loop;
static struct resolver *resolver;
static int reports;

static void
on_first(void *arg)
{
	(void)arg;
	reports++;
	ev_break(loop, EVBREAK_ALL);
}

static void
set_up(void)
{
	site_open(&site, 1);
	loop = ev_loop_new(EVFLAG_AUTO);
	resolver = resolver_new(loop, NULL, on_first, NULL, NULL);
	cr_assert_not_null(resolver);
}

static void
tear_down(void)
{
	resolver_free(resolver);
	ev_loop_destroy(loop);
	site_close(&site);
}

TestSuite(resolve, .init = set_up, .fini = tear_down);

static void
on_impatient(struct ev_loop *its_loop, struct ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(its_loop, EVBREAK_ALL);
}

/* Follow, and run the loop until the resolver reports. */
static struct generation *
follow(struct generation *old, const char *text)
{
	struct generation *fresh = site_build(&site, old, text, true);
	struct ev_timer impatient;

	cr_assert_not_null(fresh);
	cr_assert(resolver_follow(resolver, fresh));
	ev_timer_init(&impatient, on_impatient, DEADLINE_S, 0.0);
	ev_timer_start(loop, &impatient);
	ev_run(loop, 0);
	ev_timer_stop(loop, &impatient);
	return fresh;
}

Test(resolve, reports_even_when_there_is_no_name)
{
	struct generation *generation = site_build(&site, NULL, no_name, true);

	cr_assert(resolver_follow(resolver, generation));
	cr_expect_eq(reports, 0, "never from inside the call");
	generation_unref(generation);
	generation_unref(follow(NULL, no_name));
	cr_expect_eq(reports, 1);
}

Test(resolve, puts_the_answer_into_the_backends_before_it_reports)
{
	struct generation *generation = follow(NULL, one_name);
	struct service *service = generation_service(generation, 0);

	cr_expect_eq(reports, 1);
	cr_expect(backends_resolved(service->sites[0].backends, 0));
	generation_unref(generation);
}

Test(resolve, passes_known_answers_to_a_new_service)
{
	struct generation *old = follow(NULL, one_name);
	struct generation *fresh = site_build(&site, NULL, one_name, true);
	struct service *service = generation_service(fresh, 0);

	cr_expect_not(backends_resolved(service->sites[0].backends, 0));
	cr_assert(resolver_follow(resolver, fresh));
	cr_expect(backends_resolved(service->sites[0].backends, 0));
	generation_unref(old);
	generation_unref(fresh);
}

Test(resolve, may_be_freed_during_a_look_up)
{
	struct generation *generation = site_build(&site, NULL, one_name, true);

	cr_assert(resolver_follow(resolver, generation));
	ev_run(loop, EVRUN_NOWAIT); /* the look-up starts */
	generation_unref(generation);
}

/* ---- Names ---- */

#define SECTION(name, connect)                                     \
	"[listener " name "]\naccept = 127.0.0.1:0\n" connect "\n" \
	"cert = cert.pem\nkey = key.pem\n"

static const char two_services[] = SECTION(
    "one", "connect = app.example:80\nconnect = 127.0.0.1:80\nresolve = 60s")
    SECTION("two", "connect = app.example:81\nconnect = db.example:82\n"
		   "resolve = 10s");

static struct generation *generation;
static struct dns_names names;

static void
set_up_names(void)
{
	site_open(&site, 1);
	generation = site_build(&site, NULL, two_services, true);
	cr_assert_not_null(generation);
	cr_assert(dns_names_init(&names, generation));
}

static void
tear_down_names(void)
{
	dns_names_fini(&names);
	generation_unref(generation);
	site_close(&site);
}

TestSuite(dns_names, .init = set_up_names, .fini = tear_down_names);

static size_t
parse(const char *const *texts, size_t count, struct addr *addresses)
{
	for (size_t i = 0; i < count; i++)
		cr_assert(addr_parse(&addresses[i], NULL, texts[i], NULL));
	return count;
}

Test(dns_names, are_each_there_once_with_the_shortest_interval)
{
	cr_assert_eq(names.count, 2u);
	cr_expect_str_eq(names.items[0].host, "app.example");
	cr_expect_eq(names.items[0].every_ms, 10000u);
	cr_expect_str_eq(names.items[1].host, "db.example");
}

Test(dns_names, are_found_by_the_look_up_under_way)
{
	names.items[1].lookup = 7;
	cr_expect_eq(dns_names_find(&names, 7), &names.items[1]);
	cr_expect_null(dns_names_find(&names, 8));
	cr_expect_null(dns_names_find(&names, 0));
}

Test(dns_names, differ_by_addresses_and_not_by_order)
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
		cr_assert(dns_name_remember(
		    &names.items[0], addresses, rows[i].count, &changed));
		cr_expect_eq(changed, rows[i].expect, "%s", rows[i].what);
	}
}

Test(dns_names, put_their_answer_into_every_backend)
{
	static const char *const texts[] = { "192.0.2.1:0" };
	struct addr addresses[1];
	bool changed;

	cr_assert(dns_name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	cr_expect_not(dns_name_is_resolved(&names.items[0], generation));
	cr_assert(dns_name_put(&names.items[0], generation));
	cr_expect(dns_name_is_resolved(&names.items[0], generation));
	cr_expect_not(dns_name_is_resolved(&names.items[1], generation));
	cr_expect(backends_resolved(
	    generation_service(generation, 1)->sites[0].backends, 0));
}

Test(dns_names, pass_their_state_on)
{
	static const char *const texts[] = { "192.0.2.1:0" };
	struct addr addresses[1];
	struct dns_names fresh;
	bool changed;

	cr_assert(dns_name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	names.items[0].lookup = 9;
	names.items[0].failing = true;
	cr_assert(dns_names_init(&fresh, generation));
	dns_names_inherit(&fresh, &names);
	cr_expect_eq(fresh.items[0].lookup, 9u);
	cr_expect(fresh.items[0].failing);
	cr_expect_eq(fresh.items[0].last_count, 1u);
	cr_expect_eq(names.items[0].last_count, 0u);
	cr_expect_eq(fresh.items[1].last_count, 0u);
	dns_names_fini(&fresh);
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
	cr_assert(dns_name_remember(
	    &names.items[0], addresses, parse(texts, 1, addresses), &changed));
	cr_assert(dns_name_put(&names.items[0], generation));
	backend_walk_init(&walk, backends);
	if (backend_walk_next(&walk, 1, &fd) != BACKEND_NONE)
		close(fd);
	if (!backends_failed(backends, 0))
		backend_walk_failed(&walk, walk.candidate, ETIMEDOUT, 1);
	backend_walk_fini(&walk);
}

Test(dns_names, are_due_at_once_after_a_failed_connect)
{
	static const struct {
		const char *what;
		int64_t started_ms, due_ms, expect;
	} rows[] = {
		{ "long ago", 1000, 60000, 2000 },
		{ "due before", 1000, 1500, 1500 },
	};
	size_t i;

	fail_connect();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		names.items[0].started_ms = rows[i].started_ms;
		names.items[0].due_ms = rows[i].due_ms;
		names.items[1].due_ms = 70000;
		dns_names_expedite(&names, generation, 1000);
		cr_expect_eq(
		    names.items[0].due_ms, rows[i].expect, "%s", rows[i].what);
		cr_expect_eq(names.items[1].due_ms, 70000, "it is another");
	}
	names.items[0].due_ms = 60000;
	dns_name_clear_failed(&names.items[0], generation);
	dns_names_expedite(&names, generation, 1000);
	cr_expect_eq(names.items[0].due_ms, 60000, "it is being looked up");
}

/* ---- Look-ups ---- */

#define DEADLINE_MS 10000

static bool
wait_for_answer(struct dns_threads *threads, struct dns_answer *answer)
{
	struct pollfd watched = { .fd = dns_threads_fd(threads),
		.events = POLLIN };

	while (!dns_threads_take(threads, answer))
		if (poll(&watched, 1, DEADLINE_MS) != 1)
			return false;
	return true;
}

Test(dns_threads, resolve_on_the_calling_thread)
{
	static const struct {
		const char *given, *expect; /* NULL: fails */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "not a name", NULL },
	};
	struct dns_answer answer;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dns_resolve(rows[i].given, &answer);
		cr_expect_eq(answer.count, rows[i].expect ? 1u : 0u, "%s",
		    rows[i].given);
		if (answer.count > 0)
			cr_expect_str_eq(addr_print_host(&answer.addresses[0],
					     text, sizeof(text)),
			    rows[i].expect);
		else
			cr_expect_neq(answer.why[0], '\0', "%s", rows[i].given);
		dns_answer_fini(&answer);
	}
}

Test(dns_threads, post_each_answer_once_with_its_id)
{
	struct dns_threads *threads = dns_threads_new(NULL);
	struct dns_answer answer;
	unsigned seen = 0;

	cr_assert_not_null(threads);
	cr_assert(dns_threads_start(threads, "192.0.2.1", 1, NULL));
	cr_assert(dns_threads_start(threads, "192.0.2.2", 2, NULL));
	for (int i = 0; i < 2; i++) {
		cr_assert(wait_for_answer(threads, &answer));
		cr_expect_eq(answer.count, 1u);
		seen |= 1u << answer.id;
		dns_answer_fini(&answer);
	}
	cr_expect_eq(seen, 1u << 1 | 1u << 2);
	cr_expect_not(dns_threads_take(threads, &answer));
	dns_threads_free(threads);
}

Test(dns_threads, may_be_freed_while_they_run)
{
	struct dns_threads *threads = dns_threads_new(NULL);

	cr_assert_not_null(threads);
	for (uint64_t id = 1; id <= 4; id++)
		cr_assert(dns_threads_start(threads, "192.0.2.1", id, NULL));
	dns_threads_free(threads);
}
