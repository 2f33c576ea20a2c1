/*
 * The diagnostics of one run: errors, each with its file and line, and notes.
 * Errors are added in the order of the passes and returned in the order of the
 * file.  Main thread.
 */
#ifndef CONFIG_DIAGNOSTICS_H
#define CONFIG_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct arena;
struct err;

#define DIAG_MAX 100 /* errors shown; the rest are counted */

struct diag_item {
	struct config_where where;
	unsigned order; /* of the file */
	size_t arrival;
	const char *text;
};

/* Embedded in the run that fills it.  Texts live in the arena. */
struct diagnostics {
	struct arena *arena;
	struct diag_item *items;
	size_t count;
	size_t dropped;
	const char **files; /* in the order they were first read */
	size_t file_count;
	struct config_strings notes;
	struct config_strings inputs;        /* files that were read */
	struct config_strings input_folders; /* and folders */
	bool no_memory;
};

/* Call once for each file, before its first error: errors are sorted by the
 * order of these calls. */
void diag_file(struct diagnostics *diag, const char *file);

/* Record a file or an included folder that was read for this configuration. */
void diag_input(struct diagnostics *diag, const char *path);
void diag_input_folder(struct diagnostics *diag, const char *path);

/* Add one error.  The text does not repeat the place.  `where` may have line
 * 0: the error is about the whole file. */
void diag_error(struct diagnostics *diag, const struct config_where *where,
    const char *format, ...) PRINTF_LIKE(3, 4);

/* Record an allocation failure: the run returns no configuration. */
void diag_no_memory(struct diagnostics *diag);

/* Add one note, which is logged once, with its place (NULL: none).  A repeated
 * text is dropped. */
void diag_note(struct diagnostics *diag, const struct config_where *where,
    const char *format, ...) PRINTF_LIKE(3, 4);

/* true: further errors are only counted, so hints need not be computed. */
bool diag_is_full(const struct diagnostics *diag);

/* true: no error and no allocation failure. */
bool diag_is_clean(const struct diagnostics *diag);

/* Sort the errors and append them to *errors, whose texts the caller frees
 * with config_errors_free. */
void diag_finish(struct diagnostics *diag, struct config_errors *errors);

#endif
