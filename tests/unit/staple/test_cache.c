/*
 * The cache: what handshakes take and what they count, the requirements of the
 * holders and the hand-over to the staple thread, status and waiting.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/thread.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "tests/support/authority.h"

enum { NOW = 1767225600, HOUR = 3600 };

static struct authority authority;
static struct pki leaf;
static struct staple_cert *facts;
static struct staple_cache *cache;

static void
set_up(void)
{
	const struct pki_wish wish = { .name = "a.example",
		.feature = "status_request",
		.aia = "OCSP;URI:http://ocsp.example/" };

	authority_make(&authority);
	leaf = authority_issue(&authority, &wish);
	facts = authority_facts(&authority, &leaf, NULL);
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
tear_down(void)
{
	staple_cache_unref(cache);
	staple_cert_unref(facts);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(cache, .init = set_up, .fini = tear_down);

static struct staple_entry *
hold(enum staple_requirement wish)
{
	struct staple_entry *entry = staple_cache_hold(cache, facts, wish);

	cr_assert_not_null(entry);
	return entry;
}

static struct staple_response *
answer(enum ocsp_status status, int64_t this_update, int64_t next_update)
{
	const struct ocsp_wish wish = { .status = status,
		.this_update = this_update,
		.next_update = next_update,
		.revoked_at = this_update };

	return authority_response(&authority, &leaf, &wish);
}

static void
publish(struct staple_entry *entry, enum ocsp_status status)
{
	struct staple_response *response = answer(
	    status, NOW - HOUR, NOW + HOUR);

	staple_cache_publish(entry, response);
	staple_response_unref(response);
}

enum held { NOTHING, GOOD, REVOKED, CONFIRMED, UNCONFIRMABLE, LIFTED };

static const struct take_row {
	const char *what;
	enum staple_mode mode;
	enum staple_on_revoked on_revoked;
	enum held held;
	int64_t now;
	bool sent;
	enum staple_unsent reason;
} take_rows[] = {
	{ "good", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, GOOD, NOW, true, 0 },
	{ "mode never", STAPLE_NEVER, STAPLE_REVOKED_STAPLE, GOOD, NOW, false,
	    STAPLE_UNSENT_UNWANTED },
	{ "nothing yet", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, NOTHING, NOW,
	    false, STAPLE_UNSENT_NONE },
	{ "its last second", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, GOOD,
	    NOW + HOUR - 1, true, 0 },
	{ "its expiry", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, GOOD, NOW + HOUR,
	    false, STAPLE_UNSENT_EXPIRED },
	{ "set back within the skew", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, GOOD,
	    NOW - HOUR - 300, true, 0 },
	{ "set back beyond it", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, GOOD,
	    NOW - HOUR - 301, false, STAPLE_UNSENT_NOT_YET_VALID },
	{ "set back, and revoked", STAPLE_AUTO, STAPLE_REVOKED_STAPLE,
	    CONFIRMED, NOW - HOUR - 301, false, STAPLE_UNSENT_NOT_YET_VALID },
	{ "a clock undoes no revocation", STAPLE_MUST, STAPLE_REVOKED_REFUSE,
	    CONFIRMED, NOW - 9 * HOUR, false, STAPLE_UNSENT_REVOKED },
	{ "long expired", STAPLE_ALWAYS, STAPLE_REVOKED_EXIT, GOOD,
	    NOW + 99 * HOUR, false, STAPLE_UNSENT_EXPIRED },
	{ "revoked, the truth", STAPLE_AUTO, STAPLE_REVOKED_STAPLE, CONFIRMED,
	    NOW, true, 0 },
	{ "revoked, before the exit", STAPLE_MUST, STAPLE_REVOKED_EXIT,
	    CONFIRMED, NOW, true, 0 },
	{ "revoked, refused", STAPLE_MUST, STAPLE_REVOKED_REFUSE, CONFIRMED,
	    NOW, false, STAPLE_UNSENT_REVOKED },
	{ "revoked, no second answer", STAPLE_MUST, STAPLE_REVOKED_REFUSE,
	    UNCONFIRMABLE, NOW, false, STAPLE_UNSENT_REVOKED },
	{ "revoked, not confirmed yet", STAPLE_MUST, STAPLE_REVOKED_REFUSE,
	    REVOKED, NOW, true, 0 },
	{ "good, though refused if revoked", STAPLE_MUST, STAPLE_REVOKED_REFUSE,
	    GOOD, NOW, true, 0 },
	{ "good again, as a newer answer lifted it", STAPLE_MUST,
	    STAPLE_REVOKED_REFUSE, LIFTED, NOW, true, 0 },
	{ "revoked and expired stays refused", STAPLE_MUST,
	    STAPLE_REVOKED_REFUSE, CONFIRMED, NOW + HOUR, false,
	    STAPLE_UNSENT_REVOKED },
	{ "revoked and expired is not stapled", STAPLE_AUTO,
	    STAPLE_REVOKED_STAPLE, CONFIRMED, NOW + HOUR, false,
	    STAPLE_UNSENT_EXPIRED },
};

static struct staple_entry *
hold_as(enum held held)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);
	struct staple_progress progress = { .settled = true };

	progress.confirmed = held == CONFIRMED || held == LIFTED;
	progress.unconfirmable = held == UNCONFIRMABLE;
	if (held == GOOD || held == LIFTED)
		publish(entry, OCSP_SAYS_GOOD);
	else if (held != NOTHING)
		publish(entry, OCSP_SAYS_REVOKED);
	staple_cache_set_progress(entry, &progress);
	return entry;
}

Test(cache, gives_a_handshake_what_policy_and_time_allow)
{
	for (size_t i = 0; i < ARRAY_LEN(take_rows); i++) {
		const struct take_row *row = &take_rows[i];
		const struct staple_policy policy = { row->mode,
			STAPLE_WITHOUT_SERVE, row->on_revoked };
		struct staple_entry *entry = hold_as(row->held);
		enum staple_unsent reason = STAPLE_UNSENT_REASONS;
		struct staple_response *taken = staple_cache_take(
		    entry, &policy, row->now, &reason);

		cr_expect_eq(taken != NULL, row->sent, "%s", row->what);
		cr_expect_eq(reason,
		    row->sent ? STAPLE_UNSENT_REASONS : row->reason, "%s",
		    row->what);
		staple_response_unref(taken);
		staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	}
}

static const struct {
	enum staple_mode mode;
	bool must_staple, first, sent;
	enum staple_unsent reason;
} first_rows[] = {
	{ STAPLE_PREFER, false, true, true, 0 },
	{ STAPLE_PREFER, false, false, false, STAPLE_UNSENT_NOT_FIRST },
	{ STAPLE_PREFER, true, false, true, 0 },
	{ STAPLE_AUTO, false, false, false, STAPLE_UNSENT_UNWANTED },
	{ STAPLE_AUTO, true, false, true, 0 },
	{ STAPLE_MUST, true, false, true, 0 },
	{ STAPLE_ALWAYS, false, false, true, 0 },
	{ STAPLE_ALWAYS, true, false, true, 0 },
};

/* GnuTLS refuses a response whose first entry is about another certificate;
 * where a client needs no staple, none is sent. */
Test(cache, sends_what_begins_with_another_only_where_it_must)
{
	const struct pki_wish plain = { .name = "b.example",
		.aia = "OCSP;URI:http://ocsp.example/" };
	struct pki other = authority_issue(&authority, &plain);

	for (size_t i = 0; i < ARRAY_LEN(first_rows); i++) {
		bool must_staple = first_rows[i].must_staple;
		const struct pki *shown = must_staple ? &leaf : &other;
		const struct staple_policy policy = { first_rows[i].mode,
			STAPLE_WITHOUT_SERVE, STAPLE_REVOKED_STAPLE };
		const struct ocsp_wish wish = { .second = first_rows[i].first
							      ? NULL
							  : must_staple ? &other
									: &leaf,
			.this_update = NOW,
			.next_update = NOW + HOUR };
		struct staple_cert *cert = authority_facts(
		    &authority, shown, NULL);
		struct staple_response *response = authority_response(
		    &authority, shown, &wish);
		struct staple_entry *entry = staple_cache_hold(
		    cache, cert, STAPLE_REQUIRE_WANTED);
		enum staple_unsent reason;
		struct staple_response *taken;

		staple_cache_publish(entry, response);
		taken = staple_cache_take(entry, &policy, NOW, &reason);
		cr_expect_eq(taken != NULL, first_rows[i].sent, "%zu", i);
		if (taken == NULL)
			cr_expect_eq(reason, first_rows[i].reason, "%zu", i);
		staple_response_unref(taken);
		staple_response_unref(response);
		staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
		staple_cert_unref(cert);
	}
	pki_drop(&other);
}

Test(cache, lets_a_handshake_keep_what_it_took)
{
	const struct staple_policy policy = { .mode = STAPLE_AUTO };
	struct staple_entry *entry = hold_as(GOOD);
	enum staple_unsent reason;
	struct staple_response *taken = staple_cache_take(
	    entry, &policy, NOW, &reason);

	staple_cache_publish(entry, NULL);
	cr_assert_not_null(taken);
	cr_expect_eq(staple_response_expires(taken), NOW + HOUR);
	staple_response_unref(taken);
	cr_expect_null(staple_cache_take(entry, &policy, NOW, &reason));
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
}

Test(cache, counts_clients_and_results)
{
	const struct staple_policy automatic = { .mode = STAPLE_AUTO };
	const struct staple_policy never = { .mode = STAPLE_NEVER };
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);
	enum staple_unsent reason;
	struct staple_info info;

	cr_expect_null(staple_cache_take(entry, &automatic, NOW, &reason));
	cr_expect_null(staple_cache_take(entry, &never, NOW, &reason));
	cr_expect_null(staple_cache_take(entry, &never, NOW, &reason));
	staple_cache_unsent(entry, STAPLE_UNSENT_NO_MEMORY);
	for (int i = 0; i < 5; i++)
		staple_cache_sent(entry);
	staple_cache_read(entry, NOW, &info);
	cr_expect_eq(info.asked, 9);
	cr_expect_eq(info.sent, 5);
	cr_expect_eq(info.unsent[STAPLE_UNSENT_NONE], 1);
	cr_expect_eq(info.unsent[STAPLE_UNSENT_UNWANTED], 2);
	cr_expect_eq(info.unsent[STAPLE_UNSENT_NO_MEMORY], 1);
	cr_expect_eq(info.unsent[STAPLE_UNSENT_EXPIRED], 0);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
}

Test(cache, lives_as_long_as_its_last_entry)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);
	struct staple_cert *known;

	publish(entry, OCSP_SAYS_GOOD);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	known = staple_entry_cert(entry);
	cr_expect_eq(known, facts);
	staple_cert_unref(known);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cache = NULL;
}

/* Facts of no certificate: nothing here looks behind the key. */
static struct staple_cert *
invent(unsigned number, unsigned char bucket)
{
	struct staple_cert *cert = calloc(1, sizeof(*cert));

	cr_assert_not_null(cert);
	atomic_init(&cert->references, 1);
	cert->key[0] = bucket;
	memcpy(cert->key + 2, &number, sizeof(number));
	return cert;
}

static void
holders_set_up(void)
{
	facts = invent(0, 0);
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
holders_tear_down(void)
{
	staple_cache_unref(cache);
	staple_cert_unref(facts);
}

TestSuite(cache_holders, .init = holders_set_up, .fini = holders_tear_down);

static bool
is_there(void)
{
	struct staple_entry *entry = staple_cache_find(cache, facts->key);

	staple_entry_unref(entry);
	return entry != NULL;
}

Test(cache_holders, learn_from_the_staple_thread_without_a_hand_over)
{
	struct staple_cert *known = invent(0, 0), *newer = invent(0, 0), *now;
	struct staple_entry *entry = staple_cache_hold(
	    cache, facts, STAPLE_REQUIRE_WANTED);

	cr_assert_not_null(entry);
	staple_entry_unref(staple_cache_next_changed(cache));
	staple_cache_replace_cert(entry, facts, known);
	now = staple_entry_cert(entry);
	cr_expect_eq(now, known);
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cert_unref(now);
	staple_cache_set_cert(entry, newer);
	staple_cache_replace_cert(entry, known, facts);
	now = staple_entry_cert(entry);
	cr_expect_eq(now, newer, "what is newer stays");
	cr_expect(staple_cache_has_changed(cache));
	staple_cert_unref(now);
	staple_cert_unref(newer);
	staple_cert_unref(known);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	staple_entry_unref(staple_cache_next_changed(cache));
}

/* Is the entry handed over to the staple thread?  It is not afterwards. */
static bool
is_handed_over(void)
{
	struct staple_entry *entry = staple_cache_next_changed(cache);

	staple_entry_unref(entry);
	return entry != NULL;
}

/* ---- References to an entry ---- */

Test(cache_holders, shares_one_entry_between_equal_certificates)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *one = hold(STAPLE_REQUIRE_WANTED);
	struct staple_entry *other = staple_cache_hold(
	    cache, again, STAPLE_REQUIRE_NONE);

	cr_expect_eq(one, other);
	staple_cache_release(one, STAPLE_REQUIRE_WANTED);
	cr_expect(is_there());
	staple_cache_release(other, STAPLE_REQUIRE_NONE);
	cr_expect_not(is_there());
	staple_cert_unref(again);
}

Test(cache_holders, keeps_different_certificates_apart_in_one_bucket)
{
	struct staple_cert *a = invent(1, 7), *b = invent(2, 7);
	struct staple_entry *one = staple_cache_hold(cache, a, 0);
	struct staple_entry *other = staple_cache_hold(cache, b, 0);
	struct staple_entry *found = staple_cache_find(cache, b->key);

	cr_expect_neq(one, other);
	cr_expect_eq(found, other);
	staple_entry_unref(found);
	staple_cache_release(one, 0);
	staple_cache_release(other, 0);
	staple_cert_unref(a);
	staple_cert_unref(b);
}

Test(
    cache_holders, frees_with_its_last_holder_what_the_staple_thread_never_knew)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);

	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect_not(is_there());
	cr_expect_not(is_handed_over());
}

Test(
    cache_holders, hands_over_what_lost_its_last_holder_so_that_it_is_forgotten)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);

	cr_expect(is_handed_over());
	staple_entry_ref(entry); /* the job of the staple thread */
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect(is_handed_over());
	cr_expect(is_there());
	cr_expect(staple_cache_forget(entry));
	cr_expect_not(is_there());
	staple_entry_unref(entry);
}

Test(cache_holders, does_not_forget_what_is_held_again)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);

	cr_expect(is_handed_over());
	staple_entry_ref(entry);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect_eq(hold(STAPLE_REQUIRE_WANTED), entry);
	cr_expect_not(staple_cache_forget(entry));
	cr_expect(is_there());
	staple_entry_unref(entry);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, makes_another_entry_after_one_was_forgotten)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED), *another;

	cr_expect(is_handed_over());
	staple_entry_ref(entry);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect(staple_cache_forget(entry));
	cr_expect_not(is_handed_over(), "what is forgotten comes back");
	another = hold(STAPLE_REQUIRE_WANTED);
	cr_expect_neq(another, entry);
	staple_entry_unref(entry);
	cr_expect(is_there());
	staple_cache_release(another, STAPLE_REQUIRE_WANTED);
}

/* ---- The hand-over to the staple thread ---- */

static const struct wish_row {
	const char *what;
	enum staple_requirement first, second, strongest;
	bool news; /* by the second holder */
} wish_rows[] = {
	{ "the second wants it", STAPLE_REQUIRE_NONE, STAPLE_REQUIRE_WANTED,
	    STAPLE_REQUIRE_WANTED, true },
	{ "the first wants it", STAPLE_REQUIRE_WANTED, STAPLE_REQUIRE_NONE,
	    STAPLE_REQUIRE_WANTED, false },
	{ "the second needs it", STAPLE_REQUIRE_WANTED, STAPLE_REQUIRE_FATAL,
	    STAPLE_REQUIRE_FATAL, true },
	{ "the first needs it", STAPLE_REQUIRE_FATAL, STAPLE_REQUIRE_WANTED,
	    STAPLE_REQUIRE_FATAL, false },
};

Test(cache_holders, goes_by_the_strongest_wish_and_hands_over_when_it_changes)
{
	for (size_t i = 0; i < ARRAY_LEN(wish_rows); i++) {
		const struct wish_row *row = &wish_rows[i];
		struct staple_entry *entry = hold(row->first);

		cr_expect_eq(is_handed_over(),
		    row->first != STAPLE_REQUIRE_NONE, "%s: new", row->what);
		cr_expect_eq(hold(row->second), entry, "%s", row->what);
		cr_expect_eq(is_handed_over(), row->news, "%s", row->what);
		cr_expect_eq(staple_entry_requirement(entry), row->strongest,
		    "%s", row->what);
		staple_cache_release(entry, row->second);
		cr_expect_eq(is_handed_over(), row->news, "%s", row->what);
		cr_expect_eq(staple_entry_requirement(entry), row->first, "%s",
		    row->what);
		staple_cache_release(entry, row->first);
		cr_expect(is_handed_over(), "%s: gone", row->what);
	}
}

/* Thousands of them cost the staple thread nothing. */
Test(cache_holders, never_hands_over_a_certificate_that_was_never_wanted)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *entry = hold(STAPLE_REQUIRE_NONE);

	cr_expect_not(staple_cache_has_changed(cache));
	cr_expect_eq(hold(STAPLE_REQUIRE_NONE), entry);
	staple_cache_set_cert(entry, again);
	staple_cache_check_file(entry);
	staple_cache_release(entry, STAPLE_REQUIRE_NONE);
	cr_expect_not(is_handed_over());
	staple_cache_release(entry, STAPLE_REQUIRE_NONE);
	cr_expect_not(is_handed_over());
	cr_expect_not(is_there());
	staple_cert_unref(again);
}

Test(cache_holders, hands_over_what_is_to_be_looked_at)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);

	cr_expect(is_handed_over());
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cache_check_file(entry);
	staple_cache_check_file(entry);
	cr_expect(staple_cache_has_changed(cache));
	cr_expect(is_handed_over());
	cr_expect_not(is_handed_over(), "once is enough");
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_a_holder_that_changes_its_wish)
{
	struct staple_entry *entry = hold(STAPLE_REQUIRE_NONE);

	cr_expect_not(is_handed_over());
	staple_cache_set_requirement(
	    entry, STAPLE_REQUIRE_NONE, STAPLE_REQUIRE_FATAL);
	cr_expect(is_handed_over());
	cr_expect_eq(staple_entry_requirement(entry), STAPLE_REQUIRE_FATAL);
	staple_cache_release(entry, STAPLE_REQUIRE_FATAL);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_new_facts_but_not_the_same_ones)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *entry = hold(STAPLE_REQUIRE_WANTED);
	struct staple_cert *known;

	cr_expect(is_handed_over());
	staple_cache_set_cert(entry, facts);
	cr_expect_not(is_handed_over());
	staple_cache_set_cert(entry, again);
	cr_expect(is_handed_over());
	known = staple_entry_cert(entry);
	cr_expect_eq(known, again);
	staple_cert_unref(known);
	staple_cert_unref(again);
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_each_entry_once_in_order)
{
	struct staple_cert *other = invent(1, 1);
	struct staple_entry *one = hold(STAPLE_REQUIRE_WANTED);
	struct staple_entry *two = staple_cache_hold(
	    cache, other, STAPLE_REQUIRE_WANTED);
	struct staple_entry *changed;

	staple_cache_set_requirement(
	    one, STAPLE_REQUIRE_WANTED, STAPLE_REQUIRE_FATAL);
	changed = staple_cache_next_changed(cache);
	cr_expect_eq(changed, one);
	staple_entry_unref(changed);
	changed = staple_cache_next_changed(cache);
	cr_expect_eq(changed, two);
	staple_entry_unref(changed);
	cr_expect_not(is_handed_over());
	staple_cache_release(one, STAPLE_REQUIRE_FATAL);
	staple_cache_release(two, STAPLE_REQUIRE_WANTED);
	cr_expect(is_handed_over());
	cr_expect(is_handed_over());
	staple_cert_unref(other);
}

enum { MANY = 5000, PATIENCE_MS = 20000 };

static struct staple_entry *entry; /* held, wanted */

static void
look_set_up(void)
{
	const struct pki_wish wish = { .name = "a.example",
		.feature = "status_request",
		.aia = "OCSP;URI:http://ocsp.example/" };

	authority_make(&authority);
	leaf = authority_issue(&authority, &wish);
	facts = authority_facts(&authority, &leaf, NULL);
	cache = staple_cache_new();
	cr_assert_not_null(cache);
	entry = staple_cache_hold(cache, facts, STAPLE_REQUIRE_WANTED);
	cr_assert_not_null(entry);
}

static void
look_tear_down(void)
{
	staple_cache_release(entry, STAPLE_REQUIRE_WANTED);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	staple_cert_unref(facts);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(cache_look, .init = look_set_up, .fini = look_tear_down);

static void
look_publish(enum ocsp_status status)
{
	const struct ocsp_wish wish = { .status = status,
		.this_update = NOW - HOUR,
		.next_update = NOW + HOUR,
		.revoked_at = NOW - HOUR };
	struct staple_response *response = authority_response(
	    &authority, &leaf, &wish);

	staple_cache_publish(entry, response);
	staple_response_unref(response);
}

static void
tell(bool settled)
{
	const struct staple_progress progress = { .settled = settled };

	staple_cache_set_progress(entry, &progress);
}

static struct staple_info
look(int64_t now)
{
	struct staple_info info;

	staple_cache_read(entry, now, &info);
	return info;
}

/* ---- One entry ---- */

Test(cache_look, shows_the_state_of_a_certificate)
{
	struct staple_info info = look(NOW);

	cr_expect_str_eq(info.name, "a.example");
	cr_expect_str_eq(info.id, facts->id);
	cr_expect(info.must_staple);
	cr_expect(info.wanted);
	cr_expect_eq(info.responders, 1);
	cr_expect_eq(info.unavailable_reason, STAPLE_UNASKED);
	cr_expect_not(info.held);
	cr_expect_not(info.settled);
	cr_expect_eq(info.asked, 0);
}

Test(cache_look, shows_why_there_is_no_responder)
{
	struct pki bare = authority_issue(
	    &authority, &(struct pki_wish){ .name = "bare.example",
			    .aia = "OCSP;URI:ldap://a/" });
	struct staple_cert *cert = authority_facts(&authority, &bare, NULL);
	struct staple_entry *one = staple_cache_hold(
	    cache, cert, STAPLE_REQUIRE_NONE);
	struct staple_info info;

	cr_assert_not_null(one);
	staple_cache_read(one, NOW, &info);
	cr_expect_eq(info.unavailable_reason, STAPLE_NO_RESPONDER);
	cr_expect_not_null(strstr(info.said, "ldap://a/ was left out"));
	staple_cache_release(one, STAPLE_REQUIRE_NONE);
	staple_cert_unref(cert);
	pki_drop(&bare);
}

Test(cache_look, returns_the_progress_of_the_staple_thread)
{
	const struct staple_progress progress = { .settled = true,
		.confirmed = true,
		.outcome = STAPLE_TRY_LATER,
		.failures = 3,
		.next_try = NOW + 60,
		.said = "http://ocsp.example/: tryLater" };
	struct staple_info info;

	staple_cache_set_progress(entry, &progress);
	info = look(NOW);
	cr_expect(info.settled);
	cr_expect(info.confirmed);
	cr_expect_not(info.unconfirmable);
	cr_expect_eq(info.outcome, STAPLE_TRY_LATER);
	cr_expect_eq(info.failures, 3);
	cr_expect_eq(info.next_try, NOW + 60);
	cr_expect_str_eq(info.said, progress.said);
}

Test(cache_look, shows_the_times_of_what_is_held)
{
	struct staple_info info;

	look_publish(OCSP_SAYS_GOOD);
	info = look(NOW);
	cr_expect(info.held);
	cr_expect_not(info.revoked);
	cr_expect_eq(info.this_update, NOW - HOUR);
	cr_expect_eq(info.next_update, NOW + HOUR);
	cr_expect_eq(info.expires, NOW + HOUR);
	look_publish(OCSP_SAYS_REVOKED);
	cr_expect(look(NOW).revoked);
}

static const struct settled_row {
	const char *what;
	bool told, held;
	enum ocsp_status status;
	int64_t now;
	bool expect;
} settled_rows[] = {
	{ "nothing yet", false, false, 0, NOW, false },
	{ "tried and failed", true, false, 0, NOW, true },
	{ "good from the disk", false, true, OCSP_SAYS_GOOD, NOW, true },
	{ "good until just now", false, true, OCSP_SAYS_GOOD, NOW + HOUR,
	    false },
	{ "revoked from the disk", false, true, OCSP_SAYS_REVOKED, NOW, false },
	{ "revoked, and asked", true, true, OCSP_SAYS_REVOKED, NOW, true },
};

Test(cache_look, calls_settled_what_was_tried_or_is_good_now)
{
	for (size_t i = 0; i < ARRAY_LEN(settled_rows); i++) {
		const struct settled_row *row = &settled_rows[i];

		if (row->held)
			look_publish(row->status);
		tell(row->told);
		cr_expect_eq(
		    look(row->now).settled, row->expect, "%s", row->what);
		staple_cache_publish(entry, NULL);
	}
}

Test(cache_look, calls_nothing_settled_that_was_tried_before_it_was_wanted)
{
	staple_cache_set_requirement(
	    entry, STAPLE_REQUIRE_WANTED, STAPLE_REQUIRE_NONE);
	tell(true);
	cr_expect(look(NOW).settled);
	cr_expect_not(look(NOW).wanted);
	staple_cache_set_requirement(
	    entry, STAPLE_REQUIRE_NONE, STAPLE_REQUIRE_WANTED);
	cr_expect_not(look(NOW).settled);
	cr_expect(look(NOW).wanted);
}

/* ---- All entries ---- */

Test(cache_look, lists_every_entry_with_a_reference)
{
	static struct staple_entry *held[MANY];
	struct staple_entry **list;
	size_t count = 0;

	for (unsigned i = 0; i < MANY; i++) {
		struct staple_cert *cert = calloc(1, sizeof(*cert));

		cr_assert_not_null(cert);
		atomic_init(&cert->references, 1);
		memcpy(cert->key, &i, sizeof(i));
		held[i] = staple_cache_hold(cache, cert, STAPLE_REQUIRE_NONE);
		staple_cert_unref(cert);
	}
	list = staple_cache_list(cache, &count);
	cr_assert_not_null(list);
	cr_expect_eq(count, MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		staple_cache_release(held[i], STAPLE_REQUIRE_NONE);
	for (size_t i = 0; i < count; i++)
		staple_entry_unref(list[i]);
	free(list);
}

Test(cache_look, lists_nothing_of_an_empty_cache)
{
	struct staple_cache *empty = staple_cache_new();
	struct staple_entry **list;
	size_t count = 1;

	cr_assert_not_null(empty);
	list = staple_cache_list(empty, &count);
	cr_expect_not_null(list);
	cr_expect_eq(count, 0);
	free(list);
	staple_cache_unref(empty);
}

/* ---- Waiting ---- */

static bool
wait_for(int64_t ms)
{
	return staple_cache_wait(cache, clock_mono_ms() + ms);
}

/* The clock was set back by an hour since it was published. */
Test(cache_look, waits_for_another_than_what_is_dated_in_the_future)
{
	const int64_t now = clock_wall_ms() / 1000;
	const struct ocsp_wish wish = { .this_update = now + HOUR,
		.next_update = now + 2 * HOUR };
	struct staple_response *response = authority_response(
	    &authority, &leaf, &wish);

	staple_cache_publish(entry, response);
	staple_response_unref(response);
	cr_expect_not(look(now).settled);
	cr_expect_not(wait_for(0));
	cr_expect(look(now + HOUR).settled);
	tell(true);
	cr_expect(look(now).settled);
	cr_expect(wait_for(0));
}

Test(cache_look, waits_no_longer_than_its_timeout)
{
	cr_expect_not(wait_for(0));
	cr_expect_not(wait_for(20));
}

Test(cache_look, need_not_wait_for_what_is_settled)
{
	tell(true);
	cr_expect(wait_for(0));
	tell(false);
	cr_expect_not(wait_for(0));
	look_publish(OCSP_SAYS_GOOD);
	cr_expect(wait_for(0));
	look_publish(OCSP_SAYS_REVOKED);
	cr_expect_not(wait_for(0), "revoked, and not asked yet");
}

Test(cache_look, does_not_wait_for_what_is_not_wanted)
{
	staple_cache_set_requirement(
	    entry, STAPLE_REQUIRE_WANTED, STAPLE_REQUIRE_NONE);
	cr_expect(wait_for(0));
	staple_cache_set_requirement(
	    entry, STAPLE_REQUIRE_NONE, STAPLE_REQUIRE_WANTED);
	cr_expect_not(wait_for(0));
}

Test(cache_look, waits_again_when_facts_were_corrected)
{
	struct staple_cert *again = authority_facts(&authority, &leaf, NULL);

	tell(true);
	staple_cache_set_cert(entry, again);
	cr_expect_not(wait_for(0));
	staple_cert_unref(again);
}

/* An attempt with the old facts ends before the new ones are taken over. */
Test(cache_look, is_not_settled_by_what_was_tried_with_old_facts)
{
	struct staple_cert *again = authority_facts(&authority, &leaf, NULL);

	staple_entry_unref(staple_cache_next_changed(cache));
	staple_cache_set_cert(entry, again);
	tell(true);
	cr_expect_not(wait_for(0));
	staple_entry_unref(staple_cache_next_changed(cache));
	tell(true);
	cr_expect(wait_for(0));
	staple_cert_unref(again);
}

struct waiter {
	struct thread thread;
	atomic_int id; /* of the thread; 0: it has not begun */
	bool settled;
};

static void
wait_long(void *arg)
{
	struct waiter *waiter = arg;

	atomic_store(&waiter->id, (int)gettid());
	waiter->settled = wait_for(PATIENCE_MS);
}

/* Does the thread sleep, by /proc? */
static bool
is_asleep(int id)
{
	char path[64], text[128] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
	file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	cr_assert_not_null(fgets(text, sizeof(text), file));
	fclose(file);
	return strstr(text, ") S") != NULL;
}

/* Until it waits, lest it come too late to be woken. */
static void
start(struct waiter *waiter)
{
	*waiter = (struct waiter){ .settled = false };
	cr_assert(
	    thread_start(&waiter->thread, "waiter", wait_long, waiter, NULL));
	while (atomic_load(&waiter->id) == 0)
		sched_yield();
	while (!is_asleep(atomic_load(&waiter->id)))
		sched_yield();
}

Test(cache_look, wakes_waiters_when_the_last_is_settled, .timeout = 60)
{
	int64_t begun = clock_mono_ms();
	struct waiter one, two;

	start(&one);
	start(&two);
	tell(true);
	thread_join(&one.thread);
	thread_join(&two.thread);
	cr_expect(one.settled);
	cr_expect(two.settled);
	cr_expect_lt(clock_mono_ms() - begun, PATIENCE_MS);
}

Test(cache_look, wakes_waiters_when_it_is_closed, .timeout = 60)
{
	int64_t begun = clock_mono_ms();
	struct waiter waiter;

	start(&waiter);
	staple_cache_close(cache);
	thread_join(&waiter.thread);
	cr_expect_not(waiter.settled);
	cr_expect_lt(clock_mono_ms() - begun, PATIENCE_MS);
}

/* ---- The end ---- */

Test(cache_look, drops_every_response_when_it_is_closed)
{
	const struct staple_policy policy = { .mode = STAPLE_AUTO };
	enum staple_unsent reason;

	look_publish(OCSP_SAYS_GOOD);
	cr_expect_not(staple_cache_is_closed(cache));
	staple_cache_close(cache);
	cr_expect(staple_cache_is_closed(cache));
	cr_expect_null(staple_cache_take(entry, &policy, NOW, &reason));
	cr_expect_eq(reason, STAPLE_UNSENT_NONE);
	cr_expect_null(staple_cache_response(entry));
}

Test(cache_look, goes_on_counting_holders_when_it_is_closed)
{
	struct staple_entry *again;

	staple_cache_close(cache);
	again = staple_cache_hold(cache, facts, STAPLE_REQUIRE_FATAL);
	cr_expect_eq(again, entry);
	cr_expect_null(staple_cache_next_changed(cache));
	staple_cache_release(again, STAPLE_REQUIRE_FATAL);
	again = staple_cache_find(cache, facts->key);
	cr_expect_eq(again, entry);
	staple_entry_unref(again);
}
