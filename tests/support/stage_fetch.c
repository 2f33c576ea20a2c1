/*
 * The responders of the stage, in place of the fetcher.  The certificate of a
 * request is found by the request's bytes.  One exchange ends in a turn, so
 * that every step of the worker is one that the real fetcher might have caused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "staple/cache.h"
#include "staple/fetch.h"
#include "tests/support/stage.h"

enum { MINUTE_S = 60, HOUR_S = 3600 };

struct staple_fetcher {
	struct list fetches;
};

struct staple_fetch {
	struct list node;
	struct stage_asked asked;
	struct stage_part part;
	int64_t ends_ms;
	staple_fetch_fn *done;
	void *arg;
};

void
stage_play(
    const char *url, enum stage_method method, const struct stage_part *part)
{
	struct stage_rule *rule = &stage.rules[stage.rule_count++];

	if (stage.rule_count > STAGE_RULES)
		abort();
	snprintf(rule->url, sizeof(rule->url), "%s", url != NULL ? url : "");
	rule->method = method;
	rule->part = *part;
}

static bool
fits(const struct stage_rule *rule, const struct stage_asked *asked)
{
	if (rule->url[0] != '\0' && strcmp(rule->url, asked->url) != 0)
		return false;
	return rule->method == STAGE_ANY ||
	       (rule->method == STAGE_GET) == asked->get;
}

static struct stage_part
cast(const struct stage_asked *asked)
{
	for (unsigned i = stage.rule_count; i-- > 0;) {
		if (fits(&stage.rules[i], asked))
			return stage.rules[i].part;
	}
	return (struct stage_part){ .way = STAGE_ANSWERS };
}

/* ---- The certificate of a request ---- */

static bool
is_request(const struct staple_request *request,
    const struct staple_fetch_order *order)
{
	return request->len == order->len &&
	       memcmp(request->der, order->body, order->len) == 0;
}

/* A certificate that was shown without its issuer has no requests before the
 * library has fetched that. */
static bool
recognise_bare(
    struct stage_asked *asked, const struct staple_fetch_order *order)
{
	LIST_FOREACH(&stage.actors, node) {
		const struct stage_actor *actor = container_of(
		    node, struct stage_actor, node);
		struct staple_cert *cert;

		if (!actor->bare)
			continue;
		cert = staple_entry_cert(actor->entry);
		asked->sha256 = is_request(
		    &cert->requests[STAPLE_SHA256], order);
		if (asked->sha256 ||
		    is_request(&cert->requests[STAPLE_SHA1], order))
			asked->who = actor;
		staple_cert_unref(cert);
		if (asked->who != NULL)
			return true;
	}
	return false;
}

static void
recognise(struct stage_asked *asked, const struct staple_fetch_order *order)
{
	LIST_FOREACH(stage_bucket(order->body, order->len), node) {
		const struct stage_request *request = container_of(
		    node, struct stage_request, node);
		const struct stage_actor *actor = request->actor;

		if (!is_request(&actor->cert->requests[request->hash], order))
			continue;
		asked->sha256 = request->hash == STAPLE_SHA256;
		asked->who = actor;
		return;
	}
	if (recognise_bare(asked, order))
		return;
	fprintf(stderr, "stage: a request about nobody\n");
	abort();
}

struct ocsp_made
stage_answer(const struct stage_actor *actor, const struct ocsp_wish *answer)
{
	struct ocsp_wish wish = *answer;
	int64_t age = wish.this_update;

	wish.this_update = stage_now() + (age != 0 ? age : -MINUTE_S);
	if (wish.next_update == 0)
		wish.next_update = wish.this_update + HOUR_S;
	else
		wish.next_update += stage_now();
	if (wish.status == OCSP_SAYS_REVOKED && wish.revoked_at == 0)
		wish.revoked_at = wish.this_update - HOUR_S;
	return authority_answer(&stage.authority, &actor->leaf, &wish);
}

/* A GET carries its request behind the URL, which ends in a slash here. */
static void
strip(char url[64], const struct staple_fetch_order *order)
{
	const char *end = strchr(order->url, '\0');

	if (order->get && !order->issuer)
		end = strrchr(order->url, '/') + 1;
	snprintf(url, 64, "%.*s", (int)(end - order->url), order->url);
}

/* ---- The fetcher ---- */

struct staple_fetcher *
staple_fetcher_new(struct err *err)
{
	struct staple_fetcher *fetcher = calloc(1, sizeof(*fetcher));

	(void)err;
	if (fetcher == NULL)
		abort();
	list_init(&fetcher->fetches);
	return fetcher;
}

void
staple_fetcher_free(struct staple_fetcher *fetcher)
{
	free(fetcher);
}

void
staple_fetcher_configure(
    struct staple_fetcher *fetcher, const struct staple_fetch_options *options)
{
	(void)fetcher, (void)options;
}

void
staple_fetcher_wake(struct staple_fetcher *fetcher)
{
	(void)fetcher;
}

struct staple_fetch *
staple_fetch_start(struct staple_fetcher *fetcher,
    const struct staple_fetch_order *order, staple_fetch_fn *done, void *arg)
{
	struct staple_fetch *fetch = calloc(1, sizeof(*fetch));
	struct stage_asked *asked = &fetch->asked;

	if (fetch == NULL)
		abort();
	stage.asked = stage_grow(
	    stage.asked, stage.asked_count, &stage.asked_room, sizeof(*asked));
	asked->issuer = order->issuer;
	if (!order->issuer)
		recognise(asked, order);
	strip(asked->url, order);
	asked->get = order->get;
	asked->no_cache = order->no_cache;
	asked->timeout_ms = order->timeout_ms;
	asked->at_ms = stage.mono_ms;
	stage.asked[stage.asked_count++] = *asked;
	fetch->part = cast(asked);
	if (fetch->part.took_ms > order->timeout_ms)
		fetch->part.way = STAGE_HANGS;
	fetch->ends_ms = stage.mono_ms + fetch->part.took_ms;
	if (fetch->part.way == STAGE_HANGS)
		fetch->ends_ms = stage.mono_ms + order->timeout_ms;
	fetch->done = done;
	fetch->arg = arg;
	list_append(&fetcher->fetches, &fetch->node);
	stage.at_once++;
	if (stage.at_once > stage.most_at_once)
		stage.most_at_once = stage.at_once;
	return fetch;
}

void
staple_fetch_cancel(struct staple_fetch *fetch)
{
	if (fetch == NULL)
		return;
	list_remove(&fetch->node);
	stage.at_once--;
	free(fetch);
}

/* ---- How an exchange ends ---- */

static struct staple_fetch_result
fail(enum staple_outcome outcome)
{
	return (struct staple_fetch_result){ .outcome = outcome,
		.freshness_s = -1,
		.said = staple_outcome_name(outcome) };
}

static void
finish(struct staple_fetch *fetch)
{
	const struct stage_part *part = &fetch->part;
	struct staple_fetch_result result = fail(STAPLE_GOOD);
	struct ocsp_made made = { NULL, 0 };

	if (part->way == STAGE_HANGS)
		result = fail(STAPLE_TIMEOUT_HEADERS);
	else if (part->way == STAGE_FAILS)
		result = fail(part->outcome);
	else if (part->way == STAGE_ANSWERS && fetch->asked.issuer)
		made.len = (size_t)i2d_X509(
		    stage.authority.pki.certificate, &made.der);
	else if (part->way == STAGE_ANSWERS)
		made = stage_answer(fetch->asked.who, &part->answer);
	result.body = made.der;
	result.len = made.len;
	if (part->way == STAGE_SENDS && part->same != NULL) {
		result.body = part->same->der;
		result.len = part->same->len;
	} else if (part->way == STAGE_SENDS) {
		result.body = (const unsigned char *)part->bytes;
		result.len = strlen(part->bytes);
	}
	result.right_type = !part->wrong_type;
	result.took_ms = (uint32_t)(stage.mono_ms - fetch->asked.at_ms);
	result.retry_after_s = part->retry_after_s;
	if (part->fresh_s != 0)
		result.freshness_s = part->fresh_s;
	list_remove(&fetch->node);
	stage.at_once--;
	fetch->done(fetch->arg, &result);
	free(fetch);
	ocsp_drop(&made);
}

static struct staple_fetch *
find_first(struct staple_fetcher *fetcher)
{
	struct staple_fetch *first = NULL, *fetch;

	LIST_FOREACH(&fetcher->fetches, node) {
		fetch = container_of(node, struct staple_fetch, node);
		if (first == NULL || fetch->ends_ms < first->ends_ms)
			first = fetch;
	}
	return first;
}

static void
sleep_until(int64_t mono_ms)
{
	stage.wall_ms += mono_ms - stage.mono_ms;
	stage.mono_ms = mono_ms;
}

void
staple_fetcher_turn(struct staple_fetcher *fetcher, uint32_t wait_ms)
{
	struct staple_fetch *first = find_first(fetcher);
	int64_t until_ms = stage.mono_ms + wait_ms;
	bool ends = first != NULL && first->ends_ms <= until_ms;

	if (ends)
		until_ms = first->ends_ms;
	if (until_ms > stage.horizon_ms) {
		sleep_until(stage.horizon_ms);
		stage.idle = true;
		return;
	}
	sleep_until(until_ms);
	if (ends)
		finish(first);
}
