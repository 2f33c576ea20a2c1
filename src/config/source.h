/*
 * A configuration as it was written: sections in order, each with its
 * statements, includes already in their place and values expanded.  No key
 * but `include` is interpreted here.  Main thread.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <stddef.h>

#include "config/config.h"

struct diagnostics;

#define SOURCE_DEPTH_MAX 16  /* files open inside each other */
#define SOURCE_FILES_MAX 512 /* files in all */

/* key = value.  A NULL value was wrong and has been reported. */
struct statement {
	const char *key;
	const char *value;
	struct config_where where;
};

/* One heading; sections[0] is what stands before any, with the name "". */
struct section {
	const char *name;
	struct config_where where;
	struct statement *items;
	size_t count;
};

struct source {
	struct section *sections;
	size_t count;
};

/* Read a file and what it includes.  Errors go to the diag; whatever could
 * be read is there all the same, so that later passes find more errors.  It
 * lives in the arena of the diagnostics. */
void source_load(
    struct source *source, struct diagnostics *diag, const char *path);

/* The same for bytes that stand for the file `name`. */
void source_parse(struct source *source, struct diagnostics *diag,
    const char *name, const char *bytes, size_t size);

#endif
