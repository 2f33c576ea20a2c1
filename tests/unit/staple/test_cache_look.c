/* What is seen of the cache from outside: state, waiting, and the end. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "tests/support/authority.h"

enum { NOW = 1767225600, HOUR = 3600, MANY = 5000, PATIENCE_MS = 20000 };

static struct authority authority;
static struct pki leaf;
static struct staple_cert *facts;
static struct staple_cache *cache;
static struct staple_entry *entry; /* held, wanted */

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
	entry = staple_cache_hold(cache, facts, STAPLE_WISH_WANTED);
	cr_assert_not_null(entry);
}

static void
tear_down(void)
{
	staple_cache_release(entry, STAPLE_WISH_WANTED);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	staple_cert_unref(facts);
	pki_drop(&leaf);
	authority_drop(&authority);
}

TestSuite(cache_look, .init = set_up, .fini = tear_down);

static void
publish(enum ocsp_status status)
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

	staple_cache_tell(entry, &progress);
}

static struct staple_info
look(int64_t now)
{
	struct staple_info info;

	staple_cache_read(entry, now, &info);
	return info;
}

/* ---- One entry ---- */

Test(cache_look, shows_what_is_known_of_a_certificate)
{
	struct staple_info info = look(NOW);

	cr_expect_str_eq(info.name, "a.example");
	cr_expect_str_eq(info.id, facts->id);
	cr_expect(info.must_staple);
	cr_expect(info.wanted);
	cr_expect_eq(info.responders, 1);
	cr_expect_eq(info.hindrance, STAPLE_UNASKED);
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
	    cache, cert, STAPLE_WISH_NONE);
	struct staple_info info;

	cr_assert_not_null(one);
	staple_cache_read(one, NOW, &info);
	cr_expect_eq(info.hindrance, STAPLE_NO_RESPONDER);
	cr_expect_not_null(strstr(info.said, "ldap://a/ was left out"));
	staple_cache_release(one, STAPLE_WISH_NONE);
	staple_cert_unref(cert);
	pki_drop(&bare);
}

Test(cache_look, shows_what_the_staple_thread_told)
{
	const struct staple_progress progress = { .settled = true,
		.confirmed = true,
		.outcome = STAPLE_TRY_LATER,
		.failures = 3,
		.next_try = NOW + 60,
		.said = "http://ocsp.example/: tryLater" };
	struct staple_info info;

	staple_cache_tell(entry, &progress);
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

	publish(OCSP_SAYS_GOOD);
	info = look(NOW);
	cr_expect(info.held);
	cr_expect_not(info.revoked);
	cr_expect_eq(info.this_update, NOW - HOUR);
	cr_expect_eq(info.next_update, NOW + HOUR);
	cr_expect_eq(info.expires, NOW + HOUR);
	publish(OCSP_SAYS_REVOKED);
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
			publish(row->status);
		tell(row->told);
		cr_expect_eq(
		    look(row->now).settled, row->expect, "%s", row->what);
		staple_cache_publish(entry, NULL);
	}
}

Test(cache_look, calls_nothing_settled_that_was_tried_before_it_was_wanted)
{
	staple_cache_wish(entry, STAPLE_WISH_WANTED, STAPLE_WISH_NONE);
	tell(true);
	cr_expect(look(NOW).settled);
	cr_expect_not(look(NOW).wanted);
	staple_cache_wish(entry, STAPLE_WISH_NONE, STAPLE_WISH_WANTED);
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
		held[i] = staple_cache_hold(cache, cert, STAPLE_WISH_NONE);
		staple_cert_unref(cert);
	}
	list = staple_cache_list(cache, &count);
	cr_assert_not_null(list);
	cr_expect_eq(count, MANY + 1);
	for (unsigned i = 0; i < MANY; i++)
		staple_cache_release(held[i], STAPLE_WISH_NONE);
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

Test(cache_look, waits_no_longer_than_it_is_told)
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
	publish(OCSP_SAYS_GOOD);
	cr_expect(wait_for(0));
	publish(OCSP_SAYS_REVOKED);
	cr_expect_not(wait_for(0), "revoked, and not asked yet");
}

Test(cache_look, does_not_wait_for_what_nobody_wants)
{
	staple_cache_wish(entry, STAPLE_WISH_WANTED, STAPLE_WISH_NONE);
	cr_expect(wait_for(0));
	staple_cache_wish(entry, STAPLE_WISH_NONE, STAPLE_WISH_WANTED);
	cr_expect_not(wait_for(0));
}

Test(cache_look, waits_again_when_facts_were_corrected)
{
	struct staple_cert *again = authority_facts(&authority, &leaf, NULL);

	tell(true);
	staple_cache_correct(entry, again);
	cr_expect_not(wait_for(0));
	staple_cert_unref(again);
}

/* An attempt with the old facts ends before the new ones are taken over. */
Test(cache_look, is_not_settled_by_what_was_tried_with_old_facts)
{
	struct staple_cert *again = authority_facts(&authority, &leaf, NULL);

	staple_entry_unref(staple_cache_next_changed(cache));
	staple_cache_correct(entry, again);
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

/* Does the kernel say that it sleeps? */
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

Test(cache_look, wakes_who_waits_when_the_last_is_settled, .timeout = 60)
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

Test(cache_look, wakes_who_waits_when_it_is_closed, .timeout = 60)
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

	publish(OCSP_SAYS_GOOD);
	cr_expect_not(staple_cache_is_closed(cache));
	staple_cache_close(cache);
	cr_expect(staple_cache_is_closed(cache));
	cr_expect_null(staple_cache_take(entry, &policy, NOW, &reason));
	cr_expect_eq(reason, STAPLE_UNSENT_NONE);
	cr_expect_null(staple_cache_held(entry));
}

Test(cache_look, goes_on_counting_holders_when_it_is_closed)
{
	struct staple_entry *again;

	staple_cache_close(cache);
	again = staple_cache_hold(cache, facts, STAPLE_WISH_FATAL);
	cr_expect_eq(again, entry);
	cr_expect_null(staple_cache_next_changed(cache));
	staple_cache_release(again, STAPLE_WISH_FATAL);
	again = staple_cache_find(cache, facts->key);
	cr_expect_eq(again, entry);
	staple_entry_unref(again);
}
