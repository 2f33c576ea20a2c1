/*
 * The ring between the threads that log and the sinks, and the log thread that
 * empties it.  A thread that logs copies its line into the ring under the one
 * lock here; the log thread copies lines out and writes them without a lock.
 * The main thread opens sinks and publishes them; the log thread uses a set
 * until it looks under the lock again, and the last holder closes it.
 *
 * Two decisions.  stdout and stderr are shared with the parent process, so
 * they are never made non-blocking: a pipe is written only when poll reports
 * room, and then at most what POSIX guarantees to fit, so that only syslog can
 * block the log thread in practice.  And a log thread that is still blocked in
 * its sink when the log is freed is detached, not joined, because a join could
 * keep the process from ending: the object is left to it, and it frees the
 * object if the sink ever returns.
 */
#include "base/log_thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log_format.h"
#include "base/mutex.h"
#include "base/thread.h"

/* ---- the ring ---- */

/*
 * head and tail only grow: their difference is the fill even after they
 * overflow, so that full and empty differ.  A record is in front of each line
 * and may wrap around the end, as the line may.
 */
struct record {
	uint16_t len;
	uint16_t tag;
};

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
copy_in(struct log_ring *ring, const void *from, size_t len)
{
	size_t at = ring->tail & (ring->size - 1);
	size_t first = least(len, ring->size - at);

	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, (const char *)from + first, len - first);
	ring->tail += len;
}

static void
copy_out(const struct log_ring *ring, size_t from, void *to, size_t len)
{
	size_t at = from & (ring->size - 1);
	size_t first = least(len, ring->size - at);

	memcpy(to, ring->bytes + at, first);
	memcpy((char *)to + first, ring->bytes, len - first);
}

bool
log_ring_init(struct log_ring *ring, size_t size)
{
	assert(size != 0 && (size & (size - 1)) == 0);
	*ring = (struct log_ring){ .bytes = malloc(size), .size = size };
	return ring->bytes != NULL;
}

void
log_ring_fini(struct log_ring *ring)
{
	free(ring->bytes);
	*ring = (struct log_ring){ 0 };
}

bool
log_ring_put(struct log_ring *ring, uint16_t tag, const char *line, size_t len)
{
	struct record record = { .len = (uint16_t)len, .tag = tag };

	assert(len <= UINT16_MAX);
	if (ring->size - log_ring_used(ring) < sizeof(record) + len)
		return false;
	copy_in(ring, &record, sizeof(record));
	copy_in(ring, line, len);
	return true;
}

size_t
log_ring_take(struct log_ring *ring, char *out, size_t max, uint16_t *tag)
{
	struct record record;
	size_t len = 0;

	while (log_ring_used(ring) > 0) {
		copy_out(ring, ring->head, &record, sizeof(record));
		if (len > 0 && (record.tag != *tag || record.len > max - len))
			break;
		assert(record.len <= max);
		*tag = record.tag;
		copy_out(
		    ring, ring->head + sizeof(record), out + len, record.len);
		len += record.len;
		ring->head += sizeof(record) + record.len;
	}
	return len;
}

/* ---- sinks ---- */

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

/* No other process shares this file description. */
static bool
open_path(struct log_sink *sink, const char *path, struct err *err)
{
	int fd = file_open_log(path);

	if (fd < 0) {
		if (errno == ENXIO)
			err_set(err,
			    "cannot open the log %s: this pipe has no reader",
			    path);
		else
			err_set_errno(
			    err, errno, "cannot open the log %s", path);
		return file_explain(err);
	}
	if (!borrow(sink, fd, path, err)) {
		close(fd);
		return false;
	}
	sink->owned = true;
	return true;
}

/* The /dev names use the descriptor too: a socket cannot be opened by name. */
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

/* As syslog(3) does: a stream where datagrams are refused.  0 or an errno. */
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
	/* A full queue belongs to a running daemon. */
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
	    "no log daemon listens for syslog: /dev/log: %s (containers have "
	    "none: log to stderr there)",
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

/* Bytes for one write of at most max: whole lines if at least one fits. */
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
 * One line a call.  openlog only stores its arguments: calling it each time
 * needs no state, and closelog could close what another set still uses.
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

/*
 * Write the beginning of some lines, all with one tag, to their sink.  Returns
 * the bytes written, 0 if none could be within wait_ms (-1: no limit), -1 if
 * the sink is broken (disk full, reader gone).
 */
static ssize_t
write_sinks(const struct log_sinks *sinks, uint16_t tag, const char *lines,
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

/* ---- the log thread ---- */

enum {
	RING_SIZE = 1 << 20,
	RING_BUSY = RING_SIZE / 4 * 3, /* above: notice and worse only */
	BATCH_MAX = 64 * 1024,
	WAIT_MS = 50,     /* a blocked thread checks for new sinks */
	REPORT_MS = 1000, /* between two reports of dropped lines */
	FLUSH_MS = 1000,  /* log_free: for the thread to write the rest */
	GRACE_MS = 200    /* and then to end */
};

struct log_thread {
	/* fixed at creation */
	struct mutex lock;
	pthread_cond_t work;  /* for the log thread */
	pthread_cond_t ended; /* for log_thread_free */

	/* relaxed atomic */
	atomic_uint_fast64_t dropped;

	/* under lock */
	struct log_ring ring;
	struct log_sinks *sinks;
	bool is_started;
	bool is_stopping;
	bool is_ended;
	bool is_abandoned;
	int64_t deadline_ms; /* monotonic; when is_stopping */

	/* main thread only */
	struct thread thread;

	/* log thread only */
	struct log_sinks *using;
	int64_t until_ms; /* INT64_MAX: for ever */
	uint64_t reported;
	int64_t reported_ms;
	char batch[BATCH_MAX];
};

/* Returns the set if that was its last holder: close it without the lock. */
static struct log_sinks *release_locked(
    struct log_thread *log, struct log_sinks *sinks) REQUIRES(log->lock);
static bool enqueue_locked(struct log_thread *log, uint16_t tag,
    const char *line, size_t len) REQUIRES(log->lock);
static struct log_sinks *look_locked(struct log_thread *log)
    REQUIRES(log->lock);

static struct log_sinks *
release_locked(struct log_thread *log, struct log_sinks *sinks)
{
	(void)log;
	if (sinks == NULL || --sinks->holders > 0)
		return NULL;
	return sinks;
}

/* ---- the log thread ---- */

/* Take over the current sinks and the deadline.  Returns a set to close. */
static struct log_sinks *
look_locked(struct log_thread *log)
{
	struct log_sinks *old = log->using;

	log->until_ms = log->is_stopping ? log->deadline_ms : INT64_MAX;
	if (old == log->sinks)
		return NULL;
	log->using = log->sinks;
	log->using->holders++;
	return release_locked(log, old);
}

/* Returns whether the sinks have changed. */
static bool
refresh(struct log_thread *log)
{
	const struct log_sinks *before = log->using;
	struct log_sinks *last;
	bool changed;

	mutex_lock(&log->lock);
	last = look_locked(log);
	changed = log->using != before;
	mutex_unlock(&log->lock);
	log_sinks_close(last);
	return changed;
}

static bool
is_in_time(const struct log_thread *log)
{
	return log->until_ms == INT64_MAX || clock_mono_ms() < log->until_ms;
}

static void
write_batch(struct log_thread *log, uint16_t tag, size_t len)
{
	size_t done = 0;

	while (done < len && is_in_time(log)) {
		ssize_t gone = write_sinks(
		    log->using, tag, log->batch + done, len - done, WAIT_MS);

		if (gone < 0)
			break;
		done += (size_t)gone;
		/* A line begun in the old sink is repeated as a whole. */
		if (done < len && refresh(log))
			done = log_line_start(log->batch, done);
	}
	atomic_fetch_add_explicit(&log->dropped,
	    log_line_count(log->batch + done, len - done),
	    memory_order_relaxed);
}

/* Wait for lines, new sinks or the stop; false: the thread should end. */
static bool
next_batch(struct log_thread *log, uint16_t *tag, size_t *len)
{
	struct log_sinks *last;

	mutex_lock(&log->lock);
	while (!log->is_stopping && log->using == log->sinks &&
	       log_ring_used(&log->ring) == 0)
		pthread_cond_wait(&log->work, &log->lock.native);
	last = look_locked(log);
	*len = log_ring_take(&log->ring, log->batch, BATCH_MAX, tag);
	mutex_unlock(&log->lock);
	log_sinks_close(last);
	return log->until_ms == INT64_MAX || (*len > 0 && is_in_time(log));
}

/* When the ring is empty, or else every REPORT_MS. */
static bool
is_report_due(struct log_thread *log, uint64_t dropped, int64_t now)
{
	bool idle;

	if (dropped == log->reported)
		return false;
	mutex_lock(&log->lock);
	idle = log_ring_used(&log->ring) == 0;
	mutex_unlock(&log->lock);
	return idle || now - log->reported_ms >= REPORT_MS;
}

static void
report_drops(struct log_thread *log)
{
	uint64_t dropped = log_thread_dropped(log);
	int64_t now = clock_mono_ms();
	struct log_field fields[] = { { 0 },
		LOG_N("dropped", dropped - log->reported) };
	struct log_event event = { .level = LEVEL_WARNING,
		.component = "log",
		.message = "lines dropped: the output is too slow",
		.fields = fields,
		.count = ARRAY_LEN(fields) };

	if (!is_report_due(log, dropped, now))
		return;
	write_batch(log, LEVEL_WARNING,
	    log_line_format(
		log->batch, log->using->format, clock_wall_ms(), &event));
	log->reported = dropped;
	log->reported_ms = now;
}

static void
destroy(struct log_thread *log)
{
	log_sinks_close(log->sinks);
	log_ring_fini(&log->ring);
	pthread_cond_destroy(&log->ended);
	pthread_cond_destroy(&log->work);
	mutex_fini(&log->lock);
	free(log);
}

/* log_thread_free frees the object, or leaves that to this function. */
static void
finish(struct log_thread *log)
{
	struct log_sinks *last;
	bool is_abandoned;

	mutex_lock(&log->lock);
	last = release_locked(log, log->using);
	log->using = NULL;
	log->is_ended = true;
	is_abandoned = log->is_abandoned;
	pthread_cond_signal(&log->ended);
	mutex_unlock(&log->lock);
	log_sinks_close(last);
	if (is_abandoned)
		destroy(log);
}

static void
empty_ring(void *arg)
{
	struct log_thread *log = arg;
	uint16_t tag = 0;
	size_t len = 0;

	while (next_batch(log, &tag, &len)) {
		write_batch(log, tag, len);
		report_drops(log);
	}
	finish(log);
}

/* ---- any thread ---- */

/* Returns whether the log thread may be waiting. */
static bool
enqueue_locked(
    struct log_thread *log, uint16_t tag, const char *line, size_t len)
{
	size_t used = log_ring_used(&log->ring);
	bool is_dispensable = tag >= LEVEL_INFO;

	if ((is_dispensable && used + len > RING_BUSY) ||
	    !log_ring_put(&log->ring, tag, line, len)) {
		atomic_fetch_add_explicit(
		    &log->dropped, 1, memory_order_relaxed);
		return false;
	}
	return used == 0;
}

/* Before the log thread runs: waits for a blocked sink. */
static void
write_directly(struct log_thread *log, struct log_sinks *sinks, uint16_t tag,
    const char *line, size_t len)
{
	struct log_sinks *last;
	ssize_t gone;

	for (; len > 0; line += gone, len -= (size_t)gone) {
		gone = write_sinks(sinks, tag, line, len, -1);
		if (gone < 0)
			break;
	}
	mutex_lock(&log->lock);
	last = release_locked(log, sinks);
	mutex_unlock(&log->lock);
	log_sinks_close(last);
}

void
log_thread_submit(
    struct log_thread *log, uint16_t tag, const char *line, size_t len)
{
	struct log_sinks *sinks = NULL;
	bool wake = false;

	mutex_lock(&log->lock);
	if (log->is_started) {
		wake = enqueue_locked(log, tag, line, len);
	} else {
		sinks = log->sinks;
		sinks->holders++;
	}
	mutex_unlock(&log->lock);
	if (wake)
		pthread_cond_signal(&log->work);
	if (sinks != NULL)
		write_directly(log, sinks, tag, line, len);
}

uint64_t
log_thread_dropped(const struct log_thread *log)
{
	return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

/* ---- the main thread ---- */

static void
init_conditions(struct log_thread *log)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&log->work, &attr);
	pthread_cond_init(&log->ended, &attr);
	pthread_condattr_destroy(&attr);
}

struct log_thread *
log_thread_new(struct log_sinks *sinks)
{
	struct log_thread *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	mutex_init(&log->lock);
	init_conditions(log);
	log->sinks = sinks;
	sinks->holders = 1;
	return log;
}

void
log_thread_publish(struct log_thread *log, struct log_sinks *fresh)
{
	struct log_sinks *last;

	fresh->holders = 1;
	mutex_lock(&log->lock);
	last = release_locked(log, log->sinks);
	log->sinks = fresh;
	mutex_unlock(&log->lock);
	/* A waiting thread would keep the old file open until the next line. */
	pthread_cond_signal(&log->work);
	log_sinks_close(last);
}

bool
log_thread_start(struct log_thread *log, struct err *err)
{
	if (!log_ring_init(&log->ring, RING_SIZE)) {
		err_set(err, "no memory for the log");
		return false;
	}
	if (!thread_start(&log->thread, "log", empty_ring, log, err)) {
		log_ring_fini(&log->ring);
		return false;
	}
	mutex_lock(&log->lock);
	log->is_started = true;
	mutex_unlock(&log->lock);
	return true;
}

/* Stop the thread and wait for its end; false: it is blocked in its sink. */
static bool
stop(struct log_thread *log)
{
	int64_t end_ms = clock_mono_ms() + FLUSH_MS + GRACE_MS;
	struct timespec until = { .tv_sec = end_ms / 1000,
		.tv_nsec = end_ms % 1000 * 1000000 };
	struct thread thread = log->thread;
	bool is_ended;

	mutex_lock(&log->lock);
	log->is_stopping = true;
	log->deadline_ms = end_ms - GRACE_MS;
	pthread_cond_signal(&log->work);
	while (!log->is_ended && pthread_cond_timedwait(&log->ended,
				     &log->lock.native, &until) == 0)
		;
	is_ended = log->is_ended;
	log->is_abandoned = !is_ended;
	mutex_unlock(&log->lock);
	/* From here on an abandoned object belongs to its thread. */
	if (is_ended)
		thread_join(&thread);
	else
		thread_detach(&thread);
	return is_ended;
}

void
log_thread_free(struct log_thread *log)
{
	if (log != NULL && (!log->thread.running || stop(log)))
		destroy(log);
}
