/* What is tied to a certificate object, for how long, and which facts win. */
#include "staple/watch.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "staple/cache.h"
#include "tests/support/authority.h"

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };
static const struct staple_policy never = { .mode = STAPLE_NEVER };
static const struct staple_policy always = { .mode = STAPLE_ALWAYS };
static const struct staple_policy prefer = { .mode = STAPLE_PREFER };

static const char *const configured[] = { "http://configured.example/" };
static const struct staple_source source = { .urls = configured,
	.url_count = 1 };

static struct authority authority;
static struct pki leaf;  /* must-staple, names http://own.example/ */
static struct pki plain; /* neither */
static struct staple_cache *cache;

static void
set_up(void)
{
	authority_make(&authority);
	leaf = authority_issue(
	    &authority, &(struct pki_wish){ .name = "a.example",
			    .feature = "status_request",
			    .aia = "OCSP;URI:http://own.example/" });
	plain = authority_issue(
	    &authority, &(struct pki_wish){ .name = "plain.example" });
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
tear_down(void)
{
	pki_drop(&plain);
	pki_drop(&leaf);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	authority_drop(&authority);
}

TestSuite(watch, .init = set_up, .fini = tear_down);

/* As staple_watch does it. */
static void
watch(X509 *certificate, const struct staple_source *told,
    const struct staple_policy *policy)
{
	const struct staple_watcher watcher = { cache, NULL, policy };
	struct err err;

	cr_assert(staple_watch_certificate(
		      &watcher, certificate, authority.chain, told, &err),
	    "%s", err.text);
}

/* As staple_attach does it. */
static void
find(X509 *certificate, STACK_OF(X509) * chain)
{
	const struct staple_watcher watcher = { cache, NULL, &automatic };
	struct err err;

	cr_assert(staple_watch_found(&watcher, certificate, chain, &err), "%s",
	    err.text);
}

static bool
is_known(const struct pki *one)
{
	unsigned char key[STAPLE_KEY_SIZE];
	struct staple_entry *entry;

	cr_assert(staple_cert_key(one->certificate, key));
	entry = staple_cache_find(cache, key);
	staple_entry_unref(entry);
	return entry != NULL;
}

/* The wish of the entry, which is news no more. */
static enum staple_wish
wish_of(X509 *certificate)
{
	struct staple_entry *changed = staple_cache_next_changed(cache);

	staple_entry_unref(changed);
	return staple_entry_wish(staple_watch_entry(certificate));
}

static void
expect_url(X509 *certificate, const char *url, const char *what)
{
	struct staple_cert *cert = staple_entry_cert(
	    staple_watch_entry(certificate));

	cr_expect_eq(cert->url_count, 1, "%s", what);
	if (cert->url_count == 1)
		cr_expect_str_eq(cert->urls[0], url, "%s", what);
	staple_cert_unref(cert);
}

/* ---- Objects ---- */

Test(watch, ties_the_entry_to_the_very_object)
{
	X509 *copy = X509_dup(leaf.certificate);

	cr_expect_null(staple_watch_entry(leaf.certificate));
	watch(leaf.certificate, NULL, &automatic);
	cr_expect_not_null(staple_watch_entry(leaf.certificate));
	X509_free(copy);
	copy = X509_dup(leaf.certificate);
	cr_expect_null(staple_watch_entry(copy), "a copy carries nothing");
	X509_free(copy);
}

Test(watch, shares_one_entry_between_two_objects_of_equal_bytes)
{
	X509 *copy = X509_dup(leaf.certificate);

	watch(leaf.certificate, NULL, &automatic);
	watch(copy, NULL, &automatic);
	cr_expect_eq(
	    staple_watch_entry(leaf.certificate), staple_watch_entry(copy));
	watch(plain.certificate, NULL, &automatic);
	cr_expect_neq(staple_watch_entry(leaf.certificate),
	    staple_watch_entry(plain.certificate));
	X509_free(copy);
}

Test(watch, lets_go_with_the_last_object)
{
	X509 *copy = X509_dup(leaf.certificate);
	struct pki same = { copy, NULL };

	watch(leaf.certificate, NULL, &automatic);
	watch(leaf.certificate, NULL, &automatic);
	watch(copy, NULL, &automatic);
	X509_free(leaf.certificate);
	leaf.certificate = NULL;
	cr_expect(is_known(&same));
	leaf.certificate = X509_dup(copy);
	X509_free(copy);
	cr_expect_not(is_known(&leaf));
}

Test(watch, lets_go_of_a_certificate_that_signed_itself)
{
	struct pki own = pki_make(&(struct pki_wish){ .name = "own.example" });
	struct pki same = { X509_dup(own.certificate), NULL };

	sk_X509_push(authority.chain, own.certificate);
	watch(own.certificate, &source, &always);
	cr_expect(is_known(&same));
	sk_X509_pop(authority.chain);
	pki_drop(&own);
	cr_expect_not(is_known(&same));
	pki_drop(&same);
}

Test(watch, lets_a_certificate_outlive_the_cache)
{
	watch(leaf.certificate, NULL, &automatic);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	cr_expect_not_null(staple_watch_entry(leaf.certificate));
	X509_free(leaf.certificate);
	leaf.certificate = NULL;
	cache = staple_cache_new();
}

/* ---- Two of us ---- */

Test(watch, refuses_an_object_that_another_watches)
{
	struct staple_cache *other = staple_cache_new();
	const struct staple_watcher watcher = { other, NULL, &automatic };
	struct err err = { "" };

	watch(leaf.certificate, NULL, &automatic);
	cr_expect_not(staple_watch_certificate(
	    &watcher, leaf.certificate, authority.chain, NULL, &err));
	cr_expect_not_null(strstr(err.text, "a.example"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "another"), "%s", err.text);
	staple_cache_close(cache);
	cr_expect(staple_watch_certificate(
	    &watcher, leaf.certificate, authority.chain, NULL, &err));
	cr_expect_eq(
	    staple_entry_cache(staple_watch_entry(leaf.certificate)), other);
	cr_expect_not(is_known(&leaf), "the first one lets go");
	staple_cache_close(other);
	staple_cache_unref(other);
}

/* ---- Wishes ---- */

static const struct wish_row {
	const char *what;
	bool plain;
	const struct staple_source *source;
	const struct staple_policy *first, *second;
	enum staple_wish expect;
} wish_rows[] = {
	{ "auto, must-staple", false, NULL, &automatic, &automatic,
	    STAPLE_WISH_WANTED },
	{ "auto, plain", true, NULL, &automatic, &automatic, STAPLE_WISH_NONE },
	{ "never", false, NULL, &never, &never, STAPLE_WISH_NONE },
	{ "always", true, NULL, &always, &always, STAPLE_WISH_FATAL },
	{ "never, then always", false, NULL, &never, &always,
	    STAPLE_WISH_FATAL },
	{ "always, then never", false, NULL, &always, &never,
	    STAPLE_WISH_FATAL },
	{ "prefer, nobody to ask", true, NULL, &prefer, &prefer,
	    STAPLE_WISH_NONE },
	{ "prefer, a URL is configured", true, &source, &prefer, &prefer,
	    STAPLE_WISH_WANTED },
};

Test(watch, wants_what_the_strongest_policy_wants)
{
	for (size_t i = 0; i < ARRAY_LEN(wish_rows); i++) {
		const struct wish_row *row = &wish_rows[i];
		X509 *fresh = X509_dup(
		    row->plain ? plain.certificate : leaf.certificate);

		watch(fresh, row->source, row->first);
		watch(fresh, row->source, row->second);
		cr_expect_eq(wish_of(fresh), row->expect, "%s", row->what);
		X509_free(fresh);
		staple_entry_unref(staple_cache_next_changed(cache));
	}
}

Test(watch, wants_it_while_one_of_two_objects_does)
{
	X509 *copy = X509_dup(leaf.certificate);

	watch(leaf.certificate, NULL, &automatic);
	watch(copy, NULL, &always);
	cr_expect_eq(wish_of(copy), STAPLE_WISH_FATAL);
	X509_free(copy);
	cr_expect_eq(wish_of(leaf.certificate), STAPLE_WISH_WANTED);
}

/* ---- Facts ---- */

Test(watch, tells_nobody_anything_new_when_it_is_watched_again)
{
	X509 *copy = X509_dup(leaf.certificate);

	watch(leaf.certificate, &source, &automatic);
	cr_expect_eq(wish_of(leaf.certificate), STAPLE_WISH_WANTED);
	watch(leaf.certificate, &source, &automatic);
	watch(copy, &source, &automatic);
	find(copy, authority.chain);
	cr_expect_null(staple_cache_next_changed(cache));
	X509_free(copy);
	cr_expect_null(staple_cache_next_changed(cache));
}

Test(watch, goes_by_the_last_source_that_was_told)
{
	static const char *const other[] = { "http://other.example/" };
	const struct staple_source later = { .urls = other, .url_count = 1 };
	X509 *certificate = leaf.certificate;

	find(certificate, authority.chain);
	expect_url(certificate, "http://own.example/", "found");
	watch(certificate, &source, &automatic);
	expect_url(certificate, configured[0], "told");
	find(certificate, authority.chain);
	expect_url(certificate, configured[0], "found again");
	watch(certificate, &later, &automatic);
	expect_url(certificate, other[0], "told otherwise");
	watch(certificate, NULL, &automatic);
	expect_url(certificate, "http://own.example/", "told to use its own");
}

Test(watch, is_helped_by_a_chain_that_is_found_later)
{
	struct staple_cert *cert;

	find(leaf.certificate, NULL);
	cert = staple_entry_cert(staple_watch_entry(leaf.certificate));
	cr_expect_eq(cert->hindrance, STAPLE_NO_ISSUER);
	staple_cert_unref(cert);
	find(leaf.certificate, authority.chain);
	find(leaf.certificate, NULL);
	cert = staple_entry_cert(staple_watch_entry(leaf.certificate));
	cr_expect_eq(cert->hindrance, STAPLE_UNASKED);
	staple_cert_unref(cert);
}

/* A reload shows the certificate without its chain again. */
Test(watch, keeps_an_issuer_that_was_fetched)
{
	struct staple_trust trust = { .aia_issuer = true };
	const struct staple_watcher watcher = { cache, &trust, &automatic };
	struct pki bare = authority_issue(
	    &authority, &(struct pki_wish){ .name = "bare.example",
			    .feature = "status_request",
			    .aia = "OCSP;URI:http://own.example/,"
				   "caIssuers;URI:http://ca.example/" });
	struct staple_cert *before, *whole, *after;
	struct staple_entry *entry;
	struct err err;

	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, NULL, &err));
	entry = staple_watch_entry(bare.certificate);
	before = staple_entry_cert(entry);
	cr_assert_eq(before->hindrance, STAPLE_UNASKED);
	cr_assert_null(before->issuer);
	whole = staple_cert_with_issuer(before, before->leaf,
	    authority.pki.certificate, STAPLE_ORIGIN_AIA, &err);
	cr_assert_not_null(whole);
	staple_cache_learn(entry, before, whole);
	staple_entry_unref(staple_cache_next_changed(cache));

	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, NULL, &err));
	after = staple_entry_cert(entry);
	cr_expect_eq(after, whole, "nothing is new");
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cert_unref(after);
	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, &source, &err));
	after = staple_entry_cert(entry);
	cr_expect_not_null(after->issuer, "another source");
	cr_expect_str_eq(after->urls[0], configured[0]);
	staple_cert_unref(after);
	trust.aia_issuer = false;
	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, NULL, &err));
	after = staple_entry_cert(entry);
	cr_expect_eq(after->hindrance, STAPLE_NO_ISSUER, "switched off");
	staple_cert_unref(after);
	staple_cert_unref(before);
	staple_cert_unref(whole);
	pki_drop(&bare);
}

/* The staple thread will fetch it; a context that holds it comes first. */
Test(watch, is_helped_by_a_chain_before_the_issuer_was_fetched)
{
	static const struct staple_trust trust = { .aia_issuer = true };
	const struct staple_watcher watcher = { cache, &trust, &automatic };
	struct pki bare = authority_issue(
	    &authority, &(struct pki_wish){ .name = "bare.example",
			    .feature = "status_request",
			    .aia = "OCSP;URI:http://own.example/,"
				   "caIssuers;URI:http://ca.example/" });
	struct staple_cert *cert;
	struct err err;

	cr_assert(staple_watch_found(&watcher, bare.certificate, NULL, &err));
	cr_assert(staple_watch_found(
	    &watcher, bare.certificate, authority.chain, &err));
	cert = staple_entry_cert(staple_watch_entry(bare.certificate));
	cr_expect_eq(cert->origin, STAPLE_ORIGIN_CHAIN);
	staple_cert_unref(cert);
	pki_drop(&bare);
}

Test(watch, keeps_its_source_where_a_chain_would_help)
{
	const struct staple_watcher watcher = { cache, NULL, &automatic };
	struct err err;

	cr_assert(staple_watch_certificate(
	    &watcher, leaf.certificate, NULL, &source, &err));
	find(leaf.certificate, authority.chain);
	expect_url(leaf.certificate, configured[0], "no issuer, but a source");
}
