/*
 * A renewed certificate goes into service with its first staple, and what
 * that leaves alone.
 */
#include "runtime/renew.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "tests/support/stapled.h"
#include "tls/identity.h"

#define ASKED "OCSP;URI:http://127.0.0.1:1/"
#define FAR 4070908800 /* the end of certificates: 2099-01-01 */
#define HOUR 3600

static struct stapled stapled;
static struct pki old_leaf, new_leaf;

static const struct pki_wish old_wish = {
	.name = "old", .feature = "status_request", .aia = ASKED
};
static const struct pki_wish new_wish = {
	.name = "renewed", .feature = "status_request", .aia = ASKED
};

static void
set_up(void)
{
	stapled_open(&stapled);
	old_leaf = stapled_issue(&stapled, "old.pem", &old_wish);
	new_leaf = stapled_issue(&stapled, "new.pem", &new_wish);
}

static void
tear_down(void)
{
	pki_drop(&old_leaf);
	pki_drop(&new_leaf);
	stapled_close(&stapled);
}

TestSuite(renew, .init = set_up, .fini = tear_down);

static const char *
served(const struct generation *generation)
{
	return site_shown(generation, 0, "");
}

static const char *
waiting(const struct generation *generation)
{
	struct identity *renewal = site_credential(generation, 0)->renewal;

	return renewal ? identity_name(renewal) : "nobody";
}

/* An old certificate, and what a reload makes of a new one. */
static struct generation *
reload(const char *more)
{
	struct generation *old = stapled_build(&stapled, NULL, "old.pem", more);
	struct generation *fresh = stapled_build(
	    &stapled, old, "new.pem", more);

	generation_unref(old);
	return fresh;
}

Test(renew, waits_in_every_mode_that_wants_a_staple)
{
	static const struct {
		const char *more, *serves, *waits;
	} rows[] = {
		{ "ocsp = auto\n", "old", "renewed" },
		{ "ocsp = must\n", "old", "renewed" },
		{ "ocsp = always\n", "old", "renewed" },
		{ "ocsp = prefer\n", "old", "renewed" },
		{ "ocsp = never\n", "renewed", "nobody" },
	};
	struct generation *fresh;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fresh = reload(rows[i].more);
		cr_expect_str_eq(
		    served(fresh), rows[i].serves, "%s", rows[i].more);
		cr_expect_str_eq(
		    waiting(fresh), rows[i].waits, "%s", rows[i].more);
		generation_unref(fresh);
	}
}

Test(renew, knows_whether_anybody_waits)
{
	struct generation *fresh = reload("ocsp = auto\n");
	struct generation *plain = reload("ocsp = never\n");

	cr_expect(renew_is_waited_for(fresh));
	cr_expect_not(renew_is_waited_for(plain));
	generation_unref(fresh);
	generation_unref(plain);
}

/* The next generation as of then, or NULL; `from` is let go. */
static struct generation *
renew_at(struct generation *from, int64_t now_s)
{
	struct judge judge = stapled_judge(&stapled, PHASE_RELOAD);
	struct generation *next;
	struct err err;

	judge.now_s = now_s;
	next = renew_generation(from, &stapled.site.parts, &judge, &err);

	cr_expect_str_eq(err.text, "");
	generation_unref(from);
	return next;
}

Test(renew, holds_on_until_the_last_hour_of_the_old_one)
{
	struct generation *next = renew_at(
	    reload("ocsp = must\n"), FAR - HOUR - 1);

	cr_expect_null(next);
	next = renew_at(reload("ocsp = must\n"), FAR - HOUR);
	cr_assert_not_null(next);
	cr_expect_str_eq(served(next), "renewed");
	cr_expect_str_eq(waiting(next), "nobody");
	generation_unref(next);
}

Test(renew, serves_as_soon_as_the_staple_has_come)
{
	struct generation *fresh, *next;

	stapled_answer(&stapled, "leaf.der", &new_leaf, OCSP_SAYS_GOOD);
	fresh = reload("ocsp = must\nstaple_file = leaf.der\n");
	cr_expect_str_eq(served(fresh), "old");
	stapled_run(&stapled);
	stapled_settle(&stapled, fresh);
	next = renew_at(fresh, clock_wall_ms() / 1000);
	cr_assert_not_null(next);
	cr_expect_str_eq(served(next), "renewed");
	generation_unref(next);
}

Test(renew, keeps_a_revoked_one_out)
{
	struct generation *fresh;

	stapled_answer(&stapled, "leaf.der", &new_leaf, OCSP_SAYS_REVOKED);
	fresh = reload("staple_file = leaf.der\n[ocsp]\nmode = must\n");
	stapled_run(&stapled);
	cr_expect_eq(
	    stapled_settle(&stapled, fresh).counts[VERDICT_REVOKED], 1u);
	cr_expect_null(renew_at(fresh, clock_wall_ms() / 1000));
}

Test(renew, leaves_everything_else_as_it_is)
{
	struct generation *fresh = generation_ref(reload("ocsp = must\n"));
	struct generation *next = renew_at(fresh, FAR);
	struct service *before = generation_service(fresh, 0);
	struct service *after = generation_service(next, 0);

	cr_expect_neq(before, after);
	cr_expect_eq(before->sites[0].backends, after->sites[0].backends);
	cr_expect_eq(before->limit, after->limit);
	cr_expect_eq(before->config, after->config);
	cr_expect_eq(generation_port(fresh, 0).listener,
	    generation_port(next, 0).listener);
	cr_expect_eq(generation_port(next, 0).service, after);
	cr_expect_eq(
	    generation_port(next, 0).fresh, generation_port(fresh, 0).fresh);
	cr_expect_str_eq(served(fresh), "old", "what it was made of stays");
	generation_unref(fresh);
	generation_unref(next);
}

Test(renew, waits_on_over_another_reload)
{
	struct generation *fresh = reload("ocsp = must\n");
	struct generation *again = stapled_build(
	    &stapled, fresh, "new.pem", "ocsp = must\n");
	struct generation *back = stapled_build(
	    &stapled, fresh, "old.pem", "ocsp = must\n");

	cr_expect_str_eq(served(again), "old");
	cr_expect_str_eq(waiting(again), "renewed");
	cr_expect_str_eq(served(back), "old");
	cr_expect_str_eq(waiting(back), "nobody");
	generation_unref(fresh);
	generation_unref(again);
	generation_unref(back);
}
