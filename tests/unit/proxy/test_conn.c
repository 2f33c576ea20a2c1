/*
 * One connection from its beginning to each of its ends, with a real TLS
 * client and a real backend (see conn_rig.h).
 */
#include "proxy/conn.h"

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
#include "tests/unit/proxy/port.h"

/* On Unix sockets a reset is what a peer gets that left bytes unread. */
static void
reset_backend(struct rig *rig)
{
	rig_client_says(rig, "unread", 6);
	rig_close_backend(rig);
	rig_turn(rig);
}

Test(conn, passes_bytes_both_ways)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_says(&rig, "question", 8);
	cr_assert_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_arr_eq(bytes, "question", 8);
	rig_backend_says(&rig, "answer", 6);
	cr_assert_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_arr_eq(bytes, "answer", 6);
	cr_expect_eq(rig_client_sees(&rig), OPEN);
	cr_expect_eq(rig_backend_sees(&rig), OPEN);
	cr_expect_eq(rig.set.handshakes, 1);
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
		rig_backend_says(&rig, sent, CHUNK);
		cr_assert_eq(rig_client_hears(&rig, got, CHUNK), CHUNK);
		wrong += memcmp(sent, got, CHUNK) != 0;
		rig_client_says(&rig, sent, CHUNK);
		cr_assert_eq(rig_backend_hears(&rig, got, CHUNK), CHUNK);
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
	rig_client_says(&rig, "question", 8);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 8);
	cr_expect_eq(rig_backend_sees(&rig), ENDED_CLEANLY);
	rig_backend_says(&rig, "answer", 6);
	rig_close_backend(&rig);
	rig_turn(&rig);
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_client_sees(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, lets_a_client_go_on_after_the_backend_ended)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_backend_says(&rig, "first", 5);
	shutdown(rig.backend_fd, SHUT_WR);
	rig_turn(&rig);
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 5);
	cr_expect_eq(rig_client_sees(&rig), ENDED_CLEANLY);
	rig_client_says(&rig, "second", 6);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_backend_sees(&rig), OPEN);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_sees(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, waits_for_no_end_when_told_not_to)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "timeout_close = 0");
	rig_open(&rig);
	rig_backend_says(&rig, "answer", 6);
	rig_close_backend(&rig);
	rig_turn(&rig);
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 6);
	cr_expect_eq(rig_client_sees(&rig), ENDED_CLEANLY);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, records_a_client_that_left_without_notice)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_says(&rig, "half a sent", 11);
	shutdown(rig.client_fd, SHUT_WR);
	rig_turn(&rig);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 11);
	cr_expect_eq(rig_backend_sees(&rig), ENDED_CLEANLY);
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
	rig_backend_says(&rig, "half", 4);
	reset_backend(&rig);
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 4,
	    "what came before the reset is the client's");
	cr_expect_eq(rig_client_sees(&rig), CUT);
	cr_expect(rig_ended(&rig, CONN_BACKEND_RESET));
	rig_fini(&rig);
}

Test(conn, delivers_an_answer_that_refuses_an_upload)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_says(&rig, "part 1", 6);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 6);
	/* Both happen between two turns: the answer and more upload. */
	cr_assert_eq(send(rig.backend_fd, "no", 2, 0), 2);
	rig_close_backend(&rig);
	rig_client_says(&rig, "part 2", 6);
	rig_client_says(&rig, "part 3", 6);
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 2);
	cr_expect_eq(rig_client_sees(&rig), ENDED_CLEANLY);
	SSL_shutdown(rig.client);
	rig_turn(&rig);
	cr_expect(rig_ended(&rig, CONN_DONE));
	rig_fini(&rig);
}

Test(conn, closes_the_client_when_no_backend_takes_it)
{
	struct rig rig;

	rig_init(&rig, "");
	rig_refuse(&rig);
	rig_connect(&rig);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(rig.client);
		rig_turn(&rig);
	}
	cr_expect_eq(rig_client_sees(&rig), CUT);
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
	rig_client_says(&rig, "question", 8);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 8);
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

Test(conn, names_what_went_wrong_before_the_handshake)
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

/* How far the client goes before it falls silent. */
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
		{ "nobody speaks", OPENED, "timeout_idle = 100ms",
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

Test(conn, sends_a_held_ticket_when_nobody_speaks)
{
	struct rig rig;
	char byte;

	rig_init(&rig, "");
	SSL_CTX_set_min_proto_version(rig.client_context, TLS1_3_VERSION);
	rig_open(&rig);
	for (int i = 0; i < 100 && !list_is_empty(&rig.set.held); i++)
		ev_run(rig.loop, EVRUN_ONCE);
	cr_expect(list_is_empty(&rig.set.held));
	cr_expect_eq(recv(rig.client_fd, &byte, 1, MSG_PEEK), 1);
	rig_fini(&rig);
}

Test(conn, holds_no_ticket_once_the_answer_has_left)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	SSL_CTX_set_min_proto_version(rig.client_context, TLS1_3_VERSION);
	rig_open(&rig);
	rig_backend_says(&rig, "hello", 5);
	cr_expect(list_is_empty(&rig.set.held));
	cr_expect_eq(rig_client_hears(&rig, bytes, sizeof(bytes)), 5);
	rig_fini(&rig);
}

Test(conn, owns_no_buffer_while_it_idles)
{
	struct rig rig;
	char bytes[16];

	rig_init(&rig, "");
	rig_open(&rig);
	rig_client_says(&rig, "ping", 4);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 4);
	rig_backend_says(&rig, "pong", 4);
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
	cr_expect_eq(rig_client_sees(&rig), CUT);
	cr_expect(rig_ended(&rig, CONN_DRAINED));
	rig_fini(&rig);
}
