/*
 * One try of an attempt, made into an exchange: which URL, with which of the
 * certificate's requests.  The staple thread, or whoever diagnoses.
 */
#ifndef STAPLE_TRY_H
#define STAPLE_TRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/attempt.h"
#include "staple/fetch.h"

struct staple_cert;

/* Who makes it, for how long at most, and who is called back. */
struct staple_try_by {
	struct staple_fetcher *fetcher;
	uint32_t timeout_ms;
	bool no_cache; /* with Cache-Control: no-cache */
	staple_fetch_fn *done;
	void *arg;
};

/*
 * How long the next try of an attempt may take, of whose deadline so much is
 * left: at most a third of it all, so that one that hangs leaves time for
 * another URL.  0: what is left is not worth a try.
 */
uint32_t staple_try_time(uint32_t timeout_ms, uint32_t left_ms);

/* cert must live until the exchange has ended.  NULL: as
 * staple_fetch_start. */
struct staple_fetch *staple_try_start(const struct staple_cert *cert,
    const struct staple_try *trying, const struct staple_try_by *by) MUST_CHECK;

#endif
