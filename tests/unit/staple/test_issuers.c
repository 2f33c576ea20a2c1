/* Issuers that were fetched: which bytes contain one, and what is cached. */
#include "staple/issuers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/fetch.h"
#include "staple/store.h"
#include "tests/support/pki.h"
#include "tests/support/scratch.h"

#define URLS                                            \
	"OCSP;URI:http://a/,caIssuers;URI:http://ca/1," \
	"caIssuers;URI:http://ca/2"

static struct {
	struct pki ca, leaf, impostor, other;
	struct staple_cert *cert;
	struct staple_issuers issuers;
} fixture;

static struct staple_cert *
know(const struct pki *leaf, bool aia_issuer)
{
	const struct staple_trust trust = { .aia_issuer = aia_issuer };
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(leaf->certificate, NULL, NULL, &trust, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	return cert;
}

static void
set_up(void)
{
	const struct pki_wish authority = { .name = "Authority", .ca = true };
	const struct pki_wish other = { .name = "Other", .ca = true };

	fixture.ca = pki_make(&authority);
	fixture.impostor = pki_make(&authority);
	fixture.other = pki_make(&other);
	fixture.leaf = pki_make(&(struct pki_wish){
	    .name = "a.example", .issuer = &fixture.ca, .aia = URLS });
	fixture.cert = know(&fixture.leaf, true);
}

static void
tear_down(void)
{
	staple_issuers_fini(&fixture.issuers);
	staple_cert_unref(fixture.cert);
	pki_drop(&fixture.leaf);
	pki_drop(&fixture.ca);
	pki_drop(&fixture.impostor);
	pki_drop(&fixture.other);
}

TestSuite(issuers, .init = set_up, .fini = tear_down, .timeout = 20);

/* ---- Whose issuer may be fetched ---- */

static const struct {
	const char *what, *aia, *expect; /* NULL: nowhere */
	const char *hint;
	bool off, self_signed;
} places[] = {
	{ "two URLs", URLS, "http://ca/1 http://ca/2 ", "", false, false },
	{ "switched off", URLS, NULL, "was not found", true, false },
	{ "self-signed", URLS, NULL, "self-signed", false, true },
	{ "no URL", "OCSP;URI:http://a/", NULL, "was not found", false, false },
	{ "no responder to ask", "caIssuers;URI:http://ca/1", NULL,
	    "has no responder URL", false, false },
	{ "https alone", "OCSP;URI:http://a/,caIssuers;URI:https://ca/1", NULL,
	    "the issuer's URL https://ca/1 was left out, as issuers are "
	    "fetched only by http",
	    false, false },
	{ "https and http",
	    "OCSP;URI:http://a/,caIssuers;URI:https://ca/1,"
	    "caIssuers;URI:http://ca/2",
	    "http://ca/2 ", "only by http", false, false },
	{ "ldap", "OCSP;URI:http://a/,caIssuers;URI:ldap://ca/cn=x", NULL,
	    "neither http nor https", false, false },
	{ "five of them",
	    "OCSP;URI:http://a/,caIssuers;URI:http://ca/1,"
	    "caIssuers;URI:http://ca/2,caIssuers;URI:http://ca/3,"
	    "caIssuers;URI:http://ca/4,caIssuers;URI:http://ca/5",
	    "http://ca/1 http://ca/2 http://ca/3 http://ca/4 ",
	    "http://ca/5 was left out, as the limit of URLs", false, false },
};

Test(issuers, are_fetched_from_the_urls_of_the_certificate)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct pki leaf = pki_make(&(struct pki_wish){ .name = "l",
		    .issuer = places[i].self_signed ? NULL : &fixture.ca,
		    .aia = places[i].aia });
		struct staple_cert *cert = know(&leaf, !places[i].off);
		char text[256] = "";

		for (size_t n = 0; n < cert->issuer_url_count; n++)
			snprintf(text + strlen(text),
			    sizeof(text) - strlen(text), "%s ",
			    cert->issuer_urls[n]);
		cr_expect_str_eq(text,
		    places[i].expect != NULL ? places[i].expect : "", "%s: %s",
		    places[i].what, text);
		cr_expect_eq(cert->unavailable_reason == STAPLE_UNASKED,
		    places[i].expect != NULL, "%s", places[i].what);
		cr_expect_eq(cert->leaf != NULL, places[i].expect != NULL);
		cr_expect_not_null(strstr(cert->hint, places[i].hint), "%s: %s",
		    places[i].what, cert->hint);
		staple_cert_unref(cert);
		pki_drop(&leaf);
	}
}

Test(issuers, are_not_fetched_for_a_staple_file)
{
	const struct staple_source source = { .staple_file = "/x" };
	const struct staple_trust trust = { .aia_issuer = true };
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(
	    fixture.leaf.certificate, NULL, &source, &trust, &err);
	cr_assert_not_null(cert);
	cr_expect_eq(cert->unavailable_reason, STAPLE_NO_ISSUER);
	cr_expect_eq(cert->issuer_url_count, 0);
	staple_cert_unref(cert);
}

/* ---- Bytes ---- */

struct bytes {
	unsigned char *data;
	size_t len;
};

static struct bytes
in_der(const struct pki *one)
{
	struct bytes bytes = { NULL, 0 };

	bytes.len = (size_t)i2d_X509(one->certificate, &bytes.data);
	return bytes;
}

static struct bytes
in_text(const char *text)
{
	return (struct bytes){ (unsigned char *)OPENSSL_strdup(text),
		strlen(text) };
}

static struct bytes
in_pem(const struct pki *first, const struct pki *second)
{
	char *a = pki_certificate_pem(first), *b = pki_certificate_pem(second);
	char *both = pki_join(a, b);
	struct bytes bytes = in_text(both);

	free(a);
	free(b);
	free(both);
	return bytes;
}

/* RFC 5280 4.2.2.1: "certs-only". */
static struct bytes
in_pkcs7(const struct pki *first, const struct pki *second)
{
	PKCS7 *bag = PKCS7_new();
	struct bytes bytes = { NULL, 0 };

	cr_assert(PKCS7_set_type(bag, NID_pkcs7_signed) == 1 &&
		  PKCS7_content_new(bag, NID_pkcs7_data) == 1 &&
		  PKCS7_set_detached(bag, 1) == 1 &&
		  PKCS7_add_certificate(bag, first->certificate) == 1 &&
		  PKCS7_add_certificate(bag, second->certificate) == 1);
	bytes.len = (size_t)i2d_PKCS7(bag, &bytes.data);
	PKCS7_free(bag);
	return bytes;
}

static struct bytes
in_empty_pkcs7(int type)
{
	PKCS7 *bag = PKCS7_new();
	struct bytes bytes = { NULL, 0 };

	cr_assert(PKCS7_set_type(bag, type) == 1);
	if (type == NID_pkcs7_signed)
		PKCS7_content_new(bag, NID_pkcs7_data);
	bytes.len = (size_t)i2d_PKCS7(bag, &bytes.data);
	PKCS7_free(bag);
	return bytes;
}

static struct bytes
in_many(void)
{
	char *one = pki_certificate_pem(&fixture.impostor);
	char *last = pki_certificate_pem(&fixture.ca);
	char *text = calloc(1, 16 * strlen(one) + strlen(last) + 1);
	struct bytes bytes;

	for (int i = 0; i < 16; i++)
		strcat(text, one);
	strcat(text, last);
	bytes = in_text(text);
	free(text);
	free(one);
	free(last);
	return bytes;
}

/* Takes the bytes.  NULL: it is found; else the expected text. */
static void
expect(const char *what, struct bytes bytes, const char *said)
{
	const struct staple_fetch_result result = {
		.outcome = STAPLE_GOOD, .body = bytes.data, .len = bytes.len
	};
	struct staple_result checked;
	X509 *found = staple_issuer_check(fixture.cert, &result, &checked);

	cr_expect_eq(
	    found != NULL, said == NULL, "%s: %s", what, checked.said.text);
	if (found != NULL)
		cr_expect_eq(
		    X509_cmp(found, fixture.ca.certificate), 0, "%s", what);
	else if (said != NULL)
		cr_expect_not_null(strstr(checked.said.text, said), "%s: %s",
		    what, checked.said.text);
	cr_expect_eq(checked.outcome == STAPLE_GOOD, said == NULL);
	cr_expect_eq(ERR_peek_error(), 0, "%s", what);
	X509_free(found);
	OPENSSL_free(bytes.data);
}

Test(issuers, are_read_in_every_usual_form)
{
	const struct pki *ca = &fixture.ca, *impostor = &fixture.impostor;

	expect("DER", in_der(ca), NULL);
	expect("PEM", in_pem(ca, impostor), NULL);
	expect("PEM behind another", in_pem(impostor, ca), NULL);
	expect("PKCS #7", in_pkcs7(impostor, ca), NULL);
}

#define LOCKED                                 \
	"-----BEGIN CERTIFICATE-----\n"        \
	"Proc-Type: 4,ENCRYPTED\n"             \
	"DEK-Info: AES-128-CBC,"               \
	"00000000000000000000000000000000\n\n" \
	"AAAAAAAAAAAAAAAAAAAAAA==\n"           \
	"-----END CERTIFICATE-----\n"

Test(issuers, are_accepted_only_for_their_signature)
{
	const struct pki *impostor = &fixture.impostor, *other = &fixture.other;
	struct bytes cut = in_der(&fixture.ca);

	cut.len -= 10;
	expect("cut off", cut, "no certificate");
	expect("a namesake", in_der(impostor), "key did not sign");
	expect("another name", in_der(other), "another name");
	expect("both", in_pkcs7(other, impostor), "key did not sign");
	expect("the leaf itself", in_der(&fixture.leaf), "another name");
	expect("HTML", in_text("<html>"), "no certificate");
	expect("a PEM of nothing",
	    in_text("-----BEGIN CERTIFICATE-----\nAAAA\n"
		    "-----END CERTIFICATE-----\n"),
	    "no certificate");
	expect(
	    "a PEM that wants a password", in_text(LOCKED), "no certificate");
	expect("PKCS #7 of nothing", in_empty_pkcs7(NID_pkcs7_signed),
	    "no certificate");
	expect("PKCS #7 of another kind", in_empty_pkcs7(NID_pkcs7_data),
	    "no certificate");
	expect("behind sixteen others", in_many(), "key did not sign");
}

Test(issuers, that_could_not_be_fetched_keep_the_words_of_the_exchange)
{
	const struct staple_fetch_result result = { .outcome = STAPLE_TOO_LARGE,
		.said = "too large by far" };
	struct staple_result checked;

	cr_expect_null(staple_issuer_check(fixture.cert, &result, &checked));
	cr_expect_eq(checked.outcome, STAPLE_TOO_LARGE);
	cr_expect_str_eq(checked.said.text, "too large by far");
}

/* An expired issuer is accepted: clients verify its dates. */
Test(issuers, may_have_expired)
{
	struct pki old = pki_make(&(struct pki_wish){ .name = "Old",
	    .ca = true,
	    .from = "20200101000000Z",
	    .to = "20210101000000Z" });
	struct pki leaf = pki_make(
	    &(struct pki_wish){ .name = "l", .issuer = &old, .aia = URLS });
	struct staple_cert *cert = know(&leaf, true);
	enum staple_origin origin;

	staple_issuers_add(
	    &fixture.issuers, old.certificate, STAPLE_ORIGIN_AIA);
	cr_expect_eq(staple_issuers_find(&fixture.issuers, cert, &origin),
	    old.certificate);
	staple_cert_unref(cert);
	pki_drop(&leaf);
	pki_drop(&old);
}

/* ---- Memory ---- */

Test(issuers, are_remembered_with_where_they_came_from)
{
	enum staple_origin origin = STAPLE_ORIGIN_NONE;
	struct staple_issuers *issuers = &fixture.issuers;

	cr_expect_null(staple_issuers_find(issuers, fixture.cert, &origin));
	staple_issuers_add(
	    issuers, fixture.impostor.certificate, STAPLE_ORIGIN_STORE);
	cr_expect_null(staple_issuers_find(issuers, fixture.cert, &origin));
	for (int i = 0; i < 2 * STAPLE_ISSUERS_MAX; i++)
		staple_issuers_add(
		    issuers, fixture.ca.certificate, STAPLE_ORIGIN_AIA);
	cr_expect_eq(issuers->next, 2, "one is remembered once");
	cr_expect_eq(staple_issuers_find(issuers, fixture.cert, &origin),
	    fixture.ca.certificate);
	cr_expect_eq(origin, STAPLE_ORIGIN_AIA);
}

Test(issuers, are_forgotten_when_too_many_came_after)
{
	enum staple_origin origin;

	staple_issuers_add(
	    &fixture.issuers, fixture.ca.certificate, STAPLE_ORIGIN_AIA);
	for (int i = 0; i < STAPLE_ISSUERS_MAX; i++) {
		struct pki one = pki_make(&(struct pki_wish){ .ca = true });

		staple_issuers_add(
		    &fixture.issuers, one.certificate, STAPLE_ORIGIN_AIA);
		pki_drop(&one);
	}
	cr_expect_null(
	    staple_issuers_find(&fixture.issuers, fixture.cert, &origin));
}

Test(issuers, that_failed_rest_for_others)
{
	struct staple_issuers *issuers = &fixture.issuers;
	struct staple_cert *cert = fixture.cert;
	int me = 0, you = 0;

	cr_expect_null(staple_issuers_failed(issuers, cert, 0, &you, 1000));
	staple_issuers_fail(issuers, cert, 0, &me, "refused", 1000);
	cr_expect_null(staple_issuers_failed(issuers, cert, 0, &me, 1001));
	cr_expect_null(staple_issuers_failed(issuers, cert, 1, &you, 1001));
	cr_expect_str_eq(
	    staple_issuers_failed(issuers, cert, 0, &you, 1001), "refused");
	cr_expect_null(staple_issuers_failed(
	    issuers, cert, 0, &you, 1000 + STAPLE_ISSUER_REST_MS));
}

/* ---- The store ---- */

Test(issuers, of_one_name_and_key_have_one_file)
{
	struct pki sibling = pki_make(
	    &(struct pki_wish){ .name = "b.example", .issuer = &fixture.ca });
	struct pki stranger = pki_make(&(struct pki_wish){
	    .name = "a.example", .issuer = &fixture.other });
	char a[65], b[65], c[65];

	cr_assert(staple_issuer_id(fixture.leaf.certificate, a));
	cr_assert(staple_issuer_id(sibling.certificate, b));
	cr_assert(staple_issuer_id(stranger.certificate, c));
	cr_expect_str_eq(a, b);
	cr_expect_str_neq(a, c);
	cr_expect_eq(strspn(a, "0123456789abcdef"), 64);
	pki_drop(&sibling);
	pki_drop(&stranger);
}

Test(issuers, are_verified_when_they_are_loaded)
{
	struct bytes wrong = in_der(&fixture.impostor);
	struct bytes right = in_der(&fixture.ca);
	struct staple_store *store;
	struct scratch scratch;
	struct err err;
	char id[65];
	X509 *found;

	scratch_open(&scratch);
	store = staple_store_open_issuers(scratch.path, &err);
	cr_assert_not_null(store, "%s", err.text);
	cr_assert(staple_issuer_id(fixture.leaf.certificate, id));
	cr_expect_null(staple_issuer_load(store, fixture.cert, &err));
	cr_expect_str_eq(err.text, "", "there is none");
	cr_assert(staple_store_write(store, id, wrong.data, wrong.len, &err));
	cr_expect_null(staple_issuer_load(store, fixture.cert, &err));
	cr_expect_not_null(strstr(err.text, "did not sign"), "%s", err.text);
	cr_assert(staple_store_write(store, id, right.data, right.len, &err));
	found = staple_issuer_load(store, fixture.cert, &err);
	cr_assert_not_null(found, "%s", err.text);
	cr_expect_eq(X509_cmp(found, fixture.ca.certificate), 0);
	X509_free(found);
	staple_store_close(store);
	OPENSSL_free(wrong.data);
	OPENSSL_free(right.data);
	scratch_close(&scratch);
}
