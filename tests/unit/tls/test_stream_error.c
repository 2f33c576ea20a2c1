/*
 * Handshakes that fail, and the words for it: bytes that are not TLS, clients
 * that share no parameter with the server, clients that reject its certificate
 * or leave, and clients that are refused for their certificates.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/support/link.h"
#include "tests/unit/tls/client_fixture.h"

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

TestSuite(stream_error, .init = set_up, .fini = tear_down);

static const struct {
	const char *given;
	size_t len;
	const char *expect;
} not_tls[] = {
	{ "GET / HTTP/1.1\r\n\r\n", 18, "http request on a TLS port" },
	{ "POST /x HTTP/1.0\r\n", 18, "http request on a TLS port" },
	{ "CONNECT a:443 HTTP/1.1\r\n", 24, "proxy request on a TLS port" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", 21, "the first bytes are not TLS" },
	{ "\0\0\0\0\0\0\0\0", 8, "the first bytes are not TLS" },
	{ "\x16\x03\x01\x00\x05zzzzz", 10, "the first bytes are not TLS" },
};

Test(stream_error, names_bytes_that_are_not_tls)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct link link;
	char text[128];

	for (size_t i = 0; i < sizeof(not_tls) / sizeof(not_tls[0]); i++) {
		link_open_tls(&link, LINK_STREAM, server);
		cr_assert_eq(
		    send(link.peer, not_tls[i].given, not_tls[i].len, 0),
		    (ssize_t)not_tls[i].len);
		cr_assert_eq(stream_handshake(&link.server), IO_FAILED);
		cr_assert_eq(
		    link.server.error, STREAM_NOT_TLS, "%s", not_tls[i].given);
		cr_assert_str_eq(
		    stream_error_text(&link.server, text, sizeof(text)),
		    not_tls[i].expect);
		link_close(&link);
	}
	tls_server_unref(server);
}

/* One row of a disagreement: the settings, the client, and how the
 * sentence begins (OpenSSL's name of an alert may end it). */
struct mismatch {
	const char *what;
	struct config_listener config;
	void (*prepare)(SSL *client);
	const char *expect;
};

static void
expect_mismatch(const struct mismatch *row)
{
	struct tls_server *server = link_server(&row->config, PKI_P256, keys);
	struct link link;
	char text[128];

	link_open_tls(&link, LINK_STREAM, server);
	row->prepare(link.client);
	cr_assert_eq(link_handshake(&link, NULL), IO_FAILED, "%s", row->what);
	cr_assert_eq(link.server.error, STREAM_HANDSHAKE, "%s", row->what);
	stream_error_text(&link.server, text, sizeof(text));
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

Test(stream_error, names_the_missing_version)
{
	struct config_listener any = link_config(), new = any, old = any;

	new.min_version = TLS_VERSION_1_3;
	old.max_version = TLS_VERSION_1_2;
	expect_mismatch(&(struct mismatch){ "old client", any, at_most_11,
	    "no protocol version in common (client offers at most TLSv1.1)" });
	expect_mismatch(&(struct mismatch){ "1.2 client", new, at_most_12,
	    "no protocol version in common (client offers at most TLSv1.2)" });
	expect_mismatch(&(struct mismatch){ "1.3 client", old, at_least_13,
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

Test(stream_error, names_the_parameter_without_a_common_value)
{
	static char h2[] = "h2";
	static char *protocols[] = { h2 };
	struct config_listener any = link_config(), alpn = any;

	alpn.alpn = (struct config_strings){ protocols, 1 };
	expect_mismatch(&(struct mismatch){
	    "RSA client", any, rsa_only, "no shared cipher" });
	expect_mismatch(&(struct mismatch){
	    "P-521 client", any, p521_only, "no shared group" });
	expect_mismatch(&(struct mismatch){ "RSA signatures", any,
	    rsa_signatures,
	    "no shared signature algorithm for the key of the certificate" });
	expect_mismatch(&(struct mismatch){
	    "SPDY client", alpn, alpn_spdy, "no ALPN protocol in common" });
}

static void
for_nobody(SSL *client)
{
	static char name[] = "nobody.example";

	cr_assert(SSL_set_tlsext_host_name(client, name));
}

Test(stream_error, names_an_unknown_sni)
{
	struct config_listener strict = link_config();

	strict.sni_unknown = SNI_REJECT;
	expect_mismatch(&(struct mismatch){ "unknown name", strict, for_nobody,
	    "unrecognized_name: no site for the SNI of the client" });
	expect_mismatch(&(struct mismatch){ "no name", strict, at_most_12,
	    "unrecognized_name: no site for the SNI of the client" });
}

static void
reject_certificate(SSL *client)
{
	SSL_set_verify(client, SSL_VERIFY_PEER, NULL);
}

static void
reject_certificate_12(SSL *client)
{
	at_most_12(client);
	reject_certificate(client);
}

Test(stream_error, names_a_rejected_certificate)
{
	struct config_listener any = link_config();

	expect_mismatch(&(struct mismatch){ "TLSv1.3", any, reject_certificate,
	    "client rejected the certificate: alert " });
	expect_mismatch(&(struct mismatch){ "TLSv1.2", any,
	    reject_certificate_12, "client rejected the certificate: alert " });
}

static const struct {
	const char *what;
	size_t len;
} partings[] = {
	{ "before the first byte", 0 },
	{ "within the record header", 3 },
	{ "within the ClientHello", 8 },
};

Test(stream_error, names_a_client_that_closed_early)
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
		cr_assert_eq(link.server.error, STREAM_CLOSED_EARLY, "%s",
		    partings[i].what);
		cr_assert_str_eq(
		    stream_error_text(&link.server, text, sizeof(text)),
		    "client closed the connection during the handshake");
		link_close(&link);
	}
	tls_server_unref(server);
}

Test(stream_error, lets_the_alert_reach_the_client)
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

Test(stream_error, is_empty_without_an_error)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct link link;
	char text[128];

	link_establish(&link, LINK_STREAM, server, 0);
	cr_assert_eq(link.server.error, STREAM_OK);
	cr_assert_str_eq(
	    stream_error_text(&link.server, text, sizeof(text)), "no failure");
	link_close(&link);
	tls_server_unref(server);
}

/* ---- Client certificates ---- */

static struct pki ended, early, forged, alone, foreign, server_only, nameless;
static struct pki long_name;

static struct pki
make(const char *from, const char *to, const char *usage)
{
	return pki_make(&(struct pki_wish){ .name = "robot",
	    .issuer = &fixture.ca,
	    .from = from,
	    .to = to,
	    .usage = usage });
}

static struct pki
make_long(void)
{
	struct pki made = pki_make(&(struct pki_wish){ .issuer = &fixture.ca });
	unsigned char name[100];

	memset(name, 'x', sizeof(name));
	cr_assert(
	    X509_NAME_add_entry_by_NID(X509_get_subject_name(made.certificate),
		NID_commonName, V_ASN1_UTF8STRING, name, sizeof(name), -1, 0));
	cr_assert(
	    X509_sign(made.certificate, fixture.ca.key, EVP_sha256()) > 0);
	return made;
}

/* Its issuer has the name of the CA, and another key. */
static struct pki
make_forged(void)
{
	struct pki ca = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	struct pki made = pki_make(
	    &(struct pki_wish){ .name = "robot", .issuer = &ca });

	pki_drop(&ca);
	return made;
}

static void
write_lists(void)
{
	struct pki false_ca = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });

	fixture_write_crl(
	    "ended.crl", &(struct crl_wish){
			     .issuer = &fixture.ca, .to = "20210101000000Z" });
	fixture_write_crl(
	    "early.crl", &(struct crl_wish){ .issuer = &fixture.ca,
			     .from = "20980101000000Z" });
	fixture_write_crl(
	    "other.crl", &(struct crl_wish){ .issuer = &fixture.other_ca });
	fixture_write_crl(
	    "forged.crl", &(struct crl_wish){ .issuer = &false_ca });
	pki_drop(&false_ca);
}

static void
set_up_clients(void)
{
	fixture_open();
	ended = make(NULL, "20210101000000Z", NULL);
	early = make("20980101000000Z", NULL, NULL);
	server_only = make(NULL, NULL, "serverAuth");
	alone = pki_make(&(struct pki_wish){ .name = "robot" });
	foreign = pki_make(
	    &(struct pki_wish){ .name = "robot", .issuer = &fixture.other_ca });
	nameless = pki_make(&(struct pki_wish){ .issuer = &fixture.ca });
	forged = make_forged();
	long_name = make_long();
	write_lists();
}

static void
tear_down_clients(void)
{
	struct pki *all[] = { &ended, &early, &forged, &alone, &foreign,
		&server_only, &nameless, &long_name };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		pki_drop(all[i]);
	fixture_close();
}

TestSuite(client_errors, .init = set_up_clients, .fini = tear_down_clients);

#define X16 "xxxxxxxxxxxxxxxx"

static const struct {
	const struct pki *pair;
	struct policy_row rule;
	const char *expect;
} rows[] = {
	{ NULL, { REQUIRE },
	    "no client certificate was sent, and one is required" },
	{ &ended, { REQUIRE },
	    "client certificate CN=robot: certificate has expired" },
	{ &ended, { OPTIONAL },
	    "client certificate CN=robot: certificate has expired" },
	{ &early, { REQUIRE },
	    "client certificate CN=robot: certificate is not yet valid" },
	{ &forged, { REQUIRE },
	    "client certificate CN=robot: certificate signature failure" },
	{ &server_only, { REQUIRE },
	    "client certificate CN=robot: not valid for clients "
	    "(extendedKeyUsage)" },
	{ &alone, { REQUIRE },
	    "client certificate CN=robot: not issued by a CA in ca_file" },
	{ &fixture.client, { REQUIRE, .ca = "other.pem" },
	    "client certificate CN=client: not issued by a CA in ca_file" },
	{ &foreign, { REQUIRE },
	    "client certificate CN=robot: not issued by a CA in ca_file" },
	{ &fixture.client, { REQUIRE, .crl = "revoked.crl" },
	    "client certificate CN=client: certificate revoked" },
	{ &fixture.client, { REQUIRE, .crl = "other.crl" },
	    "client certificate CN=client: no CRL of its issuer in crl_file" },
	{ &fixture.client, { REQUIRE, .crl = "ended.crl" },
	    "client certificate CN=client: the CRL of its issuer has expired" },
	{ &fixture.client, { REQUIRE, .crl = "early.crl" },
	    "client certificate CN=client: the CRL of its issuer is not "
	    "valid yet" },
	{ &fixture.client, { REQUIRE, .crl = "forged.crl" },
	    "client certificate CN=client: the CRL of its issuer has a "
	    "bad signature" },
	{ &fixture.client, { REQUIRE, .allow = "else.example" },
	    "client certificate CN=client: not allowed by allow_san or "
	    "allow_cn" },
	{ &nameless, { REQUIRE, .cn = "client" },
	    "client certificate: not allowed by allow_san or allow_cn" },
	{ &long_name, { REQUIRE, .cn = "client" },
	    "client certificate CN=" X16 X16 X16 X16
	    ": not allowed by allow_san or allow_cn" },
};

Test(client_errors, name_the_certificate_and_the_reason)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			struct open_client opened = { .v = v,
				.pair = rows[i].pair };
			struct policy_server policy_server;
			char text[256];

			if (rows[i].pair == &foreign)
				opened.along = &fixture.other_ca; /* its root */
			policy_server_open(&policy_server, &rows[i].rule, 1);
			cr_expect_eq(
			    open_client_connect(&opened, policy_server.server),
			    IO_FAILED);
			cr_expect_eq(
			    opened.link.server.error, STREAM_HANDSHAKE);
			cr_expect_str_eq(stream_error_text(&opened.link.server,
					     text, sizeof(text)),
			    rows[i].expect, "%s: %s", link_versions[v].what,
			    text);
			open_client_close(&opened);
			policy_server_close(&policy_server);
		}
}

/* See test_client_cert.c: the clock of tickets stands in 2020. */
Test(client_errors, name_a_refused_session)
{
	fixture.now_ms = CLIENT_2020_S * 1000;
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct open_client opened = {
			.v = v, .pair = &ended, .in_2020 = true
		};
		struct policy_server policy_server;
		char text[256];

		policy_server_open(
		    &policy_server, &(struct policy_row){ REQUIRE }, 1);
		cr_assert_eq(open_client_connect(&opened, policy_server.server),
		    IO_DONE);
		open_client_keep_session(&opened);
		open_client_close(&opened);
		cr_assert_eq(open_client_connect(&opened, policy_server.server),
		    IO_FAILED);
		cr_expect_str_eq(
		    stream_error_text(&opened.link.server, text, sizeof(text)),
		    "client certificate CN=robot: resumed session "
		    "refused by verify, allow rules, dates or CRLs");
		open_client_close(&opened);
		open_client_drop_session(&opened);
		policy_server_close(&policy_server);
	}
}
