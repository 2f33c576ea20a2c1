/*
 * Limits: caps on connections per process, per listener and per address, and
 * allow and deny lists.  The counts of a listener outlive reloads (generations
 * pass the object on, by the listener's name); the caps come from the current
 * configuration.
 *
 * Counts are relaxed atomics.  A slot is reserved before accept and released if
 * there was no client, so that a cap is never exceeded; the counts include
 * reserved slots.  Addresses are counted in 64 shards, each under its own limit
 * lock (a leaf).  Any listener thread.
 */
#ifndef PROXY_LIMIT_H
#define PROXY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "config/config.h"

struct limit;         /* the counts of one listener; counted */
struct limit_process; /* the counts of the whole process */
struct limit_address; /* one counted address */

struct limit_process *limit_process_new(void) MUST_CHECK;
/* After the last limit that uses it.  NULL ok. */
void limit_process_free(struct limit_process *process);
/* Main thread, at start and reload.  0: no cap. */
void limit_process_set_cap(struct limit_process *process, uint32_t cap);
uint32_t limit_process_connections(const struct limit_process *process);

/* NULL: no memory, or no random numbers yet. */
struct limit *limit_new(struct limit_process *process) MUST_CHECK;
struct limit *limit_ref(struct limit *limit);
void limit_unref(struct limit *limit); /* NULL ok */
uint32_t limit_connections(const struct limit *limit);

enum limit_answer {
	LIMIT_OK,
	LIMIT_FULL_PROCESS,    /* accept should pause */
	LIMIT_FULL_LISTENER,   /* accept should pause */
	LIMIT_FULL_HANDSHAKES, /* accept should pause */
	LIMIT_DENIED,          /* allow/deny: close this one */
	LIMIT_FULL_ADDRESS     /* per_ip_max: close this one */
};

/*
 * Reserve a connection and a handshake slot before accept.  After LIMIT_OK the
 * caller must call limit_handshake_done and then limit_release.
 */
enum limit_answer limit_reserve(
    struct limit *limit, const struct config_listener *config) MUST_CHECK;
void limit_handshake_done(struct limit *limit);
void limit_release(struct limit *limit);

/*
 * Check a client against allow, deny and per_ip_max.  On LIMIT_OK *counted
 * (NULL without per_ip_max) is for limit_forget when the connection ends.  IPv6
 * is counted by /64.  A unix client has no address to count or to match: its
 * access is limited by unix_mode.  `peer` is normalised (addr_from_sockaddr).
 */
enum limit_answer limit_admit(struct limit *limit,
    const struct config_listener *config, const struct addr *peer,
    struct limit_address **counted) MUST_CHECK;
/* By allow and deny: may this peer connect?  A unix client may. */
bool limit_allows(
    const struct config_listener *config, const struct addr *peer);
/* May this peer send PROXY headers, by proxy_trust?  A unix client may: its
 * access is limited by unix_mode. */
bool limit_trusts(
    const struct config_listener *config, const struct addr *peer);

/* counted: NULL ok. */
void limit_forget(struct limit *limit, struct limit_address *counted);

#endif
