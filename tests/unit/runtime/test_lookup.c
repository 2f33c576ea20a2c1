/*
 * Look-ups on helper threads.  Only addresses are looked up, which getaddrinfo
 * answers without asking anyone.
 */
#include "runtime/lookup.h"

#include <criterion/criterion.h>
#include <poll.h>

#include "base/err.h"

#define PATIENCE_MS 10000

static bool
wait_for_answer(struct lookups *lookups, struct lookup_answer *answer)
{
	struct pollfd watched = { .fd = lookups_fd(lookups), .events = POLLIN };

	while (!lookups_take(lookups, answer))
		if (poll(&watched, 1, PATIENCE_MS) != 1)
			return false;
	return true;
}

Test(lookup, answers_here_and_now)
{
	static const struct {
		const char *given, *expect; /* NULL: fails */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "not a name", NULL },
	};
	struct lookup_answer answer;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lookup_now(rows[i].given, &answer);
		cr_expect_eq(answer.count, rows[i].expect ? 1u : 0u, "%s",
		    rows[i].given);
		if (answer.count > 0)
			cr_expect_str_eq(addr_print_host(&answer.addresses[0],
					     text, sizeof(text)),
			    rows[i].expect);
		else
			cr_expect_neq(answer.why[0], '\0', "%s", rows[i].given);
		lookup_answer_fini(&answer);
	}
}

Test(lookup, posts_each_answer_once_under_its_id)
{
	struct lookups *lookups = lookups_new(NULL);
	struct lookup_answer answer;
	unsigned seen = 0;

	cr_assert_not_null(lookups);
	cr_assert(lookups_start(lookups, "192.0.2.1", 1, NULL));
	cr_assert(lookups_start(lookups, "192.0.2.2", 2, NULL));
	for (int i = 0; i < 2; i++) {
		cr_assert(wait_for_answer(lookups, &answer));
		cr_expect_eq(answer.count, 1u);
		seen |= 1u << answer.id;
		lookup_answer_fini(&answer);
	}
	cr_expect_eq(seen, 1u << 1 | 1u << 2);
	cr_expect_not(lookups_take(lookups, &answer));
	lookups_free(lookups);
}

Test(lookup, may_be_given_up_while_threads_run)
{
	struct lookups *lookups = lookups_new(NULL);

	cr_assert_not_null(lookups);
	for (uint64_t id = 1; id <= 4; id++)
		cr_assert(lookups_start(lookups, "192.0.2.1", id, NULL));
	lookups_free(lookups);
}
