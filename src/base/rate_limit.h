/*
 * Rate limit of similar log lines.  Each pair of listener and reason has its
 * own count, so that many lines of one kind suppress no line of another.  The
 * number of suppressed lines is logged at the end of the window.
 *
 * Bounded memory: beyond RATE_LIMIT_ENTRIES pairs in one window the rest share
 * an entry.  One thread; time is passed in.
 */
#ifndef BASE_RATE_LIMIT_H
#define BASE_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/log.h"

#define RATE_LIMIT_ENTRIES 64
#define RATE_LIMIT_NAME_MAX 64

struct rate_limit_rule {
	unsigned lines;    /* written in one window */
	int64_t window_ms; /* from the first of them */
};

struct rate_limit_entry {
	char listener[RATE_LIMIT_NAME_MAX]; /* cut if longer */
	const char *reason;                 /* a literal */
	int64_t ends_ms;                    /* the window */
	unsigned lines;                     /* written in it */
	int64_t report_ms; /* end of the window of the first suppressed line */
	uint64_t suppressed;
	enum log_level level; /* of the last suppressed line */
};

/* Zeroed is ready for use. */
struct rate_limit {
	size_t count;
	struct rate_limit_entry entries[RATE_LIMIT_ENTRIES];
};

/* May one more line of that reason be written at now_ms?  reason: a literal. */
bool rate_limit_may(struct rate_limit *limit,
    const struct rate_limit_rule *rule, enum log_level level,
    const char *listener, const char *reason, int64_t now_ms) MUST_CHECK;

/*
 * Log one line for each pair with suppressed lines whose window is over.
 * Returns whether others remain.
 */
bool rate_limit_report(
    struct rate_limit *limit, struct log *log, int64_t now_ms);

#endif
