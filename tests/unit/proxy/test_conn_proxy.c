/*
 * PROXY headers of a connection (see conn_rig.h).  Received: in pieces of any
 * size, the clients refused because of one, and that every slot is released.
 * Sent: one header, first, whatever else happens, and the facts in it.  The
 * format of headers is tested in test_proxyproto.c.
 */
#include "proxy/conn_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "conn_rig.h"
#include "proxy/limit.h"
#include "proxy/stats.h"
#include "tests/unit/proxy/port.h"

#define IN "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"

/* ---- received ---- */

/* A text with its length, zeros inside included. */
#define BYTES(text) (text), sizeof(text) - 1

#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"
#define OTHER_LINE "PROXY TCP4 198.51.100.8 203.0.113.1 4711 443\r\n"
#define PROXY_V2                                                  \
	V2_SIGNATURE "\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\1" \
		     "\x12\x67\1\xbb"
#define LOCAL_V2 V2_SIGNATURE "\x20\0\0\0"

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

Test(proxy_header, takes_a_header_byte_by_byte)
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
			cr_assert_str_eq(rig_conn(&rig)->state->name,
			    "proxy_header", "%s: %zu", rows[i].what, at);
			rig_client_sends(&rig, rows[i].given + at, 1);
		}
		cr_expect_str_eq(rig_conn(&rig)->state->name, "handshake");
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

Test(proxy_header, leaves_the_bytes_behind_it_to_tls)
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

Test(proxy_header, is_not_passed_to_the_backend)
{
	struct rig rig;
	char bytes[16];

	init(&rig, IN);
	rig_connect(&rig);
	rig_client_sends(&rig, BYTES(LINE));
	cr_assert(rig_shake(&rig));
	rig_accept(&rig);
	cr_expect_eq(rig_backend_end(&rig), OPEN);
	rig_client_writes(&rig, "question", 8);
	cr_assert_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_arr_eq(bytes, "question", 8);
	rig_backend_writes(&rig, "answer", 6);
	cr_assert_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_conn(&rig)->client.bytes_in, 8);
	cr_expect_eq(pool_in_use(rig.set.pool), 0);
	rig_fini(&rig);
}

Test(proxy_header, is_required_and_must_be_valid)
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
		{ "version 3", BYTES(V2_SIGNATURE "\x31\x11\0\x0c"),
		    CONN_BAD_PROXY, "unknown version or command" },
		{ "too long", BYTES(V2_SIGNATURE "\x21\x11\x0f\xf1"),
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

Test(proxy_header, has_the_address_of_the_client)
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
		    &conn->proxy_info->via, "192.0.2.99:9", rows[i].what);
		if (rows[i].server)
			expect_address(&conn->proxy_info->server,
			    rows[i].server, rows[i].what);
		else
			cr_expect_eq(conn->proxy_info->server.len, 0);
		rig_fini(&rig);
	}
}

Test(proxy_header, lets_allow_and_deny_match_the_client_and_not_the_sender)
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
		{ "the sender denied", IN "deny = 192.0.2.99", LINE,
		    CONN_REASON_COUNT },
		{ "the sender denied, without a client", IN "deny = 192.0.2.99",
		    "PROXY UNKNOWN\r\n", CONN_DENIED },
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

/* One more client that has sent this; returns its end of the socket. */
static int
connect_with(struct rig *rig, const char *line)
{
	int fd;

	rig_connect(rig);
	rig_client_sends(rig, line, strlen(line));
	fd = rig->client_fd;
	rig->client_fd = -1;
	rig_close_client(rig);
	return fd;
}

Test(proxy_header, counts_clients_by_their_own_address)
{
	struct rig rig;
	const uint64_t *full;
	int first, other;

	init(&rig, IN "per_ip_max = 1");
	full = &rig_counts(&rig)->ended[CONN_FULL_ADDRESS];
	first = connect_with(&rig, LINE);
	other = connect_with(&rig, OTHER_LINE);
	cr_expect_eq(rig.set.count, 2, "two clients of one proxy");
	close(connect_with(&rig, LINE));
	cr_expect_eq(conn_set_counter(full), 1);
	cr_expect_eq(rig.set.count, 2);
	close(first);
	rig_turn(&rig);
	first = connect_with(&rig, LINE);
	cr_expect_eq(conn_set_counter(full), 1, "its slot is free again");
	cr_expect_eq(rig.set.count, 2);
	close(first);
	close(other);
	rig_fini(&rig);
}

Test(proxy_header, releases_every_slot_however_it_ends)
{
	static const char *const rows[] = { "", "no header", LINE, OTHER_LINE,
		"PROXY TCP4 198.51", "PROXY UNKNOWN\r\n" };
	struct rig rig;

	init(&rig, IN "max_connections = 1\nmax_handshakes = 1\n"
		      "per_ip_max = 1\ndeny = 198.51.100.8");
	for (size_t i = 0; i < 3 * ARRAY_LEN(rows); i++) {
		/* Asserts that both slots are free. */
		close(connect_with(&rig, rows[i % ARRAY_LEN(rows)]));
		rig_turn(&rig);
		cr_expect_eq(rig.set.count, 0);
		cr_expect_eq(limit_connections(rig.limit), 0);
	}
	cr_expect_eq(
	    conn_set_counter(&rig_counts(&rig)->ended[CONN_DENIED]), 3);
	cr_expect_eq(
	    conn_set_counter(&rig_counts(&rig)->ended[CONN_FULL_ADDRESS]), 0);
	rig_fini(&rig);
}

Test(proxy_header, has_a_deadline)
{
	static const struct {
		const char *what, *given;
		enum conn_reason expect;
		const char *why;
	} rows[] = {
		{ "no header", "", CONN_BAD_PROXY, "PROXY header in time" },
		{ "half a header", "PROXY TCP4", CONN_BAD_PROXY,
		    "PROXY header in time" },
		{ "no handshake", LINE, CONN_HANDSHAKE_TIMEOUT,
		    "handshake timed out" },
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

Test(proxy_header, shares_its_deadline_with_the_handshake)
{
	struct rig rig;
	struct conn *conn;
	int64_t since_ms;

	init(&rig, IN);
	rig_connect(&rig);
	conn = rig_conn(&rig);
	conn->since_ms -= 5000; /* accepted so long ago */
	since_ms = conn->since_ms;
	rig_client_sends(&rig, BYTES(LINE));
	cr_expect_str_eq(conn->state->name, "handshake");
	cr_expect_eq(conn->since_ms, since_ms);
	rig_fini(&rig);
}

/* ---- sent ---- */

/* What a backend received, header and all. */
struct received {
	uint8_t bytes[16 * 1024];
	size_t len;
	struct proxyproto_header header;
	size_t header_len;
};

static void
receive(struct rig *rig, struct received *received)
{
	received->len = rig_backend_reads(
	    rig, received->bytes, sizeof(received->bytes));
	cr_assert_eq(proxyproto_parse(received->bytes, received->len,
			 &received->header, &received->header_len),
	    PROXYPROTO_DONE, "no header at first");
}

static void
expect_behind(
    const struct received *received, const char *text, const char *what)
{
	size_t len = strlen(text);

	cr_expect(
	    received->len - received->header_len == len &&
		memcmp(received->bytes + received->header_len, text, len) == 0,
	    "%s: what follows is \"%.*s\"", what,
	    (int)(received->len - received->header_len),
	    (const char *)received->bytes + received->header_len);
}

/* Are these bytes in the header? */
static bool
contains(const struct received *received, const void *bytes, size_t len)
{
	return memmem(received->bytes, received->header_len, bytes, len) !=
	       NULL;
}

/* ---- sent before everything else ---- */

static void
send_nothing(struct rig *rig)
{
	rig_open(rig);
}

/* The request leaves with the client's Finished. */
static void
send_at_once(struct rig *rig)
{
	rig_connect(rig);
	(void)SSL_do_handshake(rig->client);
	rig_turn(rig);
	cr_assert_eq(SSL_do_handshake(rig->client), 1, "not TLS 1.3");
	cr_assert_eq(SSL_write(rig->client, "question", 8), 8);
	rig_turn(rig);
	rig_accept(rig);
}

static void
send_and_end(struct rig *rig)
{
	rig_connect(rig);
	(void)SSL_do_handshake(rig->client);
	rig_turn(rig);
	cr_assert_eq(SSL_do_handshake(rig->client), 1, "not TLS 1.3");
	cr_assert_eq(SSL_write(rig->client, "question", 8), 8);
	SSL_shutdown(rig->client);
	rig_turn(rig);
	rig_accept(rig);
}

static void
receive_first(struct rig *rig)
{
	rig_open(rig);
	rig_backend_writes(rig, "220 ready", 9);
	rig_client_writes(rig, "question", 8);
}

Test(proxy_header_out, is_the_first_a_backend_receives)
{
	static const struct {
		const char *what;
		void (*given)(struct rig *rig);
		const char *expect; /* behind it */
	} rows[] = {
		{ "a client that sends nothing", send_nothing, "" },
		{ "a client that sends at once", send_at_once, "question" },
		{ "a client that sends and ends", send_and_end, "question" },
		{ "a backend that sends first", receive_first, "question" },
	};
	static const char *const keys[] = { "proxy_out = v1",
		"proxy_out = v2" };
	struct received received;

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, keys[i % 2]);
		rows[i / 2].given(&rig);
		receive(&rig, &received);
		expect_behind(&received, rows[i / 2].expect, rows[i / 2].what);
		rig_fini(&rig);
	}
}

Test(proxy_header_out, goes_to_the_backend_that_accepts_at_last)
{
	uint16_t full_port, port;
	int full = port_bind(&full_port), fd = port_bind(&port);
	struct received received;
	struct rig rig;
	char keys[160];

	port_fill(full, full_port);
	cr_assert_eq(listen(fd, 1), 0);
	snprintf(keys, sizeof(keys),
	    "connect = 127.0.0.1:%u\nconnect = 127.0.0.1:%u\n"
	    "timeout_connect = 100ms\nproxy_out = v2",
	    full_port, port);
	rig_init(&rig, keys);
	rig_refuse(&rig);
	rig_connect(&rig);
	cr_assert(rig_shake(&rig));
	cr_assert_eq(SSL_write(rig.client, "question", 8), 8);
	for (int i = 0; i < 100 && !rig_conn(&rig)->connected; i++)
		ev_run(rig.loop, EVRUN_ONCE);
	rig.listening_fd = fd;
	rig_accept(&rig);
	rig_turn(&rig);
	receive(&rig, &received);
	expect_behind(&received, "question", "two backends later");
	cr_expect_eq(conn_set_counter(&rig_counts(&rig)->ended[CONN_DONE]), 0);
	close(full);
	rig_fini(&rig);
}

Test(proxy_header_out, is_not_sent_unless_configured)
{
	struct rig rig;
	char bytes[64];

	rig_init(&rig, "proxy_out = off");
	rig_open(&rig);
	rig_client_writes(&rig, "question", 8);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 8);
	rig_fini(&rig);
}

Test(proxy_header_out, is_not_counted)
{
	struct rig rig;
	struct received received;

	rig_init(&rig, "proxy_out = v2");
	rig_open(&rig);
	rig_client_writes(&rig, "question", 8);
	receive(&rig, &received);
	cr_expect_eq(rig_conn(&rig)->client.bytes_in, 8);
	cr_expect_eq(rig_conn(&rig)->client.bytes_out, 0);
	rig_fini(&rig);
}

/* ---- its contents ---- */

static void
write_authority(const struct pki_folder *folder, const struct pki *ca)
{
	char *pem = pki_certificate_pem(ca);

	free(pki_write(folder, "ca.pem", pem));
	free(pem);
}

/* A client with the certificate "alice", for a.example and h2. */
static void
open_as_alice(struct rig *rig, const char *keys, struct pki *alice)
{
	static const uint8_t h2[] = "\2h2";
	char name[] = "a.example";
	struct pki ca = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	struct pki_folder folder;

	*alice = pki_make(&(struct pki_wish){ .name = "alice", .issuer = &ca });
	pki_folder_make(&folder);
	write_authority(&folder, &ca);
	rig_init_in(rig, &folder, keys);
	SSL_CTX_use_certificate(rig->client_context, alice->certificate);
	SSL_CTX_use_PrivateKey(rig->client_context, alice->key);
	rig_connect(rig);
	SSL_set_tlsext_host_name(rig->client, name);
	SSL_set_alpn_protos(rig->client, h2, sizeof(h2) - 1);
	cr_assert(rig_shake(rig));
	rig_accept(rig);
	pki_drop(&ca);
}

Test(proxy_header_out, has_the_facts_of_proxy_tlv)
{
	static const struct {
		const char *what, *tlv, *text;
		bool expect;
	} rows[] = {
		{ "the name", "authority", "a.example", true },
		{ "no name", "alpn", "a.example", false },
		{ "the protocol", "alpn", "\2h2", true },
		{ "no protocol", "authority", "h2", false },
		{ "the version", "ssl", "TLSv1.3", true },
		{ "no version", "authority", "TLSv1.3", false },
		{ "the cipher", "ssl", "TLS_AES_", true },
		{ "our key", "ssl", "EC256", true },
		{ "our signature", "ssl", "ecdsa-with-SHA256", true },
		{ "the client", "cn", "alice", true },
		{ "no client", "ssl", "alice", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct received received;
		struct pki alice;
		struct rig rig;
		char keys[160];

		snprintf(keys, sizeof(keys),
		    "proxy_out = v2\nproxy_tlv = %s\nalpn = h2\n"
		    "verify = require\nca_file = ca.pem",
		    rows[i].tlv);
		open_as_alice(&rig, keys, &alice);
		receive(&rig, &received);
		cr_expect_eq(
		    contains(&received, rows[i].text, strlen(rows[i].text)),
		    rows[i].expect, "%s", rows[i].what);
		pki_drop(&alice);
		rig_fini(&rig);
	}
}

Test(proxy_header_out, has_the_certificate_of_a_client_if_configured)
{
	static const struct {
		const char *what, *keys;
		bool expect;
	} rows[] = {
		{ "configured", "proxy_tlv = cert", true },
		{ "not configured", "proxy_tlv = ssl, cn", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct received received;
		struct pki alice;
		struct rig rig;
		uint8_t *der = NULL;
		char keys[160];
		int len;

		snprintf(keys, sizeof(keys),
		    "proxy_out = v2\nalpn = h2\nverify = require\n"
		    "ca_file = ca.pem\n%s",
		    rows[i].keys);
		open_as_alice(&rig, keys, &alice);
		receive(&rig, &received);
		len = i2d_X509(alice.certificate, &der);
		cr_expect_eq(contains(&received, der, (size_t)len),
		    rows[i].expect, "%s", rows[i].what);
		OPENSSL_free(der);
		pki_drop(&alice);
		rig_fini(&rig);
	}
}

/* ---- received and sent ---- */

/* The same as version 2, with an id. */
#define NAMED                                                     \
	V2_SIGNATURE "\x21\x11\0\x11\xc6\x33\x64\x07\xcb\0\x71\1" \
		     "\x12\x67\1\xbb\5\0\2id"

static void
open_with(struct rig *rig, const void *header, size_t len)
{
	rig_connect(rig);
	rig_client_sends(rig, header, len);
	cr_assert(rig_shake(rig));
	rig_accept(rig);
}

Test(proxy_header_out, passes_on_the_addresses_received)
{
	static const struct {
		const char *what, *keys, *given;
		size_t len;
		bool local; /* no address received */
	} rows[] = {
		{ "1 to 1", IN "proxy_out = v1", BYTES(LINE), false },
		{ "1 to 2", IN "proxy_out = v2", BYTES(LINE), false },
		{ "2 to 1", IN "proxy_out = v1", BYTES(NAMED), false },
		{ "2 to 2", IN "proxy_out = v2", BYTES(NAMED), false },
		{ "unknown to 1", IN "proxy_out = v1",
		    BYTES("PROXY UNKNOWN\r\n"), true },
		{ "unknown to 2", IN "proxy_out = v2",
		    BYTES("PROXY UNKNOWN\r\n"), true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct received received;
		struct rig rig;

		rig_init(&rig, rows[i].keys);
		open_with(&rig, rows[i].given, rows[i].len);
		receive(&rig, &received);
		cr_expect_eq(
		    received.header.local, rows[i].local, "%s", rows[i].what);
		if (!rows[i].local) {
			expect_address(&received.header.client,
			    "198.51.100.7:4711", rows[i].what);
			expect_address(&received.header.server,
			    "203.0.113.1:443", rows[i].what);
		}
		rig_fini(&rig);
	}
}

Test(proxy_header_out, passes_on_the_id_received)
{
	struct received received;
	struct rig rig;

	rig_init(&rig, IN "proxy_out = v2\nproxy_tlv = unique_id");
	open_with(&rig, BYTES(NAMED));
	receive(&rig, &received);
	cr_assert_eq(received.header.unique_len, 2);
	cr_expect_arr_eq(received.header.unique, "id", 2);
	rig_fini(&rig);
}

Test(proxy_header_out, makes_an_id_if_none_was_received)
{
	static struct received received[2];

	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		const uint8_t *unique = received[i].header.unique;

		rig_init(&rig, IN "proxy_out = v2\nproxy_tlv = unique_id");
		open_with(&rig, BYTES(LINE));
		receive(&rig, &received[i]);
		cr_assert_eq(received[i].header.unique_len, 32);
		cr_expect_eq(
		    strspn((const char *)unique, "0123456789abcdef"), 32);
		rig_fini(&rig);
	}
	cr_expect_arr_neq(
	    received[0].header.unique, received[1].header.unique, 32);
}
