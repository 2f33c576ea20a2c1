/*
 * Reports about a certificate to the log, the cache and the application.
 * Staple thread only, no lock held.
 *
 * While a valid response is held no failed attempt is an error: an error means
 * that an operator must act now.  The exceptions are revoked, and unknown where
 * failing is fatal.
 *
 * The application is called when one of the facts that decide differs from the
 * last call; they are packed into one number, so that none can be forgotten in
 * the comparison.
 */
#include "staple/log_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "staple/attempt.h"
#include "staple/cache.h"
#include "staple/job.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "staple/time_text.h"

/* ---- Lines of one certificate ---- */

enum { SILENCE_S = 3600 };

static void add(struct staple_log_state *state, const char *format, ...)
    PRINTF_LIKE(2, 3);

static void
add(struct staple_log_state *state, const char *format, ...)
{
	size_t len = strlen(state->text);
	va_list args;

	va_start(args, format);
	vsnprintf(state->text + len, sizeof(state->text) - len, format, args);
	va_end(args);
}

/* In the log an unchanged good response is the same as a new one. */
static enum staple_outcome
kind_of(enum staple_outcome outcome)
{
	return outcome == STAPLE_UNCHANGED ? STAPLE_GOOD : outcome;
}

/* Of the held response; 0: none is held, or it is dated in the future. */
static int64_t
expiry_of(const struct staple_info *info, int64_t now)
{
	return info->held && info->this_update <= now + STAPLE_SKEW_S
		   ? info->expires
		   : 0;
}

static bool
is_valid(const struct staple_info *info, int64_t now)
{
	return now < expiry_of(info, now);
}

static bool
is_expired(const struct staple_info *info, int64_t now)
{
	return expiry_of(info, now) != 0 && !is_valid(info, now);
}

static enum staple_level
level_of(const struct staple_info *info, bool fatal, int64_t now)
{
	bool matters = fatal || info->must_staple;

	switch (info->outcome) {
	case STAPLE_GOOD:
	case STAPLE_UNCHANGED:
		return STAPLE_LEVEL_NOTICE;
	case STAPLE_NO_RESPONDER:
	case STAPLE_CERTIFICATE_EXPIRED:
		return matters ? STAPLE_LEVEL_WARNING : STAPLE_LEVEL_INFO;
	case STAPLE_NO_ISSUER:
		/* Where it can be fetched, that failed like any attempt. */
		if (info->next_try == 0)
			return STAPLE_LEVEL_WARNING;
		break;
	case STAPLE_REVOKED:
		return STAPLE_LEVEL_ERROR;
	case STAPLE_UNKNOWN:
		if (fatal)
			return STAPLE_LEVEL_ERROR;
		break;
	default:
		break;
	}
	if (!is_valid(info, now) && (fatal || is_expired(info, now)))
		return STAPLE_LEVEL_ERROR;
	return STAPLE_LEVEL_WARNING;
}

/* ---- clauses ---- */

static void
add_reason(struct staple_log_state *state, const struct staple_info *info)
{
	add(state, "%s", staple_outcome_sentence(info->outcome));
	if (info->said[0] != '\0')
		add(state, " (%s)", info->said);
}

static void
add_served(
    struct staple_log_state *state, const struct staple_info *info, int64_t now)
{
	const char *which = info->revoked ? "held response (revoked)"
					  : "held response";

	if (is_valid(info, now))
		add(state, "; %s valid until %s (%s left)", which,
		    staple_time_date(info->expires).text,
		    staple_time_span(info->expires - now).text);
	else if (is_expired(info, now))
		add(state, "; %s expired at %s, not stapled", which,
		    staple_time_date(info->expires).text);
	else
		add(state, "; no staple available");
}

static void
add_next(
    struct staple_log_state *state, const struct staple_info *info, int64_t now)
{
	if (info->next_try > now)
		add(state, "; next attempt in %s",
		    staple_time_span(info->next_try - now).text);
}

static void
add_advice(struct staple_log_state *state, const struct staple_info *info)
{
	const char *advice = staple_outcome_advice(info->outcome);

	if (*advice != '\0')
		add(state, " (%s)", advice);
}

/* ---- lines ---- */

static void
add_good(struct staple_log_state *state)
{
	if (!state->logged)
		add(state, "the certificate is good");
	else if (state->last == STAPLE_REVOKED)
		add(state, "the certificate is good again, no longer revoked");
	else
		add(state, "the certificate is good again");
}

/* An issuer that cannot be fetched (no next attempt) is no failed fetch. */
static bool
is_fetch_failure(const struct staple_info *info)
{
	return staple_outcome_is_failure(info->outcome) &&
	       (info->outcome != STAPLE_NO_ISSUER || info->next_try != 0);
}

static void
add_failure(struct staple_log_state *state, const struct staple_info *info,
    bool from_file)
{
	if (state->repeated != 0)
		add(state, "repeated %u times since %s: ", state->repeated,
		    staple_time_date(state->logged_at).text);
	if (is_fetch_failure(info))
		add(state, "%s failed: ", from_file ? "staple_file" : "fetch");
	add_reason(state, info);
}

/* Not within the hour, unless the clock was set back meanwhile. */
static bool
is_too_soon(const struct staple_log_state *state, int64_t now)
{
	return now >= state->logged_at && now - state->logged_at < SILENCE_S;
}

static void
fill(struct staple_event *event, enum staple_level level,
    const struct staple_log_state *state, const struct staple_info *info)
{
	*event = (struct staple_event){ .level = level,
		.certificate = info->name,
		.id = info->id,
		.outcome = info->outcome,
		.message = state->text };
}

bool
staple_log_state_attempt(struct staple_log_state *state,
    const struct staple_info *info, bool fatal, bool from_file, int64_t now,
    struct staple_event *event)
{
	bool is_good = kind_of(info->outcome) == STAPLE_GOOD;
	bool is_same = state->logged && state->last == kind_of(info->outcome);

	if (is_same && is_good)
		return false;
	state->repeated = is_same ? state->repeated + 1 : 0;
	if (is_same && is_too_soon(state, now))
		return false;
	state->text[0] = '\0';
	if (is_good)
		add_good(state);
	else
		add_failure(state, info, from_file);
	add_served(state, info, now);
	add_next(state, info, now);
	add_advice(state, info);
	fill(event, level_of(info, fatal, now), state, info);
	state->logged = true;
	state->last = kind_of(info->outcome);
	state->logged_at = now;
	state->repeated = 0;
	return true;
}

bool
staple_log_state_expiry(struct staple_log_state *state,
    const struct staple_info *info, int64_t tries_since, int64_t now,
    struct staple_event *event)
{
	int64_t expires = expiry_of(info, now);
	enum staple_expiry_warning warning = staple_schedule_expiry_warning(
	    tries_since, expires, now);

	if (tries_since == 0 || expires == 0)
		return false;
	if (state->warning_of != expires)
		state->warning = STAPLE_EXPIRY_WARNING_NONE;
	state->warning_of = expires;
	if (warning <= state->warning)
		return false;
	state->warning = warning;
	state->text[0] = '\0';
	add(state, "no new response since %s",
	    staple_time_date(tries_since).text);
	if (staple_outcome_is_failure(info->outcome)) {
		add(state, ": ");
		add_reason(state, info);
	}
	add_served(state, info, now);
	add_next(state, info, now);
	add_advice(state, info);
	fill(event,
	    warning == STAPLE_EXPIRY_WARNING_EXPIRED ? STAPLE_LEVEL_ERROR
						     : STAPLE_LEVEL_WARNING,
	    state, info);
	return true;
}

/* ---- Reports ---- */

static void
log_event(struct staple_worker *worker, const struct staple_event *event)
{
	if (worker->log != NULL)
		worker->log(worker->arg, event);
}

void
staple_report_line(struct staple_job *job, enum staple_level level,
    enum staple_outcome outcome, const char *format, ...)
{
	char text[STAPLE_LOG_TEXT_MAX];
	const struct staple_event event = { level, job->cert->name,
		job->cert->id, outcome, text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_event(job->worker, &event);
}

void
staple_report_message(struct staple_worker *worker, enum staple_level level,
    const char *format, ...)
{
	char text[STAPLE_LOG_TEXT_MAX];
	const struct staple_event event = { .level = level, .message = text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_event(worker, &event);
}

/* Between the results of two URLs. */
static const char *
separator(const struct err *said)
{
	return said->text[0] != '\0' ? "; " : "";
}

void
staple_report_variant(struct staple_job *job,
    const struct staple_result *result, unsigned took_ms)
{
	const struct staple_request_variant *tried = &job->attempt.variant;
	const char *url = job->cert->urls[tried->url];
	const char *get = tried->get ? " by GET" : "";
	const char *hash = tried->hash == STAPLE_SHA256 ? " with SHA-256" : "";
	struct err *said = &job->attempt.result.said;

	err_set(said, "%s%s%s%s%s: %s", said->text, separator(said), url, get,
	    hash, result->said.text);
	staple_report_line(job, STAPLE_LEVEL_DEBUG, result->outcome,
	    "%s%s%s: %s (%u ms)", url, get, hash, result->said.text, took_ms);
}

enum { FLAW_WEAK = 1, FLAW_NOT_FIRST = 2 };

/* Is this flaw to be reported now? */
static bool
is_new(struct staple_job *job, unsigned flaw)
{
	bool was_reported = (job->reported_flaws & flaw) != 0;

	job->reported_flaws |= flaw;
	return !was_reported;
}

void
staple_report_flaws(
    struct staple_job *job, const struct staple_response *response)
{
	int bits = staple_response_weak_bits(response);

	if (bits != 0 && is_new(job, FLAW_WEAK))
		staple_report_line(job, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
		    "response signed with an RSA key of %d bits by \"%s\": "
		    "clients that require 2048 refuse it (report to the CA)",
		    bits, staple_response_signer(response));
	if (staple_response_leads(response) || !is_new(job, FLAW_NOT_FIRST))
		return;
	staple_report_line(job, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
	    "first entry of the response is about another certificate: "
	    "clients with GnuTLS refuse it; %s (report to the CA)",
	    job->cert->must_staple || job->requirement == STAPLE_REQUIRE_FATAL
		? "stapled, because a staple is required"
		: "held, not stapled");
}

void
staple_report_issuer(struct staple_job *job, const struct staple_result *result,
    unsigned took_ms)
{
	const char *url = job->cert->issuer_urls[job->attempt.issuer_url];
	struct err *said = &job->attempt.result.said;

	err_set(said, "%s%sissuer %s: %s", said->text, separator(said), url,
	    result->said.text);
	if (result->outcome == STAPLE_GOOD)
		staple_report_line(job, STAPLE_LEVEL_INFO, STAPLE_UNASKED,
		    "issuer fetched from %s (%u ms)", url, took_ms);
	else
		staple_report_line(job, STAPLE_LEVEL_DEBUG, result->outcome,
		    "issuer not fetched from %s: %s (%u ms)", url,
		    result->said.text, took_ms);
}

/* The regular check of a file is not a fetch. */
static int64_t
next_try(const struct staple_job *job)
{
	if (job->attempt.blocked)
		return staple_attempt_probe_time(job);
	return job->cert->staple_file != NULL ? 0 : job->due;
}

static void
update_cache(const struct staple_job *job)
{
	struct staple_progress progress = {
		.settled = job->settled,
		.confirmed = job->confirmed,
		.unconfirmable = job->unconfirmable,
		.outcome = job->result.outcome,
		.failures = job->failures,
		.next_try = next_try(job),
		.last_success = job->last_success,
	};

	snprintf(progress.said, sizeof(progress.said), "%.*s",
	    (int)sizeof(progress.said) - 1, job->result.said.text);
	memcpy(progress.fetches, job->fetches, sizeof(progress.fetches));
	staple_cache_set_progress(job->entry, &progress);
}

static uint32_t
pack(const struct staple_info *info, int64_t now)
{
	const bool facts[] = { info->wanted, info->settled, info->held,
		is_valid(info, now), info->revoked, info->confirmed,
		info->unconfirmable };
	uint32_t packed = 1; /* differs from 0: nothing was reported yet */

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		packed = packed << 1 | facts[i];
	packed = packed << 8 | ((uint32_t)info->outcome & 0xff);
	return packed << 8 | ((uint32_t)info->unavailable_reason & 0xff);
}

static void
call_application(struct staple_job *job, const struct staple_info *info)
{
	struct staple_worker *worker = job->worker;
	uint32_t packed = pack(info, worker->wall_s);

	if (packed == job->reported)
		return;
	job->reported = packed;
	if (worker->on_change != NULL)
		worker->on_change(worker->arg, info);
}

void
staple_report_state(struct staple_job *job)
{
	struct staple_info info;

	update_cache(job);
	staple_cache_read(job->entry, job->worker->wall_s, &info);
	call_application(job, &info);
}

void
staple_report_attempt(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_event event;
	struct staple_info info;

	update_cache(job);
	staple_cache_read(job->entry, now, &info);
	if (staple_log_state_attempt(&job->log_state, &info,
		job->requirement == STAPLE_REQUIRE_FATAL,
		job->cert->staple_file != NULL, now, &event))
		log_event(job->worker, &event);
	call_application(job, &info);
}

void
staple_report_time(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_event event;
	struct staple_info info;

	staple_cache_read(job->entry, now, &info);
	if (staple_log_state_expiry(
		&job->log_state, &info, job->tries_since, now, &event))
		log_event(job->worker, &event);
	call_application(job, &info);
}
