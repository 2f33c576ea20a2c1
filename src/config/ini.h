/*
 * Bytes to headings and key = value pairs, each with its exact line number.
 * Knows nothing of what the keys mean.  Any thread.
 */
#ifndef CONFIG_INI_H
#define CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#define INI_LINE_MAX 8192 /* bytes in a line, its end not counted */

/* One thing found.  All texts are borrowed for the call. */
struct ini_item {
	unsigned line;
	const char *section; /* a heading: the trimmed text between [ and ] */
	const char *key;     /* a pair: trimmed, not empty */
	const char *value;   /* trimmed, may be empty */
	const char *wrong;   /* neither: what is wrong with this line */
	const char *word;    /* with wrong: the first word; NULL: not known */
};

typedef void ini_item_fn(void *arg, const struct ini_item *item);

/*
 * Call on_item(arg, item) for everything in the bytes, in order; blank lines
 * and comments say nothing.  Reading goes on after a wrong line.
 */
void ini_read(const char *bytes, size_t size, ini_item_fn *on_item, void *arg);

#endif
