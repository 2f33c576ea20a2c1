/* Policies and contexts: what a client gets without a staple, and whose a
 * context is. */
#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "staple/attach.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "staple/watch.h"
#include "tests/unit/staple/attach_rig.h"

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

/* A confirmed revocation; whether it holds is the cache's own test. */
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
	staple_cache_tell(staple_watch_entry(shown->certificate), &progress);
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

Test(attach_policy, goes_on_or_refuses_as_the_policy_says)
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

Test(attach_policy, tells_clients_that_a_certificate_is_revoked)
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

Test(attach_policy, treats_one_certificate_as_each_context_says)
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

/* ---- Whose a context is ---- */

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
	return rig_look(one).hindrance;
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
