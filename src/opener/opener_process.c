/*
 * The process of the opener.  One thread, root, no log, no configuration but
 * the covered paths: it opens what a request names and sends the descriptor.
 *
 * Every request comes from a process that may have been taken over, so that
 * nothing in it is believed: its size, its kind, the termination of its path
 * and the lengths in its address are checked, paths have to be covered, and the
 * way to them must not be in the hands of the user.  A wrong request is refused
 * and not fatal: the end of the opener would be a loss for the operator.
 */
#include "opener/opener_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/thread.h"
#include "opener/covered.h"
#include "opener/opener_message.h"
#include "opener/trusted_path.h"

#define TITLE "clinch: opener"
#define NAME "clinch-opener" /* at most 15 bytes */
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)

static int
refuse(struct opener_reply *reply, enum opener_refusal refusal)
{
	reply->refusal = refusal;
	errno = EACCES;
	return -1;
}

/* ---- Files ---- */

static bool
walk(struct trusted_path *path, const char *text, enum trusted_links links,
    const struct opener_setup *setup, struct opener_reply *reply)
{
	bool changeable;

	if (trusted_path_walk(path, text, links, setup->user, &changeable))
		return true;
	if (changeable)
		(void)refuse(reply, REFUSAL_CHANGEABLE);
	return false;
}

static int
close_path(struct trusted_path *path, int result)
{
	file_close(path->folder);
	return result;
}

static int
drop_fd(int fd)
{
	file_close(fd);
	return -1;
}

static int
open_file(const char *text, const struct opener_setup *setup,
    struct opener_reply *reply)
{
	struct trusted_path path;
	struct stat status;
	int fd = -1;

	if (!covered_has_file(setup->covered, text))
		return refuse(reply, REFUSAL_NOT_COVERED);
	if (!walk(&path, text, TRUSTED_LINKS_FOLLOW, setup, reply))
		return -1;
	/* Before it is opened: the opening of a device has effects. */
	if (fstatat(path.folder, path.name, &status, AT_SYMLINK_NOFOLLOW) ==
		0 &&
	    !S_ISREG(status.st_mode))
		(void)refuse(reply, REFUSAL_FILE_KIND);
	else
		fd = openat(path.folder, path.name, READ_FLAGS);
	return close_path(&path, fd);
}

static int
open_folder(const char *text, const struct opener_setup *setup,
    struct opener_reply *reply)
{
	struct trusted_path path;

	if (!covered_has_folder(setup->covered, text))
		return refuse(reply, REFUSAL_NOT_COVERED);
	if (!walk(&path, text, TRUSTED_LINKS_FOLLOW, setup, reply))
		return -1;
	return close_path(
	    &path, openat(path.folder, path.name, READ_FLAGS | O_DIRECTORY));
}

static int
read_status(const char *text, enum trusted_links links,
    const struct opener_setup *setup, struct opener_reply *reply)
{
	struct trusted_path path;

	if (!covered_has_file(setup->covered, text) &&
	    !covered_has_folder(setup->covered, text) &&
	    !covered_has_socket(setup->covered, text))
		return refuse(reply, REFUSAL_NOT_COVERED);
	if (!walk(&path, text, links, setup, reply))
		return -1;
	return close_path(&path, fstatat(path.folder, path.name, &reply->status,
				     AT_SYMLINK_NOFOLLOW));
}

/* The owner is set last, on the descriptor of a file that has no other name. */
static int
take_log(int fd, const struct opener_user *user, struct opener_reply *reply)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return drop_fd(fd);
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1) {
		(void)refuse(reply, REFUSAL_FILE_KIND);
		return drop_fd(fd);
	}
	if (fchown(fd, user->uid, user->gid) != 0)
		return drop_fd(fd);
	return fd;
}

static int
open_log(const char *text, const struct opener_setup *setup,
    struct opener_reply *reply)
{
	const char *resolved = covered_find_log(setup->covered, text);
	struct trusted_path path;
	int fd;

	if (resolved == NULL)
		return refuse(reply, REFUSAL_NOT_COVERED);
	if (!walk(&path, resolved, TRUSTED_LINKS_NONE, setup, reply)) {
		if (errno == ELOOP)
			(void)refuse(reply, REFUSAL_FILE_KIND);
		return -1;
	}
	fd = openat(
	    path.folder, path.name, FILE_LOG_FLAGS | O_NOFOLLOW, FILE_LOG_MODE);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		(void)refuse(reply, REFUSAL_FILE_KIND);
	if (fd >= 0)
		fd = take_log(fd, setup->user, reply);
	return close_path(&path, fd);
}

/* ---- Sockets ---- */

static int
bind_port(const struct opener_request *request, struct opener_reply *reply)
{
	const struct addr *addr = &request->addr;

	if (memchr(request->options.device, '\0',
		sizeof(request->options.device)) == NULL)
		return refuse(reply, REFUSAL_REQUEST);
	if (!(addr->len == sizeof(addr->in) && addr->sa.sa_family == AF_INET) &&
	    !(addr->len == sizeof(addr->in6) && addr->sa.sa_family == AF_INET6))
		return refuse(reply, REFUSAL_REQUEST);
	return bind_tcp_here(addr, &request->options);
}

/* Remove a socket that no process listens on; true: the path is free. */
static bool
remove_stale(const struct trusted_path *path, const struct addr *addr)
{
	struct stat status;
	bool is_stale;
	int fd;

	if (fstatat(path->folder, path->name, &status, AT_SYMLINK_NOFOLLOW) !=
	    0)
		return errno == ENOENT;
	if (!S_ISSOCK(status.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_stale = connect(fd, &addr->sa, addr->len) != 0 &&
		   errno == ECONNREFUSED;
	close(fd);
	return is_stale && unlinkat(path->folder, path->name, 0) == 0;
}

/* The mode is set before bind, so that the file never has a wider one, and
 * after it, because bind subtracts the umask. */
static int
bind_file(const struct trusted_path *path, const struct addr *addr,
    unsigned mode, const struct opener_user *user)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	rc = fchmod(fd, mode);
	if (rc == 0)
		rc = bind(fd, &addr->sa, addr->len);
	if (rc != 0 && errno == EADDRINUSE) {
		if (remove_stale(path, addr))
			rc = bind(fd, &addr->sa, addr->len);
		else
			errno = EADDRINUSE;
	}
	if (rc == 0)
		rc = fchmodat(
		    path->folder, path->name, mode, AT_SYMLINK_NOFOLLOW);
	if (rc == 0)
		rc = fchownat(path->folder, path->name, user->uid, user->gid,
		    AT_SYMLINK_NOFOLLOW);
	return rc == 0 ? fd : drop_fd(fd);
}

static int
bind_path(const struct opener_request *request,
    const struct opener_setup *setup, struct opener_reply *reply)
{
	const struct addr *addr = &request->addr;
	char text[sizeof(addr->un.sun_path) + 1] = { 0 };
	struct trusted_path path;

	if (addr->sa.sa_family != AF_UNIX || addr->len > sizeof(addr->un) ||
	    addr->un.sun_path[0] == '\0' || (request->mode & ~0777u) != 0)
		return refuse(reply, REFUSAL_REQUEST);
	memcpy(text, addr->un.sun_path, sizeof(addr->un.sun_path));
	if (!covered_has_socket(setup->covered, text))
		return refuse(reply, REFUSAL_NOT_COVERED);
	if (!walk(&path, text, TRUSTED_LINKS_KEEP, setup, reply))
		return -1;
	return close_path(
	    &path, bind_file(&path, addr, request->mode, setup->user));
}

/* ---- A new process ---- */

/* What the process in between reports. */
struct spawned {
	pid_t pid; /* -1: the text is set */
	char text[sizeof(((struct opener_reply *)0)->text)];
};

static void
report_spawn(int out, int fd, const struct opener_setup *setup)
{
	struct spawned spawned = { .pid = -1 };
	struct err err = { "" };

	spawned.pid = setup->spawn(setup->arg, fd, &err);
	snprintf(spawned.text, sizeof(spawned.text), "%.*s",
	    (int)sizeof(spawned.text) - 1, err.text);
	_exit(write(out, &spawned, sizeof(spawned)) != sizeof(spawned));
}

/*
 * By a process in between, which ends at once: its child becomes that of the
 * main process (a subreaper), which waits for it and gets its status.
 */
static int
spawn(int fd, const struct opener_setup *setup, struct opener_reply *reply)
{
	struct spawned spawned = { .pid = -1 };
	ssize_t got;
	pid_t pid;
	int ends[2];

	if (setup->spawn == NULL || fd < 0)
		return refuse(reply, REFUSAL_REQUEST);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		report_spawn(ends[1], fd, setup);
	close(ends[1]);
	got = pid < 0 ? -1 : read(ends[0], &spawned, sizeof(spawned));
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (got == sizeof(spawned) && spawned.pid > 0) {
		reply->pid = spawned.pid;
		return 0;
	}
	memcpy(reply->text, spawned.text, sizeof(reply->text));
	errno = EAGAIN;
	return -1;
}

/* ---- Requests ---- */

/* Nothing else of a message of another size is looked at. */
static bool
is_well_formed(const struct opener_request *request, ssize_t size)
{
	return size == sizeof(*request) &&
	       memchr(request->path, '\0', sizeof(request->path)) != NULL;
}

/* A descriptor for the reply; -1: none.  errno is 0 after success. */
static int
answer(const struct opener_request *request, int fd,
    const struct opener_setup *setup, struct opener_reply *reply)
{
	int result;

	switch (request->kind) {
	case OPENER_FILE:
		return open_file(request->path, setup, reply);
	case OPENER_FOLDER:
		return open_folder(request->path, setup, reply);
	case OPENER_LOG:
		return open_log(request->path, setup, reply);
	case OPENER_TCP_SOCKET:
		return bind_port(request, reply);
	case OPENER_UNIX_SOCKET:
		return bind_path(request, setup, reply);
	case OPENER_STAT:
		result = read_status(
		    request->path, TRUSTED_LINKS_FOLLOW, setup, reply);
		break;
	case OPENER_LSTAT:
		result = read_status(
		    request->path, TRUSTED_LINKS_KEEP, setup, reply);
		break;
	case OPENER_SPAWN:
		result = spawn(fd, setup, reply);
		break;
	default:
		return refuse(reply, REFUSAL_REQUEST);
	}
	if (result == 0)
		errno = 0;
	return -1;
}

void
opener_serve(int socket, const struct opener_setup *setup)
{
	struct opener_request request;
	struct opener_reply reply;
	bool sent = true;
	ssize_t size;
	int fd, result;

	while (sent && (size = opener_receive(
			    socket, &request, sizeof(request), &fd)) > 0) {
		memset(&reply, 0, sizeof(reply));
		if (is_well_formed(&request, size))
			result = answer(&request, fd, setup, &reply);
		else
			result = refuse(&reply, REFUSAL_REQUEST);
		reply.errnum = result >= 0 ? 0 : errno;
		sent = opener_send(socket, &reply, sizeof(reply), result);
		if (result >= 0)
			close(result);
		if (fd >= 0)
			close(fd);
	}
}

/* ---- The process ---- */

/* Every inherited descriptor goes: a listening socket that stayed open here
 * would keep its port. */
static void
close_others(int kept)
{
	struct rlimit limit;
	int fd, end = 1024;

	if (close_range(STDERR_FILENO + 1, (unsigned)kept - 1, 0) == 0 &&
	    close_range((unsigned)kept + 1, ~0u, 0) == 0)
		return;
	/* A kernel or filter without this system call. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_max < 1024UL * 1024UL)
		end = (int)limit.rlim_max;
	for (fd = STDERR_FILENO + 1; fd < end; fd++)
		if (fd != kept)
			close(fd);
}

/* The arguments lie in one piece, which begins with the name of the program. */
static void
set_title(void)
{
	char bytes[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;

	if (fd >= 0)
		close(fd);
	(void)prctl(PR_SET_NAME, NAME, 0, 0, 0);
	if (length <= 0 || strcmp(bytes, program_invocation_name) != 0)
		return;
	memset(program_invocation_name, 0, (size_t)length);
	snprintf(program_invocation_name, (size_t)length, "%s", TITLE);
}

void
opener_process_run(int socket, pid_t parent, const struct opener_setup *setup)
{
	/* Signals for the group (Ctrl-C, a service manager's stop) are for the
	 * main process: this one ends when that has ended. */
	thread_block_signals();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	close_others(socket);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	set_title();
	opener_serve(socket, setup);
	_exit(0);
}
