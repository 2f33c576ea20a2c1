/*
 * Opening sinks and writing to them.  Main opens and closes; the log thread
 * writes.  stdout and stderr are shared with whoever started us, so they are
 * never made non-blocking: a pipe is written only when poll says that it has
 * room, and then only as much as POSIX promises to fit, so that in practice
 * nothing but syslog can hold the writer up.
 */
#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log_line.h"

static enum log_sink_kind
kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return SINK_FILE;
	return S_ISSOCK(mode) ? SINK_SOCKET : SINK_PIPE;
}

static bool
borrow(struct log_sink *sink, int fd, const char *name, struct err *err)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0) {
		err_set_errno(err, errno, "cannot log to %s", name);
		return false;
	}
	*sink = (struct log_sink){ .kind = kind_of(stat.st_mode), .fd = fd };
	return true;
}

/*
 * O_NONBLOCK: opening a FIFO that nobody reads must fail, not wait; the
 * description is ours alone.
 */
static bool
open_path(struct log_sink *sink, const char *path, struct err *err)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
		    O_NONBLOCK;
	int fd = open(path, flags, 0640);

	if (fd < 0) {
		if (errno == ENXIO)
			err_set(err,
			    "cannot open the log %s: nobody reads this pipe",
			    path);
		else
			err_set_errno(
			    err, errno, "cannot open the log %s", path);
		return false;
	}
	if (!borrow(sink, fd, path, err)) {
		close(fd);
		return false;
	}
	sink->owned = true;
	return true;
}

/* The /dev names are borrowed too: a socket could not be opened by name. */
static bool
open_sink(struct log_sink *sink, const char *name, struct err *err)
{
	if (strcmp(name, "stderr") == 0 || strcmp(name, "/dev/stderr") == 0)
		return borrow(sink, STDERR_FILENO, name, err);
	if (strcmp(name, "stdout") == 0 || strcmp(name, "/dev/stdout") == 0)
		return borrow(sink, STDOUT_FILENO, name, err);
	if (strcmp(name, "syslog") == 0) {
		*sink = (struct log_sink){ .kind = SINK_SYSLOG, .fd = -1 };
		return true;
	}
	return open_path(sink, name, err);
}

bool
log_is_path(const char *option)
{
	static const char *const words[] = { "stderr", "stdout", "syslog",
		"same", "off" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(option, words[i]) == 0)
			return false;
	return true;
}

/* As syslog(3) connects: a stream where datagrams are refused. */
static int
connect_syslog(int type)
{
	const struct sockaddr_un daemon = {
		.sun_family = AF_UNIX,
		.sun_path = "/dev/log",
	};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)&daemon, sizeof(daemon)) != 0)
		error = errno;
	close(fd);
	/* A full queue is one of a daemon that exists. */
	return error == EAGAIN ? 0 : error;
}

bool
log_reach_syslog(struct err *err)
{
	int error = connect_syslog(SOCK_DGRAM);

	if (error == EPROTOTYPE)
		error = connect_syslog(SOCK_STREAM);
	if (error == 0)
		return true;
	err_set(err,
	    "no log daemon takes lines for syslog: /dev/log: %s; containers "
	    "have none: log to stderr there",
	    strerror(error));
	return false;
}

static bool
open_access(struct log_sinks *sinks, const char *name, struct err *err)
{
	sinks->access_same = strcmp(name, "same") == 0;
	if (sinks->access_same || strcmp(name, "off") == 0)
		return true;
	return open_sink(&sinks->access, name, err);
}

struct log_sinks *
log_sinks_open(const struct log_options *options, struct err *err)
{
	struct log_sinks *sinks = calloc(1, sizeof(*sinks));

	if (sinks == NULL) {
		err_set(err, "no memory for the log");
		return NULL;
	}
	sinks->format = options->format;
	sinks->events.fd = -1;
	sinks->access.fd = -1;
	if (!open_sink(&sinks->events, options->output, err) ||
	    !open_access(sinks, options->access, err)) {
		log_sinks_close(sinks);
		return NULL;
	}
	return sinks;
}

void
log_sinks_close(struct log_sinks *sinks)
{
	if (sinks == NULL)
		return;
	if (sinks->events.owned)
		close(sinks->events.fd);
	if (sinks->access.owned)
		close(sinks->access.fd);
	free(sinks);
}

/* As much as one write may take: whole lines if at least one fits. */
static size_t
whole_lines(const char *lines, size_t len, size_t max)
{
	const char *end;

	if (len <= max)
		return len;
	end = memrchr(lines, '\n', max);
	return end != NULL ? (size_t)(end - lines) + 1 : max;
}

/*
 * One line at a time.  openlog only stores its arguments; called each time it
 * needs no owner, and never closes a connection that another set still uses.
 */
static ssize_t
write_syslog(int priority, const char *lines, size_t len)
{
	const char *end = memchr(lines, '\n', len);
	size_t line = end != NULL ? (size_t)(end - lines) : len;
	const char *body = log_line_body(lines);

	openlog("clinch", LOG_PID, LOG_DAEMON);
	syslog(priority, "%.*s", (int)(lines + line - body), body);
	return (ssize_t)(line + (end != NULL));
}

static ssize_t
write_once(const struct log_sink *sink, const char *lines, size_t len)
{
	switch (sink->kind) {
	case SINK_FILE:
		return write(sink->fd, lines, len);
	case SINK_SOCKET:
		return send(sink->fd, lines, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_PIPE:
		return write(
		    sink->fd, lines, whole_lines(lines, len, PIPE_BUF));
	case SINK_NONE:
	case SINK_SYSLOG:
		break;
	}
	return (ssize_t)len;
}

/* false: no room within wait_ms.  A broken sink counts as having room. */
static bool
await_room(const struct log_sink *sink, int wait_ms)
{
	struct pollfd waiting = { .fd = sink->fd, .events = POLLOUT };

	if (sink->kind != SINK_PIPE && sink->kind != SINK_SOCKET)
		return true;
	return poll(&waiting, 1, wait_ms) > 0;
}

/* Access lines are information. */
static int
priority_of(uint16_t tag)
{
	static const int priorities[] = {
		[LEVEL_ERROR] = LOG_ERR,
		[LEVEL_WARNING] = LOG_WARNING,
		[LEVEL_NOTICE] = LOG_NOTICE,
		[LEVEL_INFO] = LOG_INFO,
		[LEVEL_DEBUG] = LOG_DEBUG,
		[LOG_TAG_ACCESS] = LOG_INFO,
	};

	return priorities[tag];
}

ssize_t
log_sinks_write(const struct log_sinks *sinks, uint16_t tag, const char *lines,
    size_t len, int wait_ms)
{
	bool is_apart = tag == LOG_TAG_ACCESS && !sinks->access_same;
	const struct log_sink *sink = is_apart ? &sinks->access
					       : &sinks->events;
	ssize_t gone;

	if (sink->kind == SINK_SYSLOG)
		return write_syslog(priority_of(tag), lines, len);
	if (!await_room(sink, wait_ms))
		return 0;
	gone = write_once(sink, lines, len);
	if (gone >= 0)
		return gone;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}
