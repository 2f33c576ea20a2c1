/*
 * HTTP requests of the admin endpoint: the head of a request without a body.
 * Pure; any thread.
 */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include <stddef.h>

#include "base/attr.h"

enum {
	REQUEST_HEAD_MAX = 8192, /* bytes, with the empty line */
	REQUEST_PATH_MAX = 64,
	REQUEST_VALUE_MAX = 256
};

enum request_method { REQUEST_GET, REQUEST_POST, REQUEST_OTHER };

struct request {
	enum request_method method;
	char path[REQUEST_PATH_MAX]; /* "/status"; without the query */
	/* The decoded value of certificate= in the query; "": none. */
	char certificate[REQUEST_VALUE_MAX];
};

enum request_result {
	REQUEST_DONE,
	REQUEST_MORE,      /* the head is not complete */
	REQUEST_BAD,       /* 400: not HTTP/1, or not understood */
	REQUEST_TOO_LARGE, /* 431 */
	REQUEST_HAS_BODY   /* 413: Content-Length or Transfer-Encoding */
};

/*
 * Parse the first `len` bytes of a connection.  RFC 9112 sections 2 to 5: a
 * request line and header fields up to an empty line, each ended by CRLF (a
 * single LF is accepted).  Bytes after the head are ignored.  Of the header
 * fields only those that announce a body are read.
 */
enum request_result request_parse(
    const char *bytes, size_t len, struct request *request) MUST_CHECK;

#endif
