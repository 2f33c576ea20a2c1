/*
 * A connection follows the name its client asked for (see conn_rig.h): to
 * which backend, for how long, and under which name in the log.
 */
#include "proxy/conn_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>

#include "conn_rig.h"
#include "tests/unit/proxy/port.h"

#define HOST "[host web a.example]\n"

/* A client asks for a name (NULL: none) and shakes hands. */
static void
ask_for(struct rig *rig, const char *name)
{
	char own[64];

	rig_connect(rig);
	snprintf(own, sizeof(own), "%s", name ? name : "");
	if (name)
		SSL_set_tlsext_host_name(rig->client, own);
	cr_assert(rig_shake(rig));
}

Test(conn_host, leads_to_a_backend_of_its_own)
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
		ask_for(&rig, rows[i].given);
		cr_expect_eq(rig_conn(&rig)->backend.fd >= 0, true);
		if (rows[i].own) {
			rig_refuse(&rig);
			rig.listening_fd = fd;
		}
		rig_accept(&rig); /* asserts that somebody came here */
		rig_client_says(&rig, "question", 8);
		if (!rows[i].own)
			close(fd);
		rig_fini(&rig);
	}
}

Test(conn_host, lets_the_name_say_how_long_it_may_be_idle)
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
		ask_for(&rig, rows[i].given);
		rig_accept(&rig);
		rig_wait(&rig);
		cr_expect(rig_ended(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

Test(conn_host, lets_the_name_say_how_long_a_backend_is_waited_for)
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
	ask_for(&rig, "a.example");
	rig_wait(&rig);
	cr_expect(rig_ended(&rig, CONN_BACKEND_TIMEOUT));
	close(fd);
	rig_fini(&rig);
}

Test(conn_host, lets_the_name_ask_for_a_header)
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
		ask_for(&rig, rows[i].given);
		rig_accept(&rig);
		cr_expect_eq(rig_backend_hears(&rig, bytes, sizeof(bytes)) > 0,
		    rows[i].expect, "%s", rows[i].what);
		rig_fini(&rig);
	}
}

/* ---- In the log ---- */

Test(conn_host, is_named_in_the_log)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "an exact name", "a.example",
		    " host=a.example sni=a.example " },
		{ "a pattern", "x.b.example",
		    " host=*.b.example sni=x.b.example " },
		{ "a name of nobody", "c.example", " host=- sni=c.example " },
		{ "no name", NULL, " host=- sni=- " },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig rig;

		rig_init(&rig, HOST "[host web *.b.example]\n");
		rig_log(&rig);
		ask_for(&rig, rows[i].given);
		conn_set_close_all(&rig.set, CONN_DRAINED);
		cr_expect(rig_logged(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
}

#define IN "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
#define LINE "PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n"

Test(conn_host, is_logged_with_the_client_and_who_brings_it)
{
	static const struct {
		const char *what, *keys, *given, *expect;
	} rows[] = {
		{ "brought", IN, LINE,
		    " peer=198.51.100.7:4711 via=192.0.2.99:9 " },
		{ "brought without an address", IN, "PROXY UNKNOWN\r\n",
		    " peer=192.0.2.99:9 via=192.0.2.99:9 " },
		{ "not brought", "", "", " peer=192.0.2.99:9 via=- " },
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
shake_as(struct rig *rig, enum client client, const struct pki *alice)
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

Test(conn_host, is_logged_with_what_vouches_for_the_client)
{
	static const struct {
		const char *what, *verify;
		enum client given;
		const char *expect;
	} rows[] = {
		{ "a verified client", "require", WITH,
		    " verify=ok client=alice " },
		{ "one that may show nothing", "optional", WITHOUT,
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
		shake_as(&rig, rows[i].given, &alice);
		conn_set_close_all(&rig.set, CONN_DRAINED);
		cr_expect(rig_logged(&rig, rows[i].expect), "%s", rows[i].what);
		rig_fini(&rig);
	}
	free(pem);
	pki_drop(&alice);
}
