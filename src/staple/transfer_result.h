/*
 * How a transfer ended, in plain values, and the outcome and the text that
 * follow from them.  Without libcurl and without a clock.  Pure; any thread.
 */
#ifndef STAPLE_TRANSFER_RESULT_H
#define STAPLE_TRANSFER_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "staple/staple.h"

#define STAPLE_SAID_MAX 256

/* The last phase that was reached. */
enum staple_transfer_phase {
	STAPLE_AT_NAME,
	STAPLE_AT_CONNECT,
	STAPLE_AT_TLS,
	STAPLE_AT_HEADERS,
	STAPLE_AT_BODY
};

/* What stopped it. */
enum staple_transfer_error {
	STAPLE_ERROR_NONE, /* a complete HTTP response */
	STAPLE_ERROR_URL,
	STAPLE_ERROR_LOOKUPS, /* too many name look-ups were abandoned */
	STAPLE_ERROR_NAME,
	STAPLE_ERROR_PROXY_NAME,
	STAPLE_ERROR_CONNECT,
	STAPLE_ERROR_TLS,
	STAPLE_ERROR_TIMEOUT,
	STAPLE_ERROR_CLOSED,   /* before a byte of a response */
	STAPLE_ERROR_BROKEN,   /* while bytes were transferred */
	STAPLE_ERROR_CUT,      /* the headers or the body are not whole */
	STAPLE_ERROR_SIZE,     /* above a size limit */
	STAPLE_ERROR_NO_HTTP,  /* the bytes are not HTTP */
	STAPLE_ERROR_REDIRECT, /* to a URL that is not allowed */
	STAPLE_ERROR_REDIRECTS,
	STAPLE_ERROR_MEMORY,
	STAPLE_ERROR_OTHER
};

struct staple_transfer_result {
	enum staple_transfer_error error;
	enum staple_transfer_phase phase;
	int http_status;  /* 0: none came */
	int proxy_status; /* of a CONNECT that the proxy refused; 0: none */
	int sys_errno;    /* of ERROR_CONNECT and BROKEN; 0: unknown */
	bool dripping;    /* bytes of the body came until the end */
	size_t len;       /* of the body so far */
	uint32_t took_ms;
	const char *detail; /* libcurl's text; "": none */
};

/* Fills `said` (STAPLE_SAID_MAX bytes) with printable ASCII. */
enum staple_outcome staple_transfer_outcome(
    const struct staple_transfer_result *result, char *said);

#endif
