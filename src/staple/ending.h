/*
 * How an exchange ended, told in plain values, and what that is called: the
 * outcome and a few words for people.  A decider without libcurl and without a
 * clock.  Pure; any thread.
 */
#ifndef STAPLE_ENDING_H
#define STAPLE_ENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "staple/staple.h"

#define STAPLE_SAID_MAX 256

/* How far it had come: what was being waited for. */
enum staple_phase {
	STAPLE_AT_NAME,
	STAPLE_AT_CONNECT,
	STAPLE_AT_TLS,
	STAPLE_AT_HEADERS,
	STAPLE_AT_BODY
};

/* What stopped it, as far as the difference matters to anyone. */
enum staple_trouble {
	STAPLE_TROUBLE_NONE, /* it ended as HTTP wants it to */
	STAPLE_TROUBLE_URL,
	STAPLE_TROUBLE_LOOKUPS, /* too many name look-ups were left behind */
	STAPLE_TROUBLE_NAME,
	STAPLE_TROUBLE_PROXY_NAME,
	STAPLE_TROUBLE_CONNECT,
	STAPLE_TROUBLE_TLS,
	STAPLE_TROUBLE_TIMEOUT,
	STAPLE_TROUBLE_CLOSED,   /* before a byte of an answer */
	STAPLE_TROUBLE_BROKEN,   /* while bytes went to and fro */
	STAPLE_TROUBLE_CUT,      /* the headers or the body are not whole */
	STAPLE_TROUBLE_SIZE,     /* more than we take */
	STAPLE_TROUBLE_NO_HTTP,  /* whatever came is not HTTP */
	STAPLE_TROUBLE_REDIRECT, /* to where we do not go */
	STAPLE_TROUBLE_REDIRECTS,
	STAPLE_TROUBLE_MEMORY,
	STAPLE_TROUBLE_OTHER
};

struct staple_ending {
	enum staple_trouble trouble;
	enum staple_phase phase;
	int http_status;  /* 0: none came */
	int proxy_status; /* of a proxy that opened no way through; 0: none */
	int sys_errno;    /* of TROUBLE_CONNECT and BROKEN; 0: not known */
	bool dripping;    /* bytes of the body had come a moment ago */
	size_t len;       /* of the body so far */
	uint32_t took_ms;
	const char *detail; /* libcurl's own words; "": none */
};

/* said: STAPLE_SAID_MAX bytes; printable ASCII gets in. */
enum staple_outcome staple_ending_judge(
    const struct staple_ending *ending, char *said);

#endif
