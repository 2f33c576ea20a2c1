/*
 * Reload and first start, and the state of the main thread that server.c and
 * reload.c share.  Main thread only, except as noted at a field.
 */
#ifndef RUNTIME_RELOAD_H
#define RUNTIME_RELOAD_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/spawn.h"
#include "runtime/generation.h"
#include "runtime/server.h"
#include "runtime/stapling.h"
#include "runtime/upgrade.h"
#include "runtime/watch.h"

struct backend_checks;
struct collect;
struct err;
struct loop;
struct resolver;
struct sandbox;
struct watch;

/*
 * The state of the main thread.  server_enter() is the only way from one to
 * another.  The next reload, renewal or changed file begins in SERVER_SERVING;
 * one that comes earlier is remembered.
 */
enum server_state {
	SERVER_STARTING,   /* the first generation is pending */
	SERVER_PUBLISHING, /* some loop serves the previous generation */
	SERVER_SERVING,    /* every loop serves `current` */
	SERVER_PENDING,    /* likewise, and a reload is pending */
	SERVER_UPGRADING,  /* likewise, and a new process starts */
	SERVER_DRAINING,
	SERVER_ENDING /* the main loop is ending */
};

/* Why a generation is published: what is logged when every loop serves it. */
enum publish_reason {
	PUBLISH_START,
	PUBLISH_RELOAD,
	PUBLISH_RENEWAL, /* renewed certificates have their staple */
	PUBLISH_FILES    /* certificates or CA files have changed */
};

enum server_signal {
	SERVER_SIGTERM,
	SERVER_SIGINT,
	SERVER_SIGHUP,
	SERVER_SIGUSR1,
	SERVER_SIGUSR2,
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
	const char *pid_path; /* borrowed from `first` */
	int pid_fd;
	struct opener *opener;      /* NULL: none is needed */
	const struct config *first; /* the configuration of the start */
	struct program program;     /* what an upgrade starts... */
	spawn_fn *spawn;            /* ...and how */
	void *spawn_arg;

	enum server_state state;
	enum server_exit status;    /* exit status */
	struct generation *current; /* NULL: none yet, or released by a drain */
	struct generation *pending; /* waits for names and staples; or NULL */
	enum start_wait wait;       /* whose staples `pending` waits for */
	size_t answered; /* certificates of `pending` with an answer */
	size_t awaited;  /* certificates of `pending` without */
	enum publish_reason reason; /* of the last publication */
	bool reload_wanted;         /* a SIGHUP came before SERVER_SERVING */
	bool files_wanted;          /* files changed before SERVER_SERVING */
	bool upgrade_wanted;        /* so was an upgrade */
	bool reopen_wanted;         /* a SIGUSR1 came in SERVER_UPGRADING */
	struct upgrade *upgrade;    /* to a new process */
	pid_t successor;            /* the new process serves; 0: none */
	uint32_t drain_limit_ms;    /* of the drain after SIGTERM */
	struct handover *handover;  /* from the old process; NULL once it is
				     * over */
	struct ev_io handover_io;
	struct resolver *resolver;
	struct backend_checks *checks; /* NULL: a drain */
	struct collect *collect;       /* for the admin endpoint */
	struct watch *watch;
	struct sandbox *sandbox;
	struct stamp tickets_read; /* of ticket_key_file */
	bool tickets_shared;       /* the keys come from that file */

	struct ev_signal signals[SERVER_SIGNALS];
	struct ev_timer names_timeout;  /* while names are being resolved */
	struct ev_timer start_timeout;  /* start_wait since the last answer */
	struct ev_timer start_wait_end; /* start_wait since the beginning */
	struct ev_timer extend;   /* extend the service manager's timeout */
	struct ev_timer progress; /* of a start, on a terminal */
	struct ev_timer renewals; /* while a certificate waits in current */
	struct ev_timer debounce; /* delays the next evaluation */
	struct ev_timer rotate;   /* ticket keys */
	struct ev_timer expiry;   /* certificates that expire soon */
	struct ev_timer drain_end;
	struct ev_timer watchdog;     /* of the service manager */
	struct ev_async loop_async;   /* by a listener thread */
	struct ev_async staple_async; /* by the staple thread */
	struct ev_async admin_async;  /* by the admin endpoint */
	atomic_bool ping_wanted;      /* ...for a pong */
	atomic_bool reload_asked;     /* ...for a reload */
	atomic_bool upgrade_asked;    /* ...for an upgrade */

	/* listener threads add, main reads and resets `adopted` */
	atomic_uint adopted;
	atomic_uint empty;
};

/* Set server->state.  There are no other transitions than those of the table in
 * server_enter(). */
void server_enter(struct server *server, enum server_state state);

/* Timers, events of the staple thread, and the watch of files.  After
 * server->ev. */
bool reload_init(struct server *server, struct err *err) MUST_CHECK;

/* A drain begins: stop all waiting. */
void reload_stop(struct server *server);

/*
 * Make `fresh` (taken) the pending generation: resolve its names, and publish
 * it when each has been resolved or has failed once and the stapling policy is
 * satisfied.  false: *err, and nothing has changed.
 */
bool reload_prepare(struct server *server, struct generation *fresh,
    struct err *err) MUST_CHECK;

/* At a start, with the first generation pending: the admin endpoint shows what
 * the start waits for. */
void reload_begin(struct server *server);

/* In SERVER_UPGRADING: the upgrade has failed; begin with what is wanted. */
void reload_resume(struct server *server);

/* Send READY=1 to the service manager. */
void reload_notify(const struct server *server);

/* SIGHUP: build a generation from the file beside the running one. */
void reload_run(struct server *server);

/* Called by the resolver: every name of `pending` has been resolved or has
 * failed once. */
void reload_names(struct server *server);

/* Called after an event of a loop: when all have adopted the generation, it is
 * in force. */
void reload_settle(struct server *server);

#endif
