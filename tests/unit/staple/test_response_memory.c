/*
 * Responses verified with the n-th allocation failing, for every n.  Each run
 * ends in a refusal, or in the right answer where OpenSSL could do without
 * that allocation, and none of them leaks.  OpenSSL 3.0 does not always say
 * that memory was the matter: the refusal may then give another reason.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "tests/support/scarce.h"
#include "tests/unit/staple/response_rig.h"

static struct rig rig;
static struct pki delegate, impostor;

static void
set_up(void)
{
	struct pki_wish wish = { .name = "delegate", .usage = "OCSPSigning" };

	rig_init(&rig, PKI_P256);
	wish.issuer = &rig.issuer;
	delegate = pki_make(&wish);
	wish.usage = "serverAuth";
	impostor = pki_make(&wish);
}

static void
tear_down(void)
{
	pki_drop(&impostor);
	pki_drop(&delegate);
	rig_fini(&rig);
}

TestSuite(response_memory, .init = set_up, .fini = tear_down);

static bool
is_refusal(enum staple_outcome outcome)
{
	return outcome == STAPLE_NO_MEMORY ||
	       (outcome >= STAPLE_MALFORMED &&
		   outcome <= STAPLE_WEAK_SIGNATURE);
}

/* true: there was an n-th allocation. */
static bool
fail_at(const struct ocsp_made *made, enum staple_outcome right, long n)
{
	struct staple_response *response;
	enum staple_outcome outcome;
	bool failed;

	scarce_begin(n);
	response = staple_response_verify(
	    rig.cert, made->der, made->len, &rig.clock, &rig.verdict);
	failed = scarce_end();
	outcome = rig.verdict.outcome;
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (response != NULL) {
		cr_expect_eq(outcome, right, "allocation %ld", n);
		cr_expect_eq(
		    staple_response_expires(response), RIG_NOW + RIG_HOUR);
	} else {
		cr_expect(is_refusal(outcome), "allocation %ld: %s", n,
		    staple_outcome_name(outcome));
	}
	staple_response_unref(response);
	return failed;
}

static void
fail_everywhere(struct ocsp_wish wish, const struct pki *signer)
{
	struct ocsp_made made;
	enum staple_outcome right;
	long n = 0;

	wish.signer = signer;
	wish.with_signer = signer != NULL;
	made = ocsp_make(&wish);
	/* What OpenSSL fetches once and keeps is then in place. */
	right = rig_judge(&rig, &made);
	while (n < 100000 && fail_at(&made, right, n))
		n++;
	/* Every allocation had its turn, and there were some. */
	cr_expect(n > 20 && n < 100000, "%ld", n);
	cr_expect_eq(rig.verdict.outcome, right);
	ocsp_drop(&made);
}

Test(response_memory, running_out_makes_no_response)
{
	fail_everywhere(rig_wish(&rig), NULL);
	fail_everywhere(rig_wish(&rig), &delegate);
}

Test(response_memory, running_out_while_explaining_is_a_refusal)
{
	struct ocsp_wish wish = rig_wish(&rig);

	fail_everywhere(wish, &impostor);
	fail_everywhere(wish, &rig.leaf);
	wish.leaf = &impostor;
	fail_everywhere(wish, NULL);
	wish = rig_wish(&rig);
	wish.status = OCSP_SAYS_REVOKED;
	fail_everywhere(wish, NULL);
	wish.spoiled = true;
	fail_everywhere(wish, NULL);
}
