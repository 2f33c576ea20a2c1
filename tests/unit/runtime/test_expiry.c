/*
 * A certificate gives one warning at each level of its validity.
 */
#include "runtime/expiry.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/cert_slot.h"
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

Test(expiry, logs_each_level_once_as_time_passes)
{
	static const struct {
		double days;
		enum validity_warning expect; /* the last level logged */
	} rows[] = {
		{ 31, VALIDITY_FINE },
		{ 30, VALIDITY_THIRD },
		{ 16, VALIDITY_THIRD },
		{ 15, VALIDITY_SIXTH },
		{ 4, VALIDITY_SIXTH },
		{ 3, VALIDITY_THIRTIETH },
		{ 0.5, VALIDITY_THIRTIETH },
		{ 0, VALIDITY_ENDED },
		{ -5, VALIDITY_ENDED },
		/* a clock that is set back repeats no level */
		{ 20, VALIDITY_ENDED },
	};
	struct cert_slot *slot = site_slot(generation, 0);
	int64_t end = identity_not_after(slot->identity);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expiry_look(
		    generation, NULL, end - (int64_t)(rows[i].days * DAY));
		cr_expect_eq(
		    slot->warned, rows[i].expect, "%g days", rows[i].days);
	}
}

Test(expiry, begins_with_the_present_level)
{
	struct cert_slot *slot = site_slot(generation, 0);
	int64_t end = identity_not_after(slot->identity);

	expiry_look(generation, NULL, end - 6 * DAY);
	cr_expect_eq(slot->warned, VALIDITY_SIXTH);
	expiry_look(generation, NULL, end - 20 * DAY);
	cr_expect_eq(slot->warned, VALIDITY_SIXTH, "no step backwards");
}
