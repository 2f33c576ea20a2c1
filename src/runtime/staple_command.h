/*
 * `clinch staple check` and `clinch staple fetch`: fetch and verify as the
 * daemon does, for operators and scripts.  Main thread, the only one.
 */
#ifndef RUNTIME_STAPLE_COMMAND_H
#define RUNTIME_STAPLE_COMMAND_H

#include "base/attr.h"

/* The result as an exit status. */
enum staple_exit {
	STAPLE_EXIT_GOOD = 0,
	STAPLE_EXIT_USAGE = 2, /* as of every command; printed on stderr */
	STAPLE_EXIT_REVOKED = 2,
	STAPLE_EXIT_UNKNOWN = 3,
	STAPLE_EXIT_FAILED = 4 /* no response that could be stapled */
};

/* argv[0] is the word "staple". */
enum staple_exit staple_command_run(int argc, char **argv) MUST_CHECK;

#endif
