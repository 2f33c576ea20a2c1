/*
 * A trust loaded with the n-th allocation failing, for every n: a sentence, or
 * the very same trust.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "tests/support/scarce.h"
#include "tests/unit/tls/trust_rig.h"
#include "tls/trust.h"

enum { ENOUGH = 100000 };

TestSuite(trust_memory, .init = trust_rig_open, .fini = trust_rig_close);

static const struct {
	const char *ca;
	const char *lists;
} rows[] = {
	{ "thrice", NULL },
	{ "both", "both.crl" },
	{ "both", "half-ended.crl" },
};

/* CA certificates whose extensions could be decoded, which OpenSSL does once
 * for each. */
static int
count_usable(const struct trust *trust)
{
	const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(
	    trust_store(trust));
	int count = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *one = X509_OBJECT_get0_X509(
		    sk_X509_OBJECT_value(objects, i));

		count += one != NULL && X509_check_purpose(one, -1, 0) == 1;
	}
	return count;
}

static void
expect_same(const struct trust *now, const struct trust *whole, long n)
{
	cr_expect_arr_eq(trust_digest(now), trust_digest(whole), 32, "%ld", n);
	cr_expect_eq(trust_lists_end(now), trust_lists_end(whole), "%ld", n);
	cr_expect_eq(sk_X509_NAME_num(trust_names(now)),
	    sk_X509_NAME_num(trust_names(whole)), "%ld", n);
	cr_expect_eq(
	    count_usable(now), count_usable(whole), "allocation %ld", n);
}

/* Was there an n-th allocation? */
static bool
load(const char *ca, const char *lists, const struct trust *whole, long n)
{
	struct err warning, err;
	struct trust *trust;
	bool failed;

	scarce_begin(n);
	trust = trust_load(
	    ca, lists, CRL_CHECK_CHAIN, TRUST_RIG_NOW, &warning, &err);
	failed = scarce_end();
	cr_expect(trust != NULL || failed, "allocation %ld", n);
	cr_expect(trust != NULL || err.text[0] != '\0', "allocation %ld", n);
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (trust != NULL)
		expect_same(trust, whole, n);
	trust_unref(trust);
	return failed;
}

Test(trust_memory, running_out_is_an_error_or_changes_nothing)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct trust *whole = trust_rig_load(
		    rows[i].ca, rows[i].lists, CRL_CHECK_CHAIN, NULL);
		char *ca = trust_rig_path(rows[i].ca);
		char *lists = rows[i].lists ? trust_rig_path(rows[i].lists)
					    : NULL;
		long n = 0;

		while (n < ENOUGH && load(ca, lists, whole, n))
			n++;
		cr_expect(n > 50 && n < ENOUGH, "%ld", n);
		free(ca);
		free(lists);
		trust_unref(whole);
	}
}
