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

struct staple_fetch_result {
	/* STAPLE_GOOD: there is a body; or the failure. */
	enum staple_outcome outcome;
	int http_status;           /* 0: none came */
	const unsigned char *body; /* borrowed for the call */
	size_t len;
	bool right_type;       /* application/ocsp-response */
	int64_t retry_after_s; /* on 429 and 503; 0: none */
	int64_t freshness_s;   /* from Cache-Control or Expires; -1: none */
	uint32_t took_ms;
	const char *said; /* in words: "HTTP 503", "connection refused" */
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

#endif
