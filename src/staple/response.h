/*
 * A verified OCSP response.  staple_response_verify is the only constructor:
 * nothing that this file has not verified can reach a client, whether it came
 * from the network, from disk or from another tool.  Immutable, counted; any
 * thread.  Only good and revoked are ever held: unknown is an outcome.
 *
 * staple_response_check also compares with the response that is held.  The
 * staple thread, the store, staple_file and the diagnosis all call it, so that
 * all decide alike.
 */
#ifndef STAPLE_RESPONSE_H
#define STAPLE_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/outcome.h"
#include "staple/staple.h"

struct staple_cert;
struct staple_fetch_result;
struct staple_response;

#define STAPLE_SKEW_S 300 /* a responder's clock may be ahead by this */

/* The largest response that is stapled.  OpenSSL's clients refuse more than
 * 16,380 bytes in TLS 1.2. */
#define STAPLE_RESPONSE_MAX 16000

struct staple_clock {
	int64_t now_s;              /* wall time */
	int64_t default_lifetime_s; /* for a response without nextUpdate */
};

/*
 * In this order, first failure wins: encoding with nothing left over,
 * responder status (RFC 6960 4.2.1), the certificate id (either hash), the
 * signature and the signer's right to sign (4.2.2.2), the time window (4.2.2.1,
 * 3.2), the certificate status, the length without needless certificates.
 * *checked is always filled in: the outcome is GOOD or REVOKED for a response,
 * anything else for NULL.  Blocks on nothing but the CPU; linear in len.
 *
 * The response is encoded anew with the signer's certificate alone, or with
 * none if the issuer signed: `certs` is not signed, and can be added to on the
 * way.  The signed bytes stay as they are.
 */
struct staple_response *staple_response_verify(const struct staple_cert *cert,
    const unsigned char *der, size_t len, const struct staple_clock *clock,
    struct staple_result *checked) MUST_CHECK;

struct staple_response *staple_response_ref(struct staple_response *response);
void staple_response_unref(struct staple_response *response); /* NULL ok */

const unsigned char *staple_response_der(
    const struct staple_response *response, size_t *len); /* borrowed */
bool staple_response_is_revoked(const struct staple_response *response);
int64_t staple_response_this_update(const struct staple_response *response);
int64_t staple_response_next_update(
    const struct staple_response *response); /* 0: none */
/* min(nextUpdate, notAfter of the delegate that signed); without nextUpdate
 * thisUpdate plus the default lifetime.  Exclusive: at this second it is not
 * sent any more. */
int64_t staple_response_expires(const struct staple_response *response);
const char *staple_response_signer(
    const struct staple_response *response); /* printable name; borrowed */

/* Its first entry is about the certificate.  Clients with GnuTLS use no other
 * one. */
bool staple_response_leads(const struct staple_response *response);
/* Bits of the signer's RSA key below 2048; 0: not below. */
int staple_response_weak_bits(const struct staple_response *response);

/* thisUpdate is later than now, by more than the skew: the clock was set back
 * since it was verified. */
bool staple_response_is_ahead(
    const struct staple_response *response, int64_t now_s);
/* Neither ahead nor expired. */
bool staple_response_is_current(
    const struct staple_response *response, int64_t now_s);

/* The very same bytes? */
bool staple_response_same(
    const struct staple_response *a, const struct staple_response *b);

/*
 * May `fresh` take the place of `held` (NULL: nothing)?  Not when it is older,
 * unless `held` is ahead of the clock.  A good response that replaces a revoked
 * one must be newer in any case (RFC 5280 5.3.1 certificateHold).
 */
bool staple_response_may_replace(const struct staple_response *held,
    const struct staple_response *fresh, int64_t now_s);

/*
 * Verify, then compare with the held response (NULL: none).
 * GOOD, UNCHANGED (the very bytes that are held) or REVOKED with a response,
 * the caller's reference; or NULL with UNKNOWN or a failure, OLDER among
 * them.  checked->said is never empty.
 */
struct staple_response *staple_response_check(const struct staple_cert *cert,
    const struct staple_response *held, const unsigned char *der, size_t len,
    const struct staple_clock *clock, struct staple_result *checked) MUST_CHECK;

/* The same for what an exchange ended with. */
struct staple_response *staple_response_check_fetched(
    const struct staple_cert *cert, const struct staple_response *held,
    const struct staple_fetch_result *fetched, const struct staple_clock *clock,
    struct staple_result *checked) MUST_CHECK;

#endif
