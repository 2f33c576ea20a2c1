/*
 * Reports of the staple thread about a certificate: to the cache (for snapshots
 * and waiters), to the log, and to the application if a fact that decides has
 * changed.  Staple thread only, no lock held.
 *
 * struct staple_log_state limits the lines: one when the outcome changes, then
 * at most one an hour with the number of repetitions; and the expiry warnings,
 * each level once for each expiry.  A plain value, zero at birth; the functions
 * on it are pure, the caller passes the time and hands the event to the log.
 *
 *   notice   good, for the first time or again (further good responses are not
 *            logged)
 *   info     no responder, or past notAfter, if neither policy nor must-staple
 *            requires a staple
 *   warning  the same if one does; an attempt that failed
 *   error    an attempt that failed while the held response has expired, or
 *            with nothing held if that is fatal; unknown if that is fatal;
 *            revoked; the last level of the expiry warning
 */
#ifndef STAPLE_LOG_STATE_H
#define STAPLE_LOG_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "staple/schedule.h"
#include "staple/staple.h"

struct staple_job;
struct staple_response;
struct staple_result;
struct staple_worker;

#define STAPLE_LOG_TEXT_MAX 1024

struct staple_log_state {
	enum staple_outcome last; /* the outcome of the last line */
	bool logged;
	int64_t logged_at;                  /* wall seconds */
	unsigned repeated;                  /* since then, in silence */
	enum staple_expiry_warning warning; /* the highest that was logged */
	int64_t warning_of;                 /* the expiry that it belongs to */
	char text[STAPLE_LOG_TEXT_MAX];     /* behind the last event */
};

/*
 * An attempt has ended; info is the state after it, now.  fatal: the policy is
 * must or always; from_file: responses come from a staple_file.  true: *event is
 * to be logged (its strings live in state and in info).
 */
bool staple_log_state_attempt(struct staple_log_state *state,
    const struct staple_info *info, bool fatal, bool from_file, int64_t now,
    struct staple_event *event);

/* The same for the expiry warnings, called at every review.  tries_since: the
 * first failure after the last success; 0: none. */
bool staple_log_state_expiry(struct staple_log_state *state,
    const struct staple_info *info, int64_t tries_since, int64_t now,
    struct staple_event *event);

/* An attempt has ended: snapshot, log, application, in this order. */
void staple_report_attempt(struct staple_job *job);

/* Something else about it is different now: snapshot and application. */
void staple_report_state(struct staple_job *job);

/* Time has passed: the expiry warnings, and an expiry that was reached. */
void staple_report_time(struct staple_job *job);

/* One variant has ended: add it to the text of the attempt, and log a line for debugging. */
void staple_report_variant(struct staple_job *job,
    const struct staple_result *result, unsigned took_ms);

/* The same for a fetch of the issuer from one URL. */
void staple_report_issuer(struct staple_job *job,
    const struct staple_result *result, unsigned took_ms);

/* A line about one certificate. */
void staple_report_line(struct staple_job *job, enum staple_level level,
    enum staple_outcome outcome, const char *format, ...) PRINTF_LIKE(4, 5);

/* A line about the library itself. */
void staple_report_message(struct staple_worker *worker,
    enum staple_level level, const char *format, ...) PRINTF_LIKE(3, 4);

/* Clients that may refuse a response, or soon will, though it is valid: a
 * warning, once for each reason. */
void staple_report_flaws(
    struct staple_job *job, const struct staple_response *response);

#endif
