/*
 * The queue between whoever logs and the sinks.  Lines are copied into the
 * ring under the one lock here; the log thread copies them out and writes
 * them with no lock held.  Sinks change hands as counted sets: main publishes
 * a new set under the lock, the log thread keeps using the old one until it
 * looks again, and the last holder closes it.  If a sink is still stuck when
 * the writer is freed, the thread cannot be stopped without risking a process
 * that never ends: it is then left the whole object and frees it should it
 * ever come back.
 */
#include "base/log_writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log_line.h"
#include "base/log_ring.h"
#include "base/log_sink.h"
#include "base/mutex.h"
#include "base/thread.h"

enum {
	RING_SIZE = 1 << 20,
	RING_BUSY = RING_SIZE / 4 * 3, /* from here on only what matters */
	BATCH_MAX = 64 * 1024,
	WAIT_MS = 50,     /* how often a blocked thread looks around */
	REPORT_MS = 1000, /* between two reports of dropped lines */
	FLUSH_MS = 1000,  /* what log_free grants the thread */
	GRACE_MS = 200    /* and how much later it stops waiting for it */
};

struct log_writer {
	/* fixed at creation */
	struct mutex lock;
	pthread_cond_t work;  /* for the log thread */
	pthread_cond_t ended; /* for log_writer_free */

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

/* Returns the set if nobody holds it any more: close it without the lock. */
static struct log_sinks *release_locked(
    struct log_writer *writer, struct log_sinks *sinks) REQUIRES(writer->lock);
static bool enqueue_locked(struct log_writer *writer, uint16_t tag,
    const char *line, size_t len) REQUIRES(writer->lock);
static struct log_sinks *look_locked(struct log_writer *writer)
    REQUIRES(writer->lock);

static struct log_sinks *
release_locked(struct log_writer *writer, struct log_sinks *sinks)
{
	(void)writer;
	if (sinks == NULL || --sinks->holders > 0)
		return NULL;
	return sinks;
}

/* ---- the log thread ---- */

/* See what main wants: the current sinks, and whether to hurry. */
static struct log_sinks *
look_locked(struct log_writer *writer)
{
	struct log_sinks *old = writer->using;

	writer->until_ms = writer->is_stopping ? writer->deadline_ms
					       : INT64_MAX;
	if (old == writer->sinks)
		return NULL;
	writer->using = writer->sinks;
	writer->using->holders++;
	return release_locked(writer, old);
}

/* Returns whether the sinks are others now. */
static bool
refresh(struct log_writer *writer)
{
	const struct log_sinks *before = writer->using;
	struct log_sinks *last;
	bool changed;

	mutex_lock(&writer->lock);
	last = look_locked(writer);
	changed = writer->using != before;
	mutex_unlock(&writer->lock);
	log_sinks_close(last);
	return changed;
}

static bool
is_in_time(const struct log_writer *writer)
{
	return writer->until_ms == INT64_MAX ||
	       clock_mono_ms() < writer->until_ms;
}

static void
write_batch(struct log_writer *writer, uint16_t tag, size_t len)
{
	size_t done = 0;

	while (done < len && is_in_time(writer)) {
		ssize_t gone = log_sinks_write(writer->using, tag,
		    writer->batch + done, len - done, WAIT_MS);

		if (gone < 0)
			break;
		done += (size_t)gone;
		/* A line begun in the old sink is written anew, whole. */
		if (done < len && refresh(writer))
			done = log_line_start(writer->batch, done);
	}
	atomic_fetch_add_explicit(&writer->dropped,
	    log_line_count(writer->batch + done, len - done),
	    memory_order_relaxed);
}

/* Wait for lines, for new sinks or for the end; false: nothing left to do. */
static bool
next_batch(struct log_writer *writer, uint16_t *tag, size_t *len)
{
	struct log_sinks *last;

	mutex_lock(&writer->lock);
	while (!writer->is_stopping && writer->using == writer->sinks &&
	       log_ring_used(&writer->ring) == 0)
		pthread_cond_wait(&writer->work, &writer->lock.native);
	last = look_locked(writer);
	*len = log_ring_take(&writer->ring, writer->batch, BATCH_MAX, tag);
	mutex_unlock(&writer->lock);
	log_sinks_close(last);
	return writer->until_ms == INT64_MAX ||
	       (*len > 0 && is_in_time(writer));
}

/* Once the backlog is written, or now and then if it never is. */
static bool
is_report_due(struct log_writer *writer, uint64_t dropped, int64_t now)
{
	bool idle;

	if (dropped == writer->reported)
		return false;
	mutex_lock(&writer->lock);
	idle = log_ring_used(&writer->ring) == 0;
	mutex_unlock(&writer->lock);
	return idle || now - writer->reported_ms >= REPORT_MS;
}

static void
report_drops(struct log_writer *writer)
{
	uint64_t dropped = log_writer_dropped(writer);
	int64_t now = clock_mono_ms();
	struct log_field fields[] = { { 0 },
		LOG_N("dropped", dropped - writer->reported) };
	struct log_event event = { .level = LEVEL_WARNING,
		.component = "log",
		.message = "lines were dropped, the output is too slow",
		.fields = fields,
		.count = ARRAY_LEN(fields) };

	if (!is_report_due(writer, dropped, now))
		return;
	write_batch(writer, LEVEL_WARNING,
	    log_line_format(
		writer->batch, writer->using->format, clock_wall_ms(), &event));
	writer->reported = dropped;
	writer->reported_ms = now;
}

static void
destroy(struct log_writer *writer)
{
	log_sinks_close(writer->sinks);
	log_ring_fini(&writer->ring);
	pthread_cond_destroy(&writer->ended);
	pthread_cond_destroy(&writer->work);
	mutex_fini(&writer->lock);
	free(writer);
}

/* log_writer_free joins after is_ended; what it abandoned is freed here. */
static void
finish(struct log_writer *writer)
{
	struct log_sinks *last;
	bool is_abandoned;

	mutex_lock(&writer->lock);
	last = release_locked(writer, writer->using);
	writer->using = NULL;
	writer->is_ended = true;
	is_abandoned = writer->is_abandoned;
	pthread_cond_signal(&writer->ended);
	mutex_unlock(&writer->lock);
	log_sinks_close(last);
	if (is_abandoned)
		destroy(writer);
}

static void
empty_ring(void *arg)
{
	struct log_writer *writer = arg;
	uint16_t tag = 0;
	size_t len = 0;

	while (next_batch(writer, &tag, &len)) {
		write_batch(writer, tag, len);
		report_drops(writer);
	}
	finish(writer);
}

/* ---- whoever logs ---- */

/* Returns whether the log thread may be asleep. */
static bool
enqueue_locked(
    struct log_writer *writer, uint16_t tag, const char *line, size_t len)
{
	size_t used = log_ring_used(&writer->ring);
	bool is_dispensable = tag >= LEVEL_INFO;

	if ((is_dispensable && used + len > RING_BUSY) ||
	    !log_ring_put(&writer->ring, tag, line, len)) {
		atomic_fetch_add_explicit(
		    &writer->dropped, 1, memory_order_relaxed);
		return false;
	}
	return used == 0;
}

/* Before the log thread runs; waits for a blocked sink as any program does. */
static void
write_directly(struct log_writer *writer, struct log_sinks *sinks, uint16_t tag,
    const char *line, size_t len)
{
	struct log_sinks *last;
	ssize_t gone;

	for (; len > 0; line += gone, len -= (size_t)gone) {
		gone = log_sinks_write(sinks, tag, line, len, -1);
		if (gone < 0)
			break;
	}
	mutex_lock(&writer->lock);
	last = release_locked(writer, sinks);
	mutex_unlock(&writer->lock);
	log_sinks_close(last);
}

void
log_writer_submit(
    struct log_writer *writer, uint16_t tag, const char *line, size_t len)
{
	struct log_sinks *sinks = NULL;
	bool wake = false;

	mutex_lock(&writer->lock);
	if (writer->is_started) {
		wake = enqueue_locked(writer, tag, line, len);
	} else {
		sinks = writer->sinks;
		sinks->holders++;
	}
	mutex_unlock(&writer->lock);
	if (wake)
		pthread_cond_signal(&writer->work);
	if (sinks != NULL)
		write_directly(writer, sinks, tag, line, len);
}

uint64_t
log_writer_dropped(const struct log_writer *writer)
{
	return atomic_load_explicit(&writer->dropped, memory_order_relaxed);
}

/* ---- main ---- */

static void
init_conditions(struct log_writer *writer)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &attr);
	pthread_cond_init(&writer->ended, &attr);
	pthread_condattr_destroy(&attr);
}

struct log_writer *
log_writer_new(struct log_sinks *sinks)
{
	struct log_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return NULL;
	mutex_init(&writer->lock);
	init_conditions(writer);
	writer->sinks = sinks;
	sinks->holders = 1;
	return writer;
}

void
log_writer_publish(struct log_writer *writer, struct log_sinks *fresh)
{
	struct log_sinks *last;

	fresh->holders = 1;
	mutex_lock(&writer->lock);
	last = release_locked(writer, writer->sinks);
	writer->sinks = fresh;
	mutex_unlock(&writer->lock);
	/* An idle thread would hold the old file open until the next line. */
	pthread_cond_signal(&writer->work);
	log_sinks_close(last);
}

bool
log_writer_start(struct log_writer *writer, struct err *err)
{
	if (!log_ring_init(&writer->ring, RING_SIZE)) {
		err_set(err, "no memory for the log");
		return false;
	}
	if (!thread_start(&writer->thread, "log", empty_ring, writer, err)) {
		log_ring_fini(&writer->ring);
		return false;
	}
	mutex_lock(&writer->lock);
	writer->is_started = true;
	mutex_unlock(&writer->lock);
	return true;
}

/* Tell the thread to end and wait for it a while; false: it is stuck. */
static bool
stop(struct log_writer *writer)
{
	int64_t patience_ms = clock_mono_ms() + FLUSH_MS + GRACE_MS;
	struct timespec until = { .tv_sec = patience_ms / 1000,
		.tv_nsec = patience_ms % 1000 * 1000000 };
	struct thread thread = writer->thread;
	bool is_ended;

	mutex_lock(&writer->lock);
	writer->is_stopping = true;
	writer->deadline_ms = patience_ms - GRACE_MS;
	pthread_cond_signal(&writer->work);
	while (!writer->is_ended && pthread_cond_timedwait(&writer->ended,
					&writer->lock.native, &until) == 0)
		;
	is_ended = writer->is_ended;
	writer->is_abandoned = !is_ended;
	mutex_unlock(&writer->lock);
	/* From here on an abandoned writer belongs to its thread. */
	if (is_ended)
		thread_join(&thread);
	else
		thread_detach(&thread);
	return is_ended;
}

void
log_writer_free(struct log_writer *writer)
{
	if (writer != NULL && (!writer->thread.running || stop(writer)))
		destroy(writer);
}
