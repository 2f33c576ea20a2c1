/*
 * What comes before the handshake: bytes of a header are looked at, taken
 * away, and the rest is the ClientHello.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "tests/support/link.h"

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

Test(peek, waits_for_as_many_bytes_as_it_is_asked_for)
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

Test(peek, asks_the_kernel_again_only_after_an_event)
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
		cr_expect_eq(link.server.failure,
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
	cr_expect_eq(link.server.failure, STREAM_RESET);
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
