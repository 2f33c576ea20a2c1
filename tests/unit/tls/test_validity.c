/*
 * The warning levels follow the length of the validity period.
 */
#include "tls/validity.h"

#include <criterion/criterion.h>

#include "base/attr.h"

#define DAY 86400.0
#define FROM 1800000000

static const struct {
	const char *what;
	double period, left; /* days */
	enum validity_warning expect;
} rows[] = {
	{ "a 6-day certificate, new", 6, 6, VALIDITY_FINE },
	{ "6 days, over a third", 6, 2.01, VALIDITY_FINE },
	{ "6 days, a third", 6, 2, VALIDITY_THIRD },
	{ "6 days, a sixth", 6, 1, VALIDITY_SIXTH },
	{ "6 days, a thirtieth", 6, 0.2, VALIDITY_THIRTIETH },
	{ "6 days, ended", 6, 0, VALIDITY_ENDED },
	{ "90 days, over a third", 90, 30.01, VALIDITY_FINE },
	{ "90 days, a third", 90, 30, VALIDITY_THIRD },
	{ "90 days, a sixth", 90, 15, VALIDITY_SIXTH },
	{ "a year: at most 30 days ahead", 365, 30.01, VALIDITY_FINE },
	{ "a year", 365, 30, VALIDITY_THIRD },
	{ "a year, 15 days", 365, 15, VALIDITY_SIXTH },
	{ "a year, 3 days", 365, 3, VALIDITY_THIRTIETH },
	{ "a daily list, new", 1, 1, VALIDITY_FINE },
	{ "a daily list, 8 hours", 1, 1 / 3.0, VALIDITY_THIRD },
	{ "long past", 1, -100, VALIDITY_ENDED },
};

Test(validity, warns_by_the_fraction_that_is_left)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t end = FROM + (int64_t)(rows[i].period * DAY);
		int64_t now = end - (int64_t)(rows[i].left * DAY);

		cr_expect_eq(validity_warning(FROM, end, now), rows[i].expect,
		    "%s", rows[i].what);
	}
}

Test(validity, overflows_on_no_date)
{
	cr_expect_eq(validity_warning(0, INT64_MAX, FROM), VALIDITY_FINE);
	cr_expect_eq(validity_warning(FROM, 0, FROM), VALIDITY_ENDED);
	cr_expect_eq(
	    validity_warning(FROM + 100, FROM + 50, FROM), VALIDITY_FINE);
}
