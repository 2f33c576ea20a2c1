/*
 * The main thread: start, signals, drain, end.
 */
#ifndef RUNTIME_SERVER_H
#define RUNTIME_SERVER_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct generation_parts;
struct log;
struct opener;
struct program;
struct server;

/* Exit statuses of the process. */
enum server_exit {
	EXIT_ASKED = 0, /* stopped by a signal */
	EXIT_START_FAILED = 1,
	EXIT_BAD_CONFIG = 2, /* also: bad usage */
	/* a certificate is revoked, and policy ends the process */
	EXIT_REVOKED = 3
};

/* Run the proxy with this file until a signal or a revoked certificate ends
 * it.  argv: of the process, for an upgrade. */
enum server_exit server_run(
    const char *config_path, char *const *argv) MUST_CHECK;

/* ---- For reload.c and upgrade.c ---- */

/*
 * SIGTERM, a revoked certificate, or a successor that serves: stop accepting;
 * end when the last connection has ended, or when drain_timeout is over.  With
 * a successor only a drain_timeout that is set counts.
 */
void drain_begin(struct server *server);

/* Leave the main loop. */
void server_end(struct server *server);

/* ---- Steps that a start, --test and a reload share ---- */

/* Open the log sinks of this configuration. */
bool load_log(
    struct log *log, const struct config *config, struct err *err) MUST_CHECK;

/*
 * Everything in *parts but the log, which is there already, and the inherited
 * sockets, which are the caller's.  Call load_parts_fini also after a failure.
 */
bool load_parts(struct generation_parts *parts, const struct config *config,
    struct err *err) MUST_CHECK;
void load_parts_fini(struct generation_parts *parts);

/*
 * Stapling, before privileges are dropped (stapling_new); load_parts_fini ends
 * it.  false: *err, and *bad_config when a key of the configuration is the cause
 * rather than the machine.
 */
bool load_stapling(struct generation_parts *parts, const struct config *config,
    bool check_only, bool *bad_config, struct err *err) MUST_CHECK;

/*
 * The opener, where this process is root and `user` names another user; it also
 * becomes the owner of logs.  *opener is NULL where none is needed.  Before any
 * other step.  program: what opener_spawn() starts, which outlives the opener;
 * NULL: nothing.  false: *err.
 */
bool load_opener(const struct config *config, struct program *program,
    struct opener **opener, struct err *err) MUST_CHECK;

/* Is there a TCP port below 1024? */
bool load_needs_low_ports(const struct config *config);

/* Log the notes of a configuration that are not in `logged` (NULL ok). */
void load_log_notes(
    struct log *log, const struct config *config, const struct config *logged);

/* Print errors on stderr, one a line, while there is no log yet. */
void load_print_errors(const struct config_errors *errors);

#endif
