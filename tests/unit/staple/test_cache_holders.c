/* Who keeps an entry, and what the staple thread is told of. */
#include "staple/cache.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct staple_cert *facts;
static struct staple_cache *cache;

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
set_up(void)
{
	facts = invent(0, 0);
	cache = staple_cache_new();
	cr_assert_not_null(cache);
}

static void
tear_down(void)
{
	staple_cache_unref(cache);
	staple_cert_unref(facts);
}

TestSuite(cache_holders, .init = set_up, .fini = tear_down);

static struct staple_entry *
hold(enum staple_wish wish)
{
	struct staple_entry *entry = staple_cache_hold(cache, facts, wish);

	cr_assert_not_null(entry);
	return entry;
}

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
	    cache, facts, STAPLE_WISH_WANTED);

	cr_assert_not_null(entry);
	staple_entry_unref(staple_cache_next_changed(cache));
	staple_cache_learn(entry, facts, known);
	now = staple_entry_cert(entry);
	cr_expect_eq(now, known);
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cert_unref(now);
	staple_cache_correct(entry, newer);
	staple_cache_learn(entry, known, facts);
	now = staple_entry_cert(entry);
	cr_expect_eq(now, newer, "what is newer stays");
	cr_expect(staple_cache_has_changed(cache));
	staple_cert_unref(now);
	staple_cert_unref(newer);
	staple_cert_unref(known);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
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

/* ---- Who keeps an entry ---- */

Test(cache_holders, shares_one_entry_between_equal_certificates)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *one = hold(STAPLE_WISH_WANTED);
	struct staple_entry *other = staple_cache_hold(
	    cache, again, STAPLE_WISH_NONE);

	cr_expect_eq(one, other);
	staple_cache_release(one, STAPLE_WISH_WANTED);
	cr_expect(is_there());
	staple_cache_release(other, STAPLE_WISH_NONE);
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
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);

	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect_not(is_there());
	cr_expect_not(is_handed_over());
}

Test(
    cache_holders, hands_over_what_lost_its_last_holder_so_that_it_is_forgotten)
{
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);

	cr_expect(is_handed_over());
	staple_entry_ref(entry); /* the staple thread's errand */
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect(is_handed_over());
	cr_expect(is_there());
	cr_expect(staple_cache_forget(entry));
	cr_expect_not(is_there());
	staple_entry_unref(entry);
}

Test(cache_holders, does_not_forget_what_somebody_holds_again)
{
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);

	cr_expect(is_handed_over());
	staple_entry_ref(entry);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect_eq(hold(STAPLE_WISH_WANTED), entry);
	cr_expect_not(staple_cache_forget(entry));
	cr_expect(is_there());
	staple_entry_unref(entry);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, makes_another_entry_after_one_was_forgotten)
{
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED), *another;

	cr_expect(is_handed_over());
	staple_entry_ref(entry);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect(staple_cache_forget(entry));
	cr_expect_not(is_handed_over(), "what is forgotten comes back");
	another = hold(STAPLE_WISH_WANTED);
	cr_expect_neq(another, entry);
	staple_entry_unref(entry);
	cr_expect(is_there());
	staple_cache_release(another, STAPLE_WISH_WANTED);
}

/* ---- What the staple thread is told of ---- */

static const struct wish_row {
	const char *what;
	enum staple_wish first, second, strongest;
	bool news; /* by the second holder */
} wish_rows[] = {
	{ "the second wants it", STAPLE_WISH_NONE, STAPLE_WISH_WANTED,
	    STAPLE_WISH_WANTED, true },
	{ "the first wants it", STAPLE_WISH_WANTED, STAPLE_WISH_NONE,
	    STAPLE_WISH_WANTED, false },
	{ "the second needs it", STAPLE_WISH_WANTED, STAPLE_WISH_FATAL,
	    STAPLE_WISH_FATAL, true },
	{ "the first needs it", STAPLE_WISH_FATAL, STAPLE_WISH_WANTED,
	    STAPLE_WISH_FATAL, false },
};

Test(cache_holders, goes_by_the_strongest_wish_and_hands_over_when_it_changes)
{
	for (size_t i = 0; i < ARRAY_LEN(wish_rows); i++) {
		const struct wish_row *row = &wish_rows[i];
		struct staple_entry *entry = hold(row->first);

		cr_expect_eq(is_handed_over(), row->first != STAPLE_WISH_NONE,
		    "%s: new", row->what);
		cr_expect_eq(hold(row->second), entry, "%s", row->what);
		cr_expect_eq(is_handed_over(), row->news, "%s", row->what);
		cr_expect_eq(
		    staple_entry_wish(entry), row->strongest, "%s", row->what);
		staple_cache_release(entry, row->second);
		cr_expect_eq(is_handed_over(), row->news, "%s", row->what);
		cr_expect_eq(
		    staple_entry_wish(entry), row->first, "%s", row->what);
		staple_cache_release(entry, row->first);
		cr_expect(is_handed_over(), "%s: gone", row->what);
	}
}

/* Thousands of them cost the staple thread nothing. */
Test(cache_holders, never_hands_over_what_nobody_has_wanted)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *entry = hold(STAPLE_WISH_NONE);

	cr_expect_not(staple_cache_has_changed(cache));
	cr_expect_eq(hold(STAPLE_WISH_NONE), entry);
	staple_cache_correct(entry, again);
	staple_cache_look(entry);
	staple_cache_release(entry, STAPLE_WISH_NONE);
	cr_expect_not(is_handed_over());
	staple_cache_release(entry, STAPLE_WISH_NONE);
	cr_expect_not(is_handed_over());
	cr_expect_not(is_there());
	staple_cert_unref(again);
}

Test(cache_holders, hands_over_what_is_to_be_looked_at)
{
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);

	cr_expect(is_handed_over());
	cr_expect_not(staple_cache_has_changed(cache));
	staple_cache_look(entry);
	staple_cache_look(entry);
	cr_expect(staple_cache_has_changed(cache));
	cr_expect(is_handed_over());
	cr_expect_not(is_handed_over(), "once is enough");
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_a_holder_that_changes_its_wish)
{
	struct staple_entry *entry = hold(STAPLE_WISH_NONE);

	cr_expect_not(is_handed_over());
	staple_cache_wish(entry, STAPLE_WISH_NONE, STAPLE_WISH_FATAL);
	cr_expect(is_handed_over());
	cr_expect_eq(staple_entry_wish(entry), STAPLE_WISH_FATAL);
	staple_cache_release(entry, STAPLE_WISH_FATAL);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_new_facts_but_not_the_same_ones)
{
	struct staple_cert *again = invent(0, 0);
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);
	struct staple_cert *known;

	cr_expect(is_handed_over());
	staple_cache_correct(entry, facts);
	cr_expect_not(is_handed_over());
	staple_cache_correct(entry, again);
	cr_expect(is_handed_over());
	known = staple_entry_cert(entry);
	cr_expect_eq(known, again);
	staple_cert_unref(known);
	staple_cert_unref(again);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cr_expect(is_handed_over());
}

Test(cache_holders, hands_over_each_entry_once_in_order)
{
	struct staple_cert *other = invent(1, 1);
	struct staple_entry *one = hold(STAPLE_WISH_WANTED);
	struct staple_entry *two = staple_cache_hold(
	    cache, other, STAPLE_WISH_WANTED);
	struct staple_entry *changed;

	staple_cache_wish(one, STAPLE_WISH_WANTED, STAPLE_WISH_FATAL);
	changed = staple_cache_next_changed(cache);
	cr_expect_eq(changed, one);
	staple_entry_unref(changed);
	changed = staple_cache_next_changed(cache);
	cr_expect_eq(changed, two);
	staple_entry_unref(changed);
	cr_expect_not(is_handed_over());
	staple_cache_release(one, STAPLE_WISH_FATAL);
	staple_cache_release(two, STAPLE_WISH_WANTED);
	cr_expect(is_handed_over());
	cr_expect(is_handed_over());
	staple_cert_unref(other);
}
