/*
 * At which steps a certificate and a list are warned of, and that each is said
 * once.
 */
#include "runtime/expiry.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/credential.h"
#include "tests/support/site.h"
#include "tls/identity.h"

#define DAY 86400

static struct site site;
static struct generation *generation;

static void
set_up(void)
{
	site_open(&site, 1);
	generation = site_build(&site, NULL,
	    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
	    "cert = cert.pem\nkey = key.pem\n",
	    true);
	cr_assert_not_null(generation);
}

static void
tear_down(void)
{
	generation_unref(generation);
	site_close(&site);
}

TestSuite(expiry, .init = set_up, .fini = tear_down);

Test(expiry, says_each_step_once_as_time_passes)
{
	static const struct {
		double days;
		int expect; /* what has been said last */
	} rows[] = {
		{ 31, 0 },
		{ 30, 30 },
		{ 29, 30 },
		{ 15, 30 },
		{ 14, 14 },
		{ 8, 14 },
		{ 7, 7 },
		{ 2, 7 },
		{ 1, 1 },
		{ 0.5, 1 },
		{ 0, -1 },
		{ -5, -1 },
		/* a clock set back takes nothing back */
		{ 20, -1 },
	};
	struct credential *credential = site_credential(generation, 0);
	int64_t end = identity_not_after(credential->identity);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expiry_look(
		    generation, NULL, end - (int64_t)(rows[i].days * DAY));
		cr_expect_eq(credential->days_said, rows[i].expect, "%g days",
		    rows[i].days);
	}
}

Test(expiry, begins_with_the_step_at_hand)
{
	struct credential *credential = site_credential(generation, 0);
	int64_t end = identity_not_after(credential->identity);

	expiry_look(generation, NULL, end - 6 * DAY);
	cr_expect_eq(credential->days_said, 7);
	expiry_look(generation, NULL, end - 12 * DAY);
	cr_expect_eq(credential->days_said, 7, "no step backwards");
}

Test(expiry, knows_the_steps_of_lists)
{
	static const struct {
		int64_t left_s;
		int expect;
	} rows[] = {
		{ 8 * DAY, 0 },
		{ 7 * DAY, 7 },
		{ 1, 7 },
		{ 0, -1 },
		{ -DAY, -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
		    expiry_lists_step(1000000 + rows[i].left_s, 1000000),
		    rows[i].expect, "%lld", (long long)rows[i].left_s);
}
