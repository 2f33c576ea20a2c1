/*
 * One configuration after another.  Main thread.  A generation is built whole
 * beside the running one and then waits, at most NAMES_PATIENCE_S, until its
 * backend names have been asked for once: published at once, a listener with
 * a new name would turn its first clients away.  The first start is the same
 * story with no generation before it.
 */
#include "runtime/server_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/load.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/process.h"
#include "runtime/resolve.h"

#define NAMES_PATIENCE_S 5.0

bool
reload_prepare(struct server *server, struct generation *fresh, struct err *err)
{
	if (!resolver_follow(server->resolver, fresh)) {
		err_set(err, "out of memory for backend names");
		return false;
	}
	server->pending = fresh;
	ev_timer_set(&server->names_late, NAMES_PATIENCE_S, 0.0);
	ev_now_update(server->ev); /* building may have taken a while */
	ev_timer_start(server->ev, &server->names_late);
	return true;
}

static void
apply_cap(struct server *server, const struct config *config)
{
	uint32_t possible = process_default_connections(server->descriptors);
	uint32_t cap = config->max_connections;

	if (cap > possible)
		log_warning(server->parts.log, "server",
		    "max_connections is more than the descriptor limit allows "
		    "(raise LimitNOFILE or ulimit -n)",
		    LOG_N("max_connections", cap), LOG_N("possible", possible));
	limit_process_set_cap(server->parts.process, cap ? cap : possible);
}

/* What of a configuration belongs to the process rather than a generation:
 * caps and the rotation of ticket keys. */
static void
adopt_settings(struct server *server, const struct config *config)
{
	double every_s = config->ticket_rotate_ms / 1000.0;

	apply_cap(server, config);
	if (ev_is_active(&server->rotate) && server->rotate.repeat == every_s)
		return; /* a reload must not put the rotation off */
	ev_timer_stop(server->ev, &server->rotate);
	if (config->ticket_rotate_ms == 0)
		return;
	ev_timer_set(&server->rotate, every_s, every_s);
	ev_timer_start(server->ev, &server->rotate);
}

/* Scripts read this line to learn which port they got. */
static void
announce(struct server *server, const struct generation_port *port)
{
	const char *name = port->service->listener->name;
	char text[ADDR_TEXT_MAX];
	struct err err;

	if (port->fresh) {
		addr_print(
		    listener_address(port->listener), text, sizeof(text));
		log_notice(server->parts.log, "listener", "listening",
		    LOG_S("listener", name), LOG_S("address", text));
		return;
	}
	if (!listener_set_mode(
		port->listener, port->service->listener->unix_mode, &err))
		log_warning(server->parts.log, "listener", err.text,
		    LOG_S("listener", name));
}

static void
say_ready(struct server *server)
{
	char text[160];

	snprintf(text, sizeof(text),
	    "READY=1\nMAINPID=%ld\nSTATUS=Serving %zu listeners on %u threads",
	    (long)getpid(), generation_service_count(server->current),
	    server->loop_count);
	notify_send(text);
}

static void
say_published(struct server *server)
{
	const char *what = server->state == SERVER_STARTING ? "started"
							    : "reloaded";

	log_notice(server->parts.log, "server", what,
	    LOG_N("listeners", generation_service_count(server->current)),
	    LOG_N("threads", server->loop_count), LOG_N("pid", getpid()));
	say_ready(server);
}

void
reload_publish(struct server *server)
{
	struct generation *old = server->current;
	struct generation_port port;
	size_t i;

	if (server->pending == NULL)
		return; /* the names came after the patience had ended */
	ev_timer_stop(server->ev, &server->names_late);
	server->current = server->pending;
	server->pending = NULL;
	server->publishing = true;
	adopt_settings(server, generation_config(server->current));
	/* Ours first: the sockets that are gone must close with the loops'. */
	generation_unref(old);
	atomic_store(&server->adopted, 0);
	for (i = 0; i < server->loop_count; i++)
		loop_adopt(server->loops[i], server->current);
	for (i = 0; i < generation_port_count(server->current); i++) {
		port = generation_port(server->current, i);
		announce(server, &port);
	}
}

/* Only now is a removed address free again, and may the next reload begin. */
void
reload_settle(struct server *server)
{
	if (!server->publishing ||
	    atomic_load(&server->adopted) < server->loop_count)
		return;
	server->publishing = false;
	if (server->state != SERVER_STARTING && server->state != SERVER_RUNNING)
		return;
	say_published(server);
	server->state = SERVER_RUNNING;
	if (server->reload_wanted) {
		server->reload_wanted = false;
		reload_run(server);
	}
}

static void
log_errors(struct server *server, const struct config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->list.count; i++)
		log_error(server->parts.log, "config", errors->list.items[i]);
}

/* Keys that need a start are compared with what was true at the start. */
static void
warn_of_fixed(struct server *server, const struct config *config)
{
	struct config_strings keys = config_fixed_changes(
	    server->first, config);
	char text[512] = "";
	size_t i, used = 0;

	for (i = 0; i < keys.count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s", i ? "," : "", keys.items[i]);
	if (keys.count > 0)
		log_warning(server->parts.log, "config",
		    "changed keys that need a restart are ignored",
		    LOG_S("keys", text));
	config_strings_free(&keys);
}

static struct generation *
build(struct server *server)
{
	struct config_errors errors;
	struct generation_errors build_errors;
	const struct config *config;
	struct generation *fresh;

	memset(&errors, 0, sizeof(errors));
	config = config_load(server->config_path, &errors);
	if (config == NULL)
		log_errors(server, &errors);
	config_errors_free(&errors);
	if (config == NULL)
		return NULL;
	fresh = generation_build(
	    server->current, config, &server->parts, false, &build_errors);
	if (fresh == NULL)
		log_errors(server, &build_errors.all);
	generation_errors_free(&build_errors);
	config_unref(config); /* the generation has its own reference */
	return fresh;
}

/* After this nothing can go wrong but memory. */
static bool
accept_fresh(struct server *server, struct generation *fresh)
{
	const struct config *config = generation_config(fresh);
	struct err err;

	if (!load_log(server->parts.log, config, &err)) {
		log_error(server->parts.log, "config", err.text);
		return false;
	}
	warn_of_fixed(server, config);
	load_say_notes(
	    server->parts.log, config, generation_config(server->current));
	if (reload_prepare(server, fresh, &err))
		return true;
	log_error(server->parts.log, "server", err.text);
	return false;
}

void
reload_run(struct server *server)
{
	struct generation *fresh;

	if (server->state == SERVER_STARTING || server->pending ||
	    server->publishing) {
		server->reload_wanted = true;
		return;
	}
	if (server->state != SERVER_RUNNING)
		return; /* it is ending: nothing to reload for */
	notify_reloading();
	fresh = build(server);
	if (fresh && accept_fresh(server, fresh))
		return;
	generation_unref(fresh);
	log_error(server->parts.log, "server",
	    "reload refused, the old configuration stays");
	say_ready(server);
}
