/*
 * The matrix of clinch(8): what one certificate's staple means for the
 * process at a start, while running and on a reload.  Pure: a snapshot and a
 * policy in, a verdict out; tested as the table it is.  Any thread.
 */
#ifndef RUNTIME_VERDICT_H
#define RUNTIME_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "staple/staple.h"

enum verdict_phase { PHASE_START, PHASE_RUNNING, PHASE_RELOAD };

enum verdict {
	VERDICT_FINE,       /* nothing stands in the way */
	VERDICT_WAIT,       /* not answered, not failed, or not confirmed yet */
	VERDICT_DEGRADED,   /* go on without a staple; the log says so */
	VERDICT_REVOKED_ON, /* revoked, and by policy the process goes on */
	VERDICT_FAILED,     /* start: exit 1; reload: refused */
	VERDICT_REVOKED     /* start and running: exit 3; reload: refused */
};

/* Does this policy ask for a staple of this certificate? */
bool verdict_wants(
    const struct staple_policy *policy, const struct staple_info *info);

/* By this policy, does failing end a start? */
bool verdict_is_fatal(const struct staple_policy *policy);

/* Does a verified response say anything valid at this time? */
bool verdict_holds(const struct staple_info *info, int64_t now_s);

/* patience_over: a start and a reload wait no more for this certificate
 * (judge.h). */
enum verdict verdict_of(const struct staple_policy *policy,
    const struct staple_info *info, enum verdict_phase phase, int64_t now_s,
    bool patience_over);

/* The certificate that would be replaced. */
struct verdict_served {
	const struct staple_info *info;
	int64_t ends_s; /* its notAfter */
};

/* A served certificate that ends within an hour: its renewal goes into service
 * whether it has a staple or not.  ends_s: its notAfter. */
bool verdict_gives_way(int64_t ends_s, int64_t now_s);

/*
 * Renewal: must this certificate, read from the files just now, wait for its
 * first staple while the old one serves?  At most until an hour before the
 * end of the old one, and not for one that is revoked.  One that no responder
 * can answer for waits as well where failing is fatal.
 */
bool verdict_keeps_out(const struct staple_policy *policy,
    const struct staple_info *renewed, const struct verdict_served *served,
    int64_t now_s);

#endif
