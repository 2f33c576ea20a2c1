/*
 * One event as one line of text or JSON:
 *
 *	2026-11-22T14:44:05.123Z notice server listening listener=web
 *	{"time":"2026-11-22T14:44:05.123Z","level":"notice",...}
 *
 * Output is printable ASCII whatever bytes a value has, so that a line is
 * always one line.  In text, a value stands in quotes if it is empty
 * or holds a space, a quote, "=", or a byte that must be escaped (\" \\ \n \r
 * \t \xNN); in JSON, bytes that are not UTF-8 become U+FFFD.  Pure; any
 * thread.
 */
#ifndef BASE_LOG_FORMAT_H
#define BASE_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

#define LOG_LINE_MAX 8192    /* the longest line, its newline included */
#define LOG_VALUE_MAX 512    /* bytes of a value before "..." */
#define LOG_MESSAGE_MAX 1024 /* bytes of a message before "..." */
#define LOG_STAMP_LEN 24     /* "2026-11-22T14:44:05.123Z" */

/*
 * Write the line and its newline into out, which has LOG_LINE_MAX bytes;
 * returns the length.  No terminator.  Fields that do not fit are left out, and
 * "cut=1" is added.
 */
size_t log_line_format(char *out, enum log_format format, int64_t wall_ms,
    const struct log_event *event);

/* A line without the stamp of text mode, for sinks that add their own. */
const char *log_line_body(const char *line);

/* Where the line of the byte at `at` begins. */
size_t log_line_start(const char *lines, size_t at);

/* The number of lines that end in these bytes. */
size_t log_line_count(const char *lines, size_t len);

#endif
