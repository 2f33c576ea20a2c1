/*
 * What the files of the main thread share: server.c starts and ends, reload.c
 * exchanges configurations, drain.c lets the last clients finish.  Main
 * thread only, except where a field says otherwise.
 */
#ifndef RUNTIME_SERVER_INNER_H
#define RUNTIME_SERVER_INNER_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "runtime/generation.h"
#include "runtime/server.h"

struct err;
struct loop;
struct resolver;

enum server_state {
	SERVER_STARTING, /* no listener thread accepts yet */
	SERVER_RUNNING,
	SERVER_DRAINING,
	SERVER_ENDING /* the main loop is on its way out */
};

enum server_signal {
	SERVER_SIGTERM,
	SERVER_SIGINT,
	SERVER_SIGHUP,
	SERVER_SIGUSR1,
	SERVER_SIGCHLD,
	SERVER_SIGNALS
};

struct server {
	/* fixed at creation */
	const char *config_path;
	struct ev_loop *ev;
	struct generation_parts parts;
	struct loop **loops;
	unsigned loop_count;
	uint32_t descriptors;
	const char *pid_path; /* in the first configuration, which stays */
	int pid_fd;
	const struct config *first; /* what the fixed keys were at start */

	enum server_state state;
	struct generation *current; /* NULL: none yet, or given up to drain */
	struct generation *pending; /* waits for its names; NULL: none */
	bool publishing;            /* some loop serves the one before */
	bool reload_wanted;         /* came while one was under way */
	struct resolver *resolver;
	uint64_t drain_limit_ms;

	struct ev_signal signals[SERVER_SIGNALS];
	struct ev_timer names_late; /* the names of pending took too long */
	struct ev_timer rotate;     /* ticket keys */
	struct ev_timer drain_end;
	struct ev_async told; /* by a listener thread */

	/* listener threads add, main reads; `adopted` main sets to 0 */
	atomic_uint adopted;
	atomic_uint empty;
};

/*
 * Make `fresh` (taken) the next generation: follow its names, and put it in
 * force when they have been asked for once.  false: *err says why, and
 * nothing has changed.
 */
bool reload_prepare(struct server *server, struct generation *fresh,
    struct err *err) MUST_CHECK;

/* SIGHUP: read the file again, beside the running system. */
void reload_run(struct server *server);

/* The resolver's word, or the end of patience: hand `pending` to the loops. */
void reload_publish(struct server *server);

/* A loop has news: when all have adopted, the reload is over. */
void reload_settle(struct server *server);

/* SIGTERM: stop accepting, end when nobody is left or it takes too long. */
void drain_begin(struct server *server);
void drain_init(struct server *server);

/* A loop has news: when all are empty, it is over. */
void drain_settle(struct server *server);

/* Leave the main loop. */
void server_end(struct server *server);

#endif
