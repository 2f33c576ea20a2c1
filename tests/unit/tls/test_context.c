/*
 * What settings turn into: versions, ciphers, groups and ALPN, names in lists
 * that have no effect, the digest, and two policies that take turns at being a
 * listener and its host.
 */
#include "tls/context.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/parse.h"
#include "config/reader.h"
#include "tests/support/crl.h"
#include "tests/support/link.h"
#include "tls/ca_store.h"
#include "tls/identity.h"

static struct ticket_keys *keys;

#define PLACE(of, in, at)                                      \
	&(struct config_place)                                 \
	{                                                      \
		.key = (of), .is_valid = true,                 \
		.statement = &(struct statement)               \
		{                                              \
			.where = {.file = (in), .line = (at) } \
		}                                              \
	}

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

TestSuite(policy, .init = set_up, .fini = tear_down);
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

Test(context, selects_the_preferred_alpn_protocol)
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

Test(context, keeps_the_sni)
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

/* In place of libstaple, which this layer does not include. */
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

Test(context, records_whether_a_staple_was_sent)
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

Test(context, has_no_certificate)
{
	struct config_listener config = link_config();
	struct tls_context *context = link_context(&config);

	cr_assert_null(SSL_CTX_get0_certificate(tls_context_native(context)));
	cr_assert_null(tls_context_ca_store(context));
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

static char text_x[] = "x", text_y[] = "y", text_xy[] = "xy";
static char *x[] = { text_x }, *xy[] = { text_x, text_y },
	    *joint[] = { text_xy }, *yx[] = { text_y, text_x };

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

Test(context, digests_differ_with_the_settings)
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
	{ .places = PLACE(KEY_CIPHERS, "clinch.ini", 7) },
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
	struct ca_store *ca_store = ca_store_load(
	    ca_file, NULL, CRL_CHECK_LEAF, time(NULL), NULL, &err);

	cr_assert_not_null(ca_store, "%s", err.text);
	cr_assert(tls_context_digest(&settings, ca_store, out, NULL));
	ca_store_unref(ca_store);
}

Test(context, digest_follows_the_ca_store)
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

/* ---- Versions, ciphers and groups ---- */

/* A context of these settings; *native is its OpenSSL object. */
static struct tls_context *
make_context(const struct config_listener *settings, SSL_CTX **native)
{
	struct err err;
	struct tls_context *context = tls_context_new(settings, NULL, &err);

	cr_assert_not_null(context, "%s", err.text);
	*native = tls_context_native(context);
	return context;
}

static const struct {
	const char *what;
	struct config_listener given;
	long min, max;
} ranges[] = {
	{ "defaults", { .min_version = TLS_VERSION_1_2 }, TLS1_2_VERSION, 0 },
	{ "nothing said", { 0 }, TLS1_2_VERSION, 0 },
	{ "1.3 only", { .min_version = TLS_VERSION_1_3 }, TLS1_3_VERSION, 0 },
	{ "1.2 only", { .max_version = TLS_VERSION_1_2 }, TLS1_2_VERSION,
	    TLS1_2_VERSION },
	{ "modern",
	    { .profile = PROFILE_MODERN, .min_version = TLS_VERSION_1_2 },
	    TLS1_3_VERSION, 0 },
	{ "modern with a list of one's own",
	    { .profile = PROFILE_MODERN, .ciphers = "HIGH" }, TLS1_2_VERSION,
	    0 },
};

Test(policy, sets_the_versions)
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		SSL_CTX *native;
		struct tls_context *context = make_context(
		    &ranges[i].given, &native);

		cr_assert_eq(SSL_CTX_get_min_proto_version(native),
		    ranges[i].min, "%s", ranges[i].what);
		cr_assert_eq(SSL_CTX_get_max_proto_version(native),
		    ranges[i].max, "%s", ranges[i].what);
		tls_context_unref(context);
	}
}

Test(policy, refuses_versions_that_leave_nothing)
{
	static const struct {
		struct config_listener given;
		const char *expect;
	} rows[] = {
		{ { .max_version = TLS_VERSION_1_2, .profile = PROFILE_MODERN },
		    "max_version = TLSv1.2 leaves nothing: "
		    "profile = modern needs TLSv1.3" },
		{ { .max_version = TLS_VERSION_1_2,
		      .min_version = TLS_VERSION_1_3 },
		    "max_version = TLSv1.2 leaves nothing: "
		    "min_version needs TLSv1.3" },
	};
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		cr_assert_null(tls_context_new(&rows[i].given, NULL, &err));
		cr_assert_str_eq(err.text, rows[i].expect);
	}
}

Test(policy, uses_mozillas_list_by_default)
{
	struct config_listener own = { .ciphers = "ECDHE-RSA-AES256-GCM-SHA384",
		.ciphersuites = "TLS_AES_256_GCM_SHA384" };
	struct config_listener none = { 0 };
	SSL_CTX *native;
	struct tls_context *context = make_context(&none, &native);

	cr_assert_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)), 3 + 9);
	cr_assert_not(
	    SSL_CTX_get_options(native) & SSL_OP_CIPHER_SERVER_PREFERENCE,
	    "the client chooses among equals");
	tls_context_unref(context);
	context = make_context(&own, &native);
	cr_assert_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)), 2);
	cr_assert(SSL_CTX_get_options(native) & SSL_OP_CIPHER_SERVER_PREFERENCE,
	    "a written order is meant");
	tls_context_unref(context);
}

Test(policy, follows_prefer_server_ciphers)
{
	static const struct {
		struct config_listener given;
		bool ours;
	} rows[] = {
		{ { .server_order = SERVER_ORDER_YES }, true },
		{ { .server_order = SERVER_ORDER_NO, .ciphers = "HIGH" },
		    false },
		{ { .server_order = SERVER_ORDER_AUTO, .ciphers = "HIGH" },
		    true },
		{ { .server_order = SERVER_ORDER_AUTO }, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SSL_CTX *native;
		struct tls_context *context = make_context(
		    &rows[i].given, &native);

		cr_expect_eq((SSL_CTX_get_options(native) &
				 SSL_OP_CIPHER_SERVER_PREFERENCE) != 0,
		    rows[i].ours, "row %zu", i);
		tls_context_unref(context);
	}
}

Test(policy, reports_the_line_of_an_unusable_list)
{
	const struct {
		struct config_listener given;
		const char *expect;
	} rows[] = {
		{ { .ciphers = "ROT13",
		      .places = PLACE(KEY_CIPHERS, "clinch.ini", 7) },
		    "clinch.ini:7: ciphers = ROT13: this OpenSSL "
		    "supports none" },
		{ { .ciphersuites = "TLS_ROT13",
		      .places = PLACE(KEY_CIPHERSUITES, "clinch.ini", 7) },
		    "clinch.ini:7: ciphersuites = TLS_ROT13: "
		    "this OpenSSL supports none of them" },
	};
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		cr_assert_null(tls_context_new(&rows[i].given, NULL, &err));
		cr_assert_eq(
		    strncmp(err.text, rows[i].expect, strlen(rows[i].expect)),
		    0, "%s", err.text);
	}
}

/* The group agreed on with a client that offers these; NID_undef: none.  TLS
 * 1.2, where the server's order decides if it is configured to. */
static int
agreed_group(struct tls_server *server, const char *offered)
{
	int group = NID_undef;
	struct link link;
	char list[64]; /* the macro casts its argument to char * */

	snprintf(list, sizeof(list), "%s", offered);
	link_open_tls(&link, LINK_STREAM, server);
	SSL_set_max_proto_version(link.client, TLS1_2_VERSION);
	cr_assert(SSL_set1_groups_list(link.client, list));
	if (link_handshake(&link, NULL) == IO_DONE)
		group = (int)SSL_get_negotiated_group(link.server.ssl);
	link_close(&link);
	return group;
}

static const struct {
	const char *name;
	int nid;
} known_groups[] = {
	{ "P-256", NID_X9_62_prime256v1 },
	{ "P-384", NID_secp384r1 },
	{ "X25519", NID_X25519 },
};

static const struct {
	const char *what, *given;
	bool taken[ARRAY_LEN(known_groups)];
	int first;
} group_lists[] = {
	{ "all known", "P-256:X25519", { true, false, true },
	    NID_X9_62_prime256v1 },
	{ "one unknown", "P-256:Q-7:X25519", { true, false, true },
	    NID_X9_62_prime256v1 },
	{ "two unknown", "Q-7:P-384:R-8", { false, true, false },
	    NID_secp384r1 },
	{ "other borders", "X25519, P-256", { true, false, true }, NID_X25519 },
};

Test(policy, leaves_unknown_groups_out_one_by_one)
{
	for (size_t i = 0; i < ARRAY_LEN(group_lists); i++) {
		const char *what = group_lists[i].what;
		struct config_listener config = link_config();
		struct tls_server *server;

		config.groups = group_lists[i].given;
		config.server_order = SERVER_ORDER_YES;
		server = link_server(&config, PKI_RSA, keys);
		for (size_t k = 0; k < ARRAY_LEN(known_groups); k++)
			cr_expect_eq(agreed_group(server, known_groups[k].name),
			    group_lists[i].taken[k] ? known_groups[k].nid
						    : NID_undef,
			    "%s: %s", what, known_groups[k].name);
		cr_expect_eq(agreed_group(server, "P-384:P-256:X25519"),
		    group_lists[i].first, "%s", what);
		tls_server_unref(server);
	}
}

Test(policy, leaves_unknown_suites_out_one_by_one)
{
	static const struct {
		const char *given, *first;
		int count;
	} rows[] = {
		{ "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
		    "TLS_AES_256_GCM_SHA384", 2 },
		{ "NOSUCH:TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384",
		    1 },
		{ "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256",
		    "TLS_AES_128_GCM_SHA256", 1 },
	};
	const SSL_CIPHER *first;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_listener given = {
			.ciphers = "ECDHE-RSA-AES256-GCM-SHA384",
			.ciphersuites = rows[i].given,
		};
		SSL_CTX *native;
		struct tls_context *context = make_context(&given, &native);

		first = sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(native), 0);
		cr_expect_str_eq(SSL_CIPHER_get_name(first), rows[i].first);
		cr_expect_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)),
		    rows[i].count + 1, "%s", rows[i].given);
		tls_context_unref(context);
	}
}

Test(policy, needs_one_group_at_least)
{
	struct config_listener given = { .groups = "Q-7:R-8",
		.places = PLACE(KEY_GROUPS, "clinch.ini", 9) };
	struct err err;

	cr_assert_null(tls_context_new(&given, NULL, &err));
	cr_assert_str_eq(err.text,
	    "clinch.ini:9: groups = Q-7:R-8: this OpenSSL supports none of "
	    "them");
}

/* ---- Names without effect ---- */

#define RSA (1u << IDENTITY_RSA)
#define PSS (1u << IDENTITY_RSA_PSS)
#define ECDSA (1u << IDENTITY_ECDSA)
#define ED25519 (1u << IDENTITY_ED25519)
#define E_RSA "ECDHE-RSA-AES128-GCM-SHA256"
#define E_ECDSA "ECDHE-ECDSA-AES128-GCM-SHA256"
#define SUITE "TLS_AES_256_GCM_SHA384"
#define NO_KEY " has no effect: no certificate of the site has a key for it\n"
#define UNKNOWN " has no effect: this OpenSSL does not support it\n"

static void
collect(void *arg, const char *sentence)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 1024 - len, "%s\n", sentence);
}

/* Into a context of its own, and then the survey. */
static bool
survey_one(struct policy_survey *survey, const struct config_listener *settings,
    unsigned kinds, struct err *err)
{
	SSL_CTX *native;
	struct tls_context *context = make_context(settings, &native);
	bool ok = policy_survey_add(survey, native, settings, kinds, err);

	tls_context_unref(context);
	return ok;
}

static const struct {
	const char *what;
	struct config_listener given;
	unsigned kinds;
	const char *expect;
} useless[] = {
	{ "nothing written", { 0 }, RSA, "" },
	{ "all of use", { .ciphers = E_RSA ":" E_ECDSA }, RSA | ECDSA, "" },
	{ "certificates not known yet", { .ciphers = E_RSA ":" E_ECDSA }, 0,
	    "" },
	{ "no RSA certificate", { .ciphers = E_ECDSA ":" E_RSA }, ECDSA,
	    "ciphers: " E_RSA NO_KEY },
	{ "no ECDSA certificate", { .ciphers = E_ECDSA " " E_RSA }, RSA,
	    "ciphers: " E_ECDSA NO_KEY },
	{ "EdDSA goes with ECDSA's ciphers", { .ciphers = E_ECDSA "," E_RSA },
	    ED25519, "ciphers: " E_RSA NO_KEY },
	{ "PSS keys sign, and do not decrypt",
	    { .ciphers = E_RSA ":AES128-GCM-SHA256" }, PSS,
	    "ciphers: AES128-GCM-SHA256" NO_KEY },
	{ "unknown", { .ciphers = "NOSUCH:" E_RSA }, RSA,
	    "ciphers: NOSUCH" UNKNOWN },
	{ "of the other version", { .ciphers = SUITE ":" E_RSA }, RSA,
	    "ciphers: " SUITE " has no effect: it is of TLS 1.3: put it into "
	    "ciphersuites\n" },
	{ "the other way round", { .ciphersuites = E_RSA ":" SUITE }, RSA,
	    "ciphersuites: " E_RSA " has no effect: it is of TLS 1.2: put it "
	    "into ciphers\n" },
	{ "unknown suite", { .ciphersuites = SUITE ":TLS_ROT13" }, RSA,
	    "ciphersuites: TLS_ROT13" UNKNOWN },
	{ "exclusions may match nothing",
	    { .ciphers = "HIGH:!aNULL:!NOSUCH:-SSLv2:+SHA1:@STRENGTH" }, RSA,
	    "" },
	{ "excluded by the rest", { .ciphers = E_RSA ":AES128-SHA:!kRSA" }, RSA,
	    "ciphers: AES128-SHA has no effect: the rest of the list or the "
	    "security level excludes it\n" },
	{ "no TLS 1.2", { .ciphers = E_RSA, .min_version = TLS_VERSION_1_3 },
	    RSA, "ciphers: " E_RSA " has no effect: TLS 1.2 is not offered\n" },
	{ "no TLS 1.3",
	    { .ciphersuites = SUITE, .max_version = TLS_VERSION_1_2 }, RSA,
	    "ciphersuites: " SUITE " has no effect: TLS 1.3 is not offered\n" },
	{ "unknown group", { .groups = "X25519:Q-7" }, RSA,
	    "groups: Q-7" UNKNOWN },
	{ "groups under other names",
	    { .groups = "secp256r1:P-384:prime256v1:secp521r1" }, RSA, "" },
	{ "a group of TLS 1.3 alone",
	    { .groups = "ffdhe2048:X25519", .max_version = TLS_VERSION_1_2 },
	    RSA, "groups: ffdhe2048 has no effect: it is not for TLS 1.2\n" },
};

Test(policy, reports_names_without_effect)
{
	for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
		struct policy_survey *survey = policy_survey_new();
		char said[1024] = "";
		struct err err;

		cr_assert(survey_one(survey, &useless[i].given,
			      useless[i].kinds, &err),
		    "%s: %s", useless[i].what, err.text);
		policy_survey_report(survey, collect, said);
		cr_expect_str_eq(
		    said, useless[i].expect, "%s: %s", useless[i].what, said);
		policy_survey_free(survey);
	}
}

Test(policy, finds_an_effect_in_any_user_of_a_line)
{
	struct config_listener one = {
		.ciphers = E_ECDSA ":" E_RSA ":NOSUCH",
		.places = PLACE(KEY_CIPHERS, "clinch.ini", 3),
	};
	struct config_listener other = one, apart = one;
	struct policy_survey *survey = policy_survey_new();
	char said[1024] = "";
	struct err err;

	apart.places = PLACE(KEY_CIPHERS, "clinch.ini", 9);
	cr_assert(survey_one(survey, &one, ECDSA, &err));
	cr_assert(survey_one(survey, &other, RSA, &err));
	cr_assert(survey_one(survey, &apart, RSA, &err));
	policy_survey_report(survey, collect, said);
	cr_expect_str_eq(said,
	    "clinch.ini:3: ciphers: NOSUCH" UNKNOWN
	    "clinch.ini:9: ciphers: " E_ECDSA NO_KEY
	    "clinch.ini:9: ciphers: NOSUCH" UNKNOWN,
	    "%s", said);
	policy_survey_free(survey);
}

Test(policy, refuses_lists_that_leave_nothing)
{
	const struct {
		struct config_listener given;
		unsigned kinds;
		const char *expect;
	} rows[] = {
		{ { .ciphers = E_ECDSA,
		      .places = PLACE(KEY_CIPHERS, "c.ini", 4) },
		    RSA,
		    "c.ini:4: ciphers = " E_ECDSA ": none of them can be" },
		{ { .groups = "ffdhe2048",
		      .places = PLACE(KEY_GROUPS, "c.ini", 5),
		      .max_version = TLS_VERSION_1_2 },
		    RSA, "c.ini:5: groups = ffdhe2048: none of them can be" },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy_survey *survey = policy_survey_new();

		cr_assert_not(
		    survey_one(survey, &rows[i].given, rows[i].kinds, &err));
		cr_expect_eq(
		    strncmp(err.text, rows[i].expect, strlen(rows[i].expect)),
		    0, "%s", err.text);
		policy_survey_free(survey);
	}
}

/*
 * ---- Two policies in turn ----
 *
 * A host follows its own policy, whatever its listener has: OpenSSL switches
 * only part of a context.  Each row is tried with either policy in either
 * place, and the outcome must be the same.
 */

/* What the rows have in common. */
#define POLICY                                                           \
	.name = "test", .min_version = TLS_VERSION_1_2, .tickets = true, \
	.session_timeout_ms = 2 * 3600 * 1000

/* For apply_row.version: all the client has, at once. */
#define APPLY_ANY 1

/* Two policies, a client, and what becomes of it under each. */
struct apply_row {
	const char *what;
	int version; /* of the client; 0: each alone */
	struct config_listener one, other;
	void (*prepare)(SSL *client);           /* or NULL */
	const char *(*look)(struct link *link); /* once it is connected */
	const char *expect_one, *expect_other;  /* or "refused" */
};

enum { LISTENER, HOST, PLACES };

static void
limit(SSL *client, int version)
{
	SSL_set_min_proto_version(client, version);
	SSL_set_max_proto_version(client, version);
}

static char host_name[] = "host.example", other_name[] = "other.example";

/* A client in that place.  What its server saw, or "refused". */
static void
expect(struct tls_server *server, int place, int version,
    const struct apply_row *row)
{
	static const char *const places[] = { "the listener", "the host" };
	static char *const names[] = { other_name, host_name };
	const char *wanted = place == LISTENER ? row->expect_one
					       : row->expect_other;
	struct link link;
	const char *seen = "refused";

	link_open_tls(&link, LINK_STREAM, server);
	if (version != APPLY_ANY)
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
try_in_place(const struct apply_row *row)
{
	const int each[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const int *versions = row->version == 0 ? each : &row->version;
	size_t count = row->version == 0 ? ARRAY_LEN(each) : 1;
	struct config_listener listener = row->one, host = row->other;
	struct tls_server *server;

	host.pattern = "host.example";
	listener.hosts = &host;
	listener.host_count = 1;
	server = link_server(&listener, PKI_P256, keys);
	for (int place = LISTENER; place < PLACES; place++)
		for (size_t i = 0; i < count; i++)
			expect(server, place, versions[i], row);
	tls_server_unref(server);
}

static void
apply_both_ways(const struct apply_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct apply_row turned = rows[i];

		turned.one = rows[i].other;
		turned.other = rows[i].one;
		turned.expect_one = rows[i].expect_other;
		turned.expect_other = rows[i].expect_one;
		try_in_place(&rows[i]);
		try_in_place(&turned);
	}
}

TestSuite(apply, .init = set_up, .fini = tear_down);

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

static char strange[] = "strange";
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

/* ---- Two policies and their clients ---- */

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
set_up_clients(void)
{
	set_up();
	pki_folder_make(&folder);
	make_clients();
	keep(list_file, "list",
	    crl_pem(&(struct crl_wish){ .issuer = &our_ca, .revoked = &ours }));
}

static void
tear_down_clients(void)
{
	pki_folder_remove(&folder);
	pki_drop(&our_ca);
	pki_drop(&their_ca);
	pki_drop(&ours);
	pki_drop(&theirs);
	pki_drop(&weak);
	tear_down();
}

TestSuite(apply_clients, .init = set_up_clients, .fini = tear_down_clients);

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

static const struct apply_row client_rows[] = {
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
	    { REQUIRE, .ciphers = "HIGH:@SECLEVEL=3" }, show_weak, peer,
	    "verified", "refused" },
};

Test(apply_clients, are_verified_by_the_settings_of_their_name)
{
	apply_both_ways(client_rows, ARRAY_LEN(client_rows));
}

/* RFC 8446 section 4.2.4: the CA names of the CertificateRequest. */
static const char *
asked_for(struct link *link)
{
	const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(link->client);
	static char text[64];

	if (sk_X509_NAME_num(names) != 1)
		return "not one";
	X509_NAME_get_text_by_NID(
	    sk_X509_NAME_value(names, 0), NID_commonName, text, sizeof(text));
	return text;
}

static const struct apply_row name_rows[] = {
	{ "names", 0, { OPTIONAL },
	    { POLICY, .verify = VERIFY_OPTIONAL, .ca_file = their_file }, NULL,
	    asked_for, "our CA", "their CA" },
	{ "names and none", 0, { OPTIONAL }, { POLICY }, NULL, asked_for,
	    "our CA", "not one" },
};

Test(apply_clients, get_the_ca_names_of_their_settings)
{
	apply_both_ways(name_rows, ARRAY_LEN(name_rows));
}

Test(apply_clients, get_the_verify_parameters_of_their_context)
{
	struct config_listener settings = link_config();
	struct tls_context *one = link_context(&settings);
	struct tls_context *other = link_context(&settings);
	X509_VERIFY_PARAM *strict = SSL_CTX_get0_param(tls_context_native(one));
	SSL *ssl = SSL_new(tls_context_native(one));

	X509_VERIFY_PARAM_set_depth(strict, 3);
	X509_VERIFY_PARAM_set_flags(strict, X509_V_FLAG_X509_STRICT);
	for (int i = 0; i < 2; i++) {
		cr_assert(tls_context_apply(other, ssl));
		cr_expect_eq(SSL_get_verify_depth(ssl), -1);
		cr_expect_not(X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl)) &
			      X509_V_FLAG_X509_STRICT);
		cr_assert(tls_context_apply(one, ssl));
		cr_expect_eq(SSL_get_verify_depth(ssl), 3);
		cr_expect(X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl)) &
			  X509_V_FLAG_X509_STRICT);
	}
	SSL_free(ssl);
	tls_context_unref(one);
	tls_context_unref(other);
}
