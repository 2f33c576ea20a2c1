/*
 * What a listener's configuration turns into: ALPN, identity, and the things
 * every context has in common.
 */
#include "tls/context.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tls/trust.h"

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

TestSuite(context, .init = set_up, .fini = tear_down);

static char h2[] = "h2", http11[] = "http/1.1", empty[] = "";
static char *protocols[] = { h2, http11 };

static const struct {
	const char *what, *offer;
	unsigned offer_len;
	const char *expect;
} offers[] = {
	{ "ours first", "\x08http/1.1\x02h2", 12, "h2" },
	{ "only the second", "\x03xyz\x08http/1.1", 13, "http/1.1" },
	{ "a client without ALPN", NULL, 0, "" },
};

Test(context, picks_the_protocol_we_prefer)
{
	struct config_listener config = link_config();
	struct tls_server *server;
	struct stream_facts facts;
	struct link link;

	config.alpn = (struct config_strings){ protocols, 2 };
	server = link_server(&config, PKI_P256, keys);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		link_open_tls(&link, LINK_STREAM, server);
		cr_assert_eq(SSL_set_alpn_protos(link.client,
				 (const unsigned char *)offers[i].offer,
				 offers[i].offer_len),
		    0);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_assert_eq(facts.alpn_len, strlen(offers[i].expect), "%s",
		    offers[i].what);
		cr_assert_eq(strncmp(offers[i].expect,
				 facts.alpn ? facts.alpn : "", facts.alpn_len),
		    0, "%s", offers[i].what);
		link_close(&link);
	}
	tls_server_unref(server);
}

Test(context, knows_the_name_the_client_asked_for)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	char name[] = "a.example";
	struct stream_facts facts;
	struct link link;

	for (size_t i = 0; i < 2; i++) {
		link_open_tls(&link, LINK_STREAM, server);
		SSL_set_max_proto_version(link.client, versions[i]);
		cr_assert(SSL_set_tlsext_host_name(link.client, name));
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_assert_str_eq(facts.sni, "a.example");
		link_close(&link);
	}
	link_establish(&link, LINK_STREAM, server, 0);
	stream_facts(&link.server, &facts);
	cr_assert_null(facts.sni, "a client that asked for none");
	link_close(&link);
	tls_server_unref(server);
}

/* Stands for whoever staples: this layer knows nobody. */
static int
on_status(SSL *ssl, void *arg)
{
	/* An OCSPResponse (tryLater): OpenSSL 3.6 decodes it. */
	static const unsigned char der[] = "\x30\x03\x0a\x01\x03";

	(void)arg;
	SSL_set_tlsext_status_ocsp_resp(
	    ssl, OPENSSL_memdup(der, sizeof(der) - 1), sizeof(der) - 1);
	return SSL_TLSEXT_ERR_OK;
}

Test(context, knows_whether_a_staple_was_sent)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	struct stream_facts facts;
	struct link link;

	SSL_CTX_set_tlsext_status_cb(link_native(server), on_status);
	for (size_t i = 0; i < 4; i++) {
		bool asks = i % 2 == 1;

		link_open_tls(&link, LINK_STREAM, server);
		SSL_set_max_proto_version(link.client, versions[i / 2]);
		if (asks)
			SSL_set_tlsext_status_type(
			    link.client, TLSEXT_STATUSTYPE_ocsp);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_expect_eq(facts.stapled, asks, "%zu", i);
		link_close(&link);
	}
	tls_server_unref(server);
}

Test(context, serves_rsa_and_ecdsa)
{
	struct config_listener config = link_config();
	static const enum pki_key kinds[] = { PKI_P256, PKI_RSA };
	struct tls_server *server;
	struct link link;

	for (size_t i = 0; i < 2; i++) {
		server = link_server(&config, kinds[i], keys);
		link_establish(&link, LINK_STREAM, server, TLS1_2_VERSION);
		link_close(&link);
		link_establish(&link, LINK_STREAM, server, TLS1_3_VERSION);
		link_close(&link);
		tls_server_unref(server);
	}
}

Test(context, holds_no_certificate)
{
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config);

	cr_assert_null(SSL_CTX_get0_certificate(tls_context_native(context)));
	cr_assert_null(tls_context_trust(context));
	tls_context_unref(tls_context_ref(context));
	tls_context_unref(context);
}

Test(context, refuses_a_protocol_name_that_cannot_be_sent)
{
	static char *bad[] = { h2, empty };
	struct config_listener config = link_config();
	struct err err;

	config.alpn = (struct config_strings){ bad, 2 };
	cr_assert_null(tls_context_new(&config, NULL, &err));
	cr_assert_str_eq(err.text, "alpn = : a protocol has 1 to 255 bytes");
}

Test(context, allows_no_renegotiation_compression_or_early_data)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	SSL_CTX *native = link_native(server);

	cr_assert(SSL_CTX_get_options(native) & SSL_OP_NO_RENEGOTIATION);
	cr_assert(SSL_CTX_get_options(native) & SSL_OP_NO_COMPRESSION);
	cr_assert_eq(SSL_CTX_get_max_early_data(native), 0);
	cr_assert_eq(
	    SSL_CTX_get_session_cache_mode(native), SSL_SESS_CACHE_OFF);
	cr_assert_eq(SSL_CTX_get_num_tickets(native), 1);
	tls_server_unref(server);
}

static char one[] = "x", two[] = "y", both[] = "xy";
static char *x[] = { one }, *xy[] = { one, two }, *joint[] = { both },
	    *yx[] = { two, one };

/* No two of these are alike. */
static const struct config_listener different[] = {
	{ .name = "a" },
	{ .profile = PROFILE_MODERN },
	{ .min_version = TLS_VERSION_1_2 },
	{ .min_version = TLS_VERSION_1_3 },
	{ .max_version = TLS_VERSION_1_2 },
	{ .max_version = TLS_VERSION_1_3 },
	{ .ciphers = "x" },
	{ .ciphers = "" },
	{ .ciphersuites = "x" },
	{ .ciphersuites = "" },
	{ .groups = "x" },
	{ .groups = "" },
	{ .ciphers = "x", .ciphersuites = "y" },
	{ .ciphers = "xy" },
	{ .alpn = { x, 1 } },
	{ .alpn = { xy, 2 } },
	{ .alpn = { yx, 2 } },
	{ .alpn = { joint, 1 } },
	{ .tickets = true },
	{ .session_timeout_ms = 1 },
	{ .session_timeout_ms = 256 },
	{ .verify = VERIFY_OPTIONAL },
	{ .verify = VERIFY_REQUIRE },
	{ .allow_san = { x, 1 } },
	{ .allow_san = { xy, 2 } },
	{ .allow_san = { joint, 1 } },
	{ .allow_cn = { x, 1 } },
	{ .allow_san = { x, 1 }, .allow_cn = { x, 1 } },
};

Test(context, digests_differ_when_the_policy_does)
{
	enum { ROWS = ARRAY_LEN(different) };
	uint8_t digests[ROWS][32];

	for (size_t i = 0; i < ROWS; i++) {
		cr_assert(
		    tls_context_digest(&different[i], NULL, digests[i], NULL));
		for (size_t j = 0; j < i; j++)
			cr_expect_arr_neq(digests[i], digests[j], 32,
			    "rows %zu and %zu", i, j);
	}
}

static struct config_path files[] = { { "x", { "y", 1 } } };

/* Each is like the first of those above. */
static const struct config_listener alike[] = {
	{ .name = "a" },
	{ .name = "b" },
	{ .name = "a", .pattern = "a.example" },
	{ .where = { "clinch.ini", 7 } },
	{ .ciphers_where = { "clinch.ini", 7 } },
	{ .ca_file = "a path", .crl_file = "another" },
	{ .certs = { files, 1 }, .certs_own = true },
	{ .keys = { files, 1 }, .cert_dir = "x" },
	{ .staple_files = { files, 1 }, .ocsp = OCSP_MODE_MUST },
	{ .on_revoked = OCSP_REVOKED_EXIT },
	{ .sni_unknown = SNI_REJECT },
	{ .timeout_idle_ms = 1234, .max_connections = 7 },
};

Test(context, digest_ignores_names_files_and_places)
{
	uint8_t one_of[32], other[32];

	cr_assert(tls_context_digest(&alike[0], NULL, one_of, NULL));
	for (size_t i = 1; i < ARRAY_LEN(alike); i++) {
		cr_assert(tls_context_digest(&alike[i], NULL, other, NULL));
		cr_expect_arr_eq(other, one_of, 32, "row %zu", i);
	}
}

static void
digest_under(const char *ca_file, uint8_t out[32])
{
	const struct config_listener settings = { .verify = VERIFY_REQUIRE };
	struct err err = { .text = "" };
	struct trust *trust = trust_load(
	    ca_file, NULL, CRL_CHECK_LEAF, time(NULL), NULL, &err);

	cr_assert_not_null(trust, "%s", err.text);
	cr_assert(tls_context_digest(&settings, trust, out, NULL));
	trust_unref(trust);
}

Test(context, digest_follows_the_trust)
{
	struct pki_folder folder;
	char *paths[3];
	uint8_t digests[3][32];

	pki_folder_make(&folder);
	for (size_t i = 0; i < 2; i++) {
		struct pki ca = pki_make(
		    &(struct pki_wish){ .name = "CA", .ca = true });
		char *pem = pki_certificate_pem(&ca);

		paths[i] = pki_write(&folder, i == 0 ? "one" : "two", pem);
		if (i == 0)
			paths[2] = pki_write(&folder, "copy of one", pem);
		free(pem);
		pki_drop(&ca);
	}
	for (size_t i = 0; i < 3; i++) {
		digest_under(paths[i], digests[i]);
		free(paths[i]);
	}
	cr_expect_arr_neq(digests[0], digests[1], 32, "another CA");
	cr_expect_arr_eq(digests[0], digests[2], 32, "another file");
	pki_folder_remove(&folder);
}
