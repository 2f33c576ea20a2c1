/*
 * Points in time: read as certificates and OCSP write them, written as people
 * read them.  Pure, no clock; any thread.
 */
#ifndef STAPLE_WHEN_H
#define STAPLE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/asn1.h>

#include "base/attr.h"

/* Seconds since the epoch; false: NULL, or no time at all. */
bool staple_when_read(const ASN1_TIME *time, int64_t *seconds) MUST_CHECK;

/* The same for OCSP, whose only form is YYYYMMDDHHMMSSZ (RFC 6960 4.2.2.1,
 * RFC 5280 4.1.2.5.2): no fraction, no offset, nothing left out. */
bool staple_when_read_exact(
    const ASN1_GENERALIZEDTIME *time, int64_t *seconds) MUST_CHECK;

/* By value, so that a sentence can hold several. */
struct staple_when {
	char text[32];
};

/* "2026-11-22 18:17:22 UTC"; "?" beyond what a calendar can say. */
struct staple_when staple_when_date(int64_t seconds);

/* The two largest units: "2 days 3 h", "1 h 0 min", "5 min 1 s", "7 s".
 * Backwards is the same as forwards. */
struct staple_when staple_when_span(int64_t seconds);

#endif
