/*
 * Bytes of our own in front of what is read, as a PROXY header is: they leave
 * first, once, and together with whatever was read ahead.
 */
#include "proxy/relay.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"

struct rig {
	struct pool *pool;
	int source; /* our end of what the relay reads from */
	int sink;   /* our end of what it writes to: it keeps sends apart */
	struct stream from;
	struct stream to;
	struct relay relay;
};

static int
open_stream(struct stream *stream, int kind, struct pool *pool)
{
	int fds[2];

	cr_assert_eq(
	    socketpair(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
	    0);
	stream_init_plain(stream, fds[0], pool);
	return fds[1];
}

static void
rig_init(struct rig *rig)
{
	rig->pool = pool_new();
	cr_assert_not_null(rig->pool);
	rig->source = open_stream(&rig->from, SOCK_STREAM, rig->pool);
	rig->sink = open_stream(&rig->to, SOCK_SEQPACKET, rig->pool);
	relay_init(&rig->relay, &rig->from, &rig->to);
}

static void
rig_fini(struct rig *rig)
{
	relay_fini(&rig->relay);
	stream_fini(&rig->from, false);
	stream_fini(&rig->to, false);
	cr_expect_eq(pool_in_use(rig->pool), 0, "a block was not given back");
	pool_free(rig->pool);
	close(rig->source);
	close(rig->sink);
}

static void
put_front(struct rig *rig, const char *text)
{
	uint8_t *front = relay_front(&rig->relay, strlen(text));

	cr_assert_not_null(front);
	memcpy(front, text, strlen(text));
	relay_commit(&rig->relay, strlen(text));
}

/* Somebody says this, and it is read ahead. */
static void
say_ahead(struct rig *rig, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	cr_assert_eq(send(rig->source, text, (size_t)len, MSG_NOSIGNAL), len);
	stream_readable(&rig->from);
	cr_expect_eq(relay_read_ahead(&rig->relay), RELAY_WAITS);
}

static bool
pump(struct rig *rig)
{
	bool moved = false;

	stream_readable(&rig->from);
	stream_writable(&rig->to);
	cr_expect_eq(relay_pump(&rig->relay, &moved), RELAY_WAITS);
	return moved;
}

/* Is this what came in one send?  "": nothing came. */
static void
expect_send(struct rig *rig, const char *expect)
{
	char got[64] = "";

	(void)recv(rig->sink, got, sizeof(got) - 1, 0);
	cr_expect_str_eq(got, expect);
}

Test(relay_front, leaves_though_nobody_says_anything)
{
	struct rig rig;

	rig_init(&rig);
	put_front(&rig, "front");
	cr_expect(relay_wants_output(&rig.relay));
	cr_expect(pump(&rig));
	expect_send(&rig, "front");
	cr_expect_eq(rig.from.bytes_in, 0, "nobody said it");
	cr_expect_eq(pool_in_use(rig.pool), 0);
	cr_expect_not(pump(&rig), "it left twice");
	rig_fini(&rig);
}

Test(relay_front, leaves_together_with_what_was_read_ahead)
{
	struct rig rig;

	rig_init(&rig);
	put_front(&rig, "front ");
	cr_expect(relay_wants_input(&rig.relay));
	say_ahead(&rig, "");
	cr_expect(relay_wants_input(&rig.relay), "nothing has come yet");
	say_ahead(&rig, "question");
	expect_send(&rig, "");
	cr_expect(pump(&rig));
	expect_send(&rig, "front question");
	expect_send(&rig, "");
	cr_expect_eq(rig.from.bytes_in, strlen("question"));
	rig_fini(&rig);
}

Test(relay_front, is_followed_by_one_buffer_and_no_more)
{
	struct rig rig;

	rig_init(&rig);
	put_front(&rig, "front ");
	say_ahead(&rig, "one");
	cr_expect_not(relay_wants_input(&rig.relay));
	say_ahead(&rig, "two");
	cr_expect_eq(rig.from.bytes_in, strlen("one"));
	cr_expect(pump(&rig));
	expect_send(&rig, "front one");
	expect_send(&rig, "two");
	rig_fini(&rig);
}

Test(relay_front, keeps_an_end_that_was_read_ahead)
{
	struct rig rig;
	bool moved = false;
	char byte;

	rig_init(&rig);
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

	rig_init(&rig);
	put_front(&rig, "front");
	stream_readable(&rig.from);
	rig.to.may_write = false; /* its socket is full */
	cr_expect_eq(relay_pump(&rig.relay, &moved), RELAY_WAITS);
	cr_expect_not(relay_wants_input(&rig.relay));
	cr_expect(relay_wants_output(&rig.relay));
	cr_expect(pump(&rig));
	expect_send(&rig, "front");
	cr_expect(relay_wants_input(&rig.relay));
	rig_fini(&rig);
}
