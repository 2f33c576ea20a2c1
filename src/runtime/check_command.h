/*
 * clinch --test.  Main thread, which is then the only one.
 */
#ifndef RUNTIME_CHECK_COMMAND_H
#define RUNTIME_CHECK_COMMAND_H

#include "base/attr.h"
#include "runtime/server.h"

/*
 * Check everything a start would, without opening a socket; says on stdout
 * what would run, on stderr what is wrong.
 */
enum server_exit check_command_run(const char *config_path) MUST_CHECK;

#endif
