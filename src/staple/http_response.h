/*
 * What a server sends, read line by line and within bounds: 16 KiB of headers,
 * `max` bytes of body, and no body at all unless the status is 200.  A plain
 * value that http_client.c fills in; no libcurl, no clock.  Staple thread only.
 *
 * The functions on header values (RFC 9110, 9111) are pure: bytes in, numbers
 * out; a value that does not match its grammar counts as absent.
 */
#ifndef STAPLE_HTTP_RESPONSE_H
#define STAPLE_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/fetch.h"

#define STAPLE_HEADERS_MAX ((size_t)16 * 1024)

struct staple_http_response {
	size_t max; /* fixed at creation */

	bool headed; /* all headers are there */
	size_t header_bytes;
	enum staple_transfer_error error; /* why no more is taken */

	/* header values, see the functions below */
	bool right_type;
	int64_t retry_after_s;
	int64_t max_age_s;
	int64_t age_s;
	int64_t expires_s;
	char *location; /* owned; NULL: none */

	unsigned char *body; /* owned; NULL: none yet */
	size_t len;
	int64_t last_byte_ms; /* when its last bytes came; 0: none did */
};

void staple_http_response_init(
    struct staple_http_response *response, size_t max);
void staple_http_response_fini(
    struct staple_http_response *response); /* zeroed: fine */

/* One line as it came, the status line and the empty one included; status: of
 * the block it belongs to.  false: end the transfer. */
bool staple_http_response_header(struct staple_http_response *response,
    int status, const char *line, size_t len, int64_t now_s) MUST_CHECK;

/* Bytes of the body.  false: end the transfer. */
bool staple_http_response_body(struct staple_http_response *response,
    const char *bytes, size_t len, int64_t mono_ms) MUST_CHECK;

/* RFC 9111 4.2: seconds it is fresh for; -1: none. */
int64_t staple_http_response_freshness(
    const struct staple_http_response *response);

/* Retry-After: seconds, or a date relative to `now_s`.  0: none, past or
 * invalid; at most a day. */
int64_t staple_http_retry_after(const char *value, size_t len, int64_t now_s);

/* Cache-Control: max-age in seconds (no-cache and no-store: 0); -1:
 * none. */
int64_t staple_http_max_age(const char *value, size_t len);

/* Age in seconds; 0: none. */
int64_t staple_http_age(const char *value, size_t len);

/* Expires as seconds from now, 0 when past; -1: invalid. */
int64_t staple_http_expires(const char *value, size_t len, int64_t now_s);

/* Is it application/ocsp-response, parameters and case aside? */
bool staple_http_is_ocsp(const char *value, size_t len);

#endif
