/*
 * Is a server healthy, by the result of one handshake, the policy of the site
 * and the time?  Main thread; reads an issuer from store_dir.
 */
#ifndef RUNTIME_HEALTHCHECK_RESULT_H
#define RUNTIME_HEALTHCHECK_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "staple/cert.h"
#include "tls/probe.h"

struct err;
struct healthcheck_target;

/* What every handshake is evaluated by. */
struct healthcheck_eval {
	const struct config *config; /* borrowed */
	struct staple_trust trust;   /* searched for an issuer */
	int64_t now_s;
};

/* target: the planned handshake.  false: unhealthy, and *err is the reason. */
bool healthcheck_evaluate(const struct healthcheck_eval *eval,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err) MUST_CHECK;

#endif
