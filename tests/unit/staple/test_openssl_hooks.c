/*
 * Contexts: real handshakes against attached contexts, what the policies
 * decide without a staple, and the n-th allocation failing for every n: an
 * error or the whole thing, never half of it, and a handshake at worst goes
 * without a staple.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/err.h"
#include "staple/cache.h"
#include "staple/openssl_hooks.h"
#include "staple/response.h"
#include "staple/staple.h"
#include "tests/support/authority.h"
#include "tests/support/scarce.h"
#include "tests/support/shake.h"

enum { RIG_VERSIONS = 2, RIG_HOUR = 3600 };

struct rig {
	struct authority authority;
	struct pki leaf;  /* P-256, must-staple */
	struct pki other; /* RSA, must-staple */
	struct pki plain; /* P-256, not must-staple */
	struct staple_cache *cache;
	SSL_CTX *context; /* shows leaf; not attached */
	SSL_CTX *client;
};

struct rig_version {
	const char *what;
	int number;
};
static struct rig rig;

static const struct rig_version rig_versions[RIG_VERSIONS] = {
	{ "TLS 1.2", TLS1_2_VERSION },
	{ "TLS 1.3", TLS1_3_VERSION },
};

static const struct staple_policy rig_automatic = { .mode = STAPLE_AUTO };
static const struct staple_policy rig_always = { .mode = STAPLE_ALWAYS };
static const struct staple_policy rig_never = { .mode = STAPLE_NEVER };

static struct pki
issue(enum pki_key key, const char *feature)
{
	const struct pki_wish wish = { .key = key,
		.name = "a.example",
		.feature = feature,
		.aia = "OCSP;URI:http://ocsp.example/" };

	return authority_issue(&rig.authority, &wish);
}

static void
rig_up(void)
{
	authority_make(&rig.authority);
	rig.leaf = issue(PKI_P256, "status_request");
	rig.other = issue(PKI_RSA, "status_request");
	rig.plain = issue(PKI_P256, NULL);
	rig.cache = staple_cache_new();
	cr_assert_not_null(rig.cache);
	rig.context = authority_context(&rig.authority, &rig.leaf);
	rig.client = shake_client();
}

static void
rig_down(void)
{
	SSL_CTX_free(rig.context);
	SSL_CTX_free(rig.client);
	pki_drop(&rig.leaf);
	pki_drop(&rig.other);
	pki_drop(&rig.plain);
	staple_cache_close(rig.cache);
	staple_cache_unref(rig.cache);
	authority_drop(&rig.authority);
}

static void
rig_attach(SSL_CTX *context, const struct staple_policy *policy)
{
	const struct staple_watcher watcher = { rig.cache, NULL, policy };
	struct err err;

	cr_assert(
	    staple_attach_context(&watcher, context, &err), "%s", err.text);
}

static void
rig_publish(const struct pki *about, enum ocsp_status status, int left)
{
	const int64_t now = time(NULL);
	const struct ocsp_wish wish = { .status = status,
		.this_update = now - 2 * RIG_HOUR,
		.next_update = now + left,
		.revoked_at = now - 3 * RIG_HOUR };
	struct staple_response *response = authority_response(
	    &rig.authority, about, &wish);

	staple_cache_publish(staple_watch_entry(about->certificate), response);
	staple_response_unref(response);
}

static struct staple_info
rig_look(const struct pki *about)
{
	struct staple_info info;

	staple_cache_read(
	    staple_watch_entry(about->certificate), time(NULL), &info);
	return info;
}

static struct shaken
rig_ask(int version)
{
	const struct shake_wish wish = { .version = version, .ask = true };

	return shake(rig.context, rig.client, &wish);
}

static bool
rig_is_staple(const struct shaken *shaken, const struct pki *about)
{
	struct staple_response *held = staple_cache_response(
	    staple_watch_entry(about->certificate));
	const unsigned char *der = NULL;
	size_t len = 0;
	bool same;

	if (held != NULL)
		der = staple_response_der(held, &len);
	same = der != NULL && shaken->staple != NULL && len == shaken->len &&
	       memcmp(der, shaken->staple, len) == 0;
	staple_response_unref(held);
	return same;
}

TestSuite(attach, .init = rig_up, .fini = rig_down);

Test(attach, staples_what_is_held)
{
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken shaken = rig_ask(rig_versions[i].number);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		cr_expect_eq(rig_look(&rig.leaf).sent, i + 1, "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
}

Test(attach, sends_nothing_without_status_request)
{
	rig_attach(rig.context, &rig_always);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number
		};
		struct shaken shaken = shake(rig.context, rig.client, &wish);

		cr_expect(
		    shaken.done, "%s: nothing held", rig_versions[i].what);
		shaken_drop(&shaken);
		rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
		shaken = shake(rig.context, rig.client, &wish);
		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect_null(shaken.staple, "%s", rig_versions[i].what);
		shaken_drop(&shaken);
		staple_cache_publish(
		    staple_watch_entry(rig.leaf.certificate), NULL);
	}
	cr_expect_eq(rig_look(&rig.leaf).asked, 0);
}

static const struct kind_row {
	const char *what;
	struct shake_wish wish;
	const struct pki *shown;
} kind_rows[] = {
	{ "TLS 1.2, ECDSA",
	    { .version = TLS1_2_VERSION,
		.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256",
		.ask = true },
	    &rig.leaf },
	{ "TLS 1.2, RSA",
	    { .version = TLS1_2_VERSION,
		.ciphers = "ECDHE-RSA-AES128-GCM-SHA256",
		.ask = true },
	    &rig.other },
	{ "TLS 1.3, ECDSA",
	    { .version = TLS1_3_VERSION,
		.sigalgs = "ECDSA+SHA256",
		.ask = true },
	    &rig.leaf },
	{ "TLS 1.3, RSA",
	    { .version = TLS1_3_VERSION,
		.sigalgs = "rsa_pss_rsae_sha256",
		.ask = true },
	    &rig.other },
};

Test(attach, staples_the_certificate_that_was_chosen)
{
	authority_add(&rig.authority, rig.context, &rig.other);
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < ARRAY_LEN(kind_rows); i++) {
		const struct kind_row *row = &kind_rows[i];
		struct shaken shaken = shake(
		    rig.context, rig.client, &row->wish);

		cr_expect(shaken.done, "%s", row->what);
		cr_expect(rig_is_staple(&shaken, row->shown), "%s", row->what);
		shaken_drop(&shaken);
	}
	cr_expect_eq(rig_look(&rig.leaf).sent, 2);
	cr_expect_eq(rig_look(&rig.other).sent, 2);
}

/* As a server does that has a context per name. */
static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	SSL_set_SSL_CTX(ssl, arg);
	return SSL_CLIENT_HELLO_SUCCESS;
}

Test(attach, staples_for_the_context_that_the_name_led_to)
{
	SSL_CTX *named = authority_context(&rig.authority, &rig.other);

	rig_attach(rig.context, &rig_never);
	rig_attach(named, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_client_hello_cb(rig.context, on_hello, named);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken shaken = rig_ask(rig_versions[i].number);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.other), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	cr_expect_eq(rig_look(&rig.leaf).asked, 0);
	SSL_CTX_free(named);
}

/* As a server does that chooses certificates itself. */
static int
on_certificate(SSL *ssl, void *arg)
{
	const struct pki *chosen = arg;

	return SSL_use_cert_and_key(
	    ssl, chosen->certificate, chosen->key, rig.authority.chain, 1);
}

Test(attach, staples_a_watched_certificate_that_a_callback_chose)
{
	const struct staple_watcher watcher = { rig.cache, NULL,
		&rig_automatic };
	SSL_CTX *empty = SSL_CTX_new(TLS_server_method());
	struct err err;

	rig_attach(empty, &rig_automatic);
	cr_assert(staple_watch_certificate(
	    &watcher, rig.leaf.certificate, rig.authority.chain, NULL, &err));
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_cert_cb(empty, on_certificate, &rig.leaf);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = { rig_versions[i].number,
			.ask = true };
		struct shaken shaken = shake(empty, rig.client, &wish);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	SSL_CTX_free(empty);
}

Test(attach, staples_no_resumed_session)
{
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken first = rig_ask(rig_versions[i].number), second;
		const struct shake_wish wish = {
			.version = rig_versions[i].number,
			.ask = true,
			.session = first.session
		};

		cr_assert_not_null(first.session, "%s", rig_versions[i].what);
		second = shake(rig.context, rig.client, &wish);
		cr_expect(second.resumed, "%s", rig_versions[i].what);
		cr_expect_null(second.staple, "%s", rig_versions[i].what);
		cr_expect_eq(rig_look(&rig.leaf).asked, i + 1, "%s",
		    rig_versions[i].what);
		shaken_drop(&first);
		shaken_drop(&second);
	}
}

Test(attach, counts_a_client_once_after_a_hello_retry_request)
{
	const struct shake_wish wish = {
		.version = TLS1_3_VERSION, .groups = "P-521", .ask = true
	};
	struct shaken shaken;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	shaken = shake(rig.context, rig.client, &wish);
	cr_expect(shaken.done);
	cr_expect(rig_is_staple(&shaken, &rig.leaf));
	cr_expect_eq(rig_look(&rig.leaf).asked, 1);
	shaken_drop(&shaken);
}

Test(attach, staples_nothing_for_a_certificate_that_is_not_watched)
{
	struct shaken shaken;

	rig_attach(rig.context, &rig_always);
	authority_add(&rig.authority, rig.context, &rig.other);
	SSL_CTX_set_cert_cb(rig.context, on_certificate, &rig.other);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number,
			.sigalgs = "RSA+SHA256:rsa_pss_rsae_sha256",
			.ask = true
		};

		shaken = shake(rig.context, rig.client, &wish);
		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect_null(shaken.staple, "%s", rig_versions[i].what);
		shaken_drop(&shaken);
	}
}

Test(attach, leaves_a_client_alone_that_shares_its_context)
{
	SSL_CTX *both = SSL_CTX_new(TLS_method());

	authority_add(&rig.authority, both, &rig.other);
	rig_attach(both, &rig_always);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number, .ask = true
		};
		struct shaken shaken = shake(rig.context, both, &wish);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	SSL_CTX_free(both);
}

TestSuite(attach_policy, .init = rig_up, .fini = rig_down);

static bool
is_refused(SSL_CTX *context, const char *clause)
{
	const struct staple_watcher watcher = { rig.cache, NULL,
		&rig_automatic };
	struct err err = { "" };
	bool attached = staple_attach_context(&watcher, context, &err);

	cr_expect(attached || strstr(err.text, clause) != NULL, "%s", err.text);
	return !attached;
}

/* ---- Without a staple ---- */

enum held { NOTHING, EXPIRED, REVOKED, AHEAD, NOT_FIRST };

static const struct without_row {
	const char *what;
	struct staple_policy policy;
	bool plain; /* the certificate is not must-staple */
	enum held held;
	bool goes_on;
	enum staple_unsent reason;
} without_rows[] = {
	{ "auto", { STAPLE_AUTO, 0, 0 }, false, NOTHING, true,
	    STAPLE_UNSENT_NONE },
	{ "prefer", { STAPLE_PREFER, 0, 0 }, false, NOTHING, true,
	    STAPLE_UNSENT_NONE },
	{ "must", { STAPLE_MUST, 0, 0 }, false, NOTHING, false,
	    STAPLE_UNSENT_NONE },
	{ "always", { STAPLE_ALWAYS, 0, 0 }, true, NOTHING, false,
	    STAPLE_UNSENT_NONE },
	{ "auto, told to refuse", { STAPLE_AUTO, STAPLE_WITHOUT_REFUSE, 0 },
	    false, NOTHING, false, STAPLE_UNSENT_NONE },
	{ "must, told to serve", { STAPLE_MUST, STAPLE_WITHOUT_SERVE, 0 },
	    false, NOTHING, true, STAPLE_UNSENT_NONE },
	{ "must, plain", { STAPLE_MUST, 0, 0 }, true, NOTHING, true,
	    STAPLE_UNSENT_UNWANTED },
	{ "auto, plain, told to refuse",
	    { STAPLE_AUTO, STAPLE_WITHOUT_REFUSE, 0 }, true, NOTHING, true,
	    STAPLE_UNSENT_UNWANTED },
	{ "never, told to refuse", { STAPLE_NEVER, STAPLE_WITHOUT_REFUSE, 0 },
	    false, NOTHING, true, STAPLE_UNSENT_UNWANTED },
	{ "auto, expired", { STAPLE_AUTO, 0, 0 }, false, EXPIRED, true,
	    STAPLE_UNSENT_EXPIRED },
	{ "must, expired", { STAPLE_MUST, 0, 0 }, false, EXPIRED, false,
	    STAPLE_UNSENT_EXPIRED },
	{ "auto, from the future", { STAPLE_AUTO, 0, 0 }, false, AHEAD, true,
	    STAPLE_UNSENT_NOT_YET_VALID },
	{ "must, from the future", { STAPLE_MUST, 0, 0 }, false, AHEAD, false,
	    STAPLE_UNSENT_NOT_YET_VALID },
	{ "prefer, another one first", { STAPLE_PREFER, 0, 0 }, true, NOT_FIRST,
	    true, STAPLE_UNSENT_NOT_FIRST },
	/* Something valid is held, and it is the responder's fault. */
	{ "prefer, another one first, told to refuse",
	    { STAPLE_PREFER, STAPLE_WITHOUT_REFUSE, 0 }, true, NOT_FIRST, true,
	    STAPLE_UNSENT_NOT_FIRST },
	{ "auto, revoked, told to refuse",
	    { STAPLE_AUTO, 0, STAPLE_REVOKED_REFUSE }, false, REVOKED, false,
	    STAPLE_UNSENT_REVOKED },
	{ "never, revoked, told to refuse",
	    { STAPLE_NEVER, 0, STAPLE_REVOKED_REFUSE }, false, REVOKED, true,
	    STAPLE_UNSENT_UNWANTED },
};

/* A confirmed revocation; the cache has its own test. */
/* Dated in the future by the clock of now, or with another one's entry before
 * its own. */
static void
publish_odd(const struct pki *shown, enum held held)
{
	const int64_t now = time(NULL);
	const struct ocsp_wish wish = { .second = held == NOT_FIRST ? &rig.other
								    : NULL,
		.this_update = held == AHEAD ? now + RIG_HOUR : now,
		.next_update = now + 2 * RIG_HOUR };
	struct staple_response *response = authority_response(
	    &rig.authority, shown, &wish);

	staple_cache_publish(staple_watch_entry(shown->certificate), response);
	staple_response_unref(response);
}

static void
prepare(const struct pki *shown, enum held held)
{
	const struct staple_progress progress = { .confirmed = true };

	if (held == EXPIRED)
		rig_publish(shown, OCSP_SAYS_GOOD, 0);
	if (held == REVOKED)
		rig_publish(shown, OCSP_SAYS_REVOKED, RIG_HOUR);
	if (held == AHEAD || held == NOT_FIRST)
		publish_odd(shown, held);
	staple_cache_set_progress(
	    staple_watch_entry(shown->certificate), &progress);
}

static void
expect_without(const struct without_row *row, const struct rig_version *version)
{
	const struct pki *shown = row->plain ? &rig.plain : &rig.leaf;
	uint64_t before;
	struct shaken shaken;

	SSL_CTX_free(rig.context);
	rig.context = authority_context(&rig.authority, shown);
	rig_attach(rig.context, &row->policy);
	prepare(shown, row->held);
	before = rig_look(shown).unsent[row->reason];
	shaken = rig_ask(version->number);
	cr_expect_eq(
	    shaken.done, row->goes_on, "%s, %s", row->what, version->what);
	cr_expect_eq(shaken.alert != 0, !row->goes_on, "%s, %s: alert %d",
	    row->what, version->what, shaken.alert);
	cr_expect_null(shaken.staple, "%s, %s", row->what, version->what);
	cr_expect_eq(rig_look(shown).unsent[row->reason], before + 1, "%s, %s",
	    row->what, version->what);
	shaken_drop(&shaken);
	staple_cache_publish(staple_watch_entry(shown->certificate), NULL);
}

Test(attach_policy, goes_on_or_refuses_by_policy)
{
	for (size_t i = 0; i < ARRAY_LEN(without_rows); i++) {
		for (size_t k = 0; k < RIG_VERSIONS; k++)
			expect_without(&without_rows[i], &rig_versions[k]);
	}
}

static const struct revoked_row {
	const char *what;
	struct staple_policy policy;
} revoked_rows[] = {
	{ "auto", { STAPLE_AUTO, 0, 0 } },
	{ "prefer", { STAPLE_PREFER, 0, 0 } },
	{ "must, until the process stops", { STAPLE_MUST, 0, 0 } },
	{ "always, until the process stops", { STAPLE_ALWAYS, 0, 0 } },
	{ "told to staple", { STAPLE_MUST, 0, STAPLE_REVOKED_STAPLE } },
};

Test(attach_policy, staples_a_revoked_response_by_policy)
{
	for (size_t i = 0; i < ARRAY_LEN(revoked_rows); i++) {
		struct shaken shaken;

		rig_attach(rig.context, &revoked_rows[i].policy);
		prepare(&rig.leaf, REVOKED);
		shaken = rig_ask(0);
		cr_expect(shaken.done, "%s", revoked_rows[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    revoked_rows[i].what);
		shaken_drop(&shaken);
	}
}

Test(attach_policy, replaces_a_policy)
{
	struct shaken shaken;

	rig_attach(rig.context, &rig_automatic);
	shaken = rig_ask(0);
	cr_expect(shaken.done);
	shaken_drop(&shaken);
	rig_attach(rig.context, &rig_always);
	shaken = rig_ask(0);
	cr_expect_not(shaken.done);
	shaken_drop(&shaken);
	rig_attach(rig.context, &rig_never);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	shaken = rig_ask(0);
	cr_expect(shaken.done);
	cr_expect_null(shaken.staple);
	shaken_drop(&shaken);
}

Test(attach_policy, treats_one_certificate_by_the_policy_of_each_context)
{
	SSL_CTX *silent = authority_context(&rig.authority, &rig.leaf);
	const struct shake_wish wish = { .ask = true };
	struct shaken shaken;

	rig_attach(rig.context, &rig_always);
	rig_attach(silent, &rig_never);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	shaken = shake(silent, rig.client, &wish);
	cr_expect(shaken.done);
	cr_expect_null(shaken.staple);
	shaken_drop(&shaken);
	shaken = rig_ask(0);
	cr_expect(rig_is_staple(&shaken, &rig.leaf));
	shaken_drop(&shaken);
	SSL_CTX_free(silent);
}

/* ---- The owner of a context ---- */

static int
on_own_status(SSL *ssl, void *arg)
{
	(void)ssl, (void)arg;
	return SSL_TLSEXT_ERR_NOACK;
}

Test(attach_policy, refuses_a_context_with_a_callback_of_its_own)
{
	SSL_CTX_set_tlsext_status_cb(rig.context, on_own_status);
	cr_expect(is_refused(rig.context, "callback of its own"));
	cr_expect_null(staple_watch_entry(rig.leaf.certificate));
	SSL_CTX_set_tlsext_status_cb(rig.context, NULL);
	cr_expect_not(is_refused(rig.context, ""));
	SSL_CTX_set_tlsext_status_cb(rig.context, on_own_status);
	cr_expect(is_refused(rig.context, "callback of its own"));
}

Test(attach_policy, refuses_a_context_of_another)
{
	struct staple_cache *other = staple_cache_new();
	const struct staple_watcher watcher = { other, NULL, &rig_automatic };
	SSL_CTX *empty = SSL_CTX_new(TLS_server_method());
	struct err err;

	cr_assert(staple_attach_context(&watcher, empty, &err));
	cr_expect(is_refused(empty, "the context belongs"));
	cr_expect_not(is_refused(rig.context, ""), "it is nobody's");
	staple_cache_close(other);
	staple_cache_unref(other);
	cr_expect_not(is_refused(empty, ""), "the other was freed");
	SSL_CTX_free(empty);
}

Test(attach_policy, takes_over_what_a_freed_one_had_attached)
{
	struct staple_cache *other = staple_cache_new();
	const struct staple_watcher watcher = { other, NULL, &rig_always };
	struct shaken shaken;
	struct err err;

	cr_assert(staple_attach_context(&watcher, rig.context, &err));
	cr_expect(is_refused(rig.context, "another struct staple"));
	staple_cache_close(other);
	staple_cache_unref(other);
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	shaken = rig_ask(0);
	cr_expect(rig_is_staple(&shaken, &rig.leaf));
	shaken_drop(&shaken);
}

Test(attach_policy, staples_again_where_the_callback_was_taken_away)
{
	struct shaken shaken;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_tlsext_status_cb(rig.context, NULL);
	rig_attach(rig.context, &rig_automatic);
	shaken = rig_ask(0);
	cr_expect(rig_is_staple(&shaken, &rig.leaf));
	shaken_drop(&shaken);
}

/* ---- The walk over the slots ---- */

static enum staple_outcome
hindrance_of(const struct pki *one)
{
	return rig_look(one).unavailable_reason;
}

Test(attach_policy, watches_every_slot_and_moves_none)
{
	X509 *current;

	authority_add(&rig.authority, rig.context, &rig.other);
	current = SSL_CTX_get0_certificate(rig.context);
	rig_attach(rig.context, &rig_automatic);
	cr_expect_eq(SSL_CTX_get0_certificate(rig.context), current);
	cr_expect_not_null(staple_watch_entry(rig.leaf.certificate));
	cr_expect_not_null(staple_watch_entry(rig.other.certificate));
	cr_expect_eq(hindrance_of(&rig.leaf), STAPLE_UNASKED);
	cr_expect_eq(hindrance_of(&rig.other), STAPLE_UNASKED);
}

Test(attach_policy, finds_the_issuer_where_contexts_keep_chains)
{
	SSL_CTX *bare = SSL_CTX_new(TLS_server_method());

	cr_assert_eq(SSL_CTX_use_certificate(bare, rig.leaf.certificate), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(bare, rig.leaf.key), 1);
	rig_attach(bare, &rig_automatic);
	cr_expect_eq(hindrance_of(&rig.leaf), STAPLE_NO_ISSUER);
	/* The old way: one chain for all slots. */
	cr_assert_eq(X509_up_ref(rig.authority.pki.certificate), 1);
	cr_assert_eq(
	    SSL_CTX_add_extra_chain_cert(bare, rig.authority.pki.certificate),
	    1);
	rig_attach(bare, &rig_automatic);
	cr_expect_eq(hindrance_of(&rig.leaf), STAPLE_UNASKED);
	SSL_CTX_free(bare);
}

Test(attach_policy, attaches_a_context_without_a_certificate)
{
	SSL_CTX *empty = SSL_CTX_new(TLS_server_method());

	cr_expect_not(is_refused(empty, ""));
	cr_expect_null(staple_cache_next_changed(rig.cache));
	SSL_CTX_free(empty);
}

/* ---- Order of death ---- */

Test(attach_policy, lets_a_context_outlive_the_cache)
{
	struct shaken shaken;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	staple_cache_close(rig.cache);
	staple_cache_unref(rig.cache);
	rig.cache = staple_cache_new();
	shaken = rig_ask(0);
	cr_expect(shaken.done);
	cr_expect_null(shaken.staple);
	shaken_drop(&shaken);
}

Test(attach_policy, lets_the_last_handshake_outlive_its_context)
{
	SSL *ssl;

	rig_attach(rig.context, &rig_automatic);
	ssl = SSL_new(rig.context);
	SSL_CTX_free(rig.context);
	rig.context = NULL;
	pki_drop(&rig.leaf);
	staple_cache_close(rig.cache);
	SSL_free(ssl);
}

enum { ENOUGH = 100000 };

TestSuite(attach_memory, .init = rig_up, .fini = rig_down);

/* Was there an n-th allocation?  Fresh objects each time, because they keep
 * what they were given. */
static bool
attach_with_failure(long n)
{
	const struct staple_watcher watcher = { rig.cache, NULL,
		&rig_automatic };
	struct pki copy = { X509_dup(rig.leaf.certificate), rig.leaf.key };
	SSL_CTX *context = authority_context(&rig.authority, &copy);
	struct err err = { "" };
	bool attached, failed;

	scarce_begin(n);
	attached = staple_attach_context(&watcher, context, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	cr_expect_neq(attached, err.text[0] != '\0', "allocation %ld", n);
	cr_expect(attached || failed, "allocation %ld: %s", n, err.text);
	if (attached)
		cr_expect_not_null(
		    staple_watch_entry(copy.certificate), "%ld", n);
	SSL_CTX_free(context);
	X509_free(copy.certificate);
	return failed;
}

Test(attach_memory, running_out_while_attaching_is_an_error)
{
	long n = 0;

	cr_assert_not(attach_with_failure(ENOUGH));
	while (n < ENOUGH && attach_with_failure(n))
		n++;
	cr_expect(n > 20 && n < ENOUGH, "%ld", n);
	cr_expect_null(staple_cache_next_changed(rig.cache), "all let go");
}

/* From the choice of the certificate on, just before the status callback. */
static int
memory_on_certificate(SSL *ssl, void *arg)
{
	(void)ssl;
	scarce_begin(*(const long *)arg);
	return 1;
}

Test(attach_memory, running_out_for_the_copy_leaves_a_handshake_unstapled)
{
	struct staple_info info;
	long n;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_cert_cb(rig.context, memory_on_certificate, &n);
	for (n = 0; n < 100; n++) {
		struct shaken shaken = rig_ask(TLS1_3_VERSION);

		(void)scarce_end();
		info = rig_look(&rig.leaf);
		if (info.unsent[STAPLE_UNSENT_NO_MEMORY] > 0) {
			cr_expect(shaken.done);
			cr_expect_null(shaken.staple);
			shaken_drop(&shaken);
			break;
		}
		shaken_drop(&shaken);
	}
	cr_expect_eq(info.unsent[STAPLE_UNSENT_NO_MEMORY], 1, "after %ld", n);
}

Test(attach_memory, running_out_while_starting_is_an_error)
{
	bool failed = true;
	long n;

	/* The system's store would be thousands of allocations of OpenSSL's. */
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	for (n = 0; failed && n < ENOUGH; n++) {
		struct staple *staple;
		char why[256] = "";

		scarce_begin(n);
		staple = staple_new(NULL, why, sizeof(why));
		failed = scarce_end();
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
		cr_expect_neq(
		    staple != NULL, why[0] != '\0', "allocation %ld", n);
		staple_free(staple);
	}
	cr_expect(n > 5 && n < ENOUGH, "%ld", n);
}
