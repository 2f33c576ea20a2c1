/*
 * Headings and key = value pairs of a file, each with its line number.  Keys
 * are not interpreted.  Any thread.
 */
#ifndef CONFIG_INI_H
#define CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

#define INI_LINE_MAX 8192 /* bytes of a line without its end */

/* One heading, pair or error.  The texts are valid during the call. */
struct ini_item {
	unsigned line;
	const char *section; /* a heading: the trimmed text between [ and ] */
	const char *key;     /* a pair: trimmed, not empty */
	const char *value;   /* trimmed, may be empty */
	const char *wrong;   /* neither: the error in this line */
	const char *word;    /* with wrong: the first word; NULL: unknown */
};

typedef void ini_item_fn(void *arg, const struct ini_item *item);

/* Call on_item(arg, item) for each heading, pair and error in order.  Reading
 * continues after an error. */
void ini_read(const char *bytes, size_t size, ini_item_fn *on_item, void *arg);

#endif
