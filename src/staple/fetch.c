/*
 * Exchanges: one transfer, or a few where responders redirect.  Staple thread
 * only, but for staple_fetcher_wake.  A transfer begins at the start of a turn
 * and never in between: callbacks may then start and cancel what they like,
 * since libcurl is not at work and no list is being walked.
 */
#include "staple/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "staple/cert.h"
#include "staple/http_client.h"
#include "staple/http_response.h"
#include "staple/issuers.h"
#include "staple/transfer_result.h"
#include "staple/url.h"

#define REDIRECTS_MAX 3
#define HOST_MAX 512

struct staple_fetcher {
	struct staple_http_client *client;
	struct list pending; /* their next transfer begins with the next turn */
	struct list running;
	struct staple_lookups lookups;
	struct staple_fetch_options options;
};

struct staple_fetch {
	struct list node; /* pending or running; alone: calling back */
	struct staple_fetcher *fetcher;
	char *url; /* redirects replace it */
	struct staple_fetch_order order;
	staple_fetch_fn *done;
	void *arg;
	int64_t begun_ms;                 /* monotonic; 0: not yet */
	unsigned redirects;               /* followed */
	bool any_address;                 /* also those that failed lately */
	struct staple_transfer *transfer; /* NULL: pending, or never begun */
};

struct staple_fetcher *
staple_fetcher_new(struct err *err)
{
	struct staple_fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (fetcher == NULL) {
		err_set(err, "no memory to set up fetching");
		return NULL;
	}
	list_init(&fetcher->pending);
	list_init(&fetcher->running);
	fetcher->client = staple_http_client_new(err);
	if (fetcher->client == NULL) {
		free(fetcher);
		return NULL;
	}
	return fetcher;
}

void
staple_fetcher_configure(
    struct staple_fetcher *fetcher, const struct staple_fetch_options *options)
{
	fetcher->options = *options;
}

static void
free_fetch(struct staple_fetch *fetch)
{
	list_remove(&fetch->node);
	staple_transfer_free(fetch->transfer);
	free(fetch->url);
	free(fetch);
}

void
staple_fetcher_free(struct staple_fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	list_splice(&fetcher->running, &fetcher->pending);
	LIST_FOREACH(&fetcher->running, node)
		free_fetch(container_of(node, struct staple_fetch, node));
	staple_http_client_free(fetcher->client);
	free(fetcher);
}

void
staple_fetcher_wake(struct staple_fetcher *fetcher)
{
	staple_http_client_wake(fetcher->client);
}

/* ---- Start and cancel ---- */

struct staple_fetch *
staple_fetch_start(struct staple_fetcher *fetcher,
    const struct staple_fetch_order *order, staple_fetch_fn *done, void *arg)
{
	struct staple_fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL)
		return NULL;
	fetch->fetcher = fetcher;
	fetch->order = *order;
	fetch->done = done;
	fetch->arg = arg;
	list_append(&fetcher->pending, &fetch->node);
	fetch->url = strdup(order->url);
	if (fetch->url == NULL) {
		free_fetch(fetch);
		return NULL;
	}
	return fetch;
}

/* The host whose name is looked up: the configured proxy, or that of the
 * URL. */
static void
find_host(const struct staple_fetch *fetch, char host[HOST_MAX])
{
	const char *proxy = fetch->fetcher->options.proxy;
	bool has_proxy = proxy != NULL && proxy[0] != '\0';

	if (!staple_url_host(has_proxy ? proxy : fetch->url, host, HOST_MAX))
		host[0] = '\0';
}

/* While too many look-ups hang, only numeric addresses are used. */
static bool
may_ask(const struct staple_fetch *fetch)
{
	char host[HOST_MAX];
	struct addr addr;

	find_host(fetch, host);
	return staple_lookups_may(
		   &fetch->fetcher->lookups, host, clock_mono_ms()) ||
	       addr_parse(&addr, NULL, host, NULL);
}

/* Count the look-up of an exchange that ends before its name is resolved. */
static void
count_lookup(const struct staple_fetch *fetch)
{
	char host[HOST_MAX];

	if (fetch->transfer == NULL ||
	    staple_transfer_phase(fetch->transfer) != STAPLE_AT_NAME)
		return;
	find_host(fetch, host);
	staple_lookups_abandon(&fetch->fetcher->lookups, host, clock_mono_ms());
}

void
staple_fetch_cancel(struct staple_fetch *fetch)
{
	if (fetch == NULL || list_is_empty(&fetch->node))
		return;
	count_lookup(fetch);
	free_fetch(fetch);
}

/* ---- The end of an exchange ---- */

/* A drip that came within the last third of the time was still coming: with
 * the usual deadline that is about a second. */
static bool
is_dripping(const struct staple_fetch *fetch, int64_t now_ms)
{
	int64_t last_byte_ms =
	    staple_transfer_response(fetch->transfer)->last_byte_ms;

	return last_byte_ms != 0 &&
	       now_ms - last_byte_ms <= (int64_t)fetch->order.timeout_ms / 3;
}

static void
copy_response(const struct staple_http_response *response,
    struct staple_fetch_result *result)
{
	bool is_later = result->http_status == 429 ||
			result->http_status == 503;

	result->body = response->body;
	result->len = response->len;
	result->right_type = response->right_type;
	result->retry_after_s = is_later ? response->retry_after_s : 0;
	result->freshness_s = staple_http_response_freshness(response);
}

/* Call back, then free.  Its own node is alone meanwhile, so cancelling it in
 * the callback does nothing. */
static void
finish(struct staple_fetch *fetch, struct staple_transfer_result *ended)
{
	struct staple_fetch_result result = { .freshness_s = -1 };
	int64_t now_ms = clock_mono_ms();
	char said[STAPLE_SAID_MAX];

	ended->took_ms = (uint32_t)(now_ms - fetch->begun_ms);
	result.http_status = ended->http_status;
	if (fetch->transfer != NULL) {
		ended->dripping = is_dripping(fetch, now_ms);
		copy_response(
		    staple_transfer_response(fetch->transfer), &result);
	}
	result.outcome = staple_transfer_outcome(ended, said);
	result.said = said;
	result.took_ms = ended->took_ms;
	list_remove(&fetch->node);
	fetch->done(fetch->arg, &result);
	free_fetch(fetch);
}

/* ---- Transfers ---- */

static bool
is_secure(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

static bool
is_redirect(const struct staple_fetch *fetch, int status)
{
	if (staple_transfer_response(fetch->transfer)->location == NULL)
		return false;
	return status == 301 || status == 302 || status == 303 ||
	       status == 307 || status == 308;
}

/* Is the redirect allowed?  Never from https to http: such a redirect may come
 * from an attacker. */
static enum staple_transfer_error
check_redirect(const struct staple_fetch *fetch, const char *where)
{
	const char *why;

	if (fetch->redirects == REDIRECTS_MAX)
		return STAPLE_ERROR_REDIRECTS;
	if (where == NULL || !staple_url_check(where, strlen(where), &why) ||
	    (is_secure(fetch->url) && !is_secure(where)) ||
	    (fetch->order.issuer && is_secure(where)))
		return STAPLE_ERROR_REDIRECT;
	return STAPLE_ERROR_NONE;
}

/* With another transfer, from the next turn on. */
static void
begin_anew(struct staple_fetch *fetch)
{
	staple_transfer_free(fetch->transfer);
	fetch->transfer = NULL;
	list_remove(&fetch->node);
	list_append(&fetch->fetcher->pending, &fetch->node);
}

static enum staple_transfer_error
follow(struct staple_fetch *fetch)
{
	char *where = staple_transfer_location(fetch->transfer);
	enum staple_transfer_error error = check_redirect(fetch, where);

	if (error != STAPLE_ERROR_NONE) {
		free(where);
		return error;
	}
	free(fetch->url);
	fetch->url = where;
	fetch->redirects++;
	fetch->any_address = false;
	begin_anew(fetch);
	return STAPLE_ERROR_NONE;
}

/* A response, even one that is an error or too large. */
static bool
is_answered(const struct staple_transfer_result *ended)
{
	return ended->http_status >= 200 &&
	       (ended->error == STAPLE_ERROR_NONE ||
		   ended->error == STAPLE_ERROR_SIZE);
}

/* Every address of the name failed lately: then none is left out.  true: the
 * exchange goes on. */
static bool
tries_all_addresses(struct staple_fetch *fetch)
{
	if (!staple_transfer_has_skipped_all(fetch->transfer))
		return false;
	fetch->any_address = true;
	begin_anew(fetch);
	return true;
}

static void
on_ended(struct staple_fetch *fetch)
{
	struct staple_transfer_result ended = { 0 };

	if (tries_all_addresses(fetch))
		return;
	staple_transfer_get_result(fetch->transfer, &ended);
	staple_transfer_note_addresses(fetch->transfer, is_answered(&ended));
	if (is_redirect(fetch, ended.http_status)) {
		ended.error = follow(fetch);
		if (ended.error == STAPLE_ERROR_NONE)
			return;
	}
	if (ended.error == STAPLE_ERROR_TIMEOUT)
		count_lookup(fetch);
	finish(fetch, &ended);
}

/* Redirects eat from the time of the exchange; 0 would be no limit. */
static uint32_t
time_left(const struct staple_fetch *fetch)
{
	int64_t spent_ms = clock_mono_ms() - fetch->begun_ms;

	return spent_ms < fetch->order.timeout_ms
		   ? fetch->order.timeout_ms - (uint32_t)spent_ms
		   : 1;
}

static enum staple_transfer_error
begin(struct staple_fetch *fetch)
{
	struct staple_fetcher *fetcher = fetch->fetcher;
	struct staple_fetch_options options = fetcher->options;
	struct staple_fetch_order order = fetch->order;
	const char *why;

	if (fetch->begun_ms == 0)
		fetch->begun_ms = clock_mono_ms();
	if (!staple_url_check(fetch->url, strlen(fetch->url), &why))
		return STAPLE_ERROR_URL;
	if (!may_ask(fetch))
		return STAPLE_ERROR_LOOKUPS;
	order.url = fetch->url;
	order.timeout_ms = time_left(fetch);
	if (order.issuer)
		options.max_response = STAPLE_ISSUER_BYTES_MAX;
	fetch->transfer = staple_transfer_new(
	    fetcher->client, &order, &options, fetch->any_address, fetch);
	return fetch->transfer != NULL ? STAPLE_ERROR_NONE
				       : STAPLE_ERROR_MEMORY;
}

static struct staple_fetch *
take_first(struct list *fetches)
{
	struct list *first = fetches->next;

	if (first == fetches)
		return NULL;
	fetches->next = first->next;
	first->next->prev = fetches;
	list_init(first);
	return container_of(first, struct staple_fetch, node);
}

/* false: some could not, and were called back. */
static bool
begin_pending(struct staple_fetcher *fetcher)
{
	struct staple_fetch *fetch;
	bool all = true;
	struct list now;

	list_init(&now);
	list_splice(&now, &fetcher->pending);
	while ((fetch = take_first(&now)) != NULL) {
		struct staple_transfer_result ended = { .error = begin(fetch) };

		if (ended.error == STAPLE_ERROR_NONE) {
			list_append(&fetcher->running, &fetch->node);
			continue;
		}
		ended.detail = "";
		finish(fetch, &ended);
		all = false;
	}
	return all;
}

void
staple_fetcher_turn(struct staple_fetcher *fetcher, uint32_t wait_ms)
{
	struct staple_fetch *fetch;

	if (!begin_pending(fetcher))
		wait_ms = 0;
	staple_http_client_turn(fetcher->client, wait_ms);
	while ((fetch = staple_http_client_ended(fetcher->client)) != NULL)
		on_ended(fetch);
}
