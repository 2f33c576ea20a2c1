/*
 * Versions, ciphers and groups: what each key of the configuration does to an
 * SSL_CTX, and the sentences for values that cannot be.
 */
#include "tls/policy.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/err.h"

static SSL_CTX *native;

static void
set_up(void)
{
	native = SSL_CTX_new(TLS_server_method());
	cr_assert_not_null(native);
}

static void
tear_down(void)
{
	SSL_CTX_free(native);
}

TestSuite(policy, .init = set_up, .fini = tear_down);

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
	struct err err;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		cr_assert(policy_set_versions(native, &ranges[i].given, &err));
		cr_assert_eq(SSL_CTX_get_min_proto_version(native),
		    ranges[i].min, "%s", ranges[i].what);
		cr_assert_eq(SSL_CTX_get_max_proto_version(native),
		    ranges[i].max, "%s", ranges[i].what);
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
		cr_assert_not(
		    policy_set_versions(native, &rows[i].given, &err));
		cr_assert_str_eq(err.text, rows[i].expect);
	}
}

Test(policy, uses_mozillas_list_unless_told_otherwise)
{
	struct config_listener own = { .ciphers = "ECDHE-RSA-AES256-GCM-SHA384",
		.ciphersuites = "TLS_AES_256_GCM_SHA384" };
	struct config_listener none = { 0 };
	struct err err;

	cr_assert(policy_set_ciphers(native, &none, &err));
	cr_assert_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)), 3 + 9);
	cr_assert_not(
	    SSL_CTX_get_options(native) & SSL_OP_CIPHER_SERVER_PREFERENCE,
	    "the client chooses among equals");
	cr_assert(policy_set_ciphers(native, &own, &err));
	cr_assert_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)), 2);
	cr_assert(SSL_CTX_get_options(native) & SSL_OP_CIPHER_SERVER_PREFERENCE,
	    "a written order is meant");
}

Test(policy, names_the_line_of_a_list_it_cannot_use)
{
	static const struct {
		struct config_listener given;
		const char *expect;
	} rows[] = {
		{ { .ciphers = "ROT13", .ciphers_where = { "clinch.ini", 7 } },
		    "clinch.ini:7: ciphers = ROT13: this OpenSSL knows none" },
		{ { .ciphersuites = "TLS_ROT13",
		      .ciphersuites_where = { "clinch.ini", 7 } },
		    "clinch.ini:7: ciphersuites = TLS_ROT13: "
		    "this OpenSSL does not know all of them" },
	};
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		cr_assert_not(policy_set_ciphers(native, &rows[i].given, &err));
		cr_assert_eq(
		    strncmp(err.text, rows[i].expect, strlen(rows[i].expect)),
		    0, "%s", err.text);
	}
}

Test(policy, leaves_unknown_groups_out_one_by_one)
{
	static const struct {
		const char *what, *given, *taken, *warning;
	} rows[] = {
		{ "all known", "P-256:X25519", "P-256:X25519", "" },
		{ "one unknown", "P-256:Q-7:X25519", "P-256:X25519",
		    "groups not known to this OpenSSL: Q-7" },
		{ "two unknown", "Q-7:P-384:R-8", "P-384",
		    "groups not known to this OpenSSL: Q-7, R-8" },
		{ "other borders", "P-256, X25519", "P-256:X25519", "" },
	};
	struct err err, warning;
	char *taken;

	for (size_t i = 0; i < 4; i++) {
		struct config_listener given = { .groups = rows[i].given };

		err_set(&warning, "%s", "");
		cr_assert(
		    policy_set_groups(native, &given, &taken, &warning, &err),
		    "%s", rows[i].what);
		cr_assert_str_eq(taken, rows[i].taken, "%s", rows[i].what);
		free(taken);
		cr_assert_str_eq(
		    warning.text, rows[i].warning, "%s", rows[i].what);
	}
}

Test(policy, warns_of_no_group_that_nobody_asked_for)
{
	struct config_listener none = { 0 };
	struct err err, warning = { .text = "" };
	char *taken;

	cr_assert(policy_set_groups(native, &none, &taken, &warning, &err));
	cr_assert_str_eq(warning.text, "");
	cr_assert_not_null(strstr(taken, "X25519:P-256:P-384"));
	free(taken);
}

Test(policy, needs_one_group_at_least)
{
	struct config_listener given = { .groups = "Q-7:R-8",
		.groups_where = { "clinch.ini", 9 } };
	struct err err, warning = { .text = "" };
	char *taken;

	cr_assert_not(
	    policy_set_groups(native, &given, &taken, &warning, &err));
	cr_assert_null(taken);
	cr_assert_str_eq(err.text,
	    "clinch.ini:9: groups = Q-7:R-8: this OpenSSL knows none of them");
}
