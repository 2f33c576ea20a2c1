/*
 * HTTP transfers through libcurl: one URL, one connection, no redirect, one
 * time limit; fetch.c makes exchanges out of them.  Staple thread only, except
 * staple_http_client_wake.
 *
 * struct staple_addresses remembers addresses at which a transfer failed
 * lately.  Where a name has several, the next transfers try the others first; a
 * name that has no other address is not affected.
 *
 * struct staple_lookups bounds the name look-ups that were abandoned, in all
 * and of one host.  getaddrinfo cannot be stopped: when a transfer is freed
 * during its look-up, libcurl leaves the thread alone.  The end of such a
 * thread cannot be observed, so each counts for two minutes, longer than any
 * resolver takes.
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
#include "staple/fetch.h"
#include "staple/transfer_result.h"

struct err;
struct staple_http_response;
struct staple_transfer;
struct staple_http_client; /* what transfers share: libcurl's multi handle */

struct staple_http_client *staple_http_client_new(struct err *err) MUST_CHECK;
void staple_http_client_free(
    struct staple_http_client *client); /* no transfers.  NULL ok */

/* Wait for something to happen, at most so long; then move all on. */
void staple_http_client_turn(
    struct staple_http_client *client, uint32_t wait_ms);
void staple_http_client_wake(
    struct staple_http_client *client); /* any thread */

/* The owner of a transfer that has ended, each once; NULL: no more. */
void *staple_http_client_ended(struct staple_http_client *client) MUST_CHECK;

/* Begin.  order: url and body as there, timeout_ms of this transfer; options
 * are copied.  any_address: use also addresses that failed lately.  NULL: no
 * memory. */
struct staple_transfer *staple_transfer_new(struct staple_http_client *client,
    const struct staple_fetch_order *order,
    const struct staple_fetch_options *options, bool any_address,
    void *owner) MUST_CHECK;

/* Any time; never waits, not even for a name.  NULL ok. */
void staple_transfer_free(struct staple_transfer *transfer);

enum staple_transfer_phase staple_transfer_phase(
    const struct staple_transfer *transfer);

/* What has come so far. */
const struct staple_http_response *staple_transfer_response(
    const struct staple_transfer *transfer);

/* Of an ended one: all but `dripping` and `took_ms`; `detail` is borrowed from
 * the transfer. */
void staple_transfer_get_result(const struct staple_transfer *transfer,
    struct staple_transfer_result *result);

/* Of one that has ended: were all addresses of the name left out because they
 * failed lately, so that none was tried? */
bool staple_transfer_has_skipped_all(
    const struct staple_transfer *transfer) MUST_CHECK;

/* Of one that has ended: remember the addresses that failed, for the
 * transfers that follow.  answered: an HTTP response came from the one it
 * connected to. */
void staple_transfer_note_addresses(
    struct staple_transfer *transfer, bool answered);

/* Where a redirect leads, made absolute; free() it.  NULL: it is none, or
 * leads nowhere that can be read. */
char *staple_transfer_location(
    const struct staple_transfer *transfer) MUST_CHECK;

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

/* The version of the libcurl that is loaded, "8.14.1".  Static. */
const char *staple_http_library(void);

#endif
