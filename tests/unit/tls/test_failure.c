/*
 * Handshakes that fail, and the words for it: bytes that are no TLS, clients
 * that share nothing with us, clients that do not like us or walk away.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/link.h"

static struct ticket_keys *keys;

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down(void)
{
	ticket_keys_unref(keys);
}

TestSuite(failure, .init = set_up, .fini = tear_down);

static const struct {
	const char *given;
	size_t len;
	const char *expect;
} strangers[] = {
	{ "GET / HTTP/1.1\r\n\r\n", 18, "http request on a TLS port" },
	{ "POST /x HTTP/1.0\r\n", 18, "http request on a TLS port" },
	{ "CONNECT a:443 HTTP/1.1\r\n", 24, "proxy request on a TLS port" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", 21, "the first bytes are not TLS" },
	{ "\0\0\0\0\0\0\0\0", 8, "the first bytes are not TLS" },
	{ "\x16\x03\x01\x00\x05zzzzz", 10, "the first bytes are not TLS" },
};

Test(failure, names_what_is_no_tls)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct link link;
	char text[128];

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		link_open_tls(&link, LINK_STREAM, server);
		cr_assert_eq(
		    send(link.peer, strangers[i].given, strangers[i].len, 0),
		    (ssize_t)strangers[i].len);
		cr_assert_eq(stream_handshake(&link.server), IO_FAILED);
		cr_assert_eq(link.server.failure, STREAM_NOT_TLS, "%s",
		    strangers[i].given);
		cr_assert_str_eq(
		    stream_failure_text(&link.server, text, sizeof(text)),
		    strangers[i].expect);
		link_close(&link);
	}
	tls_server_unref(server);
}

/* One row of a disagreement: what we ask, what the client does, and how the
 * sentence begins (OpenSSL's name of an alert may end it). */
struct quarrel {
	const char *what;
	struct config_listener config;
	void (*prepare)(SSL *client);
	const char *expect;
};

static void
expect_quarrel(const struct quarrel *row)
{
	struct tls_server *server = link_server(&row->config, PKI_P256, keys);
	struct link link;
	char text[128];

	link_open_tls(&link, LINK_STREAM, server);
	row->prepare(link.client);
	cr_assert_eq(link_handshake(&link, NULL), IO_FAILED, "%s", row->what);
	cr_assert_eq(link.server.failure, STREAM_HANDSHAKE, "%s", row->what);
	stream_failure_text(&link.server, text, sizeof(text));
	cr_assert_eq(strncmp(text, row->expect, strlen(row->expect)), 0,
	    "%s: %s", row->what, text);
	link_close(&link);
	tls_server_unref(server);
}

static void
at_most_11(SSL *client)
{
	SSL_set_security_level(client, 0);
	SSL_set_min_proto_version(client, TLS1_VERSION);
	SSL_set_max_proto_version(client, TLS1_1_VERSION);
}

static void
at_most_12(SSL *client)
{
	SSL_set_max_proto_version(client, TLS1_2_VERSION);
}

static void
at_least_13(SSL *client)
{
	SSL_set_min_proto_version(client, TLS1_3_VERSION);
}

Test(failure, tells_which_version_is_missing)
{
	struct config_listener any = link_config(), new = any, old = any;

	new.min_version = TLS_VERSION_1_3;
	old.max_version = TLS_VERSION_1_2;
	expect_quarrel(&(struct quarrel){ "old client", any, at_most_11,
	    "no protocol version in common (client offers at most TLSv1.1)" });
	expect_quarrel(&(struct quarrel){ "1.2 client", new, at_most_12,
	    "no protocol version in common (client offers at most TLSv1.2)" });
	expect_quarrel(&(struct quarrel){ "1.3 client", old, at_least_13,
	    "no protocol version in common (client offers only TLSv1.3)" });
}

static void
rsa_only(SSL *client)
{
	at_most_12(client);
	cr_assert(SSL_set_cipher_list(client, "ECDHE-RSA-AES128-GCM-SHA256"));
}

static void
p521_only(SSL *client)
{
	char groups[] = "P-521";

	cr_assert(SSL_set1_groups_list(client, groups));
	at_least_13(client);
}

static void
rsa_signatures(SSL *client)
{
	char signatures[] = "rsa_pss_rsae_sha256";

	cr_assert(SSL_set1_sigalgs_list(client, signatures));
	at_least_13(client);
}

static void
alpn_spdy(SSL *client)
{
	static const unsigned char offer[] = "\x04spdy";

	cr_assert_eq(SSL_set_alpn_protos(client, offer, 5), 0);
}

Test(failure, tells_what_is_not_shared)
{
	static char h2[] = "h2";
	static char *protocols[] = { h2 };
	struct config_listener any = link_config(), alpn = any;

	alpn.alpn = (struct config_strings){ protocols, 1 };
	expect_quarrel(&(struct quarrel){
	    "RSA client", any, rsa_only, "no shared cipher" });
	expect_quarrel(&(struct quarrel){
	    "P-521 client", any, p521_only, "no shared group" });
	expect_quarrel(&(struct quarrel){ "RSA signatures", any, rsa_signatures,
	    "client accepts no signature our key can make" });
	expect_quarrel(&(struct quarrel){
	    "SPDY client", alpn, alpn_spdy, "no ALPN protocol in common" });
}

static void
for_nobody(SSL *client)
{
	static char name[] = "nobody.example";

	cr_assert(SSL_set_tlsext_host_name(client, name));
}

Test(failure, tells_that_the_client_asked_for_somebody_else)
{
	struct config_listener strict = link_config();

	strict.sni_unknown = SNI_REJECT;
	expect_quarrel(&(struct quarrel){ "unknown name", strict, for_nobody,
	    "client asked for no name of ours" });
	expect_quarrel(&(struct quarrel){ "no name", strict, at_most_12,
	    "client asked for no name of ours" });
}

static void
distrustful(SSL *client)
{
	SSL_set_verify(client, SSL_VERIFY_PEER, NULL);
}

static void
distrustful_12(SSL *client)
{
	at_most_12(client);
	distrustful(client);
}

Test(failure, tells_that_the_client_rejected_our_certificate)
{
	struct config_listener any = link_config();

	expect_quarrel(&(struct quarrel){ "TLSv1.3", any, distrustful,
	    "client rejected our certificate: alert " });
	expect_quarrel(&(struct quarrel){ "TLSv1.2", any, distrustful_12,
	    "client rejected our certificate: alert " });
}

static const struct {
	const char *what;
	size_t len;
} partings[] = {
	{ "before the first byte", 0 },
	{ "within the record header", 3 },
	{ "within the ClientHello", 8 },
};

Test(failure, tells_that_the_client_left_half_way)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct link link;
	char text[128];

	for (size_t i = 0; i < 3; i++) {
		link_open_tls(&link, LINK_STREAM, server);
		cr_assert_eq(send(link.peer, "\x16\x03\x01\x00\xc0\x01\x00\x00",
				 partings[i].len, 0),
		    (ssize_t)partings[i].len);
		cr_assert_eq(stream_handshake(&link.server), IO_WANT_READ);
		link_fin(&link);
		stream_readable(&link.server);
		cr_assert_eq(stream_handshake(&link.server), IO_FAILED);
		cr_assert_eq(link.server.failure, STREAM_CLOSED_EARLY, "%s",
		    partings[i].what);
		cr_assert_str_eq(
		    stream_failure_text(&link.server, text, sizeof(text)),
		    "client left in the middle of the handshake");
		link_close(&link);
	}
	tls_server_unref(server);
}

Test(failure, lets_the_alert_reach_the_client)
{
	struct config_listener config = link_config();
	struct tls_server *server;
	struct link link;
	int said;

	config.min_version = TLS_VERSION_1_3;
	server = link_server(&config, PKI_P256, keys);
	link_open_tls(&link, LINK_PACKETS, server);
	at_most_12(link.client);
	cr_assert_eq(link_handshake(&link, &said), IO_FAILED);
	cr_assert_eq(link.sends, 1, "one alert");
	cr_assert_eq(SSL_get_state(link.client), TLS_ST_CW_CLNT_HELLO);
	cr_assert_neq(said, 1);
	link_close(&link);
	tls_server_unref(server);
}

Test(failure, is_not_there_without_one)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct link link;
	char text[128];

	link_establish(&link, LINK_STREAM, server, 0);
	cr_assert_eq(link.server.failure, STREAM_OK);
	cr_assert_str_eq(stream_failure_text(&link.server, text, sizeof(text)),
	    "no failure");
	link_close(&link);
	tls_server_unref(server);
}
