/*
 * What a responder sends, taken in line by line and never more than we want:
 * 16 KiB of headers, `max` bytes of body, and no body at all unless the status
 * is 200.  A plain value that fetch.c fills in; no libcurl, no clock.
 * Staple thread only.
 */
#ifndef STAPLE_ANSWER_H
#define STAPLE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/ending.h"

#define STAPLE_HEADERS_MAX ((size_t)16 * 1024)

struct staple_answer {
	size_t max; /* fixed at creation */

	bool headed; /* all headers are there */
	size_t header_bytes;
	enum staple_trouble trouble; /* why no more is taken */

	/* what the headers say, as http.h puts it */
	bool right_type;
	int64_t retry_after_s;
	int64_t max_age_s;
	int64_t age_s;
	int64_t expires_s;
	char *location; /* owned; NULL: none */

	unsigned char *body; /* owned; NULL: none yet */
	size_t len;
	int64_t heard_ms; /* when its last bytes came; 0: none did */
};

void staple_answer_init(struct staple_answer *answer, size_t max);
void staple_answer_fini(struct staple_answer *answer); /* zeroed: fine */

/* One line as it came, the status line and the empty one included; status: of
 * the block it belongs to.  false: nothing more is wanted. */
bool staple_answer_header(struct staple_answer *answer, int status,
    const char *line, size_t len, int64_t now_s) MUST_CHECK;

/* Bytes of the body.  false: nothing more is wanted. */
bool staple_answer_body(struct staple_answer *answer, const char *bytes,
    size_t len, int64_t mono_ms) MUST_CHECK;

/* RFC 9111 4.2: seconds it is fresh for; -1: not said. */
int64_t staple_answer_freshness(const struct staple_answer *answer);

#endif
