/* What handshakes take, when it is theirs to keep, and how it is counted. */
#include "staple/cache.h"

#include <criterion/criterion.h>

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
hold(enum staple_wish wish)
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
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);
	struct staple_progress progress = { .settled = true };

	progress.confirmed = held == CONFIRMED || held == LIFTED;
	progress.unconfirmable = held == UNCONFIRMABLE;
	if (held == GOOD || held == LIFTED)
		publish(entry, OCSP_SAYS_GOOD);
	else if (held != NOTHING)
		publish(entry, OCSP_SAYS_REVOKED);
	staple_cache_tell(entry, &progress);
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
		staple_cache_release(entry, STAPLE_WISH_WANTED);
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
 * where the client may do without a staple it is better off without. */
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
		    cache, cert, STAPLE_WISH_WANTED);
		enum staple_unsent reason;
		struct staple_response *taken;

		staple_cache_publish(entry, response);
		taken = staple_cache_take(entry, &policy, NOW, &reason);
		cr_expect_eq(taken != NULL, first_rows[i].sent, "%zu", i);
		if (taken == NULL)
			cr_expect_eq(reason, first_rows[i].reason, "%zu", i);
		staple_response_unref(taken);
		staple_response_unref(response);
		staple_cache_release(entry, STAPLE_WISH_WANTED);
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
	staple_cache_release(entry, STAPLE_WISH_WANTED);
}

Test(cache, counts_who_asked_and_what_came_of_it)
{
	const struct staple_policy automatic = { .mode = STAPLE_AUTO };
	const struct staple_policy never = { .mode = STAPLE_NEVER };
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);
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
	staple_cache_release(entry, STAPLE_WISH_WANTED);
}

Test(cache, lives_as_long_as_its_last_entry)
{
	struct staple_entry *entry = hold(STAPLE_WISH_WANTED);
	struct staple_cert *known;

	publish(entry, OCSP_SAYS_GOOD);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	known = staple_entry_cert(entry);
	cr_expect_eq(known, facts);
	staple_cert_unref(known);
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	cache = NULL;
}
