/*
 * Logging: one event, one line, "level component message key=value...".
 * Callers copy a line into a 1 MiB ring under the log lock (memory work only);
 * the log thread empties the ring into the sinks, so that a blocked stdout
 * blocks no other thread.  When the ring is three quarters full, info, debug
 * and access lines are dropped and counted; when it is full, every line is; a
 * line in the log gives the count.  Before log_start lines are written
 * directly.
 *
 * The log is an object handed down, not a global.  All functions accept a
 * NULL log and are then silent.  log_write and the macros: any thread, never
 * under a lock.  The rest: main thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct log;

enum log_level {
	LEVEL_ERROR,
	LEVEL_WARNING,
	LEVEL_NOTICE,
	LEVEL_INFO,
	LEVEL_DEBUG
};
enum log_format { LOG_TEXT, LOG_JSON };

/* One key=value.  Build with the macros below; keys are literals. */
struct log_field {
	const char *key;
	const char *text; /* NULL: the value is number */
	int64_t number;
};
static inline const char *
log_text(const char *text)
{
	return text ? text : "-"; /* a NULL text marks a number */
}
#define LOG_S(k, s) ((struct log_field){ (k), log_text(s), 0 })
#define LOG_N(k, n) ((struct log_field){ (k), NULL, (int64_t)(n) })

struct log_options {
	enum log_level level;
	enum log_format format;
	const char *output; /* "stderr", "stdout", "syslog" or a path */
	const char *access; /* "off", "same", or as output */
};

/* Opens to stderr at notice.  NULL: no memory, or no stderr. */
struct log *log_new(void) MUST_CHECK;

/*
 * Flushes for about a second at most, stops the thread, closes.  No other
 * thread may log any more.  If a sink blocks for longer, the thread is detached
 * with what it uses, and the lines not yet written are lost.  NULL ok.
 */
void log_free(struct log *log);

/*
 * Apply options: new sinks are opened first; on failure the old ones stay.
 * Strings are copied.
 */
bool log_configure(struct log *log, const struct log_options *options,
    struct err *err) MUST_CHECK;

/* Is an output or access option a path, not one of the words? */
bool log_is_path(const char *option);

/* Does a log daemon listen for the lines of "syslog"?  Without one syslog(3)
 * drops them silently.  log_configure checks this when "syslog" is new. */
bool log_reach_syslog(struct err *err) MUST_CHECK;

/* Close and open file sinks again (after rotation).  On failure: old ones. */
bool log_reopen(struct log *log, struct err *err) MUST_CHECK;

/* From now on lines go through the ring.  Call after forks and setuid. */
bool log_start(struct log *log, struct err *err) MUST_CHECK;

/* Is a line of that level written? */
bool log_may(const struct log *log, enum log_level level);
bool log_has_access(const struct log *log);
uint64_t log_dropped(const struct log *log); /* lines so far */

struct log_event {
	enum log_level level;
	const char *component;          /* a literal; NULL: an access line */
	const char *message;            /* NULL: an access line */
	const struct log_field *fields; /* the first is skipped */
	size_t count;                   /* includes the first */
};

/*
 * Write one line.  fields[0] is a placeholder and is skipped (so that the
 * macros work with no field at all); count includes it.  Values are escaped
 * and cut at 512 bytes; text mode quotes values that need it.
 */
void log_write_event(struct log *log, const struct log_event *event);

#define log_write(log, level, component, message, fields, count) \
	log_write_event(                                         \
	    (log), &(const struct log_event){                    \
		       (level), (component), (message), (fields), (count) })

/* An access line: fields only, to the access sink. */
void log_access(struct log *log, const struct log_field *fields, size_t count);

#define LOG_FIELDS(...) ((const struct log_field[]){ { 0 }, __VA_ARGS__ })
#define LOG_AT(log, level, component, message, ...)       \
	log_write((log), (level), (component), (message), \
	    LOG_FIELDS(__VA_ARGS__),                      \
	    sizeof(LOG_FIELDS(__VA_ARGS__)) / sizeof(struct log_field))
#define log_error(log, c, ...) LOG_AT(log, LEVEL_ERROR, c, __VA_ARGS__)
#define log_warning(log, c, ...) LOG_AT(log, LEVEL_WARNING, c, __VA_ARGS__)
#define log_notice(log, c, ...) LOG_AT(log, LEVEL_NOTICE, c, __VA_ARGS__)
#define log_info(log, c, ...) LOG_AT(log, LEVEL_INFO, c, __VA_ARGS__)
#define log_debug(log, c, ...) LOG_AT(log, LEVEL_DEBUG, c, __VA_ARGS__)

#endif
