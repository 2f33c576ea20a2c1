/*
 * A configuration made real: its sockets and services as one immutable,
 * counted object.  Built beside the running system from the old generation
 * and a new configuration; any failure frees it and nothing has changed.
 * It is also the joint of stapling with tls and proxy: each context is
 * attached to the library, each identity watched.  Built on the main thread;
 * any thread may hold a reference.
 */
#ifndef RUNTIME_GENERATION_H
#define RUNTIME_GENERATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct generation;
struct identity;
struct inherited;
struct limit_process;
struct listener;
struct log;
struct service;
struct stapling;
struct ticket_keys;

/* What outlives every generation and is lent to each. */
struct generation_parts {
	struct log *log;
	struct limit_process *process;
	struct ticket_keys *keys;
	struct inherited *inherited; /* LISTEN_FDS; may be NULL */
	struct stapling *stapling;   /* may be NULL: nothing is stapled */
	unsigned threads;
};

/* Everything that is wrong, and whose fault it is. */
struct generation_errors {
	struct config_errors all; /* "file:line: listener NAME: sentence" */
	bool bad_config;          /* one at least is the configuration's */
};
void generation_errors_free(struct generation_errors *errors);

/*
 * Open or adopt sockets, load identities, build contexts, share what did not
 * change with `old` (may be NULL).  A renewed certificate that should be
 * stapled and has no staple yet waits, while the old one serves.  What is
 * fetched is settled by this generation from now on, even when it fails
 * (stapling_restore).  Warnings are logged.  `check_only` opens
 * no socket (--test).  Every listener's errors are collected; sockets are
 * opened only when nothing else is wrong.  NULL: failed, `errors` says why.
 */
struct generation *generation_build(struct generation *old,
    const struct config *config, const struct generation_parts *parts,
    bool check_only, struct generation_errors *errors) MUST_CHECK;

struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation); /* NULL ok */

const struct config *generation_config(const struct generation *generation);

/* One listening address with its service. */
struct generation_port {
	struct listener *listener; /* borrowed */
	struct service *service;   /* borrowed */
	bool fresh;                /* not taken over from the old generation */
};
size_t generation_port_count(const struct generation *generation);
struct generation_port generation_port(
    const struct generation *generation, size_t i);

/* The services, one per listener section, in file order. */
size_t generation_service_count(const struct generation *generation);
struct service *generation_service(
    const struct generation *generation, size_t i);
bool generation_has_service(
    const struct generation *generation, const struct service *service);

/* The certificate that will replace service i's when it has its first staple
 * (see renew.h); borrowed; NULL: none waits. */
struct identity *generation_renewal(
    const struct generation *generation, size_t i);

#endif
