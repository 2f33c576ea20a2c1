/*
 * Under an exchange: one HTTP request through libcurl, with one URL, one
 * connection and no redirect.  fetch.c, the only file with <curl/curl.h>,
 * makes these transfers; exchange.c makes exchanges out of them.  Staple
 * thread only, but for staple_wire_wake.
 */
#ifndef STAPLE_FETCH_INNER_H
#define STAPLE_FETCH_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/ending.h"
#include "staple/fetch.h"

struct err;
struct staple_answer;
struct staple_transfer;
struct staple_wire; /* what transfers share: libcurl's multi handle */

struct staple_wire *staple_wire_new(struct err *err) MUST_CHECK;
void staple_wire_free(struct staple_wire *wire); /* no transfers.  NULL ok */

/* Wait for something to happen, at most so long; then move all on. */
void staple_wire_turn(struct staple_wire *wire, uint32_t wait_ms);
void staple_wire_wake(struct staple_wire *wire); /* any thread */

/* The owner of a transfer that has ended, each once; NULL: no more. */
void *staple_wire_ended(struct staple_wire *wire) MUST_CHECK;

/* Begin.  order: url and body as there, timeout_ms of this transfer; options
 * are copied.  any_address: use also addresses that failed lately.  NULL: no
 * memory. */
struct staple_transfer *staple_transfer_new(struct staple_wire *wire,
    const struct staple_fetch_order *order,
    const struct staple_fetch_options *options, bool any_address,
    void *owner) MUST_CHECK;

/* Any time; never waits, not even for a name.  NULL ok. */
void staple_transfer_free(struct staple_transfer *transfer);

enum staple_phase staple_transfer_phase(const struct staple_transfer *transfer);

/* What has come so far. */
const struct staple_answer *staple_transfer_answer(
    const struct staple_transfer *transfer);

/* Of an ended one: all but `dripping` and `took_ms`; `detail` is borrowed from
 * the transfer. */
void staple_transfer_tell(
    const struct staple_transfer *transfer, struct staple_ending *ending);

/* Of one that has ended: were all addresses of the name left out because they
 * failed lately, so that none was tried? */
bool staple_transfer_has_skipped_all(
    const struct staple_transfer *transfer) MUST_CHECK;

/* Of one that has ended: remember the addresses that failed, for the transfers
 * that follow.  answered: an HTTP answer came from the one it connected to. */
void staple_transfer_note_addresses(
    struct staple_transfer *transfer, bool answered);

/* Where a redirect leads, made absolute; free() it.  NULL: it is none, or
 * leads nowhere that can be read. */
char *staple_transfer_location(
    const struct staple_transfer *transfer) MUST_CHECK;

#endif
