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
#include "staple/request_order.h"
#include "staple/staple.h"

struct err;
struct staple_response;
struct staple_settings;

/* One exchange that has ended.  Borrowed for the call. */
struct staple_finding {
	struct staple_request_variant asked;
	enum staple_outcome outcome;
	uint32_t took_ms;
	const char *said; /* text: the signer, HTTP 503, ...; escaped */
};
typedef void staple_finding_fn(void *arg, const struct staple_finding *found);

/* All borrowed for the call. */
struct staple_question {
	const struct staple_cert *cert;
	const struct staple_settings *settings;
	/* Send every variant to every URL, but not to a URL without a server;
	 * else as the daemon does, until the first answer. */
	bool all;
	staple_finding_fn *found;
	void *arg;
};

/*
 * Send the requests.  Returns the newest verified response (the caller's
 * reference) or NULL.  *outcome: GOOD, REVOKED, UNKNOWN, the reason why no
 * request can be made, or the failure of staple_outcome_nearer.  Saved and
 * served responses are not used.
 */
struct staple_response *staple_diagnose(const struct staple_question *question,
    enum staple_outcome *outcome, struct err *err) MUST_CHECK;

/*
 * Fetch the issuer from cert->issuer_urls, as the daemon does.  Returns the
 * facts with it (the caller's reference); *url is the URL, borrowed from cert.
 * NULL: *err lists each URL and its failure.
 */
struct staple_cert *staple_diagnose_issuer(const struct staple_cert *cert,
    const struct staple_settings *settings, const char **url,
    struct err *err) MUST_CHECK;

#endif
