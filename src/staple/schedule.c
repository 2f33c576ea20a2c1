/*
 * When to ask next, as arithmetic.  Any thread: nothing here has a state.
 * Intervals are limits around a plan, and where two of them contradict each
 * other the shorter one wins: asking too soon costs a request, asking too
 * late costs the staple.
 */
#include "staple/schedule.h"

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
    const struct staple_intervals *intervals, int64_t freshness_ends,
    double jitter)
{
	int64_t length = window->expires - window->this_update;
	int64_t half = length / 2;
	int64_t middle = window->this_update + half;
	int64_t left = most(window->expires - now, 0);
	int64_t longest = intervals->max_interval_s;
	int64_t shortest = least(intervals->min_interval_s, left / 4);
	int64_t next;

	next = middle + (int64_t)((double)half * (2 * jitter - 1) / 10);
	/* An answer from the neighbourhood of T is an old one as well. */
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
