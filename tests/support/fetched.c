/*
 * Runs exchanges for tests.  The thread of the fetcher.
 */
#include "tests/support/fetched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/err.h"

enum { PATIENCE_MS = 10 * 1000 };

struct staple_fetcher *
fetched_fetcher(struct staple_fetch_options *options)
{
	static const struct staple_fetch_options usual = {
		.proxy = "",
		.max_response = 1000,
	};
	struct err err = { .text = "" };
	struct staple_fetcher *fetcher = staple_fetcher_new(&err);

	if (fetcher == NULL) {
		fprintf(stderr, "fetched: %s\n", err.text);
		abort();
	}
	staple_fetcher_configure(fetcher, &usual);
	if (options != NULL)
		*options = usual;
	return fetcher;
}

void
fetched_keep(void *arg, const struct staple_fetch_result *result)
{
	struct fetched *fetched = arg;
	size_t max = sizeof(fetched->body) - 1;

	fetched->calls++;
	fetched->openssl = ERR_peek_error();
	fetched->result = *result;
	fetched->result.body = NULL;
	fetched->result.said = NULL;
	snprintf(fetched->said, sizeof(fetched->said), "%s", result->said);
	memset(fetched->body, 0, sizeof(fetched->body));
	if (result->len > 0)
		memcpy(fetched->body, result->body,
		    result->len < max ? result->len : max);
}

bool
fetched_until(struct staple_fetcher *fetcher, const struct fetched *fetched,
    unsigned calls)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (fetched->calls < calls && clock_mono_ms() < end_ms)
		staple_fetcher_turn(fetcher, 1000);
	return fetched->calls >= calls;
}

struct fetched
fetched_run(
    struct staple_fetcher *fetcher, const struct staple_fetch_order *order)
{
	struct fetched fetched = { 0 };
	struct staple_fetch *fetch = staple_fetch_start(
	    fetcher, order, fetched_keep, &fetched);

	if (fetch == NULL || !fetched_until(fetcher, &fetched, 1)) {
		fprintf(stderr, "fetched: %s did not end\n", order->url);
		abort();
	}
	return fetched;
}
