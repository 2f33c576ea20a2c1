/*
 * What a run of reading has to tell: its errors, each with the place it is
 * about, and its notes.  Errors arrive in the order of the passes and leave
 * in the order of the file.  Main thread.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "config/config.h"

struct arena;
struct err;

#define REPORT_MAX 100 /* errors shown; the rest are counted */

struct report_item {
	struct config_where where;
	unsigned order; /* of the file */
	size_t arrival;
	const char *text;
};

/* Embedded in the run that fills it.  Texts live in the arena. */
struct report {
	struct arena *arena;
	struct report_item *items;
	size_t count;
	size_t dropped;
	const char **files; /* in the order they were first read */
	size_t file_count;
	struct config_strings notes;
	bool no_memory;
};

/* Announce a file before its first error, so that errors sort by it. */
void report_file(struct report *report, const char *file);

/* One error, a sentence without place.  `where` may have line 0. */
void report_error(struct report *report, const struct config_where *where,
    const char *format, ...) PRINTF_LIKE(3, 4);

/* The configuration is lost for want of memory. */
void report_no_memory(struct report *report);

/* One sentence to log once; the same sentence again is left out. */
void report_note(struct report *report, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Would a further error only be counted?  Then a hint need not be sought. */
bool report_is_full(const struct report *report);

bool report_is_clean(const struct report *report);

/* Sort and hand the errors over as texts of the caller's. */
void report_finish(struct report *report, struct config_errors *errors);

#endif
