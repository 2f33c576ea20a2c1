/*
 * What is known of a stream about the certificate its client was shown; what
 * is known of the client's is test_client_facts.c's.
 */
#include "tls/stream.h"

#include <criterion/criterion.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "tests/support/link.h"
#include "tls/context.h"

static struct config_listener config;
static struct ticket_keys *keys;

static void
set_up(void)
{
	config = link_config();
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down(void)
{
	ticket_keys_unref(keys);
}

TestSuite(facts, .init = set_up, .fini = tear_down);

/* A certificate for this key, which it takes. */
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

Test(facts, name_key_and_signature_as_haproxy_does)
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
		struct tls_server *server = link_server_of(
		    &config, identity, keys);
		struct link link;

		link_establish(&link, LINK_STREAM, server, 0);
		expect_shown(
		    &link, rows[i].key_algorithm, rows[i].signature_algorithm);
		link_close(&link);
		tls_server_unref(server);
		identity_unref(identity);
	}
}

/* A server with one identity of each kind. */
static struct tls_server *
make_dual(void)
{
	struct tls_context *context = link_context(&config);
	struct tls_server *server = tls_server_new(1, 0, keys);
	struct identity *identities[IDENTITY_KINDS] = { NULL };
	struct err err;

	identities[IDENTITY_RSA] = identity_of(EVP_RSA_gen(2048), EVP_sha256());
	identities[IDENTITY_ECDSA] = identity_of(
	    EVP_EC_gen("P-256"), EVP_sha256());
	cr_assert(tls_server_add(server, &config, context, identities, &err));
	tls_server_seal(server, false);
	identity_unref(identities[IDENTITY_RSA]);
	identity_unref(identities[IDENTITY_ECDSA]);
	tls_context_unref(context);
	return server;
}

Test(facts, are_those_of_the_certificate_the_client_could_use)
{
	static struct {
		char given[32]; /* what the client verifies */
		const char *key_algorithm, *signature_algorithm;
	} rows[] = {
		{ "ECDSA+SHA256", "EC256", "ecdsa-with-SHA256" },
		{ "rsa_pss_rsae_sha256:RSA+SHA256", "RSA2048", "RSA-SHA256" },
	};
	struct tls_server *server = make_dual();

	for (size_t i = 0; i < ARRAY_LEN(rows) * LINK_VERSIONS; i++) {
		struct link link;

		link_open_tls(&link, LINK_STREAM, server);
		SSL_set_max_proto_version(
		    link.client, link_versions[i % 2].version);
		SSL_set1_sigalgs_list(link.client, rows[i / 2].given);
		cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
		expect_shown(&link, rows[i / 2].key_algorithm,
		    rows[i / 2].signature_algorithm);
		link_close(&link);
	}
	tls_server_unref(server);
}

/* The session of an earlier connection. */
static SSL_SESSION *
begin_session(struct tls_server *server, int version)
{
	SSL_SESSION *session;
	struct link link;
	char text[8];

	link_establish(&link, LINK_STREAM, server, version);
	(void)stream_flush(&link.server);
	(void)link_hear(&link, text, sizeof(text));
	cr_assert_not_null(link.session);
	session = link.session;
	link.session = NULL;
	link_close(&link);
	return session;
}

Test(facts, show_no_certificate_of_a_resumed_session)
{
	struct tls_server *server = link_server(&config, PKI_P256, keys);

	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		SSL_SESSION *session = begin_session(
		    server, link_versions[v].version);
		struct stream_facts facts;
		struct link link;

		link_open_tls(&link, LINK_STREAM, server);
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
	tls_server_unref(server);
}

Test(facts, tell_what_was_asked_for_and_agreed)
{
	static const uint8_t offer[] = "\2h2\x08http/1.1";
	static char http[] = "http/1.1", *protocols[] = { http };
	char name[] = "a.example";
	struct tls_server *server;
	struct stream_facts facts;
	struct link link;

	config.alpn = (struct config_strings){ protocols, 1 };
	server = link_server(&config, PKI_P256, keys);
	link_open_tls(&link, LINK_STREAM, server);
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
	tls_server_unref(server);
}
