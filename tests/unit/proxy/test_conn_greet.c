/*
 * A connection that a proxy brings (see conn_rig.h): its header in whatever
 * pieces it comes, who is refused because of it, and that nothing of it is
 * owed to anybody afterwards.  What a header means is test_proxyproto_in.c's.
 */
#include "proxy/conn_inner.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>

#include "base/pool.h"
#include "conn_rig.h"
#include "proxy/limit.h"
#include "proxy/proxyproto_inner.h"

#define IN "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"

/* A text with its length, zeros inside included. */
#define BYTES(text) (text), sizeof(text) - 1

#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"
#define OTHER_LINE "PROXY TCP4 198.51.100.8 203.0.113.1 4711 443\r\n"
#define PROXY_V2                                                   \
	PP2_SIGNATURE "\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\1" \
		      "\x12\x67\1\xbb"
#define LOCAL_V2 PP2_SIGNATURE "\x20\0\0\0"

static void
init(struct rig *rig, const char *keys)
{
	rig_init(rig, keys);
	cr_assert(addr_parse(&rig->peer, NULL, "192.0.2.99:9", NULL));
}

static void
expect_address(const struct addr *addr, const char *text, const char *what)
{
	char printed[ADDR_TEXT_MAX];

	cr_expect_str_eq(
	    addr_print(addr, printed, sizeof(printed)), text, "%s", what);
}

Test(conn_greet, takes_a_header_byte_by_byte)
{
	static const struct {
		const char *what, *given;
		size_t len;
	} rows[] = {
		{ "version 1", BYTES(LINE) },
		{ "version 2", BYTES(PROXY_V2) },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		init(&rig, IN);
		rig_connect(&rig);
		for (size_t at = 0; at < rows[i].len; at++) {
			cr_assert_eq(rig_conn(&rig)->state, &conn_greeting,
			    "%s: %zu", rows[i].what, at);
			rig_client_sends(&rig, rows[i].given + at, 1);
		}
		cr_expect_eq(rig_conn(&rig)->state, &conn_handshaking);
		cr_expect_eq(pool_in_use(rig.set.pool), 0, "a buffer is kept");
		cr_expect(rig_shake(&rig), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

/* The client's first flight, which it would send by itself. */
static size_t
first_flight(struct rig *rig, char *out, size_t max)
{
	BIO *memory = BIO_new(BIO_s_mem());
	int len;

	SSL_set0_wbio(rig->client, memory);
	cr_assert_leq(SSL_do_handshake(rig->client), 0);
	len = BIO_read(memory, out, (int)max);
	cr_assert_gt(len, 0);
	SSL_set0_wbio(rig->client, BIO_new_socket(rig->client_fd, BIO_NOCLOSE));
	return (size_t)len;
}

Test(conn_greet, hands_on_what_came_behind_the_header)
{
	static const struct {
		const char *what;
		size_t given; /* percents of the ClientHello in one packet */
	} rows[] = {
		{ "all of the ClientHello", 100 },
		{ "half of it", 50 },
		{ "nothing", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;
		char packet[4096] = LINE, *hello = packet + strlen(LINE);
		size_t len, first;

		init(&rig, IN);
		rig_connect(&rig);
		len = first_flight(&rig, hello, 2048);
		first = len * rows[i].given / 100;
		rig_client_sends(&rig, packet, strlen(LINE) + first);
		if (first < len)
			rig_client_sends(&rig, hello + first, len - first);
		cr_expect(rig_shake(&rig), "%s", rows[i].what);
		rig_accept(&rig);
		rig_fini(&rig);
	}
}

Test(conn_greet, passes_bytes_both_ways_and_never_the_header)
{
	struct rig rig;
	char bytes[16];

	init(&rig, IN);
	rig_connect(&rig);
	rig_client_sends(&rig, BYTES(LINE));
	cr_assert(rig_shake(&rig));
	rig_accept(&rig);
	cr_expect_eq(rig_backend_sees(&rig), OPEN);
	rig_client_says(&rig, "question", 8);
	cr_assert_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_arr_eq(bytes, "question", 8);
	rig_backend_says(&rig, "answer", 6);
	cr_assert_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_conn(&rig)->client.bytes_in, 8);
	cr_expect_eq(pool_in_use(rig.set.pool), 0);
	rig_fini(&rig);
}

Test(conn_greet, refuses_whoever_sends_no_good_header)
{
	static char long_line[108] = "PROXY TCP4 ";
	static const struct {
		const char *what, *given;
		size_t len;
		enum conn_reason expect;
		const char *why;
	} rows[] = {
		{ "TLS at once", BYTES("\x16\x03\x01\x02\0\1"), CONN_BAD_PROXY,
		    "sent no PROXY header" },
		{ "HTTP", BYTES("GET / HTTP/1.1\r\n"), CONN_BAD_PROXY,
		    "sent no PROXY header" },
		{ "a line without end", long_line, sizeof(long_line),
		    CONN_BAD_PROXY, "does not end within 107 bytes" },
		{ "version 3", BYTES(PP2_SIGNATURE "\x31\x11\0\x0c"),
		    CONN_BAD_PROXY, "unknown version or command" },
		{ "too long", BYTES(PP2_SIGNATURE "\x21\x11\x0f\xf1"),
		    CONN_BAD_PROXY, "longer than 4096 bytes" },
		{ "nothing", "", 0, CONN_CLIENT_GONE, "client closed" },
		{ "half a header", LINE, 20, CONN_CLIENT_GONE,
		    "client closed" },
		{ "a header and no more", BYTES(LINE), CONN_CLIENT_GONE,
		    "client closed" },
	};

	memset(long_line + 11, '1', sizeof(long_line) - 11);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		init(&rig, IN);
		rig_log(&rig);
		rig_connect(&rig);
		rig_client_sends(&rig, rows[i].given, rows[i].len);
		shutdown(rig.client_fd, SHUT_WR);
		rig_turn(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		cr_expect(rig_logged(&rig, rows[i].why), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

Test(conn_greet, knows_the_address_that_the_header_carries)
{
	static const struct {
		const char *what, *given;
		size_t len;
		const char *peer, *server;
	} rows[] = {
		{ "version 1", BYTES(LINE), "198.51.100.7:4711",
		    "203.0.113.1:443" },
		{ "version 1, IPv6",
		    BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"),
		    "[2001:db8::1]:1", "[2001:db8::2]:2" },
		{ "version 2", BYTES(PROXY_V2), "198.51.100.7:4711",
		    "203.0.113.1:443" },
		{ "LOCAL", BYTES(LOCAL_V2), "192.0.2.99:9", NULL },
		{ "UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), "192.0.2.99:9", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;
		struct conn *conn;

		init(&rig, IN);
		rig_connect(&rig);
		rig_client_sends(&rig, rows[i].given, rows[i].len);
		conn = rig_conn(&rig);
		expect_address(&conn->peer, rows[i].peer, rows[i].what);
		expect_address(
		    &conn->carried->via, "192.0.2.99:9", rows[i].what);
		if (rows[i].server)
			expect_address(&conn->carried->server, rows[i].server,
			    rows[i].what);
		else
			cr_expect_eq(conn->carried->server.len, 0);
		rig_fini(&rig);
	}
}

Test(conn_greet, lets_allow_and_deny_judge_the_client_and_not_who_brings_it)
{
	static const struct {
		const char *what, *keys, *given;
		enum conn_reason expect; /* CONN_REASON_COUNT: let in */
	} rows[] = {
		{ "denied", IN "deny = 198.51.100.7", LINE, CONN_DENIED },
		{ "its neighbour", IN "deny = 198.51.100.7", OTHER_LINE,
		    CONN_REASON_COUNT },
		{ "allowed", IN "allow = 198.51.100.7", LINE,
		    CONN_REASON_COUNT },
		{ "not allowed", IN "allow = 198.51.100.7", OTHER_LINE,
		    CONN_DENIED },
		{ "the bringer denied", IN "deny = 192.0.2.99", LINE,
		    CONN_REASON_COUNT },
		{ "the bringer denied, on its own account",
		    IN "deny = 192.0.2.99", "PROXY UNKNOWN\r\n", CONN_DENIED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		init(&rig, rows[i].keys);
		rig_connect(&rig);
		rig_client_sends(&rig, rows[i].given, strlen(rows[i].given));
		if (rows[i].expect == CONN_REASON_COUNT)
			cr_expect(rig_shake(&rig), "%s", rows[i].what);
		else
			cr_expect(rig_ended(&rig, rows[i].expect), "%s",
			    rows[i].what);
		rig_fini(&rig);
	}
}

/* Another client, as far as its header; its end of the socket. */
static int
bring(struct rig *rig, const char *line)
{
	int fd;

	rig_connect(rig);
	rig_client_sends(rig, line, strlen(line));
	fd = rig->client_fd;
	rig->client_fd = -1;
	rig_close_client(rig);
	return fd;
}

Test(conn_greet, counts_clients_by_the_address_they_are_brought_with)
{
	struct rig rig;
	const uint64_t *full = &rig.set.ended[CONN_FULL_ADDRESS];
	int first, other;

	init(&rig, IN "per_ip_max = 1");
	first = bring(&rig, LINE);
	other = bring(&rig, OTHER_LINE);
	cr_expect_eq(rig.set.count, 2, "two clients of one proxy");
	close(bring(&rig, LINE));
	cr_expect_eq(conn_set_counter(full), 1);
	cr_expect_eq(rig.set.count, 2);
	close(first);
	rig_turn(&rig);
	first = bring(&rig, LINE);
	cr_expect_eq(conn_set_counter(full), 1, "its place is free again");
	cr_expect_eq(rig.set.count, 2);
	close(first);
	close(other);
	rig_fini(&rig);
}

Test(conn_greet, gives_every_slot_back_however_it_ends)
{
	static const char *const rows[] = { "", "no header", LINE, OTHER_LINE,
		"PROXY TCP4 198.51", "PROXY UNKNOWN\r\n" };
	struct rig rig;

	init(&rig, IN "max_connections = 1\nmax_handshakes = 1\n"
		      "per_ip_max = 1\ndeny = 198.51.100.8");
	for (size_t i = 0; i < 3 * ARRAY_LEN(rows); i++) {
		/* Asserts that both slots are free. */
		close(bring(&rig, rows[i % ARRAY_LEN(rows)]));
		rig_turn(&rig);
		cr_expect_eq(rig.set.count, 0);
		cr_expect_eq(limit_connections(rig.limit), 0);
	}
	cr_expect_eq(conn_set_counter(&rig.set.ended[CONN_DENIED]), 3);
	cr_expect_eq(conn_set_counter(&rig.set.ended[CONN_FULL_ADDRESS]), 0);
	rig_fini(&rig);
}

Test(conn_greet, ends_when_its_time_is_over)
{
	static const struct {
		const char *what, *given;
		enum conn_reason expect;
		const char *why;
	} rows[] = {
		{ "no header", "", CONN_BAD_PROXY, "came in time" },
		{ "half a header", "PROXY TCP4", CONN_BAD_PROXY,
		    "came in time" },
		{ "no handshake", LINE, CONN_HANDSHAKE_TIMEOUT,
		    "handshake took too long" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		init(&rig, IN "timeout_handshake = 100ms");
		rig_log(&rig);
		rig_connect(&rig);
		rig_client_sends(&rig, rows[i].given, strlen(rows[i].given));
		rig_wait(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		cr_expect(rig_logged(&rig, rows[i].why), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

Test(conn_greet, leaves_the_handshake_what_the_header_left_of_its_time)
{
	struct rig rig;
	struct conn *conn;
	int64_t since_ms;

	init(&rig, IN);
	rig_connect(&rig);
	conn = rig_conn(&rig);
	conn->since_ms -= 5000; /* so long ago it came */
	since_ms = conn->since_ms;
	rig_client_sends(&rig, BYTES(LINE));
	cr_expect_eq(conn->state, &conn_handshaking);
	cr_expect_eq(conn->since_ms, since_ms);
	rig_fini(&rig);
}
