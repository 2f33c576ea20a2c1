/*
 * The half of fetch.c that is libcurl: one URL, one connection, no redirect, one
 * time limit.  fetch.c owns both structs and makes exchanges out of transfers.
 * Staple thread only, except staple_http_wake.
 *
 * struct staple_addresses remembers addresses at which a transfer failed
 * lately.  Where a name has several, the next transfers try the others first; a
 * name that has no other address is not affected.
 *
 * struct staple_lookups bounds the name look-ups that were abandoned, in all
 * and of one host.  getaddrinfo cannot be stopped: when a transfer ends during
 * its look-up, libcurl leaves the thread alone.  The end of such a thread
 * cannot be observed, so each counts for two minutes, longer than any resolver
 * takes.
 *
 * Both are plain values, zero at birth; the caller passes the time.
 */
#ifndef STAPLE_HTTP_CLIENT_H
#define STAPLE_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/list.h"
#include "staple/fetch.h"

struct curl_slist;
struct err;

#define STAPLE_ADDRESSES_MAX 64
#define STAPLE_ADDRESS_MS (10 * 60 * 1000)

struct staple_addresses {
	struct staple_address {
		struct addr addr;
		int64_t until_ms; /* monotonic; avoided till then */
	} failed[STAPLE_ADDRESSES_MAX];
};

/* Has it failed within the last STAPLE_ADDRESS_MS? */
bool staple_addresses_failed(const struct staple_addresses *addresses,
    const struct addr *addr, int64_t mono_ms) MUST_CHECK;

/* It failed now; or it works, and earlier failures are forgotten. */
void staple_addresses_note(struct staple_addresses *addresses,
    const struct addr *addr, bool works, int64_t mono_ms);

#define STAPLE_LOOKUPS_MAX 32
#define STAPLE_LOOKUPS_HOST_MAX 4 /* or one host would use them all up */
#define STAPLE_LOOKUP_MS (2 * 60 * 1000)

struct staple_lookups {
	struct staple_lookup {
		int64_t until_ms; /* monotonic; counted till then */
		uint32_t host;    /* a hash of it */
	} left[STAPLE_LOOKUPS_MAX];
};

/* Are there fewer than may be?  host: "name:port". */
bool staple_lookups_may(const struct staple_lookups *lookups, const char *host,
    int64_t mono_ms) MUST_CHECK;

void staple_lookups_abandon(
    struct staple_lookups *lookups, const char *host, int64_t mono_ms);

/* What every exchange shares. */
struct staple_fetcher {
	struct list pending; /* their next transfer begins with the next turn */
	struct list running;
	struct staple_lookups lookups;
	struct staple_fetch_options options;

	/* http_client.c */
	void *multi;                      /* CURLM */
	struct curl_slist *headers[2][2]; /* by order.get and no_cache */
	struct curl_slist *issuer_headers;
	struct staple_addresses addresses;
	unsigned connecting; /* transfers in that phase */
};

/* Bytes, those of interim responses and of a proxy included. */
#define STAPLE_HEADERS_MAX ((size_t)16 * 1024)
#define STAPLE_TRIED_MAX 16   /* addresses that a transfer records */
#define STAPLE_DETAIL_MAX 256 /* CURL_ERROR_SIZE */

/* A running request. */
struct staple_fetch {
	struct list node; /* pending or running; alone: calling back */
	struct staple_fetcher *fetcher;
	char *url; /* redirects replace it */
	struct staple_fetch_order order;
	staple_fetch_fn *done;
	void *arg;
	int64_t begun_ms;   /* monotonic; 0: not yet */
	unsigned redirects; /* followed */
	bool any_address;   /* also those that failed lately */

	/* http_client.c: the transfer at work; all zero: none */
	struct {
		void *easy; /* CURL */

		/* How far it came.  libcurl's own times and ports differ from
		 * version to version; its callbacks come at the same places in
		 * all. */
		bool named;     /* a socket was requested for an address */
		bool securing;  /* the TLS handshake has begun */
		bool connected; /* TLS included; the request may be sent */

		bool skipped; /* an address that failed lately */
		unsigned tried_count;
		struct addr tried[STAPLE_TRIED_MAX];
		struct addr peer; /* of the connection; len 0: none yet */

		bool headed; /* all headers of the response are there */
		size_t header_bytes;
		unsigned char *body; /* owned; NULL: none yet */
		size_t len, max;
		int64_t last_byte_ms; /* when its last bytes came; 0: none */

		enum staple_transfer_error error; /* why it ended */
		char detail[STAPLE_DETAIL_MAX];   /* libcurl's text */
	} transfer;
};

/* Set up libcurl's part of a zeroed fetcher; after a failure, too, it takes
 * staple_http_fini. */
bool staple_http_init(
    struct staple_fetcher *fetcher, struct err *err) MUST_CHECK;
void staple_http_fini(struct staple_fetcher *fetcher); /* no transfers */

/* Wait for something to happen, at most so long; then move all on. */
void staple_http_turn(struct staple_fetcher *fetcher, uint32_t wait_ms);
void staple_http_wake(struct staple_fetcher *fetcher); /* any thread */

/* One whose transfer has ended, each once; NULL: no more. */
struct staple_fetch *staple_http_ended(
    struct staple_fetcher *fetcher) MUST_CHECK;

/* Begin a transfer to fetch->url; there is none.  false: no memory, and there
 * is still none. */
bool staple_http_begin(
    struct staple_fetch *fetch, uint32_t timeout_ms) MUST_CHECK;

/* Free the transfer, if there is one.  Any time; never waits, not even for a
 * name. */
void staple_http_end(struct staple_fetch *fetch);

enum staple_transfer_phase staple_http_phase(const struct staple_fetch *fetch);

/* Of a transfer that has ended: all but outcome, said, dripping and took_ms;
 * pointers are borrowed from the transfer. */
void staple_http_get_result(
    const struct staple_fetch *fetch, struct staple_fetch_result *result);

/* Of one that has ended: remember the addresses that failed, for the
 * transfers that follow.  answered: an HTTP response came from the one it
 * connected to. */
void staple_http_note_addresses(struct staple_fetch *fetch, bool answered);

/* Of one that has ended: is it a redirect?  *where: where to, made absolute;
 * free() it.  NULL: nowhere that can be read. */
bool staple_http_redirects(
    const struct staple_fetch *fetch, char **where) MUST_CHECK;

/*
 * Header values as libcurl returns them, without blanks around.  Pure.  A value
 * that does not match its grammar counts as absent.
 */

/* Retry-After: seconds, or a date relative to `now_s`.  0: none, past or
 * invalid; at most a day. */
int64_t staple_http_retry_after(const char *value, int64_t now_s);

/* Cache-Control: max-age in seconds (no-cache and no-store: 0); -1: none. */
int64_t staple_http_max_age(const char *value);

/* Age in seconds; 0: none. */
int64_t staple_http_age(const char *value);

/* Expires as seconds from now, 0 when past; -1: invalid. */
int64_t staple_http_expires(const char *value, int64_t now_s);

/* Is it application/ocsp-response, parameters and case aside? */
bool staple_http_is_ocsp(const char *value);

/* The version of the libcurl that is loaded, "8.14.1".  Static. */
const char *staple_http_library(void);

#endif
