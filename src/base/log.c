/*
 * Which lines are written, and to which sinks.  The thread that logs formats a
 * line on its own stack, before any lock is taken, and submits it to the log
 * thread.  Level and format are relaxed atomics: a line that is written during
 * a reload may have either.
 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log_format.h"
#include "base/log_thread.h"

struct log {
	/* fixed at creation */
	struct log_thread *thread;

	/* relaxed atomics */
	atomic_int level;
	atomic_int format;
	atomic_bool has_access;

	/* main thread only */
	char *output;
	char *access;
};

static void
submit(struct log *log, uint16_t tag, const struct log_event *event)
{
	int format = atomic_load_explicit(&log->format, memory_order_relaxed);
	char line[LOG_LINE_MAX];
	size_t len = log_line_format(
	    line, (enum log_format)format, clock_wall_ms(), event);

	log_thread_submit(log->thread, tag, line, len);
}

bool
log_may(const struct log *log, enum log_level level)
{
	return log != NULL && (int)level <= atomic_load_explicit(&log->level,
						memory_order_relaxed);
}

bool
log_has_access(const struct log *log)
{
	return log != NULL &&
	       atomic_load_explicit(&log->has_access, memory_order_relaxed);
}

uint64_t
log_dropped(const struct log *log)
{
	return log == NULL ? 0 : log_thread_dropped(log->thread);
}

void
log_write_event(struct log *log, const struct log_event *event)
{
	if (log_may(log, event->level))
		submit(log, (uint16_t)event->level, event);
}

void
log_access(struct log *log, const struct log_field *fields, size_t count)
{
	struct log_event event = { .fields = fields, .count = count };

	if (log_has_access(log))
		submit(log, LOG_TAG_ACCESS, &event);
}

/* The first set makes the log thread object. */
static bool
hand_over(struct log *log, struct log_sinks *sinks, struct err *err)
{
	if (log->thread != NULL) {
		log_thread_publish(log->thread, sinks);
		return true;
	}
	log->thread = log_thread_new(sinks);
	if (log->thread != NULL)
		return true;
	err_set(err, "no memory for the log");
	log_sinks_close(sinks);
	return false;
}

static void
adopt(struct log *log, const struct log_options *options)
{
	bool has_access = strcmp(options->access, "off") != 0;

	atomic_store_explicit(
	    &log->level, (int)options->level, memory_order_relaxed);
	atomic_store_explicit(
	    &log->format, (int)options->format, memory_order_relaxed);
	atomic_store_explicit(
	    &log->has_access, has_access, memory_order_relaxed);
}

static bool
uses_syslog(const char *output, const char *access)
{
	return (output != NULL && strcmp(output, "syslog") == 0) ||
	       (access != NULL && strcmp(access, "syslog") == 0);
}

/* Only when syslog is new in the options: a reload while the log daemon is
 * restarted must not fail. */
static bool
check_syslog(
    const struct log *log, const struct log_options *options, struct err *err)
{
	return !uses_syslog(options->output, options->access) ||
	       uses_syslog(log->output, log->access) || log_reach_syslog(err);
}

bool
log_configure(
    struct log *log, const struct log_options *options, struct err *err)
{
	struct log_sinks *sinks;
	char *output, *access;

	if (log == NULL)
		return true;
	if (!check_syslog(log, options, err))
		return false;
	output = strdup(options->output);
	access = strdup(options->access);
	if (output == NULL || access == NULL) {
		err_set(err, "no memory for the log");
		goto fail;
	}
	sinks = log_sinks_open(options, err);
	if (sinks == NULL || !hand_over(log, sinks, err))
		goto fail;
	adopt(log, options);
	free(log->output);
	free(log->access);
	log->output = output;
	log->access = access;
	return true;
fail:
	free(output);
	free(access);
	return false;
}

struct log *
log_new(void)
{
	static const struct log_options defaults = { .level = LEVEL_NOTICE,
		.format = LOG_TEXT,
		.output = "stderr",
		.access = "off" };
	struct log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	if (!log_configure(log, &defaults, NULL)) {
		log_free(log);
		return NULL;
	}
	return log;
}

bool
log_reopen(struct log *log, struct err *err)
{
	struct log_options options;
	struct log_sinks *sinks;

	if (log == NULL)
		return true;
	options.format = (enum log_format)atomic_load_explicit(
	    &log->format, memory_order_relaxed);
	options.output = log->output;
	options.access = log->access;
	sinks = log_sinks_open(&options, err);
	return sinks != NULL && hand_over(log, sinks, err);
}

bool
log_start(struct log *log, struct err *err)
{
	return log == NULL || log_thread_start(log->thread, err);
}

void
log_free(struct log *log)
{
	if (log == NULL)
		return;
	log_thread_free(log->thread);
	free(log->output);
	free(log->access);
	free(log);
}
