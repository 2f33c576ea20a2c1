/*
 * What an upgrade hands over: messages as the other process reads them, hostile
 * ones, and the listeners that are made of them.
 */
#include "runtime/handover.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "proxy/service.h"
#include "tests/support/site.h"

struct pair {
	int from, to;
};

static struct pair
open_pair(void)
{
	int ends[2];

	cr_assert_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){ ends[0], ends[1] };
}

static struct handover_message message; /* large */

static void
deliver(struct pair pair)
{
	struct err err = { "" };

	cr_assert_eq(handover_send(pair.from, &message, &err), HANDOVER_DONE,
	    "%s", err.text);
	memset(&message, 0xee, sizeof(message));
	cr_assert_eq(handover_receive(pair.to, &message, &err), HANDOVER_DONE,
	    "%s", err.text);
}

static struct addr
address(const char *text)
{
	struct addr addr;
	struct err err;

	cr_assert(addr_parse(&addr, NULL, text, &err), "%s", err.text);
	return addr;
}

/* ---- Messages ---- */

Test(handover_message, carries_fields_of_any_number_and_length)
{
	struct pair pair = open_pair();
	static uint8_t bytes[5000];
	const uint8_t *found;
	size_t len;

	memset(bytes, 7, sizeof(bytes));
	handover_begin(&message, HANDOVER_TICKETS);
	handover_put_number(&message, FIELD_PID, 4000000000u);
	handover_put(&message, FIELD_TEXT, "", 0);
	handover_put(&message, FIELD_KEYS, bytes, sizeof(bytes));
	handover_put(&message, (enum handover_field)999, "new", 3);
	handover_put_number(&message, FIELD_ROLE, 5);
	deliver(pair);
	cr_expect_eq(handover_kind_of(&message), HANDOVER_TICKETS);
	cr_expect_eq(handover_number(&message, FIELD_PID, 0), 4000000000u);
	cr_expect_eq(handover_number(&message, FIELD_ROLE, 0), 5);
	cr_expect_eq(handover_number(&message, FIELD_FLAGS, 17), 17);
	cr_expect_eq(handover_number(&message, FIELD_TEXT, 18), 18);
	found = handover_find(&message, FIELD_KEYS, &len);
	cr_assert_eq(len, sizeof(bytes));
	cr_expect_arr_eq(found, bytes, sizeof(bytes));
	cr_expect_not_null(handover_find(&message, FIELD_TEXT, &len));
	cr_expect_eq(len, 0);
	cr_expect_null(handover_find(&message, FIELD_PATH, &len));
}

Test(handover_message, leaves_out_what_does_not_fit)
{
	static uint8_t bytes[HANDOVER_BYTES_MAX];
	struct pair pair = open_pair();
	size_t len;

	handover_begin(&message, HANDOVER_READY);
	handover_put(&message, FIELD_KEPT, bytes, sizeof(bytes));
	handover_put_number(&message, FIELD_PID, 1);
	deliver(pair);
	cr_expect_null(handover_find(&message, FIELD_KEPT, &len));
	cr_expect_eq(handover_number(&message, FIELD_PID, 0), 1);
}

Test(handover_message, brings_descriptors_that_no_program_inherits)
{
	struct pair pair = open_pair();
	struct stat sent, received;
	size_t i;

	handover_begin(&message, HANDOVER_LISTENER);
	for (i = 0; i < HANDOVER_FDS_MAX; i++)
		message.fds[i] = i == 99 ? pair.from : STDERR_FILENO;
	message.fd_count = HANDOVER_FDS_MAX;
	deliver(pair);
	cr_assert_eq(message.fd_count, HANDOVER_FDS_MAX);
	for (i = 0; i < HANDOVER_FDS_MAX; i++)
		cr_expect_eq(fcntl(message.fds[i], F_GETFD), FD_CLOEXEC);
	cr_assert_eq(fstat(pair.from, &sent), 0);
	cr_assert_eq(fstat(message.fds[99], &received), 0);
	cr_expect_eq(sent.st_ino, received.st_ino);
	handover_close_fds(&message);
	cr_expect_eq(message.fd_count, 0);
}

Test(handover_message, ends_and_waits)
{
	struct pair pair = open_pair();

	fcntl(pair.to, F_SETFL, O_NONBLOCK);
	cr_expect_eq(handover_receive(pair.to, &message, NULL), HANDOVER_AGAIN);
	close(pair.from);
	cr_expect_eq(
	    handover_receive(pair.to, &message, NULL), HANDOVER_CLOSED);
	handover_begin(&message, HANDOVER_END);
	cr_expect_eq(handover_send(pair.to, &message, NULL), HANDOVER_CLOSED);
}

/* Offsets in the head: magic, version, kind; then a field and its length. */
enum { AT_VERSION = 8, AT_FIELD = 16, AT_LENGTH = 18, AT_BYTES = 20 };

Test(handover_message, is_refused_if_it_is_malformed)
{
	static const struct {
		const char *what;
		size_t at, len; /* len 0: as it is */
		uint8_t byte;
		const char *why;
	} rows[] = {
		{ "nothing in it", 0, 1, 'c', "not of a clinch" },
		{ "a head that is cut", 0, 15, 'c', "not of a clinch" },
		{ "another magic number", 3, 0, 'x', "not of a clinch" },
		{ "a newer version", AT_VERSION, 0, 2,
		    "has version 2 of the upgrade protocol and this one 1: "
		    "restart instead" },
		{ "version 0", AT_VERSION, 0, 0, "version 0" },
		{ "a field that is longer", AT_LENGTH, 0, 5,
		    "not of a clinch" },
		{ "the greatest length", AT_LENGTH + 1, 0, 0xff,
		    "not of a clinch" },
		{ "a field head that is cut", 0, AT_LENGTH, 'c',
		    "not of a clinch" },
		{ "a field that is cut", 0, AT_BYTES + 3, 'c',
		    "not of a clinch" },
	};
	struct pair pair = open_pair();
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		handover_begin(&message, HANDOVER_END);
		handover_put_number(&message, FIELD_PID, 1);
		message.bytes[rows[i].at] = rows[i].byte;
		if (rows[i].len > 0)
			message.len = rows[i].len;
		message.fds[0] = STDERR_FILENO;
		message.fd_count = 1;
		cr_assert_eq(
		    handover_send(pair.from, &message, NULL), HANDOVER_DONE);
		cr_expect_eq(handover_receive(pair.to, &message, &err),
		    HANDOVER_FAILED, "%s", rows[i].what);
		cr_expect(strstr(err.text, rows[i].why), "%s: %s", rows[i].what,
		    err.text);
		cr_expect_eq(message.fd_count, 0, "%s", rows[i].what);
	}
}

Test(handover_message, is_refused_if_it_is_too_long)
{
	static uint8_t bytes[HANDOVER_BYTES_MAX + 1];
	struct pair pair = open_pair();
	struct err err;

	cr_assert_eq(
	    write(pair.from, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	cr_expect_eq(
	    handover_receive(pair.to, &message, &err), HANDOVER_FAILED);
	cr_expect(strstr(err.text, "is cut"), "%s", err.text);
}

/* ---- Listeners ---- */

static void
expect_round_trip(const struct handover_listener *given)
{
	struct pair pair = open_pair();
	struct handover_listener got;
	struct err err;

	handover_begin(&message, HANDOVER_LISTENER);
	handover_put_listener(&message, given);
	deliver(pair);
	cr_assert(handover_get_listener(&message, &got, &err), "%s", err.text);
	cr_expect_eq(got.role, given->role);
	cr_expect_str_eq(got.name, given->name);
	cr_expect_eq(got.fd_name == NULL, given->fd_name == NULL);
	if (given->fd_name)
		cr_expect_str_eq(got.fd_name, given->fd_name);
	cr_expect(addr_equal(&got.state.asked, &given->state.asked));
	cr_expect_eq(got.state.asked.len, given->state.asked.len);
	cr_expect_eq(got.state.any_family, given->state.any_family);
	cr_expect_eq(got.state.v6only, given->state.v6only);
	cr_expect_eq(got.state.inherited, given->state.inherited);
	cr_expect_str_eq(got.state.device, given->state.device);
	cr_expect_eq(got.state.dev, given->state.dev);
	cr_expect_eq(got.state.ino, given->state.ino);
	close(pair.from);
	close(pair.to);
}

Test(handover_listener, is_the_same_in_the_other_process)
{
	static const char *const addresses[] = { "127.0.0.1:0", "[::1]:443",
		"unix:/run/clinch/web.sock" };
	struct handover_listener given = { .role = HANDOVER_PROXY };
	size_t i;

	for (i = 0; i < ARRAY_LEN(addresses); i++) {
		given.state.asked = address(addresses[i]);
		given.name = "web";
		expect_round_trip(&given);
	}
	given.name = "a name = with [characters]";
	given.fd_name = "";
	given.state.any_family = true;
	expect_round_trip(&given);
	given.state.any_family = false;
	given.state.v6only = true;
	strcpy(given.state.device, "fifteen-letters");
	expect_round_trip(&given);
	given.state.v6only = false;
	given.state.inherited = true;
	given.fd_name = "socket";
	given.state.dev = (dev_t)-1;
	given.state.ino = (ino_t)-2;
	given.role = HANDOVER_ADMIN;
	given.name = "";
	expect_round_trip(&given);
}

Test(handover_listener, needs_its_role_name_and_address)
{
	static const struct {
		const char *what;
		uint32_t role;
		const char *name;
		size_t name_len, asked_len;
		sa_family_t family;
		const char *device;
	} rows[] = {
		{ "no role", 0, "web", 4, 16, AF_INET, "" },
		{ "an unknown role", 3, "web", 4, 16, AF_INET, "" },
		{ "a name without its end", 1, "web", 3, 16, AF_INET, "" },
		{ "a name with two ends", 1, "w\0b", 4, 16, AF_INET, "" },
		{ "an empty field as name", 1, "", 0, 16, AF_INET, "" },
		{ "no address", 1, "web", 4, 0, AF_INET, "" },
		{ "half a family", 1, "web", 4, 1, AF_INET, "" },
		{ "an IPv4 address that is cut", 1, "web", 4, 15, AF_INET, "" },
		{ "a longer IPv4 address", 1, "web", 4, 17, AF_INET, "" },
		{ "an IPv6 address that is cut", 1, "web", 4, 16, AF_INET6,
		    "" },
		{ "a path without a letter", 1, "web", 4, 2, AF_UNIX, "" },
		{ "a path that is too long", 1, "web", 4, 111, AF_UNIX, "" },
		{ "another family", 1, "web", 4, 16, AF_PACKET, "" },
		{ "a device name that is too long", 1, "web", 4, 16, AF_INET,
		    "sixteen-letters-" },
	};
	union {
		struct sockaddr_storage storage;
		uint8_t bytes[128];
	} asked;
	struct handover_listener got;
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		memset(&asked, 0, sizeof(asked));
		asked.storage.ss_family = rows[i].family;
		handover_begin(&message, HANDOVER_LISTENER);
		handover_put_number(&message, FIELD_ROLE, rows[i].role);
		handover_put(
		    &message, FIELD_NAME, rows[i].name, rows[i].name_len);
		handover_put(
		    &message, FIELD_ASKED, asked.bytes, rows[i].asked_len);
		handover_put(&message, FIELD_DEVICE, rows[i].device,
		    strlen(rows[i].device) + 1);
		cr_expect_not(handover_get_listener(&message, &got, &err), "%s",
		    rows[i].what);
		cr_expect(strstr(err.text, "without its address"), "%s",
		    rows[i].what);
	}
}

/* ---- The new process ---- */

static struct handover *
begin(struct pair pair)
{
	struct err err = { "" };
	struct handover *handover = handover_new(pair.to, &err);

	cr_assert_not_null(handover, "%s", err.text);
	cr_expect_eq(handover->from, getpid());
	return handover;
}

static void
post(struct pair pair, enum handover_kind kind)
{
	handover_begin(&message, kind);
	cr_assert_eq(handover_send(pair.from, &message, NULL), HANDOVER_DONE);
}

/* The listener with these descriptors. */
static void
post_listener(struct pair pair, const struct handover_listener *given,
    const int *fds, size_t count)
{
	handover_begin(&message, HANDOVER_LISTENER);
	handover_put_listener(&message, given);
	for (size_t i = 0; i < count; i++)
		message.fds[i] = fds[i];
	message.fd_count = count;
	cr_assert_eq(handover_send(pair.from, &message, NULL), HANDOVER_DONE);
}

/* All its sockets in one message. */
static void
post_sockets(struct pair pair, enum handover_role role, const char *name,
    const struct listener *listener)
{
	const struct handover_listener given = {
		.role = role, .name = name, .state = listener_state(listener)
	};
	size_t count;
	const int *fds = listener_fds(listener, &count);

	post_listener(pair, &given, fds, count);
}

static struct listener *
open_listener(const char *text, unsigned threads)
{
	const struct config_accept accept = { .addr = address(text) };
	const struct listener_options options = {
		.threads = threads, .backlog = 8, .unix_mode = 0600
	};
	struct err err;
	struct listener *listener = listener_open(
	    &accept, &options, NULL, &err);

	cr_assert_not_null(listener, "%s", err.text);
	return listener;
}

Test(handover, refuses_another_descriptor)
{
	struct err err;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_expect_null(handover_new(ends[0], &err));
	cr_expect(strstr(err.text, "is not of an upgrade"), "%s", err.text);
	cr_expect_eq(fcntl(ends[0], F_GETFD), -1, "it is closed");
	cr_expect_null(handover_new(open("/dev/null", O_RDWR), &err));
}

Test(handover, ends_with_the_old_process)
{
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct err err;

	post(pair, HANDOVER_PID_FILE);
	close(pair.from);
	cr_expect_not(handover_take(handover, &err));
	cr_expect_str_eq(err.text, "upgrade: the old process has gone");
	handover_free(handover);
}

Test(handover, refuses_a_listener_without_a_socket)
{
	struct listener *listener = open_listener("127.0.0.1:0", 1);
	const struct handover_listener given = { .role = HANDOVER_PROXY,
		.name = "web",
		.state = listener_state(listener) };
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct err err;

	post_listener(pair, &given, NULL, 0);
	cr_expect_not(handover_take(handover, &err));
	cr_expect_str_eq(err.text, "upgrade: a listener without a socket");
	handover_free(handover);
	listener_unref(listener);
}

Test(handover, refuses_a_socket_that_does_not_listen)
{
	struct listener *listener = open_listener("127.0.0.1:0", 1);
	const struct handover_listener given = { .role = HANDOVER_PROXY,
		.name = "web",
		.state = listener_state(listener) };
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct err err;

	post_listener(pair, &given, &(int){ STDERR_FILENO }, 1);
	post(pair, HANDOVER_END);
	cr_assert(handover_take(handover, &err));
	cr_expect_not(handover_open(handover, 1, &err));
	cr_expect(strstr(err.text, "is no socket"), "%s", err.text);
	handover_free(handover);
	listener_unref(listener);
}

Test(handover, gives_each_thread_its_share_of_the_sockets)
{
	static const struct {
		unsigned before, after;
		size_t listeners;
	} rows[] = { { 1, 1, 1 }, { 5, 5, 1 }, { 5, 2, 3 }, { 4, 2, 2 },
		{ 3, 1, 3 }, { 2, 7, 1 } };
	bool served[8];
	size_t i, k, t, count;
	struct err err;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct listener *old = open_listener(
		    "127.0.0.1:0", rows[i].before);
		struct pair pair = open_pair();
		struct handover *handover = begin(pair);
		const struct sockets *sockets = &handover->sockets;
		unsigned total = 0;

		post_sockets(pair, HANDOVER_PROXY, "web", old);
		post(pair, HANDOVER_END);
		cr_assert(handover_take(handover, &err), "%s", err.text);
		cr_assert(handover_open(handover, rows[i].after, &err));
		cr_expect_eq(sockets->count, rows[i].listeners, "row %zu", i);
		for (k = 0; k < sockets->count; k++) {
			const struct listener *one = sockets->items[k].listener;
			const int *fds = listener_fds(one, &count);

			cr_expect(addr_equal(
			    listener_address(one), listener_address(old)));
			memset(served, 0, sizeof(served));
			for (t = 0; t < rows[i].after; t++)
				for (size_t s = 0; s < count; s++)
					served[s] |= fds[s] == listener_fd(one,
								   (unsigned)t);
			for (size_t s = 0; s < count; s++)
				cr_expect(served[s], "row %zu", i);
			total += (unsigned)count;
		}
		cr_expect_eq(total, rows[i].before, "row %zu", i);
		handover_free(handover);
		listener_unref(old);
		close(pair.from);
	}
}

Test(handover, brings_ticket_keys_and_the_pid_file)
{
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct ticket_key_set set = { .count = 2 };
	struct err err;

	memset(&set.keys[0], 1, sizeof(set.keys[0]));
	memset(&set.keys[1], 2, sizeof(set.keys[1]));
	handover_begin(&message, HANDOVER_TICKETS);
	handover_put(&message, FIELD_KEYS, set.keys, 2 * sizeof(set.keys[0]));
	handover_put_number(&message, FIELD_ROTATE_MS, 1234);
	cr_assert_eq(handover_send(pair.from, &message, NULL), HANDOVER_DONE);
	handover_begin(&message, HANDOVER_PID_FILE);
	handover_put(&message, FIELD_PATH, "/run/pid", sizeof("/run/pid"));
	message.fds[0] = STDERR_FILENO;
	message.fd_count = 1;
	cr_assert_eq(handover_send(pair.from, &message, NULL), HANDOVER_DONE);
	post(pair, HANDOVER_END);
	cr_assert(handover_take(handover, &err), "%s", err.text);
	cr_expect_eq(handover->tickets.count, 2);
	cr_expect_arr_eq(
	    handover->tickets.keys, set.keys, 2 * sizeof(set.keys[0]));
	cr_expect_eq(handover->rotate_ms, 1234);
	cr_expect_str_eq(handover->pid_path, "/run/pid");
	cr_expect_geq(handover->pid_fd, 0);
	handover_free(handover);
}

Test(handover, ignores_keys_of_another_size)
{
	static const uint8_t bytes[9 * sizeof(struct ticket_key)];
	static const size_t sizes[] = { 1, sizeof(struct ticket_key) + 1,
		sizeof(bytes) };
	struct err err;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		struct pair pair = open_pair();
		struct handover *handover = begin(pair);

		handover_begin(&message, HANDOVER_TICKETS);
		handover_put(&message, FIELD_KEYS, bytes, sizes[i]);
		cr_assert_eq(
		    handover_send(pair.from, &message, NULL), HANDOVER_DONE);
		post(pair, HANDOVER_END);
		cr_assert(handover_take(handover, &err), "%s", err.text);
		cr_expect_eq(handover->tickets.count, 0);
		handover_free(handover);
		close(pair.from);
	}
}

/* ---- The first generation ---- */

static struct listener *
find_socket(const struct generation *generation, const char *name)
{
	size_t i;

	for (i = 0; i < generation_socket_count(generation); i++)
		if (strcmp(generation_socket(generation, i)->name, name) == 0)
			return generation_socket(generation, i)->listener;
	return NULL;
}

static const char two_listeners[] =
    "[listener one]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n"
    "cert = cert.pem\nkey = key.pem\n"
    "[listener two]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n"
    "cert = cert.pem\nkey = key.pem\n";

Test(handover, is_what_the_first_generation_listens_on)
{
	struct listener *one = open_listener("127.0.0.1:0", 3);
	struct listener *two = open_listener("127.0.0.1:0", 3);
	struct listener *gone = open_listener("127.0.0.1:0", 3);
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct generation *generation;
	const uint8_t *kept;
	struct site site;
	struct err err;
	size_t len;

	post_sockets(pair, HANDOVER_PROXY, "gone", gone);
	post_sockets(pair, HANDOVER_PROXY, "two", two);
	post_sockets(pair, HANDOVER_PROXY, "one", one);
	post(pair, HANDOVER_END);
	site_open(&site, 2);
	cr_assert(handover_take(handover, &err), "%s", err.text);
	cr_assert(handover_open(handover, 2, &err), "%s", err.text);
	site.parts.handover = handover;
	generation = site_build(&site, NULL, two_listeners, false);
	cr_assert_not_null(generation);
	cr_expect_eq(generation_socket_count(generation), 4);
	cr_expect(addr_equal(listener_address(find_socket(generation, "one")),
	    listener_address(one)));
	cr_expect(addr_equal(listener_address(find_socket(generation, "two")),
	    listener_address(two)));
	cr_expect_not(generation_socket(generation, 0)->is_rest);
	cr_expect(generation_socket(generation, 1)->is_rest);

	cr_assert(handover_ready(handover, generation, &err), "%s", err.text);
	cr_assert_eq(
	    handover_receive(pair.from, &message, &err), HANDOVER_DONE);
	cr_expect_eq(handover_kind_of(&message), HANDOVER_READY);
	kept = handover_find(&message, FIELD_KEPT, &len);
	cr_assert_eq(len, 3);
	cr_expect_arr_eq(kept, ((const uint8_t[]){ 0, 1, 1 }), 3);

	cr_expect(listener_is_shared(find_socket(generation, "one")));
	handover_own(generation);
	cr_expect_not(listener_is_shared(find_socket(generation, "one")));
	handover_free(handover);
	generation_unref(generation);
	site.parts.handover = NULL;
	site_close(&site);
	listener_unref(one);
	listener_unref(two);
	listener_unref(gone);
}

Test(handover, leaves_the_file_of_a_unix_socket_that_is_shared)
{
	char text[] = "unix:/tmp/clinch-handover-XXXXXX/web.sock";
	char *folder = text + strlen("unix:");
	struct listener *old;
	struct pair pair = open_pair();
	struct handover *handover = begin(pair);
	struct err err;

	folder[strlen(folder) - strlen("/web.sock")] = '\0';
	cr_assert_not_null(mkdtemp(folder));
	folder[strlen(folder)] = '/';
	old = open_listener(text, 1);
	post_sockets(pair, HANDOVER_PROXY, "web", old);
	post(pair, HANDOVER_END);
	cr_assert(handover_take(handover, &err), "%s", err.text);
	cr_assert(handover_open(handover, 1, &err), "%s", err.text);
	handover_free(handover);
	cr_expect_eq(access(folder, F_OK), 0);
	listener_unref(old);
	cr_expect_eq(access(folder, F_OK), -1);
	*strrchr(folder, '/') = '\0';
	rmdir(folder);
}
