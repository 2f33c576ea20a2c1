/*
 * The main process's side of the opener.
 *
 * One request at a time, under a lock: the main thread and the threads that
 * read certificates for it use it, listener threads never do.  A request
 * blocks as long as the opening itself.  When the opener has gone, each call
 * fails as it would without one, and the main process goes on.
 */
#include "opener/opener.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mutex.h"
#include "opener/covered.h"
#include "opener/opener_message.h"
#include "opener/opener_process.h"

struct opener {
	struct mutex lock; /* one request and its reply */
	int socket;
	atomic_int pid; /* -1: it has gone */
};

/* ---- Requests ---- */

static void
explain(enum opener_refusal refusal)
{
	static const char *const sentences[] = {
		[REFUSAL_NONE] = NULL,
		[REFUSAL_REQUEST] = "the opener refused the request",
		[REFUSAL_NOT_COVERED] =
		    "the configuration at the start does not name it, and this "
		    "user may not open it: make it readable, or restart",
		[REFUSAL_CHANGEABLE] =
		    "the opener refuses a path whose folders this user can "
		    "change",
		[REFUSAL_FILE_KIND] =
		    "the opener opens regular files alone, and logs without "
		    "symlinks and with one name",
	};

	if (refusal < ARRAY_LEN(sentences))
		file_set_reason(sentences[refusal]);
}

/*
 * One request.  true: *reply, and *got is the descriptor in it or -1; false: the
 * opener has gone, and errno is that of the plain call.
 */
static bool
exchange(struct opener *opener, const struct opener_request *request, int fd,
    struct opener_reply *reply, int *got)
{
	ssize_t size = -1;

	*got = -1;
	if (atomic_load(&opener->pid) < 0)
		return false;
	mutex_lock(&opener->lock);
	if (opener_send(opener->socket, request, sizeof(*request), fd))
		size = opener_receive(
		    opener->socket, reply, sizeof(*reply), got);
	mutex_unlock(&opener->lock);
	if (size == sizeof(*reply))
		return true;
	if (*got >= 0)
		close(*got);
	*got = -1;
	return false;
}

static struct opener_request *
new_request(enum opener_kind kind)
{
	struct opener_request *request = calloc(1, sizeof(*request));

	if (request != NULL)
		request->kind = kind;
	return request;
}

/* A descriptor, or 0 for a status; -1 and errno.  Frees the request. */
static int
run(struct opener *opener, struct opener_request *request, struct stat *status,
    int gone)
{
	struct opener_reply reply;
	int got, errnum;

	if (request == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if (!exchange(opener, request, -1, &reply, &got)) {
		errnum = gone;
		goto fail;
	}
	errnum = reply.errnum;
	explain(reply.refusal);
	if (errnum != 0)
		goto fail;
	if (status != NULL)
		*status = reply.status;
	else if (got < 0) {
		errnum = EIO;
		goto fail;
	}
	free(request);
	return status != NULL ? 0 : got;

fail:
	if (got >= 0)
		close(got);
	free(request);
	errno = errnum;
	return -1;
}

static int
open_path(
    void *arg, enum opener_kind kind, const char *path, struct stat *status)
{
	struct opener_request *request;

	if (strlen(path) >= sizeof(request->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	request = new_request(kind);
	if (request != NULL)
		strcpy(request->path, path);
	return run(arg, request, status, EACCES);
}

static int
open_file(void *arg, const char *path)
{
	return open_path(arg, OPENER_FILE, path, NULL);
}

static int
open_folder(void *arg, const char *path)
{
	return open_path(arg, OPENER_FOLDER, path, NULL);
}

static int
open_log(void *arg, const char *path)
{
	return open_path(arg, OPENER_LOG, path, NULL);
}

static int
read_status(void *arg, const char *path, bool follow, struct stat *status)
{
	return open_path(
	    arg, follow ? OPENER_STAT : OPENER_LSTAT, path, status);
}

static int
bind_port(
    void *arg, const struct addr *addr, const struct bind_options *options)
{
	struct opener_request *request = new_request(OPENER_TCP_SOCKET);

	if (request != NULL) {
		request->addr = *addr;
		request->options = *options;
	}
	return run(arg, request, NULL, ENOTCONN);
}

static int
bind_path(void *arg, const struct addr *addr, unsigned mode)
{
	struct opener_request *request = new_request(OPENER_UNIX_SOCKET);

	if (request != NULL) {
		request->addr = *addr;
		request->mode = mode;
	}
	return run(arg, request, NULL, EACCES);
}

pid_t
opener_spawn(struct opener *opener, int fd, struct err *err)
{
	struct opener_request *request = new_request(OPENER_SPAWN);
	struct opener_reply reply;
	bool done;
	int got;

	if (request == NULL) {
		err_set(err, "out of memory");
		return -1;
	}
	/* The new process becomes a child of this one. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	done = exchange(opener, request, fd, &reply, &got);
	free(request);
	if (got >= 0)
		close(got);
	if (!done)
		err_set(err, "the opener has ended: restart clinch instead");
	else if (reply.errnum != 0)
		err_set(err, "%.*s", (int)sizeof(reply.text),
		    reply.text[0] ? reply.text
				  : "the opener cannot start a process");
	else
		return (pid_t)reply.pid;
	return -1;
}

/* ---- Its life ---- */

static void
register_fallbacks(struct opener *opener)
{
	const struct file_fallback files = {
		.open = open_file,
		.open_folder = open_folder,
		.open_log = open_log,
		.stat = read_status,
		.arg = opener,
	};
	const struct bind_fallback sockets = {
		.tcp = bind_port,
		.unix_socket = bind_path,
		.arg = opener,
	};

	file_set_fallback(&files);
	bind_set_fallback(&sockets);
}

/* Returns in the main process alone. */
static bool
fork_process(
    struct opener *opener, const struct opener_setup *setup, struct err *err)
{
	pid_t pid, parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_set_errno(err, errno, "no socket for the opener");
	pid = fork();
	if (pid == 0)
		opener_process_run(pair[1], parent, setup);
	close(pair[1]);
	if (pid < 0) {
		err_set_errno(err, errno, "the opener cannot be started");
		close(pair[0]);
		return false;
	}
	opener->socket = pair[0];
	atomic_init(&opener->pid, pid);
	return true;
}

struct opener *
opener_start(const struct config *config, const struct opener_user *user,
    spawn_fn *spawn, void *arg, struct err *err)
{
	struct covered *covered = covered_new(config);
	struct opener *opener = calloc(1, sizeof(*opener));
	const struct opener_setup setup = {
		.covered = covered,
		.user = user,
		.spawn = spawn,
		.arg = arg,
	};

	if (covered == NULL || opener == NULL) {
		err_set(err, "out of memory for the opener");
		goto fail;
	}
	mutex_init(&opener->lock);
	if (!fork_process(opener, &setup, err))
		goto fail;
	covered_free(covered);
	register_fallbacks(opener);
	return opener;

fail:
	covered_free(covered);
	free(opener);
	return NULL;
}

pid_t
opener_pid(const struct opener *opener)
{
	return opener ? atomic_load(&opener->pid) : -1;
}

void
opener_set_gone(struct opener *opener)
{
	atomic_store(&opener->pid, -1);
}

void
opener_free(struct opener *opener)
{
	if (opener == NULL)
		return;
	file_set_fallback(NULL);
	bind_set_fallback(NULL);
	close(opener->socket);
	mutex_fini(&opener->lock);
	free(opener);
}
