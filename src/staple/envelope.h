/*
 * The outer shell of an OCSP response: its encoding, the responder's status
 * and the basic response inside.  Any thread.
 */
#ifndef STAPLE_ENVELOPE_H
#define STAPLE_ENVELOPE_H

#include <stddef.h>

#include <openssl/ocsp.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;

/*
 * STAPLE_GOOD: *basic is the caller's to free, and der is its only encoding.
 * Else EMPTY, TRUNCATED, MALFORMED, TRAILING_BYTES or one of the responder's
 * own errors, and *said tells it in words; *basic may be set even so.
 */
enum staple_outcome staple_envelope_open(OCSP_BASICRESP **basic,
    const unsigned char *der, size_t len, struct err *said) MUST_CHECK;

#endif
