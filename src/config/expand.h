/*
 * ${NAME}, ${NAME:-default}, ${NAME:?advice} and ${file:PATH} in values; $${ is
 * a literal ${.
 * Main thread (reads the environment and files).
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include <stdio.h>

#include "base/attr.h"

struct arena;
struct err;

#define EXPAND_MAX 65536 /* bytes of a value once everything is in place */

/*
 * The value with everything in place, trimmed; in the arena.  `from` is the
 * file it stands in.  NULL: *err says which part could not be replaced.
 */
char *expand_value(struct arena *arena, const char *from, const char *value,
    struct err *err) MUST_CHECK;

/* Print the text so that expand_value gives it back. */
void expand_print(FILE *out, const char *text);

#endif
