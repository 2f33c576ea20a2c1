/*
 * The main thread: signals, reload, drain, and who is started in which order.
 */
#ifndef RUNTIME_SERVER_H
#define RUNTIME_SERVER_H

#include "base/attr.h"

/* Exit statuses of the process. */
enum server_exit {
	EXIT_ASKED = 0, /* asked to stop, and did */
	EXIT_START_FAILED = 1,
	EXIT_BAD_CONFIG = 2 /* also: bad usage */
};

/* Run the proxy with this file until told to stop; returns the exit status. */
int server_run(const char *config_path) MUST_CHECK;

/* clinch --test: check everything a start would, without opening a socket;
 * says on stdout what would run, on stderr what is wrong. */
int server_test(const char *config_path) MUST_CHECK;

#endif
