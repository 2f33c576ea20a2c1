/*
 * The end of a running proxy.  Main thread.  Everything that holds the
 * listening sockets lets go of them first, so that the next process, or a
 * refusal, gets the clients that come from now on; then the connections that
 * are open have drain_timeout to finish.
 */
#include "runtime/server_inner.h"

#include "base/log.h"
#include "config/config.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "runtime/stapling.h"

#define DRAIN_MS 8000u          /* docker stop kills after 10 s */
#define DRAIN_SYSTEMD_MS 30000u /* systemd stops waiting after 90 s */

static uint64_t
count_connections(const struct server *server)
{
	uint64_t count = 0;
	unsigned i;

	for (i = 0; i < server->loop_count; i++)
		count += loop_connections(server->loops[i]);
	return count;
}

static void
on_drain_end(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	log_notice(server->parts.log, "server",
	    "drain_timeout is over, ending connections",
	    LOG_N("connections", count_connections(server)));
	server_end(server);
}

void
drain_settle(struct server *server)
{
	if (server->state == SERVER_DRAINING &&
	    atomic_load(&server->empty) == server->loop_count)
		server_end(server);
}

void
drain_init(struct server *server)
{
	ev_timer_init(&server->drain_end, on_drain_end, 0.0, 0.0);
	server->drain_end.data = server;
}

static uint32_t
drain_limit_ms(const struct config *config)
{
	if (config->drain_timeout_set)
		return config->drain_timeout_ms;
	return notify_is_wanted() ? DRAIN_SYSTEMD_MS : DRAIN_MS;
}

void
drain_begin(struct server *server)
{
	uint32_t limit_ms = drain_limit_ms(generation_config(server->current));
	unsigned i;

	server->state = SERVER_DRAINING;
	notify_send("STOPPING=1\nSTATUS=Draining");
	log_notice(server->parts.log, "server", "draining",
	    LOG_N("connections", count_connections(server)),
	    LOG_N("timeout_ms", limit_ms));

	ev_timer_stop(server->ev, &server->names_late);
	staples_stop(server);
	stapling_keep(server->parts.stapling, server->current);
	resolver_free(server->resolver);
	server->resolver = NULL;
	generation_unref(server->pending);
	server->pending = NULL;
	for (i = 0; i < server->loop_count; i++)
		loop_drain(server->loops[i]);
	generation_unref(server->current);
	server->current = NULL;

	ev_timer_set(&server->drain_end, limit_ms / 1000.0, 0.0);
	ev_now_update(server->ev);
	ev_timer_start(server->ev, &server->drain_end);
}
