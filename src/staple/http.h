/*
 * The few HTTP header values that matter to us (RFC 9110, 9111).  Pure: bytes
 * in, numbers out; hostile bytes give "not said".
 */
#ifndef STAPLE_HTTP_H
#define STAPLE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Retry-After: seconds, or a date seen from `now_s`.  0: not said, past or
 * nonsense; at most a day. */
int64_t staple_http_retry_after(const char *value, size_t len, int64_t now_s);

/* Cache-Control: max-age in seconds (no-cache and no-store: 0); -1: not
 * said. */
int64_t staple_http_max_age(const char *value, size_t len);

/* Age in seconds; 0: not said. */
int64_t staple_http_age(const char *value, size_t len);

/* Expires as seconds from now, 0 when past; -1: nonsense. */
int64_t staple_http_expires(const char *value, size_t len, int64_t now_s);

/* Is it application/ocsp-response, parameters and case aside? */
bool staple_http_is_ocsp(const char *value, size_t len);

#endif
