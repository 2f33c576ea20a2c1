/*
 * clinch --test.  Main thread, the only one.
 */
#ifndef RUNTIME_CHECK_COMMAND_H
#define RUNTIME_CHECK_COMMAND_H

#include "base/attr.h"
#include "runtime/server.h"

/*
 * Check everything that a start checks, without opening a socket.  Prints the
 * configuration on stdout and errors on stderr.
 */
enum server_exit check_command_run(const char *config_path) MUST_CHECK;

#endif
