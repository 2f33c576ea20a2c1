/*
 * A host is what its own policy says, whatever its listener says: OpenSSL
 * switches only part of a context.  Two policies at a time take turns at being
 * the listener and its host, in both protocol versions, and each must behave
 * the same in either place.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crl.h"
#include "tests/support/link.h"

#define POLICY                                                           \
	.name = "test", .min_version = TLS_VERSION_1_2, .tickets = true, \
	.session_timeout_ms = 2 * 3600 * 1000

enum { LISTENER, HOST, PLACES };

/* Two policies, a client, and what becomes of it under each. */
struct row {
	const char *what;
	int version; /* of the client; 0: each alone; ANY: all at once */
	struct config_listener one, other;
	void (*prepare)(SSL *client);
	const char *(*look)(struct link *link);
	const char *expect_one, *expect_other;
};

#define ANY 1

static struct ticket_keys *keys;
static struct pki_folder folder;
static struct pki our_ca, their_ca, ours, theirs, weak;
static char our_file[96], their_file[96], list_file[96];

static void
keep(char path[96], const char *name, char *pem)
{
	char *written = pki_write(&folder, name, pem);

	cr_assert_lt(strlen(written), 96);
	strcpy(path, written);
	free(written);
	free(pem);
}

static void
make_clients(void)
{
	struct pki_wish wish = { .name = "our CA", .ca = true };

	our_ca = pki_make(&wish);
	wish.name = "their CA";
	their_ca = pki_make(&wish);
	wish = (struct pki_wish){ .name = "client", .issuer = &our_ca };
	ours = pki_make(&wish);
	wish.key = PKI_RSA;
	weak = pki_make(&wish);
	wish = (struct pki_wish){ .name = "client", .issuer = &their_ca };
	theirs = pki_make(&wish);
	keep(our_file, "ours", pki_certificate_pem(&our_ca));
	keep(their_file, "theirs", pki_certificate_pem(&their_ca));
}

static void
set_up(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
	pki_folder_make(&folder);
	make_clients();
	keep(list_file, "list",
	    crl_pem(&(struct crl_wish){ .issuer = &our_ca, .revoked = &ours }));
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
	pki_drop(&our_ca);
	pki_drop(&their_ca);
	pki_drop(&ours);
	pki_drop(&theirs);
	pki_drop(&weak);
	ticket_keys_unref(keys);
}

TestSuite(apply, .init = set_up, .fini = tear_down);

static void
limit(SSL *client, int version)
{
	if (version == ANY)
		return;
	SSL_set_min_proto_version(client, version);
	SSL_set_max_proto_version(client, version);
}

static char host_name[] = "host.example", other_name[] = "other.example";

/* A client in that place.  What its server saw, or "refused". */
static void
expect(struct tls_server *server, int place, int version, const struct row *row)
{
	static const char *const places[] = { "the listener", "the host" };
	static char *const names[] = { other_name, host_name };
	const char *wanted = place == LISTENER ? row->expect_one
					       : row->expect_other;
	struct link link;
	const char *seen = "refused";

	link_open_tls(&link, LINK_STREAM, server);
	limit(link.client, version);
	cr_assert(SSL_set_tlsext_host_name(link.client, names[place]));
	if (row->prepare != NULL)
		row->prepare(link.client);
	if (link_handshake(&link, NULL) == IO_DONE)
		seen = row->look(&link);
	cr_expect_str_eq(seen, wanted, "%s: %s (%x): %s, not %s", row->what,
	    places[place], (unsigned)version, seen, wanted);
	link_close(&link);
}

static void
try_in_place(const struct row *row)
{
	struct config_listener listener = row->one, host = row->other;
	struct tls_server *server;

	host.pattern = "host.example";
	listener.hosts = &host;
	listener.host_count = 1;
	server = link_server(&listener, PKI_P256, keys);
	for (int place = LISTENER; place < PLACES; place++)
		for (size_t v = 0; v < LINK_VERSIONS; v++)
			if (row->version == 0)
				expect(server, place, link_versions[v].version,
				    row);
			else if (v == 0)
				expect(server, place, row->version, row);
	tls_server_unref(server);
}

static void
try_both_ways(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct row turned = rows[i];

		turned.one = rows[i].other;
		turned.other = rows[i].one;
		turned.expect_one = rows[i].expect_other;
		turned.expect_other = rows[i].expect_one;
		try_in_place(&rows[i]);
		try_in_place(&turned);
	}
}

static const char *
version(struct link *link)
{
	return SSL_get_version(link->server.ssl);
}

static const struct row version_rows[] = {
	{ "min_version, an old client", TLS1_2_VERSION,
	    { POLICY, .max_version = TLS_VERSION_1_3 },
	    { .name = "test", .min_version = TLS_VERSION_1_3 }, NULL, version,
	    "TLSv1.2", "refused" },
	{ "max_version, a new client", TLS1_3_VERSION,
	    { POLICY, .max_version = TLS_VERSION_1_2 }, { POLICY }, NULL,
	    version, "refused", "TLSv1.3" },
	{ "max_version, any client", ANY,
	    { POLICY, .max_version = TLS_VERSION_1_2 }, { POLICY }, NULL,
	    version, "TLSv1.2", "TLSv1.3" },
	{ "1.2 alone and 1.3 alone", ANY,
	    { POLICY, .max_version = TLS_VERSION_1_2 },
	    { .name = "test", .min_version = TLS_VERSION_1_3 }, NULL, version,
	    "TLSv1.2", "TLSv1.3" },
	{ "profile, an old client", TLS1_2_VERSION,
	    { POLICY, .profile = PROFILE_MODERN }, { POLICY }, NULL, version,
	    "refused", "TLSv1.2" },
	{ "profile, a new client", TLS1_3_VERSION,
	    { POLICY, .profile = PROFILE_MODERN }, { POLICY }, NULL, version,
	    "TLSv1.3", "TLSv1.3" },
};

Test(apply, versions)
{
	try_both_ways(version_rows, ARRAY_LEN(version_rows));
}

static const char *
cipher(struct link *link)
{
	return SSL_get_cipher_name(link->server.ssl);
}

#define AES128 "ECDHE-ECDSA-AES128-GCM-SHA256"
#define AES256 "ECDHE-ECDSA-AES256-GCM-SHA384"

static void
prefer_256(SSL *client)
{
	cr_assert(SSL_set_cipher_list(client, AES256 ":" AES128));
	cr_assert(SSL_set_ciphersuites(
	    client, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"));
}

static const struct row cipher_rows[] = {
	{ "ciphers", TLS1_2_VERSION, { POLICY, .ciphers = AES128 },
	    { POLICY, .ciphers = AES256 }, prefer_256, cipher, AES128, AES256 },
	{ "ciphersuites", TLS1_3_VERSION,
	    { POLICY, .ciphersuites = "TLS_AES_128_GCM_SHA256" },
	    { POLICY, .ciphersuites = "TLS_AES_256_GCM_SHA384" }, prefer_256,
	    cipher, "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384" },
	{ "whose order counts", TLS1_2_VERSION,
	    { POLICY, .ciphers = AES128 ":" AES256 }, { POLICY }, prefer_256,
	    cipher, AES128, AES256 },
	{ "whose order counts", TLS1_3_VERSION, { POLICY, .ciphers = AES128 },
	    { POLICY }, prefer_256, cipher, "TLS_AES_128_GCM_SHA256",
	    "TLS_AES_256_GCM_SHA384" },
	{ "nothing in common", TLS1_3_VERSION,
	    { POLICY, .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" },
	    { POLICY }, prefer_256, cipher, "refused",
	    "TLS_AES_256_GCM_SHA384" },
};

Test(apply, ciphers)
{
	try_both_ways(cipher_rows, ARRAY_LEN(cipher_rows));
}

static const char *
group(struct link *link)
{
	SSL *server = link->server.ssl;
	int id = (int)SSL_get_negotiated_group(server);

	return id == 0 ? "none" : SSL_group_to_name(server, id);
}

/* In TLS 1.3 it sends a share for the first one: the other needs a
 * HelloRetryRequest (RFC 8446 section 4.1.4), and its ClientHello twice. */
static void
prefer_x25519(SSL *client)
{
	cr_assert(SSL_set1_groups_list(client, "X25519:P-384"));
}

static void
only_x25519(SSL *client)
{
	cr_assert(SSL_set1_groups_list(client, "X25519"));
}

static const struct row group_rows[] = {
	{ "groups", 0, { POLICY, .groups = "P-384" },
	    { POLICY, .groups = "X25519" }, prefer_x25519, group, "secp384r1",
	    "x25519" },
	{ "groups, and the built-in ones", 0, { POLICY, .groups = "P-384" },
	    { POLICY }, prefer_x25519, group, "secp384r1", "x25519" },
	{ "no group in common", TLS1_3_VERSION, { POLICY, .groups = "P-384" },
	    { POLICY }, only_x25519, group, "refused", "x25519" },
};

Test(apply, groups)
{
	try_both_ways(group_rows, ARRAY_LEN(group_rows));
}

static const char *
protocol(struct link *link)
{
	static char name[256];
	const unsigned char *chosen = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(link->server.ssl, &chosen, &len);
	memcpy(name, chosen != NULL ? (const char *)chosen : "", len);
	name[len] = '\0';
	return name;
}

static void
offer_both(SSL *client)
{
	cr_assert_eq(SSL_set_alpn_protos(client,
			 (const unsigned char *)"\x02h2\x08http/1.1", 12),
	    0);
}

static char h2[] = "h2", http11[] = "http/1.1", strange[] = "strange";
static char *one_h2[] = { h2 }, *one_http[] = { http11 },
	    *one_strange[] = { strange };

static const struct row alpn_rows[] = {
	{ "alpn", 0, { POLICY, .alpn = { one_h2, 1 } },
	    { POLICY, .alpn = { one_http, 1 } }, offer_both, protocol, "h2",
	    "http/1.1" },
	{ "alpn and none", 0, { POLICY, .alpn = { one_h2, 1 } }, { POLICY },
	    offer_both, protocol, "h2", "" },
	{ "alpn nobody speaks", 0, { POLICY, .alpn = { one_strange, 1 } },
	    { POLICY }, offer_both, protocol, "refused", "" },
};

Test(apply, alpn)
{
	try_both_ways(alpn_rows, ARRAY_LEN(alpn_rows));
}

static const char *
peer(struct link *link)
{
	SSL *server = link->server.ssl;

	if (SSL_get0_peer_certificate(server) == NULL)
		return "nobody";
	return SSL_get_verify_result(server) == X509_V_OK ? "verified"
							  : "unverified";
}

static void
show(SSL *client, const struct pki *who)
{
	cr_assert(SSL_use_certificate(client, who->certificate));
	cr_assert(SSL_use_PrivateKey(client, who->key));
}

static void
show_ours(SSL *client)
{
	show(client, &ours);
}

static void
show_theirs(SSL *client)
{
	show(client, &theirs);
}

static void
show_weak(SSL *client)
{
	show(client, &weak);
}

#define REQUIRE POLICY, .verify = VERIFY_REQUIRE, .ca_file = our_file
#define OPTIONAL POLICY, .verify = VERIFY_OPTIONAL, .ca_file = our_file

static const struct row client_rows[] = {
	{ "verify = require, a client without", 0, { REQUIRE }, { POLICY },
	    NULL, peer, "refused", "nobody" },
	{ "verify = require, a good client", 0, { REQUIRE }, { POLICY },
	    show_ours, peer, "verified", "nobody" },
	{ "verify = optional, a good client", 0, { OPTIONAL }, { POLICY },
	    show_ours, peer, "verified", "nobody" },
	{ "verify = optional, a client without", 0, { OPTIONAL }, { REQUIRE },
	    NULL, peer, "nobody", "refused" },
	{ "verify = optional, a bad client", 0, { OPTIONAL }, { POLICY },
	    show_theirs, peer, "refused", "nobody" },
	{ "ca_file", 0, { REQUIRE },
	    { POLICY, .verify = VERIFY_REQUIRE, .ca_file = their_file },
	    show_ours, peer, "verified", "refused" },
	{ "crl_file", 0, { REQUIRE }, { REQUIRE, .crl_file = list_file },
	    show_ours, peer, "verified", "refused" },
	{ "crl_file, one who is not on it", 0, { REQUIRE },
	    { REQUIRE, .crl_file = list_file }, show_weak, peer, "verified",
	    "verified" },
	{ "security level", 0, { REQUIRE },
	    { REQUIRE, .ciphers = AES128 ":@SECLEVEL=3" }, show_weak, peer,
	    "verified", "refused" },
};

Test(apply, clients)
{
	try_both_ways(client_rows, ARRAY_LEN(client_rows));
}

static const char *
ticket(struct link *link)
{
	char text[8];

	/* In TLS 1.3 it comes with the first bytes. */
	cr_assert_eq(link_answer(link, "x"), IO_DONE);
	cr_assert_eq(link_hear(link, text, sizeof(text)), 1);
	return SSL_SESSION_has_ticket(SSL_get_session(link->client))
		   ? "a ticket"
		   : "none";
}

static const struct row ticket_rows[] = {
	{ "tickets", 0, { POLICY }, { .name = "test" }, NULL, ticket,
	    "a ticket", "none" },
};

Test(apply, tickets)
{
	try_both_ways(ticket_rows, ARRAY_LEN(ticket_rows));
}
