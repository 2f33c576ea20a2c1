/*
 * One certificate's life: taking over what is known about it, looking at the
 * clock, drawing conclusions.  Staple thread only.  A revocation is weighed
 * here: whoever said so first is remembered, and until it is confirmed
 * everybody else is asked before; only somebody else's "revoked" confirms it.
 */
#include "staple/errand.h"

#include <assert.h>
#include <stdlib.h>

#include "staple/ask.h"
#include "staple/cache.h"
#include "staple/disk.h"
#include "staple/plan.h"
#include "staple/report.h"
#include "staple/response.h"
#include "staple/writer.h"

struct staple_errand *
staple_errand_new(struct staple_office *office, struct staple_entry *entry)
{
	struct staple_errand *errand = calloc(1, sizeof(*errand));

	if (errand == NULL)
		return NULL;
	list_init(&errand->node);
	errand->office = office;
	errand->entry = entry;
	staple_entry_ref(entry);
	staple_entry_set_errand(entry, errand);
	return errand;
}

void
staple_errand_free(struct staple_errand *errand)
{
	staple_ask_cancel(errand);
	list_remove(&errand->node);
	staple_entry_set_errand(errand->entry, NULL);
	staple_entry_unref(errand->entry);
	staple_cert_unref(errand->cert);
	free(errand);
}

bool
staple_errand_is_confirming(const struct staple_errand *errand)
{
	return errand->accuser == STAPLE_ACCUSER_TRY && !errand->confirmed;
}

/* Is somebody waiting for how that ends? */
static bool
is_in_doubt(const struct staple_errand *errand)
{
	return staple_errand_is_confirming(errand) && !errand->unconfirmable;
}

/* ---- What has come ---- */

/* Published first and saved after.  Where expiry is counted from receipt, the
 * same bytes come again with a later one, which the file's time must show
 * too. */
static void
publish(struct staple_errand *errand, struct staple_response *fresh)
{
	struct staple_response *held = staple_cache_held(errand->entry);

	if (held == NULL || !staple_response_same(held, fresh) ||
	    staple_response_expires(fresh) > staple_response_expires(held)) {
		staple_cache_publish(errand->entry, fresh);
		if (errand->office->writer != NULL) {
			staple_writer_save(errand->office->writer, errand->cert,
			    fresh, errand->claim);
			errand->claim = NULL;
		}
	}
	staple_response_unref(held);
}

/* Who says "revoked" twice has confirmed nothing. */
static bool
was_accuser(const struct staple_errand *errand, const struct staple_try *trying)
{
	const struct staple_try *accusing = &errand->accusing;

	return errand->accuser == STAPLE_ACCUSER_TRY &&
	       accusing->url == trying->url && accusing->get == trying->get &&
	       accusing->hash == trying->hash;
}

static void
weigh_revoked(struct staple_errand *errand)
{
	if (errand->cert->staple_file != NULL) {
		errand->accuser = STAPLE_ACCUSER_FORGOTTEN;
		errand->unconfirmable = true; /* nobody can be asked */
	} else if (errand->accuser == STAPLE_ACCUSER_NONE) {
		errand->accuser = STAPLE_ACCUSER_TRY;
		errand->accusing = errand->ask.trying;
	} else if (!errand->confirmed &&
		   !was_accuser(errand, &errand->ask.trying)) {
		errand->confirmed = true;
		errand->unconfirmable = false;
		staple_report_line(errand, STAPLE_LEVEL_ERROR, STAPLE_REVOKED,
		    "a second answer confirms that it is revoked: %s",
		    errand->said.text);
	}
}

static void
weigh(struct staple_errand *errand, const struct staple_response *fresh)
{
	if (staple_response_is_revoked(fresh)) {
		weigh_revoked(errand);
		return;
	}
	errand->accuser = STAPLE_ACCUSER_NONE;
	errand->confirmed = errand->unconfirmable = false;
}

/* An old answer that comes again is normal for a while.  In the last quarter
 * of its window it is as bad as none: the ladder of warnings begins. */
static void
note_stale(struct staple_errand *errand, enum staple_outcome outcome)
{
	int64_t now = errand->office->wall_s;
	struct staple_window window;

	if (outcome != STAPLE_UNCHANGED ||
	    !staple_plan_window(errand, &window) ||
	    now < staple_plan_quarters(&window, 3))
		errand->tries_since = 0;
	else if (errand->tries_since == 0)
		errand->tries_since = now;
}

/* What an attempt had of the store; a claim is the writer's if it saves. */
static void
give_back(struct staple_errand *errand)
{
	staple_claim_release(errand->claim);
	errand->claim = NULL;
	errand->yields_since_ms = 0;
	errand->on_demand = false;
}

void
staple_errand_answered(
    struct staple_errand *errand, const struct staple_reply *reply)
{
	publish(errand, reply->response);
	give_back(errand);
	weigh(errand, reply->response);
	note_stale(errand, reply->outcome);
	errand->failures = 0;
	errand->outcome = reply->outcome;
	errand->settled = !is_in_doubt(errand);
	staple_plan_refresh(errand, reply->freshness_s);
	staple_report_attempt(errand);
	if (is_in_doubt(errand))
		staple_ask_begin(errand);
	staple_plan_expect(errand);
}

void
staple_errand_failed(struct staple_errand *errand, enum staple_outcome outcome)
{
	give_back(errand);
	errand->failures++;
	if (errand->tries_since == 0)
		errand->tries_since = errand->office->wall_s;
	errand->outcome = outcome;
	errand->settled = true;
	/* Confirmation was sought and not to be had: whoever waits for it has
	 * waited enough. */
	if (errand->accuser != STAPLE_ACCUSER_NONE && !errand->confirmed)
		errand->unconfirmable = true;
	staple_plan_retry(errand);
	staple_report_attempt(errand);
	staple_plan_expect(errand);
}

/* ---- What is to be done ---- */

static enum staple_outcome
find_hindrance(const struct staple_errand *errand)
{
	if (errand->office->wall_s >= errand->cert->not_after)
		return STAPLE_CERTIFICATE_EXPIRED;
	return errand->cert->hindrance;
}

/* Nobody is asked, which is said once. */
static void
rest(struct staple_errand *errand, enum staple_outcome hindrance)
{
	if (errand->settled && errand->outcome == hindrance)
		return;
	staple_ask_cancel(errand);
	errand->due = 0;
	errand->failures = 0;
	errand->tries_since = 0;
	errand->outcome = hindrance;
	errand->settled = true;
	err_set(&errand->said, "%s",
	    hindrance == errand->cert->hindrance ? errand->cert->hint : "");
	staple_report_attempt(errand);
}

static void
ask_if_due(struct staple_errand *errand)
{
	int64_t planned = errand->due;

	if (errand->ask.busy)
		return;
	staple_plan_correct(errand);
	if (errand->due != planned)
		staple_report_state(errand);
	if (errand->due <= errand->office->wall_s)
		staple_ask_begin(errand);
}

/* Nobody is asked here either, so nobody can be seen to fail: the ladder of
 * warnings begins when the middle of the window has brought no new file. */
static void
look_at_file(struct staple_errand *errand)
{
	int64_t now = errand->office->wall_s;
	struct staple_window window;

	staple_disk_look(errand);
	staple_plan_at(errand, now + STAPLE_DISK_LOOK_S);
	if (errand->tries_since == 0 && staple_plan_window(errand, &window) &&
	    now >= staple_plan_quarters(&window, 2))
		errand->tries_since = staple_plan_quarters(&window, 2);
}

void
staple_errand_review(struct staple_errand *errand)
{
	enum staple_outcome hindrance = find_hindrance(errand);

	if (errand->wish == STAPLE_WISH_NONE)
		return;
	if (hindrance != STAPLE_UNASKED)
		rest(errand, hindrance);
	else if (errand->cert->staple_file != NULL)
		look_at_file(errand);
	else
		ask_if_due(errand);
	staple_report_time(errand);
	staple_plan_expect(errand);
}

void
staple_errand_hurry(struct staple_errand *errand)
{
	if (errand->due == 0) /* nobody is to be asked */
		return;
	staple_plan_at(errand, errand->office->wall_s);
	errand->on_demand = true;
	errand->looked = false;
	staple_errand_review(errand);
}

/* ---- Taking over ---- */

/* Something is held that may be sent. */
static bool
is_provided(const struct staple_errand *errand)
{
	struct staple_window window;

	return staple_plan_window(errand, &window) &&
	       errand->office->wall_s < window.expires;
}

static void
start_over(struct staple_errand *errand)
{
	assert(errand->cert->complete);
	/* Tries were numbered by the URLs that there were. */
	errand->worked_once = false;
	if (errand->accuser == STAPLE_ACCUSER_TRY)
		errand->accuser = STAPLE_ACCUSER_FORGOTTEN;
	errand->unconfirmable = false;
	errand->settled = false;
	errand->failures = 0;
	errand->tries_since = 0;
	errand->looked = false;
	staple_disk_load(errand);
	staple_plan_first(errand);
}

void
staple_errand_update(struct staple_errand *errand)
{
	enum staple_wish wish;
	struct staple_cert *cert = staple_entry_facts(errand->entry, &wish);
	bool goes_on = errand->wish != STAPLE_WISH_NONE &&
		       wish != STAPLE_WISH_NONE &&
		       staple_cert_says_same(errand->cert, cert) &&
		       (cert == errand->cert || is_provided(errand));

	errand->wish = wish;
	/* An attempt in flight has borrowed from the facts that it began
	 * with, which say the same. */
	if (goes_on) {
		staple_cert_unref(cert);
		staple_report_state(errand);
		if (errand->cert->staple_file != NULL)
			staple_errand_review(errand);
		return;
	}
	staple_ask_cancel(errand);
	staple_cert_unref(errand->cert);
	errand->cert = cert;
	errand->due = 0;
	if (wish != STAPLE_WISH_NONE)
		start_over(errand);
	staple_report_state(errand);
	staple_errand_review(errand);
}
