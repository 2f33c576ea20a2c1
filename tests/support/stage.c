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

/* ---- What the worker says ---- */

static void
on_log(void *arg, const struct staple_event *event)
{
	struct stage_heard *heard = &stage.heard[stage.heard_count];

	(void)arg;
	if (event->level == STAPLE_LEVEL_DEBUG)
		return;
	must(++stage.heard_count < STAGE_KEPT, "keeping a line");
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
	for (unsigned i = 0; i < STAGE_ACTORS; i++)
		stage_leave(stage.actors[i]);
	staple_cache_unref(stage.cache);
	authority_drop(&stage.authority);
}

/* ---- Actors ---- */

static struct stage_actor **
find_room(void)
{
	for (unsigned i = 0; i < STAGE_ACTORS; i++) {
		if (stage.actors[i] == NULL)
			return &stage.actors[i];
	}
	must(false, "finding room for a certificate");
	return NULL;
}

struct stage_actor *
stage_enter_with(const struct pki_wish *pki, const struct staple_source *source,
    enum staple_wish wish)
{
	struct stage_actor *actor = calloc(1, sizeof(*actor));

	must(actor != NULL, "making an actor");
	actor->leaf = authority_issue(&stage.authority, pki);
	actor->cert = authority_facts(&stage.authority, &actor->leaf, source);
	actor->entry = staple_cache_hold(stage.cache, actor->cert, wish);
	must(actor->entry != NULL, "holding a certificate");
	actor->wish = wish;
	*find_room() = actor;
	return actor;
}

struct stage_actor *
stage_enter(const char *aia, enum staple_wish wish)
{
	const struct pki_wish pki = { .name = "site.example", .aia = aia };

	return stage_enter_with(&pki, NULL, wish);
}

void
stage_leave(struct stage_actor *actor)
{
	if (actor == NULL)
		return;
	for (unsigned i = 0; i < STAGE_ACTORS; i++) {
		if (stage.actors[i] == actor)
			stage.actors[i] = NULL;
	}
	staple_cache_release(actor->entry, actor->wish);
	staple_cert_unref(actor->cert);
	pki_drop(&actor->leaf);
	free(actor);
}

void
stage_correct(struct stage_actor *actor, const struct staple_source *source)
{
	staple_cert_unref(actor->cert);
	actor->cert = authority_facts(&stage.authority, &actor->leaf, source);
	staple_cache_correct(actor->entry, actor->cert);
}

void
stage_wish(struct stage_actor *actor, enum staple_wish wish)
{
	staple_cache_wish(actor->entry, actor->wish, wish);
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
	stage.horizon_ms = stage.mono_ms + ms;
	do {
		stage.idle = false;
		must(++stage.turns < 1000000, "coming to rest");
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
