/*
 * `clinch status`, `clinch refresh` and `clinch reload`: commands that use the
 * admin endpoint of a running process, which they find in its configuration.
 * Main thread, the only one.
 */
#ifndef ADMIN_COMMAND_H
#define ADMIN_COMMAND_H

#include <stdbool.h>

#include "base/attr.h"

enum admin_command_exit {
	ADMIN_COMMAND_DONE = 0,
	ADMIN_COMMAND_FAILED = 1, /* no answer, or a refusal */
	ADMIN_COMMAND_USAGE = 2   /* also: bad configuration */
};

/* Is this word one of the commands? */
bool admin_command_is(const char *word);

/* argv[0] is that word; file: the default of -c. */
enum admin_command_exit admin_command_run(
    int argc, char **argv, const char *file) MUST_CHECK;

#endif
