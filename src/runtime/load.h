/*
 * The first steps that a start, a check and a reload have in common.  Main
 * thread.
 */
#ifndef RUNTIME_LOAD_H
#define RUNTIME_LOAD_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"
#include "runtime/generation.h"

struct err;
struct log;

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
void load_say_notes(
    struct log *log, const struct config *config, const struct config *said);

/* Sentences before there is a log to trust: one a line on stderr. */
void load_complain(const struct config_errors *errors);

#endif
