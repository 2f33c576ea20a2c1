/*
 * What a listener's configuration turns into: ALPN, identity, and the things
 * every context has in common.
 */
#include "tls/context.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tls/identity.h"

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
	struct tls_context *context;
	struct stream_facts facts;
	struct link link;

	config.alpn = (struct config_strings){ protocols, 2 };
	context = link_context(&config, PKI_P256, keys);
	for (size_t i = 0; i < 3; i++) {
		link_open_tls(&link, LINK_STREAM, context);
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
	tls_context_unref(context);
}

Test(context, knows_the_name_the_client_asked_for)
{
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config, PKI_P256, keys);
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	char name[] = "a.example";
	struct stream_facts facts;
	struct link link;

	for (size_t i = 0; i < 2; i++) {
		link_open_tls(&link, LINK_STREAM, context);
		SSL_set_max_proto_version(link.client, versions[i]);
		cr_assert(SSL_set_tlsext_host_name(link.client, name));
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_assert_str_eq(facts.sni, "a.example");
		link_close(&link);
	}
	link_establish(&link, LINK_STREAM, context, 0);
	stream_facts(&link.server, &facts);
	cr_assert_null(facts.sni, "a client that asked for none");
	link_close(&link);
	tls_context_unref(context);
}

/* Stands for whoever staples: this layer knows nobody. */
static int
on_status(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_set_tlsext_status_ocsp_resp(ssl, OPENSSL_strdup("any"), 3);
	return SSL_TLSEXT_ERR_OK;
}

Test(context, knows_whether_a_staple_was_sent)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config, PKI_P256, keys);
	struct stream_facts facts;
	struct link link;

	SSL_CTX_set_tlsext_status_cb(tls_context_native(context), on_status);
	for (size_t i = 0; i < 4; i++) {
		bool asks = i % 2 == 1;

		link_open_tls(&link, LINK_STREAM, context);
		SSL_set_max_proto_version(link.client, versions[i / 2]);
		if (asks)
			SSL_set_tlsext_status_type(
			    link.client, TLSEXT_STATUSTYPE_ocsp);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		stream_facts(&link.server, &facts);
		cr_expect_eq(facts.stapled, asks, "%zu", i);
		link_close(&link);
	}
	tls_context_unref(context);
}

Test(context, serves_rsa_and_ecdsa)
{
	struct config_listener config = link_config();
	static const enum pki_key kinds[] = { PKI_P256, PKI_RSA };
	struct tls_context *context;
	struct link link;

	for (size_t i = 0; i < 2; i++) {
		context = link_context(&config, kinds[i], keys);
		link_establish(&link, LINK_STREAM, context, TLS1_2_VERSION);
		link_close(&link);
		link_establish(&link, LINK_STREAM, context, TLS1_3_VERSION);
		link_close(&link);
		tls_context_unref(context);
	}
}

Test(context, is_what_the_stapling_joint_expects)
{
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config, PKI_P256, keys);
	struct identity *identity = tls_context_identity(context);

	cr_assert_not_null(identity);
	cr_assert_eq(SSL_CTX_get0_certificate(tls_context_native(context)),
	    identity_certificate(identity), "the same pointer");
	tls_context_unref(tls_context_ref(context));
	tls_context_unref(context);
}

Test(context, refuses_a_protocol_name_that_cannot_be_sent)
{
	static char *bad[] = { h2, empty };
	struct config_listener config = link_config();
	struct tls_context *donor = link_context(&config, PKI_P256, keys);
	struct err err, warning;

	config.alpn = (struct config_strings){ bad, 2 };
	cr_assert_null(tls_context_new(
	    &config, tls_context_identity(donor), keys, &warning, &err));
	cr_assert_str_eq(err.text, "alpn = : a protocol has 1 to 255 bytes");
	tls_context_unref(donor);
}

Test(context, allows_no_renegotiation_compression_or_early_data)
{
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config, PKI_P256, keys);
	SSL_CTX *native = tls_context_native(context);

	cr_assert(SSL_CTX_get_options(native) & SSL_OP_NO_RENEGOTIATION);
	cr_assert(SSL_CTX_get_options(native) & SSL_OP_NO_COMPRESSION);
	cr_assert_eq(SSL_CTX_get_max_early_data(native), 0);
	cr_assert_eq(
	    SSL_CTX_get_session_cache_mode(native), SSL_SESS_CACHE_OFF);
	cr_assert_eq(SSL_CTX_get_num_tickets(native), 1);
	tls_context_unref(context);
}
