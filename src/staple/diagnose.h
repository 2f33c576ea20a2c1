/*
 * `clinch staple check` and `fetch`: responders asked with the daemon's own
 * fetcher and verifier, each try told as it ends.  Not part of the public
 * face.  One thread, blocking.
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

/* One try that has ended.  Borrowed for the call. */
struct staple_finding {
	struct staple_request_variant asked;
	enum staple_outcome outcome;
	uint32_t took_ms;
	const char *said; /* in words: who signed, HTTP 503, ...; escaped */
};
typedef void staple_finding_fn(void *arg, const struct staple_finding *found);

/* All borrowed for the call. */
struct staple_question {
	const struct staple_cert *cert;
	const struct staple_settings *settings;
	/* Ask every URL in every way, but for a URL where nobody listens; else
	 * as the daemon does, to the first answer. */
	bool all;
	staple_finding_fn *found;
	void *arg;
};

/*
 * Ask.  Returns the newest verified response (the caller's reference) or
 * NULL.  *outcome: the verdict: GOOD, REVOKED, UNKNOWN, why nobody can be
 * asked, or the failure that tells most.  Nothing that was saved or is served
 * is looked at.
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

/* Did so little come of it that the other method or hash can say no more? */
bool staple_diagnose_is_dead(enum staple_outcome outcome);

#endif
