/*
 * Building a generation: from a configuration, from changed files, or from
 * renewed certificates.  Main thread.
 */
#ifndef RUNTIME_BUILD_H
#define RUNTIME_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct generation;
struct generation_parts;
struct identity_loader;
struct policy_eval;

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

/* Does any certificate wait? */
bool renew_is_waited_for(const struct generation *generation);

/*
 * The same generation with every renewal in service whose time has come: it
 * has its staple, or the certificate it replaces is about to end.  Nothing is
 * read again; whatever else there is, is shared.  Each one is logged.
 * NULL: nothing to do, or *err says why it cannot be done.
 */
struct generation *renew_generation(struct generation *from,
    const struct generation_parts *parts, const struct policy_eval *eval,
    struct err *err) MUST_CHECK;

/* ---- Shared with certs.c: one run ---- */

struct build {
	struct generation *old; /* may be NULL */
	const struct config *config;
	const struct generation_parts *parts;
	enum generation_cause cause;
	int64_t now_s;
	struct generation_errors *errors;
	struct generation *fresh;
	struct identity_loader *loader; /* made for the first file read */
	bool rewatch; /* every certificate is set to the library again */
	bool failed;

	/* trees of what `fresh` and `old` hold, by what tells it apart */
	void *slots;
	void *old_slots;
};

enum blame { BLAME_CONFIG, BLAME_SYSTEM };

/* Add a sentence; the build has failed. */
void build_error(struct build *build, enum blame blame, const char *text);

/* The same, with the line and the listener (or host) in front. */
void build_fail(struct build *build, enum blame blame,
    const struct config_where *where, const struct config_listener *settings,
    struct err *err);

/* A warning about these settings; "" is none. */
void build_warn(const struct build *build,
    const struct config_listener *settings, const char *text);

#endif
