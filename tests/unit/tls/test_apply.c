/*
 * A host is what its own policy says, whatever its listener says: OpenSSL
 * switches only part of a context.  Every key, in both protocol versions; those
 * that are about clients are in test_apply_clients.c.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/tls/apply_rig.h"

TestSuite(apply, .init = apply_begin, .fini = apply_end);

static const char *
version(struct link *link)
{
	return SSL_get_version(link->server.ssl);
}

static const struct apply_row version_rows[] = {
	{ "min_version, an old client", TLS1_2_VERSION,
	    { POLICY, .max_version = TLS_VERSION_1_3 },
	    { .name = "test", .min_version = TLS_VERSION_1_3 }, NULL, version,
	    "TLSv1.2", "refused" },
	{ "max_version, a new client", TLS1_3_VERSION,
	    { POLICY, .max_version = TLS_VERSION_1_2 }, { POLICY }, NULL,
	    version, "refused", "TLSv1.3" },
	{ "max_version, any client", APPLY_ANY,
	    { POLICY, .max_version = TLS_VERSION_1_2 }, { POLICY }, NULL,
	    version, "TLSv1.2", "TLSv1.3" },
	{ "1.2 alone and 1.3 alone", APPLY_ANY,
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
	apply_both_ways(version_rows, ARRAY_LEN(version_rows));
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

static const struct apply_row cipher_rows[] = {
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
	apply_both_ways(cipher_rows, ARRAY_LEN(cipher_rows));
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
	char groups[] = "X25519:P-384:P-256";

	cr_assert(SSL_set1_groups_list(client, groups));
}

static void
only_x25519(SSL *client)
{
	char groups[] = "X25519";

	cr_assert(SSL_set1_groups_list(client, groups));
}

static const struct apply_row group_rows[] = {
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
	apply_both_ways(group_rows, ARRAY_LEN(group_rows));
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

static const struct apply_row alpn_rows[] = {
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
	apply_both_ways(alpn_rows, ARRAY_LEN(alpn_rows));
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

static const struct apply_row ticket_rows[] = {
	{ "tickets", 0, { POLICY }, { .name = "test" }, NULL, ticket,
	    "a ticket", "none" },
};

Test(apply, tickets)
{
	apply_both_ways(ticket_rows, ARRAY_LEN(ticket_rows));
}
