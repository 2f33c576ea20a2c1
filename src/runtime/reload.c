/*
 * One configuration after another.  Main thread.  A generation is built whole
 * beside the running one and then waits for two things: until its backend
 * names have been asked for once (at most NAMES_PATIENCE_S: published at once,
 * a listener with a new name would turn its first clients away), and for the
 * staples that policy asks for.  The first start is the same story with no
 * generation before it.
 */
#include "runtime/server_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/build.h"
#include "runtime/load.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "runtime/stapling.h"

#define NAMES_PATIENCE_S 5.0

static void
on_names_late(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	reload_names(watcher->data);
}

void
reload_init(struct server *server)
{
	ev_timer_init(&server->names_late, on_names_late, 0.0, 0.0);
	server->names_late.data = server;
}

bool
reload_prepare(struct server *server, struct generation *fresh, struct err *err)
{
	if (!resolver_follow(server->resolver, fresh)) {
		err_set(err, "out of memory for backend names");
		return false;
	}
	server->pending = fresh;
	server->names_due = true;
	ev_timer_set(&server->names_late, NAMES_PATIENCE_S, 0.0);
	ev_now_update(server->ev); /* building may have taken a while */
	ev_timer_start(server->ev, &server->names_late);
	staples_await(server);
	return true;
}

void
reload_names(struct server *server)
{
	/* Perhaps nobody waits: patience has ended, or a generation made of
	 * the running one shares its names. */
	server->names_due = false;
	ev_timer_stop(server->ev, &server->names_late);
	reload_go_on(server);
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
	struct generation *fresh = NULL;
	struct err err = { "" };

	memset(&errors, 0, sizeof(errors));
	config = config_load(server->config_path, &errors);
	if (config == NULL)
		log_errors(server, &errors);
	config_errors_free(&errors);
	if (config == NULL)
		return NULL;
	if (stapling_configure(server->parts.stapling, config, &err)) {
		fresh = generation_build(server->current, config,
		    &server->parts, GENERATION_FULL, &build_errors);
		if (fresh == NULL)
			log_errors(server, &build_errors.all);
		generation_errors_free(&build_errors);
	} else {
		log_error(server->parts.log, "config", err.text);
	}
	config_unref(config); /* the generation has its own reference */
	return fresh;
}

/* After this only memory and certificates can go wrong. */
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

/* Whom the library asks is again as the running generation says. */
static void
refuse(struct server *server, struct generation *fresh)
{
	generation_unref(fresh);
	stapling_restore(server->parts.stapling, server->current);
	log_error(server->parts.log, "server",
	    "reload refused, the old configuration stays");
	publish_ready(server);
}

/* So are the log and the names that are looked after. */
static void
refuse_pending(struct server *server)
{
	struct generation *fresh = server->pending;
	struct err err;

	server->pending = NULL;
	staples_wait_no_more(server);
	if (!resolver_follow(server->resolver, server->current))
		log_error(server->parts.log, "resolve",
		    "out of memory for backend names");
	if (!load_log(
		server->parts.log, generation_config(server->current), &err))
		log_error(server->parts.log, "config", err.text);
	refuse(server, fresh);
	/* Staples of the running one came while this was waited for. */
	staples_look(server);
	if (server->reload_wanted)
		reload_run(server);
	else
		files_settle(server);
}

void
reload_go_on(struct server *server)
{
	bool starting = server->state == SERVER_STARTING;
	enum server_exit refusal;

	if (server->pending == NULL || server->state == SERVER_ENDING ||
	    staples_are_awaited(server) || server->names_due)
		return;
	refusal = staples_refuse(server);
	if (refusal == EXIT_ASKED) {
		staples_renew_pending(server);
		publish_pending(
		    server, starting ? SERVER_STARTED : SERVER_RELOADED);
	} else if (starting) {
		server->status = refusal;
		server_end(server);
	} else {
		refuse_pending(server);
	}
}

void
reload_run(struct server *server)
{
	struct generation *fresh;

	server->reload_wanted = server->state == SERVER_STARTING ||
				server->pending || server->publishing;
	if (server->reload_wanted || server->state != SERVER_RUNNING)
		return; /* not now; or it is ending: nothing to reload for */
	notify_reloading();
	fresh = build(server);
	if (fresh == NULL || !accept_fresh(server, fresh))
		refuse(server, fresh);
}
