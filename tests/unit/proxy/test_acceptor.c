/*
 * Accepting: the clients given to conn_new (replaced here by one that only
 * stores them), the clients refused, and when accepting pauses.
 */
#include "proxy/acceptor.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/conn.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "tests/unit/proxy/option.h"

#define MANY 64
#define DEADLINE_MS 5000

static struct {
	struct limit_process *process;
	struct config_listener config;
	struct service service;
	struct service other;
	struct listener *listener;
	struct conn_set set;
	struct acceptor *acceptor;

	/* the arguments of conn_new */
	struct conn_client clients[MANY];
	const struct service *given[MANY];
	size_t count;
} fixture;

void
conn_new(struct conn_set *set, struct service *service,
    const struct conn_client *client)
{
	cr_assert_eq(set, &fixture.set);
	cr_assert_lt(fixture.count, MANY);
	fixture.given[fixture.count] = service;
	fixture.clients[fixture.count++] = *client;
}

bool
conn_set_may_log(struct conn_set *set, const struct rate_limit_rule *rule,
    enum log_level level, const char *listener, const char *reason)
{
	(void)set;
	(void)rule;
	(void)level;
	(void)listener;
	(void)reason;
	return false;
}

/* End connection i as conn.c does. */
static void
leave(size_t i)
{
	struct limit *limit = fixture.service.limit;

	close(fixture.clients[i].fd);
	limit_handshake_done(limit);
	limit_forget(limit, fixture.clients[i].counted);
	limit_release(limit);
}

static void
set_up(void)
{
	struct listener_options options = { .threads = 1, .backlog = MANY };
	struct config_accept accept = { 0 };

	cr_assert(
	    addr_parse(&accept.addr, &accept.any_family, "127.0.0.1:0", NULL));
	fixture.listener = listener_open(&accept, &options, NULL, NULL);
	cr_assert_not_null(fixture.listener);
	fixture.process = limit_process_new();
	fixture.config = (struct config_listener){ .name = "web",
		.backlog = MANY };
	fixture.service = (struct service){ .references = 1,
		.listener = &fixture.config,
		.limit = limit_new(fixture.process) };
	fixture.other = fixture.service;
	fixture.set.loop = ev_loop_new(0);
	fixture.acceptor = acceptor_new(
	    fixture.listener, 0, &fixture.service, &fixture.set);
	cr_assert_not_null(fixture.acceptor);
}

static void
tear_down(void)
{
	acceptor_free(fixture.acceptor, false);
	for (size_t i = 0; i < fixture.count; i++)
		leave(i);
	cr_expect_eq(limit_connections(fixture.service.limit), 0);
	ev_loop_destroy(fixture.set.loop);
	listener_unref(fixture.listener);
	limit_unref(fixture.service.limit);
	limit_process_free(fixture.process);
}

TestSuite(acceptor, .init = set_up, .fini = tear_down);

static int
try_connect(void)
{
	const struct addr *addr = listener_address(fixture.listener);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, &addr->sa, addr->len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A client; it is in the queue when this returns. */
static int
knock(void)
{
	struct pollfd ready = { .fd = listener_fd(fixture.listener, 0),
		.events = POLLIN };
	int fd = try_connect();

	cr_assert_geq(fd, 0);
	cr_assert_eq(poll(&ready, 1, DEADLINE_MS), 1);
	return fd;
}

static void
wake(void)
{
	ev_run(fixture.set.loop, EVRUN_NOWAIT);
}

/* Was the client sent away? */
static bool
is_closed(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&ready, 1, DEADLINE_MS) == 1 && read(fd, &byte, 1) <= 0;
}

Test(acceptor, hands_over_a_client_with_its_address)
{
	struct sockaddr_in in = { 0 };
	socklen_t len = sizeof(in);
	int fd = knock();

	wake();
	cr_assert_eq(fixture.count, 1);
	cr_expect_eq(fixture.given[0], &fixture.service);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	cr_expect_eq(addr_port(&fixture.clients[0].peer), ntohs(in.sin_port));
	cr_expect_eq(limit_connections(fixture.service.limit), 1);
	close(fd);
}

Test(acceptor, keeps_no_slot_without_a_client)
{
	wake();
	cr_expect_eq(fixture.count, 0);
	cr_expect_eq(limit_connections(fixture.service.limit), 0);
}

Test(acceptor, accepts_many_clients_in_bursts)
{
	int fds[40];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = knock();
	wake();
	cr_expect_gt(fixture.count, 0);
	cr_expect_lt(fixture.count, ARRAY_LEN(fds), "all in one turn");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		wake();
	cr_expect_eq(fixture.count, ARRAY_LEN(fds));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

Test(acceptor, closes_a_denied_client_and_goes_on)
{
	struct cidr all;
	int denied, welcome;

	cr_assert(cidr_parse(&all, "127.0.0.0/8", NULL));
	fixture.config.deny = (struct config_cidrs){ &all, 1 };
	denied = knock();
	wake();
	cr_expect_eq(fixture.count, 0);
	cr_expect(is_closed(denied));
	fixture.config.deny.count = 0;
	welcome = knock();
	wake();
	cr_expect_eq(fixture.count, 1);
	close(denied);
	close(welcome);
}

Test(acceptor, accepts_headers_from_trusted_senders_only)
{
	static const struct {
		const char *what, *trust;
		bool expect;
	} rows[] = {
		{ "trusted", "127.0.0.0/8", true },
		{ "not trusted", "10.0.0.0/8", false },
	};
	struct cidr trust, here;

	/* Not those that bring clients, but the clients are judged by this. */
	cr_assert(cidr_parse(&here, "127.0.0.0/8", NULL));
	fixture.config.deny = (struct config_cidrs){ &here, 1 };
	fixture.config.per_ip_max = 1;
	fixture.config.proxy_in = true;
	fixture.config.proxy_trust = (struct config_cidrs){ &trust, 1 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t before = fixture.count;
		int fds[2] = { knock(), knock() };

		cr_assert(cidr_parse(&trust, rows[i].trust, NULL));
		wake();
		cr_expect_eq(fixture.count - before, rows[i].expect ? 2 : 0,
		    "%s", rows[i].what);
		for (size_t j = 0; j < 2; j++) {
			cr_expect(rows[i].expect || is_closed(fds[j]));
			close(fds[j]);
		}
		cr_expect_eq(limit_connections(fixture.service.limit), 2);
	}
	cr_expect_null(fixture.clients[0].counted);
}

Test(acceptor, closes_the_second_client_of_a_full_address)
{
	int first, second;

	fixture.config.per_ip_max = 1;
	first = knock();
	wake();
	second = knock();
	wake();
	cr_expect_eq(fixture.count, 1);
	cr_expect(is_closed(second));
	close(first);
	close(second);
}

Test(acceptor, leaves_clients_in_the_queue_while_a_cap_is_reached)
{
	int first, second;

	fixture.config.max_connections = 1;
	first = knock();
	wake();
	second = knock();
	wake();
	cr_expect_eq(fixture.count, 1);

	leave(0);
	fixture.count = 0;
	acceptor_resume(fixture.acceptor);
	wake();
	cr_expect_eq(fixture.count, 1);
	close(first);
	close(second);
}

Test(acceptor, accepts_again_after_a_pause)
{
	int first, second;

	fixture.config.max_connections = 1;
	first = knock();
	wake();
	second = knock();
	wake();
	leave(0);
	fixture.count = 0;
	/* Waits for the one timer there is, then for the socket. */
	ev_run(fixture.set.loop, EVRUN_ONCE);
	ev_run(fixture.set.loop, EVRUN_ONCE);
	cr_expect_eq(fixture.count, 1);
	close(first);
	close(second);
}

Test(acceptor, pauses_without_descriptors_and_goes_on)
{
	struct rlimit had, none;
	int fd = knock();

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = had.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	wake();
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	cr_expect_eq(fixture.count, 0);
	cr_expect_eq(limit_connections(fixture.service.limit), 0);
	wake();
	cr_expect_eq(fixture.count, 0, "no pause");
	acceptor_resume(fixture.acceptor);
	wake();
	cr_expect_eq(fixture.count, 1);
	close(fd);
}

Test(acceptor, serves_another_service_from_now_on)
{
	int first = knock(), second;

	wake();
	acceptor_serve(fixture.acceptor, &fixture.other);
	second = knock();
	wake();
	cr_assert_eq(fixture.count, 2);
	cr_expect_eq(fixture.given[0], &fixture.service);
	cr_expect_eq(fixture.given[1], &fixture.other);
	acceptor_serve(fixture.acceptor, &fixture.service);
	close(first);
	close(second);
}

Test(acceptor, lets_connections_inherit_the_options_of_the_service)
{
	int first, second;

	first = knock();
	wake();
	fixture.config.keepalive_ms = 7000;
	acceptor_serve(fixture.acceptor, &fixture.service);
	second = knock();
	wake();
	cr_assert_eq(fixture.count, 2);
	cr_expect(option(fixture.clients[0].fd, IPPROTO_TCP, TCP_NODELAY));
	cr_expect_not(option(fixture.clients[0].fd, SOL_SOCKET, SO_KEEPALIVE));
	cr_expect(option(fixture.clients[1].fd, SOL_SOCKET, SO_KEEPALIVE));
	cr_expect_eq(
	    option(fixture.clients[1].fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	close(first);
	close(second);
}

Test(acceptor, accepts_the_waiting_clients_when_it_ends)
{
	int fds[40];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = knock();
	acceptor_free(fixture.acceptor, true);
	fixture.acceptor = NULL;
	cr_expect_eq(fixture.count, ARRAY_LEN(fds));
	cr_expect_eq(try_connect(), -1, "a new client is refused at once");
	cr_expect_eq(errno, ECONNREFUSED);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

Test(acceptor, leaves_the_queue_unless_empty_is_set)
{
	int fd = knock();

	acceptor_free(fixture.acceptor, false);
	fixture.acceptor = NULL;
	cr_expect_eq(fixture.count, 0);
	close(fd);
}

Test(acceptor, leaves_an_inherited_socket_open_for_the_next_process)
{
	struct listener *inherited;
	struct acceptor *acceptor;
	int fd;

	inherited = listener_adopt(dup(listener_fd(fixture.listener, 0)), NULL);
	cr_assert_not_null(inherited);
	acceptor = acceptor_new(inherited, 0, &fixture.service, &fixture.set);
	cr_assert_not_null(acceptor);
	acceptor_free(acceptor, true);
	listener_unref(inherited);
	fd = knock();
	wake();
	cr_expect_eq(fixture.count, 1);
	close(fd);
}
