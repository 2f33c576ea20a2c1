/* What is worked out of a certificate that nobody wants, and when the rest
 * is. */
#include "staple/watch.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "staple/cache.h"
#include "tests/support/authority.h"

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };
static const struct staple_policy always = { .mode = STAPLE_ALWAYS };
static const struct staple_policy never = { .mode = STAPLE_NEVER };

static const char *const urls[] = { "http://one.example/",
	"http://two.example/" };
static const struct staple_source told = { urls, 2, NULL };

static struct authority authority;
static struct pki plain; /* not must-staple, names http://own.example/ */
static struct staple_cache *cache;

static void
set_up(void)
{
	authority_make(&authority);
	plain = authority_issue(
	    &authority, &(struct pki_wish){ .name = "plain.example",
			    .aia = "OCSP;URI:http://own.example/" });
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
tear_down(void)
{
	pki_drop(&plain);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	authority_drop(&authority);
}

TestSuite(sketch, .init = set_up, .fini = tear_down);

/* The facts that count afterwards; borrowed from the entry. */
static const struct staple_cert *
facts_of(X509 *certificate)
{
	struct staple_cert *cert = staple_entry_cert(
	    staple_watch_entry(certificate));

	staple_cert_unref(cert);
	return cert;
}

static const struct staple_cert *
watch(X509 *certificate, const struct staple_source *source,
    const struct staple_policy *policy)
{
	const struct staple_watcher watcher = { cache, NULL, policy };
	struct err err;

	cr_assert(staple_watch_certificate(
		      &watcher, certificate, authority.chain, source, &err),
	    "%s", err.text);
	return facts_of(certificate);
}

static const struct staple_cert *
find(X509 *certificate, const struct staple_policy *policy)
{
	const struct staple_watcher watcher = { cache, NULL, policy };
	struct err err;

	cr_assert(
	    staple_watch_found(&watcher, certificate, authority.chain, &err),
	    "%s", err.text);
	return facts_of(certificate);
}

static bool
is_complete(const struct staple_cert *cert)
{
	return cert->complete && cert->issuer != NULL &&
	       cert->requests[STAPLE_SHA1].len > 0 &&
	       cert->requests[STAPLE_SHA256].len > 0;
}

Test(sketch, is_all_there_is_of_what_nobody_wants)
{
	const struct staple_policy *const policies[] = { &automatic, &never };

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		const struct staple_cert *cert = watch(
		    plain.certificate, NULL, policies[i]);

		cr_expect_not(cert->complete);
		cr_expect_null(cert->issuer);
		cr_expect_str_eq(cert->name, "plain.example");
		cr_expect_eq(strlen(cert->id), 64u);
		cr_expect_not(cert->must_staple);
		cr_expect_eq(cert->url_count, 1u);
		cr_expect_eq(cert->hindrance, STAPLE_UNASKED);
	}
}

Test(sketch, says_that_there_is_no_responder)
{
	struct pki bare = authority_issue(
	    &authority, &(struct pki_wish){ .name = "bare" });

	cr_expect_eq(watch(bare.certificate, NULL, &automatic)->hindrance,
	    STAPLE_NO_RESPONDER);
	pki_drop(&bare);
}

Test(sketch, is_completed_when_a_policy_wants_it)
{
	(void)watch(plain.certificate, NULL, &automatic);
	cr_expect_null(staple_cache_next_changed(cache));
	cr_expect(is_complete(watch(plain.certificate, NULL, &always)));
	cr_expect(staple_cache_has_changed(cache));
}

Test(sketch, is_completed_when_another_object_is_wanted)
{
	X509 *copy = X509_dup(plain.certificate);

	(void)watch(plain.certificate, NULL, &automatic);
	cr_expect(is_complete(watch(copy, NULL, &always)));
	cr_expect(is_complete(facts_of(plain.certificate)));
	X509_free(copy);
}

Test(sketch, is_completed_with_its_source_when_a_context_wants_it)
{
	const struct staple_cert *cert;

	(void)watch(plain.certificate, &told, &automatic);
	cert = find(plain.certificate, &always);
	cr_expect(is_complete(cert));
	cr_expect(staple_cert_has_source(cert, &told));
	cr_expect_eq(cert->url_count, 2u);
}

/* However little the next one wants. */
Test(sketch, never_takes_the_place_of_what_is_wanted)
{
	static const char *const others[] = { "http://other.example/" };
	const struct staple_source other = { others, 1, NULL };
	X509 *copy = X509_dup(plain.certificate);

	(void)watch(plain.certificate, &told, &always);
	cr_expect(is_complete(watch(plain.certificate, &told, &never)));
	cr_expect(is_complete(watch(copy, &told, &never)));
	cr_expect(is_complete(watch(copy, &other, &never)), "another source");
	cr_expect_str_eq(facts_of(plain.certificate)->urls[0], others[0]);
	cr_expect(is_complete(find(copy, &never)));
	X509_free(copy);
}

Test(sketch, does_not_come_back_once_it_was_completed)
{
	X509 *copy = X509_dup(plain.certificate);
	const struct staple_cert *cert = watch(copy, NULL, &always);

	cr_expect_eq(watch(plain.certificate, NULL, &automatic), cert);
	X509_free(copy);
	cr_expect_eq(watch(plain.certificate, NULL, &automatic), cert);
}

/* The signature was verified: the same issuer in the chain is enough. */
Test(sketch, that_is_complete_is_not_worked_out_again)
{
	const struct staple_cert *cert = watch(
	    plain.certificate, &told, &always);
	X509 *equal = X509_dup(authority.pki.certificate);

	cr_expect_eq(watch(plain.certificate, &told, &always), cert);
	sk_X509_set(authority.chain, 0, equal);
	cr_expect_eq(watch(plain.certificate, &told, &always), cert);
	sk_X509_set(authority.chain, 0, authority.pki.certificate);
	X509_free(equal);
}

static const char *const one_url[] = { "http://one.example/" };
static const char *const other_urls[] = { "http://one.example/",
	"http://three.example/" };

static const struct source_row {
	const char *what;
	struct staple_source of, asked;
	bool expect;
} source_rows[] = {
	{ "none and none", { 0 }, { 0 }, true },
	{ "the same URLs", { urls, 2, NULL }, { urls, 2, NULL }, true },
	{ "another URL", { urls, 2, NULL }, { other_urls, 2, NULL }, false },
	{ "fewer", { urls, 2, NULL }, { one_url, 1, NULL }, false },
	{ "none any more", { urls, 2, NULL }, { 0 }, false },
	{ "some now", { 0 }, { urls, 2, NULL }, false },
	{ "the same file", { NULL, 0, "a" }, { NULL, 0, "a" }, true },
	{ "another file", { NULL, 0, "a" }, { NULL, 0, "b" }, false },
	{ "no file any more", { NULL, 0, "a" }, { 0 }, false },
};

Test(sketch, knows_its_source)
{
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(source_rows); i++) {
		const struct source_row *row = &source_rows[i];
		struct staple_cert *cert = staple_cert_sketch(
		    plain.certificate, &row->of, &err);

		cr_assert_not_null(cert);
		cr_expect_eq(staple_cert_has_source(cert, &row->asked),
		    row->expect, "%s", row->what);
		staple_cert_unref(cert);
	}
}

Test(sketch, says_the_same_completed_as_worked_out_at_once)
{
	const struct staple_source source = { urls, 2, "/x" };
	struct err err;
	struct staple_cert *sketch = staple_cert_sketch(
	    plain.certificate, &source, &err);
	struct staple_cert *completed = staple_cert_complete(
	    sketch, plain.certificate, authority.chain, NULL, &err);
	struct staple_cert *whole = authority_facts(
	    &authority, &plain, &source);

	cr_assert(completed != NULL && whole != NULL);
	cr_expect(is_complete(completed) && is_complete(whole));
	cr_expect(staple_cert_says_same(completed, whole));
	cr_expect_not(staple_cert_says_same(completed, sketch));
	cr_expect_str_eq(completed->id, whole->id);
	cr_expect_str_eq(completed->name, whole->name);
	cr_expect_eq(completed->not_after, whole->not_after);
	cr_expect(staple_cert_has_source(completed, &source));
	staple_cert_unref(sketch);
	staple_cert_unref(completed);
	staple_cert_unref(whole);
}

/* A namesake that comes first would be tried first, and found wanting. */
Test(sketch, fits_a_chain_whose_first_of_that_name_is_its_issuer)
{
	struct pki namesake = pki_make(
	    &(struct pki_wish){ .name = "The Authority", .ca = true });
	struct staple_cert *cert = authority_facts(&authority, &plain, NULL);
	STACK_OF(X509) *chain = sk_X509_new_null();

	cr_expect_not(staple_cert_fits_chain(cert, NULL));
	cr_expect_not(staple_cert_fits_chain(cert, chain));
	sk_X509_push(chain, plain.certificate);
	cr_expect_not(staple_cert_fits_chain(cert, chain));
	sk_X509_push(chain, authority.pki.certificate);
	cr_expect(staple_cert_fits_chain(cert, chain));
	sk_X509_unshift(chain, namesake.certificate);
	cr_expect_not(staple_cert_fits_chain(cert, chain));
	sk_X509_free(chain);
	staple_cert_unref(cert);
	pki_drop(&namesake);
}
