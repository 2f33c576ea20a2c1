/* See response_rig.h. */
#include "tests/unit/staple/response_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>

void
rig_init(struct rig *rig, enum pki_key key)
{
	struct pki root = pki_make(
	    &(struct pki_wish){ .key = key, .name = "root", .ca = true });
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct err err;

	*rig = (struct rig){
		.clock = { RIG_NOW, 24 * RIG_HOUR },
	};
	rig->issuer = pki_make(&(struct pki_wish){
	    .key = key, .name = "issuer", .issuer = &root, .ca = true });
	rig->leaf = pki_make(&(struct pki_wish){
	    .key = key, .name = "leaf", .issuer = &rig->issuer });
	cr_assert(sk_X509_push(chain, rig->issuer.certificate) > 0);
	rig->cert = staple_cert_new(
	    rig->leaf.certificate, chain, NULL, NULL, &err);
	cr_assert_not_null(rig->cert, "%s", err.text);
	cr_assert_not_null(rig->cert->issuer);
	sk_X509_free(chain);
	pki_drop(&root);
}

void
rig_fini(struct rig *rig)
{
	staple_cert_unref(rig->cert);
	pki_drop(&rig->leaf);
	pki_drop(&rig->issuer);
}

struct ocsp_wish
rig_wish(const struct rig *rig)
{
	return (struct ocsp_wish){
		.leaf = &rig->leaf,
		.issuer = &rig->issuer,
		.this_update = RIG_NOW - RIG_HOUR,
		.next_update = RIG_NOW + RIG_HOUR,
	};
}

struct staple_response *
rig_verify(struct rig *rig, const struct ocsp_made *made)
{
	struct staple_response *response;
	enum staple_outcome outcome;

	memset(&rig->checked, 0, sizeof(rig->checked));
	response = staple_response_verify(
	    rig->cert, made->der, made->len, &rig->clock, &rig->checked);
	outcome = rig->checked.outcome;
	cr_assert_eq(response != NULL,
	    outcome == STAPLE_GOOD || outcome == STAPLE_REVOKED, "%s",
	    staple_outcome_name(outcome));
	cr_assert_neq(outcome, STAPLE_UNASKED);
	cr_assert_neq(rig->checked.said.text[0], '\0', "nothing was said");
	cr_assert_eq(ERR_peek_error(), 0, "OpenSSL's queue is not empty");
	return response;
}

struct staple_response *
rig_response(struct rig *rig, const struct ocsp_wish *wish)
{
	struct ocsp_made made = ocsp_make(wish);
	struct staple_response *response = rig_verify(rig, &made);

	ocsp_drop(&made);
	return response;
}

enum staple_outcome
rig_judge(struct rig *rig, const struct ocsp_made *made)
{
	staple_response_unref(rig_verify(rig, made));
	return rig->checked.outcome;
}

enum staple_outcome
rig_outcome(struct rig *rig, const struct ocsp_wish *wish)
{
	staple_response_unref(rig_response(rig, wish));
	return rig->checked.outcome;
}

bool
rig_said(const struct rig *rig, const char *text)
{
	return strstr(rig->checked.said.text, text) != NULL;
}
