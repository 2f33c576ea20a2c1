/*
 * Reload and first start, and the state of the main thread that server.c and
 * reload.c share.  Main thread only, except where a field says otherwise.
 */
#ifndef RUNTIME_RELOAD_H
#define RUNTIME_RELOAD_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "runtime/generation.h"
#include "runtime/server.h"
#include "runtime/watch.h"

struct err;
struct loop;
struct resolver;
struct watch;

enum server_state {
	SERVER_STARTING, /* no listener thread accepts yet */
	SERVER_RUNNING,
	SERVER_DRAINING,
	SERVER_ENDING /* the main loop is on its way out */
};

/* What is said of a generation when every loop serves it. */
enum publish_reason {
	PUBLISH_START,
	PUBLISH_RELOAD,
	PUBLISH_RENEWAL, /* certificates that waited are in service */
	PUBLISH_FILES    /* files have changed by themselves */
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
	enum server_exit status;    /* what the process will end with */
	struct generation *current; /* NULL: none yet, or given up to drain */
	struct generation *pending; /* waits for names and staples; or NULL */
	bool names_pending;         /* pending's names are being asked for */
	bool timed_out;             /* pending waits for no staple any more */
	bool start_wait_over;       /* ...but for those that must be there */
	size_t answered;            /* certificates of pending, by now */
	size_t awaited;             /* likewise */
	bool publishing;            /* some loop serves the one before */
	enum publish_reason reason; /* of what is being published */
	bool reload_wanted;         /* came while one was under way */
	bool files_wanted;          /* likewise: files have changed */
	struct resolver *resolver;
	struct watch *watch;
	struct stamp tickets_read; /* of ticket_key_file */
	bool tickets_shared;       /* the keys are those of that file */
	uint64_t drain_limit_ms;

	struct ev_signal signals[SERVER_SIGNALS];
	struct ev_timer names_timeout;  /* the names of pending took too long */
	struct ev_timer start_timeout;  /* no staple came for start_wait */
	struct ev_timer start_wait_end; /* start_wait after the beginning */
	struct ev_timer extend;         /* the service manager's timeout */
	struct ev_timer renewals; /* while a certificate waits in current */
	struct ev_timer debounce; /* the staple thread has news */
	struct ev_timer rotate;   /* ticket keys */
	struct ev_timer expiry;   /* certificates near their end */
	struct ev_timer drain_end;
	struct ev_async loop_async;   /* by a listener thread */
	struct ev_async staple_async; /* by the staple thread */

	/* listener threads add, main reads; `adopted` main sets to 0 */
	atomic_uint adopted;
	atomic_uint empty;
};

/* Timers, events of the staple thread, and the watch of files.  After
 * server->ev. */
bool reload_init(struct server *server, struct err *err) MUST_CHECK;

/* A drain begins: nothing is waited for any more. */
void reload_stop(struct server *server);

/*
 * Make `fresh` (taken) the next generation: follow its names, and put it in
 * force when they have been asked for once and its certificates have their
 * staples, or as policy says.  false: *err says why, and nothing has changed.
 */
bool reload_prepare(struct server *server, struct generation *fresh,
    struct err *err) MUST_CHECK;

/* SIGHUP: read the file again, beside the running system. */
void reload_run(struct server *server);

/* The resolver's word: pending's names have been asked for. */
void reload_names(struct server *server);

/* A loop has news: when all have adopted, the generation is in force. */
void reload_settle(struct server *server);

#endif
