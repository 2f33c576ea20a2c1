/*
 * A certificate with everything in it, worked out with the n-th allocation
 * failing, for every n: what comes of it is whole, or it is an error; never
 * half, never a leak.
 */
#include "staple/cert.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"
#include "tests/support/pki.h"
#include "tests/support/scarce.h"

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

char *
__wrap_strndup(const char *text, size_t len)
{
	return scarce_fails_now() ? NULL : __real_strndup(text, len);
}

static struct {
	struct pki ca, impostor, leaf, bare;
	STACK_OF(X509) * chain;
	struct staple_trust trust;
} fixture;

static void
set_up(void)
{
	struct pki_wish authority = { .name = "Authority", .ca = true };
	struct pki_folder folder;
	char *pem, *path;
	struct err err;

	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	fixture.ca = pki_make(&authority);
	fixture.impostor = pki_make(&authority);
	fixture.leaf = pki_make(&(struct pki_wish){ .name = "cn",
	    .san = "IP:192.0.2.1,DNS:a.example",
	    .aia = "OCSP;URI:http://b/,OCSP;URI:x,OCSP;URI:http://a/",
	    .feature = "17,5",
	    .issuer = &fixture.ca });
	fixture.chain = sk_X509_new_null();
	sk_X509_push(fixture.chain, fixture.impostor.certificate);
	pki_folder_make(&folder);
	pem = pki_certificate_pem(&fixture.ca);
	path = pki_write(&folder, "ca.pem", pem);
	cr_assert(staple_trust_init(&fixture.trust, path, &err));
	free(path);
	free(pem);
	pki_folder_remove(&folder);
}

static void
tear_down(void)
{
	staple_trust_fini(&fixture.trust);
	sk_X509_free(fixture.chain);
	pki_drop(&fixture.leaf);
	pki_drop(&fixture.impostor);
	pki_drop(&fixture.ca);
}

TestSuite(cert_memory, .init = set_up, .fini = tear_down);

static void
expect_issuer(const struct staple_cert *cert, long n)
{
	cr_expect_eq(cert->origin, STAPLE_ORIGIN_CA_FILE, "allocation %ld", n);
	cr_expect_eq(cert->hindrance, STAPLE_UNASKED, "allocation %ld", n);
	for (int i = 0; i < STAPLE_HASHES; i++)
		cr_expect(cert->requests[i].len > 0, "allocation %ld", n);
}

static void
expect_whole(const struct staple_cert *cert, long n)
{
	static const char hint[] =
	    "the URL x was left out, as it is neither http nor https";

	cr_expect_str_eq(cert->name, "a.example", "allocation %ld", n);
	cr_expect(cert->must_staple, "allocation %ld", n);
	cr_expect_eq(cert->url_count, 2, "allocation %ld", n);
	cr_expect_eq(memcmp(cert->hint, hint, strlen(hint)), 0,
	    "allocation %ld: %s", n, cert->hint);
	cr_expect_str_eq(cert->staple_file, "/x", "allocation %ld", n);
	expect_issuer(cert, n);
}

/* Was there an n-th allocation, which then failed?  OpenSSL notes things on a
 * certificate that it looks at: each time a fresh copy. */
static bool
know_with_failure(long n)
{
	struct staple_source source = { .staple_file = "/x" };
	X509 *leaf = X509_dup(fixture.leaf.certificate);
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_new(
	    leaf, fixture.chain, &source, &fixture.trust, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL) {
		expect_whole(cert, n);
		cr_expect(failed || cert->issuer != NULL);
	} else {
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	}
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_anywhere_leaves_a_whole_certificate_or_none)
{
	long n = 0;

	/* What OpenSSL sets up once for the process is not ours. */
	cr_assert_not(know_with_failure(1000000));
	while (n < 100000 && know_with_failure(n))
		n++;
	/* Every allocation had its turn, and there were some. */
	cr_expect(n > 100 && n < 100000, "%ld", n);
}

/* A new stack of new copies, without what OpenSSL has cached in them. */
static STACK_OF(X509) * fresh_chain(void)
{
	STACK_OF(X509) *chain = sk_X509_new_null();

	sk_X509_push(chain, X509_dup(fixture.impostor.certificate));
	sk_X509_push(chain, X509_dup(fixture.ca.certificate));
	return chain;
}

/* Was there an n-th allocation?  After it failed, the same X509s are read
 * again with memory. */
static bool
read_after_failure(long n)
{
	struct staple_source source = { .staple_file = "/x" };
	X509 *leaf = X509_dup(fixture.leaf.certificate);
	STACK_OF(X509) *chain = fresh_chain();
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	staple_cert_unref(staple_cert_new(leaf, chain, &source, NULL, &err));
	failed = scarce_end();
	cert = staple_cert_new(leaf, chain, &source, NULL, &err);
	cr_assert_not_null(cert, "allocation %ld: %s", n, err.text);
	cr_expect_eq(cert->origin, STAPLE_ORIGIN_CHAIN, "allocation %ld", n);
	cr_expect(cert->must_staple, "allocation %ld", n);
	staple_cert_unref(cert);
	sk_X509_pop_free(chain, X509_free);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_does_not_spoil_what_is_read_again)
{
	long n = 0;

	cr_assert_not(read_after_failure(1000000));
	while (n < 100000 && read_after_failure(n))
		n++;
	cr_expect(n > 100 && n < 100000, "%ld", n);
}

/* The same of a sketch that is completed. */
static bool
complete_with_failure(const struct staple_cert *sketch, long n)
{
	X509 *leaf = X509_dup(fixture.leaf.certificate);
	struct staple_cert *cert;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_complete(
	    sketch, leaf, fixture.chain, &fixture.trust, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL)
		expect_whole(cert, n);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_leaves_a_sketch_completed_or_as_it_was)
{
	const struct staple_source source = { .staple_file = "/x" };
	struct err err;
	struct staple_cert *sketch = staple_cert_sketch(
	    fixture.leaf.certificate, &source, &err);
	long n = 0;

	cr_assert_not_null(sketch);
	cr_assert_not(complete_with_failure(sketch, 1000000));
	while (n < 100000 && complete_with_failure(sketch, n))
		n++;
	cr_expect(n > 50 && n < 100000, "%ld", n);
	cr_expect_not(sketch->complete);
	staple_cert_unref(sketch);
}

Test(cert_memory, running_out_while_stores_are_opened_is_an_error)
{
	struct staple_trust trust;
	struct err err;
	bool failed = true;
	long n = 0;

	for (; failed && n < 100000; n++) {
		err.text[0] = '\0';
		scarce_begin(n);
		if (staple_trust_init(&trust, NULL, &err))
			staple_trust_fini(&trust);
		else
			cr_expect_str_neq(err.text, "", "allocation %ld", n);
		failed = scarce_end();
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	}
	cr_expect(n > 3 && n < 100000, "%ld", n);
}

/* One whose issuer is to be fetched, and then is there. */
static bool
fetch_with_failure(long n)
{
	static const struct staple_trust trust = { .aia_issuer = true };
	X509 *leaf = X509_dup(fixture.bare.certificate);
	struct staple_cert *cert, *whole = NULL;
	struct err err = { "" };
	bool failed;

	scarce_begin(n);
	cert = staple_cert_new(leaf, NULL, NULL, &trust, &err);
	if (cert != NULL && cert->leaf != NULL)
		whole = staple_cert_with_issuer(cert, cert->leaf,
		    fixture.ca.certificate, STAPLE_ORIGIN_AIA, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (cert != NULL) {
		cr_expect_eq(cert->hindrance, STAPLE_UNASKED);
		cr_expect_eq(cert->issuer_url_count, 2, "allocation %ld", n);
		cr_expect_not_null(cert->leaf, "allocation %ld", n);
	}
	if (whole != NULL)
		cr_expect(whole->requests[STAPLE_SHA256].len > 0);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	staple_cert_unref(whole);
	staple_cert_unref(cert);
	X509_free(leaf);
	return failed;
}

Test(cert_memory, running_out_never_loses_the_way_to_an_issuer)
{
	long n = 0;

	fixture.bare = pki_make(&(struct pki_wish){ .name = "bare",
	    .aia = "OCSP;URI:http://b/,caIssuers;URI:http://c/,"
		   "caIssuers;URI:http://d/",
	    .issuer = &fixture.ca });
	cr_assert_not(fetch_with_failure(1000000));
	while (n < 100000 && fetch_with_failure(n))
		n++;
	cr_expect(n > 100 && n < 100000, "%ld", n);
	pki_drop(&fixture.bare);
}
