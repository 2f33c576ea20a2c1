/*
 * When a job is due, and when an expiry is warned of.
 *
 * The first half is pure arithmetic.  Intervals are limits around a plan.  If
 * two of them contradict each other, the shorter one wins: a fetch too early
 * costs a request, a fetch too late costs the staple.
 *
 * The second half applies it to a job; staple thread only.  A due time is a
 * point of the wall clock, because validity is, and the wall clock may jump.
 * After a jump forward whatever is due is past.  After a jump backward the
 * middle of a window stays where it is, unless the whole window now lies in the
 * future: then the response is fetched again at once.  A pause after a failure
 * began when it was computed, so it is computed again if now lies before that.
 */
#include "staple/schedule.h"

#include <sys/random.h>

#include "staple/attempt.h"
#include "staple/cache.h"
#include "staple/job.h"
#include "staple/response.h"

enum {
	BACKOFF_S = 10,
	HURRY_S = 5, /* instead, in the last minute */
	MINUTE_S = 60,
	HOUR_S = 3600,
	DOUBLINGS_MAX = 9, /* more than an hour */
	TRIES_MIN = 8,
	FETCHES_MAX = 10, /* within a window, as HTTP caches have it */
	MANY = 100,       /* certificates of one host */
	NOTHING_HELD_S = 60,
	NOTHING_HELD_MANY_S = 120
};

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t
staple_schedule_refresh(const struct staple_window *window, int64_t now,
    const struct staple_options *settings, int64_t freshness_ends,
    double jitter)
{
	int64_t length = window->expires - window->this_update;
	int64_t half = length / 2;
	int64_t middle = window->this_update + half;
	int64_t left = most(window->expires - now, 0);
	int64_t longest = settings->max_interval_s;
	int64_t shortest = least(settings->min_interval_s, left / 4);
	int64_t next;

	next = middle + (int64_t)((double)half * (2 * jitter - 1) / 10);
	/* A response received near T is an old one as well. */
	if (now >= middle || now >= next)
		next = now + left / 4;
	if (freshness_ends != 0)
		next = least(
		    next, most(freshness_ends, now + length / FETCHES_MAX));
	longest -= (int64_t)((double)longest * jitter / 10);
	next = most(next, now + shortest);
	next = least(next, now + longest);
	return most(next, now + 1);
}

/* 10 s doubled so many times, at most cap. */
static int64_t
back_off(unsigned failures, int64_t cap)
{
	unsigned doublings = (unsigned)least(failures, DOUBLINGS_MAX);

	return least((int64_t)BACKOFF_S << doublings, cap);
}

/* What a Retry-After counts for. */
static int64_t
bound_asked(int64_t retry_after_s, int64_t left)
{
	return least(least(retry_after_s, HOUR_S), left / 2);
}

int64_t
staple_schedule_retry(unsigned failures, int64_t now, int64_t expires,
    int64_t retry_after_s, unsigned certificates, double jitter)
{
	bool held = expires > now;
	int64_t left = held ? expires - now : INT64_MAX;
	int64_t floor = left <= MINUTE_S ? HURRY_S : BACKOFF_S;
	int64_t cap = HOUR_S, ceiling, backoff;

	if (!held)
		cap = certificates > MANY ? NOTHING_HELD_MANY_S
					  : NOTHING_HELD_S;
	ceiling = most(least(back_off(failures, cap), left / TRIES_MIN), floor);
	backoff = floor + (int64_t)((double)(ceiling - floor) * jitter);
	return now + most(backoff, bound_asked(retry_after_s, left));
}

int64_t
staple_schedule_probe(unsigned failures, int64_t left, int64_t retry_after_s,
    unsigned certificates, double jitter)
{
	bool held = left > 0;
	int64_t time = held ? left : INT64_MAX;
	int64_t floor = time <= MINUTE_S ? HURRY_S : BACKOFF_S;
	int64_t ceiling, pause;

	ceiling = least(back_off(failures, held ? HOUR_S : NOTHING_HELD_S),
	    time / TRIES_MIN);
	ceiling = most(ceiling, certificates > MANY ? MINUTE_S : floor);
	pause = ceiling - (int64_t)((double)ceiling / TRIES_MIN * jitter);
	return most(most(pause, floor), bound_asked(retry_after_s, time));
}

static int64_t
reached_at(
    enum staple_expiry_warning warning, int64_t tries_since, int64_t expires)
{
	int64_t whole = most(expires - tries_since, 0);

	switch (warning) {
	case STAPLE_EXPIRY_WARNING_HALF:
		return expires - whole / 2;
	case STAPLE_EXPIRY_WARNING_QUARTER:
		return expires - whole / 4;
	case STAPLE_EXPIRY_WARNING_LAST_HOUR:
		return expires - least(whole / 4, HOUR_S);
	case STAPLE_EXPIRY_WARNING_NONE:
	case STAPLE_EXPIRY_WARNING_EXPIRED:
		break;
	}
	return expires;
}

enum staple_expiry_warning
staple_schedule_expiry_warning(
    int64_t tries_since, int64_t expires, int64_t now)
{
	int warning = STAPLE_EXPIRY_WARNING_EXPIRED;

	if (tries_since == 0 || expires == 0)
		return STAPLE_EXPIRY_WARNING_NONE;
	while (warning > STAPLE_EXPIRY_WARNING_NONE &&
	       now < reached_at((enum staple_expiry_warning)warning,
			 tries_since, expires))
		warning--;
	return (enum staple_expiry_warning)warning;
}

int64_t
staple_schedule_next_expiry_warning(
    int64_t tries_since, int64_t expires, int64_t now)
{
	int64_t at;

	if (tries_since == 0 || expires <= now)
		return 0;
	for (int warning = STAPLE_EXPIRY_WARNING_HALF;
	     warning < STAPLE_EXPIRY_WARNING_EXPIRED; warning++) {
		at = reached_at(
		    (enum staple_expiry_warning)warning, tries_since, expires);
		if (at > now)
			return at;
	}
	return expires;
}

/* ---- The schedule of a job ---- */

/* Without randomness certificates are not spread, and that is all. */
double
staple_schedule_jitter(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		return 0.5;
	return bits / 4294967296.0;
}

bool
staple_job_window(const struct staple_job *job, struct staple_window *window)
{
	struct staple_response *held = staple_cache_response(job->entry);
	bool is_window = held != NULL &&
			 !staple_response_is_ahead(held, job->worker->wall_s);

	*window = (struct staple_window){ 0, 0 };
	if (is_window) {
		window->this_update = staple_response_this_update(held);
		window->expires = staple_response_expires(held);
	}
	staple_response_unref(held);
	return is_window;
}

/* The held response began to be dated in the future after it was planned. */
static bool
is_ahead(const struct staple_job *job)
{
	struct staple_response *held = staple_cache_response(job->entry);
	bool ahead = held != NULL &&
		     staple_response_is_ahead(held, job->worker->wall_s);

	staple_response_unref(held);
	return ahead;
}

int64_t
staple_schedule_quarters(const struct staple_window *window, int count)
{
	return window->this_update +
	       (window->expires - window->this_update) / 4 * count;
}

void
staple_job_set_due(struct staple_job *job, int64_t due)
{
	job->due = due;
	job->planned = job->worker->wall_s;
}

void
staple_job_schedule_refresh(struct staple_job *job, int64_t freshness_s)
{
	int64_t now = job->worker->wall_s;
	int64_t fresh_until = freshness_s < 0 ? 0 : now + freshness_s;
	struct staple_window window;

	(void)staple_job_window(job, &window);
	staple_job_set_due(
	    job, staple_schedule_refresh(&window, now, staple_job_settings(job),
		     fresh_until, staple_schedule_jitter()));
}

void
staple_job_schedule_retry(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_window window;
	int64_t due = 0;

	/* Without an issuer it was not a responder that failed. */
	if (job->cert->issuer != NULL)
		due = staple_attempt_probe_time(job);
	job->probe_due = due != 0;
	(void)staple_job_window(job, &window);
	if (due == 0)
		due = staple_schedule_retry(job->failures, now, window.expires,
		    job->attempt.retry_after_s, staple_attempt_sharers(job),
		    staple_schedule_jitter());
	staple_job_set_due(job, due);
}

void
staple_job_schedule_first(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	struct staple_window window;

	if (staple_job_window(job, &window) &&
	    job->revoked_by == STAPLE_REVOKED_BY_NONE &&
	    now < staple_schedule_quarters(&window, 2))
		staple_job_schedule_refresh(job, -1);
	else
		staple_job_set_due(job, now);
}

void
staple_job_correct_schedule(struct staple_job *job)
{
	int64_t now = job->worker->wall_s;
	int64_t latest = now + staple_job_settings(job)->max_interval_s;

	if (now < job->planned && job->failures != 0)
		staple_job_schedule_retry(job);
	else if (job->failures == 0 && is_ahead(job))
		staple_job_set_due(job, now);
	if (job->tries_since > now)
		job->tries_since = now;
	if (job->due > latest)
		staple_job_set_due(job, latest);
}

/* The earlier one of those that are still to come. */
static void
take_earlier(int64_t *soonest, int64_t when, int64_t now)
{
	if (when > now && when < *soonest)
		*soonest = when;
}

void
staple_job_schedule_review(struct staple_job *job)
{
	struct staple_worker *worker = job->worker;
	int64_t now = worker->wall_s, soonest = INT64_MAX;
	struct staple_window window;

	if (job->requirement == STAPLE_REQUIRE_NONE) {
		heap_remove(&worker->agenda, &job->wake);
		return;
	}
	if (!job->attempt.busy)
		take_earlier(&soonest, job->due, now);
	take_earlier(&soonest, job->cert->not_after, now);
	if (staple_job_window(job, &window)) {
		take_earlier(&soonest, window.expires, now);
		take_earlier(&soonest,
		    staple_schedule_next_expiry_warning(
			job->tries_since, window.expires, now),
		    now);
	}
	heap_put(&worker->agenda, &job->wake, soonest);
}
