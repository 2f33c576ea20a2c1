/*
 * A generation goes into force.  Main thread.  It is in force, and said to
 * be, when every loop has adopted it and let the old sockets go: only then is
 * a removed address free again, and may the next change begin.
 */
#include "runtime/server_inner.h"

#include <stdio.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/loop.h"
#include "runtime/process.h"

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

/* Keys of a file are rotated by whoever writes it. */
static double
rotation_s(const struct config *config)
{
	return config->ticket_key_file ? 0 : config->ticket_rotate_ms / 1000.0;
}

/* What of a configuration belongs to the process rather than a generation:
 * caps, ticket keys and their rotation. */
static void
adopt_settings(struct server *server, const struct config *config)
{
	double every_s = rotation_s(config);

	apply_cap(server, config);
	files_load_tickets(server, config);
	if (ev_is_active(&server->rotate) && server->rotate.repeat == every_s)
		return; /* a reload must not put the rotation off */
	ev_timer_stop(server->ev, &server->rotate);
	if (every_s == 0)
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
announce_all(struct server *server)
{
	struct generation_port port;
	size_t i;

	for (i = 0; i < generation_port_count(server->current); i++) {
		port = generation_port(server->current, i);
		announce(server, &port);
	}
}

void
publish_ready(struct server *server)
{
	char text[160];

	snprintf(text, sizeof(text),
	    "READY=1\nMAINPID=%ld\nSTATUS=Serving %zu listeners on %u threads",
	    (long)getpid(), generation_service_count(server->current),
	    server->loop_count);
	notify_send(text);
}

static bool
is_new_configuration(enum server_news news)
{
	return news == SERVER_STARTED || news == SERVER_RELOADED;
}

void
publish_pending(struct server *server, enum server_news news)
{
	struct generation *old = server->current;
	unsigned i;

	server->current = server->pending;
	server->pending = NULL;
	server->publishing = true;
	server->news = news;
	if (is_new_configuration(news))
		adopt_settings(server, generation_config(server->current));
	staples_published(server, old);
	/* Ours first: the sockets that are gone must close with the loops'. */
	generation_unref(old);
	atomic_store(&server->adopted, 0);
	for (i = 0; i < server->loop_count; i++)
		loop_adopt(server->loops[i], server->current);
	files_follow(server);
	if (is_new_configuration(news))
		announce_all(server);
}

/* Renewals and changed files have said so of each certificate. */
static void
say_published(struct server *server)
{
	if (!is_new_configuration(server->news))
		return;
	log_notice(server->parts.log, "server",
	    server->news == SERVER_STARTED ? "started" : "reloaded",
	    LOG_N("listeners", generation_service_count(server->current)),
	    LOG_N("threads", server->loop_count), LOG_N("pid", getpid()));
	publish_ready(server);
}

void
publish_settle(struct server *server)
{
	if (!server->publishing ||
	    atomic_load(&server->adopted) < server->loop_count)
		return;
	server->publishing = false;
	if (server->state != SERVER_STARTING && server->state != SERVER_RUNNING)
		return;
	say_published(server);
	server->state = SERVER_RUNNING;
	/* First what has come meanwhile: it may end the process. */
	staples_look(server);
	if (server->reload_wanted)
		reload_run(server);
	else
		files_settle(server);
}
