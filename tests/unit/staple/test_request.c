/* What is asked: RFC 6960 section 4.1 and RFC 5019 section 2.1. */
#include "staple/cert.h"

#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct {
	struct pki ca, leaf;
	struct staple_cert *cert;
} fixture;

static void
set_up(void)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct err err;

	fixture.ca = pki_make(
	    &(struct pki_wish){ .name = "Authority", .ca = true });
	fixture.leaf = pki_make(
	    &(struct pki_wish){ .name = "a.example", .issuer = &fixture.ca });
	sk_X509_push(chain, fixture.ca.certificate);
	fixture.cert = staple_cert_new(
	    fixture.leaf.certificate, chain, NULL, NULL, &err);
	cr_assert_not_null(fixture.cert, "%s", err.text);
	sk_X509_free(chain);
}

static void
tear_down(void)
{
	staple_cert_unref(fixture.cert);
	pki_drop(&fixture.leaf);
	pki_drop(&fixture.ca);
}

TestSuite(request, .init = set_up, .fini = tear_down);

static const int digests[STAPLE_HASHES] = { NID_sha1, NID_sha256 };

/* Decoded, with nothing left over. */
static OCSP_REQUEST *
decode(int hash)
{
	const struct staple_request *request = &fixture.cert->requests[hash];
	const unsigned char *at = request->der;
	OCSP_REQUEST *asked;

	asked = d2i_OCSP_REQUEST(NULL, &at, (long)request->len);
	cr_assert_not_null(asked);
	cr_assert_eq(at, request->der + request->len);
	return asked;
}

Test(request, asks_for_one_certificate_by_each_hash)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		OCSP_REQUEST *asked = decode(i);
		OCSP_CERTID *wanted = OCSP_cert_to_id(
		    EVP_get_digestbynid(digests[i]), fixture.leaf.certificate,
		    fixture.ca.certificate);

		cr_expect_eq(OCSP_request_onereq_count(asked), 1);
		cr_expect_eq(OCSP_id_cmp(wanted,
				 OCSP_onereq_get0_id(
				     OCSP_request_onereq_get0(asked, 0))),
		    0);
		OCSP_CERTID_free(wanted);
		OCSP_REQUEST_free(asked);
	}
}

Test(request, keeps_the_ids_to_know_the_answer_by)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		ASN1_OBJECT *digest;
		ASN1_INTEGER *serial;

		OCSP_id_get0_info(
		    NULL, &digest, NULL, &serial, fixture.cert->ids[i]);
		cr_expect_eq(OBJ_obj2nid(digest), digests[i]);
		cr_expect_eq(
		    ASN1_INTEGER_cmp(serial,
			X509_get0_serialNumber(fixture.leaf.certificate)),
		    0);
	}
}

Test(request, carries_neither_nonce_nor_signature_nor_name)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		OCSP_REQUEST *asked = decode(i);

		cr_expect_eq(OCSP_REQUEST_get_ext_count(asked), 0);
		cr_expect_eq(OCSP_ONEREQ_get_ext_count(
				 OCSP_request_onereq_get0(asked, 0)),
		    0);
		cr_expect_eq(OCSP_request_is_signed(asked), 0);
		OCSP_REQUEST_free(asked);
	}
}

/* RFC 5019 5: up to 255 bytes of encoded request go with GET. */
Test(request, is_short_enough_for_get)
{
	for (int i = 0; i < STAPLE_HASHES; i++) {
		size_t base64 = (fixture.cert->requests[i].len + 2) / 3 * 4;

		cr_expect(base64 < 255, "%zu", base64);
	}
}

Test(request, is_not_made_without_an_issuer)
{
	struct staple_cert *alone;
	struct err err;

	alone = staple_cert_new(
	    fixture.leaf.certificate, NULL, NULL, NULL, &err);
	cr_assert_not_null(alone);
	for (int i = 0; i < STAPLE_HASHES; i++) {
		cr_expect_null(alone->ids[i]);
		cr_expect_null(alone->requests[i].der);
		cr_expect_eq(alone->requests[i].len, 0);
	}
	cr_expect_eq(ERR_peek_error(), 0);
	staple_cert_unref(alone);
}
