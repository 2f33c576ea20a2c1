/*
 * The walk over backends: the order in which addresses are tried, which of them
 * rest, and which are tried again.  A port that refuses is bound without
 * listening; everything is on loopback.
 */
#include "proxy/backend.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/backend_state.h"

#define RETRY_MS 1000

/* A port on loopback that accepts, or refuses. */
struct place {
	int fd;
	struct addr addr;
};

static struct place
make_place(bool accepts)
{
	struct place place = { .addr = { .len = sizeof(place.addr.in) } };

	place.addr.in.sin_family = AF_INET;
	place.addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	place.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(place.fd, &place.addr.sa, place.addr.len), 0);
	getsockname(place.fd, &place.addr.sa, &place.addr.len);
	if (accepts)
		cr_assert_eq(listen(place.fd, 16), 0);
	return place;
}

static struct backends *
make_backends(
    struct config_connect *items, size_t count, enum config_balance balance)
{
	const struct config_listener config = {
		.connect = { .items = items, .count = count },
		.balance = balance,
		.retry_after_ms = RETRY_MS,
	};
	struct backends *backends = backends_new(&config, NULL);

	cr_assert_not_null(backends);
	return backends;
}

static struct config_connect
fixed(const char *text, const struct place *place)
{
	return (struct config_connect){ .text = text, .fixed = place->addr };
}

static struct config_connect
named(const char *host, uint16_t port)
{
	return (
	    struct config_connect){ .text = host, .host = host, .port = port };
}

static struct backends *
make_two(const struct place *first, const struct place *second,
    enum config_balance balance)
{
	struct config_connect items[] = { fixed("first", first),
		fixed("second", second) };

	return make_backends(items, 2, balance);
}

static struct backends *
make_name(uint16_t port)
{
	struct config_connect item = named("name", port);

	return make_backends(&item, 1, BALANCE_PRIO);
}

/* Walk as a connection does; the name of the backend, or NULL. */
static const char *
walk_at(struct backend_walk *walk, int64_t now_ms)
{
	int fd, errnum;

	while (backend_walk_next(walk, now_ms, &fd) != BACKEND_NONE) {
		if (fd < 0)
			continue; /* it failed at once */
		errnum = backend_connect_outcome(fd);
		close(fd);
		if (errnum == 0)
			return backend_walk_name(walk);
		backend_walk_failed(walk, walk->candidate, errnum, now_ms);
	}
	cr_assert_eq(fd, -1);
	return NULL;
}

static const char *
taken_by(struct backends *backends, int64_t now_ms)
{
	struct backend_walk walk;
	const char *name;

	backend_walk_init(&walk, backends);
	name = walk_at(&walk, now_ms);
	backend_walk_fini(&walk);
	return name != NULL ? name : "none";
}

static const struct order_row {
	const char *what;
	enum config_balance balance;
	const char *expect[3];
} order_rows[] = {
	{ "in file order", BALANCE_PRIO, { "first", "first", "first" } },
	{ "in turn", BALANCE_RR, { "first", "second", "first" } },
};

Test(backend, tries_in_file_order_or_in_turn)
{
	struct place first = make_place(true), second = make_place(true);

	for (size_t i = 0; i < ARRAY_LEN(order_rows); i++) {
		const struct order_row *row = &order_rows[i];
		struct backends *backends;

		backends = make_two(&first, &second, row->balance);
		for (size_t j = 0; j < ARRAY_LEN(row->expect); j++)
			cr_expect_str_eq(taken_by(backends, 1), row->expect[j],
			    "%s", row->what);
		backends_unref(backends);
	}
}

Test(backend, goes_on_to_the_next_and_lets_the_failed_one_rest)
{
	struct place first = make_place(false), second = make_place(true);
	struct backends *backends = make_two(&first, &second, BALANCE_PRIO);

	cr_expect_str_eq(taken_by(backends, 1), "second");
	cr_assert_eq(listen(first.fd, 16), 0);
	cr_expect_str_eq(taken_by(backends, RETRY_MS), "second");
	cr_expect_str_eq(taken_by(backends, RETRY_MS + 1), "first");
	backends_unref(backends);
}

Test(backend, tries_a_resting_one_when_no_other_is_left)
{
	struct place only = make_place(false);
	struct config_connect items[] = { fixed("only", &only) };
	struct backends *backends = make_backends(items, 1, BALANCE_PRIO);

	cr_expect_str_eq(taken_by(backends, 1), "none");
	cr_assert_eq(listen(only.fd, 16), 0);
	cr_expect_str_eq(taken_by(backends, 2), "only");
	backends_unref(backends);
}

Test(backend, tries_each_address_once)
{
	struct place first = make_place(false), second = make_place(false);
	struct backends *backends = make_two(&first, &second, BALANCE_RR);
	struct backend_walk walk;
	int fd;

	/* First when all are fresh, then when all of them rest. */
	for (int round = 0; round < 2; round++) {
		int tries = 0;

		backend_walk_init(&walk, backends);
		while (backend_walk_next(&walk, 1, &fd) != BACKEND_NONE) {
			backend_walk_failed(&walk, walk.candidate,
			    backend_connect_outcome(fd), 1);
			close(fd);
			cr_assert_leq(++tries, 2);
		}
		cr_expect_eq(tries, 2);
		cr_expect_eq(walk.last_errno, ECONNREFUSED);
		backend_walk_fini(&walk);
	}
	backends_unref(backends);
}

Test(backend, tries_every_address_of_a_name)
{
	struct place accepts = make_place(true);
	struct config_connect items[] = { named(
	    "name", addr_port(&accepts.addr)) };
	struct backends *backends = make_backends(items, 1, BALANCE_PRIO);
	struct addr answer[2] = { accepts.addr, accepts.addr };
	struct backend_walk walk;

	/* That port of 127.0.0.2 refuses. */
	answer[0].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	cr_assert(backends_put(backends, 0, answer, 2));
	backend_walk_init(&walk, backends);
	cr_expect_str_eq(walk_at(&walk, 1), "name");
	cr_expect_eq(walk.last_errno, ECONNREFUSED);
	backend_walk_fini(&walk);

	/* The dead one rests now, the name does not. */
	backend_walk_init(&walk, backends);
	cr_expect_str_eq(walk_at(&walk, 2), "name");
	cr_expect_eq(walk.last_errno, 0);
	backend_walk_fini(&walk);
	backends_unref(backends);
}

Test(backend, reports_a_name_without_an_address)
{
	struct backends *backends = make_name(80);
	struct backend_walk walk;

	backend_walk_init(&walk, backends);
	cr_expect_null(backend_walk_name(&walk));
	cr_expect_null(walk_at(&walk, 1));
	cr_expect(walk.saw_unresolved);
	cr_expect_eq(walk.last_errno, 0);
	backend_walk_fini(&walk);
	backends_unref(backends);
}

Test(backend, keeps_the_last_answer_when_there_is_no_new_one)
{
	struct place accepts = make_place(true);
	struct config_connect items[] = { named(
	    "name", addr_port(&accepts.addr)) };
	struct backends *backends = make_backends(items, 1, BALANCE_PRIO);

	cr_expect_not(backends_resolved(backends, 0));
	cr_assert(backends_put(backends, 0, &accepts.addr, 1));
	cr_expect_not(backends_put(backends, 0, NULL, 0));
	cr_expect(backends_resolved(backends, 0));
	cr_expect_str_eq(taken_by(backends, 1), "name");
	backends_unref(backends);
}

Test(backend, lets_an_address_rest_through_a_new_answer)
{
	struct place place = make_place(false), other = make_place(true);
	struct config_connect items[] = { named("name", addr_port(&place.addr)),
		fixed("other", &other) };
	struct backends *backends = make_backends(items, 2, BALANCE_PRIO);
	struct addr twice[2] = { place.addr, place.addr };

	cr_assert(backends_put(backends, 0, twice, 1));
	cr_expect_str_eq(taken_by(backends, 1), "other");
	cr_assert_eq(listen(place.fd, 16), 0);
	cr_assert(backends_put(backends, 0, twice, 2));
	cr_expect_str_eq(taken_by(backends, 2), "other");
	cr_expect_str_eq(taken_by(backends, RETRY_MS + 1), "name");
	backends_unref(backends);
}

/* ---- which address of a name rests ---- */

/* Port `place` of 127.0.0.N, for each digit N; returns how many. */
static size_t
loopbacks(struct addr *out, const struct place *place, const char *digits)
{
	size_t count = strlen(digits);

	for (size_t i = 0; i < count; i++) {
		out[i] = place->addr;
		out[i].in.sin_addr.s_addr = htonl(
		    INADDR_LOOPBACK - 1 + (in_addr_t)(digits[i] - '0'));
	}
	return count;
}

static void
put_loopbacks(
    struct backends *backends, const struct place *place, const char *digits)
{
	struct addr list[4];

	cr_assert(
	    backends_put(backends, 0, list, loopbacks(list, place, digits)));
}

/* The digit of the address that a walk tries first. */
static char
first_tried(struct backends *backends, int64_t now_ms)
{
	struct sockaddr_in peer = { 0 };
	socklen_t len = sizeof(peer);
	struct backend_walk walk;
	int fd;

	backend_walk_init(&walk, backends);
	cr_assert_neq(backend_walk_next(&walk, now_ms, &fd), BACKEND_NONE);
	cr_assert_eq(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	close(fd);
	backend_walk_fini(&walk);
	return (char)('0' + (ntohl(peer.sin_addr.s_addr) & 0xf));
}

/* A port that accepts at every loopback address. */
static struct place
make_wide_place(void)
{
	struct place place = { .addr = { .len = sizeof(place.addr.in) } };

	place.addr.in.sin_family = AF_INET;
	place.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(place.fd, &place.addr.sa, place.addr.len), 0);
	getsockname(place.fd, &place.addr.sa, &place.addr.len);
	cr_assert_eq(listen(place.fd, 16), 0);
	return place;
}

Test(backend_addresses, have_the_port_of_the_backend)
{
	struct place place = make_wide_place();
	struct backends *backends = make_name(addr_port(&place.addr));
	struct addr list[2];
	struct backend_walk walk;
	int fd, more;

	loopbacks(list, &place, "12");
	addr_set_port(&list[0], 0);
	addr_set_port(&list[1], 7);
	cr_assert(backends_put(backends, 0, list, 2));
	backend_walk_init(&walk, backends);
	cr_assert_neq(backend_walk_next(&walk, 1, &fd), BACKEND_NONE);
	cr_expect_eq(backend_connect_outcome(fd), 0);
	cr_assert_neq(backend_walk_more(&walk, 1, &more), BACKEND_NONE);
	cr_expect_eq(backend_connect_outcome(more), 0);
	close(fd);
	close(more);
	backend_walk_fini(&walk);
	backends_unref(backends);
}

static const struct equal_row {
	const char *what, *answer;
	char expect;
} equal_rows[] = {
	{ "the same", "123", '2' },
	{ "in another order", "132", '1' },
	{ "one less", "12", '1' },
	{ "another one", "124", '1' },
};

/* A walk that began before an answer notes its failures in the addresses it
 * walks over: they are still the current ones only if the answer is equal. */
Test(backend_addresses, stay_when_an_answer_is_equal)
{
	struct place place = make_wide_place();

	for (size_t i = 0; i < ARRAY_LEN(equal_rows); i++) {
		const struct equal_row *row = &equal_rows[i];
		struct backends *backends = make_name(addr_port(&place.addr));
		struct backend_walk walk;
		int fd;

		put_loopbacks(backends, &place, "123");
		backend_walk_init(&walk, backends);
		cr_assert_neq(backend_walk_next(&walk, 1, &fd), BACKEND_NONE);
		put_loopbacks(backends, &place, row->answer);
		backend_walk_failed(&walk, walk.candidate, ECONNREFUSED, 1);
		cr_expect_eq(
		    first_tried(backends, 2), row->expect, "%s", row->what);
		close(fd);
		backend_walk_fini(&walk);
		backends_unref(backends);
	}
}

/* The first address fails at 1. */
static void
fail_first(struct backends *backends)
{
	struct backend_walk walk;
	int fd;

	backend_walk_init(&walk, backends);
	cr_assert_neq(backend_walk_next(&walk, 1, &fd), BACKEND_NONE);
	backend_walk_failed(&walk, walk.candidate, ECONNREFUSED, 1);
	close(fd);
	backend_walk_fini(&walk);
}

Test(backend_addresses, rest_for_retry_after)
{
	struct place place = make_wide_place();
	struct backends *backends = make_name(addr_port(&place.addr));

	put_loopbacks(backends, &place, "12");
	cr_expect_eq(first_tried(backends, 1), '1');
	fail_first(backends);
	cr_expect_eq(first_tried(backends, RETRY_MS), '2');
	cr_expect_eq(first_tried(backends, RETRY_MS + 1), '1');
	backends_unref(backends);
}

Test(backend_addresses, rest_by_address_and_not_by_position)
{
	struct place place = make_wide_place();
	struct backends *backends = make_name(addr_port(&place.addr));

	put_loopbacks(backends, &place, "12");
	fail_first(backends);
	put_loopbacks(backends, &place, "312");
	cr_expect_eq(first_tried(backends, 2), '3');
	put_loopbacks(backends, &place, "132");
	cr_expect_eq(first_tried(backends, 2), '3');
	cr_expect_eq(first_tried(backends, RETRY_MS + 1), '1');
	backends_unref(backends);
}

/* ---- reloads ---- */

static const struct inherit_row {
	const char *what, *host;
	uint16_t port;
	bool expect;
} inherit_rows[] = {
	{ "the same", "name", 80, true },
	{ "names ignore case", "NAME", 80, true },
	{ "another port", "name", 81, false },
	{ "another name", "other", 80, false },
};

Test(backend, inherits_answers_for_the_same_host_and_port)
{
	struct backends *old = make_name(80);
	struct config_connect item;
	struct place place = make_place(false);

	cr_assert(backends_put(old, 0, &place.addr, 1));
	for (size_t i = 0; i < ARRAY_LEN(inherit_rows); i++) {
		const struct inherit_row *row = &inherit_rows[i];
		struct backends *fresh;

		item = named(row->host, row->port);
		fresh = make_backends(&item, 1, BALANCE_PRIO);
		backends_inherit(fresh, old);
		cr_expect_eq(
		    backends_resolved(fresh, 0), row->expect, "%s", row->what);
		backends_unref(fresh);
	}
	backends_unref(old);
}

Test(backend, names_the_hosts_to_resolve_and_skips_one_without_an_address)
{
	struct place place = make_place(true);
	struct config_connect items[] = { named("name", 81),
		fixed("fixed", &place) };
	struct backends *backends = make_backends(items, 2, BALANCE_PRIO);
	uint16_t port;

	cr_expect_eq(backends_count(backends), 2);
	cr_expect_str_eq(backends_host(backends, 0, &port), "name");
	cr_expect_eq(port, 81);
	cr_expect_null(backends_host(backends, 1, &port));
	cr_expect_str_eq(taken_by(backends, 1), "fixed");
	backends_unref(backends);
}

Test(backend, opens_sockets_that_neither_block_nor_leak)
{
	struct place place = make_place(true);
	struct config_connect item = fixed("one", &place);
	struct backends *backends = make_backends(&item, 1, BALANCE_PRIO);
	struct backend_walk walk;
	int fd;

	backend_walk_init(&walk, backends);
	cr_assert_neq(backend_walk_next(&walk, 1, &fd), BACKEND_NONE);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	backend_walk_fini(&walk);
	backends_unref(backends);
}

Test(backend, lets_no_address_rest_for_a_lack_of_descriptors)
{
	struct place first = make_place(true), second = make_place(true);
	struct backends *backends = make_two(&first, &second, BALANCE_PRIO);
	struct rlimit had, none;
	struct backend_walk walk;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = had.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	backend_walk_init(&walk, backends);
	cr_expect_null(walk_at(&walk, 1));
	cr_expect_eq(walk.last_errno, EMFILE);
	backend_walk_fini(&walk);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	cr_expect_str_eq(taken_by(backends, 1), "first");
	backends_unref(backends);
}

/* A listening unix socket with a name of the kernel's choice. */
static struct place
make_unix_place(int backlog)
{
	struct place place = { .addr = { .len = sizeof(place.addr.un) } };

	place.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	place.addr.sa.sa_family = AF_UNIX;
	cr_assert_eq(bind(place.fd, &place.addr.sa, sizeof(sa_family_t)), 0);
	getsockname(place.fd, &place.addr.sa, &place.addr.len);
	cr_assert_eq(listen(place.fd, backlog), 0);
	return place;
}

static const struct unix_row {
	const char *what;
	bool full;
	enum backend_answer expect;
	int errnum;
} unix_rows[] = {
	{ "room in the queue", false, BACKEND_CONNECTED, 0 },
	{ "a full queue is a failure", true, BACKEND_FAILED, EAGAIN },
};

Test(backend, decides_a_unix_socket_at_once)
{
	for (size_t i = 0; i < ARRAY_LEN(unix_rows); i++) {
		const struct unix_row *row = &unix_rows[i];
		struct place place = make_unix_place(0);
		struct config_connect item = fixed("unix", &place);
		struct backends *backends = make_backends(
		    &item, 1, BALANCE_PRIO);
		int fd, waiting = socket(AF_UNIX, SOCK_STREAM, 0);
		struct backend_walk walk;

		if (row->full)
			cr_assert_eq(
			    connect(waiting, &place.addr.sa, place.addr.len),
			    0);
		backend_walk_init(&walk, backends);
		cr_expect_eq(backend_walk_next(&walk, 1, &fd), row->expect,
		    "%s", row->what);
		cr_expect_eq(walk.last_errno, row->errnum, "%s", row->what);
		close(fd);
		close(waiting);
		close(place.fd);
		backend_walk_fini(&walk);
		backends_unref(backends);
	}
}

Test(backend, treats_a_connection_to_itself_as_refused)
{
	struct place own = make_place(false), other = make_place(true);

	cr_assert_eq(connect(own.fd, &own.addr.sa, own.addr.len), 0);
	cr_expect_eq(backend_connect_outcome(own.fd), ECONNREFUSED);
	close(own.fd);
	own = make_place(false);
	cr_assert_eq(connect(own.fd, &other.addr.sa, other.addr.len), 0);
	cr_expect_eq(backend_connect_outcome(own.fd), 0);
}

Test(backend, tries_more_addresses_of_one_backend_alone)
{
	struct place first = make_place(true), second = make_place(true);
	struct config_connect items[] = { named("name", addr_port(&first.addr)),
		fixed("second", &second) };
	struct backends *backends = make_backends(items, 2, BALANCE_PRIO);
	struct addr answer[2] = { first.addr, first.addr };
	struct backend_walk walk;
	struct candidate *older;
	bool look_up = false;
	int fd, more;

	answer[1].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	cr_assert(backends_put(backends, 0, answer, 2));
	backend_walk_init(&walk, backends);
	walk.look_up = &look_up;
	cr_assert_neq(backend_walk_next(&walk, 1, &fd), BACKEND_NONE);
	older = walk.candidate;
	cr_expect(backend_walk_has_more(&walk));
	if (backend_walk_more(&walk, 1, &more) != BACKEND_NONE) {
		cr_expect_eq(backend_connect_outcome(more), ECONNREFUSED);
		close(more);
		backend_walk_failed(&walk, walk.candidate, ECONNREFUSED, 1);
	}
	cr_expect_eq(backend_walk_more(&walk, 1, &more), BACKEND_NONE);
	cr_expect_not(backend_walk_has_more(&walk));
	cr_expect_str_eq(backend_walk_name(&walk), "name");
	cr_expect(look_up, "a failure requests a look-up");
	cr_expect(backends_failed(backends, 0));

	/* Once only, until the name has been resolved. */
	look_up = false;
	backend_walk_overtaken(&walk, older, 1);
	cr_expect_not(look_up);
	backends_clear_failed(backends, 0);
	backend_walk_overtaken(&walk, older, 1);
	cr_expect(look_up);
	close(fd);
	backend_walk_fini(&walk);

	cr_expect_str_eq(taken_by(backends, 2), "second", "both rest");
	backends_unref(backends);
}

/* ---- checks, and the state of a backend ---- */

/* Two backends in order, checked or not, with states of this table. */
static struct backends *
make_checked(const struct place *first, const struct place *second,
    enum config_check check, struct backend_states *states)
{
	struct config_connect items[] = { fixed("first", first),
		fixed("second", second) };
	const struct config_listener config = {
		.connect = { .items = items, .count = 2 },
		.retry_after_ms = RETRY_MS,
		.check = check,
		.check_interval_ms = 2000,
	};
	struct backends *backends = backends_new(&config, states);

	cr_assert_not_null(backends);
	return backends;
}

static struct backend_view
view_at(struct backends *backends, size_t i, int64_t now_ms)
{
	struct backend_view view;

	backends_view(backends, i, now_ms, &view);
	return view;
}

Test(check, lets_an_address_rest_until_a_check_succeeds)
{
	struct place first = make_place(true), second = make_place(true);
	struct backends *backends = make_checked(
	    &first, &second, CHECK_TCP, NULL);
	int64_t down_ms = 0;

	cr_expect_eq(backends_checked(
			 backends, 0, &first.addr, ECONNREFUSED, 100, &down_ms),
	    BACKEND_WENT_DOWN);
	cr_expect_eq(backends_checked(
			 backends, 0, &first.addr, ETIMEDOUT, 200, &down_ms),
	    BACKEND_UNCHANGED);
	cr_expect_str_eq(taken_by(backends, 200 + 10 * RETRY_MS), "second");
	cr_expect_eq(view_at(backends, 0, 20000).condition, BACKEND_DOWN);
	cr_expect_eq(view_at(backends, 0, 20000).since_ms, 100);
	cr_expect_eq(view_at(backends, 0, 20000).errnum, ETIMEDOUT);
	cr_expect_eq(view_at(backends, 0, 20000).errors, 0);
	cr_expect_eq(
	    backends_checked(backends, 0, &first.addr, 0, 20100, &down_ms),
	    BACKEND_CAME_UP);
	cr_expect_eq(down_ms, 20000);
	cr_expect_eq(view_at(backends, 0, 20100).condition, BACKEND_UP);
	cr_expect_str_eq(taken_by(backends, 20100), "first");
	backends_unref(backends);
}

static const struct ignored_row {
	const char *what;
	bool other_address;
	int errnum;
} ignored_rows[] = {
	{ "no descriptor", false, EMFILE },
	{ "no local port", false, EADDRNOTAVAIL },
	{ "an address that the backend no longer has", true, ECONNREFUSED },
};

Test(check, has_no_result_for_a_local_shortage_or_a_former_address)
{
	struct place first = make_place(true), second = make_place(true);

	for (size_t i = 0; i < ARRAY_LEN(ignored_rows); i++) {
		const struct ignored_row *row = &ignored_rows[i];
		struct backends *backends = make_checked(
		    &first, &second, CHECK_TCP, NULL);
		int64_t down_ms;

		cr_expect_eq(
		    backends_checked(backends, 0,
			row->other_address ? &second.addr : &first.addr,
			row->errnum, 1, &down_ms),
		    BACKEND_UNCHANGED, "%s", row->what);
		cr_expect_str_eq(
		    taken_by(backends, 1), "first", "%s", row->what);
		backends_unref(backends);
	}
}

Test(check, counts_a_backend_as_down_when_all_addresses_failed)
{
	struct place place = make_place(true);
	struct addr answer[2] = { place.addr, place.addr };
	struct config_connect item = named("name", 80);
	const struct config_listener config = {
		.connect = { .items = &item, .count = 1 },
		.check = CHECK_TCP,
	};
	struct backends *backends = backends_new(&config, NULL);
	struct addr copy[BACKEND_ADDRESSES_MAX];
	int64_t down_ms;

	answer[1].in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	cr_expect_eq(view_at(backends, 0, 1).condition, BACKEND_UNRESOLVED);
	cr_assert(backends_put(backends, 0, answer, 2));
	cr_assert_eq(backends_addresses(backends, 0, copy), 2);
	cr_expect_eq(
	    backends_checked(backends, 0, &copy[0], ECONNREFUSED, 1, &down_ms),
	    BACKEND_UNCHANGED);
	cr_expect_eq(view_at(backends, 0, 1).condition, BACKEND_UP);
	cr_expect_eq(view_at(backends, 0, 1).resting, 1);
	cr_expect(backends_failed(backends, 0), "it requests a look-up");

	/* A failed address rests in a new answer, too. */
	cr_assert(backends_put(backends, 0, answer, 1));
	cr_expect_eq(view_at(backends, 0, 1).resting, 1);
	cr_assert(backends_put(backends, 0, answer, 2));
	cr_expect_eq(
	    backends_checked(backends, 0, &copy[1], ECONNREFUSED, 1, &down_ms),
	    BACKEND_WENT_DOWN);
	backends_unref(backends);
}

static int64_t
connect_first(
    struct backends *backends, int errnum, int64_t now_ms, bool *went_down)
{
	struct backend_walk walk;
	int64_t down_ms = -1;
	int fd;

	backend_walk_init(&walk, backends);
	cr_assert_neq(backend_walk_next(&walk, now_ms, &fd), BACKEND_NONE);
	close(fd);
	if (errnum != 0)
		backend_walk_failed(&walk, walk.candidate, errnum, now_ms);
	else if (!backend_walk_connected(
		     &walk, walk.candidate, now_ms, &down_ms))
		down_ms = -1;
	*went_down = walk.went_down;
	backend_walk_fini(&walk);
	return down_ms;
}

Test(state, changes_with_the_connects_of_clients)
{
	struct place first = make_place(true), second = make_place(true);
	struct backends *backends = make_checked(
	    &first, &second, CHECK_OFF, NULL);
	bool went_down;

	cr_expect_eq(connect_first(backends, 0, 1, &went_down), -1);
	connect_first(backends, ECONNREFUSED, 10, &went_down);
	cr_expect(went_down);
	cr_expect_eq(view_at(backends, 0, 10).condition, BACKEND_RESTING);
	cr_expect_eq(view_at(backends, 0, 10).since_ms, 10);
	connect_first(backends, ECONNREFUSED, 10 + RETRY_MS, &went_down);
	cr_expect_not(went_down, "it has been down");

	/* After the rest: up for clients, but untested. */
	cr_expect_eq(
	    view_at(backends, 0, 10 + 2 * RETRY_MS).condition, BACKEND_UP);
	cr_expect_eq(view_at(backends, 0, 10 + 2 * RETRY_MS).since_ms, 0);
	cr_expect_eq(connect_first(backends, 0, 10 + 3 * RETRY_MS, &went_down),
	    3 * RETRY_MS);
	cr_expect_eq(view_at(backends, 0, 9000).since_ms, 10 + 3 * RETRY_MS);
	backends_unref(backends);
}

Test(state, ends_the_rest_when_a_client_succeeds)
{
	struct place first = make_place(true), second = make_place(true);
	struct backends *backends = make_checked(
	    &first, &second, CHECK_TCP, NULL);
	int64_t down_ms;
	bool went_down;

	cr_expect_eq(
	    backends_checked(backends, 0, &first.addr, ETIMEDOUT, 1, &down_ms),
	    BACKEND_WENT_DOWN);
	cr_expect_eq(
	    backends_checked(backends, 1, &second.addr, ETIMEDOUT, 1, &down_ms),
	    BACKEND_WENT_DOWN);
	cr_expect_eq(connect_first(backends, 0, 5, &went_down), 4,
	    "both are tried as a last resort");
	cr_expect_eq(view_at(backends, 0, 5).condition, BACKEND_UP);
	cr_expect_eq(view_at(backends, 0, 5).resting, 0);
	cr_expect_eq(view_at(backends, 1, 5).resting, 1);
	backends_unref(backends);
}

Test(state, is_shared_by_name_and_outlives_a_reload)
{
	struct place first = make_place(true), second = make_place(true);
	struct backend_states *states = backend_states_new();
	struct backends *one = make_checked(&first, &second, CHECK_TCP, states);
	struct backends *other = make_checked(
	    &first, &second, CHECK_TCP, states);
	struct backends *next = make_checked(
	    &first, &second, CHECK_TCP, states);
	int64_t down_ms;

	cr_expect_eq(backends_checked(one, 0, &first.addr, EPERM, 7, &down_ms),
	    BACKEND_WENT_DOWN);
	cr_expect_eq(
	    backends_checked(other, 0, &first.addr, EPERM, 7, &down_ms),
	    BACKEND_UNCHANGED, "the change is reported once");
	backends_inherit(next, one);
	backends_unref(one);
	backends_unref(other);
	cr_expect_eq(view_at(next, 0, 9000).condition, BACKEND_DOWN);
	cr_expect_eq(view_at(next, 0, 9000).since_ms, 7);
	cr_expect_eq(view_at(next, 0, 9000).resting, 1);
	backends_unref(next);

	/* The last reference took the states along. */
	one = make_checked(&first, &second, CHECK_TCP, states);
	cr_expect_eq(view_at(one, 0, 1).condition, BACKEND_UP);
	backends_unref(one);
	backend_states_free(states);
}

static const struct switch_row {
	const char *what;
	enum config_check before, after;
	const char *expect;
} switch_rows[] = {
	{ "checks begin: an old failure rests for retry_after", CHECK_OFF,
	    CHECK_TCP, "first" },
	{ "checks end: likewise", CHECK_TCP, CHECK_OFF, "first" },
	{ "checks stay", CHECK_TCP, CHECK_TCP, "second" },
};

Test(state, rests_for_retry_after_when_checks_begin_or_end)
{
	struct place first = make_place(true), second = make_place(true);

	for (size_t i = 0; i < ARRAY_LEN(switch_rows); i++) {
		const struct switch_row *row = &switch_rows[i];
		struct backends *old, *fresh;
		bool went_down;

		old = make_checked(&first, &second, row->before, NULL);
		fresh = make_checked(&first, &second, row->after, NULL);
		connect_first(old, ECONNREFUSED, 1, &went_down);
		backends_inherit(fresh, old);
		cr_expect_str_eq(
		    taken_by(fresh, RETRY_MS), "second", "%s", row->what);
		cr_expect_str_eq(taken_by(fresh, 1 + RETRY_MS), row->expect,
		    "%s", row->what);
		backends_unref(old);
		backends_unref(fresh);
	}
}
