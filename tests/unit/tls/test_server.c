/*
 * The sites of a listener: which name leads where, which certificate whom it
 * is shown to, and whose sessions are whose.
 */
#include "tls/server.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tls/context.h"

static struct config_listener settings;
static struct ticket_keys *keys;
static struct tls_context *context;
static struct identity *rsa, *ecdsa;

static struct identity *
make_identity(enum pki_key key)
{
	struct pki pair = pki_make(
	    &(struct pki_wish){ .name = "a.example", .key = key });
	struct identity *identity = link_identity(&pair, "");

	pki_drop(&pair);
	return identity;
}

static void
set_up(void)
{
	settings = link_config();
	keys = ticket_keys_new(NULL);
	context = link_context(&settings);
	rsa = make_identity(PKI_RSA);
	ecdsa = make_identity(PKI_P256);
}

static void
tear_down(void)
{
	identity_unref(rsa);
	identity_unref(ecdsa);
	tls_context_unref(context);
	ticket_keys_unref(keys);
}

TestSuite(server, .init = set_up, .fini = tear_down);

/* One more site of the same policy, with these identities; NULL: none. */
static void
add_site(
    struct tls_server *server, struct identity *one, struct identity *other)
{
	struct identity *identities[IDENTITY_KINDS] = {
		[IDENTITY_RSA] = one, [IDENTITY_ECDSA] = other
	};
	struct err err = { .text = "" };

	cr_assert(tls_server_add(server, &settings, context, identities, &err),
	    "%s", err.text);
}

/* Site 0 and two hosts, one of them without a certificate. */
static struct tls_server *
make_server(bool reject)
{
	struct tls_server *server = tls_server_new(3, 4, keys);

	cr_assert_not_null(server);
	add_site(server, NULL, ecdsa);
	add_site(server, rsa, NULL);
	add_site(server, NULL, NULL);
	cr_assert(tls_server_name(server, "a.example", 1));
	cr_assert(tls_server_name(server, "*.example", 1));
	cr_assert(tls_server_name(server, "bare.example", 2));
	cr_assert(tls_server_name(server, "a.example", 2));
	tls_server_seal(server, reject);
	return server;
}

enum { NOWHERE = -1 };

static const struct {
	const char *what, *name;
	int by_default, by_reject;
} finds[] = {
	{ "a name: its first site", "a.example", 1, 1 },
	{ "in upper case, with a dot", "A.Example.", 1, 1 },
	{ "by wildcard", "b.example", 1, 1 },
	{ "unknown", "a.b.example", 0, NOWHERE },
	{ "an address", "192.0.2.1", 0, NOWHERE },
	{ "no name", "", 0, NOWHERE },
	{ "nothing to show for it", "bare.example", NOWHERE, NOWHERE },
};

Test(server, finds_the_site_of_a_name)
{
	struct tls_server *server;
	const struct tls_site *site;

	for (size_t i = 0; i < 2 * ARRAY_LEN(finds); i++) {
		const char *name = finds[i / 2].name;
		bool reject = i % 2 == 1;

		server = make_server(reject);
		site = tls_server_find(server, name, strlen(name));
		cr_expect_eq(site == NULL ? NOWHERE : (int)site->number,
		    reject ? finds[i / 2].by_reject : finds[i / 2].by_default,
		    "%s, %s", finds[i / 2].what, reject ? "reject" : "default");
		tls_server_unref(server);
	}
}

Test(server, counts_and_holds_its_sites)
{
	struct tls_server *server = make_server(false);

	cr_expect_eq(tls_server_count(server), 3);
	cr_expect_eq(tls_server_site(server, 1)->number, 1);
	cr_expect_eq(tls_server_site(server, 1)->settings, &settings);
	cr_expect_eq(tls_server_site(server, 1)->keys, keys);
	cr_expect_eq(tls_server_site(server, 1)->lifetime_ms, 2 * 3600 * 1000);
	tls_server_unref(tls_server_ref(server));
	tls_server_unref(server);
	tls_server_unref(NULL);
}

static void
offer_rsa(SSL *client)
{
	char signatures[] = "rsa_pss_rsae_sha256:RSA+SHA256";

	cr_assert(SSL_set1_sigalgs_list(client, signatures));
}

static void
offer_ecdsa(SSL *client)
{
	char signatures[] = "ECDSA+SHA256";

	cr_assert(SSL_set1_sigalgs_list(client, signatures));
}

static void
offer_all(SSL *client)
{
	(void)client;
}

/* The certificate the status callback finds: what libstaple looks at. */
static X509 *asked_about;

static int
on_status(SSL *ssl, void *arg)
{
	(void)arg;
	asked_about = SSL_get_certificate(ssl);
	return SSL_TLSEXT_ERR_NOACK;
}

static const struct offer {
	const char *what;
	void (*prepare)(SSL *client);
	bool has_rsa, has_ecdsa;
	int expect; /* a kind; NOWHERE: refused */
} offers[] = {
	{ "an RSA client, both", offer_rsa, true, true, IDENTITY_RSA },
	{ "an ECDSA client, both", offer_ecdsa, true, true, IDENTITY_ECDSA },
	{ "a dual client, both", offer_all, true, true, IDENTITY_ECDSA },
	{ "a dual client, RSA", offer_all, true, false, IDENTITY_RSA },
	{ "a dual client, ECDSA", offer_all, false, true, IDENTITY_ECDSA },
	{ "an RSA client, ECDSA", offer_rsa, false, true, NOWHERE },
	{ "an ECDSA client, RSA", offer_ecdsa, true, false, NOWHERE },
};

static X509 *
certificate_of(int kind)
{
	if (kind == NOWHERE)
		return NULL;
	return identity_certificate(kind == IDENTITY_RSA ? rsa : ecdsa);
}

static void
expect_certificate(
    struct tls_server *server, const struct offer *offer, int version)
{
	static char name[] = "a.example";
	struct link link;
	X509 *wanted = certificate_of(offer->expect);
	X509 *seen = NULL;

	asked_about = NULL;
	link_open_tls(&link, LINK_STREAM, server);
	SSL_set_min_proto_version(link.client, version);
	SSL_set_max_proto_version(link.client, version);
	SSL_set_tlsext_status_type(link.client, TLSEXT_STATUSTYPE_ocsp);
	cr_assert(SSL_set_tlsext_host_name(link.client, name));
	offer->prepare(link.client);
	if (link_handshake(&link, NULL) == IO_DONE)
		seen = SSL_get0_peer_certificate(link.client);
	cr_expect_eq(asked_about, wanted, "%s (%x): the very same", offer->what,
	    (unsigned)version);
	cr_expect((seen == NULL) == (wanted == NULL), "%s", offer->what);
	if (seen != NULL && wanted != NULL)
		cr_expect_eq(X509_cmp(seen, wanted), 0, "%s", offer->what);
	link_close(&link);
}

Test(server, shows_each_client_the_certificate_it_can_use)
{
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct tls_server *server = tls_server_new(2, 1, keys);

		add_site(server, NULL, NULL);
		add_site(server, offers[i].has_rsa ? rsa : NULL,
		    offers[i].has_ecdsa ? ecdsa : NULL);
		cr_assert(tls_server_name(server, "a.example", 1));
		tls_server_seal(server, false);
		SSL_CTX_set_tlsext_status_cb(link_native(server), on_status);
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			expect_certificate(
			    server, &offers[i], link_versions[v].version);
		tls_server_unref(server);
	}
}

Test(server, tells_a_connection_its_site)
{
	struct tls_server *server = make_server(false);
	char name[] = "b.example";
	struct link link;

	link_open_tls(&link, LINK_STREAM, server);
	cr_expect_eq(tls_site_of(link.server.ssl), tls_server_site(server, 0));
	cr_assert(SSL_set_tlsext_host_name(link.client, name));
	cr_assert_eq(link_handshake(&link, NULL), IO_DONE);
	cr_expect_eq(tls_site_of(link.server.ssl), tls_server_site(server, 1));
	link_close(&link);
	tls_server_unref(server);
}

/* The scope of a listener's own site. */
static void
scope_of(const struct config_listener *config, uint8_t scope[32])
{
	struct tls_server *server = link_server(config, PKI_P256, keys);

	memcpy(scope, tls_server_site(server, 0)->scope, 32);
	tls_server_unref(server);
}

Test(server, scopes_sessions_by_policy_and_listener)
{
	struct config_listener one = settings, other = settings;
	uint8_t scope[32], again[32], elsewhere[32], stricter[32];

	scope_of(&one, scope);
	other.pattern = NULL;
	other.timeout_idle_ms = 7;
	scope_of(&other, again);
	other.name = "other";
	scope_of(&other, elsewhere);
	one.min_version = TLS_VERSION_1_3;
	scope_of(&one, stricter);
	cr_expect_arr_eq(scope, again, 32, "after a reload");
	cr_expect_arr_neq(scope, elsewhere, 32, "another listener");
	cr_expect_arr_neq(scope, stricter, 32, "another policy");
}

Test(server, refuses_a_key_too_weak_for_the_policy)
{
	struct identity *identities[IDENTITY_KINDS] = { [IDENTITY_RSA] = rsa };
	static const char words[] = "OpenSSL refuses the certificate: ";
	struct tls_server *server = tls_server_new(2, 0, keys);
	struct err err = { .text = "" };
	struct tls_context *strict;

	settings.ciphers = "HIGH:@SECLEVEL=3";
	strict = link_context(&settings);
	add_site(server, rsa, ecdsa);
	cr_expect_not(
	    tls_server_add(server, &settings, strict, identities, &err));
	/* The rest is OpenSSL's reason, in its words. */
	cr_expect_eq(
	    strncmp(err.text, words, strlen(words)), 0, "%s", err.text);
	cr_expect_eq(tls_server_count(server), 1);
	tls_context_unref(strict);
	tls_server_unref(server);
}
