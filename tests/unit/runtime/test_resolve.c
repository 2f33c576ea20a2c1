/*
 * The resolver in its event loop: when it reports, and that the answer reaches
 * the backends.  Only localhost is looked up, which needs no name server.
 */
#include "runtime/resolve.h"

#include <criterion/criterion.h>
#include <ev.h>

#include "proxy/backend.h"
#include "proxy/service.h"
#include "tests/support/site.h"

#define PATIENCE_S 20.0

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
	ev_timer_init(&impatient, on_impatient, PATIENCE_S, 0.0);
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

Test(resolve, gives_a_new_service_what_is_known_already)
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

Test(resolve, may_be_freed_while_it_asks)
{
	struct generation *generation = site_build(&site, NULL, one_name, true);

	cr_assert(resolver_follow(resolver, generation));
	ev_run(loop, EVRUN_NOWAIT); /* the look-up starts */
	generation_unref(generation);
}
