/*
 * When to act.  Staple thread only.  A due time is a point of the wall clock,
 * because validity is, and the wall clock may jump.  Forward, what is due is
 * simply past.  Backward, the middle of a window stays where it is, unless the
 * whole window now lies in the future: then the response is asked for again at
 * once.  A pause after a failure was meant to begin at the moment at which it
 * was worked out, so a `now` before that moment has it worked out again.
 */
#include "staple/plan.h"

#include <sys/random.h>

#include "staple/ask.h"
#include "staple/cache.h"
#include "staple/errand.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/settings.h"

/* Without randomness certificates are not spread, and that is all. */
double
staple_plan_roll(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
		return 0.5;
	return bits / 4294967296.0;
}

static const struct staple_options *
settings_of(const struct staple_errand *errand)
{
	return &errand->worker->settings->values;
}

bool
staple_plan_window(
    const struct staple_errand *errand, struct staple_window *window)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	bool is_window = held != NULL && !staple_response_is_ahead(
					     held, errand->worker->wall_s);

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
is_ahead(const struct staple_errand *errand)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	bool ahead = held != NULL &&
		     staple_response_is_ahead(held, errand->worker->wall_s);

	staple_response_unref(held);
	return ahead;
}

int64_t
staple_plan_quarters(const struct staple_window *window, int count)
{
	return window->this_update +
	       (window->expires - window->this_update) / 4 * count;
}

void
staple_plan_at(struct staple_errand *errand, int64_t due)
{
	errand->due = due;
	errand->planned = errand->worker->wall_s;
}

void
staple_plan_refresh(struct staple_errand *errand, int64_t freshness_s)
{
	const struct staple_intervals intervals = {
		settings_of(errand)->min_interval_s,
		settings_of(errand)->max_interval_s
	};
	int64_t now = errand->worker->wall_s;
	int64_t fresh_until = freshness_s < 0 ? 0 : now + freshness_s;
	struct staple_window window;

	(void)staple_plan_window(errand, &window);
	staple_plan_at(errand, staple_schedule_refresh(&window, now, &intervals,
				   fresh_until, staple_plan_roll()));
}

void
staple_plan_retry(struct staple_errand *errand)
{
	int64_t now = errand->worker->wall_s;
	struct staple_window window;
	int64_t due = 0;

	/* Without an issuer it was not a responder that failed. */
	if (errand->cert->issuer != NULL)
		due = staple_ask_probe_time(errand);
	errand->probe_due = due != 0;
	(void)staple_plan_window(errand, &window);
	if (due == 0)
		due = staple_schedule_retry(errand->failures, now,
		    window.expires, errand->ask.retry_after_s,
		    staple_ask_sharers(errand), staple_plan_roll());
	staple_plan_at(errand, due);
}

void
staple_plan_first(struct staple_errand *errand)
{
	int64_t now = errand->worker->wall_s;
	struct staple_window window;

	if (staple_plan_window(errand, &window) &&
	    errand->accuser == STAPLE_ACCUSER_NONE &&
	    now < staple_plan_quarters(&window, 2))
		staple_plan_refresh(errand, -1);
	else
		staple_plan_at(errand, now);
}

void
staple_plan_correct(struct staple_errand *errand)
{
	int64_t now = errand->worker->wall_s;
	int64_t latest = now + settings_of(errand)->max_interval_s;

	if (now < errand->planned && errand->failures != 0)
		staple_plan_retry(errand);
	else if (errand->failures == 0 && is_ahead(errand))
		staple_plan_at(errand, now);
	if (errand->tries_since > now)
		errand->tries_since = now;
	if (errand->due > latest)
		staple_plan_at(errand, latest);
}

/* The earlier one of those that are still to come. */
static void
take_earlier(int64_t *soonest, int64_t when, int64_t now)
{
	if (when > now && when < *soonest)
		*soonest = when;
}

void
staple_plan_expect(struct staple_errand *errand)
{
	struct staple_worker *worker = errand->worker;
	int64_t now = worker->wall_s, soonest = INT64_MAX;
	struct staple_window window;

	if (errand->wish == STAPLE_WISH_NONE) {
		heap_remove(&worker->agenda, &errand->wake);
		return;
	}
	if (!errand->ask.busy)
		take_earlier(&soonest, errand->due, now);
	take_earlier(&soonest, errand->cert->not_after, now);
	if (staple_plan_window(errand, &window)) {
		take_earlier(&soonest, window.expires, now);
		take_earlier(&soonest,
		    staple_schedule_next_expiry_warning(
			errand->tries_since, window.expires, now),
		    now);
	}
	heap_put(&worker->agenda, &errand->wake, soonest);
}
