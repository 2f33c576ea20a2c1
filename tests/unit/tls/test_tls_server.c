/*
 * The sites of a listener: which name leads to which site, which certificate a
 * client gets, what scope its session has; hostile and unusual ClientHellos and
 * the alert for each; and the n-th allocation failing for every n: an error or
 * the whole thing, and no connection between two sites.
 */
#include "tls/tls_server.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "base/err.h"
#include "tests/support/hello.h"
#include "tests/support/link.h"
#include "tests/support/scarce.h"
#include "tls/context.h"

static struct config_listener site_settings;
static struct ticket_keys *keys;
static struct tls_context *site_context;
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
	site_settings = link_config();
	keys = ticket_keys_new(NULL);
	site_context = link_context(&site_settings);
	rsa = make_identity(PKI_RSA);
	ecdsa = make_identity(PKI_P256);
}

static void
tear_down(void)
{
	identity_unref(rsa);
	identity_unref(ecdsa);
	tls_context_unref(site_context);
	ticket_keys_unref(keys);
}

TestSuite(tls_server, .init = set_up, .fini = tear_down);

/* One more site of the same policy, with these identities; NULL: none. */
static void
add_site(
    struct tls_server *server, struct identity *one, struct identity *other)
{
	struct identity *identities[IDENTITY_KINDS] = {
		[IDENTITY_RSA] = one, [IDENTITY_ECDSA] = other
	};
	struct err err = { .text = "" };

	cr_assert(tls_server_add(
		      server, &site_settings, site_context, identities, &err),
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
	cr_assert(tls_server_add_name(server, "a.example", 1));
	cr_assert(tls_server_add_name(server, "*.example", 1));
	cr_assert(tls_server_add_name(server, "bare.example", 2));
	cr_assert(tls_server_add_name(server, "a.example", 2));
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

Test(tls_server, finds_the_site_of_a_name)
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

Test(tls_server, counts_its_sites)
{
	struct tls_server *server = make_server(false);

	cr_expect_eq(tls_server_count(server), 3);
	cr_expect_eq(tls_server_site(server, 1)->number, 1);
	cr_expect_eq(tls_server_site(server, 1)->settings, &site_settings);
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

Test(tls_server, sends_a_certificate_the_client_supports)
{
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		struct tls_server *server = tls_server_new(2, 1, keys);

		add_site(server, NULL, NULL);
		add_site(server, offers[i].has_rsa ? rsa : NULL,
		    offers[i].has_ecdsa ? ecdsa : NULL);
		cr_assert(tls_server_add_name(server, "a.example", 1));
		tls_server_seal(server, false);
		SSL_CTX_set_tlsext_status_cb(link_native(server), on_status);
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			expect_certificate(
			    server, &offers[i], link_versions[v].version);
		tls_server_unref(server);
	}
}

Test(tls_server, gives_a_connection_its_site)
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

Test(tls_server, scopes_sessions_by_policy_and_listener)
{
	struct config_listener one = site_settings, other = site_settings;
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

Test(tls_server, refuses_a_key_too_weak_for_the_policy)
{
	struct identity *identities[IDENTITY_KINDS] = { [IDENTITY_RSA] = rsa };
	static const char words[] = "OpenSSL refuses the certificate: ";
	struct tls_server *server = tls_server_new(2, 0, keys);
	struct err err = { .text = "" };
	struct tls_context *strict;

	site_settings.ciphers = "HIGH:@SECLEVEL=3";
	strict = link_context(&site_settings);
	add_site(server, rsa, ecdsa);
	cr_expect_not(
	    tls_server_add(server, &site_settings, strict, identities, &err));
	/* The rest is OpenSSL's reason, in its words. */
	cr_expect_eq(
	    strncmp(err.text, words, strlen(words)), 0, "%s", err.text);
	cr_expect_eq(tls_server_count(server), 1);
	tls_context_unref(strict);
	tls_server_unref(server);
}

/* ---- The ClientHello ---- */

enum { SERVED = -1 };

static struct config_listener listener, hosts[2];

static void
set_up_hosts(void)
{
	listener = link_config();
	hosts[0] = hosts[1] = listener;
	hosts[0].pattern = "a.example";
	hosts[1].pattern = "*.example";
	listener.hosts = hosts;
	listener.host_count = 2;
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down_hosts(void)
{
	ticket_keys_unref(keys);
}

TestSuite(client_hello, .init = set_up_hosts, .fini = tear_down_hosts);

/* The alert that answers these bytes, or SERVED. */
static int
answer(struct tls_server *server, const uint8_t *bytes, size_t len)
{
	uint8_t heard[8192];
	struct link link;
	ssize_t n;

	link_open_tls(&link, LINK_STREAM, server);
	cr_assert_eq(send(link.peer, bytes, len, 0), (ssize_t)len);
	(void)stream_handshake(&link.server);
	n = recv(link.peer, heard, sizeof(heard), 0);
	cr_assert_geq(n, 7, "an answer");
	link_close(&link);
	/* RFC 5246 section 6.2.1: record of type alert; level, description */
	return heard[0] == SSL3_RT_ALERT ? heard[6] : SERVED;
}

static const struct row {
	const char *what;
	const char *sni; /* NULL: none */
	size_t len;
	int by_default, by_reject;
} rows[] = {
	{ "no name", NULL, 0, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "a host",
	    "\0\x0c\0\0\x09"
	    "a.example",
	    14, SERVED, SERVED },
	{ "in upper case",
	    "\0\x0c\0\0\x09"
	    "A.EXAMPLE",
	    14, SERVED, SERVED },
	{ "with a trailing dot",
	    "\0\x0d\0\0\x0a"
	    "a.example.",
	    15, SERVED, SERVED },
	{ "by wildcard",
	    "\0\x0c\0\0\x09"
	    "b.example",
	    14, SERVED, SERVED },
	{ "a wildcard itself",
	    "\0\x0c\0\0\x09"
	    "*.example",
	    14, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "unknown",
	    "\0\x07\0\0\x04"
	    "x.yz",
	    9, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "an address",
	    "\0\x0c\0\0\x09"
	    "192.0.2.1",
	    14, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ "a NUL in it",
	    "\0\x0c\0\0\x09"
	    "a.exa\0ple",
	    14, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ "an empty extension", "", 0, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "an empty list", "\0\0", 2, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "an empty name", "\0\x03\0\0\0", 5, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "another type of name", "\0\x04\x01\0\x01x", 6, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "a type and no more", "\0\x01\0", 3, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "two names", "\0\x08\0\0\x01x\0\0\x01y", 10, SSL_AD_DECODE_ERROR,
	    SSL_AD_DECODE_ERROR },
	{ "a list longer than it is", "\0\x09\0\0\x04x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a list shorter than it is", "\0\x06\0\0\x04x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a name longer than it is", "\0\x07\0\0\x05x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "a name shorter than it is", "\0\x07\0\0\x03x.yz", 9,
	    SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
	{ "half a length", "\0", 1, SSL_AD_DECODE_ERROR, SSL_AD_DECODE_ERROR },
};

static void
walk(enum config_sni_unknown unknown)
{
	uint8_t bytes[HELLO_MAX];
	struct tls_server *server;

	listener.sni_unknown = unknown;
	server = link_server(&listener, PKI_P256, keys);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = hello_make(bytes, rows[i].sni, rows[i].len);

		cr_expect_eq(answer(server, bytes, len),
		    unknown == SNI_REJECT ? rows[i].by_reject
					  : rows[i].by_default,
		    "%s", rows[i].what);
	}
	tls_server_unref(server);
}

Test(client_hello, leads_to_the_listener_with_an_unknown_name)
{
	walk(SNI_DEFAULT);
}

Test(client_hello, gets_an_alert_for_an_unknown_name)
{
	walk(SNI_REJECT);
}

static const struct {
	size_t label; /* before ".example" */
	int by_default, by_reject;
} lengths[] = {
	{ 63, SERVED, SERVED },
	{ 64, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	{ 247, SERVED, SSL_AD_UNRECOGNIZED_NAME },
	/* RFC 1035 section 2.3.4: no name is longer than 255 bytes. */
	{ 248, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ 255, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
	{ 1000, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_UNRECOGNIZED_NAME },
};

static void
walk_lengths(enum config_sni_unknown unknown)
{
	uint8_t sni[HELLO_MAX], bytes[HELLO_MAX];
	struct tls_server *server;
	char name[1024];
	size_t len;

	listener.sni_unknown = unknown;
	server = link_server(&listener, PKI_P256, keys);
	memset(name, 'x', sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		memcpy(name + lengths[i].label, ".example", 8);
		len = hello_sni(sni, name, lengths[i].label + 8);
		len = hello_make(bytes, sni, len);
		cr_expect_eq(answer(server, bytes, len),
		    unknown == SNI_REJECT ? lengths[i].by_reject
					  : lengths[i].by_default,
		    "%zu bytes", lengths[i].label);
		memset(name, 'x', sizeof(name));
	}
	tls_server_unref(server);
}

Test(client_hello, may_have_a_name_of_any_length)
{
	walk_lengths(SNI_DEFAULT);
	walk_lengths(SNI_REJECT);
}

/* A client whose first ClientHello has no group of the server. */
static enum io
say_hello_twice(struct tls_server *server, char *first, char *second)
{
	char groups[] = "X25519:P-384";
	struct link link;
	enum io io;

	link_open_tls(&link, LINK_STREAM, server);
	cr_assert(SSL_set1_groups_list(link.client, groups));
	cr_assert(SSL_set_tlsext_host_name(link.client, first));
	cr_assert_neq(SSL_do_handshake(link.client), 1);
	link_push(&link);
	cr_assert_eq(stream_handshake(&link.server), IO_WANT_READ);
	link_feed(&link);
	cr_assert(SSL_set_tlsext_host_name(link.client, second));
	io = link_handshake(&link, NULL);
	if (io == IO_DONE)
		cr_expect_eq(SSL_get_negotiated_group(link.server.ssl),
		    NID_secp384r1, "there was a second one");
	link_close(&link);
	return io;
}

Test(client_hello, may_come_twice_but_not_with_another_name)
{
	static char a[] = "a.example", b[] = "b.example", c[] = "c.example";
	struct tls_server *server;

	listener.groups = hosts[0].groups = hosts[1].groups = "P-384";
	server = link_server(&listener, PKI_P256, keys);
	cr_expect_eq(say_hello_twice(server, a, a), IO_DONE);
	cr_expect_eq(say_hello_twice(server, a, b), IO_FAILED);
	cr_expect_eq(say_hello_twice(server, b, c), IO_DONE, "one site");
	tls_server_unref(server);
}

/* ---- Out of memory ---- */

enum { ENOUGH = 100000 };

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

static struct config_listener small_listener, small_host;
static struct identity *small_identity;

static void
set_up_memory(void)
{
	struct pki pair = pki_make(&(struct pki_wish){ .name = "a.example" });

	small_identity = link_identity(&pair, "");
	pki_drop(&pair);
	keys = ticket_keys_new(NULL);
	small_listener = small_host = link_config();
	small_host.pattern = "a.example";
	small_host.min_version = TLS_VERSION_1_3;
	small_host.groups = "X25519";
	small_listener.hosts = &small_host;
	small_listener.host_count = 1;
}

static void
tear_down_memory(void)
{
	identity_unref(small_identity);
	ticket_keys_unref(keys);
}

TestSuite(server_memory, .init = set_up_memory, .fini = tear_down_memory);

static bool
build(struct tls_context *context)
{
	struct identity *identities[IDENTITY_KINDS] = {
		[IDENTITY_ECDSA] = small_identity
	};
	struct tls_server *server = tls_server_new(2, 1, keys);
	struct err err = { .text = "" };
	bool ok = server != NULL;

	for (int i = 0; ok && i < 2; i++) {
		ok = tls_server_add(
		    server, &small_listener, context, identities, &err);
		cr_expect_neq(ok, err.text[0] != '\0', "%s", err.text);
	}
	ok = ok && tls_server_add_name(server, "a.example", 1);
	if (ok)
		tls_server_seal(server, false);
	tls_server_unref(server);
	return ok;
}

Test(server_memory, allocation_failure_while_building_is_an_error)
{
	struct tls_context *context = link_context(&small_listener);
	bool failed = true, ok;
	long n;

	cr_assert(build(context));
	for (n = 0; failed && n < ENOUGH; n++) {
		scarce_begin(n);
		ok = build(context);
		failed = scarce_end();
		cr_expect(ok || failed, "allocation %ld", n);
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	}
	cr_expect(n > 10 && n < ENOUGH, "%ld", n);
	tls_context_unref(context);
}

Test(server_memory, allocation_failure_in_a_context_is_an_error)
{
	struct err err = { .text = "" };
	struct tls_context *context;
	bool failed = true;
	long n;

	for (n = 0; failed && n < ENOUGH; n++) {
		scarce_begin(n);
		context = tls_context_new(&small_listener, NULL, &err);
		failed = scarce_end();
		cr_expect(context != NULL || failed, "allocation %ld", n);
		cr_expect(context != NULL || err.text[0] != '\0', "%ld", n);
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
		tls_context_unref(context);
	}
	cr_expect(n > 10 && n < ENOUGH, "%ld", n);
}

/* Was there an n-th allocation while the ClientHello was handled? */
static bool
greet(struct tls_server *server, long n)
{
	static char name[] = "a.example";
	const struct tls_site *site = tls_server_site(server, 1);
	struct link link;
	bool failed;
	enum io io;

	link_open_tls(&link, LINK_STREAM, server);
	SSL_set_tlsext_host_name(link.client, name);
	(void)SSL_do_handshake(link.client);
	link_push(&link);
	scarce_begin(n);
	io = stream_handshake(&link.server);
	failed = scarce_end();
	if (io != IO_FAILED) {
		cr_expect_eq(tls_site_of(link.server.ssl), site, "%ld", n);
		cr_expect_eq(SSL_get_SSL_CTX(link.server.ssl),
		    tls_context_native(site->context), "%ld", n);
		cr_expect_eq(SSL_get_min_proto_version(link.server.ssl),
		    TLS1_3_VERSION, "%ld", n);
	}
	cr_expect(io != IO_FAILED || failed, "allocation %ld", n);
	link_close(&link);
	return failed;
}

Test(server_memory, allocation_failure_leaves_no_client_between_two_sites)
{
	struct tls_server *server = link_server_of(
	    &small_listener, small_identity, keys);
	long n = 0;

	while (n < ENOUGH && greet(server, n))
		n++;
	cr_expect(n > 20 && n < ENOUGH, "%ld", n);
	tls_server_unref(server);
}
