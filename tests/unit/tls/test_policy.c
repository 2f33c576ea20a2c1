/*
 * Versions, ciphers and groups: what each key of the configuration does to an
 * SSL_CTX, and the sentences for values that cannot be.
 */
#include "tls/policy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/identity.h"

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

Test(policy, lets_prefer_server_ciphers_decide)
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
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SSL_CTX_clear_options(native, SSL_OP_CIPHER_SERVER_PREFERENCE);
		cr_assert(policy_set_ciphers(native, &rows[i].given, &err));
		cr_expect_eq((SSL_CTX_get_options(native) &
				 SSL_OP_CIPHER_SERVER_PREFERENCE) != 0,
		    rows[i].ours, "row %zu", i);
	}
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
		    "this OpenSSL knows none of them" },
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
		const char *what, *given, *taken;
	} rows[] = {
		{ "all known", "P-256:X25519", "P-256:X25519" },
		{ "one unknown", "P-256:Q-7:X25519", "P-256:X25519" },
		{ "two unknown", "Q-7:P-384:R-8", "P-384" },
		{ "other borders", "P-256, X25519", "P-256:X25519" },
	};
	struct err err;
	char *taken;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_listener given = { .groups = rows[i].given };

		cr_assert(policy_set_groups(native, &given, &taken, &err), "%s",
		    rows[i].what);
		cr_assert_str_eq(taken, rows[i].taken, "%s", rows[i].what);
		free(taken);
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
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config_listener given = {
			.ciphers = "ECDHE-RSA-AES256-GCM-SHA384",
			.ciphersuites = rows[i].given,
		};

		cr_assert(policy_set_ciphers(native, &given, &err), "%s: %s",
		    rows[i].given, err.text);
		first = sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(native), 0);
		cr_expect_str_eq(SSL_CIPHER_get_name(first), rows[i].first);
		cr_expect_eq(sk_SSL_CIPHER_num(SSL_CTX_get_ciphers(native)),
		    rows[i].count + 1, "%s", rows[i].given);
	}
}

Test(policy, needs_one_group_at_least)
{
	struct config_listener given = { .groups = "Q-7:R-8",
		.groups_where = { "clinch.ini", 9 } };
	struct err err;
	char *taken;

	cr_assert_not(policy_set_groups(native, &given, &taken, &err));
	cr_assert_null(taken);
	cr_assert_str_eq(err.text,
	    "clinch.ini:9: groups = Q-7:R-8: this OpenSSL knows none of them");
}

/* ---- Names without effect ---- */

#define RSA (1u << IDENTITY_RSA)
#define PSS (1u << IDENTITY_RSA_PSS)
#define ECDSA (1u << IDENTITY_ECDSA)
#define ED25519 (1u << IDENTITY_ED25519)
#define E_RSA "ECDHE-RSA-AES128-GCM-SHA256"
#define E_ECDSA "ECDHE-ECDSA-AES128-GCM-SHA256"
#define SUITE "TLS_AES_256_GCM_SHA384"
#define NO_KEY " has no effect: no certificate shown with it has a key for it\n"
#define UNKNOWN " has no effect: this OpenSSL does not know it\n"

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
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *groups = NULL;
	bool ok;

	cr_assert(policy_set_versions(context, settings, err));
	cr_assert(policy_set_ciphers(context, settings, err), "%s", err->text);
	cr_assert(policy_set_groups(context, settings, &groups, err));
	ok = policy_survey_add(survey, context, settings, kinds, err);
	free(groups);
	SSL_CTX_free(context);
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

Test(policy, names_what_has_no_effect)
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
		.ciphers_where = { "clinch.ini", 3 },
	};
	struct config_listener other = one, apart = one;
	struct policy_survey *survey = policy_survey_new();
	char said[1024] = "";
	struct err err;

	apart.ciphers_where.line = 9;
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
	static const struct {
		struct config_listener given;
		unsigned kinds;
		const char *expect;
	} rows[] = {
		{ { .ciphers = E_ECDSA, .ciphers_where = { "c.ini", 4 } }, RSA,
		    "c.ini:4: ciphers = " E_ECDSA ": none of them can be" },
		{ { .groups = "ffdhe2048",
		      .groups_where = { "c.ini", 5 },
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
