/*
 * The checks of a whole configuration, once all keys are read.  Main thread.
 */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

struct parser;

/* Derive what depends on several keys (stapling, client rules) and add an
 * error for each contradiction and each missing key. */
void check_config(const struct parser *parser);

/* If there are other errors, add one for each file that cannot be read.
 * Without errors the code that opens the files reports them in more detail. */
void check_files(const struct parser *parser);

#endif
