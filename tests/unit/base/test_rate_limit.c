/* Which log lines are suppressed, and what is reported of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rate_limit.h"

static const struct rate_limit_rule rule = { .lines = 2, .window_ms = 1000 };
static char file[] = "/tmp/clinch-rate-XXXXXX";
static struct rate_limit limit;
static struct log *written;

static void
set_up(void)
{
	const struct log_options options = {
		.level = LEVEL_INFO, .output = file, .access = "off"
	};

	close(mkstemp(file));
	written = log_new();
	cr_assert_not_null(written);
	cr_assert(log_configure(written, &options, NULL));
}

static void
tear_down(void)
{
	log_free(written);
	unlink(file);
}

TestSuite(rate_limit, .init = set_up, .fini = tear_down);

static unsigned
passed(unsigned tries, const char *listener, const char *reason, int64_t now_ms)
{
	unsigned count = 0;

	while (tries-- > 0)
		count += rate_limit_may(
		    &limit, &rule, LEVEL_NOTICE, listener, reason, now_ms);
	return count;
}

/* How many lines of the log contain `text`? */
static unsigned
reported(const char *text)
{
	char line[512];
	unsigned count = 0;
	FILE *in = fopen(file, "r");

	while (fgets(line, sizeof(line), in) != NULL)
		count += strstr(line, text) != NULL;
	fclose(in);
	return count;
}

Test(rate_limit, counts_each_listener_and_reason_by_itself)
{
	cr_expect_eq(passed(100, "web", "not_tls", 0), 2);
	cr_expect_eq(passed(1, "web", "backend_refused", 0), 1);
	cr_expect_eq(passed(1, "mail", "not_tls", 0), 1);
	cr_expect_eq(passed(3, "web", "not_tls", 1000), 2, "a new window");
}

Test(rate_limit, reports_reason_and_count_once_the_window_is_over)
{
	cr_expect_eq(passed(9, "web", "not_tls", 0), 2);
	cr_expect_eq(passed(1, "web", "denied", 0), 1);
	cr_expect(rate_limit_report(&limit, written, 999), "it is not over");
	cr_expect_eq(reported("suppressed"), 0);
	cr_expect_not(rate_limit_report(&limit, written, 1000));
	cr_expect_eq(reported("listener=web reason=not_tls lines=7"), 1);
	cr_expect_eq(reported("suppressed"), 1);
	cr_expect_not(rate_limit_report(&limit, written, 9000));
	cr_expect_eq(reported("suppressed"), 1);
}

/* A flood opens the next window before the timer of the report comes. */
Test(rate_limit, reports_during_a_flood)
{
	cr_expect_eq(passed(9, "web", "not_tls", 0), 2);
	cr_expect_eq(passed(9, "web", "not_tls", 1001), 2);
	cr_expect_not(rate_limit_report(&limit, written, 1002));
	cr_expect_eq(reported("reason=not_tls lines=14"), 1);
}

Test(rate_limit, reports_at_the_level_of_what_it_suppressed)
{
	cr_expect_eq(passed(3, "web", "not_tls", 0), 2);
	cr_expect_not(rate_limit_report(&limit, written, 1000));
	cr_expect_eq(reported("notice conn similar lines suppressed"), 1);
}

Test(rate_limit, takes_bounded_memory)
{
	char name[32];
	unsigned count = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "listener%u", i);
		count += passed(3, name, "not_tls", 0);
	}
	cr_expect_eq(limit.count, RATE_LIMIT_ENTRIES);
	cr_expect_eq(count, 2 * RATE_LIMIT_ENTRIES);
	cr_expect_not(rate_limit_report(&limit, written, 1000));
	cr_expect_eq(reported("listener=- reason=- "), 1);
	cr_expect_eq(passed(1, "listener999", "not_tls", 1000), 1,
	    "there is room again");
}
