/*
 * The main thread: start, signals, drain, end.  The order of start() is the one
 * decision here: files and sockets while the process is still root, then the
 * drop of privileges, then the first other thread, so that no thread ever has
 * more rights than it needs.  The main loop runs while names are looked up and
 * staples are fetched for the first time, so that signals work from the
 * beginning.
 *
 * Errors of a start go to stderr as bare "file:line: sentence" lines whatever
 * [log] sets, because [log] may be what is wrong, and editors can follow them.
 * In a drain every holder of the listening sockets releases them first, so that
 * the next process, or a refusal, gets the clients that come from then on.
 */
#include "runtime/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/thread.h"
#include "config/config.h"
#include "opener/opener.h"
#include "proxy/backend_state.h"
#include "proxy/limit.h"
#include "runtime/backend_check.h"
#include "runtime/build.h"
#include "runtime/collect.h"
#include "runtime/handover.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/reload.h"
#include "runtime/resolve.h"
#include "runtime/sandbox.h"
#include "runtime/sockets.h"
#include "runtime/stapling.h"
#include "runtime/upgrade.h"
#include "runtime/watch.h"
#include "tls/ticket.h"

/* ---- Shared steps ---- */

#define LOW_PORTS_END 1024

/* In this process or the opener. */
static pid_t
spawn_again(void *arg, int fd, struct err *err)
{
	return spawn_program(arg, fd, err);
}

bool
load_opener(const struct config *config, struct program *program,
    struct opener **opener, struct err *err)
{
	struct opener_user user;

	*opener = NULL;
	if (geteuid() != 0 || config->user == NULL)
		return true;
	if (!privilege_find(config->user, config->group, &user, err))
		return false;
	if (user.uid == 0)
		return true;
	*opener = opener_start(
	    config, &user, program ? spawn_again : NULL, program, err);
	if (*opener == NULL)
		return false;
	file_set_log_owner(user.uid, user.gid);
	return true;
}

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
	parts->states = backend_states_new();
	if (parts->process == NULL || parts->states == NULL) {
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
	backend_states_free(parts->states);
	parts->states = NULL;
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
load_log_notes(
    struct log *log, const struct config *config, const struct config *logged)
{
	size_t i;

	for (i = 0; i < config->notes.count; i++)
		if (!has_note(logged, config->notes.items[i]))
			log_warning(log, "config", config->notes.items[i]);
}

void
load_print_errors(const struct config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->list.count; i++)
		fprintf(stderr, "%s\n", errors->list.items[i]);
}

/* ---- Drain ---- */

#define DRAIN_MS 8000u          /* docker stop kills after 10 s */
#define DRAIN_SYSTEMD_MS 30000u /* systemd stops waiting after 90 s */

void
server_end(struct server *server)
{
	server_enter(server, SERVER_ENDING);
	ev_break(server->ev, EVBREAK_ALL);
}

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

static void
drain_settle(struct server *server)
{
	if (server->state == SERVER_DRAINING &&
	    atomic_load(&server->empty) == server->loop_count)
		server_end(server);
}

static void
drain_init(struct server *server)
{
	ev_timer_init(&server->drain_end, on_drain_end, 0.0, 0.0);
	server->drain_end.data = server;
}

static uint32_t
drain_limit_ms(const struct config *config)
{
	if (config_is_set(config->places, KEY_GLOBAL_DRAIN_TIMEOUT))
		return config->drain_timeout_ms;
	return notify_is_wanted() ? DRAIN_SYSTEMD_MS : DRAIN_MS;
}

/* The end of a drain that is limited by drain_timeout. */
static void
limit_drain(struct server *server)
{
	ev_timer_set(&server->drain_end, server->drain_limit_ms / 1000.0, 0.0);
	ev_now_update(server->ev);
	ev_timer_start(server->ev, &server->drain_end);
}

/* After an upgrade the service goes on, and the successor is its main
 * process. */
static void
announce_drain(struct server *server, bool is_limited)
{
	uint64_t connections = count_connections(server);
	struct err text;

	if (server->successor == 0) {
		if (server->handover == NULL)
			notify_send("STOPPING=1\nSTATUS=Draining");
		log_notice(server->parts.log, "server", "draining",
		    LOG_N("connections", connections),
		    LOG_N("timeout_ms", server->drain_limit_ms));
		return;
	}
	ev_timer_stop(server->ev, &server->watchdog);
	err_set(&text, "upgrade: process %ld serves; this one drains",
	    (long)server->successor);
	log_notice(server->parts.log, "server", text.text,
	    LOG_N("pid", getpid()), LOG_N("connections", connections),
	    LOG_N("timeout_ms", is_limited ? server->drain_limit_ms : 0));
}

void
drain_begin(struct server *server)
{
	const struct config *config = generation_config(server->current);
	bool is_limited = server->successor == 0 ||
			  config_is_set(
			      config->places, KEY_GLOBAL_DRAIN_TIMEOUT);
	unsigned i;

	server->drain_limit_ms = drain_limit_ms(config);
	upgrade_abort(server);
	server_enter(server, SERVER_DRAINING);
	announce_drain(server, is_limited);
	reload_stop(server);
	stapling_keep(server->parts.stapling, server->current);
	resolver_free(server->resolver);
	server->resolver = NULL;
	backend_checks_free(server->checks);
	server->checks = NULL;
	generation_unref(server->pending);
	server->pending = NULL;
	for (i = 0; i < server->loop_count; i++)
		loop_drain(server->loops[i]);
	collect_set(server->collect, STATE_DRAINING, server->current);
	generation_unref(server->current);
	server->current = NULL;
	if (is_limited)
		limit_drain(server);
}

/* ---- Signals and events ---- */

#define DESCRIPTORS_OF_MAIN 12   /* its loop, the endpoint's, look-ups */
#define DESCRIPTORS_PER_THREAD 3 /* a loop: epoll, wake-up, error set */

static void
on_stop(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (server->state == SERVER_DRAINING && server->successor &&
	    !ev_is_active(&server->drain_end))
		limit_drain(server); /* its first signal */
	else if (server->state == SERVER_STARTING ||
		 server->state >= SERVER_DRAINING)
		/* no connection to wait for, or a second signal */
		server_end(server);
	else
		drain_begin(server);
}

static void
on_reload(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	(void)ev;
	(void)events;
	reload_run(watcher->data);
}

static void
on_reopen(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	struct server *server = watcher->data;
	struct err err;

	(void)ev;
	(void)events;
	server->reopen_wanted = true;
	if (log_reopen(server->parts.log, &err))
		log_notice(server->parts.log, "server", "logs reopened");
	else
		log_error(server->parts.log, "server", err.text);
}

static void
log_opener_end(struct server *server, int status)
{
	log_error(server->parts.log, "process",
	    "the opener has ended; files that only root may read, logs and low "
	    "ports cannot be opened any more (restart clinch)",
	    LOG_N(WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
}

static void
on_upgrade(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	(void)ev;
	(void)events;
	upgrade_run(watcher->data);
}

/* The opener and the new process of an upgrade are children; as PID 1 this
 * process inherits those of others. */
static void
on_child(struct ev_loop *ev, struct ev_signal *watcher, int events)
{
	struct server *server = watcher->data;
	int status;
	pid_t pid;

	(void)ev;
	(void)events;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		upgrade_child_ended(server, pid, status);
		if (pid != opener_pid(server->opener))
			continue;
		opener_set_gone(server->opener);
		log_opener_end(server, status);
	}
}

static void
on_names(void *arg)
{
	reload_names(arg);
}

/* Names have new addresses, which are checked from now on. */
static void
on_addresses(void *arg)
{
	struct server *server = arg;

	if (server->current != NULL)
		backend_checks_follow(server->checks, server->current);
}

/* A check failed: its backend's name may have new addresses. */
static void
on_check_failed(void *arg)
{
	struct server *server = arg;

	resolver_look(server->resolver);
}

static void
on_rotate(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;
	struct err err;

	(void)ev;
	(void)events;
	if (ticket_keys_rotate(server->parts.keys, &err))
		log_info(server->parts.log, "tls", "ticket keys rotated");
	else
		log_error(server->parts.log, "tls", err.text);
}

/* The main loop turns. */
static void
on_watchdog(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	const struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (server->handover == NULL) /* else the old process sends it */
		notify_send("WATCHDOG=1");
}

/* Sent during a start and a drain, too: both may outlast WatchdogSec. */
static void
start_watchdog(struct server *server)
{
	double every_s = notify_watchdog_s();

	ev_timer_init(&server->watchdog, on_watchdog, every_s, every_s);
	server->watchdog.data = server;
	if (every_s > 0.0)
		ev_timer_start(server->ev, &server->watchdog);
}

typedef void signal_fn(struct ev_loop *, struct ev_signal *, int);

static void
watch_signal(struct server *server, struct ev_signal *watcher, int number,
    signal_fn *call)
{
	ev_signal_init(watcher, call, number);
	watcher->data = server;
	ev_signal_start(server->ev, watcher);
}

static void
watch_signals(struct server *server)
{
	static const struct {
		int number;
		signal_fn *call;
	} rows[SERVER_SIGNALS] = {
		[SERVER_SIGTERM] = { SIGTERM, on_stop },
		[SERVER_SIGINT] = { SIGINT, on_stop },
		[SERVER_SIGHUP] = { SIGHUP, on_reload },
		[SERVER_SIGUSR1] = { SIGUSR1, on_reopen },
		[SERVER_SIGUSR2] = { SIGUSR2, on_upgrade },
		[SERVER_SIGCHLD] = { SIGCHLD, on_child },
	};
	size_t i;

	for (i = 0; i < SERVER_SIGNALS; i++)
		watch_signal(
		    server, &server->signals[i], rows[i].number, rows[i].call);
}

/* Runs on a listener thread. */
static void
on_loop_event(void *arg, enum loop_event event)
{
	struct server *server = arg;

	if (event == LOOP_EMPTY)
		atomic_fetch_add(&server->empty, 1);
	else if (event == LOOP_ADOPTED)
		atomic_fetch_add(&server->adopted, 1);
	ev_async_send(server->ev, &server->loop_async);
}

/* These three run on the thread of the admin endpoint. */
static void
ask_pong(void *arg)
{
	struct server *server = arg;

	atomic_store(&server->ping_wanted, true);
	ev_async_send(server->ev, &server->admin_async);
}

static void
ask_reload(void *arg)
{
	struct server *server = arg;

	atomic_store(&server->reload_asked, true);
	ev_async_send(server->ev, &server->admin_async);
}

static void
ask_upgrade(void *arg)
{
	struct server *server = arg;

	atomic_store(&server->upgrade_asked, true);
	ev_async_send(server->ev, &server->admin_async);
}

static void
on_admin_async(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (atomic_exchange(&server->ping_wanted, false))
		collect_pong(server->collect);
	if (atomic_exchange(&server->reload_asked, false))
		reload_run(server);
	if (atomic_exchange(&server->upgrade_asked, false))
		upgrade_run(server);
}

/* Runs on the staple thread. */
static void
on_staples(void *arg)
{
	struct server *server = arg;

	ev_async_send(server->ev, &server->staple_async);
}

static void
on_loop_async(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	resolver_look(server->resolver); /* NULL during a drain */
	reload_settle(server);
	drain_settle(server);
}

/* ---- Start and end ---- */

static bool
start_loops(struct server *server, struct err *err)
{
	unsigned count = server->parts.threads;

	server->loops = calloc(count, sizeof(server->loops[0]));
	if (server->loops == NULL) {
		err_set(err, "out of memory for listener threads");
		return false;
	}
	for (; server->loop_count < count; server->loop_count++) {
		server->loops[server->loop_count] = loop_start(
		    server->loop_count, server->parts.log, on_loop_event,
		    server, err);
		if (server->loops[server->loop_count] == NULL)
			return false;
	}
	return true;
}

static bool
check_room(const struct server *server, struct err *err)
{
	unsigned needed = DESCRIPTORS_OF_MAIN +
			  server->parts.threads * DESCRIPTORS_PER_THREAD;

	if (process_has_room(needed))
		return true;
	err_set(err,
	    "the descriptor limit of %u is too low for %u threads and these "
	    "listeners: raise LimitNOFILE or ulimit -n",
	    server->descriptors, server->parts.threads);
	return false;
}

/* The event loop and the threads. */
static bool
start_threads(struct server *server, struct err *err)
{
	if (!check_room(server, err))
		return false;
	/*
	 * Signals stay blocked and are read from a descriptor: no handler
	 * interrupts anything.  Without a descriptor, libev's handlers need
	 * NOSIGMASK to unblock what main had blocked (its manual states the
	 * contrary).
	 */
	server->ev = ev_loop_new(
	    EVFLAG_AUTO | EVFLAG_SIGNALFD | EVFLAG_NOSIGMASK);
	if (server->ev == NULL) {
		err_set(err, "out of memory or descriptors for an event loop");
		return false;
	}
	if (!reload_init(server, err))
		return false;
	ev_timer_init(&server->rotate, on_rotate, 0.0, 0.0);
	server->rotate.data = server;
	drain_init(server);
	start_watchdog(server);
	ev_async_init(&server->loop_async, on_loop_async);
	server->loop_async.data = server;
	ev_async_start(server->ev, &server->loop_async);
	ev_async_init(&server->admin_async, on_admin_async);
	server->admin_async.data = server;
	ev_async_start(server->ev, &server->admin_async);
	watch_signals(server);
	upgrade_watch(server);
	server->upgrade = upgrade_new(server, err);
	if (server->upgrade == NULL)
		return false;
	server->resolver = resolver_new(
	    server->ev, server->parts.log, on_names, on_addresses, server, err);
	server->checks = backend_checks_new(
	    server->ev, server->parts.log, on_check_failed, server, err);
	return server->resolver && server->checks &&
	       log_start(server->parts.log, err) &&
	       stapling_start(
		   server->parts.stapling, on_staples, server, err) &&
	       start_loops(server, err);
}

static bool
take_pid(struct server *server, const struct config *config, struct err *err)
{
	if (config->pid_file == NULL)
		return true;
	server->pid_path = config->pid_file;
	if (server->handover && server->handover->pid_fd >= 0 &&
	    process_is_pid_file(server->handover->pid_fd, config->pid_file))
		return true; /* locked already; upgrade.c writes it */
	server->pid_fd = process_write_pid(config->pid_file, err);
	return server->pid_fd >= 0;
}

/* The opener binds low ports: with it no capability is kept. */
static bool
drop(struct server *server, struct err *err)
{
	const struct config *config = server->first;
	struct log *log = server->parts.log;
	bool keep_low_ports = server->opener == NULL &&
			      load_needs_low_ports(config);

	if (!privilege_drop(config->user, config->group, keep_low_ports, err))
		return false;
	process_check_user(config, log);
	if (config->user || config->group)
		process_check_readable(config, log);
	return true;
}

/* Without an opener this process itself starts the program of an upgrade. */
static bool
confine(struct server *server, const struct config *config, struct err *err)
{
	server->sandbox = sandbox_enter(config,
	    server->opener ? NULL : server->program.path, server->parts.log,
	    err);
	return server->sandbox != NULL;
}

/* Errors of a start go to stderr, and in an upgrade to the old process. */
static void
print_errors(const struct server *server, const struct config_errors *errors)
{
	size_t i;

	load_print_errors(errors);
	for (i = 0; i < errors->list.count; i++)
		handover_report(server->handover, errors->list.items[i]);
}

static struct generation *
build_first(struct server *server, enum server_exit *status)
{
	struct generation_errors errors;
	struct generation *generation;

	generation = generation_build(
	    NULL, server->first, &server->parts, GENERATION_FULL, &errors);
	if (generation == NULL) {
		print_errors(server, &errors.all);
		*status = errors.bad_config ? EXIT_BAD_CONFIG
					    : EXIT_START_FAILED;
	}
	generation_errors_free(&errors);
	inherited_free(
	    server->parts.inherited, generation ? server->parts.log : NULL);
	server->parts.inherited = NULL;
	server->parts.handover = NULL;
	return generation;
}

static bool
init_collect(struct server *server, struct err *err)
{
	static const struct collect_calls calls = { ask_pong, ask_reload,
		ask_upgrade };

	server->collect = collect_new(
	    &server->parts, server->config_path, &calls, server);
	if (server->collect == NULL)
		err_set(err, "out of memory");
	return server->collect != NULL;
}

/* The sockets and ticket keys of the old process. */
static bool
open_handover(struct server *server, struct err *err)
{
	struct handover *handover = server->handover;

	if (handover == NULL)
		return true;
	ticket_keys_replace(server->parts.keys, &handover->tickets);
	server->parts.handover = handover;
	return handover_open(handover, server->parts.threads, err);
}

static pid_t
spawn_by_opener(void *arg, int fd, struct err *err)
{
	return opener_spawn(arg, fd, err);
}

/* Before any socket or key is in this process: the opener must have none. */
static bool
open_first(struct server *server, const struct config *config, struct err *err)
{
	if (!load_opener(config, &server->program, &server->opener, err))
		return false;
	if (server->opener) {
		server->spawn = spawn_by_opener;
		server->spawn_arg = server->opener;
	}
	return server->handover == NULL || handover_take(server->handover, err);
}

static enum server_exit
start(struct server *server)
{
	const struct config *config = server->first;
	struct generation_parts *parts = &server->parts;
	enum server_exit status = EXIT_START_FAILED;
	struct generation *generation;
	struct err err = { "" };
	bool bad_config = false;

	if (!open_first(server, config, &err))
		goto fail;
	parts->log = log_new();
	if (parts->log == NULL) {
		err_set(&err, "out of memory for the log");
		goto fail;
	}
	if (!load_log(parts->log, config, &err))
		goto fail;
	load_log_notes(parts->log, config, NULL);
	server->descriptors = process_raise_descriptors();
	parts->inherited = inherited_collect(&err);
	if (parts->inherited == NULL || !load_parts(parts, config, &err) ||
	    !open_handover(server, &err) ||
	    !load_stapling(parts, config, false, &bad_config, &err) ||
	    !init_collect(server, &err))
		goto fail;
	generation = build_first(server, &status);
	if (generation == NULL)
		return status;
	if (take_pid(server, config, &err) && drop(server, &err) &&
	    confine(server, config, &err) && start_threads(server, &err) &&
	    reload_prepare(server, generation, &err)) {
		reload_begin(server);
		return EXIT_ASKED;
	}
	if (server->pending == NULL)
		generation_unref(generation);
fail:
	fprintf(stderr, "%s\n", err.text);
	handover_report(server->handover, err.text);
	return bad_config ? EXIT_BAD_CONFIG : EXIT_START_FAILED;
}

/* Also for a server that start() left incomplete. */
static void
finish(struct server *server)
{
	unsigned i;

	for (i = 0; i < server->loop_count; i++)
		loop_stop(server->loops[i]);
	for (i = 0; i < server->loop_count; i++)
		loop_join(server->loops[i]);
	free(server->loops);
	upgrade_free(server->upgrade);
	collect_free(server->collect);
	stapling_log_counters(server->parts.stapling);
	resolver_free(server->resolver);
	backend_checks_free(server->checks);
	watch_free(server->watch);
	generation_unref(server->pending);
	generation_unref(server->current);
	inherited_free(server->parts.inherited, NULL);
	load_parts_fini(&server->parts);
	sandbox_free(server->sandbox); /* the staple thread has ended */
	handover_free(server->handover);
	process_remove_pid(server->pid_path, server->pid_fd);
	if (server->ev)
		ev_loop_destroy(server->ev);
	log_free(server->parts.log);
	opener_free(server->opener);
	config_unref(server->first);
	program_fini(&server->program);
}

/* How to start another process, and whether this one was started so. */
static bool
init_upgrade(struct server *server, char *const *argv)
{
	struct err err;
	int fd;

	server->spawn = spawn_again;
	server->spawn_arg = &server->program;
	if (!program_record(&server->program, argv, &err) ||
	    !spawn_take_fd(&fd, &err))
		goto fail;
	if (fd < 0)
		return true;
	server->handover = handover_new(fd, &err);
	if (server->handover)
		return true;
fail:
	fprintf(stderr, "%s\n", err.text);
	return false;
}

/* The configuration, then everything else. */
static enum server_exit
load_and_start(struct server *server)
{
	struct config_errors errors = { { NULL, 0 } };

	server->first = config_load(server->config_path, &errors);
	if (server->first == NULL)
		print_errors(server, &errors);
	config_errors_free(&errors);
	return server->first ? start(server) : EXIT_BAD_CONFIG;
}

enum server_exit
server_run(const char *config_path, char *const *argv)
{
	struct server server;
	enum server_exit status = EXIT_START_FAILED;

	memset(&server, 0, sizeof(server));
	server.config_path = config_path;
	server.pid_fd = -1;
	thread_block_signals();
	signal(SIGPIPE, SIG_IGN);
	if (init_upgrade(&server, argv))
		status = load_and_start(&server);
	if (status == EXIT_ASKED) {
		ev_run(server.ev, 0);
		log_notice(server.parts.log, "server", "stopped");
		status = server.status;
	}
	finish(&server);
	return status;
}
