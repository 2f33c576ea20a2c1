/*
 * The TLS half of a stream: what leaves in how many sends, what is gathered,
 * when a block is returned, how each side ends, and the facts of a handshake,
 * in both protocol versions.
 */
#include "tls/stream_tls.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "tests/support/link.h"
#include "tests/support/ocsp.h"
#include "tls/context.h"

static struct config_listener config;
static struct ticket_keys *keys;
static struct tls_server *server;

static void
set_up(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	server = link_server(&config, PKI_P256, keys);
}

static void
tear_down(void)
{
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(stream_tls, .init = set_up, .fini = tear_down);

Test(stream_tls, carries_bytes_both_ways)
{
	struct stream_facts facts;
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		stream_facts(&link.server, &facts);
		cr_assert_str_eq(facts.version, link_versions[v].what);
		cr_assert_not_null(facts.group, "%s", link_versions[v].what);
		cr_assert(link_say(&link, "question"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(text, "question", "%s", link_versions[v].what);
		cr_assert_eq(link_answer(&link, "answer"), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 6);
		cr_assert_arr_eq(text, "answer", 6);
		link_close(&link);
	}
}

Test(stream_tls, owns_no_block_while_idle)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(stream_flush(&link.server), IO_DONE);
		cr_assert_eq(pool_in_use(link.pool), 0, "%s after handshake",
		    link_versions[v].what);
		cr_assert(link_say(&link, "ping"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_eq(link_answer(&link, "pong"), IO_DONE);
		cr_assert_eq(pool_in_use(link.pool), 0, "%s after a ping",
		    link_versions[v].what);
		link_close(&link);
	}
}

static struct ocsp_made staple;

static int
on_status(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_set_tlsext_status_ocsp_resp(
	    ssl, OPENSSL_memdup(staple.der, staple.len), (long)staple.len);
	return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL 3.6 sends a response only if it parses, and none for a certificate
 * that is its own issuer. */
static struct tls_server *
make_stapled(void)
{
	struct pki issuer = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	struct pki pair = pki_make(
	    &(struct pki_wish){ .name = "leaf", .issuer = &issuer });
	struct identity *identity = link_identity(&pair, "");
	struct tls_server *made = link_server_of(&config, identity, keys);

	staple = ocsp_make(&(struct ocsp_wish){ .leaf = &pair,
	    .issuer = &issuer,
	    .this_update = time(NULL),
	    .next_update = time(NULL) + 3600 });
	identity_unref(identity);
	pki_drop(&pair);
	pki_drop(&issuer);
	SSL_CTX_set_tlsext_status_cb(link_native(made), on_status);
	return made;
}

/* The bytes of the staple that an SSL keeps. */
static long
kept_staple(SSL *ssl)
{
	unsigned char *response = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &response);

	return response != NULL && len > 0 ? len : 0;
}

Test(stream_tls, frees_the_staple_once_it_was_sent)
{
	struct tls_server *stapled = make_stapled();
	struct stream_facts facts;
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_open_tls(&link, LINK_STREAM, stapled);
		SSL_set_max_proto_version(
		    link.client, link_versions[v].version);
		SSL_set_tlsext_status_type(link.client, TLSEXT_STATUSTYPE_ocsp);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		cr_expect_eq(kept_staple(link.client), (long)staple.len);
		cr_expect_eq(kept_staple(link.server.ssl), 0, "%s",
		    link_versions[v].what);
		stream_facts(&link.server, &facts);
		cr_expect(facts.stapled, "%s", link_versions[v].what);
		/* The ticket leaves afterwards, and bytes go both ways. */
		cr_assert_eq(link_answer(&link, "answer"), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 6);
		cr_expect_not_null(link.session);
		cr_assert(link_say(&link, "question"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		link_close(&link);
	}
	tls_server_unref(stapled);
	ocsp_drop(&staple);
}

Test(stream_tls, sends_each_flight_at_once)
{
	struct link link;

	/* TLS 1.2: hello to done, then ticket to Finished; 1.3: hello to
	 * Finished, and the ticket is deferred. */
	static const size_t flights[] = { 2, 1 };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_PACKETS, server, link_versions[v].version);
		cr_assert_eq(link.sends, flights[v], "%s: %zu sends",
		    link_versions[v].what, link.sends);
		link_close(&link);
	}
}

Test(stream_tls, sends_the_ticket_with_the_first_response)
{
	struct link link;
	char text[64];
	size_t before;

	link_establish(&link, LINK_PACKETS, server, TLS1_3_VERSION);
	before = link.sends;
	cr_assert(link.server.output_deferred);
	cr_assert_not(stream_wants_write(&link.server), "held is not waiting");
	cr_assert_null(link.session);
	cr_assert_eq(link_answer(&link, "first"), IO_DONE);
	cr_assert_eq(link_hear(&link, text, sizeof(text)), 5);
	cr_assert_eq(link.sends, before + 1);
	cr_assert_not_null(link.session);
	link_close(&link);
}

Test(stream_tls, sends_the_ticket_alone_on_a_flush)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_PACKETS, server, TLS1_3_VERSION);
	cr_assert_eq(stream_flush(&link.server), IO_DONE);
	cr_assert_not(link.server.output_deferred);
	cr_assert_eq(link_hear(&link, text, sizeof(text)), 0);
	cr_assert_not_null(link.session);
	link_close(&link);
}

Test(stream_tls, defers_nothing_in_tls12)
{
	struct link link;

	link_establish(&link, LINK_STREAM, server, TLS1_2_VERSION);
	cr_assert_not(link.server.output_deferred);
	cr_assert_not_null(link.session, "the client waits for it");
	link_close(&link);
}

/* A block with len bytes in it, to be sent. */
static struct buf
block_of(struct link *link, size_t len)
{
	struct buf from = { 0 };
	size_t i;

	cr_assert(buf_hold(&from, link->pool));
	for (i = 0; i < len; i++)
		buf_tail(&from)[i] = (uint8_t)(i * 7);
	buf_commit(&from, len);
	return from;
}

Test(stream_tls, sends_a_whole_turn_in_one_send)
{
	struct config_listener given = link_config();
	struct tls_server *wide;
	struct link link;
	struct buf from;
	static uint8_t heard[STREAM_TURN_BYTES];

	/* CBC has the longest records of all. */
	given.ciphers = "ECDHE-ECDSA-AES256-SHA384";
	wide = link_server(&given, PKI_P256, keys);
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_PACKETS, wide, link_versions[v].version);
		link.sends = 0;
		from = block_of(&link, STREAM_TURN_BYTES);
		cr_assert_eq(stream_write(&link.server, &from), IO_DONE);
		cr_assert_eq(
		    link_hear(&link, heard, sizeof(heard)), sizeof(heard));
		cr_assert_eq(link.sends, 1, "%s", link_versions[v].what);
		cr_assert_eq(heard[12345], (uint8_t)(12345 * 7));
		buf_drop(&from, link.pool);
		link_close(&link);
	}
	tls_server_unref(wide);
}

Test(stream_tls, reads_more_than_a_turn_if_it_must)
{
	static uint8_t heard[POOL_BLOCK_SIZE];
	struct link link;
	struct buf from;

	link_establish(&link, LINK_PACKETS, server, TLS1_3_VERSION);
	from = block_of(&link, POOL_BLOCK_SIZE);
	cr_assert_eq(stream_write(&link.server, &from), IO_DONE);
	cr_assert_eq(link_hear(&link, heard, sizeof(heard)), sizeof(heard));
	cr_assert_eq(link.server.bytes_out, POOL_BLOCK_SIZE);
	buf_drop(&from, link.pool);
	link_close(&link);
}

Test(stream_tls, gathers_records_into_one_read)
{
	struct link link;
	char text[64];
	size_t sent;
	int i;

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		for (i = 0; i < 3; i++)
			cr_assert_eq(
			    SSL_write_ex(link.client, "abc", 3, &sent), 1);
		link_push(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(
		    text, "abcabcabc", "%s", link_versions[v].what);
		cr_assert_eq(pool_in_use(link.pool),
		    link.server.output_deferred ? 1 : 0);
		link_close(&link);
	}
}

Test(stream_tls, returns_bytes_without_an_event)
{
	struct link link;
	struct buf into = { 0 };

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert(link_say(&link, "0123456789"));
		cr_assert(link_say(&link, "next record"));
		into = block_of(&link, POOL_BLOCK_SIZE - 4);
		stream_readable(&link.server);
		cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
		buf_consume(&into, buf_len(&into));
		cr_assert_eq(stream_read(&link.server, &into), IO_DONE);
		cr_assert_eq(
		    buf_len(&into), 6 + 11, "%s", link_versions[v].what);
		buf_drop(&into, link.pool);
		link_close(&link);
	}
}

/* Write whole turns until one is not taken at once; bytes taken. */
static size_t
fill_socket(struct link *link)
{
	enum io io = IO_DONE;
	int i;

	for (i = 0; i < 100 && io == IO_DONE; i++) {
		struct buf from = block_of(link, STREAM_TURN_BYTES);

		io = stream_write(&link->server, &from);
		buf_drop(&from, link->pool);
	}
	cr_assert_eq(io, IO_WANT_WRITE);
	return link->server.bytes_out;
}

/* Let the client read until it has max bytes; returns how many it has. */
static size_t
drain(struct link *link, size_t max)
{
	static uint8_t heard[64 * 1024];
	size_t got = 0;
	int i;

	for (i = 0; i < 1000 && got < max; i++) {
		got += link_hear(link, heard, sizeof(heard));
		stream_writable(&link->server);
		(void)stream_flush(&link->server);
	}
	return got;
}

Test(stream_tls, takes_no_more_while_the_peer_does_not_read)
{
	struct link link;
	size_t taken;

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		taken = fill_socket(&link);
		cr_assert(stream_wants_write(&link.server));
		cr_assert_eq(link_answer(&link, "no"), IO_WANT_WRITE);
		cr_assert_eq(link.server.bytes_out, taken, "not taken");
		cr_assert_leq(pool_in_use(link.pool), 1, "one block, no more");
		cr_assert_eq(
		    drain(&link, taken), taken, "%s", link_versions[v].what);
		cr_assert_not(stream_wants_write(&link.server));
		link_close(&link);
	}
}

Test(stream_tls, answers_a_key_update)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_PACKETS, server, TLS1_3_VERSION);
	cr_assert_eq(stream_flush(&link.server), IO_DONE);
	link_feed(&link);
	link.sends = 0;
	cr_assert_eq(SSL_key_update(link.client, SSL_KEY_UPDATE_REQUESTED), 1);
	cr_assert(link_say(&link, "new keys"));
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "new keys");
	cr_assert_eq(link_answer(&link, "ours"), IO_DONE);
	cr_assert_eq(link_hear(&link, text, sizeof(text)), 4);
	cr_assert_leq(link.sends, 2);
	link_close(&link);
}

Test(stream_tls, bounds_a_flood_of_empty_records)
{
	struct link link;
	char text[64];
	int i;

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	for (i = 0; i < 5800; i++) {
		cr_assert(
		    SSL_key_update(link.client, SSL_KEY_UPDATE_NOT_REQUESTED));
		cr_assert_eq(SSL_do_handshake(link.client), 1);
	}
	cr_assert(link_say(&link, "at last"));
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_WANT_READ);
	cr_assert(link.server.may_read, "the socket is not dry yet");
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_str_eq(text, "at last");
	link_close(&link);
}

Test(stream_tls, reads_no_more_without_room_for_answers)
{
	struct link link;
	char text[64];
	size_t taken;
	int i;

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	taken = fill_socket(&link);
	cr_assert_not(stream_must_write_first(&link.server));
	for (i = 0; i < 2600; i++) {
		cr_assert(
		    SSL_key_update(link.client, SSL_KEY_UPDATE_REQUESTED));
		cr_assert_eq(SSL_do_handshake(link.client), 1);
	}
	cr_assert(link_say(&link, "at last"));
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_WANT_WRITE);
	cr_assert(stream_must_write_first(&link.server));
	cr_assert_eq(drain(&link, taken), taken);
	cr_assert_not(stream_must_write_first(&link.server));
	for (i = 0; i < 3 && link.server.bytes_in == 0; i++)
		(void)link_receive(&link, text, sizeof(text));
	cr_assert_str_eq(text, "at last");
	link_close(&link);
}

/* What other code has left in OpenSSL's queue is no failure of this stream. */
Test(stream_tls, ignores_stale_openssl_errors)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		ERR_raise(ERR_LIB_X509, ERR_R_INTERNAL_ERROR);
		cr_assert_eq(link_receive(&link, text, sizeof(text)),
		    IO_WANT_READ, "%s", link_versions[v].what);
		cr_assert(link_say(&link, "question"));
		ERR_raise(ERR_LIB_X509, ERR_R_INTERNAL_ERROR);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		ERR_raise(ERR_LIB_X509, ERR_R_INTERNAL_ERROR);
		cr_assert_eq(link_answer(&link, "answer"), IO_DONE);
		ERR_clear_error();
		link_close(&link);
	}
}

/* Which alert it is depends on the OpenSSL release: 3.0.19 and 3.0.20 answer
 * a short TLS 1.2 record with internal_error, others with bad_record_mac. */
static void
assert_fatal_alert(struct link *link)
{
	unsigned long code;
	char byte;

	link_feed(link);
	ERR_clear_error();
	cr_assert_leq(SSL_read(link->client, &byte, 1), 0);
	code = ERR_peek_last_error();
	cr_assert_geq(ERR_GET_REASON(code), SSL_AD_REASON_OFFSET);
	ERR_clear_error();
}

Test(stream_tls, refuses_a_bad_record)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(send(link.peer,
				 "\x17\x03\x03\x00\x14"
				 "no record of ours...",
				 25, MSG_NOSIGNAL),
		    25);
		cr_assert_eq(
		    link_receive(&link, text, sizeof(text)), IO_FAILED);
		cr_assert_eq(link.server.error, STREAM_PROTOCOL);
		cr_assert_str_not_empty(
		    stream_error_text(&link.server, text, sizeof(text)));
		cr_assert_eq(link_answer(&link, "no"), IO_FAILED);
		assert_fatal_alert(&link);
		link_close(&link);
	}
}

Test(stream_tls, refuses_renegotiation)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_STREAM, server, TLS1_2_VERSION);
	cr_assert_eq(SSL_renegotiate(link.client), 1);
	(void)SSL_do_handshake(link.client);
	link_push(&link);
	cr_assert_neq(link_receive(&link, text, sizeof(text)), IO_DONE);
	cr_assert_not(SSL_renegotiate_pending(link.server.ssl));
	link_feed(&link);
	cr_assert_neq(SSL_do_handshake(link.client), 1);
	link_close(&link);
}

/* ---- The end ---- */

TestSuite(stream_end, .init = set_up, .fini = tear_down);

Test(stream_end, distinguishes_close_notify_and_fin)
{
	static const struct {
		const char *what;
		bool notify;
	} rows[] = { { "close_notify and FIN", true }, { "FIN", false } };
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++)
		for (size_t i = 0; i < 2; i++) {
			link_establish(&link, LINK_STREAM, server,
			    link_versions[v].version);
			if (rows[i].notify)
				link_notify(&link);
			link_fin(&link);
			cr_assert_eq(link_receive(&link, text, sizeof(text)),
			    IO_END, "%s", rows[i].what);
			cr_assert_eq(link.server.got_notify, rows[i].notify,
			    "%s, %s", rows[i].what, link_versions[v].what);
			link_close(&link);
		}
}

Test(stream_end, follows_the_last_bytes)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert(link_say(&link, "last"));
		link_notify(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(text, "last");
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		link_close(&link);
	}
}

Test(stream_end, of_the_client_leaves_output_open)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert(link_say(&link, "question"));
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(link_answer(&link, "answer"), IO_DONE);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 6);
		cr_assert(link.saw_notify, "%s: it still reads",
		    link_versions[v].what);
		link_close(&link);
	}
}

Test(stream_end, of_the_server_leaves_input_open)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(link_answer(&link, "bye"), IO_DONE);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 3);
		cr_assert(link.saw_notify && link.saw_fin, "%s",
		    link_versions[v].what);
		cr_assert(link_say(&link, "still here"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(
		    text, "still here", "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(stream_end, sends_nothing_to_a_client_that_has_closed)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_PACKETS, server, link_versions[v].version);
		link_feed(&link);
		link.sends = 0;
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		link_feed(&link);
		cr_assert_eq(link.sends, 0, "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(stream_end, sends_close_notify_after_output_despite_a_fin)
{
	struct link link;
	char text[64];

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		link_establish(
		    &link, LINK_STREAM, server, link_versions[v].version);
		cr_assert_eq(link_answer(&link, "early"), IO_DONE);
		link_notify(&link);
		link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 5);
		cr_assert(link.saw_notify, "%s", link_versions[v].what);
		link_close(&link);
	}
}

Test(stream_end, answers_no_key_update_afterwards)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	cr_assert_eq(stream_end(&link.server), IO_DONE);
	for (int i = 0; i < 3; i++) {
		cr_assert(
		    SSL_key_update(link.client, SSL_KEY_UPDATE_REQUESTED));
		cr_assert(link_say(&link, "goes on"));
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_DONE);
		cr_assert_str_eq(text, "goes on");
	}
	cr_assert_eq(link.server.error, STREAM_OK);
	link_close(&link);
}

Test(stream_end, sends_close_notify_to_a_half_closed_client)
{
	static const struct {
		const char *what;
		bool notify, fin;
	} rows[] = {
		{ "close_notify without FIN", true, false },
		{ "FIN without close_notify", false, true },
	};
	struct link link;
	char text[64];

	for (size_t i = 0; i < 2; i++) {
		link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
		if (rows[i].notify)
			link_notify(&link);
		if (rows[i].fin)
			link_fin(&link);
		cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_END);
		cr_assert_eq(stream_end(&link.server), IO_DONE);
		cr_assert_eq(link_hear(&link, text, sizeof(text)), 0);
		cr_assert(link.saw_notify, "%s", rows[i].what);
		link_close(&link);
	}
}

/* A client that does not read: end must wait, and lose nothing. */
Test(stream_end, waits_for_pending_output)
{
	static uint8_t heard[8 * 1024 * 1024];
	struct link link;
	size_t got = 0;
	int i;

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	for (i = 0; i < 100000; i++)
		if (link_answer(&link, "a little at a time") != IO_DONE)
			break;
	cr_assert_eq(stream_end(&link.server), IO_WANT_WRITE);
	for (i = 0; i < 100 && !link.saw_fin; i++) {
		got += link_hear(&link, heard + got, sizeof(heard) - got);
		stream_writable(&link.server);
		(void)stream_end(&link.server);
	}
	got += link_hear(&link, heard + got, sizeof(heard) - got);
	cr_assert_eq(got, link.server.bytes_out);
	cr_assert(link.saw_notify && link.saw_fin);
	link_close(&link);
}

Test(stream_end, by_reset_is_an_error)
{
	struct link link;
	char text[64];

	link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
	cr_assert_eq(link_answer(&link, "unread"), IO_DONE);
	link_hang_up(&link);
	cr_assert_eq(link_receive(&link, text, sizeof(text)), IO_FAILED);
	cr_assert_eq(link.server.error, STREAM_RESET);
	cr_assert_eq(stream_end(&link.server), IO_FAILED);
	link_close(&link);
}

/* ---- A flight that does not fit a block ---- */

enum { CHAIN = 300 };

static struct link wide_link;

/* A server whose certificate chain does not fit one block. */
static struct tls_server *
wide_server(void)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct pki filler = pki_make(&(struct pki_wish){ .name = "filler" });
	char *one = pki_certificate_pem(&filler);
	char *chain = calloc(CHAIN, strlen(one) + 1);
	struct identity *identity;
	struct tls_server *made;

	cr_assert_gt(
	    CHAIN * i2d_X509(filler.certificate, NULL), (int)POOL_BLOCK_SIZE);
	for (int i = 0; i < CHAIN; i++)
		strcat(chain, one);
	identity = link_identity(&leaf, chain);
	made = link_server_of(&config, identity, keys);
	identity_unref(identity);
	free(chain);
	free(one);
	pki_drop(&filler);
	pki_drop(&leaf);
	return made;
}

static void
set_up_wide(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	config = link_config();
	server = wide_server();
	link_open_tls(&wide_link, LINK_STREAM, server);
	SSL_set_max_cert_list(wide_link.client, 1024 * 1024);
}

static void
tear_down_wide(void)
{
	link_close(&wide_link);
	tls_server_unref(server);
	ticket_keys_unref(keys);
}

TestSuite(stream_flight, .init = set_up_wide, .fini = tear_down_wide);

Test(stream_flight, is_sent_early_when_it_does_not_fit)
{
	int client;

	cr_assert_eq(link_handshake(&wide_link, &client), IO_DONE);
	cr_assert_eq(client, 1);
}

Test(stream_flight, waits_when_the_peer_does_not_read)
{
	int small = 1, said = 0, i;
	enum io io = IO_WANT_WRITE;

	cr_assert_eq(setsockopt(wide_link.server.fd, SOL_SOCKET, SO_SNDBUF,
			 &small, sizeof(small)),
	    0);
	(void)SSL_do_handshake(wide_link.client);
	link_push(&wide_link);
	cr_assert_eq(stream_handshake(&wide_link.server), IO_WANT_WRITE);
	cr_assert_eq(
	    stream_handshake(&wide_link.server), IO_WANT_WRITE, "no event");
	cr_assert(stream_wants_write(&wide_link.server));
	for (i = 0; i < 1000 && io != IO_DONE; i++) {
		link_feed(&wide_link);
		said = SSL_do_handshake(wide_link.client);
		link_push(&wide_link);
		stream_writable(&wide_link.server);
		stream_readable(&wide_link.server);
		io = stream_handshake(&wide_link.server);
	}
	cr_assert_eq(io, IO_DONE);
	cr_assert_eq(said, 1);
}

/* ---- Facts ---- */

static void
set_up_keys(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down_keys(void)
{
	ticket_keys_unref(keys);
}

TestSuite(stream_facts, .init = set_up_keys, .fini = tear_down_keys);

/* A certificate for this key; frees the key. */
static struct identity *
identity_of(EVP_PKEY *key, const EVP_MD *digest)
{
	struct pki pair = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct identity *identity;

	cr_assert_not_null(key);
	EVP_PKEY_free(pair.key);
	pair.key = key;
	cr_assert(X509_set_pubkey(pair.certificate, key));
	cr_assert(X509_sign(pair.certificate, key, digest) > 0);
	identity = link_identity(&pair, "");
	pki_drop(&pair);
	return identity;
}

static void
expect_shown(const struct link *link, const char *key_algorithm,
    const char *signature_algorithm)
{
	struct stream_facts facts;

	stream_facts(&link->server, &facts);
	cr_expect_str_eq(facts.key_algorithm, key_algorithm);
	cr_expect_str_eq(facts.signature_algorithm, signature_algorithm);
}

Test(stream_facts, name_key_and_signature_as_haproxy_does)
{
	const struct {
		EVP_PKEY *key;
		const EVP_MD *digest;
		const char *key_algorithm, *signature_algorithm;
	} rows[] = {
		{ EVP_EC_gen("P-256"), EVP_sha256(), "EC256",
		    "ecdsa-with-SHA256" },
		{ EVP_EC_gen("P-384"), EVP_sha384(), "EC384",
		    "ecdsa-with-SHA384" },
		{ EVP_RSA_gen(2048), EVP_sha256(), "RSA2048", "RSA-SHA256" },
		{ EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, "ED25519",
		    "ED25519" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct identity *identity = identity_of(
		    rows[i].key, rows[i].digest);
		struct tls_server *own_server = link_server_of(
		    &config, identity, keys);
		struct link link;

		link_establish(&link, LINK_STREAM, own_server, 0);
		expect_shown(
		    &link, rows[i].key_algorithm, rows[i].signature_algorithm);
		link_close(&link);
		tls_server_unref(own_server);
		identity_unref(identity);
	}
}

/* A server with one identity of each kind. */
static struct tls_server *
make_dual(void)
{
	struct tls_context *context = link_context(&config);
	struct tls_server *own_server = tls_server_new(1, 0, keys);
	struct identity *identities[IDENTITY_KINDS] = { NULL };
	struct err err;

	identities[IDENTITY_RSA] = identity_of(EVP_RSA_gen(2048), EVP_sha256());
	identities[IDENTITY_ECDSA] = identity_of(
	    EVP_EC_gen("P-256"), EVP_sha256());
	cr_assert(
	    tls_server_add(own_server, &config, context, identities, &err));
	tls_server_seal(own_server, false);
	identity_unref(identities[IDENTITY_RSA]);
	identity_unref(identities[IDENTITY_ECDSA]);
	tls_context_unref(context);
	return own_server;
}

Test(stream_facts, are_those_of_the_certificate_the_client_could_use)
{
	static struct {
		char given[32]; /* what the client verifies */
		const char *key_algorithm, *signature_algorithm;
	} rows[] = {
		{ "ECDSA+SHA256", "EC256", "ecdsa-with-SHA256" },
		{ "rsa_pss_rsae_sha256:RSA+SHA256", "RSA2048", "RSA-SHA256" },
	};
	struct tls_server *own_server = make_dual();

	for (size_t i = 0; i < ARRAY_LEN(rows) * LINK_VERSIONS; i++) {
		struct link link;

		link_open_tls(&link, LINK_STREAM, own_server);
		SSL_set_max_proto_version(
		    link.client, link_versions[i % 2].version);
		SSL_set1_sigalgs_list(link.client, rows[i / 2].given);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		expect_shown(&link, rows[i / 2].key_algorithm,
		    rows[i / 2].signature_algorithm);
		link_close(&link);
	}
	tls_server_unref(own_server);
}

/* The session of an earlier connection. */
static SSL_SESSION *
begin_session(struct tls_server *own_server, int version)
{
	SSL_SESSION *session;
	struct link link;
	char text[8];

	link_establish(&link, LINK_STREAM, own_server, version);
	(void)stream_flush(&link.server);
	(void)link_hear(&link, text, sizeof(text));
	cr_assert_not_null(link.session);
	session = link.session;
	link.session = NULL;
	link_close(&link);
	return session;
}

Test(stream_facts, show_no_certificate_of_a_resumed_session)
{
	struct tls_server *own_server = link_server(&config, PKI_P256, keys);

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = begin_session(
		    own_server, link_versions[v].version);
		struct stream_facts facts;
		struct link link;

		link_open_tls(&link, LINK_STREAM, own_server);
		SSL_set_max_proto_version(
		    link.client, link_versions[v].version);
		SSL_set_session(link.client, session);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_expect(facts.resumed, "%s", link_versions[v].what);
		cr_expect_str_eq(facts.version, link_versions[v].what);
		expect_shown(&link, "", "");
		link_close(&link);
		SSL_SESSION_free(session);
	}
	tls_server_unref(own_server);
}

Test(stream_facts, contain_sni_alpn_and_cipher)
{
	static const uint8_t offer[] = "\2h2\x08http/1.1";
	static char http[] = "http/1.1", *protocols[] = { http };
	char name[] = "a.example";
	struct tls_server *own_server;
	struct stream_facts facts;
	struct link link;

	config.alpn = (struct config_strings){ protocols, 1 };
	own_server = link_server(&config, PKI_P256, keys);
	link_open_tls(&link, LINK_STREAM, own_server);
	SSL_set_alpn_protos(link.client, offer, sizeof(offer) - 1);
	SSL_set_tlsext_host_name(link.client, name);
	cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
	stream_facts(&link.server, &facts);
	cr_expect_str_eq(facts.version, "TLSv1.3");
	cr_expect_str_eq(facts.sni, "a.example");
	cr_assert_eq(facts.alpn_len, 8);
	cr_expect_arr_eq(facts.alpn, "http/1.1", 8);
	cr_expect_not(facts.resumed);
	cr_expect_not(facts.stapled);
	cr_expect_not(facts.client_verified);
	link_close(&link);
	tls_server_unref(own_server);
}
