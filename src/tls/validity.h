/*
 * How near the end of a validity period is, as a warning level that follows
 * the length of the period.  Pure; any thread.
 */
#ifndef TLS_VALIDITY_H
#define TLS_VALIDITY_H

#include <stdint.h>

/* In the order in which they are reached. */
enum validity_warning {
	VALIDITY_FINE,
	VALIDITY_THIRD,     /* a third of the period is left */
	VALIDITY_SIXTH,     /* a sixth */
	VALIDITY_THIRTIETH, /* a thirtieth */
	VALIDITY_ENDED
};

/*
 * The level at now_s of what is valid from from_s to end_s (exclusive; epoch
 * seconds).  A period counts as 90 days at most, so that no warning comes
 * more than 30 days ahead.  end_s INT64_MAX: no end.
 */
enum validity_warning validity_warning(
    int64_t from_s, int64_t end_s, int64_t now_s);

#endif
