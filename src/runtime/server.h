/*
 * The main thread: signals, reload, drain, and who is started in which order.
 */
#ifndef RUNTIME_SERVER_H
#define RUNTIME_SERVER_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct generation_parts;
struct log;
struct server;

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

/* ---- For reload.c ---- */

/* SIGTERM, or a revoked certificate: stop accepting; end when the last
 * connection has ended, or when drain_timeout is over. */
void drain_begin(struct server *server);

/* Leave the main loop. */
void server_end(struct server *server);

/* ---- Steps that a start, --test and a reload share ---- */

/* Open the sinks that this configuration names. */
bool load_log(
    struct log *log, const struct config *config, struct err *err) MUST_CHECK;

/*
 * What outlives every generation, for this configuration; parts->log is there
 * already, parts->inherited is the caller's affair.  load_parts_fini also
 * after a failure.
 */
bool load_parts(struct generation_parts *parts, const struct config *config,
    struct err *err) MUST_CHECK;
void load_parts_fini(struct generation_parts *parts);

/*
 * Stapling, before privileges are dropped (stapling_new); it ends with the
 * parts.  false: *err, and *bad_config when a key of the configuration is to
 * blame rather than the machine.
 */
bool load_stapling(struct generation_parts *parts, const struct config *config,
    bool check_only, bool *bad_config, struct err *err) MUST_CHECK;

/* Is there a TCP port below 1024? */
bool load_needs_low_ports(const struct config *config);

/* Log the notes of a configuration that `said` (NULL ok) did not have. */
void load_log_notes(
    struct log *log, const struct config *config, const struct config *said);

/* Sentences before there is a log to trust: one a line on stderr. */
void load_print_errors(const struct config_errors *errors);

#endif
