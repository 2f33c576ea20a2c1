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
#include "runtime/stapling.h"

struct err;
struct generation;
struct generation_parts;
struct identity_loader;

/* All errors of a build, and whether the configuration is at fault. */
struct generation_errors {
	struct config_errors all; /* "file:line: listener NAME: sentence" */
	bool bad_config; /* at least one is an error of the configuration */
};
void generation_errors_free(struct generation_errors *errors);

/* Why a generation is built. */
enum generation_cause {
	GENERATION_CHECK, /* --test: no socket is opened */
	GENERATION_FULL,  /* a start or a reload: every error refuses it */
	/* files have changed: bad ones are left out, and what they would
	 * replace stays */
	GENERATION_FILES,
	/* certificates that waited are due; generation_renew() alone */
	GENERATION_RENEWAL
};

/*
 * Open or adopt sockets, load identities, build contexts, share everything that
 * did not change with `old` (may be NULL, but for GENERATION_FILES).  A renewed
 * certificate that requires a staple and has none yet waits, while the old one
 * serves.  libstaple's settings follow this configuration from now on, even on
 * failure (see stapling_restore).  Warnings are logged.  The errors of all
 * listeners are collected; sockets are opened only when there is none.  NULL:
 * failed, see `errors`.
 */
struct generation *generation_build(struct generation *old,
    const struct config *config, const struct generation_parts *parts,
    enum generation_cause cause, struct generation_errors *errors) MUST_CHECK;

/*
 * The same generation with every due renewal in service: it has its staple, or
 * the certificate it replaces ends soon.  No file is read; everything else is
 * shared.  Each renewal is logged.  NULL: nothing is due, or `errors`.
 */
struct generation *generation_renew(struct generation *from,
    const struct generation_parts *parts, const struct policy_eval *eval,
    struct generation_errors *errors) MUST_CHECK;

/* ---- Shared with certs.c: one run ---- */

struct build {
	struct generation *old; /* may be NULL */
	const struct config *config;
	const struct generation_parts *parts;
	enum generation_cause cause;
	bool same_config;        /* as `old`: bad files refuse nothing */
	struct policy_eval eval; /* without `before` */
	struct generation_errors *errors;
	struct generation *fresh;
	struct identity_loader *loader; /* made for the first file read */
	bool rewatch;                   /* watch every certificate again */
	bool failed;

	/* trees of the slots of `fresh` and `old`, by key, and of the places of
	 * `old` */
	void *slots;
	void *old_slots;
	void *old_places;
};

enum build_error_source { ERROR_CONFIG, ERROR_SYSTEM };

/* Add an error, prefixed with the line and the listener or host; the build has
 * failed. */
void build_fail(struct build *build, enum build_error_source source,
    const struct config_where *where, const struct config_listener *settings,
    struct err *err);

/* Log a warning about these settings; "": none. */
void build_warn(const struct build *build,
    const struct config_listener *settings, const char *text);

#endif
