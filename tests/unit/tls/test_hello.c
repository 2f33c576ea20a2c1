/*
 * Hostile and unusual ClientHellos: which alert each gets, byte by byte, and
 * that the two of a HelloRetryRequest must ask for the same name.
 */
#include "tls/hello.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/hello.h"
#include "tests/support/link.h"

enum { SERVED = -1 };

static struct config_listener listener, hosts[2];
static struct ticket_keys *keys;

static void
set_up(void)
{
	listener = link_config();
	hosts[0] = hosts[1] = listener;
	hosts[0].pattern = "a.example";
	hosts[1].pattern = "*.example";
	listener.hosts = hosts;
	listener.host_count = 2;
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down(void)
{
	ticket_keys_unref(keys);
}

TestSuite(hello, .init = set_up, .fini = tear_down);

/* The alert that answers these bytes, or SERVED. */
static int
answer(struct tls_server *server, const uint8_t *bytes, size_t len)
{
	uint8_t heard[8192];
	struct link link;
	ssize_t n;

	link_open_tls(&link, LINK_STREAM, server);
	cr_assert_eq(send(link.peer, bytes, len, 0), (ssize_t)len);
	(void)stream_handshake(&link.server);
	n = recv(link.peer, heard, sizeof(heard), 0);
	cr_assert_geq(n, 7, "an answer");
	link_close(&link);
	/* RFC 5246 section 6.2.1: record of type alert; level, description */
	return heard[0] == SSL3_RT_ALERT ? heard[6] : SERVED;
}

static const struct row {
	const char *what;
	const char *sni; /* NULL: none */
	size_t len;
	int by_default, by_reject;
} rows[] = {
	{ "no name", NULL, 0, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "a host",
	    "\0\x0c\0\0\x09"
	    "a.example",
	    14, SERVED, SERVED },
	{ "in upper case",
	    "\0\x0c\0\0\x09"
	    "A.EXAMPLE",
	    14, SERVED, SERVED },
	{ "with a trailing dot",
	    "\0\x0d\0\0\x0a"
	    "a.example.",
	    15, SERVED, SERVED },
	{ "by wildcard",
	    "\0\x0c\0\0\x09"
	    "b.example",
	    14, SERVED, SERVED },
	{ "a wildcard itself",
	    "\0\x0c\0\0\x09"
	    "*.example",
	    14, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "unknown",
	    "\0\x07\0\0\x04"
	    "x.yz",
	    9, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "an address",
	    "\0\x0c\0\0\x09"
	    "192.0.2.1",
	    14, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "a NUL in it",
	    "\0\x0c\0\0\x09"
	    "a.exa\0ple",
	    14, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ "an empty extension", "", 0, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "an empty list", "\0\0", 2, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "an empty name", "\0\x03\0\0\0", 5, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "another type of name", "\0\x04\x01\0\x01x", 6, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "a type and no more", "\0\x01\0", 3, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "two names", "\0\x08\0\0\x01x\0\0\x01y", 10, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "a list longer than it is", "\0\x09\0\0\x04x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a list shorter than it is", "\0\x06\0\0\x04x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a name longer than it is", "\0\x07\0\0\x05x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a name shorter than it is", "\0\x07\0\0\x03x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "half a length", "\0", 1, SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
};

static void
walk(enum config_sni_unknown unknown)
{
	uint8_t bytes[HELLO_MAX];
	struct tls_server *server;

	listener.sni_unknown = unknown;
	server = link_server(&listener, PKI_P256, keys);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hello_make(bytes, rows[i].sni, rows[i].len);

		cr_expect_eq(answer(server, bytes, len),
		    unknown == SNI_REJECT ? rows[i].by_reject
					  : rows[i].by_default,
		    "%s", rows[i].what);
	}
	tls_server_unref(server);
}

Test(hello, gets_the_listener_for_an_unknown_name)
{
	walk(SNI_DEFAULT);
}

Test(hello, gets_an_alert_for_an_unknown_name)
{
	walk(SNI_REJECT);
}

static const struct {
	size_t label; /* before ".example" */
	int by_default, by_reject;
} lengths[] = {
	{ 63, SERVED, SERVED },
	{ 64, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ 247, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	/* RFC 1035 section 2.3.4: no name is longer than 255 bytes. */
	{ 248, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ 255, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ 1000, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
};

static void
walk_lengths(enum config_sni_unknown unknown)
{
	uint8_t sni[HELLO_MAX], bytes[HELLO_MAX];
	struct tls_server *server;
	char name[1024];
	size_t len;

	listener.sni_unknown = unknown;
	server = link_server(&listener, PKI_P256, keys);
	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		memcpy(name + lengths[i].label, ".example", 8);
		len = hello_sni(sni, name, lengths[i].label + 8);
		len = hello_make(bytes, sni, len);
		cr_expect_eq(answer(server, bytes, len),
		    unknown == SNI_REJECT ? lengths[i].by_reject
					  : lengths[i].by_default,
		    "%zu bytes", lengths[i].label);
		memset(name, 'x', sizeof(name));
	}
	tls_server_unref(server);
}

Test(hello, bears_names_of_any_length)
{
	walk_lengths(SNI_DEFAULT);
	walk_lengths(SNI_REJECT);
}

/* A client whose first ClientHello offers no group the server takes. */
static enum io
say_hello_twice(struct tls_server *server, char *first, char *second)
{
	char groups[] = "X25519:P-384";
	struct link link;
	enum io io;

	link_open_tls(&link, LINK_STREAM, server);
	cr_assert(SSL_set1_groups_list(link.client, groups));
	cr_assert(SSL_set_tlsext_host_name(link.client, first));
	cr_assert_neq(SSL_do_handshake(link.client), 1);
	link_push(&link);
	cr_assert_eq(stream_handshake(&link.server), IO_WANT_READ);
	link_feed(&link);
	cr_assert(SSL_set_tlsext_host_name(link.client, second));
	io = link_handshake(&link, NULL);
	if (io == IO_DONE)
		cr_expect_eq(SSL_get_negotiated_group(link.server.ssl),
		    NID_secp384r1, "there was a second one");
	link_close(&link);
	return io;
}

Test(hello, may_come_twice_but_not_with_another_name)
{
	static char a[] = "a.example", b[] = "b.example", c[] = "c.example";
	struct tls_server *server;

	listener.groups = hosts[0].groups = hosts[1].groups = "P-384";
	server = link_server(&listener, PKI_P256, keys);
	cr_expect_eq(say_hello_twice(server, a, a), IO_DONE);
	cr_expect_eq(say_hello_twice(server, a, b), IO_FAILED);
	cr_expect_eq(say_hello_twice(server, b, c), IO_DONE, "one site");
	tls_server_unref(server);
}
