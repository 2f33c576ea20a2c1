/*
 * What both kinds of stream promise: bytes, readiness, back-pressure, ends, and
 * a look at what comes before the handshake.  Mostly a plain stream over a
 * socket pair; TLS has test_stream_tls.c.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
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

Test(stream, makes_a_system_call_only_after_an_event)
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

Test(stream, returns_the_end_once_all_is_read)
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

Test(stream, takes_no_more_when_the_peer_does_not_read)
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

Test(stream, fails_with_a_reset)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert_eq(link_answer(&link, "unread"), IO_DONE);
	link_hang_up(&link);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_FAILED);
	cr_assert_eq(link.server.error, STREAM_RESET);
	cr_assert_str_eq(stream_error_text(&link.server, text, sizeof(text)),
	    "Connection reset by peer");
	link_close(&link);
}

Test(stream, still_reads_the_answer_of_a_closed_peer)
{
	struct link link;
	char text[64];

	link_open_plain(&link, LINK_STREAM);
	cr_assert(link_say(&link, "413"));
	link_hang_up(&link);
	cr_assert_eq(link_answer(&link, "more"), IO_FAILED);
	cr_assert_eq(link.server.error, STREAM_RESET);
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

Test(stream, sets_nodelay_with_the_second_write)
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

/* ---- Before the handshake ---- */

static struct ticket_keys *keys;
static struct tls_server *server;
static struct config_listener config;

static void
open_server(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	server = link_server(&config, PKI_P256, keys);
}

static void
close_server(void)
{
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(peek, .init = open_server, .fini = close_server);

/* The client's bytes, as if it had sent them. */
static void
arrive(struct link *link, const char *bytes, size_t len)
{
	cr_assert_eq(send(link->peer, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	stream_readable(&link->server);
}

/* Is this what a look at `least` bytes answers? */
static void
expect_peek(struct link *link, size_t least, enum io io, const char *expect)
{
	const uint8_t *bytes;
	size_t len;

	cr_expect_eq(stream_peek(&link->server, least, &bytes, &len), io,
	    "least %zu", least);
	cr_assert_eq(len, strlen(expect), "least %zu: %zu", least, len);
	cr_expect(len == 0 || memcmp(bytes, expect, len) == 0);
}

Test(peek, waits_for_the_requested_number_of_bytes)
{
	struct link link;

	link_open_tls(&link, LINK_STREAM, server);
	expect_peek(&link, 1, IO_WANT_READ, "");
	cr_expect_eq(pool_in_use(link.pool), 0, "who waits needs no buffer");
	arrive(&link, "HEA", 3);
	expect_peek(&link, 1, IO_DONE, "HEA");
	expect_peek(&link, 3, IO_DONE, "HEA");
	expect_peek(&link, 4, IO_WANT_READ, "HEA");
	arrive(&link, "DER", 3);
	expect_peek(&link, 4, IO_DONE, "HEADER");
	link_close(&link);
}

Test(peek, makes_a_system_call_only_after_an_event)
{
	struct link link;

	link_open_tls(&link, LINK_STREAM, server);
	expect_peek(&link, 1, IO_WANT_READ, "");
	cr_assert_eq(send(link.peer, "x", 1, MSG_NOSIGNAL), 1);
	expect_peek(&link, 1, IO_WANT_READ, "");
	stream_readable(&link.server);
	expect_peek(&link, 1, IO_DONE, "x");
	link_close(&link);
}

Test(peek, leaves_what_is_not_skipped)
{
	struct link link;

	link_open_tls(&link, LINK_STREAM, server);
	arrive(&link, "HEADERrest", 10);
	expect_peek(&link, 6, IO_DONE, "HEADERrest");
	stream_skip(&link.server, 6);
	expect_peek(&link, 1, IO_DONE, "rest");
	stream_skip(&link.server, 4);
	cr_expect_eq(pool_in_use(link.pool), 0);
	expect_peek(&link, 1, IO_WANT_READ, "");
	link_close(&link);
}

Test(peek, fails_when_no_more_will_come)
{
	static const struct {
		const char *what, *given;
		size_t least;
		enum io expect;
	} rows[] = {
		{ "nothing", "", 1, IO_FAILED },
		{ "too few", "HEAD", 5, IO_FAILED },
		{ "enough", "HEAD", 4, IO_DONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const uint8_t *bytes;
		struct link link;
		enum io io;
		size_t len;

		link_open_tls(&link, LINK_STREAM, server);
		arrive(&link, rows[i].given, strlen(rows[i].given));
		link_fin(&link);
		io = stream_peek(&link.server, rows[i].least, &bytes, &len);
		/* A short recv hides the FIN until the next event. */
		cr_expect(io == IO_WANT_READ || io == rows[i].expect);
		stream_readable(&link.server);
		expect_peek(
		    &link, rows[i].least, rows[i].expect, rows[i].given);
		cr_expect_eq(link.server.error,
		    rows[i].expect == IO_DONE ? STREAM_OK : STREAM_CLOSED_EARLY,
		    "%s", rows[i].what);
		link_close(&link);
	}
}

Test(peek, fails_when_the_client_resets)
{
	struct link link;

	link_open_tls(&link, LINK_STREAM, server);
	cr_assert_eq(send(link.server.fd, "unread", 6, MSG_NOSIGNAL), 6);
	link_hang_up(&link); /* what it had not read becomes a reset */
	expect_peek(&link, 1, IO_FAILED, "");
	cr_expect_eq(link.server.error, STREAM_RESET);
	expect_peek(&link, 1, IO_FAILED, "");
	link_close(&link);
}

/* The ClientHello, to be carried by hand. */
static size_t
first_flight(struct link *link, char *out, size_t max)
{
	int len;

	cr_assert_leq(SSL_do_handshake(link->client), 0);
	len = BIO_read(SSL_get_wbio(link->client), out, (int)max);
	cr_assert_gt(len, 0);
	return (size_t)len;
}

Test(peek, hands_the_rest_to_the_handshake)
{
	static const struct {
		const char *what;
		size_t given; /* percents of the ClientHello that came along */
	} rows[] = { { "nothing", 0 }, { "half", 50 }, { "all", 100 } };

	for (size_t i = 0; i < ARRAY_LEN(rows) * LINK_VERSIONS; i++) {
		struct link link;
		char packet[4096] = "HEADER", *hello = packet + 6;
		const uint8_t *bytes;
		size_t all, first, len;
		int client;

		link_open_tls(&link, LINK_STREAM, server);
		SSL_set_max_proto_version(
		    link.client, link_versions[i % 2].version);
		all = first_flight(&link, hello, sizeof(packet) - 6);
		first = all * rows[i / 2].given / 100;
		arrive(&link, packet, 6 + first);
		cr_assert_eq(
		    stream_peek(&link.server, 6, &bytes, &len), IO_DONE);
		cr_assert_eq(len, 6 + first);
		stream_skip(&link.server, 6);
		arrive(&link, hello + first, all - first);
		cr_expect_eq(link_handshake(&link, &client), IO_DONE);
		cr_expect_eq(client, 1, "%s, %s", rows[i / 2].what,
		    link_versions[i % 2].what);
		link_close(&link);
	}
}
