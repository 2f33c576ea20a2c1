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
#include "staple/issuers.h"
#include "staple/log_state.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/writer.h"

struct staple_errand *
staple_errand_new(struct staple_worker *worker, struct staple_entry *entry)
{
	struct staple_errand *errand;

	/* So that its time can always be put there. */
	if (!heap_reserve(&worker->agenda, worker->errand_count + 1))
		return NULL;
	errand = calloc(1, sizeof(*errand));
	if (errand == NULL)
		return NULL;
	worker->errand_count++;
	list_init(&errand->node);
	errand->worker = worker;
	errand->entry = entry;
	staple_entry_ref(entry);
	staple_entry_set_errand(entry, errand);
	return errand;
}

void
staple_errand_free(struct staple_errand *errand)
{
	staple_ask_cancel(errand);
	staple_ask_drop_hosts(errand);
	heap_remove(&errand->worker->agenda, &errand->wake);
	errand->worker->errand_count--;
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

/* Published first and saved after.  The same bytes may come with another
 * expiry, if default_lifetime was changed. */
static void
publish(struct staple_errand *errand, struct staple_response *fresh)
{
	struct staple_response *held = staple_cache_held(errand->entry);

	staple_cache_publish(errand->entry, fresh);
	if (errand->worker->writer != NULL &&
	    (held == NULL || !staple_response_same(held, fresh))) {
		staple_writer_save(
		    errand->worker->writer, errand->cert, fresh, errand->claim);
		errand->claim = NULL;
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
	int64_t now = errand->worker->wall_s;
	struct staple_window window;

	if (outcome != STAPLE_UNCHANGED ||
	    !staple_job_window(errand, &window) ||
	    now < staple_schedule_quarters(&window, 3))
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
	staple_report_flaws(errand, reply->response);
	weigh(errand, reply->response);
	note_stale(errand, reply->outcome);
	errand->failures = 0;
	errand->outcome = reply->outcome;
	errand->settled = !is_in_doubt(errand);
	staple_job_schedule_refresh(errand, reply->freshness_s);
	staple_report_attempt(errand);
	if (is_in_doubt(errand))
		staple_ask_begin(errand);
	staple_job_schedule_review(errand);
}

void
staple_errand_failed(struct staple_errand *errand, enum staple_outcome outcome)
{
	give_back(errand);
	errand->failures++;
	if (errand->tries_since == 0)
		errand->tries_since = errand->worker->wall_s;
	errand->outcome = outcome;
	errand->settled = true;
	/* Confirmation was sought and not to be had: whoever waits for it has
	 * waited enough. */
	if (errand->accuser != STAPLE_ACCUSER_NONE && !errand->confirmed)
		errand->unconfirmable = true;
	staple_job_schedule_retry(errand);
	staple_report_attempt(errand);
	staple_job_schedule_review(errand);
}

void
staple_errand_blocked(struct staple_errand *errand, enum staple_outcome outcome)
{
	if (errand->tries_since == 0)
		errand->tries_since = errand->worker->wall_s;
	if (errand->failures == 0)
		errand->failures = 1;
	if (errand->settled) {
		staple_report_state(errand);
		staple_job_schedule_review(errand);
		return;
	}
	errand->outcome = outcome;
	errand->settled = true;
	if (errand->accuser != STAPLE_ACCUSER_NONE && !errand->confirmed)
		errand->unconfirmable = true;
	staple_report_attempt(errand);
	staple_job_schedule_review(errand);
}

/* ---- What is to be done ---- */

static enum staple_outcome
find_hindrance(const struct staple_errand *errand)
{
	if (errand->worker->wall_s >= errand->cert->not_after)
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
	staple_job_correct_schedule(errand);
	if (errand->due != planned)
		staple_report_state(errand);
	if (errand->due <= errand->worker->wall_s)
		staple_ask_begin(errand);
}

/* Nobody is asked here either, so nobody can be seen to fail: the ladder of
 * warnings begins when the middle of the window has brought no new file. */
static void
look_at_file(struct staple_errand *errand)
{
	int64_t now = errand->worker->wall_s;
	struct staple_window window;

	staple_disk_look(errand);
	staple_job_set_due(errand, now + STAPLE_DISK_LOOK_S);
	if (errand->tries_since == 0 && staple_job_window(errand, &window) &&
	    now >= staple_schedule_quarters(&window, 2))
		errand->tries_since = staple_schedule_quarters(&window, 2);
}

void
staple_errand_review(struct staple_errand *errand)
{
	enum staple_outcome hindrance = find_hindrance(errand);

	if (errand->wish == STAPLE_WISH_NONE) {
		staple_job_schedule_review(errand);
		return;
	}
	if (hindrance != STAPLE_UNASKED)
		rest(errand, hindrance);
	else if (errand->cert->staple_file != NULL)
		look_at_file(errand);
	else
		ask_if_due(errand);
	staple_report_time(errand);
	staple_job_schedule_review(errand);
}

void
staple_errand_hurry(struct staple_errand *errand)
{
	if (errand->due == 0) /* nobody is to be asked */
		return;
	staple_job_set_due(errand, errand->worker->wall_s);
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

	return staple_job_window(errand, &window) &&
	       errand->worker->wall_s < window.expires;
}

/* Log the ignored URLs once: no attempt shows them.  Where no URL remains, the
 * hint is logged with the outcome. */
static void
mention_left_out(struct staple_errand *errand)
{
	if (errand->mentioned || errand->cert->hint[0] == '\0' ||
	    errand->cert->hindrance != STAPLE_UNASKED ||
	    errand->cert->staple_file != NULL)
		return;
	errand->mentioned = true;
	staple_report_line(errand, STAPLE_LEVEL_WARNING, STAPLE_UNASKED,
	    "URL ignored: %s; the other URLs are used", errand->cert->hint);
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
	if (errand->cert->staple_file == NULL)
		staple_ask_hold_hosts(errand);
	mention_left_out(errand);
	staple_disk_load(errand);
	staple_job_schedule_first(errand);
}

/* ---- An issuer that is not shown with its certificate ---- */

/* From the store into worker->issuers; borrowed from there.  NULL: none. */
static X509 *
load_issuer(struct staple_errand *errand, const struct staple_cert *cert,
    enum staple_origin *origin)
{
	struct staple_worker *worker = errand->worker;
	struct err err;
	X509 *saved;

	if (worker->issuer_store == NULL)
		return NULL;
	saved = staple_issuer_load(worker->issuer_store, cert, &err);
	if (saved == NULL) {
		if (err.text[0] != '\0' && !worker->issuers.told)
			staple_report_trouble(worker, STAPLE_LEVEL_WARNING,
			    "saved issuer of %s not used: %s; it is fetched",
			    cert->name, err.text);
		worker->issuers.told |= err.text[0] != '\0';
		return NULL;
	}
	staple_issuers_add(&worker->issuers, saved, STAPLE_ORIGIN_STORE);
	X509_free(saved);
	staple_report_trouble(worker, STAPLE_LEVEL_INFO,
	    "issuer of %s loaded from the store", cert->name);
	return staple_issuers_find(&worker->issuers, cert, origin);
}

X509 *
staple_errand_known_issuer(struct staple_errand *errand,
    const struct staple_cert *cert, enum staple_origin *origin)
{
	X509 *issuer = staple_issuers_find(
	    &errand->worker->issuers, cert, origin);

	return issuer != NULL ? issuer : load_issuer(errand, cert, origin);
}

/* Add a known issuer to facts without one, in the entry as well.  Takes the
 * reference and returns one. */
static struct staple_cert *
add_known_issuer(struct staple_errand *errand, struct staple_cert *cert)
{
	enum staple_origin origin;
	struct staple_cert *whole;
	struct err err;
	X509 *issuer;

	if (cert->issuer_url_count == 0)
		return cert;
	issuer = staple_errand_known_issuer(errand, cert, &origin);
	if (issuer == NULL)
		return cert;
	whole = staple_cert_with_issuer(cert, cert->leaf, issuer, origin, &err);
	if (whole == NULL) /* no memory: the next review tries again */
		return cert;
	staple_cache_learn(errand->entry, cert, whole);
	staple_cert_unref(cert);
	return whole;
}

void
staple_errand_update(struct staple_errand *errand)
{
	enum staple_wish wish;
	struct staple_cert *cert = add_known_issuer(
	    errand, staple_entry_facts(errand->entry, &wish));
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
	staple_ask_drop_hosts(errand);
	staple_cert_unref(errand->cert);
	errand->cert = cert;
	errand->due = 0;
	if (wish != STAPLE_WISH_NONE)
		start_over(errand);
	staple_report_state(errand);
	staple_errand_review(errand);
}
