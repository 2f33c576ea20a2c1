/*
 * How many connections there are, and who may make one more: caps per
 * process, per listener and per address, allow and deny lists.  The counts of
 * a listener outlive reloads (the object is handed from generation to
 * generation by name), the caps come from the configuration of the moment.
 *
 * Counts are relaxed atomics: a cap may be overshot by no one, because a slot
 * is reserved before accept and given back when there was nobody (the printed
 * counts include slots that wait for such an answer).  Addresses are counted
 * in 64 shards, each under its own limit lock (a leaf).
 * Any listener thread.
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
/* After the last limit that was made with it.  NULL ok. */
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
 * Reserve a connection and a handshake slot before accept.  On LIMIT_OK the
 * caller owes limit_release (and limit_handshake_done before that).
 */
enum limit_answer limit_reserve(
    struct limit *limit, const struct config_listener *config) MUST_CHECK;
void limit_handshake_done(struct limit *limit);
void limit_release(struct limit *limit);

/*
 * May this client stay?  On LIMIT_OK *counted may be set (NULL without
 * per_ip_max) and goes to limit_forget when the connection ends.  IPv6 is
 * counted by /64.  A unix client has no address to count or to match: who may
 * come there is said by unix_mode.  `peer` is normalised (addr_from_sockaddr).
 */
enum limit_answer limit_admit(struct limit *limit,
    const struct config_listener *config, const struct addr *peer,
    struct limit_address **counted) MUST_CHECK;
/* What allow and deny say of it.  A unix client passes. */
bool limit_allows(
    const struct config_listener *config, const struct addr *peer);
/* May this peer speak for others, by proxy_trust?  A unix client may: who comes
 * there is said by unix_mode. */
bool limit_trusts(
    const struct config_listener *config, const struct addr *peer);

/* counted: NULL ok. */
void limit_forget(struct limit *limit, struct limit_address *counted);

#endif
