/*
 * The steps of an attempt.  Staple thread only.  Its time limit is kept as the
 * time that is left, which only exchanges reduce: waiting for a permit, before
 * the first request or between two, costs nothing of it.
 */
#include "staple/attempt.h"

#include <string.h>

#include <openssl/err.h>

#include "staple/cache.h"
#include "staple/host_limits.h"
#include "staple/issuers.h"
#include "staple/job.h"
#include "staple/log_state.h"
#include "staple/outcome.h"
#include "staple/request_order.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/url.h"
#include "staple/writer.h"

enum { SECOND_MS = 1000, LOG_PAUSE_MS = 3600 * 1000 };

/* The outcome of a variant that is not sent because its host is down: the next
 * URL follows, whatever the method. */
#define SKIPPED STAPLE_CONNECTION_REFUSED

/* ---- Hosts ---- */

/* NULL: not a URL, or no memory. */
static struct staple_host *
host_of(struct staple_job *job, size_t url)
{
	struct staple_worker *worker = job->worker;
	char name[STAPLE_URL_HOST_MAX];

	if (job->hosts[url] == NULL &&
	    staple_url_host(job->cert->urls[url], name, sizeof(name)))
		job->hosts[url] = staple_hosts_hold(
		    &worker->hosts, name, worker->mono_ms);
	return job->hosts[url];
}

static enum staple_outcome
why_no_host(const struct staple_job *job)
{
	char name[STAPLE_URL_HOST_MAX];

	return staple_url_host(job->cert->urls[job->attempt.variant.url], name,
		   sizeof(name))
		   ? STAPLE_NO_MEMORY
		   : STAPLE_BAD_URL;
}

void
staple_attempt_drop_hosts(struct staple_job *job)
{
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		staple_host_drop(job->hosts[i], job->worker->mono_ms);
		job->hosts[i] = NULL;
	}
}

void
staple_attempt_hold_hosts(struct staple_job *job)
{
	staple_attempt_drop_hosts(job);
	for (size_t i = 0; i < job->cert->url_count; i++)
		(void)host_of(job, i);
}

unsigned
staple_attempt_sharers(const struct staple_job *job)
{
	unsigned most = 1;

	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = job->hosts[i];

		if (host != NULL && host->certificates > most)
			most = host->certificates;
	}
	return most;
}

/* Without the issuer no request can be made.  Constant during an attempt: other
 * facts cancel it. */
static bool
is_seeking(const struct staple_job *job)
{
	return job->cert->issuer == NULL;
}

/* true: at least one host of this certificate is up. */
static bool
has_open_host(const struct staple_job *job)
{
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = job->hosts[i];

		if (host != NULL && !host->down)
			return true;
	}
	return false;
}

int64_t
staple_attempt_probe_time(const struct staple_job *job)
{
	const struct staple_worker *worker = job->worker;
	int64_t first_ms = INT64_MAX, wait_s;

	if (has_open_host(job))
		return 0;
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = job->hosts[i];

		if (host != NULL && host->probe_ms < first_ms)
			first_ms = host->probe_ms;
	}
	if (first_ms == INT64_MAX)
		return 0;
	wait_s = (first_ms - worker->mono_ms + SECOND_MS - 1) / SECOND_MS;
	return worker->wall_s + (wait_s > 1 ? wait_s : 1);
}

/* At most one line an hour: each certificate has its own lines besides. */
static void
log_down(struct staple_job *job, struct staple_host *host)
{
	struct staple_worker *worker = job->worker;
	int64_t pause_ms = host->probe_ms - worker->mono_ms;

	if (host->certificates < 2 ||
	    (host->logged && worker->mono_ms < host->logged_ms + LOG_PAUSE_MS))
		return;
	host->logged = host->log_up = true;
	host->logged_ms = worker->mono_ms;
	staple_report_message(worker, STAPLE_LEVEL_WARNING,
	    "responder host %s is down: %s; %u certificates affected; next "
	    "probe in %lld s",
	    host->name, staple_outcome_sentence(host->outcome),
	    host->certificates, (long long)(pause_ms / SECOND_MS));
}

static void
log_up(struct staple_job *job, struct staple_host *host)
{
	if (!host->log_up)
		return;
	host->log_up = false;
	staple_report_message(job->worker, STAPLE_LEVEL_NOTICE,
	    "responder host %s is up again; %zu certificates queued",
	    host->name, host->waiting.count);
}

/* The attempt turns from its host to this one (NULL: it ends): the outcome
 * of its last request is recorded in the host. */
static void
leave_host(struct staple_job *job, const struct staple_host *next)
{
	struct staple_worker *worker = job->worker;
	struct staple_attempt *attempt = &job->attempt;
	struct staple_host *host = attempt->host;
	const struct staple_host_failure failure = {
		.outcome = attempt->blame,
		.retry_after_s = attempt->blame_retry_s,
		.wall_s = worker->wall_s,
		.mono_ms = worker->mono_ms,
		.began_ms = attempt->began_ms,
		.jitter = staple_schedule_jitter(),
	};

	if (host == NULL || host == next)
		return;
	attempt->host = NULL;
	if (attempt->blame == STAPLE_UNASKED)
		staple_host_skipped(host, &attempt->waiter);
	else if (staple_host_failed(host, &attempt->waiter, &failure))
		log_down(job, host);
	attempt->blame = STAPLE_UNASKED;
}

/* An exchange with the host has ended. */
static void
note_for_host(struct staple_job *job, enum staple_outcome outcome,
    const struct staple_fetch_result *fetched)
{
	struct staple_attempt *attempt = &job->attempt;
	bool was_down = attempt->host->down;

	attempt->blame = STAPLE_UNASKED;
	if (staple_host_is_blamed(outcome)) {
		attempt->blame = outcome;
		attempt->blame_retry_s = fetched->retry_after_s;
		return;
	}
	if (outcome == STAPLE_NO_MEMORY || outcome == STAPLE_BAD_URL)
		return;
	staple_host_works(attempt->host, fetched->took_ms);
	if (was_down)
		log_up(job, attempt->host);
}

/* ---- From variant to variant ---- */

/* The attempt is over before its conclusion is drawn, which may begin the
 * next one. */
static void
end(struct staple_job *job)
{
	staple_queue_leave(&job->attempt.waiter);
	leave_host(job, NULL);
	staple_host_drop(job->issuer_host, job->worker->mono_ms);
	job->issuer_host = NULL;
	job->attempt.blocked = false;
	job->attempt.busy = false;
}

static void
give_up(struct staple_job *job)
{
	end(job);
	staple_job_failed(job, &job->attempt.result);
}

/* The variant in hand has ended. */
static void
note_variant(struct staple_job *job, const struct staple_result *result,
    unsigned took_ms)
{
	struct staple_result *whole = &job->attempt.result;

	staple_report_variant(job, result, took_ms);
	whole->outcome = staple_outcome_nearer(whole->outcome, result->outcome);
}

/* ...without an exchange. */
static enum staple_outcome
miss(struct staple_job *job, enum staple_outcome outcome)
{
	struct staple_result result = { .outcome = outcome };

	err_set(&result.said, "%s", staple_outcome_sentence(outcome));
	note_variant(job, &result, 0);
	return outcome;
}

/* The same where the host is down. */
static enum staple_outcome
skip(struct staple_job *job, const struct staple_host *host)
{
	struct staple_result result = { .outcome = host->outcome };

	job->attempt.skipped = true;
	err_set(&result.said, "host is down: %s",
	    staple_outcome_name(host->outcome));
	note_variant(job, &result, 0);
	return SKIPPED;
}

/* 0: the deadline is over. */
static uint32_t
time_for_try(const struct staple_attempt *attempt)
{
	return staple_request_time(attempt->timeout_ms, attempt->left_ms);
}

/* What the queue goes by. */
static void
describe_waiter(struct staple_job *job)
{
	struct staple_waiter *waiter = &job->attempt.waiter;
	struct staple_window window;

	(void)staple_job_window(job, &window);
	waiter->expires = window.expires;
	waiter->untried = !job->settled &&
			  window.expires <= job->worker->wall_s;
}

/* May the last response come from a cache that kept it too long: expired, or
 * unchanged near its end?  RFC 5019 6.1: only then is no-cache allowed. */
static bool
got_old(const struct staple_job *job)
{
	return job->result.outcome == STAPLE_EXPIRED ||
	       (job->result.outcome == STAPLE_UNCHANGED &&
		   job->tries_since != 0);
}

static bool
join(struct staple_job *job, struct staple_host *host)
{
	struct staple_attempt *attempt = &job->attempt;
	/* Finish started attempts first: host failures are counted per finished
	 * attempt.  A certificate without an attempt is the next to probe a
	 * host that is down. */
	bool first = attempt->tried || (host->down && attempt->waiter.untried);

	leave_host(job, host);
	if (!staple_queue_join(host, &attempt->waiter, first ? 0 : job->due))
		return false;
	attempt->host = host;
	host->untried_waits |= host->down && !attempt->blocked;
	staple_host_joined(host, &attempt->waiter, job->worker->wall_s);
	return true;
}

/* ---- The issuer, which every request and verification needs ---- */

static void
note_issuer(
    struct staple_job *job, enum staple_outcome outcome, const char *said)
{
	struct staple_result result = { .outcome = outcome };

	err_set(&result.said, "%s", said);
	staple_report_issuer(job, &result, 0);
	job->attempt.issuer_url++;
}

static void
give_up_issuer(struct staple_job *job)
{
	job->attempt.result.outcome = STAPLE_NO_ISSUER;
	give_up(job);
}

/*
 * NULL: not a URL, or no memory.  The job holds it while it waits there.  Not
 * the entry of a responder with the same name: a static file that is served
 * does not prove that the responder works.
 */
static struct staple_host *
issuer_host(struct staple_job *job)
{
	struct staple_worker *worker = job->worker;
	char name[STAPLE_URL_HOST_MAX + sizeof("issuer ")] = "issuer ";
	size_t prefix = strlen(name);

	if (!staple_url_host(job->cert->issuer_urls[job->attempt.issuer_url],
		name + prefix, STAPLE_URL_HOST_MAX))
		return NULL;
	return staple_hosts_hold(&worker->hosts, name, worker->mono_ms);
}

/* Queue for a permit of the host of one issuer URL; false: *said is the
 * cause. */
static bool
join_issuer_host(struct staple_job *job, const char **said)
{
	struct staple_worker *worker = job->worker;
	struct staple_host *host, *before = job->issuer_host;

	*said = staple_issuers_failed(&worker->issuers, job->cert,
	    job->attempt.issuer_url, job, worker->mono_ms);
	if (*said != NULL)
		return false;
	host = issuer_host(job);
	*said = staple_outcome_sentence(STAPLE_BAD_URL);
	if (host == NULL)
		return false;
	if (staple_host_is_closed(
		host, &job->attempt.waiter, worker->mono_ms)) {
		*said = "its host is down";
	} else if (join(job, host)) {
		job->issuer_host = host;
		staple_host_drop(before, worker->mono_ms);
		return true;
	} else {
		*said = staple_outcome_sentence(STAPLE_NO_MEMORY);
	}
	staple_host_drop(host, worker->mono_ms);
	return false;
}

/* Queue for a permit to fetch the issuer from the next URL. */
static void
seek_on(struct staple_job *job)
{
	const struct staple_cert *cert = job->cert;
	struct staple_attempt *attempt = &job->attempt;
	const char *said;

	while (time_for_try(attempt) != 0 &&
	       attempt->issuer_url < cert->issuer_url_count) {
		if (join_issuer_host(job, &said))
			return;
		note_issuer(job, STAPLE_NO_ISSUER, said);
	}
	give_up_issuer(job);
}

/* The issuer is known: continue with facts that contain it. */
static void
take_issuer(struct staple_job *job)
{
	struct staple_result unused = job->attempt.result;

	end(job);
	staple_job_update(job);
	if (job->cert->issuer_url_count == 0)
		return;
	unused.outcome = STAPLE_NO_MEMORY;
	staple_job_failed(job, &unused);
}

/* A permit is free.  Another job, or another process that shares the store, may
 * have fetched the same issuer since this one joined the queue. */
static void
start_seeking(struct staple_job *job, struct staple_permit *permit)
{
	struct staple_attempt *attempt = &job->attempt;
	enum staple_origin origin;

	if (staple_job_known_issuer(job, job->cert, &origin) != NULL) {
		staple_permit_return(permit);
		take_issuer(job);
		return;
	}
	if (staple_issuers_failed(&job->worker->issuers, job->cert,
		attempt->issuer_url, job, job->worker->mono_ms) != NULL) {
		staple_permit_return(permit);
		seek_on(job);
		return;
	}
	if (attempt->began_ms == 0)
		attempt->began_ms = job->worker->mono_ms;
	attempt->permit = permit;
	attempt->fetch = staple_issuer_fetch(job->worker->fetcher, job->cert,
	    attempt->issuer_url, time_for_try(attempt), job->worker->fetched,
	    job);
	if (attempt->fetch != NULL)
		return;
	staple_permit_return(permit);
	attempt->permit = NULL;
	note_issuer(
	    job, STAPLE_NO_MEMORY, staple_outcome_sentence(STAPLE_NO_MEMORY));
	give_up_issuer(job);
}

/* Cache the issuer for all its certificates and queue it for the store. */
static void
keep_issuer(struct staple_job *job, X509 *issuer)
{
	struct staple_worker *worker = job->worker;
	char id[2 * STAPLE_KEY_SIZE + 1];
	unsigned char *der = NULL;
	int len;

	staple_issuers_add(&worker->issuers, issuer, STAPLE_ORIGIN_AIA);
	if (worker->writer == NULL || worker->issuer_store == NULL ||
	    !staple_issuer_id(job->cert->leaf, id))
		return;
	len = i2d_X509(issuer, &der);
	if (len > 0)
		staple_writer_save_bytes(
		    worker->writer, id, worker->issuer_store, der, (size_t)len);
	OPENSSL_free(der);
	ERR_clear_error();
}

static void
sought(struct staple_job *job, const struct staple_fetch_result *fetched)
{
	struct staple_attempt *attempt = &job->attempt;
	struct staple_result result;
	X509 *issuer = staple_issuer_check(job->cert, fetched, &result);

	/* Any HTTP response proves that the host is up. */
	note_for_host(job,
	    fetched->http_status == 0 ? fetched->outcome : STAPLE_GOOD,
	    fetched);
	staple_report_issuer(job, &result, fetched->took_ms);
	if (issuer == NULL) {
		staple_issuers_fail(&job->worker->issuers, job->cert,
		    attempt->issuer_url, job, result.said.text,
		    job->worker->mono_ms);
		attempt->issuer_url++;
		seek_on(job);
		return;
	}
	keep_issuer(job, issuer);
	X509_free(issuer);
	take_issuer(job);
}

static void
begin(struct staple_job *job)
{
	struct staple_attempt *attempt = &job->attempt;

	*attempt = (struct staple_attempt){
		.busy = true,
		.confirming = staple_job_is_confirming(job),
		.timeout_ms = staple_job_settings(job)->timeout_ms,
		.left_ms = staple_job_settings(job)->timeout_ms,
	};
	job->probe_due = false;
	staple_request_order_begin(&attempt->order, job->cert,
	    staple_job_settings(job)->method, got_old(job));
	if (job->worked_once)
		staple_request_order_prefer(&attempt->order, &job->worked);
	if (attempt->confirming)
		staple_request_order_confirm(
		    &attempt->order, &job->revoked_variant, job->unconfirmable);
	describe_waiter(job);
}

/* All hosts are down and no request was sent: queue for the first one. */
static void
block(struct staple_job *job)
{
	struct staple_attempt *attempt = &job->attempt;
	struct staple_result result = attempt->result;
	struct staple_host *host = NULL;

	begin(job);
	attempt->blocked = true;
	attempt->waiter.untried = false;
	while (host == NULL && staple_request_order_next(
				   &attempt->order, SKIPPED, &attempt->variant))
		host = host_of(job, attempt->variant.url);
	if (host == NULL || !join(job, host)) {
		attempt->result = result;
		give_up(job);
		return;
	}
	result.outcome = host->outcome;
	staple_job_blocked(job, &result);
}

/* Queue for the next variant, given the outcome of the last one. */
static void
go_on(struct staple_job *job, enum staple_outcome last)
{
	struct staple_attempt *attempt = &job->attempt;
	struct staple_host *host;

	while (time_for_try(attempt) != 0 &&
	       staple_request_order_next(
		   &attempt->order, last, &attempt->variant)) {
		host = host_of(job, attempt->variant.url);
		if (host == NULL) {
			last = miss(job, why_no_host(job));
			continue;
		}
		/* The current host as well: other attempts may have taken it
		 * down since this one began. */
		if (staple_host_is_closed(
			host, &attempt->waiter, job->worker->mono_ms)) {
			last = skip(job, host);
			continue;
		}
		if (join(job, host))
			return;
		miss(job, STAPLE_NO_MEMORY);
		break;
	}
	if (attempt->skipped && !attempt->tried)
		block(job);
	else
		give_up(job);
}

void
staple_attempt_begin(struct staple_job *job)
{
	begin(job);
	if (is_seeking(job))
		seek_on(job);
	else
		go_on(job, STAPLE_UNASKED);
}

void
staple_attempt_start(struct staple_waiter *waiter, struct staple_permit *permit)
{
	struct staple_attempt *attempt = container_of(
	    waiter, struct staple_attempt, waiter);
	struct staple_job *job = container_of(
	    attempt, struct staple_job, attempt);

	if (is_seeking(job)) {
		start_seeking(job, permit);
		return;
	}
	attempt->blocked = false;
	if (!attempt->tried)
		attempt->began_ms = job->worker->mono_ms;
	attempt->tried = true;
	attempt->permit = permit;
	if (staple_job_spares_request(job))
		return;
	attempt->fetch = staple_request_start(job->worker->fetcher, job->cert,
	    &attempt->variant, time_for_try(attempt), job->worker->fetched,
	    job);
	if (attempt->fetch != NULL)
		return;
	staple_permit_return(permit);
	attempt->permit = NULL;
	miss(job, STAPLE_NO_MEMORY);
	give_up(job);
}

static struct staple_response *
check_response(struct staple_job *job,
    const struct staple_fetch_result *fetched, struct staple_result *result)
{
	const struct staple_clock clock = staple_job_clock(job);
	struct staple_response *held = staple_cache_response(job->entry);
	struct staple_response *fresh = staple_response_check_fetched(
	    job->cert, held, fetched, &clock, result);

	staple_response_unref(held);
	return fresh;
}

/* Not after a confirming attempt: it uses another variant on purpose. */
static void
remember(struct staple_job *job)
{
	if (job->attempt.confirming)
		return;
	job->worked_once = true;
	job->worked = job->attempt.variant;
}

static void
put_down(struct staple_job *job, const struct staple_fetch_result *fetched)
{
	struct staple_attempt *attempt = &job->attempt;

	attempt->fetch = NULL;
	staple_permit_return(attempt->permit);
	attempt->permit = NULL;
	attempt->left_ms -= fetched->took_ms < attempt->left_ms
				? fetched->took_ms
				: attempt->left_ms;
	if (fetched->retry_after_s > attempt->retry_after_s)
		attempt->retry_after_s = fetched->retry_after_s;
	if (fetched->retry_after_s > 0)
		staple_request_order_skip_host(&attempt->order);
}

/*
 * The outcome that decides about the next variant.  A probe repeats the variant
 * that worked before, because an outage is no reason for the other method.  If
 * none has worked, every fourth probe uses the other method as well, and so
 * does the first attempt of a certificate.
 */
static enum staple_outcome
guide(const struct staple_job *job, enum staple_outcome outcome)
{
	const struct staple_attempt *attempt = &job->attempt;

	if (attempt->blame == STAPLE_UNASKED ||
	    attempt->host->prober != &attempt->waiter)
		return outcome;
	if (job->worked_once)
		return SKIPPED;
	return attempt->waiter.untried || attempt->host->failures % 4 == 0
		   ? outcome
		   : SKIPPED;
}

void
staple_attempt_fetched(
    struct staple_job *job, const struct staple_fetch_result *fetched)
{
	struct staple_attempt *attempt = &job->attempt;
	struct staple_response *response;
	struct staple_result result;

	put_down(job, fetched);
	if (is_seeking(job)) {
		sought(job, fetched);
		return;
	}
	response = check_response(job, fetched, &result);
	note_variant(job, &result, fetched->took_ms);
	note_for_host(job, result.outcome, fetched);
	if (response == NULL) {
		go_on(job, guide(job, result.outcome));
		return;
	}
	end(job);
	remember(job);
	attempt->result.outcome = result.outcome;
	staple_job_answered(
	    job, response, &attempt->result, fetched->freshness_s);
	staple_response_unref(response);
}

void
staple_attempt_cancel(struct staple_job *job)
{
	struct staple_attempt *attempt = &job->attempt;

	if (!attempt->busy)
		return;
	staple_fetch_cancel(attempt->fetch);
	attempt->fetch = NULL;
	if (attempt->permit != NULL)
		staple_permit_return(attempt->permit);
	attempt->permit = NULL;
	staple_claim_release(job->claim);
	job->claim = NULL;
	end(job);
}

void
staple_attempt_reconsider(struct staple_job *job)
{
	struct staple_attempt *attempt = &job->attempt;
	struct staple_host *host = attempt->waiter.host;
	bool has_open = has_open_host(job);

	if (!attempt->busy && job->probe_due && has_open) {
		job->probe_due = false;
		staple_job_set_due(job, job->worker->wall_s);
		staple_job_review(job);
		return;
	}
	/* Only a job that waits, and not between two requests of a probe. */
	if (host == NULL || host->prober == &attempt->waiter)
		return;
	if (!host->down) {
		attempt->blocked = false;
		return;
	}
	if ((attempt->blocked && !has_open) ||
	    (!attempt->blocked && !staple_host_is_closed(host, &attempt->waiter,
				      job->worker->mono_ms)))
		return;
	staple_queue_leave(&attempt->waiter);
	if (attempt->blocked) {
		leave_host(job, NULL);
		staple_attempt_begin(job);
		return;
	}
	if (is_seeking(job)) {
		note_issuer(job, STAPLE_NO_ISSUER, "its host is down");
		seek_on(job);
		return;
	}
	go_on(job, skip(job, host));
}
