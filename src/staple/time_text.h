/*
 * Times as certificates and OCSP encode them, times as text, and untrusted
 * bytes as text that is safe to print.  Pure, no clock; any thread.
 */
#ifndef STAPLE_TIME_TEXT_H
#define STAPLE_TIME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/asn1.h>

#include "base/attr.h"

/* Seconds since the epoch; false: NULL, or no time at all. */
bool staple_time_read(const ASN1_TIME *time, int64_t *seconds) MUST_CHECK;

/* The same for OCSP, whose only form is YYYYMMDDHHMMSSZ (RFC 6960 4.2.2.1,
 * RFC 5280 4.1.2.5.2): no fraction, no offset, nothing left out. */
bool staple_time_read_exact(
    const ASN1_GENERALIZEDTIME *time, int64_t *seconds) MUST_CHECK;

/* By value, so that a sentence can hold several. */
struct staple_time_text {
	char text[32];
};

/* "2026-11-22 18:17:22 UTC"; "?" outside the range of a calendar. */
struct staple_time_text staple_time_date(int64_t seconds);

/* The two largest units: "2 days 3 h", "1 h 0 min", "5 min 1 s", "7 s".
 * Backwards is the same as forwards. */
struct staple_time_text staple_time_span(int64_t seconds);

/* Printable ASCII as it is, the backslash and all else as "\x1b".  Always
 * terminated; what does not fit is cut, never inside an escape. */
void staple_text_escape(char *out, size_t max, const char *text, size_t len);

/* Lower-case hex, two digits a byte, terminated; cut likewise. */
void staple_text_hex(
    char *out, size_t max, const unsigned char *bytes, size_t len);

#endif
