/*
 * Where lines end up: a descriptor or the system log.  A set holds the sink
 * of events and the sink of access lines.  Sets are made and freed by the
 * main thread; the one who writes is the log thread, or before it runs
 * whoever logs.  A set is immutable; log_writer.c counts its holders.
 */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/log.h"

struct err;

/* What a line is: an enum log_level, or this. */
#define LOG_TAG_ACCESS (LEVEL_DEBUG + 1)

enum log_sink_kind {
	SINK_NONE,   /* swallows */
	SINK_SYSLOG, /* may block for as long as the daemon likes */
	SINK_FILE,   /* never waits for a reader */
	SINK_SOCKET, /* systemd's stdout */
	SINK_PIPE    /* pipes and terminals */
};

struct log_sink {
	enum log_sink_kind kind;
	int fd; /* -1: none */
	bool owned;
};

struct log_sinks {
	struct log_sink events;
	struct log_sink access;
	enum log_format format; /* for what the log itself has to say */
	bool access_same;       /* access lines go to the sink of events */
	unsigned holders;       /* under the lock of the writer */
};

/* The level does not matter here.  NULL on failure. */
struct log_sinks *log_sinks_open(
    const struct log_options *options, struct err *err) MUST_CHECK;
void log_sinks_close(struct log_sinks *sinks); /* NULL ok */

/*
 * Write the beginning of some lines, all with one tag, to the sink that is
 * meant for them.  Returns the bytes gone, 0 when nothing could be written
 * for wait_ms (-1: wait for ever), -1 when the sink is broken (disk full,
 * reader gone).
 */
ssize_t log_sinks_write(const struct log_sinks *sinks, uint16_t tag,
    const char *lines, size_t len, int wait_ms) MUST_CHECK;

#endif
