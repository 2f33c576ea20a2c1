/*
 * What both kinds of stream promise: bytes, readiness, back-pressure, ends.
 * A plain stream over a socket pair, no network; TLS has test_secure.c.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/link.h"

Test(stream, reads_what_came)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert(link_say(&link, "hello"));
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(link.server.bytes_in, 5);
	link_close(&link);
}

Test(stream, asks_the_kernel_again_only_after_an_event)
{
	struct link link;
	struct buf into = { 0 };

	link_open_plain(&link, LINK_STREAM);
	cr_assert(buf_hold(&into, link.pool));
	cr_assert(link_say(&link, "one"));
	cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
	cr_assert(link_say(&link, "two"));
	cr_assert_eq(stream_read(&link.server, &into), IO_WANT_READ,
	    "a short recv means dry");
	stream_readable(&link.server);
	cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
	cr_assert_eq(buf_len(&into), 6);
	buf_drop(&into, link.pool);
	link_close(&link);
}

Test(stream, gathers_one_turn_and_then_the_rest_of_the_block)
{
	char *much = malloc(STREAM_TURN_BYTES + 101);
	struct link link;
	struct buf into = { 0 };

	cr_assert_not_null(much);
	memset(much, 'x', STREAM_TURN_BYTES + 100);
	much[STREAM_TURN_BYTES + 100] = '\0';
	link_open_plain(&link, LINK_STREAM);
	cr_assert(buf_hold(&into, link.pool));
	cr_assert(link_say(&link, much));
	cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
	cr_assert_eq(buf_len(&into), STREAM_TURN_BYTES);
	cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
	cr_assert_eq(buf_len(&into), STREAM_TURN_BYTES + 100);
	buf_drop(&into, link.pool);
	link_close(&link);
	free(much);
}

Test(stream, tells_the_end_once_all_is_read)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert(link_say(&link, "last"));
	link_fin(&link);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "last");
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
	cr_assert_not(link.server.got_notify);
	link_close(&link);
}

/* Write until the socket is full; how many bytes were taken. */
static size_t
write_until_full(struct stream *stream, struct pool *pool)
{
	struct buf from = { 0 };
	size_t taken = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		if (!buf_hold(&from, pool))
			break;
		memset(buf_tail(&from), 'a' + i % 26, 4096);
		buf_commit(&from, 4096);
		if (stream_write(stream, &from) != IO_DONE)
			break;
		taken += 4096;
	}
	taken += 4096 - buf_len(&from);
	buf_drop(&from, pool);
	return taken;
}

Test(stream, stops_taking_when_the_peer_does_not_read)
{
	static char heard[4 * 1024 * 1024];
	struct link link;
	size_t taken;

	link_open_plain(&link, LINK_STREAM);
	taken = write_until_full(&link.server, link.pool);
	cr_assert_lt(taken, sizeof(heard));
	cr_assert_eq(link_answer(&link, "no"), IO_WANT_WRITE);
	cr_assert_eq(link.server.bytes_out, taken, "nothing was taken");
	cr_assert_eq(link_hear(&link, heard, sizeof(heard)), taken);
	cr_assert_eq(link_answer(&link, "no"), IO_WANT_WRITE, "no event yet");
	stream_writable(&link.server);
	cr_assert_eq(link_answer(&link, "yes"), IO_DONE);
	cr_assert_eq(link_hear(&link, heard, sizeof(heard)), 3);
	link_close(&link);
}

Test(stream, ends_its_own_direction_alone)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert_eq(link_answer(&link, "bye"), IO_DONE);
	cr_assert_eq(stream_end(&link.server), IO_DONE);
	cr_assert_eq(stream_end(&link.server), IO_DONE, "again is harmless");
	cr_assert_eq(link_hear(&link, text, sizeof(text)), 3);
	cr_assert(link.saw_fin);
	cr_assert(link_say(&link, "still here"));
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "still here");
	link_close(&link);
}

Test(stream, calls_a_reset_a_reset)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert_eq(link_answer(&link, "unread"), IO_DONE);
	link_hang_up(&link);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_FAILED);
	cr_assert_eq(link.server.failure, STREAM_RESET);
	cr_assert_str_eq(stream_failure_text(&link.server, text, sizeof(text)),
	    "Connection reset by peer");
	link_close(&link);
}

Test(stream, still_reads_what_a_vanished_peer_had_answered)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert(link_say(&link, "413"));
	link_hang_up(&link);
	cr_assert_eq(link_answer(&link, "more"), IO_FAILED);
	cr_assert_eq(link.server.failure, STREAM_RESET);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "413");
	link_close(&link);
}

static void
write_byte(struct stream *stream, struct buf *from)
{
	cr_assert(buf_hold(from, stream->pool));
	*buf_tail(from) = 'x';
	buf_commit(from, 1);
	cr_assert_eq(stream_write(stream, from), IO_DONE);
	buf_rest(from, stream->pool);
}

static int
connect_to_ourselves(int *listening)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*listening = socket(AF_INET, SOCK_STREAM, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(*listening, (struct sockaddr *)&to, len), 0);
	cr_assert_eq(listen(*listening, 1), 0);
	getsockname(*listening, (struct sockaddr *)&to, &len);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0);
	return fd;
}

static bool
has_nodelay(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	return on != 0;
}

Test(stream, forbids_delay_once_something_may_be_delayed)
{
	struct pool *pool = pool_new();
	struct stream stream;
	struct buf from = { 0 };
	int listening, fd = connect_to_ourselves(&listening);

	stream_init_plain(&stream, fd, pool);
	for (int i = 0; i < 2; i++) {
		cr_expect_not(has_nodelay(fd), "before write %d", i);
		write_byte(&stream, &from);
	}
	cr_expect(has_nodelay(fd));
	stream_fini(&stream, false);
	close(listening);
	pool_free(pool);
}

Test(stream, has_no_handshake_and_no_facts_when_plain)
{
	struct stream_facts facts;
	struct link link;

	link_open_plain(&link, LINK_STREAM);
	cr_assert_eq(stream_handshake(&link.server), IO_DONE);
	stream_facts(&link.server, &facts);
	cr_assert_null(facts.version);
	cr_assert_not(stream_wants_write(&link.server));
	link_close(&link);
}
