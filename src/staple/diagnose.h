/*
 * `clinch staple check` and `fetch`: requests to responders with the fetcher
 * and the checks of the daemon, each exchange reported as it ends.  Not in
 * staple.h.  One thread, blocking.
 */
#ifndef STAPLE_DIAGNOSE_H
#define STAPLE_DIAGNOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/cert.h"
#include "staple/outcome.h"
#include "staple/request_order.h"

struct err;
struct staple_response;
struct staple_settings;

/* Called when the exchange of a variant has ended, after took_ms.  Borrowed for
 * the call. */
typedef void staple_found_fn(void *arg,
    const struct staple_request_variant *variant,
    const struct staple_result *result, uint32_t took_ms);

/*
 * Send the requests: every variant to every URL (all), but no other variant to
 * a URL without a server; else as the daemon does, until the first answer.
 * Returns the newest verified response (the caller's reference) or NULL.
 * result->outcome: GOOD, REVOKED, UNKNOWN, the reason why no request can be
 * made, or the failure of staple_outcome_nearer; result->said: the reason why
 * no request can be made; else it stays as it is.  Saved and served responses
 * are not used.
 */
struct staple_response *staple_diagnose(const struct staple_cert *cert,
    const struct staple_settings *settings, bool all, staple_found_fn *found,
    void *arg, struct staple_result *result) MUST_CHECK;

/*
 * Fetch the issuer from cert->issuer_urls, as the daemon does.  Returns the
 * facts with it (the caller's reference); *url is the URL, borrowed from cert.
 * NULL: *err lists each URL and its failure.
 */
struct staple_cert *staple_diagnose_issuer(const struct staple_cert *cert,
    const struct staple_settings *settings, const char **url,
    struct err *err) MUST_CHECK;

#endif
