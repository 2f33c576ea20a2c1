/*
 * What the backend hears before the client (see conn_rig.h): one PROXY header,
 * first, whatever else happens, and the facts in it.  What a header looks
 * like is test_proxyproto.c's.
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

#include "conn_rig.h"
#include "tests/unit/proxy/port.h"

#define IN "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"

/* What a backend heard, header and all. */
struct heard {
	uint8_t bytes[16 * 1024];
	size_t len;
	struct proxyproto_header header;
	size_t header_len;
};

static void
hear(struct rig *rig, struct heard *heard)
{
	heard->len = rig_backend_hears(rig, heard->bytes, sizeof(heard->bytes));
	cr_assert_eq(proxyproto_parse(heard->bytes, heard->len, &heard->header,
			 &heard->header_len),
	    PROXYPROTO_DONE, "no header came first");
}

static void
expect_behind(const struct heard *heard, const char *text, const char *what)
{
	size_t len = strlen(text);

	cr_expect(heard->len - heard->header_len == len &&
		      memcmp(heard->bytes + heard->header_len, text, len) == 0,
	    "%s: what follows is \"%.*s\"", what,
	    (int)(heard->len - heard->header_len),
	    (const char *)heard->bytes + heard->header_len);
}

/* Does the header tell this? */
static bool
tells(const struct heard *heard, const void *bytes, size_t len)
{
	return memmem(heard->bytes, heard->header_len, bytes, len) != NULL;
}

/* ---- Before everything else ---- */

static void
stay_silent(struct rig *rig)
{
	rig_open(rig);
}

/* The request leaves with the client's Finished. */
static void
speak_at_once(struct rig *rig)
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
speak_and_end(struct rig *rig)
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
be_greeted(struct rig *rig)
{
	rig_open(rig);
	rig_backend_says(rig, "220 ready", 9);
	rig_client_says(rig, "question", 8);
}

Test(conn_header, is_what_a_backend_hears_first)
{
	static const struct {
		const char *what;
		void (*given)(struct rig *rig);
		const char *expect; /* behind it */
	} rows[] = {
		{ "a silent client", stay_silent, "" },
		{ "a talkative client", speak_at_once, "question" },
		{ "a client that asks and ends", speak_and_end, "question" },
		{ "a backend that speaks first", be_greeted, "question" },
	};
	static const char *const keys[] = { "proxy_out = v1",
		"proxy_out = v2" };
	struct heard heard;

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, keys[i % 2]);
		rows[i / 2].given(&rig);
		hear(&rig, &heard);
		expect_behind(&heard, rows[i / 2].expect, rows[i / 2].what);
		rig_fini(&rig);
	}
}

Test(conn_header, goes_to_the_backend_that_takes_the_client_at_last)
{
	uint16_t full_port, port;
	int full = port_bind(&full_port), fd = port_bind(&port);
	struct heard heard;
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
	hear(&rig, &heard);
	expect_behind(&heard, "question", "two backends later");
	cr_expect_eq(conn_set_counter(&rig.set.ended[CONN_DONE]), 0);
	close(full);
	rig_fini(&rig);
}

Test(conn_header, is_not_sent_unless_it_is_wanted)
{
	struct rig rig;
	char bytes[64];

	rig_init(&rig, "proxy_out = off");
	rig_open(&rig);
	rig_client_says(&rig, "question", 8);
	cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)), 8);
	rig_fini(&rig);
}

Test(conn_header, counts_as_nobodys_bytes)
{
	struct rig rig;
	struct heard heard;

	rig_init(&rig, "proxy_out = v2");
	rig_open(&rig);
	rig_client_says(&rig, "question", 8);
	hear(&rig, &heard);
	cr_expect_eq(rig_conn(&rig)->client.bytes_in, 8);
	cr_expect_eq(rig_conn(&rig)->client.bytes_out, 0);
	rig_fini(&rig);
}

/* ---- What it tells ---- */

static void
write_authority(const struct pki_folder *folder, const struct pki *ca)
{
	char *pem = pki_certificate_pem(ca);

	free(pki_write(folder, "ca.pem", pem));
	free(pem);
}

/* A client called alice, who asks for a.example and h2. */
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

Test(conn_header, tells_what_is_known_and_wanted)
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
		struct heard heard;
		struct pki alice;
		struct rig rig;
		char keys[160];

		snprintf(keys, sizeof(keys),
		    "proxy_out = v2\nproxy_tlv = %s\nalpn = h2\n"
		    "verify = require\nca_file = ca.pem",
		    rows[i].tlv);
		open_as_alice(&rig, keys, &alice);
		hear(&rig, &heard);
		cr_expect_eq(tells(&heard, rows[i].text, strlen(rows[i].text)),
		    rows[i].expect, "%s", rows[i].what);
		pki_drop(&alice);
		rig_fini(&rig);
	}
}

Test(conn_header, brings_the_certificate_of_a_client_if_that_is_wanted)
{
	static const struct {
		const char *what, *keys;
		bool expect;
	} rows[] = {
		{ "wanted", "proxy_tlv = cert", true },
		{ "not wanted", "proxy_tlv = ssl, cn", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct heard heard;
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
		hear(&rig, &heard);
		len = i2d_X509(alice.certificate, &der);
		cr_expect_eq(tells(&heard, der, (size_t)len), rows[i].expect,
		    "%s", rows[i].what);
		OPENSSL_free(der);
		pki_drop(&alice);
		rig_fini(&rig);
	}
}

/* ---- What came along ---- */

#define BYTES(text) (text), sizeof(text) - 1
#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"
/* The same as version 2, with an id. */
#define NAMED                                                      \
	V2_SIGNATURE "\x21\x11\0\x11\xc6\x33\x64\x07\xcb\0\x71\1" \
		      "\x12\x67\1\xbb\5\0\2id"

static void
open_brought(struct rig *rig, const void *header, size_t len)
{
	rig_connect(rig);
	rig_client_sends(rig, header, len);
	cr_assert(rig_shake(rig));
	rig_accept(rig);
}

static void
expect_address(const struct addr *addr, const char *text, const char *what)
{
	char printed[ADDR_TEXT_MAX];

	cr_expect_str_eq(
	    addr_print(addr, printed, sizeof(printed)), text, "%s", what);
}

Test(conn_header, carries_on_the_addresses_that_came_along)
{
	static const struct {
		const char *what, *keys, *given;
		size_t len;
		bool local; /* nothing came along */
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
		struct heard heard;
		struct rig rig;

		rig_init(&rig, rows[i].keys);
		open_brought(&rig, rows[i].given, rows[i].len);
		hear(&rig, &heard);
		cr_expect_eq(
		    heard.header.local, rows[i].local, "%s", rows[i].what);
		if (!rows[i].local) {
			expect_address(&heard.header.client,
			    "198.51.100.7:4711", rows[i].what);
			expect_address(&heard.header.server, "203.0.113.1:443",
			    rows[i].what);
		}
		rig_fini(&rig);
	}
}

Test(conn_header, carries_on_the_id_that_came_along)
{
	struct heard heard;
	struct rig rig;

	rig_init(&rig, IN "proxy_out = v2\nproxy_tlv = unique_id");
	open_brought(&rig, BYTES(NAMED));
	hear(&rig, &heard);
	cr_assert_eq(heard.header.unique_len, 2);
	cr_expect_arr_eq(heard.header.unique, "id", 2);
	rig_fini(&rig);
}

Test(conn_header, makes_an_id_where_none_came_along)
{
	static struct heard heard[2];

	for (size_t i = 0; i < 2; i++) {
		struct rig rig;
		const uint8_t *unique = heard[i].header.unique;

		rig_init(&rig, IN "proxy_out = v2\nproxy_tlv = unique_id");
		open_brought(&rig, BYTES(LINE));
		hear(&rig, &heard[i]);
		cr_assert_eq(heard[i].header.unique_len, 32);
		cr_expect_eq(
		    strspn((const char *)unique, "0123456789abcdef"), 32);
		rig_fini(&rig);
	}
	cr_expect_arr_neq(heard[0].header.unique, heard[1].header.unique, 32);
}
