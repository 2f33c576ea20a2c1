/*
 * The dates of certificates and CRLs as seconds since the epoch.  Pure; any
 * thread.
 */
#ifndef TLS_ASN1_TIME_H
#define TLS_ASN1_TIME_H

#include <stdint.h>
#include <time.h>

#include <openssl/asn1.h>

/* 0, long ago: not a valid date. */
static inline int64_t
asn1_time_seconds(const ASN1_TIME *date)
{
	struct tm tm;

	return ASN1_TIME_to_tm(date, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

#endif
