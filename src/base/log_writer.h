/*
 * The ring, the thread that empties it, and the sinks it empties it into.
 * What is behind struct log once a line is formatted.
 */
#ifndef BASE_LOG_WRITER_H
#define BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct log_sinks;
struct log_writer;

/* Takes the sinks unless it fails.  NULL: no memory. */
struct log_writer *log_writer_new(struct log_sinks *sinks) MUST_CHECK;

/*
 * Gives the thread a second to write what it has.  A thread that is stuck in
 * its sink after that is left behind, with the object.  NULL ok.
 */
void log_writer_free(struct log_writer *writer);

/* From now on lines go through the ring.  Main thread. */
bool log_writer_start(struct log_writer *writer, struct err *err) MUST_CHECK;

/* Use these sinks, which it takes, from the next line on.  Main thread. */
void log_writer_publish(struct log_writer *writer, struct log_sinks *fresh);

/*
 * One formatted line, newline included; tag: its level or LOG_TAG_ACCESS.
 * Any thread; never under a lock.
 */
void log_writer_submit(
    struct log_writer *writer, uint16_t tag, const char *line, size_t len);

/* Lines lost so far.  Any thread. */
uint64_t log_writer_dropped(const struct log_writer *writer);

#endif
