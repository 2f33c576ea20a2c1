/*
 * What bytes are worth: a verified response that may take the place of what
 * is held, or the outcome that says why not.  The staple thread, the store,
 * staple_file and the diagnosis all ask here, so that all decide alike.  Any
 * thread; no state.
 */
#ifndef STAPLE_JUDGE_H
#define STAPLE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/response.h"
#include "staple/staple.h"

struct staple_cert;
struct staple_fetch_result;

/* What is judged, and against what; all borrowed. */
struct staple_matter {
	const struct staple_cert *cert;
	const struct staple_response *held; /* NULL: nothing */
	const unsigned char *der;
	size_t len;
	struct staple_clock clock;
};

/*
 * GOOD, UNCHANGED (the very bytes that are held) or REVOKED with a response,
 * the caller's reference; or NULL with UNKNOWN or a failure, OLDER among
 * them.  verdict->said is never empty.
 */
struct staple_response *staple_judge(const struct staple_matter *matter,
    struct staple_verdict *verdict) MUST_CHECK;

/* The same for what an exchange has brought: matter->der and len are taken
 * from it. */
struct staple_response *staple_judge_exchange(
    const struct staple_fetch_result *result,
    const struct staple_matter *matter,
    struct staple_verdict *verdict) MUST_CHECK;

/*
 * Of two ways in which tries of one attempt failed, the one that tells more:
 * "unknown" before a response that must not be used, before a responder's
 * error, before an answer that is none, before no answer at all.  UNASKED
 * tells nothing.
 */
enum staple_outcome staple_judge_nearer(
    enum staple_outcome a, enum staple_outcome b);

#endif
