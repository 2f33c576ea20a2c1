/*
 * One run of generation_build: build.c leads it and opens the sockets,
 * build_service.c makes what one listener section means.  Main thread.
 */
#ifndef RUNTIME_BUILD_H
#define RUNTIME_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct generation;
struct generation_errors;
struct generation_parts;

struct build {
	struct generation *old; /* may be NULL */
	const struct config *config;
	const struct generation_parts *parts;
	int64_t now_s;
	struct generation_errors *errors;
	struct generation *fresh;
	bool failed;
};

enum blame { BLAME_CONFIG, BLAME_SYSTEM };

/* Add a sentence; the build has failed. */
void build_error(struct build *build, enum blame blame, const char *text);

/* The same, with the line and the listener in front. */
void build_fail(struct build *build, enum blame blame,
    const struct config_where *where, const struct config_listener *listener,
    struct err *err);

/* Load, share or make what this section means and append it to `fresh`; or
 * fail, with everything that is wrong with it. */
void build_service(struct build *build, const struct config_listener *listener);

#endif
