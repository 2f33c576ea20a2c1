/*
 * One exchange with a responder: one URL, one method, one time limit, one size
 * limit.  Redirects (at most three) are followed here, since libcurl has no
 * option for "never from https to http"; each hop is a transfer of
 * http_client.h.  Staple thread only, except staple_fetcher_wake.
 */
#ifndef STAPLE_FETCH_H
#define STAPLE_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/staple.h"

struct err;
struct staple_fetch;
struct staple_fetcher;

/* What every exchange shares; borrowed until changed. */
struct staple_fetch_options {
	const char *proxy;   /* as in staple_options */
	const char *ca_file; /* as in staple_options */
	size_t max_response; /* bytes of body */
};

struct staple_fetch_order {
	const char *url; /* copied; of a GET: see staple_url_for_get */
	const unsigned char *body; /* POST: the OCSP request; borrowed for the
				      exchange */
	size_t len;
	bool get;      /* else POST */
	bool no_cache; /* with Cache-Control: no-cache */
	bool issuer;   /* a certificate is fetched: by http alone, redirects
			  included, of STAPLE_ISSUER_BYTES_MAX at most */
	uint32_t timeout_ms; /* of this exchange, redirects included */
};

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

/* Pointers are borrowed for the call. */
struct staple_fetch_result {
	/* STAPLE_GOOD: there is a body; or the failure. */
	enum staple_outcome outcome;
	int http_status; /* 0: none came */
	const unsigned char *body;
	size_t len;            /* of the body so far */
	bool right_type;       /* application/ocsp-response */
	int64_t retry_after_s; /* on 429 and 503; 0: none */
	int64_t freshness_s;   /* from Cache-Control or Expires; -1: none */
	uint32_t took_ms;
	const char *said; /* in words: "HTTP 503", "connection refused" */

	/* Outcome and words follow from these. */
	enum staple_transfer_error error;
	enum staple_transfer_phase phase;
	int proxy_status;   /* of a CONNECT that the proxy refused; 0: none */
	int sys_errno;      /* of ERROR_CONNECT and BROKEN; 0: unknown */
	bool dripping;      /* bytes of the body came until the end */
	const char *detail; /* libcurl's text; NULL: no transfer began */
};

/* Runs inside staple_fetcher_turn; may start and cancel others. */
typedef void staple_fetch_fn(
    void *arg, const struct staple_fetch_result *result);

struct staple_fetcher *staple_fetcher_new(struct err *err) MUST_CHECK;
/* Cancels what is in flight without calling back.  NULL ok. */
void staple_fetcher_free(struct staple_fetcher *fetcher);
void staple_fetcher_configure(
    struct staple_fetcher *fetcher, const struct staple_fetch_options *options);

/*
 * Start.  The callback comes exactly once, from a later staple_fetcher_turn,
 * unless it is cancelled.  NULL: no memory.
 */
struct staple_fetch *staple_fetch_start(struct staple_fetcher *fetcher,
    const struct staple_fetch_order *order, staple_fetch_fn *done,
    void *arg) MUST_CHECK;
void staple_fetch_cancel(struct staple_fetch *fetch); /* NULL ok */

/* Wait for something to happen, at most so long, or for a wake; then move the
 * exchanges on and call back. */
void staple_fetcher_turn(struct staple_fetcher *fetcher, uint32_t wait_ms);

/* End the wait early.  Any thread. */
void staple_fetcher_wake(struct staple_fetcher *fetcher);

#define STAPLE_SAID_MAX 256

/* The outcome that follows from how an exchange ended; fills `said`
 * (STAPLE_SAID_MAX bytes) with printable ASCII.  Pure. */
enum staple_outcome staple_fetch_outcome(
    const struct staple_fetch_result *result, char *said);

#endif
