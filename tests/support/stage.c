/*
 * The stage but for its responders: clocks, certificates, callbacks.  One
 * thread, the test's own.  Time stands still between two calls; while it may
 * pass, a wait of the worker moves it to the end of the wait and no further.
 */
#include "tests/support/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/cache.h"
#include "staple/settings.h"
#include "staple/worker.h"

struct stage stage;

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "stage: %s failed\n", what);
	abort();
}

void *
stage_grow(void *items, unsigned count, unsigned *room, size_t size)
{
	if (count < *room)
		return items;
	*room = *room != 0 ? 2 * *room : 64;
	items = realloc(items, *room * size);
	must(items != NULL, "keeping what happened");
	return items;
}

/* ---- The clocks, in place of base/clock.c ---- */

int64_t
clock_wall_ms(void)
{
	return stage.wall_ms;
}

int64_t
clock_mono_ms(void)
{
	return stage.mono_ms;
}

int64_t
stage_now(void)
{
	return stage.wall_ms / 1000;
}

void
stage_set_clock(int64_t by_seconds)
{
	stage.wall_ms += by_seconds * 1000;
}

/* ---- The lines of the worker ---- */

static void
on_log(void *arg, const struct staple_event *event)
{
	struct stage_heard *heard;

	(void)arg;
	if (event->level == STAPLE_LEVEL_DEBUG)
		return;
	stage.heard = stage_grow(
	    stage.heard, stage.heard_count, &stage.heard_room, sizeof(*heard));
	heard = &stage.heard[stage.heard_count++];
	heard->level = event->level;
	heard->outcome = event->outcome;
	snprintf(heard->certificate, sizeof(heard->certificate), "%s",
	    event->certificate != NULL ? event->certificate : "");
	snprintf(heard->id, sizeof(heard->id), "%s",
	    event->id != NULL ? event->id : "");
	snprintf(heard->message, sizeof(heard->message), "%s", event->message);
}

static void
on_change(void *arg, const struct staple_info *info)
{
	(void)arg, (void)info;
	stage.changes++;
}

unsigned
stage_issuers(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < stage.asked_count; i++)
		count += stage.asked[i].issuer;
	return count;
}

unsigned
stage_lines(enum staple_level level)
{
	unsigned count = 0;

	for (unsigned i = 0; i < stage.heard_count; i++)
		count += stage.heard[i].level == level;
	return count;
}

bool
stage_heard(const char *words)
{
	for (unsigned i = 0; i < stage.heard_count; i++) {
		if (strstr(stage.heard[i].message, words) != NULL)
			return true;
	}
	return false;
}

/* ---- Curtain ---- */

void
stage_open(const struct staple_options *options)
{
	struct staple_options ours = { 0 };
	struct staple_settings *settings;
	struct err err = { "" };

	memset(&stage, 0, sizeof(stage));
	list_init(&stage.actors);
	for (unsigned i = 0; i < STAGE_BUCKETS; i++)
		list_init(&stage.requests[i]);
	stage.wall_ms = STAGE_START_S * INT64_C(1000);
	stage.mono_ms = stage.horizon_ms = 5000;
	authority_make(&stage.authority);
	if (options != NULL)
		ours = *options;
	ours.log = on_log;
	ours.on_change = on_change;
	settings = staple_settings_new(&ours);
	stage.cache = staple_cache_new();
	must(settings != NULL && stage.cache != NULL, "making a cache");
	stage.worker = staple_worker_new(stage.cache, settings, &err);
	must(stage.worker != NULL && staple_worker_prepare(stage.worker, &err),
	    err.text);
	staple_settings_unref(settings);
}

void
stage_close(void)
{
	staple_worker_free(stage.worker);
	staple_cache_close(stage.cache);
	LIST_FOREACH(&stage.actors, node)
		stage_leave(container_of(node, struct stage_actor, node));
	staple_cache_unref(stage.cache);
	authority_drop(&stage.authority);
	free(stage.asked);
	free(stage.heard);
}

/* ---- Actors ---- */

struct list *
stage_bucket(const unsigned char *der, size_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ der[i]) * 16777619u;
	return &stage.requests[hash % STAGE_BUCKETS];
}

/* Let it be found by the requests of its facts. */
static void
index_requests(struct stage_actor *actor)
{
	for (int hash = 0; hash < STAPLE_HASHES; hash++) {
		const struct staple_request *of = &actor->cert->requests[hash];
		struct stage_request *request = &actor->requests[hash];

		list_init(&request->node);
		request->actor = actor;
		request->hash = (enum staple_hash)hash;
		if (of->len > 0)
			list_append(
			    stage_bucket(of->der, of->len), &request->node);
	}
}

static void
unindex_requests(struct stage_actor *actor)
{
	for (int hash = 0; hash < STAPLE_HASHES; hash++)
		list_remove(&actor->requests[hash].node);
}

static struct staple_cert *
know(const struct stage_actor *actor, const struct staple_source *source)
{
	static const struct staple_trust trust = { .aia_issuer = true };
	struct err err = { "" };
	struct staple_cert *cert;

	if (!actor->bare)
		return authority_facts(&stage.authority, &actor->leaf, source);
	cert = staple_cert_new(
	    actor->leaf.certificate, NULL, source, &trust, &err);
	must(cert != NULL, err.text);
	return cert;
}

static struct stage_actor *
enter(const struct pki_wish *pki, const struct staple_source *source,
    enum staple_requirement wish, bool bare)
{
	struct stage_actor *actor = calloc(1, sizeof(*actor));

	must(actor != NULL, "making an actor");
	actor->bare = bare;
	actor->leaf = authority_issue(&stage.authority, pki);
	actor->cert = know(actor, source);
	actor->entry = staple_cache_hold(stage.cache, actor->cert, wish);
	must(actor->entry != NULL, "holding a certificate");
	actor->wish = wish;
	list_append(&stage.actors, &actor->node);
	index_requests(actor);
	return actor;
}

struct stage_actor *
stage_enter_with(const struct pki_wish *pki, const struct staple_source *source,
    enum staple_requirement wish)
{
	return enter(pki, source, wish, false);
}

struct stage_actor *
stage_enter_bare(const char *aia, enum staple_requirement wish)
{
	const struct pki_wish pki = { .name = "bare.example", .aia = aia };

	return enter(&pki, NULL, wish, true);
}

struct stage_actor *
stage_enter(const char *aia, enum staple_requirement wish)
{
	const struct pki_wish pki = { .name = "site.example", .aia = aia };

	return stage_enter_with(&pki, NULL, wish);
}

void
stage_leave(struct stage_actor *actor)
{
	if (actor == NULL)
		return;
	list_remove(&actor->node);
	unindex_requests(actor);
	staple_cache_release(actor->entry, actor->wish);
	staple_cert_unref(actor->cert);
	pki_drop(&actor->leaf);
	free(actor);
}

void
stage_correct(struct stage_actor *actor, const struct staple_source *source)
{
	unindex_requests(actor);
	staple_cert_unref(actor->cert);
	actor->cert = know(actor, source);
	index_requests(actor);
	staple_cache_set_cert(actor->entry, actor->cert);
}

void
stage_wish(struct stage_actor *actor, enum staple_requirement wish)
{
	staple_cache_set_requirement(actor->entry, actor->wish, wish);
	actor->wish = wish;
}

const struct staple_info *
stage_look(const struct stage_actor *actor)
{
	static struct staple_info info;

	staple_cache_read(actor->entry, stage_now(), &info);
	return &info;
}

/* ---- Time ---- */

void
stage_pass_ms(int64_t ms)
{
	unsigned turns = 0;

	stage.horizon_ms = stage.mono_ms + ms;
	do {
		stage.idle = false;
		must(++turns < 1000000, "coming to rest");
		stage.turns++;
		must(staple_worker_turn(stage.worker), "a turn");
	} while (!stage.idle);
}

void
stage_pass(int64_t seconds)
{
	stage_pass_ms(seconds * 1000);
}

void
stage_run(void)
{
	stage_pass_ms(0);
}
