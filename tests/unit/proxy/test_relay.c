/*
 * One direction of a connection, over socket pairs: `source` feeds the relay,
 * the relay writes to `sink`.  Everything runs in this thread, so that after
 * each step the kernel has all bytes that a step sent.
 */
#include "proxy/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"

struct rig {
	struct pool *pool;
	int source; /* our end of what the relay reads from */
	int sink;   /* our end of what it writes to */
	struct stream from;
	struct stream to;
	struct relay relay;
};

static void
make_pair(int kind, int fds[2])
{
	int size = 1 << 20;

	cr_assert_eq(
	    socketpair(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
	    0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void
init_with_sink(struct rig *rig, int kind)
{
	int in[2], out[2];

	make_pair(SOCK_STREAM, in);
	make_pair(kind, out);
	rig->source = in[0];
	rig->sink = out[0];
	rig->pool = pool_new();
	cr_assert_not_null(rig->pool);
	stream_init_plain(&rig->from, in[1], rig->pool);
	stream_init_plain(&rig->to, out[1], rig->pool);
	relay_init(&rig->relay, &rig->from, &rig->to);
}

static void
rig_init(struct rig *rig)
{
	init_with_sink(rig, SOCK_STREAM);
}

static void
rig_fini(struct rig *rig)
{
	relay_fini(&rig->relay);
	stream_fini(&rig->from, false);
	stream_fini(&rig->to, false);
	cr_expect_eq(pool_in_use(rig->pool), 0, "a block was not given back");
	pool_free(rig->pool);
	if (rig->source >= 0)
		close(rig->source);
	if (rig->sink >= 0)
		close(rig->sink);
}

/* Both streams are ready, as the event loop reports them. */
static enum relay_state
pump(struct rig *rig, bool *moved)
{
	bool ignored = false;

	stream_readable(&rig->from);
	stream_writable(&rig->to);
	return relay_pump(&rig->relay, moved != NULL ? moved : &ignored);
}

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

/* Send as much of the pattern from `at` to `end` as the kernel takes. */
static size_t
feed(int fd, size_t at, size_t end)
{
	uint8_t bytes[8191]; /* odd on purpose */
	size_t n = end - at < sizeof(bytes) ? end - at : sizeof(bytes);
	ssize_t sent;

	for (size_t i = 0; i < n; i++)
		bytes[i] = pattern(at + i);
	if (n == 0)
		return 0;
	sent = send(fd, bytes, n, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent : 0;
}

/* Read once and compare with the pattern from `at` on. */
static size_t
check(int fd, size_t at)
{
	uint8_t bytes[7001];
	size_t wrong = 0;
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	for (ssize_t i = 0; i < n; i++)
		wrong += bytes[i] != pattern(at + (size_t)i);
	cr_assert_eq(wrong, 0, "%zu wrong bytes near %zu", wrong, at);
	return n > 0 ? (size_t)n : 0;
}

static size_t
check_all(int fd, size_t at)
{
	size_t n, start = at;

	while ((n = check(fd, at)) > 0)
		at += n;
	return at - start;
}

/* Feed until the relay takes no more; returns how much was sent. */
static size_t
stuff(struct rig *rig, size_t limit)
{
	size_t fed = 0, n;

	do {
		n = feed(rig->source, fed, limit);
		fed += n;
		(void)pump(rig, NULL);
	} while (n > 0);
	return fed;
}

static bool
at_end(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

Test(relay, passes_every_byte_whatever_the_size)
{
	static const size_t sizes[] = { 1, 2, 1000, 16383, 16384, 16385, 65535,
		65536, 65537, 69632, 69633, 300007, 2000003 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rig rig;
		size_t fed = 0, got = 0, before;

		rig_init(&rig);
		do {
			before = fed + got;
			fed += feed(rig.source, fed, sizes[i]);
			(void)pump(&rig, NULL);
			got += check(rig.sink, got);
		} while (fed + got > before);
		cr_expect_eq(got, sizes[i], "%zu of %zu bytes", got, sizes[i]);
		cr_expect_eq(rig.from.bytes_in, sizes[i]);
		cr_expect_eq(rig.to.bytes_out, sizes[i]);
		rig_fini(&rig);
	}
}

Test(relay, owns_no_memory_while_it_waits)
{
	struct rig rig;

	rig_init(&rig);
	feed(rig.source, 0, 5000);
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS);
	cr_expect_eq(pool_in_use(rig.pool), 0);
	cr_expect(relay_wants_input(&rig.relay));
	cr_expect_not(relay_wants_output(&rig.relay));
	rig_fini(&rig);
}

Test(relay, reports_whether_bytes_moved)
{
	struct rig rig;
	bool moved = false;

	rig_init(&rig);
	cr_expect_eq(pump(&rig, &moved), RELAY_WAITS);
	cr_expect_not(moved, "nothing was there");
	feed(rig.source, 0, 1);
	cr_expect_eq(pump(&rig, &moved), RELAY_WAITS);
	cr_expect(moved);
	rig_fini(&rig);
}

Test(relay, stops_reading_while_the_output_is_blocked)
{
	const size_t limit = 64u << 20;
	struct rig rig;
	bool moved = false;
	size_t fed;

	rig_init(&rig);
	fed = stuff(&rig, limit);
	cr_expect_lt(fed, limit, "there was no back-pressure");
	cr_expect_eq(pool_in_use(rig.pool), 1, "more than one block is held");
	cr_expect_not(relay_wants_input(&rig.relay));
	cr_expect(relay_wants_output(&rig.relay));
	cr_expect_eq(pump(&rig, &moved), RELAY_WAITS);
	cr_expect_not(moved);
	rig_fini(&rig);
}

Test(relay, goes_on_once_the_output_has_room)
{
	struct rig rig;
	size_t fed, got = 0, n;

	rig_init(&rig);
	fed = stuff(&rig, 64u << 20);
	do {
		n = check_all(rig.sink, got);
		got += n;
		(void)pump(&rig, NULL);
	} while (n > 0);
	cr_expect_eq(got, fed, "%zu of %zu bytes", got, fed);
	cr_expect(relay_wants_input(&rig.relay));
	cr_expect_not(relay_wants_output(&rig.relay));
	rig_fini(&rig);
}

Test(relay, gives_way_after_its_turn)
{
	struct rig rig;
	size_t fed = 0, n, got;

	rig_init(&rig);
	while ((n = feed(rig.source, fed, 8 * RELAY_TURN_BYTES)) > 0)
		fed += n;
	if (fed < RELAY_TURN_BYTES + STREAM_TURN_BYTES)
		cr_skip_test("net.core.wmem_max is too small here");
	cr_expect_eq(pump(&rig, NULL), RELAY_TURN_OVER);
	got = check_all(rig.sink, 0);
	cr_expect_geq(got, RELAY_TURN_BYTES);
	cr_expect_lt(got, RELAY_TURN_BYTES + STREAM_TURN_BYTES);
	while (pump(&rig, NULL) == RELAY_TURN_OVER)
		got += check_all(rig.sink, got);
	cr_expect_eq(got + check_all(rig.sink, got), fed);
	rig_fini(&rig);
}

Test(relay, passes_the_end_on_after_the_last_byte)
{
	struct rig rig;

	rig_init(&rig);
	feed(rig.source, 0, 5000);
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS);
	cr_expect_not(rig.relay.input_ended, "no end was sent");
	shutdown(rig.source, SHUT_WR);
	cr_expect_eq(pump(&rig, NULL), RELAY_ENDED);
	cr_expect_eq(check_all(rig.sink, 0), 5000);
	cr_expect(at_end(rig.sink));
	cr_expect_not(relay_wants_input(&rig.relay));
	cr_expect_eq(pump(&rig, NULL), RELAY_ENDED, "it stays ended");
	rig_fini(&rig);
}

Test(relay, holds_the_end_back_while_bytes_wait)
{
	struct rig rig;
	size_t fed, got = 0, n;
	enum relay_state state;

	rig_init(&rig);
	fed = stuff(&rig, 64u << 20);
	shutdown(rig.source, SHUT_WR);
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS);
	do {
		n = check_all(rig.sink, got);
		got += n;
		state = pump(&rig, NULL);
	} while (n > 0);
	cr_expect_eq(state, RELAY_ENDED);
	cr_expect_eq(got, fed);
	cr_expect(at_end(rig.sink));
	rig_fini(&rig);
}

/* The same streams the other way round, as a connection has them. */
Test(relay, leaves_the_other_direction_open)
{
	struct relay back;
	struct rig rig;
	bool moved = false;

	rig_init(&rig);
	relay_init(&back, &rig.to, &rig.from);
	shutdown(rig.source, SHUT_WR);
	cr_expect_eq(pump(&rig, NULL), RELAY_ENDED);

	feed(rig.sink, 0, 3000);
	stream_readable(&rig.to);
	cr_expect_eq(relay_pump(&back, &moved), RELAY_WAITS);
	cr_expect_eq(check_all(rig.source, 0), 3000);
	shutdown(rig.sink, SHUT_WR);
	stream_readable(&rig.to);
	cr_expect_eq(relay_pump(&back, &moved), RELAY_ENDED);
	relay_fini(&back);
	rig_fini(&rig);
}

Test(relay, distinguishes_a_reset_input_from_an_ended_one)
{
	struct rig rig;

	rig_init(&rig);
	/* A Unix socket closed with bytes unread resets its peer. */
	cr_assert_eq(send(rig.from.fd, "x", 1, 0), 1);
	feed(rig.source, 0, 4000);
	close(rig.source);
	rig.source = -1;
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS);
	cr_expect_eq(pump(&rig, NULL), RELAY_FROM_FAILED);
	cr_expect_eq(rig.from.error, STREAM_RESET);
	cr_expect_eq(check_all(rig.sink, 0), 4000, "what came before is out");
	cr_expect_not(at_end(rig.sink), "a reset became a clean end");
	rig_fini(&rig);
}

Test(relay, reports_a_closed_output)
{
	struct rig rig;

	rig_init(&rig);
	close(rig.sink);
	rig.sink = -1;
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS, "nothing to write yet");
	feed(rig.source, 0, 10);
	cr_expect_eq(pump(&rig, NULL), RELAY_TO_FAILED);
	cr_expect_eq(rig.to.error_errno, EPIPE);
	rig_fini(&rig);
}

Test(relay, drops_the_input_until_its_end)
{
	struct rig rig;
	size_t fed;

	rig_init(&rig);
	close(rig.sink);
	rig.sink = -1;
	feed(rig.source, 0, 10);
	cr_expect_eq(pump(&rig, NULL), RELAY_TO_FAILED);
	relay_drop(&rig.relay);
	fed = stuff(&rig, 3u << 20);
	cr_expect_eq(fed, 3u << 20, "discarding must not block");
	cr_expect(relay_wants_input(&rig.relay));
	cr_expect_not(relay_wants_output(&rig.relay));
	shutdown(rig.source, SHUT_WR);
	cr_expect_eq(pump(&rig, NULL), RELAY_ENDED);
	rig_fini(&rig);
}

Test(relay, reads_ahead_one_buffer_and_writes_nothing)
{
	struct rig rig;
	size_t fed = 0, n;

	rig_init(&rig);
	while ((n = feed(rig.source, fed, 100000)) > 0)
		fed += n;
	cr_expect_eq(relay_read_ahead(&rig.relay), RELAY_WAITS);
	cr_expect_eq(relay_read_ahead(&rig.relay), RELAY_WAITS);
	cr_expect_eq(rig.from.bytes_in, STREAM_TURN_BYTES);
	cr_expect_not(relay_wants_input(&rig.relay));
	cr_expect_eq(check_all(rig.sink, 0), 0, "it was not connected yet");
	cr_expect_eq(pump(&rig, NULL), RELAY_WAITS);
	cr_expect_eq(check_all(rig.sink, 0), fed);
	rig_fini(&rig);
}

Test(relay, keeps_an_end_that_was_read_ahead)
{
	struct rig rig;

	rig_init(&rig);
	shutdown(rig.source, SHUT_WR);
	cr_expect_eq(relay_read_ahead(&rig.relay), RELAY_WAITS);
	cr_expect(rig.relay.input_ended);
	cr_expect_not(at_end(rig.sink), "it was not connected yet");
	cr_expect_eq(pump(&rig, NULL), RELAY_ENDED);
	cr_expect(at_end(rig.sink));
	rig_fini(&rig);
}

/* ---- bytes of our own in front, as a PROXY header ---- */

static void
put_front(struct rig *rig, const char *text)
{
	uint8_t *front = relay_front(&rig->relay, strlen(text));

	cr_assert_not_null(front);
	memcpy(front, text, strlen(text));
	relay_commit(&rig->relay, strlen(text));
}

/* The source sends this, and it is read ahead. */
static void
read_ahead(struct rig *rig, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	cr_assert_eq(send(rig->source, text, (size_t)len, MSG_NOSIGNAL), len);
	stream_readable(&rig->from);
	cr_expect_eq(relay_read_ahead(&rig->relay), RELAY_WAITS);
}

static bool
pump_waits(struct rig *rig)
{
	bool moved = false;

	cr_expect_eq(pump(rig, &moved), RELAY_WAITS);
	return moved;
}

/* One send of the relay; "": nothing was sent. */
static void
expect_send(struct rig *rig, const char *expect)
{
	char got[64] = "";

	(void)recv(rig->sink, got, sizeof(got) - 1, 0);
	cr_expect_str_eq(got, expect);
}

Test(relay_front, is_sent_without_input)
{
	struct rig rig;

	init_with_sink(&rig, SOCK_SEQPACKET);
	put_front(&rig, "front");
	cr_expect(relay_wants_output(&rig.relay));
	cr_expect(pump_waits(&rig));
	expect_send(&rig, "front");
	cr_expect_eq(rig.from.bytes_in, 0, "it is no input");
	cr_expect_eq(pool_in_use(rig.pool), 0);
	cr_expect_not(pump_waits(&rig), "it left twice");
	rig_fini(&rig);
}

Test(relay_front, leaves_together_with_what_was_read_ahead)
{
	struct rig rig;

	init_with_sink(&rig, SOCK_SEQPACKET);
	put_front(&rig, "front ");
	cr_expect(relay_wants_input(&rig.relay));
	read_ahead(&rig, "");
	cr_expect(relay_wants_input(&rig.relay), "nothing has come yet");
	read_ahead(&rig, "question");
	expect_send(&rig, "");
	cr_expect(pump_waits(&rig));
	expect_send(&rig, "front question");
	expect_send(&rig, "");
	cr_expect_eq(rig.from.bytes_in, strlen("question"));
	rig_fini(&rig);
}

Test(relay_front, is_followed_by_one_buffer_and_no_more)
{
	struct rig rig;

	init_with_sink(&rig, SOCK_SEQPACKET);
	put_front(&rig, "front ");
	read_ahead(&rig, "one");
	cr_expect_not(relay_wants_input(&rig.relay));
	read_ahead(&rig, "two");
	cr_expect_eq(rig.from.bytes_in, strlen("one"));
	cr_expect(pump_waits(&rig));
	expect_send(&rig, "front one");
	expect_send(&rig, "two");
	rig_fini(&rig);
}

Test(relay_front, keeps_an_end_that_was_read_ahead)
{
	struct rig rig;
	bool moved = false;
	char byte;

	init_with_sink(&rig, SOCK_SEQPACKET);
	put_front(&rig, "front");
	shutdown(rig.source, SHUT_WR);
	stream_readable(&rig.from);
	cr_expect_eq(relay_read_ahead(&rig.relay), RELAY_WAITS);
	cr_expect(rig.relay.input_ended);
	expect_send(&rig, "");
	cr_expect_eq(relay_pump(&rig.relay, &moved), RELAY_ENDED);
	expect_send(&rig, "front");
	cr_expect_eq(recv(rig.sink, &byte, 1, 0), 0, "the end is not out");
	rig_fini(&rig);
}

/* Watched, a client that goes on talking would keep the loop busy. */
Test(relay_front, is_no_reason_to_read_once_it_is_on_its_way)
{
	struct rig rig;
	bool moved = false;

	init_with_sink(&rig, SOCK_SEQPACKET);
	put_front(&rig, "front");
	stream_readable(&rig.from);
	rig.to.may_write = false; /* its socket is full */
	cr_expect_eq(relay_pump(&rig.relay, &moved), RELAY_WAITS);
	cr_expect_not(relay_wants_input(&rig.relay));
	cr_expect(relay_wants_output(&rig.relay));
	cr_expect(pump_waits(&rig));
	expect_send(&rig, "front");
	cr_expect(relay_wants_input(&rig.relay));
	rig_fini(&rig);
}
