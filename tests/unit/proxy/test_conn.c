/*
 * One connection from its beginning to each of its ends, with a real TLS
 * client and a real backend (see conn_rig.h); the site that the client's name
 * selects; and the log lines.
 */
#include "proxy/conn_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "conn_rig.h"
#include "proxy/limit.h"
#include "proxy/stats.h"
#include "tests/unit/proxy/port.h"

/* On Unix sockets a reset is what a peer gets that left bytes unread. */
static void
reset_backend(struct rig *rig)
{
	rig_client_writes(rig, "unread", 6);
	rig_close_backend(rig);
	rig_turn(rig);
}

Test(conn, passes_bytes_both_ways)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_writes(&rig, "question", 8);
	cr_assert_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_arr_eq(bytes, "question", 8);
	rig_backend_writes(&rig, "answer", 6);
	cr_assert_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_arr_eq(bytes, "answer", 6);
	cr_expect_eq(rig_client_end(&rig), OPEN);
	cr_expect_eq(rig_backend_end(&rig), OPEN);
	/* Counted while the connection is open. */
	cr_expect_eq(rig_counts(&rig)->staples[STATS_STAPLE_NOT_ASKED], 1);
	cr_expect_eq(rig_counts(&rig)->bytes_in, 8);
	cr_expect_eq(rig_counts(&rig)->bytes_out, 6);
	rig_fini(&rig);
}

Test(conn, carries_more_than_all_its_buffers)
{
	enum { CHUNK = 50000, CHUNKS = 60 };
	static uint8_t sent[CHUNK], got[CHUNK];
	struct rig rig;
	size_t wrong = 0;

	rig_init(&rig, "");
	rig_open(&rig);
	for (int i = 0; i < CHUNKS; i++) {
		for (size_t j = 0; j < CHUNK; j++)
			sent[j] = (uint8_t)(j * 13 + j / 251 + (size_t)i);
		rig_backend_writes(&rig, sent, CHUNK);
		cr_assert_eq(rig_client_reads(&rig, got, CHUNK), CHUNK);
		wrong += memcmp(sent, got, CHUNK) != 0;
		rig_client_writes(&rig, sent, CHUNK);
		cr_assert_eq(rig_backend_reads(&rig, got, CHUNK), CHUNK);
		wrong += memcmp(sent, got, CHUNK) != 0;
	}
	cr_expect_eq(wrong, 0);
	rig_fini(&rig);
}

Test(conn, lets_a_client_that_ended_have_its_answer)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_writes(&rig, "question", 8);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_eq(rig_backend_end(&rig), ENDED_CLEANLY);
	rig_backend_writes(&rig, "answer", 6);
	rig_close_backend(&rig);
	rig_turn(&rig);
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_client_end(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, lets_a_client_go_on_after_the_backend_ended)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_backend_writes(&rig, "first", 5);
	shutdown(rig.backend_fd, SHUT_WR);
	rig_turn(&rig);
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 5);
	cr_expect_eq(rig_client_end(&rig), ENDED_CLEANLY);
	rig_client_writes(&rig, "second", 6);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_backend_end(&rig), OPEN);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_end(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, waits_for_no_end_with_timeout_close_0)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "timeout_close = 0");
	rig_open(&rig);
	rig_backend_writes(&rig, "answer", 6);
	rig_close_backend(&rig);
	rig_turn(&rig);
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_client_end(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, records_a_client_that_ended_without_close_notify)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_writes(&rig, "half a sent", 11);
	shutdown(rig.client_fd, SHUT_WR);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 11);
	cr_expect_eq(rig_backend_end(&rig), ENDED_CLEANLY);
	rig_close_backend(&rig);
	rig_turn(&rig);
	cr_expect(rig_ended(&rig, CONN_TRUNCATED));
	rig_fini(&rig);
}

Test(conn, never_turns_a_backend_reset_into_a_clean_end)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_backend_writes(&rig, "half", 4);
	reset_backend(&rig);
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 4,
	    "the bytes before the reset");
	cr_expect_eq(rig_client_end(&rig), CUT);
	cr_expect(rig_ended(&rig, CONN_BACKEND_RESET));
	rig_fini(&rig);
}

Test(conn, delivers_an_answer_that_refuses_an_upload)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_writes(&rig, "part 1", 6);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 6);
	/* Both happen between two turns: the answer and more upload. */
	cr_assert_eq(send(rig.backend_fd, "no", 2, 0), 2);
	rig_close_backend(&rig);
	rig_client_writes(&rig, "part 2", 6);
	rig_client_writes(&rig, "part 3", 6);
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 2);
	cr_expect_eq(rig_client_end(&rig), ENDED_CLEANLY);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, closes_the_client_when_no_backend_accepts)
{
	struct rig rig;

	rig_init(&rig, "");
	rig_refuse(&rig);
	rig_connect(&rig);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(rig.client);
		rig_turn(&rig);
	}
	cr_expect_eq(rig_client_end(&rig), CUT);
	cr_expect(rig_ended(&rig, CONN_BACKEND_REFUSED));
	rig_fini(&rig);
}

/* A TCP port: its connect is never decided at once. */
static int
open_port(char *keys, size_t max)
{
	uint16_t port;
	int fd = port_bind(&port);

	snprintf(keys, max, "connect = 127.0.0.1:%u", port);
	return fd;
}

Test(conn, goes_on_to_the_next_backend)
{
	struct rig rig;
	char keys[64], bytes[16];
	int fd = open_port(keys, sizeof(keys));

	cr_assert_eq(listen(fd, 1), 0);
	rig_init(&rig, keys);
	rig_refuse(&rig);
	rig.listening_fd = fd;
	rig_open(&rig);
	rig_client_writes(&rig, "question", 8);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 8);
	rig_fini(&rig);
}

Test(conn, gives_up_when_the_last_backend_refuses)
{
	struct rig rig;
	char keys[64];
	int fd = open_port(keys, sizeof(keys)); /* bound, not listening */

	rig_init(&rig, keys);
	rig_refuse(&rig);
	rig_connect(&rig);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(rig.client);
		rig_turn(&rig);
	}
	cr_expect(rig_ended(&rig, CONN_BACKEND_REFUSED));
	close(fd);
	rig_fini(&rig);
}

Test(conn, gives_the_reason_of_a_failure_before_the_handshake)
{
	static const struct {
		const char *what;
		const char *given; /* the first bytes */
		enum conn_reason expect;
	} rows[] = {
		{ "plain HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		    CONN_NOT_TLS },
		{ "no byte at all", "", CONN_CLIENT_GONE },
		{ "half a record", "\x16\x03\x01\x02", CONN_CLIENT_GONE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig rig;
		size_t len = strlen(rows[i].given);

		rig_init(&rig, "");
		rig_connect(&rig);
		cr_assert_eq(
		    send(rig.client_fd, rows[i].given, len, 0), (ssize_t)len);
		shutdown(rig.client_fd, SHUT_WR);
		rig_turn(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

/* How far the connection gets before the client sends nothing more. */
enum stage { SILENT, OPENED, BACKEND_ENDED };

Test(conn, ends_when_its_time_is_over)
{
	static const struct {
		const char *what;
		enum stage given;
		const char *keys;
		enum conn_reason expect;
	} rows[] = {
		{ "no handshake", SILENT, "timeout_handshake = 100ms",
		    CONN_HANDSHAKE_TIMEOUT },
		{ "no bytes either way", OPENED, "timeout_idle = 100ms",
		    CONN_IDLE_TIMEOUT },
		{ "the client does not end", BACKEND_ENDED,
		    "timeout_close = 100ms", CONN_CLOSE_TIMEOUT },
		{ "a short life", OPENED, "max_lifetime = 1s", CONN_LIFETIME },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig rig;

		rig_init(&rig, rows[i].keys);
		if (rows[i].given == SILENT)
			rig_connect(&rig);
		else
			rig_open(&rig);
		if (rows[i].given == BACKEND_ENDED)
			rig_close_backend(&rig);
		rig_wait(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

Test(conn, sends_a_deferred_ticket_without_a_response)
{
	struct rig rig;
	char byte;

	rig_init(&rig, "");
	SSL_CTX_set_min_proto_version(rig.client_context, TLS1_3_VERSION);
	rig_open(&rig);
	for (int i = 0; i < 100 && !list_is_empty(&rig.set.deferred); i++)
		ev_run(rig.loop, EVRUN_ONCE);
	cr_expect(list_is_empty(&rig.set.deferred));
	cr_expect_eq(recv(rig.client_fd, &byte, 1, MSG_PEEK), 1);
	rig_fini(&rig);
}

Test(conn, defers_no_ticket_once_a_response_was_sent)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	SSL_CTX_set_min_proto_version(rig.client_context, TLS1_3_VERSION);
	rig_open(&rig);
	rig_backend_writes(&rig, "hello", 5);
	cr_expect(list_is_empty(&rig.set.deferred));
	cr_expect_eq(rig_client_reads(&rig, bytes, sizeof(bytes)), 5);
	rig_fini(&rig);
}

Test(conn, owns_no_buffer_while_it_idles)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_writes(&rig, "ping", 4);
	cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)), 4);
	rig_backend_writes(&rig, "pong", 4);
	cr_expect_eq(pool_in_use(rig.set.pool), 0);
	rig_fini(&rig);
}

Test(conn, gives_every_slot_back)
{
	struct rig rig;

	rig_init(&rig, "max_handshakes = 1\nmax_connections = 1");
	for (int i = 0; i < 3; i++) {
		rig_open(&rig); /* asserts that a slot is free */
		rig_close_client(&rig);
		rig_close_backend(&rig);
		rig_turn(&rig);
		cr_expect(rig.set.room);
	}
	cr_expect_eq(limit_connections(rig.limit), 0);
	rig_fini(&rig);
}

Test(conn, ends_all_at_once)
{
	struct rig rig;

	rig_init(&rig, "");
	rig_open(&rig);
	conn_set_close_all(&rig.set, CONN_DRAINED);
	cr_expect_eq(rig_client_end(&rig), CUT);
	cr_expect(rig_ended(&rig, CONN_DRAINED));
	rig_fini(&rig);
}

Test(conn_watch, sets_keepalive_on_the_backend_after_that_time)
{
	struct rig rig;
	struct conn *conn;
	socklen_t len = sizeof(int);
	int probed = -1;

	rig_init(&rig, "keepalive = 1s");
	rig_open(&rig);
	conn = container_of(rig.set.all.next, struct conn, all);
	getsockopt(conn->backend.fd, SOL_SOCKET, SO_KEEPALIVE, &probed, &len);
	cr_expect_eq(probed, 0, "a short connection saves the call");
	for (int i = 0; i < 100 && !conn->kept_alive; i++)
		ev_run(rig.loop, EVRUN_ONCE);
	getsockopt(conn->backend.fd, SOL_SOCKET, SO_KEEPALIVE, &probed, &len);
	cr_expect_eq(probed, 1);
	rig_fini(&rig);
}

/* ---- the site of a name ---- */

#define HOST "[host web a.example]\n"

/* A client with this server name (NULL: none) completes its handshake. */
static void
connect_to(struct rig *rig, const char *name)
{
	char own[64];

	rig_connect(rig);
	snprintf(own, sizeof(own), "%s", name ? name : "");
	if (name)
		SSL_set_tlsext_host_name(rig->client, own);
	cr_assert(rig_shake(rig));
}

Test(conn_host, has_a_backend_of_its_own)
{
	static const struct {
		const char *what, *given;
		bool own;
	} rows[] = {
		{ "the name", "a.example", true },
		{ "the name in capitals", "A.EXAMPLE", true },
		{ "another name", "b.example", false },
		{ "no name", NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint16_t port;
		int fd = port_bind(&port);
		struct rig rig;
		char keys[96];

		cr_assert_eq(listen(fd, 1), 0);
		snprintf(
		    keys, sizeof(keys), HOST "connect = 127.0.0.1:%u\n", port);
		rig_init(&rig, keys);
		connect_to(&rig, rows[i].given);
		cr_expect_eq(rig_conn(&rig)->backend.fd >= 0, true);
		if (rows[i].own) {
			rig_refuse(&rig);
			rig.listening_fd = fd;
		}
		rig_accept(&rig); /* asserts that a connection is there */
		rig_client_writes(&rig, "question", 8);
		if (!rows[i].own)
			close(fd);
		rig_fini(&rig);
	}
}

Test(conn_host, has_a_timeout_idle_of_its_own)
{
	static const struct {
		const char *what, *keys, *given;
		enum conn_reason expect;
	} rows[] = {
		{ "a short time of its own",
		    "timeout_idle = 1h\n" HOST "timeout_idle = 100ms",
		    "a.example", CONN_IDLE_TIMEOUT },
		{ "a long time of its own",
		    "timeout_idle = 100ms\nmax_lifetime = 1s\n" HOST
		    "timeout_idle = 1h",
		    "a.example", CONN_LIFETIME },
		{ "the listener's",
		    "timeout_idle = 100ms\n" HOST "connect = 127.0.0.1:1", NULL,
		    CONN_IDLE_TIMEOUT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, rows[i].keys);
		connect_to(&rig, rows[i].given);
		rig_accept(&rig);
		rig_wait(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

Test(conn_host, has_a_timeout_connect_of_its_own)
{
	uint16_t port;
	int fd = port_bind(&port);
	struct rig rig;
	char keys[128];

	port_fill(fd, port);
	snprintf(keys, sizeof(keys),
	    "timeout_connect = 1h\n" HOST
	    "timeout_connect = 100ms\nconnect = 127.0.0.1:%u",
	    port);
	rig_init(&rig, keys);
	connect_to(&rig, "a.example");
	rig_wait(&rig);
	cr_expect(rig_ended(&rig, CONN_BACKEND_TIMEOUT));
	close(fd);
	rig_fini(&rig);
}

Test(conn_host, has_a_proxy_out_of_its_own)
{
	static const struct {
		const char *what, *given;
		bool expect;
	} rows[] = {
		{ "the name", "a.example", true },
		{ "another name", "b.example", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;
		char bytes[64];

		rig_init(&rig, HOST "proxy_out = v1");
		connect_to(&rig, rows[i].given);
		rig_accept(&rig);
		cr_expect_eq(rig_backend_reads(&rig, bytes, sizeof(bytes)) > 0,
		    rows[i].expect, "%s", rows[i].what);
		rig_fini(&rig);
	}
}

/* ---- log lines ---- */

Test(conn_host, is_in_the_access_line)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "an exact name", "a.example",
		    " host=a.example sni=a.example " },
		{ "a pattern", "x.b.example",
		    " host=*.b.example sni=x.b.example " },
		{ "a name without a section", "c.example",
		    " host=- sni=c.example " },
		{ "no name", NULL, " host=- sni=- " },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, HOST "[host web *.b.example]\n");
		rig_log(&rig);
		connect_to(&rig, rows[i].given);
		conn_set_close_all(&rig.set, CONN_DRAINED);
		cr_expect(rig_logged(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

#define IN "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"

Test(conn_log, has_the_client_and_the_sender_of_the_header)
{
	static const struct {
		const char *what, *keys, *given, *expect;
	} rows[] = {
		{ "a PROXY header", IN, LINE,
		    " peer=198.51.100.7:4711 via=192.0.2.99:9 " },
		{ "one without an address", IN, "PROXY UNKNOWN\r\n",
		    " peer=192.0.2.99:9 via=192.0.2.99:9 " },
		{ "no PROXY header", "", "", " peer=192.0.2.99:9 via=- " },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, rows[i].keys);
		rig_log(&rig);
		cr_assert(addr_parse(&rig.peer, NULL, "192.0.2.99:9", NULL));
		rig_connect(&rig);
		rig_client_sends(&rig, rows[i].given, strlen(rows[i].given));
		cr_assert(rig_shake(&rig));
		conn_set_close_all(&rig.set, CONN_DRAINED);
		cr_expect(rig_logged(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

enum client { WITHOUT, WITH, IN_PLAIN };

static void
connect_as(struct rig *rig, enum client client, const struct pki *alice)
{
	if (client == WITH) {
		SSL_CTX_use_certificate(
		    rig->client_context, alice->certificate);
		SSL_CTX_use_PrivateKey(rig->client_context, alice->key);
	}
	rig_connect(rig);
	if (client == IN_PLAIN)
		rig_client_sends(rig, "GET / HTTP/1.1\r\n", 16);
	else
		cr_assert(rig_shake(rig));
}

Test(conn_log, has_the_verification_of_the_client)
{
	static const struct {
		const char *what, *verify;
		enum client given;
		const char *expect;
	} rows[] = {
		{ "a verified client", "require", WITH,
		    " verify=ok client=alice " },
		{ "one without a certificate", "optional", WITHOUT,
		    " verify=none client=- " },
		{ "no handshake", "require", IN_PLAIN, " verify=- client=- " },
	};
	struct pki alice = pki_make(
	    &(struct pki_wish){ .name = "alice", .ca = true });
	char *pem = pki_certificate_pem(&alice);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pki_folder folder;
		struct rig rig;
		char keys[96];

		pki_folder_make(&folder);
		free(pki_write(&folder, "ca.pem", pem));
		snprintf(keys, sizeof(keys), "verify = %s\nca_file = ca.pem",
		    rows[i].verify);
		rig_init_in(&rig, &folder, keys);
		rig_log(&rig);
		connect_as(&rig, rows[i].given, &alice);
		conn_set_close_all(&rig.set, CONN_DRAINED);
		cr_expect(rig_logged(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
	free(pem);
	pki_drop(&alice);
}
