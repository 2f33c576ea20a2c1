/*
 * Pieces of starting up that are used in more than one place.  Main thread.
 * Errors of a start go to stderr as bare "file:line: sentence" lines whatever
 * [log] says: whoever started us is looking there, and editors can follow it.
 */
#include "runtime/load.h"

#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/limit.h"
#include "runtime/process.h"
#include "runtime/stapling.h"
#include "tls/ticket.h"

#define LOW_PORTS_END 1024

bool
load_log(struct log *log, const struct config *config, struct err *err)
{
	const struct log_options options = {
		.level = config->log.level,
		.format = config->log.format,
		.output = config->log.output,
		.access = config->log.access,
	};

	if (log_configure(log, &options, err))
		return true;
	err_prefix(err, "%s: [log]", config->file);
	return false;
}

bool
load_parts(struct generation_parts *parts, const struct config *config,
    struct err *err)
{
	parts->threads = config->threads ? config->threads : cpus_count();
	parts->keys = ticket_keys_new(err);
	if (parts->keys == NULL)
		return false;
	parts->process = limit_process_new();
	if (parts->process == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	return true;
}

bool
load_stapling(struct generation_parts *parts, const struct config *config,
    bool check_only, bool *bad_config, struct err *err)
{
	parts->stapling = stapling_new(config, parts->log, check_only, err);
	*bad_config = parts->stapling == NULL &&
		      err_names(err, config->ocsp.ca_file);
	return parts->stapling != NULL;
}

void
load_parts_fini(struct generation_parts *parts)
{
	stapling_free(parts->stapling);
	parts->stapling = NULL;
	ticket_keys_unref(parts->keys);
	parts->keys = NULL;
	limit_process_free(parts->process);
	parts->process = NULL;
}

static bool
is_low(const struct config_accept *accept)
{
	uint16_t port = addr_port(&accept->addr);

	return port > 0 && port < LOW_PORTS_END;
}

bool
load_needs_low_ports(const struct config *config)
{
	size_t i, k;

	for (i = 0; i < config->listener_count; i++)
		for (k = 0; k < config->listeners[i].accept.count; k++)
			if (is_low(&config->listeners[i].accept.items[k]))
				return true;
	return false;
}

static bool
has_note(const struct config *config, const char *note)
{
	size_t i;

	for (i = 0; config && i < config->notes.count; i++)
		if (strcmp(config->notes.items[i], note) == 0)
			return true;
	return false;
}

void
load_say_notes(
    struct log *log, const struct config *config, const struct config *said)
{
	size_t i;

	for (i = 0; i < config->notes.count; i++)
		if (!has_note(said, config->notes.items[i]))
			log_warning(log, "config", config->notes.items[i]);
}

void
load_complain(const struct config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->list.count; i++)
		fprintf(stderr, "%s\n", errors->list.items[i]);
}
