/*
 * What a response says about one certificate: the single response about it,
 * and whether its time has come or gone.  Who signed it is not asked here.
 * Any thread.
 */
#ifndef STAPLE_SINGLE_H
#define STAPLE_SINGLE_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ocsp.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;
struct staple_cert;
struct staple_clock;

/* Times are seconds since the epoch. */
struct staple_single {
	int status; /* V_OCSP_CERTSTATUS_... */
	int reason; /* OCSP_REVOKED_STATUS_... */
	int64_t this_update;
	int64_t next_update; /* 0: none */
	int64_t revoked_at;  /* 0: good */
	bool never_issued;   /* the reason why status is unknown */
	bool leads;          /* it is the first entry of the response */
	bool contradicted;   /* by another entry about this certificate */
};

/*
 * Find the single response about this certificate, by either hash.  The first
 * counts, as it does for clients; whether a later one differs in status is
 * noted.  The times of all entries must be in DER.  STAPLE_GOOD,
 * WRONG_CERTIFICATE, MALFORMED, or NO_ISSUER if that is not known.
 */
enum staple_outcome staple_single_find(struct staple_single *single,
    OCSP_BASICRESP *basic, const struct staple_cert *cert,
    struct err *said) MUST_CHECK;

/*
 * Is it valid now, and until when (exclusive)?  signer_not_after bounds it
 * too.  STAPLE_GOOD, MALFORMED, NOT_YET_VALID or EXPIRED.
 */
enum staple_outcome staple_single_window(const struct staple_single *single,
    int64_t signer_not_after, const struct staple_clock *clock,
    int64_t *expires, struct err *said) MUST_CHECK;

/* STAPLE_GOOD, REVOKED, UNKNOWN or CONTRADICTORY, and what all but the first
 * mean in words. */
enum staple_outcome staple_single_status(
    const struct staple_single *single, struct err *said) MUST_CHECK;

#endif
