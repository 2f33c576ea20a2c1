/*
 * Upgrade without loss.  Main thread of the old process, and of the new one.
 *
 * The old process starts the program anew, sends it what handover.h describes,
 * and serves on.  The new process starts as always, with these sockets in the
 * place of those of an earlier generation, and sends HANDOVER_READY once all
 * its threads accept clients.  Only then the old one releases the sockets and
 * drains.  There is no moment without a process that accepts, and no queue is
 * closed: until HANDOVER_GO any failure only ends the new process.
 *
 * Nothing here blocks the main loop of the old process, whatever the new one
 * does: it may be any file that lies at the path.  A new process whose
 * connection closes before HANDOVER_GO ends, because the old one serves on.
 */
#include "runtime/upgrade.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/listener.h"
#include "runtime/collect.h"
#include "runtime/generation.h"
#include "runtime/handover.h"
#include "runtime/process.h"
#include "runtime/reload.h"
#include "tls/ticket.h"

/* ---- The old process ---- */

/* From the end of the connection to that of the process. */
#define END_S 5.0

/* What is sent, in this order. */
enum upgrade_stage {
	STAGE_SOCKETS,
	STAGE_ADMIN,
	STAGE_TICKETS,
	STAGE_PID_FILE,
	STAGE_END,
	STAGE_SENT
};

struct upgrade {
	struct server *server;
	int fd;    /* -1: no upgrade is under way */
	pid_t pid; /* of the new process; 0: none that is to be ended */
	struct ev_io io;
	struct ev_timer limit;  /* upgrade_timeout */
	struct ev_timer ending; /* after the end of the connection */

	enum upgrade_stage stage;
	size_t index;           /* of the next listener of the stage... */
	size_t socket;          /* ...and of its next socket */
	struct listener **sent; /* in each HANDOVER_LISTENER; borrowed */
	size_t sent_count;
	char errors[2048]; /* lines that the new process has printed */
};

static void
stop(struct upgrade *upgrade)
{
	struct ev_loop *ev = upgrade->server->ev;

	ev_io_stop(ev, &upgrade->io);
	ev_timer_stop(ev, &upgrade->limit);
	ev_timer_stop(ev, &upgrade->ending);
	if (upgrade->fd >= 0)
		close(upgrade->fd);
	upgrade->fd = -1;
	free(upgrade->sent);
	upgrade->sent = NULL;
	upgrade->sent_count = 0;
}

/* The lines of the new process, then the result. */
static void
report(struct upgrade *upgrade, const char *why)
{
	struct server *server = upgrade->server;
	char lines[sizeof(upgrade->errors) + ERR_TEXT_MAX];
	struct err text;

	err_set(&text, "upgrade failed: %s; this process goes on serving", why);
	log_error(server->parts.log, "server", text.text);
	snprintf(lines, sizeof(lines), "%s%s\n", upgrade->errors, text.text);
	collect_upgraded(server->collect, false, lines);
}

static void
fail(struct upgrade *upgrade, const char *why)
{
	struct server *server = upgrade->server;
	struct err err;

	stop(upgrade);
	report(upgrade, why);
	/* The new process may have written its own. */
	if (server->pid_fd >= 0 && !process_rewrite_pid(server->pid_fd, &err))
		log_error(server->parts.log, "server", err.text);
	reload_resume(server);
}

/* Also where it was started by another user, so that no signal reaches it: it
 * ends with the connection then. */
static void
kill_child(struct upgrade *upgrade)
{
	if (upgrade->pid > 0)
		(void)kill(upgrade->pid, SIGKILL);
	upgrade->pid = 0;
}

/* ---- The old process: sending ---- */

static void
prepare_listener(struct upgrade *upgrade, struct handover_message *message,
    const struct listen_socket *socket, struct listener *listener)
{
	const struct handover_listener state = {
		.role = socket ? HANDOVER_PROXY : HANDOVER_ADMIN,
		.name = socket ? socket->name : "",
		.fd_name = socket ? socket->fd_name : NULL,
		.state = listener_state(listener),
	};
	size_t count;
	const int *fds = listener_fds(listener, &count);

	handover_begin(message, HANDOVER_LISTENER);
	handover_put_listener(message, &state);
	count -= upgrade->socket;
	if (count > HANDOVER_FDS_MAX)
		count = HANDOVER_FDS_MAX;
	memcpy(message->fds, fds + upgrade->socket, count * sizeof(fds[0]));
	message->fd_count = count;
}

static void
prepare_tickets(struct server *server, struct handover_message *message)
{
	double rest_s = ev_is_active(&server->rotate)
			    ? ev_timer_remaining(server->ev, &server->rotate)
			    : 0.0;
	struct ticket_key_set set;

	handover_begin(message, HANDOVER_TICKETS);
	ticket_keys_copy(server->parts.keys, &set);
	handover_put(
	    message, FIELD_KEYS, set.keys, set.count * sizeof(set.keys[0]));
	ticket_key_set_wipe(&set);
	if (rest_s > 0.0)
		handover_put_number(
		    message, FIELD_ROTATE_MS, (uint32_t)(rest_s * 1000) + 1);
}

static void
prepare_pid_file(const struct server *server, struct handover_message *message)
{
	handover_begin(message, HANDOVER_PID_FILE);
	handover_put(message, FIELD_PATH, server->pid_path,
	    strlen(server->pid_path) + 1);
	message->fds[0] = server->pid_fd;
	message->fd_count = 1;
}

static struct listener *
next_listener(const struct upgrade *upgrade)
{
	const struct generation *current = upgrade->server->current;

	if (upgrade->stage == STAGE_SOCKETS)
		return upgrade->index < current->sockets.count
			   ? current->sockets.items[upgrade->index].listener
			   : NULL;
	return upgrade->index < current->admin_count
		   ? current->admin[upgrade->index]
		   : NULL;
}

/* The message of the stage; false: the stage has none (any more). */
static bool
prepare(struct upgrade *upgrade, struct handover_message *message)
{
	struct server *server = upgrade->server;
	const struct sockets *sockets = &server->current->sockets;
	struct listener *listener;

	switch (upgrade->stage) {
	case STAGE_SOCKETS:
	case STAGE_ADMIN:
		listener = next_listener(upgrade);
		if (listener)
			prepare_listener(upgrade, message,
			    upgrade->stage == STAGE_SOCKETS
				? &sockets->items[upgrade->index]
				: NULL,
			    listener);
		return listener != NULL;
	case STAGE_TICKETS:
		/* Those of ticket_key_file are read by the new process. */
		if (!server->tickets_shared)
			prepare_tickets(server, message);
		return !server->tickets_shared;
	case STAGE_PID_FILE:
		if (server->pid_fd >= 0)
			prepare_pid_file(server, message);
		return server->pid_fd >= 0;
	case STAGE_END:
		handover_begin(message, HANDOVER_END);
		return true;
	case STAGE_SENT:
		break;
	}
	return false;
}

static void
next_stage(struct upgrade *upgrade)
{
	upgrade->stage++;
	upgrade->index = 0;
	upgrade->socket = 0;
}

/* The message has been sent. */
static void
advance(struct upgrade *upgrade, const struct handover_message *message)
{
	struct listener *listener;
	size_t count;

	if (upgrade->stage > STAGE_ADMIN) {
		next_stage(upgrade);
		return;
	}
	listener = next_listener(upgrade);
	assert(upgrade->sent); /* room for each listener, by begin() */
	upgrade->sent[upgrade->sent_count++] = listener;
	upgrade->socket += message->fd_count;
	(void)listener_fds(listener, &count);
	if (upgrade->socket < count)
		return;
	upgrade->socket = 0;
	upgrade->index++;
}

/* The new process ends, or something else that held the connection has closed
 * it: its status is reported. */
static void
on_lost(struct upgrade *upgrade)
{
	ev_io_stop(upgrade->server->ev, &upgrade->io);
	ev_timer_set(&upgrade->ending, END_S, 0.0);
	ev_timer_start(upgrade->server->ev, &upgrade->ending);
}

static void
send_all(struct upgrade *upgrade)
{
	enum handover_io result = HANDOVER_DONE;
	struct handover_message message;
	struct err err = { "" };

	while (result == HANDOVER_DONE && upgrade->stage < STAGE_SENT) {
		if (!prepare(upgrade, &message)) {
			next_stage(upgrade);
			continue;
		}
		result = handover_send(upgrade->fd, &message, &err);
		if (result == HANDOVER_DONE)
			advance(upgrade, &message);
	}
	explicit_bzero(&message, sizeof(message)); /* ticket keys */
	if (result == HANDOVER_CLOSED) {
		on_lost(upgrade);
	} else if (result == HANDOVER_FAILED) {
		kill_child(upgrade);
		fail(upgrade, err.text);
	} else if (result == HANDOVER_DONE) {
		ev_io_stop(upgrade->server->ev, &upgrade->io);
		ev_io_set(&upgrade->io, upgrade->fd, EV_READ);
		ev_io_start(upgrade->server->ev, &upgrade->io);
	}
}

/* ---- The old process: receiving ---- */

/* Mark what the new process serves as shared: it is neither emptied nor
 * removed when it is released here. */
static void
share_kept(struct upgrade *upgrade, const struct handover_message *message,
    bool shared)
{
	size_t i, len;
	const uint8_t *kept = handover_find(message, FIELD_KEPT, &len);

	for (i = 0; kept && i < len && i < upgrade->sent_count; i++)
		if (kept[i])
			listener_set_shared(upgrade->sent[i], shared);
}

static void
announce(pid_t pid)
{
	char text[48];

	snprintf(text, sizeof(text), "MAINPID=%ld", (long)pid);
	notify_send(text);
}

/* What came for this process during the upgrade is meant for the other. */
static void
forward_signals(struct server *server, pid_t pid)
{
	if (server->reopen_wanted)
		(void)kill(pid, SIGUSR1);
	if (server->reload_wanted) {
		(void)kill(pid, SIGHUP);
		collect_reload_begins(server->collect);
		collect_reload_error(server->collect,
		    "the process was replaced by an upgrade, and the new one "
		    "reloads");
		collect_reloaded(server->collect, false);
	}
}

static void
succeed(struct upgrade *upgrade, const struct handover_message *ready)
{
	struct server *server = upgrade->server;
	struct handover_message go;
	char text[80];
	pid_t pid = upgrade->pid;

	share_kept(upgrade, ready, true);
	/* Before the new process sends READY=1, which counts from the main
	 * process alone. */
	announce(pid);
	handover_begin(&go, HANDOVER_GO);
	if (handover_send(upgrade->fd, &go, NULL) != HANDOVER_DONE) {
		share_kept(upgrade, ready, false);
		announce(getpid());
		on_lost(upgrade);
		return;
	}
	stop(upgrade);
	upgrade->pid = 0;
	if (server->pid_fd >= 0)
		close(server->pid_fd); /* locked and removed by the other */
	server->pid_fd = -1;
	server->successor = pid;
	forward_signals(server, pid);
	/* First, so that the next request of the client reaches the new
	 * process. */
	collect_leave(server->collect);
	snprintf(
	    text, sizeof(text), "upgraded: process %ld serves\n", (long)pid);
	collect_upgraded(server->collect, true, text);
	drain_begin(server);
}

static void
note_error(struct upgrade *upgrade, const struct handover_message *message)
{
	size_t len, used = strlen(upgrade->errors);
	const uint8_t *text = handover_find(message, FIELD_TEXT, &len);

	if (text)
		snprintf(upgrade->errors + used, sizeof(upgrade->errors) - used,
		    "%.*s\n", (int)strnlen((const char *)text, len),
		    (const char *)text);
}

/* Until there is no message.  NULL: only errors count. */
static enum handover_io
receive_all(
    struct upgrade *upgrade, struct handover_message *ready, struct err *err)
{
	struct handover_message message;
	enum handover_io result;

	for (;;) {
		result = handover_receive(upgrade->fd, &message, err);
		if (result != HANDOVER_DONE)
			return result;
		handover_close_fds(&message);
		if (handover_kind_of(&message) == HANDOVER_ERROR)
			note_error(upgrade, &message);
		if (handover_kind_of(&message) != HANDOVER_READY ||
		    ready == NULL)
			continue;
		*ready = message;
		return HANDOVER_DONE;
	}
}

static void
receive(struct upgrade *upgrade)
{
	struct handover_message ready;
	struct err err = { "" };

	switch (receive_all(upgrade, &ready, &err)) {
	case HANDOVER_DONE:
		if (upgrade->stage == STAGE_SENT) {
			succeed(upgrade, &ready);
			return;
		}
		err_set(&err, "the new process was ready too early");
		break;
	case HANDOVER_CLOSED:
		on_lost(upgrade);
		return;
	case HANDOVER_FAILED:
		break;
	case HANDOVER_AGAIN:
		return;
	}
	kill_child(upgrade);
	fail(upgrade, err.text);
}

static void
on_message(struct ev_loop *ev, struct ev_io *watcher, int events)
{
	struct upgrade *upgrade = watcher->data;

	(void)ev;
	if (events & EV_READ)
		receive(upgrade);
	if (ev_is_active(watcher) && (events & EV_WRITE))
		send_all(upgrade);
}

static void
on_limit(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct upgrade *upgrade = watcher->data;
	const struct config *config = generation_config(
	    upgrade->server->current);
	struct err why;

	(void)ev;
	(void)events;
	kill_child(upgrade);
	err_set(&why,
	    "the new process was not ready within upgrade_timeout (%.0f s)",
	    config->upgrade_timeout_ms / 1000.0);
	fail(upgrade, why.text);
}

static void
on_ending(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct upgrade *upgrade = watcher->data;

	(void)ev;
	(void)events;
	kill_child(upgrade);
	fail(upgrade, "the new process has closed its connection");
}

void
upgrade_child_ended(struct server *server, pid_t pid, int status)
{
	struct upgrade *upgrade = server->upgrade;
	struct err why;

	if (upgrade == NULL || pid != upgrade->pid)
		return;
	upgrade->pid = 0;
	if (upgrade->fd < 0)
		return;
	(void)receive_all(upgrade, NULL, NULL);
	err_set(&why, "the new process ended %s %d: see its messages",
	    WIFSIGNALED(status) ? "by signal" : "with status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	fail(upgrade, why.text);
}

/* ---- The old process: beginning ---- */

/* systemd takes the end of the main process for that of the service, unless
 * MAINPID has named another one. */
static bool
check_allowed(struct err *err)
{
	const char *main_pid = getenv("SYSTEMD_EXEC_PID");

	if (getpid() == 1)
		return err_set(err,
		    "this is process 1, with which its container ends: start "
		    "another container");
	if (main_pid && !notify_is_wanted() &&
	    strtol(main_pid, NULL, 10) == (long)getpid())
		return err_set(err,
		    "the service manager cannot be notified of the new process: "
		    "set Type=notify in the unit");
	return true;
}

static bool
spawn_child(struct upgrade *upgrade, struct err *err)
{
	struct server *server = upgrade->server;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
	    fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
		return err_set_errno(err, errno, "no socket");
	upgrade->fd = ends[0];
	upgrade->pid = server->spawn(server->spawn_arg, ends[1], err);
	close(ends[1]);
	if (upgrade->pid > 0)
		return true;
	upgrade->pid = 0;
	return false;
}

static bool
begin(struct upgrade *upgrade, struct err *err)
{
	struct server *server = upgrade->server;
	const struct generation *current = server->current;
	size_t listeners = current->sockets.count + current->admin_count;
	const struct config *config = generation_config(current);

	upgrade->stage = STAGE_SOCKETS;
	upgrade->index = upgrade->socket = 0;
	upgrade->errors[0] = '\0';
	server->reopen_wanted = false;
	/* None has more than 256 sockets. */
	upgrade->sent = calloc(2 * listeners + 1, sizeof(upgrade->sent[0]));
	if (upgrade->sent == NULL)
		return err_no_memory(err);
	if (!check_allowed(err) || !spawn_child(upgrade, err))
		return false;
	ev_io_set(&upgrade->io, upgrade->fd, EV_READ | EV_WRITE);
	ev_io_start(server->ev, &upgrade->io);
	ev_timer_set(&upgrade->limit, config->upgrade_timeout_ms / 1000.0, 0.0);
	ev_now_update(server->ev);
	ev_timer_start(server->ev, &upgrade->limit);
	return true;
}

void
upgrade_run(struct server *server)
{
	struct upgrade *upgrade = server->upgrade;
	struct err err = { "" };

	if (server->state >= SERVER_DRAINING) {
		collect_upgraded(server->collect, false, "the process ends\n");
		return;
	}
	if (server->state == SERVER_UPGRADING) {
		log_warning(server->parts.log, "server",
		    "upgrade refused: another one is under way");
		return;
	}
	server->upgrade_wanted = server->state != SERVER_SERVING;
	if (server->upgrade_wanted)
		return; /* called again by reload.c, or the process ends */
	collect_upgrade_begins(server->collect);
	if (!begin(upgrade, &err)) {
		stop(upgrade);
		report(upgrade, err.text);
		return;
	}
	log_notice(server->parts.log, "server", "upgrading",
	    LOG_S("program", server->program.path), LOG_N("pid", upgrade->pid));
	server_enter(server, SERVER_UPGRADING);
}

void
upgrade_abort(struct server *server)
{
	struct upgrade *upgrade = server->upgrade;

	if (server->upgrade_wanted)
		collect_upgraded(server->collect, false, "the process ends\n");
	server->upgrade_wanted = false;
	if (upgrade == NULL || upgrade->fd < 0)
		return;
	stop(upgrade);
	/* It ends as after a signal, and in upgrade_free() at the latest. */
	if (upgrade->pid > 0)
		(void)kill(upgrade->pid, SIGTERM);
	log_notice(
	    server->parts.log, "server", "upgrade ended: the process drains");
	collect_upgraded(server->collect, false, "the process ends\n");
}

struct upgrade *
upgrade_new(struct server *server, struct err *err)
{
	struct upgrade *upgrade = calloc(1, sizeof(*upgrade));

	if (upgrade == NULL) {
		err_no_memory(err);
		return NULL;
	}
	upgrade->server = server;
	upgrade->fd = -1;
	ev_init(&upgrade->io, on_message);
	upgrade->io.data = upgrade;
	ev_init(&upgrade->limit, on_limit);
	upgrade->limit.data = upgrade;
	ev_init(&upgrade->ending, on_ending);
	upgrade->ending.data = upgrade;
	return upgrade;
}

void
upgrade_free(struct upgrade *upgrade)
{
	if (upgrade == NULL)
		return;
	stop(upgrade);
	kill_child(upgrade);
	free(upgrade);
}

/* ---- The new process ---- */

/* Keep the pid file that came, if it is ours, else remove it. */
static void
own_pid_file(struct server *server, struct handover *handover)
{
	int fd = handover->pid_fd;

	if (fd < 0 || !process_is_pid_file(fd, handover->pid_path))
		return;
	handover->pid_fd = -1;
	if (server->pid_path && process_is_pid_file(fd, server->pid_path))
		server->pid_fd = fd;
	else
		process_remove_pid(handover->pid_path, fd);
}

static void
own(struct server *server)
{
	struct handover *handover = server->handover;

	ev_io_stop(server->ev, &server->handover_io);
	if (server->current)
		handover_own(server->current);
	own_pid_file(server, handover);
	log_notice(server->parts.log, "server",
	    "upgrade: this process serves in place of the old one",
	    LOG_N("pid", getpid()), LOG_N("old", handover->from));
	handover_free(handover);
	server->handover = NULL;
	if (server->state < SERVER_DRAINING)
		reload_notify(server);
}

/* The old process serves on, or has been killed. */
static void
give_up(struct server *server, const char *why)
{
	ev_io_stop(server->ev, &server->handover_io);
	if (server->state >= SERVER_DRAINING)
		return;
	log_error(server->parts.log, "server",
	    "upgrade failed: the old process has closed the connection; this "
	    "process ends",
	    LOG_N("old", server->handover->from),
	    LOG_S("error", why[0] ? why : NULL));
	server->status = EXIT_START_FAILED;
	if (server->state == SERVER_STARTING)
		server_end(server);
	else
		drain_begin(server);
}

static void
on_old_process(struct ev_loop *ev, struct ev_io *watcher, int events)
{
	struct server *server = watcher->data;
	struct handover_message message;
	struct err err = { "" };

	(void)ev;
	(void)events;
	switch (handover_receive(server->handover->fd, &message, &err)) {
	case HANDOVER_DONE:
		handover_close_fds(&message);
		if (handover_kind_of(&message) == HANDOVER_GO &&
		    server->handover->is_ready)
			own(server);
		break;
	case HANDOVER_CLOSED:
	case HANDOVER_FAILED:
		give_up(server, err.text);
		break;
	case HANDOVER_AGAIN:
		break;
	}
}

void
upgrade_watch(struct server *server)
{
	if (server->handover == NULL)
		return;
	ev_io_init(&server->handover_io, on_old_process, server->handover->fd,
	    EV_READ);
	server->handover_io.data = server;
	ev_io_start(server->ev, &server->handover_io);
}

bool
upgrade_settle(struct server *server)
{
	struct handover *handover = server->handover;
	struct err err = { "" };

	if (handover->pid_fd >= 0 && server->pid_path &&
	    process_is_pid_file(handover->pid_fd, server->pid_path) &&
	    !process_rewrite_pid(handover->pid_fd, &err))
		log_error(server->parts.log, "server", err.text);
	if (handover_ready(handover, server->current, &err))
		return true;
	give_up(server, err.text);
	return false;
}
