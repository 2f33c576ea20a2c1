/*
 * The text of a configuration: sections in order, each with its statements,
 * includes in their place and references expanded.  Interprets no key but
 * `include`.  Main thread (reads the environment and files).
 *
 * References are ${NAME}, ${NAME:-default}, ${NAME:?advice} and ${file:PATH};
 * $${ is a literal ${.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <stddef.h>
#include <stdio.h>

#include "base/attr.h"
#include "config/config.h"

struct arena;
struct diagnostics;

#define READER_DEPTH_MAX 16 /* files open inside each other */

/* key = value.  value is NULL if it was invalid, which has been reported. */
struct statement {
	const char *key;
	const char *value;
	struct config_where where;
};

/* One heading and what follows it; sections[0] has the name "" and holds the
 * statements before the first heading. */
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

/* Read a file and its includes.  Errors are added to the diagnostics; the
 * parts without errors are returned all the same, so that later passes find
 * more errors.  Memory is that of diag->arena. */
void reader_load(
    struct source *source, struct diagnostics *diag, const char *path);

/* As reader_load, from bytes.  `name` is the file in errors and for relative
 * paths. */
void reader_parse(struct source *source, struct diagnostics *diag,
    const char *name, const char *bytes, size_t size);

/* `path` relative to the folder of the file `from`.  Absolute paths, and all
 * paths if `from` has no folder, are copied unchanged.  NULL: no memory. */
char *reader_path(
    struct arena *arena, const char *from, const char *path) MUST_CHECK;

/* Print the text so that it is read back as the same text: "${" is escaped as
 * "$${". */
void reader_print(FILE *out, const char *text);

#endif
