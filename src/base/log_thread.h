/*
 * The log thread: the ring it empties and the sinks it writes to.  log.c
 * formats a line and submits it here; no other file includes this header.
 */
#ifndef BASE_LOG_THREAD_H
#define BASE_LOG_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/log.h"

struct err;
struct log_thread;

/* The tag of a line: an enum log_level, or this. */
#define LOG_TAG_ACCESS (LEVEL_DEBUG + 1)

/* ---- sinks: a descriptor or the system log ---- */

enum log_sink_kind {
	SINK_NONE,   /* discards */
	SINK_SYSLOG, /* may block without a limit */
	SINK_FILE,   /* has no reader to wait for */
	SINK_SOCKET, /* systemd's stdout */
	SINK_PIPE    /* pipes and terminals */
};

struct log_sink {
	enum log_sink_kind kind;
	int fd; /* -1: none */
	bool owned;
};

/* Immutable but for holders.  The main thread makes and publishes sets. */
struct log_sinks {
	struct log_sink events;
	struct log_sink access;
	enum log_format format; /* of the lines the log thread itself writes */
	bool access_same;       /* access lines go to the sink of events */
	unsigned holders;       /* under the lock of the log thread */
};

/* Ignores options->level.  NULL on failure. */
struct log_sinks *log_sinks_open(
    const struct log_options *options, struct err *err) MUST_CHECK;
void log_sinks_close(struct log_sinks *sinks); /* NULL ok */

/* ---- the thread ---- */

/* Takes the sinks unless it fails.  NULL: no memory. */
struct log_thread *log_thread_new(struct log_sinks *sinks) MUST_CHECK;

/*
 * Gives the thread a second to write the rest.  A thread that is still blocked
 * in its sink after that is detached, and the object is left to it.  NULL ok.
 */
void log_thread_free(struct log_thread *log);

/* From now on lines go through the ring.  Main thread. */
bool log_thread_start(struct log_thread *log, struct err *err) MUST_CHECK;

/* Takes the sinks and uses them from the next line on.  Main thread. */
void log_thread_publish(struct log_thread *log, struct log_sinks *fresh);

/*
 * One formatted line, newline included; tag: its level or LOG_TAG_ACCESS.
 * Before log_thread_start the line is written directly.  Any thread; never
 * under a lock.
 */
void log_thread_submit(
    struct log_thread *log, uint16_t tag, const char *line, size_t len);

/* Lines lost so far.  Any thread. */
uint64_t log_thread_dropped(const struct log_thread *log);

/* ---- the ring: lines with their tags; no lock, no clock ---- */

struct log_ring {
	char *bytes;
	size_t size; /* a power of two */
	size_t head; /* bytes ever taken; the offset is modulo size */
	size_t tail; /* bytes ever put; tail - head <= size */
};

/* size: a power of two.  false: no memory. */
bool log_ring_init(struct log_ring *ring, size_t size) MUST_CHECK;
void log_ring_fini(struct log_ring *ring); /* zeroed: nothing to do */

/* Append one line of at most 65535 bytes.  false: it does not fit. */
bool log_ring_put(struct log_ring *ring, uint16_t tag, const char *line,
    size_t len) MUST_CHECK;

/*
 * Move as many whole lines of one tag as fit into out, and set *tag.  Returns
 * the bytes, 0 when the ring is empty.  max is at least the longest line that
 * was ever put.
 */
size_t log_ring_take(
    struct log_ring *ring, char *out, size_t max, uint16_t *tag);

/* Bytes in the ring, overhead included. */
static inline size_t
log_ring_used(const struct log_ring *ring)
{
	return ring->tail - ring->head;
}

#endif
