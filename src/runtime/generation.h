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

struct credential;
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

/* Why one is built. */
enum generation_cause {
	GENERATION_CHECK, /* --test: no socket is opened */
	GENERATION_FULL,  /* a start or a reload: all must be good */
	GENERATION_FILES  /* files have changed: what is bad stays out, and
			     what it would replace goes on */
};

/*
 * Open or adopt sockets, load identities, build contexts, share what did not
 * change with `old` (may be NULL, but for GENERATION_FILES).  A renewed
 * certificate that should be stapled and has no staple yet waits, while the
 * old one serves.  What is fetched is settled by this generation from now on,
 * even when it fails (stapling_restore).  Warnings are logged.  Every
 * listener's errors are collected; sockets are opened only when nothing else
 * is wrong.  NULL: failed, `errors` says why.
 */
struct generation *generation_build(struct generation *old,
    const struct config *config, const struct generation_parts *parts,
    enum generation_cause cause, struct generation_errors *errors) MUST_CHECK;

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

/* Every certificate once, however many names show it.  Borrowed. */
struct holding {
	const struct config_listener *user; /* the first that shows it */
	struct credential *credential;
};
size_t generation_holding_count(const struct generation *generation);
const struct holding *generation_holding(
    const struct generation *generation, size_t i);
bool generation_has(
    const struct generation *generation, const struct identity *identity);

/* Did anything but stamps change between these two of one configuration? */
bool generation_differs(const struct generation *a, const struct generation *b);

/* Did the stamps, so that one has read files that the other has not? */
bool generation_read_more(
    const struct generation *a, const struct generation *b);

#endif
