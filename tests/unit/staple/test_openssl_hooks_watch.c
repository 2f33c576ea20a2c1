/*
 * Certificates: what is tied to the object and for how long, which facts win,
 * and the facts of a certificate that no policy requires.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "staple/cache.h"
#include "staple/openssl_hooks.h"
#include "tests/support/authority.h"

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };
static const struct staple_policy never = { .mode = STAPLE_NEVER };
static const struct staple_policy always = { .mode = STAPLE_ALWAYS };
static const struct staple_policy prefer = { .mode = STAPLE_PREFER };

static const char *const configured[] = { "http://configured.example/" };
static const struct staple_source configured_source = { .urls = configured,
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

/* The requirement of the entry, taken from the hand-over. */
static enum staple_requirement
wish_of(X509 *certificate)
{
	struct staple_entry *changed = staple_cache_next_changed(cache);

	staple_entry_unref(changed);
	return staple_entry_requirement(staple_watch_entry(certificate));
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
	watch(own.certificate, &configured_source, &always);
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
	enum staple_requirement expect;
} wish_rows[] = {
	{ "auto, must-staple", false, NULL, &automatic, &automatic,
	    STAPLE_REQUIRE_WANTED },
	{ "auto, plain", true, NULL, &automatic, &automatic,
	    STAPLE_REQUIRE_NONE },
	{ "never", false, NULL, &never, &never, STAPLE_REQUIRE_NONE },
	{ "always", true, NULL, &always, &always, STAPLE_REQUIRE_FATAL },
	{ "never, then always", false, NULL, &never, &always,
	    STAPLE_REQUIRE_FATAL },
	{ "always, then never", false, NULL, &always, &never,
	    STAPLE_REQUIRE_FATAL },
	{ "prefer, nobody to ask", true, NULL, &prefer, &prefer,
	    STAPLE_REQUIRE_NONE },
	{ "prefer, a URL is configured", true, &configured_source, &prefer,
	    &prefer, STAPLE_REQUIRE_WANTED },
};

Test(watch, has_the_strongest_requirement)
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

Test(watch, is_required_while_one_of_two_objects_requires_it)
{
	X509 *copy = X509_dup(leaf.certificate);

	watch(leaf.certificate, NULL, &automatic);
	watch(copy, NULL, &always);
	cr_expect_eq(wish_of(copy), STAPLE_REQUIRE_FATAL);
	X509_free(copy);
	cr_expect_eq(wish_of(leaf.certificate), STAPLE_REQUIRE_WANTED);
}

/* ---- Facts ---- */

Test(watch, hands_nothing_over_when_it_is_watched_again)
{
	X509 *copy = X509_dup(leaf.certificate);

	watch(leaf.certificate, &configured_source, &automatic);
	cr_expect_eq(wish_of(leaf.certificate), STAPLE_REQUIRE_WANTED);
	watch(leaf.certificate, &configured_source, &automatic);
	watch(copy, &configured_source, &automatic);
	find(copy, authority.chain);
	cr_expect_null(staple_cache_next_changed(cache));
	X509_free(copy);
	cr_expect_null(staple_cache_next_changed(cache));
}

Test(watch, uses_the_source_of_the_last_call)
{
	static const char *const other[] = { "http://other.example/" };
	const struct staple_source later = { .urls = other, .url_count = 1 };
	X509 *certificate = leaf.certificate;

	find(certificate, authority.chain);
	expect_url(certificate, "http://own.example/", "found");
	watch(certificate, &configured_source, &automatic);
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
	cr_expect_eq(cert->unavailable_reason, STAPLE_NO_ISSUER);
	staple_cert_unref(cert);
	find(leaf.certificate, authority.chain);
	find(leaf.certificate, NULL);
	cert = staple_entry_cert(staple_watch_entry(leaf.certificate));
	cr_expect_eq(cert->unavailable_reason, STAPLE_UNASKED);
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
	cr_assert_eq(before->unavailable_reason, STAPLE_UNASKED);
	cr_assert_null(before->issuer);
	whole = staple_cert_with_issuer(before, before->leaf,
	    authority.pki.certificate, STAPLE_ORIGIN_AIA, &err);
	cr_assert_not_null(whole);
	staple_cache_replace_cert(entry, before, whole);
	staple_entry_unref(staple_cache_next_changed(cache));

	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, NULL, &err));
	after = staple_entry_cert(entry);
	cr_expect_eq(after, whole, "nothing is new");
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cert_unref(after);
	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, &configured_source, &err));
	after = staple_entry_cert(entry);
	cr_expect_not_null(after->issuer, "another source");
	cr_expect_str_eq(after->urls[0], configured[0]);
	staple_cert_unref(after);
	trust.aia_issuer = false;
	cr_assert(staple_watch_certificate(
	    &watcher, bare.certificate, NULL, NULL, &err));
	after = staple_entry_cert(entry);
	cr_expect_eq(
	    after->unavailable_reason, STAPLE_NO_ISSUER, "switched off");
	staple_cert_unref(after);
	staple_cert_unref(before);
	staple_cert_unref(whole);
	pki_drop(&bare);
}

/* The staple thread would fetch it; a context with it comes first. */
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
	    &watcher, leaf.certificate, NULL, &configured_source, &err));
	find(leaf.certificate, authority.chain);
	expect_url(leaf.certificate, configured[0], "no issuer, but a source");
}

static const char *const urls[] = { "http://one.example/",
	"http://two.example/" };
static const struct staple_source told = { urls, 2, NULL };

static void
sketch_set_up(void)
{
	authority_make(&authority);
	plain = authority_issue(
	    &authority, &(struct pki_wish){ .name = "plain.example",
			    .aia = "OCSP;URI:http://own.example/" });
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
sketch_tear_down(void)
{
	pki_drop(&plain);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	authority_drop(&authority);
}

TestSuite(partial_facts, .init = sketch_set_up, .fini = sketch_tear_down);

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
sketch_watch(X509 *certificate, const struct staple_source *source,
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
sketch_find(X509 *certificate, const struct staple_policy *policy)
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

Test(partial_facts, are_enough_without_a_required_staple)
{
	const struct staple_policy *const policies[] = { &automatic, &never };

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		const struct staple_cert *cert = sketch_watch(
		    plain.certificate, NULL, policies[i]);

		cr_expect_not(cert->complete);
		cr_expect_null(cert->issuer);
		cr_expect_str_eq(cert->name, "plain.example");
		cr_expect_eq(strlen(cert->id), 64u);
		cr_expect_not(cert->must_staple);
		cr_expect_eq(cert->url_count, 1u);
		cr_expect_eq(cert->unavailable_reason, STAPLE_UNASKED);
	}
}

Test(partial_facts, have_the_reason_without_a_responder)
{
	struct pki bare = authority_issue(
	    &authority, &(struct pki_wish){ .name = "bare" });

	cr_expect_eq(sketch_watch(bare.certificate, NULL, &automatic)
			 ->unavailable_reason,
	    STAPLE_NO_RESPONDER);
	pki_drop(&bare);
}

Test(partial_facts, are_completed_when_a_policy_wants_it)
{
	(void)sketch_watch(plain.certificate, NULL, &automatic);
	cr_expect_null(staple_cache_next_changed(cache));
	cr_expect(is_complete(sketch_watch(plain.certificate, NULL, &always)));
	cr_expect(staple_cache_has_changed(cache));
}

Test(partial_facts, is_completed_when_another_object_is_wanted)
{
	X509 *copy = X509_dup(plain.certificate);

	(void)sketch_watch(plain.certificate, NULL, &automatic);
	cr_expect(is_complete(sketch_watch(copy, NULL, &always)));
	cr_expect(is_complete(facts_of(plain.certificate)));
	X509_free(copy);
}

Test(partial_facts, are_completed_with_their_source_when_a_context_wants_it)
{
	const struct staple_cert *cert;

	(void)sketch_watch(plain.certificate, &told, &automatic);
	cert = sketch_find(plain.certificate, &always);
	cr_expect(is_complete(cert));
	cr_expect(staple_cert_has_source(cert, &told));
	cr_expect_eq(cert->url_count, 2u);
}

/* Whatever the next policy requires. */
Test(partial_facts, never_takes_the_place_of_what_is_wanted)
{
	static const char *const others[] = { "http://other.example/" };
	const struct staple_source other = { others, 1, NULL };
	X509 *copy = X509_dup(plain.certificate);

	(void)sketch_watch(plain.certificate, &told, &always);
	cr_expect(is_complete(sketch_watch(plain.certificate, &told, &never)));
	cr_expect(is_complete(sketch_watch(copy, &told, &never)));
	cr_expect(
	    is_complete(sketch_watch(copy, &other, &never)), "another source");
	cr_expect_str_eq(facts_of(plain.certificate)->urls[0], others[0]);
	cr_expect(is_complete(sketch_find(copy, &never)));
	X509_free(copy);
}

Test(partial_facts, does_not_come_back_once_it_was_completed)
{
	X509 *copy = X509_dup(plain.certificate);
	const struct staple_cert *cert = sketch_watch(copy, NULL, &always);

	cr_expect_eq(sketch_watch(plain.certificate, NULL, &automatic), cert);
	X509_free(copy);
	cr_expect_eq(sketch_watch(plain.certificate, NULL, &automatic), cert);
}

/* The signature was verified: the same issuer in the chain is enough. */
Test(partial_facts, that_is_complete_is_not_worked_out_again)
{
	const struct staple_cert *cert = sketch_watch(
	    plain.certificate, &told, &always);
	X509 *equal = X509_dup(authority.pki.certificate);

	cr_expect_eq(sketch_watch(plain.certificate, &told, &always), cert);
	sk_X509_set(authority.chain, 0, equal);
	cr_expect_eq(sketch_watch(plain.certificate, &told, &always), cert);
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

Test(partial_facts, have_their_source)
{
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(source_rows); i++) {
		const struct source_row *row = &source_rows[i];
		struct staple_cert *cert = staple_cert_partial(
		    plain.certificate, &row->of, &err);

		cr_assert_not_null(cert);
		cr_expect_eq(staple_cert_has_source(cert, &row->asked),
		    row->expect, "%s", row->what);
		staple_cert_unref(cert);
	}
}

Test(partial_facts, completed_equal_those_made_at_once)
{
	const struct staple_source source = { urls, 2, "/x" };
	struct err err;
	struct staple_cert *sketch = staple_cert_partial(
	    plain.certificate, &source, &err);
	struct staple_cert *completed = staple_cert_complete(
	    sketch, plain.certificate, authority.chain, NULL, &err);
	struct staple_cert *whole = authority_facts(
	    &authority, &plain, &source);

	cr_assert(completed != NULL && whole != NULL);
	cr_expect(is_complete(completed) && is_complete(whole));
	cr_expect(staple_cert_equals(completed, whole));
	cr_expect_not(staple_cert_equals(completed, sketch));
	cr_expect_str_eq(completed->id, whole->id);
	cr_expect_str_eq(completed->name, whole->name);
	cr_expect_eq(completed->not_after, whole->not_after);
	cr_expect(staple_cert_has_source(completed, &source));
	staple_cert_unref(sketch);
	staple_cert_unref(completed);
	staple_cert_unref(whole);
}

/* A namesake that comes first would be tried first, and found wanting. */
Test(partial_facts, fit_a_chain_with_the_issuer_as_first_of_its_name)
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
