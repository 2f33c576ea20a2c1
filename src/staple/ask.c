/*
 * How an attempt goes on.  Staple thread only.  Its deadline is kept as time
 * that is left, of which only asking takes away: an attempt that waits for a
 * slot, first or between two tries, has lost nothing.
 */
#include "staple/ask.h"

#include <string.h>

#include <openssl/err.h>

#include "staple/cache.h"
#include "staple/disk.h"
#include "staple/errand.h"
#include "staple/host_limits.h"
#include "staple/issuers.h"
#include "staple/log_state.h"
#include "staple/outcome.h"
#include "staple/response.h"
#include "staple/schedule.h"
#include "staple/settings.h"
#include "staple/try.h"
#include "staple/url.h"
#include "staple/writer.h"

enum { HOST_MAX = 512, SECOND_MS = 1000, LOG_PAUSE_MS = 3600 * 1000 };

/* How a try ends that is not made because the host is down: another URL is
 * next, whatever the method. */
#define SKIPPED STAPLE_CONNECTION_REFUSED

static const struct staple_options *
settings_of(const struct staple_errand *errand)
{
	return &errand->worker->settings->values;
}

/* ---- Its hosts ---- */

/* NULL: not a URL, or no memory. */
static struct staple_host *
host_of(struct staple_errand *errand, size_t url)
{
	struct staple_worker *worker = errand->worker;
	char name[HOST_MAX];

	if (errand->hosts[url] == NULL &&
	    staple_url_host(errand->cert->urls[url], name, sizeof(name)))
		errand->hosts[url] = staple_hosts_hold(
		    &worker->hosts, name, worker->mono_ms);
	return errand->hosts[url];
}

static enum staple_outcome
why_no_host(const struct staple_errand *errand)
{
	char name[HOST_MAX];

	return staple_url_host(errand->cert->urls[errand->ask.trying.url], name,
		   sizeof(name))
		   ? STAPLE_NO_MEMORY
		   : STAPLE_BAD_URL;
}

void
staple_ask_drop_hosts(struct staple_errand *errand)
{
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		staple_host_drop(errand->hosts[i], errand->worker->mono_ms);
		errand->hosts[i] = NULL;
	}
}

void
staple_ask_hold_hosts(struct staple_errand *errand)
{
	staple_ask_drop_hosts(errand);
	for (size_t i = 0; i < errand->cert->url_count; i++)
		(void)host_of(errand, i);
}

unsigned
staple_ask_sharers(const struct staple_errand *errand)
{
	unsigned most = 1;

	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = errand->hosts[i];

		if (host != NULL && host->certificates > most)
			most = host->certificates;
	}
	return most;
}

/* The issuer, without which nothing can be asked.  The same for a whole
 * attempt: another certificate cancels it. */
static bool
is_seeking(const struct staple_errand *errand)
{
	return errand->cert->issuer == NULL;
}

/* true: at least one host of this certificate is up. */
static bool
has_open_host(const struct staple_errand *errand)
{
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = errand->hosts[i];

		if (host != NULL && !host->down)
			return true;
	}
	return false;
}

int64_t
staple_ask_probe_time(const struct staple_errand *errand)
{
	const struct staple_worker *worker = errand->worker;
	int64_t first_ms = INT64_MAX, wait_s;

	if (has_open_host(errand))
		return 0;
	for (size_t i = 0; i < STAPLE_URLS_MAX; i++) {
		const struct staple_host *host = errand->hosts[i];

		if (host != NULL && host->probe_ms < first_ms)
			first_ms = host->probe_ms;
	}
	if (first_ms == INT64_MAX)
		return 0;
	wait_s = (first_ms - worker->mono_ms + SECOND_MS - 1) / SECOND_MS;
	return worker->wall_s + (wait_s > 1 ? wait_s : 1);
}

/* One line an hour: each of its certificates has lines of its own. */
static void
log_down(struct staple_errand *errand, struct staple_host *host)
{
	struct staple_worker *worker = errand->worker;
	int64_t pause_ms = host->probe_ms - worker->mono_ms;

	if (host->certificates < 2 ||
	    (host->logged && worker->mono_ms < host->logged_ms + LOG_PAUSE_MS))
		return;
	host->logged = host->log_up = true;
	host->logged_ms = worker->mono_ms;
	staple_report_trouble(worker, STAPLE_LEVEL_WARNING,
	    "responder host %s is down: %s; %u certificates share it; next "
	    "probe in %lld s",
	    host->name, staple_outcome_sentence(host->outcome),
	    host->certificates, (long long)(pause_ms / SECOND_MS));
}

static void
log_up(struct staple_errand *errand, struct staple_host *host)
{
	if (!host->log_up)
		return;
	host->log_up = false;
	staple_report_trouble(errand->worker, STAPLE_LEVEL_NOTICE,
	    "responder host %s answers again; %zu certificates wait to be "
	    "asked about",
	    host->name, host->waiting.count);
}

/* The attempt turns from its host to this one (NULL: it ends): the outcome
 * of its last request is recorded in the host. */
static void
leave_host(struct staple_errand *errand, const struct staple_host *next)
{
	struct staple_worker *worker = errand->worker;
	struct staple_ask *ask = &errand->ask;
	struct staple_host *host = ask->host;
	const struct staple_host_failure failure = {
		.outcome = ask->blame,
		.retry_after_s = ask->blame_retry_s,
		.wall_s = worker->wall_s,
		.mono_ms = worker->mono_ms,
		.began_ms = ask->began_ms,
		.jitter = staple_schedule_jitter(),
	};

	if (host == NULL || host == next)
		return;
	ask->host = NULL;
	if (ask->blame == STAPLE_UNASKED)
		staple_host_left(host, &ask->waiter);
	else if (staple_host_failed(host, &ask->waiter, &failure))
		log_down(errand, host);
	ask->blame = STAPLE_UNASKED;
}

/* A try has ended there. */
static void
note_for_host(struct staple_errand *errand, enum staple_outcome outcome,
    const struct staple_fetch_result *result)
{
	struct staple_ask *ask = &errand->ask;
	bool was_down = ask->host->down;

	ask->blame = STAPLE_UNASKED;
	if (staple_host_is_blamed(outcome)) {
		ask->blame = outcome;
		ask->blame_retry_s = result->retry_after_s;
		return;
	}
	if (outcome == STAPLE_NO_MEMORY || outcome == STAPLE_BAD_URL)
		return;
	staple_host_answered(ask->host, result->took_ms);
	if (was_down)
		log_up(errand, ask->host);
}

/* ---- From try to try ---- */

/* The attempt is over before its conclusion is drawn, which may begin the
 * next one. */
static void
end(struct staple_errand *errand)
{
	staple_queue_leave(&errand->ask.waiter);
	leave_host(errand, NULL);
	staple_host_drop(errand->issuer_host, errand->worker->mono_ms);
	errand->issuer_host = NULL;
	errand->ask.blocked = false;
	errand->ask.busy = false;
}

static void
give_up(struct staple_errand *errand)
{
	end(errand);
	staple_errand_failed(errand, errand->ask.nearest);
}

/* A try that came to nothing without an exchange. */
static enum staple_outcome
miss(struct staple_errand *errand, enum staple_outcome outcome)
{
	struct staple_verdict verdict = { outcome, { "" } };

	err_set(&verdict.said, "%s", staple_outcome_sentence(outcome));
	staple_report_try(errand, &verdict, 0);
	errand->ask.nearest = staple_outcome_nearer(
	    errand->ask.nearest, outcome);
	return outcome;
}

/* The same where the host is down. */
static enum staple_outcome
skip(struct staple_errand *errand, const struct staple_host *host)
{
	struct staple_verdict verdict = { host->outcome, { "" } };

	errand->ask.skipped = true;
	err_set(&verdict.said, "host is down: %s",
	    staple_outcome_name(host->outcome));
	staple_report_try(errand, &verdict, 0);
	errand->ask.nearest = staple_outcome_nearer(
	    errand->ask.nearest, host->outcome);
	return SKIPPED;
}

/* 0: the deadline is over. */
static uint32_t
time_for_try(const struct staple_ask *ask)
{
	return staple_try_time(ask->timeout_ms, ask->left_ms);
}

/* What the queue goes by. */
static void
describe_waiter(struct staple_errand *errand)
{
	struct staple_waiter *waiter = &errand->ask.waiter;
	struct staple_window window;

	(void)staple_job_window(errand, &window);
	waiter->expires = window.expires;
	waiter->untried = !errand->settled &&
			  window.expires <= errand->worker->wall_s;
}

/* Was the last answer one that a cache may have kept too long: expired, or the
 * same again near its end?  RFC 5019 6.1: only then is no-cache allowed. */
static bool
got_old(const struct staple_errand *errand)
{
	return errand->outcome == STAPLE_EXPIRED ||
	       (errand->outcome == STAPLE_UNCHANGED &&
		   errand->tries_since != 0);
}

static bool
join(struct staple_errand *errand, struct staple_host *host)
{
	struct staple_ask *ask = &errand->ask;
	/* Finish started attempts first: host failures are counted per finished
	 * attempt.  A certificate without an attempt is the next to probe a
	 * host that is down. */
	bool first = ask->tried || (host->down && ask->waiter.untried);

	leave_host(errand, host);
	if (!staple_queue_join(host, &ask->waiter, first ? 0 : errand->due))
		return false;
	ask->host = host;
	host->untried_waits |= host->down && !ask->blocked;
	staple_host_expect(host, &ask->waiter, errand->worker->wall_s);
	return true;
}

/* ---- The issuer, which every request and verification needs ---- */

static void
note_issuer(
    struct staple_errand *errand, enum staple_outcome outcome, const char *said)
{
	struct staple_verdict verdict = { outcome, { "" } };

	err_set(&verdict.said, "%s", said);
	staple_report_issuer(errand, &verdict, 0);
	errand->ask.issuer_url++;
}

static void
give_up_issuer(struct staple_errand *errand)
{
	end(errand);
	staple_errand_failed(errand, STAPLE_NO_ISSUER);
}

/*
 * NULL: not a URL, or no memory.  The errand keeps it while it waits there.
 * Another entry than that of a responder with the same name: a static file that
 * is served does not show that the responder answers.
 */
static struct staple_host *
issuer_host(struct staple_errand *errand)
{
	struct staple_worker *worker = errand->worker;
	char name[HOST_MAX + sizeof("issuer ")] = "issuer ";
	size_t prefix = strlen(name);

	if (!staple_url_host(errand->cert->issuer_urls[errand->ask.issuer_url],
		name + prefix, HOST_MAX))
		return NULL;
	return staple_hosts_hold(&worker->hosts, name, worker->mono_ms);
}

/* Queue for a slot of the host of one issuer URL; false: *said is why not. */
static bool
join_issuer_host(struct staple_errand *errand, const char **said)
{
	struct staple_worker *worker = errand->worker;
	struct staple_host *host, *before = errand->issuer_host;

	*said = staple_issuers_failed(&worker->issuers, errand->cert,
	    errand->ask.issuer_url, errand, worker->mono_ms);
	if (*said != NULL)
		return false;
	host = issuer_host(errand);
	*said = staple_outcome_sentence(STAPLE_BAD_URL);
	if (host == NULL)
		return false;
	if (staple_host_is_closed(host, &errand->ask.waiter, worker->mono_ms)) {
		*said = "its host is down";
	} else if (join(errand, host)) {
		errand->issuer_host = host;
		staple_host_drop(before, worker->mono_ms);
		return true;
	} else {
		*said = staple_outcome_sentence(STAPLE_NO_MEMORY);
	}
	staple_host_drop(host, worker->mono_ms);
	return false;
}

/* Queue for a slot to fetch the issuer from the next URL. */
static void
seek_on(struct staple_errand *errand)
{
	const struct staple_cert *cert = errand->cert;
	struct staple_ask *ask = &errand->ask;
	const char *said;

	while (time_for_try(ask) != 0 &&
	       ask->issuer_url < cert->issuer_url_count) {
		if (join_issuer_host(errand, &said))
			return;
		note_issuer(errand, STAPLE_NO_ISSUER, said);
	}
	give_up_issuer(errand);
}

/* The issuer is known: continue with facts that contain it. */
static void
take_issuer(struct staple_errand *errand)
{
	end(errand);
	staple_errand_update(errand);
	if (errand->cert->issuer_url_count > 0)
		staple_errand_failed(errand, STAPLE_NO_MEMORY);
}

/* A slot is free.  Another certificate, or another process that shares the
 * store, may have fetched the same issuer since this one joined the queue. */
static void
start_seeking(struct staple_errand *errand, struct staple_permit *permit)
{
	struct staple_ask *ask = &errand->ask;
	const struct staple_try_by by = {
		.fetcher = errand->worker->fetcher,
		.timeout_ms = time_for_try(ask),
		.done = errand->worker->fetched,
		.arg = errand,
	};
	enum staple_origin origin;

	if (staple_errand_known_issuer(errand, errand->cert, &origin) != NULL) {
		staple_permits_return(errand->worker->permits, permit);
		take_issuer(errand);
		return;
	}
	if (staple_issuers_failed(&errand->worker->issuers, errand->cert,
		ask->issuer_url, errand, errand->worker->mono_ms) != NULL) {
		staple_permits_return(errand->worker->permits, permit);
		seek_on(errand);
		return;
	}
	if (ask->began_ms == 0)
		ask->began_ms = errand->worker->mono_ms;
	ask->permit = permit;
	ask->fetch = staple_issuer_fetch(errand->cert, ask->issuer_url, &by);
	if (ask->fetch != NULL)
		return;
	staple_permits_return(errand->worker->permits, permit);
	ask->permit = NULL;
	note_issuer(errand, STAPLE_NO_MEMORY,
	    staple_outcome_sentence(STAPLE_NO_MEMORY));
	give_up_issuer(errand);
}

/* Cache the issuer for all its certificates and queue it for the store. */
static void
keep_issuer(struct staple_errand *errand, X509 *issuer)
{
	struct staple_worker *worker = errand->worker;
	char id[2 * STAPLE_KEY_SIZE + 1];
	unsigned char *der = NULL;
	int len;

	staple_issuers_add(&worker->issuers, issuer, STAPLE_ORIGIN_AIA);
	if (worker->writer == NULL || worker->issuer_store == NULL ||
	    !staple_issuer_id(errand->cert->leaf, id))
		return;
	len = i2d_X509(issuer, &der);
	if (len > 0)
		staple_writer_save_bytes(
		    worker->writer, id, worker->issuer_store, der, (size_t)len);
	OPENSSL_free(der);
	ERR_clear_error();
}

static void
sought(struct staple_errand *errand, const struct staple_fetch_result *result)
{
	struct staple_ask *ask = &errand->ask;
	struct staple_verdict verdict;
	X509 *issuer = staple_issuer_judge(errand->cert, result, &verdict);

	/* Any HTTP answer shows that the host is there. */
	note_for_host(errand,
	    result->http_status == 0 ? result->outcome : STAPLE_GOOD, result);
	staple_report_issuer(errand, &verdict, result->took_ms);
	if (issuer == NULL) {
		staple_issuers_fail(&errand->worker->issuers, errand->cert,
		    ask->issuer_url, errand, verdict.said.text,
		    errand->worker->mono_ms);
		ask->issuer_url++;
		seek_on(errand);
		return;
	}
	keep_issuer(errand, issuer);
	X509_free(issuer);
	take_issuer(errand);
}

static void
begin(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;
	struct staple_attempt_start start = {
		.method = settings_of(errand)->method,
		.no_cache = got_old(errand),
		.worked = errand->worked_once ? &errand->worked : NULL,
		.confirm = staple_errand_is_confirming(errand)
			       ? &errand->accusing
			       : NULL,
		.in_vain = errand->unconfirmable,
	};

	*ask = (struct staple_ask){
		.busy = true,
		.confirming = start.confirm != NULL,
		.timeout_ms = settings_of(errand)->timeout_ms,
		.left_ms = settings_of(errand)->timeout_ms,
		.nearest = STAPLE_UNASKED,
		.blame = STAPLE_UNASKED,
	};
	errand->probe_due = false;
	staple_attempt_begin(&ask->attempt, errand->cert, &start);
	describe_waiter(errand);
}

/* All hosts are down and no request was sent: queue for the first one. */
static void
block(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;
	enum staple_outcome outcome = ask->nearest;
	struct staple_host *host = NULL;

	begin(errand);
	ask->blocked = true;
	ask->waiter.untried = false;
	while (host == NULL &&
	       staple_attempt_next(&ask->attempt, SKIPPED, &ask->trying))
		host = host_of(errand, ask->trying.url);
	if (host == NULL || !join(errand, host)) {
		ask->nearest = outcome;
		give_up(errand);
		return;
	}
	staple_errand_blocked(errand, host->outcome);
}

/* Wait for a slot of the next try, given how the last one ended. */
static void
go_on(struct staple_errand *errand, enum staple_outcome last)
{
	struct staple_ask *ask = &errand->ask;
	struct staple_host *host;

	while (time_for_try(ask) != 0 &&
	       staple_attempt_next(&ask->attempt, last, &ask->trying)) {
		host = host_of(errand, ask->trying.url);
		if (host == NULL) {
			last = miss(errand, why_no_host(errand));
			continue;
		}
		/* The current host as well: other attempts may have taken it
		 * down since this one began. */
		if (staple_host_is_closed(
			host, &ask->waiter, errand->worker->mono_ms)) {
			last = skip(errand, host);
			continue;
		}
		if (join(errand, host))
			return;
		miss(errand, STAPLE_NO_MEMORY);
		break;
	}
	if (ask->skipped && !ask->tried)
		block(errand);
	else
		give_up(errand);
}

void
staple_ask_begin(struct staple_errand *errand)
{
	begin(errand);
	if (is_seeking(errand))
		seek_on(errand);
	else
		go_on(errand, STAPLE_UNASKED);
}

void
staple_ask_start(struct staple_waiter *waiter, struct staple_permit *permit)
{
	struct staple_ask *ask = container_of(
	    waiter, struct staple_ask, waiter);
	struct staple_errand *errand = container_of(
	    ask, struct staple_errand, ask);
	const struct staple_try_by by = {
		.fetcher = errand->worker->fetcher,
		.timeout_ms = time_for_try(ask),
		.no_cache = ask->attempt.no_cache,
		.done = errand->worker->fetched,
		.arg = errand,
	};

	if (is_seeking(errand)) {
		start_seeking(errand, permit);
		return;
	}
	ask->blocked = false;
	if (!ask->tried)
		ask->began_ms = errand->worker->mono_ms;
	ask->tried = true;
	ask->permit = permit;
	if (staple_disk_spares(errand))
		return;
	ask->fetch = staple_try_start(errand->cert, &ask->trying, &by);
	if (ask->fetch != NULL)
		return;
	staple_permits_return(errand->worker->permits, permit);
	ask->permit = NULL;
	miss(errand, STAPLE_NO_MEMORY);
	give_up(errand);
}

static struct staple_response *
judge(struct staple_errand *errand, const struct staple_fetch_result *result,
    struct staple_verdict *verdict)
{
	struct staple_response *held = staple_cache_held(errand->entry);
	struct staple_response *fresh;
	struct staple_matter matter = {
		.cert = errand->cert,
		.held = held,
		.clock = { errand->worker->wall_s,
		    settings_of(errand)->default_lifetime_s },
	};

	fresh = staple_judge_exchange(result, &matter, verdict);
	staple_response_unref(held);
	return fresh;
}

/* What confirms a revocation is somebody's second choice, on purpose. */
static void
remember(struct staple_errand *errand)
{
	if (errand->ask.confirming)
		return;
	errand->worked_once = true;
	errand->worked = errand->ask.trying;
}

static void
put_down(struct staple_errand *errand, const struct staple_fetch_result *result)
{
	struct staple_ask *ask = &errand->ask;

	ask->fetch = NULL;
	staple_permits_return(errand->worker->permits, ask->permit);
	ask->permit = NULL;
	ask->left_ms -= result->took_ms < ask->left_ms ? result->took_ms
						       : ask->left_ms;
	if (result->retry_after_s > ask->retry_after_s)
		ask->retry_after_s = result->retry_after_s;
	if (result->retry_after_s > 0)
		staple_attempt_bar_host(&ask->attempt);
}

/*
 * What decides about the next try.  A probe repeats what has worked before,
 * because an outage is no reason to try the other method; where nothing has,
 * every fourth probe tries the other one as well, and so does the first
 * attempt of a certificate.
 */
static enum staple_outcome
guide(const struct staple_errand *errand, enum staple_outcome outcome)
{
	const struct staple_ask *ask = &errand->ask;

	if (ask->blame == STAPLE_UNASKED || ask->host->prober != &ask->waiter)
		return outcome;
	if (errand->worked_once)
		return SKIPPED;
	return ask->waiter.untried || ask->host->failures % 4 == 0 ? outcome
								   : SKIPPED;
}

void
staple_ask_fetched(
    struct staple_errand *errand, const struct staple_fetch_result *result)
{
	struct staple_verdict verdict;
	struct staple_reply answer;

	put_down(errand, result);
	if (is_seeking(errand)) {
		sought(errand, result);
		return;
	}
	answer.response = judge(errand, result, &verdict);
	answer.outcome = verdict.outcome;
	answer.freshness_s = result->freshness_s;
	staple_report_try(errand, &verdict, result->took_ms);
	note_for_host(errand, verdict.outcome, result);
	if (answer.response == NULL) {
		errand->ask.nearest = staple_outcome_nearer(
		    errand->ask.nearest, answer.outcome);
		go_on(errand, guide(errand, answer.outcome));
		return;
	}
	end(errand);
	remember(errand);
	staple_errand_answered(errand, &answer);
	staple_response_unref(answer.response);
}

void
staple_ask_cancel(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;

	if (!ask->busy)
		return;
	staple_fetch_cancel(ask->fetch);
	ask->fetch = NULL;
	if (ask->permit != NULL)
		staple_permits_return(errand->worker->permits, ask->permit);
	ask->permit = NULL;
	staple_claim_release(errand->claim);
	errand->claim = NULL;
	end(errand);
}

void
staple_ask_reconsider(struct staple_errand *errand)
{
	struct staple_ask *ask = &errand->ask;
	struct staple_host *host = ask->waiter.host;
	bool has_open = has_open_host(errand);

	if (!ask->busy && errand->probe_due && has_open) {
		errand->probe_due = false;
		staple_job_set_due(errand, errand->worker->wall_s);
		staple_errand_review(errand);
		return;
	}
	/* Only what waits, and not between two tries of a probe. */
	if (host == NULL || host->prober == &ask->waiter)
		return;
	if (!host->down) {
		ask->blocked = false;
		return;
	}
	if ((ask->blocked && !has_open) ||
	    (!ask->blocked && !staple_host_is_closed(
				  host, &ask->waiter, errand->worker->mono_ms)))
		return;
	staple_queue_leave(&ask->waiter);
	if (ask->blocked) {
		leave_host(errand, NULL);
		staple_ask_begin(errand);
		return;
	}
	if (is_seeking(errand)) {
		note_issuer(errand, STAPLE_NO_ISSUER, "its host is down");
		seek_on(errand);
		return;
	}
	go_on(errand, skip(errand, host));
}
