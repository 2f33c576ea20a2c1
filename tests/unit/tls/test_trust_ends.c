/*
 * When a list ends for the clients of one issuer, of whom those of another
 * should not notice.
 */
#include <criterion/criterion.h>

#include "base/attr.h"
#include "tests/unit/tls/trust_rig.h"
#include "tls/trust.h"

TestSuite(trust_ends, .init = trust_rig_open, .fini = trust_rig_close);

static const struct {
	const char *what;
	const char *lists; /* NULL: none */
	int64_t near, far; /* a client of the root, and one of mid */
} rows[] = {
	{ "no lists", NULL, INT64_MAX, INT64_MAX },
	{ "the root's alone", "root.crl", TRUST_RIG_END, INT64_MAX },
	{ "mid's alone", "mid.crl", INT64_MAX, TRUST_RIG_END },
	{ "both", "both.crl", TRUST_RIG_END, TRUST_RIG_END },
	{ "one expired", "half-ended.crl", TRUST_RIG_PAST, TRUST_RIG_END },
	{ "one without an end", "endless.crl", INT64_MAX, INT64_MAX },
	{ "a stranger's", "other.crl", INT64_MAX, INT64_MAX },
	{ "expired, with a successor", "renewed.crl", TRUST_RIG_END,
	    INT64_MAX },
	{ "expired, with a false successor", "misled.crl", TRUST_RIG_PAST,
	    INT64_MAX },
	{ "an expired part", "parts.crl", TRUST_RIG_PAST, INT64_MAX },
};

Test(trust_ends, are_those_of_the_issuer)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trust *trust = trust_rig_load(
		    "both", rows[i].lists, CRL_CHECK_LEAF, NULL);

		cr_expect_eq(trust_list_end(trust, trust_rig.near.certificate),
		    rows[i].near, "%s: near", rows[i].what);
		cr_expect_eq(trust_list_end(trust, trust_rig.far.certificate),
		    rows[i].far, "%s: far", rows[i].what);
		trust_unref(trust);
	}
}

Test(trust_ends, are_those_of_a_chain_if_there_are_lists_for_it)
{
	static const struct {
		const char *lists;
		enum config_crl_check check;
		bool expect;
	} uses[] = {
		{ "both.crl", CRL_CHECK_LEAF, false },
		{ "both.crl", CRL_CHECK_CHAIN, true },
		{ "both.crl", CRL_CHECK_AVAILABLE, true },
		{ NULL, CRL_CHECK_AVAILABLE, false },
		{ NULL, CRL_CHECK_CHAIN, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		struct trust *trust = trust_rig_load(
		    "both", uses[i].lists, uses[i].check, NULL);

		cr_expect_eq(
		    trust_checks_chain(trust), uses[i].expect, "%zu", i);
		trust_unref(trust);
	}
}
