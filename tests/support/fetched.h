/*
 * One exchange from start to end, and what came of it, kept.  The thread of
 * the fetcher.
 */
#ifndef SUPPORT_FETCHED_H
#define SUPPORT_FETCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "staple/fetch.h"

struct fetched {
	unsigned calls;                    /* of the callback */
	struct staple_fetch_result result; /* body NULL; said: below */
	char said[256];
	char body[1024];       /* its beginning, terminated */
	unsigned long openssl; /* what stood in its error queue meanwhile */
};

/* A fetcher that uses no proxy and takes bodies of 1000 bytes; aborts when it
 * cannot be made.  options: what it was configured with; NULL: of no interest.
 */
struct staple_fetcher *fetched_fetcher(struct staple_fetch_options *options);

/* The callback; arg is a struct fetched. */
void fetched_keep(void *arg, const struct staple_fetch_result *result);

/* Turn until the callback has come that many times; false: it did not within
 * ten seconds. */
bool fetched_until(struct staple_fetcher *fetcher,
    const struct fetched *fetched, unsigned calls);

/* Start one, wait for its end.  Aborts when it cannot start. */
struct fetched fetched_run(
    struct staple_fetcher *fetcher, const struct staple_fetch_order *order);

#endif
