/*
 * ca_file and crl_file: which files are taken, who is vouched for by them, and
 * what is said of lists that cannot help.
 */
#include "tls/trust.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/err.h"
#include "tests/unit/tls/trust_rig.h"

TestSuite(trust, .init = trust_rig_open, .fini = trust_rig_close);

/* ---- files ---- */

static const struct {
	const char *what;
	const char *ca;
	const char *lists; /* NULL: none */
	const char *expect;
} bad[] = {
	{ "no ca_file", "missing", NULL,
	    "cannot read @/missing: No such file" },
	{ "an empty ca_file", "empty", NULL, "@/empty is empty" },
	{ "text", "text", NULL, "@/text holds no PEM block" },
	{ "lists for certificates", "root.crl", NULL,
	    "@/root.crl holds no certificate" },
	{ "a key alone", "key", NULL, "@/key holds no certificate" },
	{ "a damaged certificate", "damaged", NULL,
	    "@/damaged: certificate 2 is damaged" },
	{ "no crl_file", "root", "missing", "cannot read @/missing: No such" },
	{ "an empty crl_file", "root", "empty", "@/empty is empty" },
	{ "certificates for lists", "root", "root",
	    "@/root holds no revocation list (X509 CRL)" },
	{ "DER", "root", "text",
	    "@/text holds no PEM block: no line begins with -----BEGIN" },
	{ "a damaged list", "root", "damaged.crl",
	    "@/damaged.crl: revocation list 2 is damaged" },
	{ "a delta list", "root", "delta.crl",
	    "@/delta.crl: revocation list 2 holds changes alone (delta)" },
	{ "an indirect list", "root", "indirect.crl",
	    "@/indirect.crl: revocation list 2 is for several issuers" },
	{ "a list of some reasons", "root", "reasons.crl",
	    "@/reasons.crl: revocation list 2 is of some reasons alone" },
	{ "a list of a damaged scope", "root", "scope.crl",
	    "@/scope.crl: revocation list 1 has a damaged scope" },
	{ "an unknown critical extension", "root", "unknown.crl",
	    "@/unknown.crl: revocation list 1 has a critical extension" },
	{ "a ca_file that is too large", "huge", NULL,
	    "@/huge is larger than 16 MiB: no PEM file" },
	{ "a crl_file that is too large", "root", "huge.crl",
	    "@/huge.crl is larger than 128 MiB: no PEM file" },
};

Test(trust, is_not_made_of_bad_files)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char expect[256], *ca = trust_rig_path(bad[i].ca);
		char *lists = bad[i].lists ? trust_rig_path(bad[i].lists)
					   : NULL;
		struct err err = { "" };

		trust_rig_sentence(bad[i].expect, expect, sizeof(expect));
		cr_expect_null(trust_load(ca, lists, CRL_CHECK_LEAF,
				   TRUST_RIG_NOW, NULL, &err),
		    "%s", bad[i].what);
		cr_expect_eq(strncmp(err.text, expect, strlen(expect)), 0,
		    "%s: %s", bad[i].what, err.text);
		cr_expect_eq(ERR_peek_error(), 0, "%s", bad[i].what);
		free(ca);
		free(lists);
	}
}

/* ---- who is vouched for ---- */

static const struct verdict {
	const char *what;
	const char *ca;
	const char *lists;
	enum config_crl_check check;
	const struct pki *who;
	const struct pki *sent; /* along */
	int expect;
} verdicts[] = {
	{ "its root", "root", NULL, 0, &trust_rig.near, NULL, X509_V_OK },
	{ "another root", "other", NULL, 0, &trust_rig.near, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "an intermediate alone", "mid", NULL, 0, &trust_rig.far, NULL,
	    X509_V_OK },
	{ "not who is beside it", "mid", NULL, 0, &trust_rig.near, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "a root, the intermediate sent", "root", NULL, 0, &trust_rig.far,
	    &trust_rig.mid, X509_V_OK },
	{ "a root, nothing sent", "root", NULL, 0, &trust_rig.far, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "among other blocks", "mixed", NULL, 0, &trust_rig.near, NULL,
	    X509_V_OK },
	{ "itself", "near", NULL, 0, &trust_rig.near, NULL, X509_V_OK },
	{ "trusted for clients", "for-clients", NULL, 0, &trust_rig.near, NULL,
	    X509_V_OK },
	{ "trusted for servers", "for-servers", NULL, 0, &trust_rig.near, NULL,
	    X509_V_ERR_CERT_REJECTED },
	{ "a server's certificate", "root", NULL, 0, &trust_rig.server, NULL,
	    X509_V_ERR_INVALID_PURPOSE },

	{ "not on the list", "root", "root.crl", 0, &trust_rig.near, NULL,
	    X509_V_OK },
	{ "on the list", "root", "near.crl", 0, &trust_rig.near, NULL,
	    X509_V_ERR_CERT_REVOKED },
	{ "on the second list of a file", "both", "both-far.crl", 0,
	    &trust_rig.far, NULL, X509_V_ERR_CERT_REVOKED },
	{ "no list of its issuer", "both", "root.crl", 0, &trust_rig.far, NULL,
	    X509_V_ERR_UNABLE_TO_GET_CRL },
	{ "an expired list", "root", "expired.crl", 0, &trust_rig.near, NULL,
	    X509_V_ERR_CRL_HAS_EXPIRED },
	{ "a list of the future", "root", "future.crl", 0, &trust_rig.near,
	    NULL, X509_V_ERR_CRL_NOT_YET_VALID },
	{ "a list signed by another", "root", "forged.crl", 0, &trust_rig.near,
	    NULL, X509_V_ERR_CRL_SIGNATURE_FAILURE },
	{ "an expired list and its successor", "root", "renewed.crl", 0,
	    &trust_rig.near, NULL, X509_V_OK },
	{ "on the list of the higher number", "root", "numbers.crl", 0,
	    &trust_rig.near, NULL, X509_V_ERR_CERT_REVOKED },
	{ "lifted by the later of two without numbers", "root",
	    "later-update.crl", 0, &trust_rig.near, NULL, X509_V_OK },
	{ "a list without an end", "root", "endless.crl", 0, &trust_rig.near,
	    NULL, X509_V_OK },

	{ "leaf: the intermediate revoked", "both", "both-mid.crl",
	    CRL_CHECK_LEAF, &trust_rig.far, NULL, X509_V_OK },
	{ "chain: the intermediate revoked", "both", "both-mid.crl",
	    CRL_CHECK_CHAIN, &trust_rig.far, NULL, X509_V_ERR_CERT_REVOKED },
	{ "chain: nobody revoked", "both", "both.crl", CRL_CHECK_CHAIN,
	    &trust_rig.far, NULL, X509_V_OK },
	{ "chain: the intermediate sent", "root", "both.crl", CRL_CHECK_CHAIN,
	    &trust_rig.far, &trust_rig.mid, X509_V_OK },
	{ "chain: no list of the root", "both", "mid.crl", CRL_CHECK_CHAIN,
	    &trust_rig.far, NULL, X509_V_ERR_UNABLE_TO_GET_CRL },
	{ "leaf: no list of the root", "both", "mid.crl", CRL_CHECK_LEAF,
	    &trust_rig.far, NULL, X509_V_OK },
	{ "leaf: no root", "mid", "mid.crl", CRL_CHECK_LEAF, &trust_rig.far,
	    NULL, X509_V_OK },
	{ "chain: no root", "mid", "both.crl", CRL_CHECK_CHAIN, &trust_rig.far,
	    NULL, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT },
	{ "chain without lists", "mid", NULL, CRL_CHECK_CHAIN, &trust_rig.far,
	    NULL, X509_V_OK },
};

static int
verify(const struct trust *trust, const struct verdict *row)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *sent = sk_X509_new_null();
	int result;

	cr_assert(ctx && sent);
	cr_assert(row->sent == NULL ||
		  sk_X509_push(sent, row->sent->certificate) > 0);
	cr_assert(X509_STORE_CTX_init(
	    ctx, trust_store(trust), row->who->certificate, sent));
	/* as SSL does for a server */
	cr_assert(X509_STORE_CTX_set_default(ctx, "ssl_client"));
	result = X509_verify_cert(ctx) == 1 ? X509_V_OK
					    : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	sk_X509_free(sent);
	ERR_clear_error();
	return result;
}

Test(trust, vouches_for_whom_its_files_say)
{
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		const struct verdict *row = &verdicts[i];
		struct trust *trust = trust_rig_load(
		    row->ca, row->lists, row->check, NULL);
		int result = verify(trust, row);

		cr_expect_eq(result, row->expect, "%s: %s", row->what,
		    X509_verify_cert_error_string(result));
		trust_unref(trust);
	}
}

/* ---- what is said of lists ---- */

static const struct {
	const char *what;
	const char *ca;
	const char *lists;
	const char *expect; /* ""; or how each sentence begins */
	bool fit;
	int64_t end;
} judged[] = {
	{ "no list", "root", NULL, "", true, INT64_MAX },
	{ "a good one", "root", "root.crl", "", true, TRUST_RIG_END },
	{ "one that ends in time", "root", "soon.crl",
	    "@/soon.crl: the list of CN=root expires soon", true,
	    TRUST_RIG_NOW + 30 * 86400 },
	{ "one that ends a second later", "root", "later.crl", "", true,
	    TRUST_RIG_NOW + 30 * 86400 + 1 },
	{ "an expired one", "root", "expired.crl",
	    "@/expired.crl: the list of CN=root has expired: its issuer's "
	    "clients are refused until there is a new one",
	    true, TRUST_RIG_PAST },
	{ "one of the future", "root", "future.crl",
	    "@/future.crl: the list of CN=root is not valid yet", true,
	    TRUST_RIG_END },
	{ "one without an end", "root", "endless.crl",
	    "@/endless.crl: the list of CN=root has no nextUpdate", true,
	    INT64_MAX },
	{ "one of another CA", "root", "other.crl",
	    "@/other.crl: the list of CN=other is signed by nobody in "
	    "ca_file",
	    false, TRUST_RIG_END },
	{ "one by another of that name", "root", "forged.crl",
	    "@/forged.crl: the list of CN=root is signed by nobody", false,
	    TRUST_RIG_END },
	{ "one of us, one of another", "root", "mixed.crl",
	    "@/mixed.crl: the list of CN=other is signed by nobody", true,
	    TRUST_RIG_END },
	{ "an expired one and its successor", "root", "renewed.crl", "", true,
	    TRUST_RIG_END },
	{ "an expired one and a false successor", "root", "misled.crl",
	    "@/misled.crl: the list of CN=root has expired", true,
	    TRUST_RIG_PAST },
	{ "an expired part beside another", "root", "parts.crl",
	    "@/parts.crl: the list of CN=root has expired", true,
	    TRUST_RIG_PAST },
};

Test(trust, says_which_lists_cannot_help)
{
	for (size_t i = 0; i < ARRAY_LEN(judged); i++) {
		char expect[256];
		struct err said = { "stale" };
		struct trust *trust = trust_rig_load(
		    judged[i].ca, judged[i].lists, CRL_CHECK_LEAF, &said);

		trust_rig_sentence(judged[i].expect, expect, sizeof(expect));
		cr_expect_eq(strncmp(said.text, expect, strlen(expect)), 0,
		    "%s: %s", judged[i].what, said.text);
		cr_expect_eq(said.text[0] == '\0', expect[0] == '\0', "%s: %s",
		    judged[i].what, said.text);
		cr_expect_eq(trust_lists_fit(trust), judged[i].fit, "%s",
		    judged[i].what);
		cr_expect_eq(trust_lists_end(trust), judged[i].end, "%s: %lld",
		    judged[i].what, (long long)trust_lists_end(trust));
		trust_unref(trust);
	}
}

Test(trust, says_all_there_is_to_say)
{
	struct err said;
	struct trust *trust = trust_rig_load(
	    "root", "mixed-expired.crl", CRL_CHECK_LEAF, &said);
	const char *first = strstr(said.text, "CN=root has expired");
	const char *second = strstr(said.text, "CN=other is signed by nobody");

	cr_expect(first != NULL && second > first, "%s", said.text);
	trust_unref(trust);
}

Test(trust, says_that_whole_chains_need_a_root)
{
	static const struct {
		const char *ca;
		enum config_crl_check check;
		bool expect;
	} rows[] = {
		{ "mid", CRL_CHECK_CHAIN, true },
		{ "mid", CRL_CHECK_LEAF, false },
		{ "both", CRL_CHECK_CHAIN, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err said;
		struct trust *trust = trust_rig_load(
		    rows[i].ca, "mid.crl", rows[i].check, &said);

		cr_expect_eq(strstr(said.text, "holds no root") != NULL,
		    rows[i].expect, "%s: %s", rows[i].ca, said.text);
		trust_unref(trust);
	}
}

/* ---- what it is to others ---- */

static const struct {
	const char *what;
	const char *ca, *lists;
	enum config_crl_check check;
} different[] = {
	{ "a root", "root", NULL, 0 },
	{ "another", "other", NULL, 0 },
	{ "two", "both", NULL, 0 },
	{ "the same two, turned round", "turned", NULL, 0 },
	{ "a root for clients", "for-clients", NULL, 0 },
	{ "a root for servers", "for-servers", NULL, 0 },
	{ "a list", "root", "root.crl", CRL_CHECK_LEAF },
	{ "a list, for the chain", "root", "root.crl", CRL_CHECK_CHAIN },
	{ "another list", "root", "near.crl", CRL_CHECK_LEAF },
	{ "two lists", "root", "mixed.crl", CRL_CHECK_LEAF },
};

Test(trust, has_a_digest_of_everything_it_says)
{
	struct trust *all[ARRAY_LEN(different)];

	for (size_t i = 0; i < ARRAY_LEN(different); i++) {
		all[i] = trust_rig_load(different[i].ca, different[i].lists,
		    different[i].check, NULL);
		for (size_t j = 0; j < i; j++)
			cr_expect_neq(memcmp(trust_digest(all[i]),
					  trust_digest(all[j]), 32),
			    0, "%s, %s", different[i].what, different[j].what);
	}
	for (size_t i = 0; i < ARRAY_LEN(different); i++)
		trust_unref(all[i]);
}

/* Every byte that can be another without damage. */
Test(trust, has_a_digest_of_every_byte)
{
	unsigned char *der = NULL;
	int len = i2d_X509(trust_rig.root.certificate, &der), fine = 0;
	char *path = trust_rig_path("changed");
	struct trust *first = trust_rig_load("root", NULL, 0, NULL), *changed;
	struct err err;

	for (int i = 0; i < len; i++) {
		der[i] ^= 1;
		trust_rig_write_der("changed", "CERTIFICATE", der, len);
		der[i] ^= 1;
		changed = trust_load(path, NULL, 0, TRUST_RIG_NOW, NULL, &err);
		if (changed == NULL)
			continue;
		fine++;
		cr_expect_neq(
		    memcmp(trust_digest(first), trust_digest(changed), 32), 0,
		    "byte %d", i);
		trust_unref(changed);
	}
	cr_expect_gt(fine, len / 2);
	trust_unref(first);
	OPENSSL_free(der);
	free(path);
}

Test(trust, has_a_digest_that_knows_nothing_of_files)
{
	struct trust *one = trust_rig_load("root", NULL, 0, NULL);
	struct trust *same = trust_rig_load("root-copy", NULL, 0, NULL);
	struct trust *idle = trust_rig_load(
	    "root", NULL, CRL_CHECK_CHAIN, NULL);

	cr_expect_arr_eq(trust_digest(one), trust_digest(same), 32);
	cr_expect_arr_eq(trust_digest(one), trust_digest(idle), 32,
	    "crl_check without a crl_file");
	trust_unref(one);
	trust_unref(same);
	trust_unref(idle);
}

Test(trust, names_each_authority_once)
{
	struct trust *trust = trust_rig_load("thrice", NULL, 0, NULL);
	const STACK_OF(X509_NAME) *names = trust_names(trust);
	char text[32];

	cr_assert_eq(sk_X509_NAME_num(names), 2);
	X509_NAME_oneline(sk_X509_NAME_value(names, 0), text, sizeof(text));
	cr_expect_str_eq(text, "/CN=root");
	X509_NAME_oneline(sk_X509_NAME_value(names, 1), text, sizeof(text));
	cr_expect_str_eq(text, "/CN=other");
	trust_unref(trust);
}

/* More names than a handshake has room for would end every handshake. */
Test(trust, asks_for_nobody_rather_than_for_too_many)
{
	static const struct {
		int count, expect;
	} rows[] = { { 600, 600 }, { 800, 0 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trust *trust;

		trust_rig_write_crowd("crowd", rows[i].count);
		trust = trust_rig_load("crowd", NULL, 0, NULL);
		cr_expect_eq(sk_X509_NAME_num(trust_names(trust)),
		    rows[i].expect, "%d", rows[i].count);
		trust_unref(trust);
	}
}

/* ---- crl_check = available ---- */

static const struct lookup {
	const char *what;
	const char *ca;
	const char *lists;
	enum config_crl_check check;
	const struct pki *chain[3];
	int expect, depth;
} lookups[] = {
	{ "no list of the root", "root", "mid.crl", CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root }, X509_V_OK, 0 },
	{ "the intermediate is revoked", "root", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "the chain ends at a revoked intermediate", "both", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE, { &trust_rig.far, &trust_rig.mid },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "a list that no certificate of ca_file has signed", "mid",
	    "mid-revoked.crl", CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid }, X509_V_OK, 0 },
	{ "...but the next of the chain has", "mid", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "a namesake of the issuer", "root", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.false_root },
	    X509_V_OK, 0 },
	{ "its list has expired", "root", "mid-expired.crl",
	    CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root },
	    X509_V_ERR_CRL_HAS_EXPIRED, 1 },
	{ "its list is not valid yet", "root", "mid-future.crl",
	    CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root },
	    X509_V_ERR_CRL_NOT_YET_VALID, 1 },
	{ "leaf on request", "root", "mid-revoked.crl", CRL_CHECK_LEAF,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root }, X509_V_OK, 0 },
	{ "no lists", "root", NULL, CRL_CHECK_AVAILABLE,
	    { &trust_rig.far, &trust_rig.mid, &trust_rig.root }, X509_V_OK, 0 },
};

Test(trust, looks_intermediates_up_where_a_list_is_present)
{
	for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
		const struct lookup *row = &lookups[i];
		struct trust *trust = trust_rig_load(
		    row->ca, row->lists, row->check, NULL);
		STACK_OF(X509) *chain = sk_X509_new_null();
		int depth = 0;

		for (size_t k = 0; k < 3 && row->chain[k] != NULL; k++)
			cr_assert_gt(
			    sk_X509_push(chain, row->chain[k]->certificate), 0);
		cr_expect_eq(
		    trust_check_chain(trust, chain, TRUST_RIG_NOW, &depth),
		    row->expect, "%s", row->what);
		cr_expect_eq(depth, row->depth, "%s", row->what);
		cr_expect_eq(ERR_peek_error(), 0, "%s", row->what);
		sk_X509_free(chain);
		trust_unref(trust);
	}
}

/* ---- rollback ---- */

static const struct {
	const char *held, *fresh;
	bool expect;
} rollbacks[] = {
	{ "number-2.crl", "number-1.crl", true },
	{ "number-2.crl", "number-2.crl", false },
	{ "number-1.crl", "number-2.crl", false },
	{ "root.crl", "earlier.crl", true },
	{ "earlier.crl", "root.crl", false },
	{ "number-2.crl", "number-other.crl", false },
	{ "number-2.crl", "forged.crl", false },
	{ "mid-revoked.crl", "earlier.crl", true },
};

Test(trust, notices_a_list_that_goes_back)
{
	for (size_t i = 0; i < ARRAY_LEN(rollbacks); i++) {
		struct trust *held = trust_rig_load(
		    "both", rollbacks[i].held, CRL_CHECK_AVAILABLE, NULL);
		struct trust *fresh = trust_rig_load(
		    "both", rollbacks[i].fresh, CRL_CHECK_AVAILABLE, NULL);
		struct err err = { "" };

		cr_expect_eq(trust_is_rollback(fresh, held, "x.crl", &err),
		    rollbacks[i].expect, "%s, %s", rollbacks[i].held,
		    rollbacks[i].fresh);
		cr_expect_eq(
		    strncmp(err.text, "x.crl: the list of CN=root", 26) == 0,
		    rollbacks[i].expect, "%s", err.text);
		trust_unref(fresh);
		trust_unref(held);
	}
}
