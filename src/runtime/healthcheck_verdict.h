/*
 * Evaluates the result of a probe by the policy of its site and the time.  Main
 * thread; reads an issuer from store_dir.
 */
#ifndef RUNTIME_HEALTHCHECK_VERDICT_H
#define RUNTIME_HEALTHCHECK_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "staple/cert.h"
#include "tls/probe.h"

struct err;
struct healthcheck_target;

struct healthcheck_judge {
	const struct config *config; /* borrowed */
	struct staple_trust trust;   /* where an issuer is looked for */
	int64_t now_s;
};

/* false: *err is why it is not healthy. */
bool healthcheck_judge(const struct healthcheck_judge *judge,
    const struct healthcheck_target *target, const struct probe_result *result,
    struct err *err) MUST_CHECK;

#endif
