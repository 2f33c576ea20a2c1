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
	EXIT_BAD_CONFIG = 2, /* also: bad usage */
	EXIT_REVOKED = 3     /* a certificate is revoked, and by policy that
				ends the process */
};

/* Run the proxy with this file until told to stop. */
enum server_exit server_run(const char *config_path) MUST_CHECK;

#endif
