/*
 * The resolver in its event loop: when it looks up which name, when it reports,
 * that answers reach the backends, and what the next generation takes over.  The
 * clock and getaddrinfo() are those of this program, in place of those of the
 * libraries: no test waits for time, and no name server is needed.
 */
#include "runtime/resolve.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/service.h"
#include "tests/support/site.h"
#include "tests/support/turn.h"

#define DEADLINE_S 20.0

/* ---- The clock ---- */

static _Atomic int64_t mono_ms = 1000000;

int64_t
clock_mono_ms(void)
{
	return mono_ms;
}

int64_t
clock_mono_us(void)
{
	return mono_ms * 1000;
}

int64_t
clock_wall_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

/* ---- The name server ---- */

#define ANSWER_MAX 2

/* Of every name but db.example, which does not exist. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t released;

	/* under lock */
	const char *answer[ANSWER_MAX]; /* up to a NULL */
	bool held;                      /* no answer yet */
	unsigned asked_app, asked_db;   /* of app.example and db.example */
	unsigned done;                  /* of all names: answered */
} server = { .lock = PTHREAD_MUTEX_INITIALIZER,
	.released = PTHREAD_COND_INITIALIZER,
	.answer = { "127.0.0.1" } };

static void
set_answer(const char *const *answer)
{
	pthread_mutex_lock(&server.lock);
	memcpy(server.answer, answer, sizeof(server.answer));
	pthread_mutex_unlock(&server.lock);
}

static void
hold(bool held)
{
	pthread_mutex_lock(&server.lock);
	server.held = held;
	pthread_cond_broadcast(&server.released);
	pthread_mutex_unlock(&server.lock);
}

static unsigned
count(const unsigned *counter)
{
	unsigned value;

	pthread_mutex_lock(&server.lock);
	value = *counter;
	pthread_mutex_unlock(&server.lock);
	return value;
}

/* One address, in front of the others. */
static struct addrinfo *
add_info(const char *text, struct addrinfo *others)
{
	struct info {
		struct addrinfo info;
		union {
			struct sockaddr any;
			struct sockaddr_in four;
			struct sockaddr_in6 six;
		} addr;
	} *info = calloc(1, sizeof(*info));

	info->info.ai_addr = &info->addr.any;
	info->info.ai_next = others;
	if (inet_pton(AF_INET, text, &info->addr.four.sin_addr) == 1) {
		info->info.ai_addrlen = sizeof(info->addr.four);
		info->addr.any.sa_family = AF_INET;
	} else {
		info->info.ai_addrlen = sizeof(info->addr.six);
		info->addr.any.sa_family = AF_INET6;
		inet_pton(AF_INET6, text, &info->addr.six.sin6_addr);
	}
	info->info.ai_family = info->addr.any.sa_family;
	return &info->info;
}

/* In the place of libc's functions, whose parameters have reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int
getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **found)
{
	bool exists = strcmp(host, "db.example") != 0;

	(void)port;
	(void)hints;
	*found = NULL;
	pthread_mutex_lock(&server.lock);
	server.asked_app += strcmp(host, "app.example") == 0;
	server.asked_db += !exists;
	while (server.held)
		pthread_cond_wait(&server.released, &server.lock);
	for (size_t i = ANSWER_MAX; exists && i-- > 0;)
		if (server.answer[i])
			*found = add_info(server.answer[i], *found);
	server.done++;
	pthread_mutex_unlock(&server.lock);
	return exists ? 0 : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *info)
{
	struct addrinfo *next;

	for (; info; info = next) {
		next = info->ai_next;
		free(info);
	}
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* ---- The resolver ---- */

static const char no_name[] =
    "[listener a]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:1\n"
    "cert = cert.pem\nkey = key.pem\n";
static const char one_name[] =
    "[listener a]\naccept = 127.0.0.1:0\nconnect = localhost:1\n"
    "cert = cert.pem\nkey = key.pem\n";

static struct site site;
static struct ev_loop *loop;
static struct resolver *resolver;
static struct log *log_file; /* to site.folder, as "log" */
static char log_path[128];
static int reports;
static int changes;

static void
on_first(void *arg)
{
	(void)arg;
	reports++;
	ev_break(loop, EVBREAK_ALL);
}

static void
on_change(void *arg)
{
	(void)arg;
	changes++;
}

static void
set_up(void)
{
	struct log_options options = { LEVEL_INFO, LOG_TEXT, log_path, "off" };

	site_open(&site, 1);
	snprintf(log_path, sizeof(log_path), "%s/log", site.folder.path);
	log_file = log_new();
	cr_assert(log_configure(log_file, &options, NULL));
	loop = ev_loop_new(EVFLAG_AUTO);
	resolver = resolver_new(
	    loop, log_file, on_first, on_change, NULL, NULL);
	cr_assert_not_null(resolver);
}

static void
tear_down(void)
{
	resolver_free(resolver);
	log_free(log_file);
	ev_loop_destroy(loop);
	site_close(&site);
}

/* The number of lines with this text; ends the resolver and the log, so that all
 * are in the file. */
static int
count_logged(const char *text)
{
	char line[1024];
	int lines = 0;
	FILE *file;

	resolver_free(resolver);
	resolver = NULL;
	log_free(log_file);
	log_file = NULL;
	file = fopen(log_path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file))
		lines += strstr(line, text) != NULL;
	fclose(file);
	return lines;
}

TestSuite(resolve, .init = set_up, .fini = tear_down);

/* Run the loop for at most this long. */
static void
run(double seconds)
{
	turn_loop(loop, seconds);
}

/* Follow, and run the loop until the resolver reports. */
static struct generation *
follow(struct generation *old, const char *text)
{
	struct generation *fresh = site_build(&site, old, text, true);

	cr_assert_not_null(fresh);
	cr_assert(resolver_follow(resolver, fresh));
	run(DEADLINE_S);
	return fresh;
}

/* Let at most this much time pass, and run the loop, until there were so many
 * look-ups.  A look-up begins after the answer to the one before it. */
static bool
pass_until(int64_t ms, const unsigned *counter, unsigned expect)
{
	const int64_t step_ms = 20;

	for (; ms > 0 && count(counter) < expect; ms -= step_ms) {
		mono_ms += step_ms;
		resolver_look(resolver);
		run(0.005);
	}
	return count(counter) == expect;
}

/* Wait until a look-up has begun. */
static bool
wait_for(const unsigned *counter, unsigned expect)
{
	for (int i = 0; i < DEADLINE_S / 0.005; i++) {
		if (count(counter) == expect)
			return true;
		run(0.005);
	}
	return false;
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

	hold(true);
	cr_assert(resolver_follow(resolver, generation));
	run(0.005); /* the look-up starts */
	generation_unref(generation);
	resolver_free(resolver);
	resolver = NULL;
	hold(false);
	cr_expect(wait_for(&server.done, 1));
}

Test(resolve, reports_when_the_name_server_does_not_answer)
{
	struct generation *generation = site_build(&site, NULL, one_name, true);

	hold(true);
	cr_assert(resolver_follow(resolver, generation));
	run(0.005);
	cr_expect_eq(reports, 0);
	mono_ms += 5000;
	resolver_look(resolver);
	cr_expect_eq(reports, 1);
	hold(false);
	cr_expect_eq(count_logged("no response from the name server"), 1);
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

TestSuite(dns_names, .init = set_up, .fini = tear_down);

static bool
is_resolved(struct generation *generation, size_t service, size_t backend)
{
	return backends_resolved(
	    generation_service(generation, service)->sites[0].backends,
	    backend);
}

Test(dns_names, are_looked_up_once_and_at_the_shortest_interval)
{
	struct generation *generation = follow(NULL, two_services);

	cr_expect_eq(reports, 1);
	cr_expect_eq(count(&server.asked_app), 1u);
	cr_expect_eq(count(&server.asked_db), 1u);
	cr_expect(pass_until(10100, &server.asked_app, 2));
	generation_unref(generation);
}

Test(dns_names, are_not_looked_up_before_their_time)
{
	struct generation *generation = follow(NULL, two_services);

	mono_ms += 9990;
	resolver_look(resolver);
	run(0.005);
	cr_expect_eq(count(&server.asked_app), 1u);
	generation_unref(generation);
}

Test(dns_names, put_their_answer_into_every_backend)
{
	struct generation *generation = follow(NULL, two_services);

	cr_expect(is_resolved(generation, 0, 0));
	cr_expect(is_resolved(generation, 1, 0));
	cr_expect_not(is_resolved(generation, 1, 1), "the other name");
	cr_expect_eq(count_logged("name does not resolve"), 1);
	generation_unref(generation);
}

/* Each answer is taken before the next look-up begins. */
Test(dns_names, differ_by_addresses_and_not_by_order)
{
	static const char *const answers[][ANSWER_MAX] = {
		{ "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.1", "192.0.2.2" },
		{ "192.0.2.2", "192.0.2.1" },
		{ "192.0.2.2", NULL },
		{ "2001:db8::3", NULL },
		{ "192.0.2.4", "::ffff:192.0.2.4" },
		{ NULL, NULL },
		{ NULL, NULL },
	};
	const size_t rows = sizeof(answers) / sizeof(answers[0]);
	struct generation *generation;

	set_answer(answers[0]);
	generation = follow(
	    NULL, SECTION("one", "connect = app.example:80\nresolve = 1s"));
	for (size_t i = 1; i < rows; i++) {
		set_answer(answers[i]);
		cr_assert(pass_until(4000, &server.asked_app, (unsigned)i + 1),
		    "%zu", i);
	}
	cr_expect_eq(count_logged("name has new addresses"), 3);
	cr_expect_eq(count_logged("addresses=1 first=192.0.2.2"), 1);
	cr_expect_eq(count_logged("addresses=1 first=2001:db8::3"), 1);
	cr_expect_eq(count_logged("addresses=1 first=192.0.2.4"), 1);
	cr_expect_eq(count_logged("the name has no address"), 1);
	generation_unref(generation);
}

Test(dns_names, pass_a_running_look_up_on)
{
	struct generation *old = site_build(&site, NULL, two_services, true);
	struct generation *fresh;

	hold(true);
	cr_assert(resolver_follow(resolver, old));
	cr_assert(wait_for(&server.asked_app, 1));
	fresh = site_build(&site, NULL, two_services, true);
	cr_assert(resolver_follow(resolver, fresh));
	run(0.005);
	hold(false);
	run(DEADLINE_S);
	cr_expect_eq(reports, 1);
	cr_expect(is_resolved(fresh, 0, 0));
	cr_expect_eq(count(&server.asked_app), 1u);
	generation_unref(old);
	generation_unref(fresh);
}

Test(dns_names, pass_a_logged_failure_on)
{
	generation_unref(follow(NULL, two_services));
	generation_unref(follow(NULL, two_services));
	cr_expect_eq(reports, 2);
	cr_expect_eq(count(&server.asked_app), 1u, "it is known");
	cr_expect_eq(count(&server.asked_db), 2u);
	cr_expect_eq(count_logged("name does not resolve"), 1);
}

/* A connect to the first backend of the first service fails. */
static void
fail_connect(struct generation *generation)
{
	struct backends *backends;
	struct backend_walk walk;
	int fd;

	backends = generation_service(generation, 0)->sites[0].backends;
	backend_walk_init(&walk, backends);
	if (backend_walk_next(&walk, 1, &fd) != BACKEND_NONE)
		close(fd);
	if (!backends_failed(backends, 0))
		backend_walk_failed(&walk, walk.candidate, ETIMEDOUT, 1);
	backend_walk_fini(&walk);
	cr_assert(backends_failed(backends, 0));
}

/* At most once a second, and once for each failure. */
Test(dns_names, are_due_at_once_after_a_failed_connect)
{
	struct generation *generation = follow(NULL, two_services);

	fail_connect(generation);
	mono_ms += 900;
	resolver_look(resolver);
	run(0.005);
	cr_expect_eq(count(&server.asked_app), 1u);
	cr_expect(pass_until(200, &server.asked_app, 2));
	cr_expect_not(pass_until(3000, &server.asked_app, 3));
	cr_expect_eq(count(&server.asked_db), 1u, "it is another");
	generation_unref(generation);
}

/* A check of the same backend fails. */
static void
fail_check(struct generation *generation)
{
	struct backends *backends =
	    generation_service(generation, 0)->sites[0].backends;
	struct addr addresses[BACKEND_ADDRESSES_MAX];
	int64_t down_ms;

	cr_assert_gt(backends_addresses(backends, 0, addresses), 0u);
	backends_checked(backends, 0, &addresses[0], ECONNREFUSED, 1, &down_ms);
}

Test(dns_names, report_other_addresses)
{
	struct generation *generation = follow(NULL, two_services);
	int first = changes;

	cr_expect_gt(first, 0, "the first answer");
	fail_check(generation);
	cr_expect(pass_until(3000, &server.asked_app, 2));
	run(0.05);
	cr_expect_eq(changes, first, "the same answer");
	set_answer((const char *[ANSWER_MAX]){ "127.0.0.9" });
	fail_check(generation);
	cr_expect(pass_until(3000, &server.asked_app, 3));
	run(0.05);
	cr_expect_eq(changes, first + 1);
	generation_unref(generation);
}
