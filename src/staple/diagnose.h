/*
 * `clinch staple check` and `fetch`: every URL, both methods, both hashes
 * asked with the daemon's own fetcher and verifier, each try reported as it
 * ends.  Not part of the public face.  One thread, blocking.
 */
#ifndef STAPLE_DIAGNOSE_H
#define STAPLE_DIAGNOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/attempt.h"
#include "staple/cert.h"
#include "staple/staple.h"

struct err;
struct staple_response;
struct staple_settings;

/* One try that has ended.  Borrowed for the call. */
struct staple_finding {
	const char *url;
	struct staple_try asked;
	enum staple_outcome outcome;
	int http_status;
	uint32_t took_ms;
	const char *said;                       /* in words */
	const struct staple_response *response; /* NULL: none verified */
};
typedef void staple_finding_fn(void *arg, const struct staple_finding *found);

/*
 * Ask.  `all`: go on after a success, to show every URL and method; else stop
 * at the first good or revoked answer, as the daemon does.  Returns the newest
 * verified response (the caller's reference) or NULL; *outcome: the verdict
 * (GOOD, REVOKED, UNKNOWN, or the failure nearest to an answer).
 */
struct staple_response *staple_diagnose(const struct staple_cert *cert,
    const struct staple_settings *settings, bool all, staple_finding_fn *found,
    void *arg, enum staple_outcome *outcome, struct err *err) MUST_CHECK;

#endif
