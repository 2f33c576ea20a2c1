/*
 * Threads that reserve, admit and release against the same caps, and threads
 * that walk over backends while the addresses behind a name are replaced.
 * ThreadSanitizer finds races; the program itself checks that no cap was
 * exceeded and that every count is zero at the end.  Exit status 0 is a pass.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/attr.h"
#include "proxy/backend.h"
#include "proxy/limit.h"

#define THREADS 4
#define ROUNDS 20000
#define WALKS 2000
#define CAP 3
#define PER_ADDRESS 2
#define CLIENTS 2 /* addresses, shared by the threads */

static const struct config_listener config = {
	.max_connections = CAP,
	.per_ip_max = PER_ADDRESS,
};

struct shared {
	struct limit *limit;
	struct backends *backends;
	uint16_t port;      /* of their addresses */
	atomic_uint inside; /* connections between reserve and release */
	atomic_uint at_address[CLIENTS];
	atomic_uint faults;
};

static void
check(struct shared *shared, bool good)
{
	if (!good)
		atomic_fetch_add(&shared->faults, 1);
}

static struct addr
loopback(uint32_t host)
{
	struct addr addr = { .len = sizeof(struct sockaddr_in) };

	addr.in.sin_family = AF_INET;
	addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
	return addr;
}

static void
visit(struct shared *shared, uint32_t client)
{
	struct addr peer = loopback(client);
	struct limit_address *counted;

	if (limit_admit(shared->limit, &config, &peer, &counted) != LIMIT_OK)
		return;
	check(shared,
	    atomic_fetch_add(&shared->at_address[client], 1) < PER_ADDRESS);
	atomic_fetch_sub(&shared->at_address[client], 1);
	limit_forget(shared->limit, counted);
}

static void *
come_and_go(void *arg)
{
	struct shared *shared = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (limit_reserve(shared->limit, &config) != LIMIT_OK)
			continue;
		check(shared, atomic_fetch_add(&shared->inside, 1) < CAP);
		visit(shared, i % CLIENTS);
		atomic_fetch_sub(&shared->inside, 1);
		limit_handshake_done(shared->limit);
		limit_release(shared->limit);
	}
	return NULL;
}

static void *
walk(void *arg)
{
	struct shared *shared = arg;
	struct backend_walk one;
	int fd;

	for (int i = 0; i < WALKS; i++) {
		backend_walk_init(&one, shared->backends);
		while (backend_walk_next(&one, i, &fd) != BACKEND_NONE) {
			int errnum;

			if (fd < 0)
				continue; /* it failed at once */
			errnum = backend_connect_outcome(fd);
			close(fd);
			backend_walk_failed(&one, one.candidate, errnum, i);
		}
		backend_walk_fini(&one);
	}
	return NULL;
}

/* As the resolver and the checks do, on the main thread; the endpoint reads. */
static void
replace_answers(struct shared *shared)
{
	struct addr answer[2];
	struct backend_view view;
	int64_t down_ms;

	for (uint32_t i = 0; i < WALKS; i++) {
		answer[0] = loopback(i % 2);
		answer[1] = loopback(2);
		check(shared,
		    backends_put(shared->backends, 0, answer, 1 + i % 2));
		addr_set_port(&answer[0], shared->port);
		backends_checked(shared->backends, 0, &answer[0],
		    i % 3 == 0 ? 0 : ECONNREFUSED, i, &down_ms);
		backends_view(shared->backends, 0, i, &view);
		check(shared, view.addresses > 0);
	}
}

static void
run(struct shared *shared)
{
	pthread_t threads[2 * THREADS];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		if (pthread_create(&threads[i], NULL,
			i < THREADS ? come_and_go : walk, shared) != 0)
			abort();
	}
	replace_answers(shared);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

/* A port that refuses: bound, never listened on. */
static int
bind_refusing(uint16_t *port)
{
	struct addr addr = { .len = sizeof(struct sockaddr_in) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.in.sin_family = AF_INET;
	if (fd < 0 || bind(fd, &addr.sa, addr.len) != 0 ||
	    getsockname(fd, &addr.sa, &addr.len) != 0)
		abort();
	*port = addr_port(&addr);
	return fd;
}

int
main(void)
{
	struct config_connect connect = { .text = "name", .host = "name" };
	struct config_listener service = {
		.connect = { .items = &connect, .count = 1 },
		.balance = BALANCE_RR,
		.check = CHECK_TCP,
	};
	struct limit_process *process = limit_process_new();
	struct shared shared = { .limit = limit_new(process) };
	int fd = bind_refusing(&connect.port);

	shared.port = connect.port;
	shared.backends = backends_new(&service, NULL);
	if (shared.limit == NULL || shared.backends == NULL)
		abort();
	run(&shared);
	check(&shared, limit_connections(shared.limit) == 0);
	check(&shared, limit_process_connections(process) == 0);
	if (shared.faults != 0)
		fprintf(stderr, "limit: %u faults\n", shared.faults);
	backends_unref(shared.backends);
	limit_unref(shared.limit);
	limit_process_free(process);
	close(fd);
	return shared.faults == 0 ? 0 : 1;
}
