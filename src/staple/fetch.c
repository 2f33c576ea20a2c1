/*
 * Exchanges: one transfer, or a few where responders redirect.  Staple thread
 * only, but for staple_fetcher_wake.  A transfer begins at the start of a turn
 * and never in between: callbacks may then start and cancel what they like,
 * since libcurl is not at work and no list is being walked.
 */
#include "staple/fetch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "staple/http_client.h"
#include "staple/url.h"

#define REDIRECTS_MAX 3
#define HOST_MAX 512

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
	if (!staple_http_init(fetcher, err)) {
		staple_fetcher_free(fetcher);
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

static bool
is_begun(const struct staple_fetch *fetch)
{
	return fetch->transfer.easy != NULL;
}

static void
free_fetch(struct staple_fetch *fetch)
{
	list_remove(&fetch->node);
	staple_http_end(fetch);
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
	staple_http_fini(fetcher);
	free(fetcher);
}

void
staple_fetcher_wake(struct staple_fetcher *fetcher)
{
	staple_http_wake(fetcher);
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

	if (!is_begun(fetch) || staple_http_phase(fetch) != STAPLE_AT_NAME)
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

/*
 * ---- From the end of a transfer to outcome and words ----
 *
 * A received status takes precedence over any later error: a 503 whose body
 * never ends is a 503.
 */

struct result_row {
	enum staple_outcome outcome;
	const char *words; /* NULL: made from the result */
};

/* By error; UNASKED: depends on the result. */
static const struct result_row rows[] = {
	[STAPLE_ERROR_NONE] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_URL] = { STAPLE_BAD_URL, "not a URL that can be used" },
	[STAPLE_ERROR_LOOKUPS] = { STAPLE_NAME_TIMEOUT,
	    "too many name look-ups without a result" },
	[STAPLE_ERROR_NAME] = { STAPLE_NAME_NOT_FOUND, "no such host" },
	[STAPLE_ERROR_PROXY_NAME] = { STAPLE_NAME_NOT_FOUND,
	    "no such host: the proxy" },
	[STAPLE_ERROR_CONNECT] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_TLS] = { STAPLE_TLS_FAILED, NULL },
	[STAPLE_ERROR_TIMEOUT] = { STAPLE_UNASKED, NULL },
	[STAPLE_ERROR_CLOSED] = { STAPLE_CONNECTION_RESET,
	    "closed without a response" },
	[STAPLE_ERROR_BROKEN] = { STAPLE_CONNECTION_RESET, NULL },
	[STAPLE_ERROR_CUT] = { STAPLE_TRUNCATED, NULL },
	[STAPLE_ERROR_SIZE] = { STAPLE_TOO_LARGE,
	    "the response is larger than allowed" },
	[STAPLE_ERROR_NO_HTTP] = { STAPLE_HTTP_OTHER,
	    "the response is not HTTP" },
	[STAPLE_ERROR_REDIRECT] = { STAPLE_REDIRECT_REFUSED,
	    "redirected to a URL that is not allowed" },
	[STAPLE_ERROR_REDIRECTS] = { STAPLE_REDIRECT_LOOP,
	    "too many redirects" },
	[STAPLE_ERROR_MEMORY] = { STAPLE_NO_MEMORY, "out of memory" },
	[STAPLE_ERROR_OTHER] = { STAPLE_UNREACHABLE, NULL },
};

static void describe(char *said, const char *format, ...) PRINTF_LIKE(2, 3);

static void
describe(char *said, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(said, STAPLE_SAID_MAX, format, args);
	va_end(args);
}

/* Never empty. */
static const char *
detail_of(const struct staple_fetch_result *result)
{
	return result->detail != NULL && result->detail[0] != '\0'
		   ? result->detail
		   : "no reason from libcurl";
}

static enum staple_outcome
outcome_of_status(int status)
{
	switch (status / 100) {
	case 4:
		return STAPLE_HTTP_4XX;
	case 5:
		return STAPLE_HTTP_5XX;
	default:
		return STAPLE_HTTP_OTHER;
	}
}

/* A proxy that denies CONNECT, or demands authentication (407, RFC 9110 section
 * 15.5.8): the responder has not seen the request. */
static enum staple_outcome
outcome_of_proxy(int status, char *said)
{
	if (status == 407)
		describe(said,
		    "the proxy requires a user and a password (HTTP 407)");
	else
		describe(said, "HTTP %d from the proxy", status);
	return status / 100 == 4 ? STAPLE_PROXY_DENIED
				 : outcome_of_status(status);
}

static enum staple_outcome
outcome_of_response(const struct staple_fetch_result *result, char *said)
{
	if (result->http_status == 407)
		return outcome_of_proxy(result->http_status, said);
	if (result->http_status != 200) {
		describe(said, "HTTP %d", result->http_status);
		return outcome_of_status(result->http_status);
	}
	if (result->len == 0) {
		describe(said, "HTTP 200 without a body");
		return STAPLE_EMPTY;
	}
	describe(said, "HTTP 200");
	return STAPLE_GOOD;
}

static enum staple_outcome
outcome_of_connect(const struct staple_fetch_result *result, char *said)
{
	switch (result->sys_errno) {
	case ECONNREFUSED:
		describe(said, "connection refused");
		return STAPLE_CONNECTION_REFUSED;
	case ECONNRESET:
		describe(said, "connection reset");
		return STAPLE_CONNECTION_RESET;
	case ETIMEDOUT:
		describe(said, "the kernel stopped connecting");
		return STAPLE_TIMEOUT_CONNECT;
	case 0:
		describe(said, "%s", detail_of(result));
		return STAPLE_UNREACHABLE;
	default:
		describe(said, "%s", strerror(result->sys_errno));
		return STAPLE_UNREACHABLE;
	}
}

static const struct result_row timeouts[] = {
	[STAPLE_AT_NAME] = { STAPLE_NAME_TIMEOUT, "looking up the name" },
	[STAPLE_AT_CONNECT] = { STAPLE_TIMEOUT_CONNECT, "connecting" },
	[STAPLE_AT_TLS] = { STAPLE_TIMEOUT_CONNECT, "setting up TLS" },
	[STAPLE_AT_HEADERS] = { STAPLE_TIMEOUT_HEADERS, "waiting for headers" },
	[STAPLE_AT_BODY] = { STAPLE_TIMEOUT_BODY, "waiting for the body" },
};

static enum staple_outcome
outcome_of_timeout(const struct staple_fetch_result *result, char *said)
{
	const struct result_row *row = &timeouts[result->phase];
	double took_s = result->took_ms / 1000.0;

	if (result->phase == STAPLE_AT_BODY && result->dripping) {
		describe(said, "body incomplete after %.1f s", took_s);
		return STAPLE_SLOW_DRIP;
	}
	describe(said, "timed out after %.1f s %s", took_s, row->words);
	return row->outcome;
}

/* Without the beginnings that libcurl 7.88 and 8.22 put before the reason of a
 * refused certificate, and OpenSSL before any other:
 * "error:0A00010B:SSL routines::wrong version number". */
static void
describe_tls(char *said, const char *detail)
{
	static const char *const usual[] = { "SSL certificate problem: ",
		"SSL certificate OpenSSL verify result: ", "::" };

	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		const char *found = strstr(detail, usual[i]);

		if (found == NULL)
			continue;
		detail = found + strlen(usual[i]);
		break;
	}
	describe(
	    said, "TLS: %s", detail[0] != '\0' ? detail : "handshake failed");
}

static void
describe_error(
    const struct staple_fetch_result *result, const char *words, char *said)
{
	switch (result->error) {
	case STAPLE_ERROR_TLS:
		describe_tls(said, result->detail);
		break;
	case STAPLE_ERROR_BROKEN:
		describe(said, "%s",
		    result->sys_errno == ECONNRESET ? "connection reset"
						    : detail_of(result));
		break;
	case STAPLE_ERROR_CUT:
		if (result->phase == STAPLE_AT_BODY)
			describe(said, "truncated after %zu bytes of body",
			    result->len);
		else
			describe(said, "truncated in the headers");
		break;
	default:
		describe(said, "%s", words != NULL ? words : detail_of(result));
	}
}

/* RFC 9110 15.2: 1xx is not the response.  A 200 still needs its body. */
static bool
status_decides(const struct staple_fetch_result *result)
{
	switch (result->error) {
	case STAPLE_ERROR_REDIRECT:
	case STAPLE_ERROR_REDIRECTS:
		return false; /* the status is that of the redirect */
	default:
		return result->http_status > 200;
	}
}

static enum staple_outcome
find_outcome(const struct staple_fetch_result *result, char *said)
{
	const struct result_row *row = &rows[result->error];

	if (result->proxy_status != 0)
		return outcome_of_proxy(result->proxy_status, said);
	if (status_decides(result))
		return outcome_of_response(result, said);
	switch (result->error) {
	case STAPLE_ERROR_NONE:
		return outcome_of_response(result, said);
	case STAPLE_ERROR_CONNECT:
		return outcome_of_connect(result, said);
	case STAPLE_ERROR_TIMEOUT:
		return outcome_of_timeout(result, said);
	default:
		describe_error(result, row->words, said);
		return row->outcome;
	}
}

enum staple_outcome
staple_fetch_outcome(const struct staple_fetch_result *result, char *said)
{
	enum staple_outcome outcome = find_outcome(result, said);

	/* libcurl quotes names from untrusted certificates. */
	for (; *said != '\0'; said++) {
		if (*said < ' ' || *said > '~')
			*said = '?';
	}
	return outcome;
}

/* ---- The end of an exchange ---- */

/* A drip that came within the last third of the time was still coming: with
 * the usual deadline that is about a second. */
static bool
is_dripping(const struct staple_fetch *fetch, int64_t now_ms)
{
	int64_t last_byte_ms = fetch->transfer.last_byte_ms;

	return last_byte_ms != 0 &&
	       now_ms - last_byte_ms <= (int64_t)fetch->order.timeout_ms / 3;
}

/* Call back, then free.  Its own node is alone meanwhile, so cancelling it in
 * the callback does nothing. */
static void
finish(struct staple_fetch *fetch, struct staple_fetch_result *result)
{
	int64_t now_ms = clock_mono_ms();
	char said[STAPLE_SAID_MAX];

	result->took_ms = (uint32_t)(now_ms - fetch->begun_ms);
	result->dripping = is_dripping(fetch, now_ms);
	result->outcome = staple_fetch_outcome(result, said);
	result->said = said;
	list_remove(&fetch->node);
	fetch->done(fetch->arg, result);
	free_fetch(fetch);
}

/* ---- Transfers ---- */

static bool
is_secure(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
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
	staple_http_end(fetch);
	list_remove(&fetch->node);
	list_append(&fetch->fetcher->pending, &fetch->node);
}

/* where: owned from now on. */
static enum staple_transfer_error
follow(struct staple_fetch *fetch, char *where)
{
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
is_answered(const struct staple_fetch_result *ended)
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
	if (!fetch->transfer.skipped || fetch->transfer.tried_count > 0)
		return false;
	fetch->any_address = true;
	begin_anew(fetch);
	return true;
}

static void
on_ended(struct staple_fetch *fetch)
{
	struct staple_fetch_result result = { .freshness_s = -1 };
	char *where;

	if (tries_all_addresses(fetch))
		return;
	staple_http_get_result(fetch, &result);
	staple_http_note_addresses(fetch, is_answered(&result));
	if (staple_http_redirects(fetch, &where)) {
		result.error = follow(fetch, where);
		if (result.error == STAPLE_ERROR_NONE)
			return;
	}
	if (result.error == STAPLE_ERROR_TIMEOUT)
		count_lookup(fetch);
	finish(fetch, &result);
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
	const char *why;

	if (fetch->begun_ms == 0)
		fetch->begun_ms = clock_mono_ms();
	if (!staple_url_check(fetch->url, strlen(fetch->url), &why))
		return STAPLE_ERROR_URL;
	if (!may_ask(fetch))
		return STAPLE_ERROR_LOOKUPS;
	return staple_http_begin(fetch, time_left(fetch)) ? STAPLE_ERROR_NONE
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
		struct staple_fetch_result result = {
			.freshness_s = -1,
			.error = begin(fetch),
		};

		if (result.error == STAPLE_ERROR_NONE) {
			list_append(&fetcher->running, &fetch->node);
			continue;
		}
		finish(fetch, &result);
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
	staple_http_turn(fetcher, wait_ms);
	while ((fetch = staple_http_ended(fetcher)) != NULL)
		on_ended(fetch);
}
