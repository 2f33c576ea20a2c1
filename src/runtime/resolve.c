/*
 * When to look which name up, and what to do with the answer.  Main thread.
 * At most SLOTS look-ups are waited for at once.  One that misses its deadline
 * is forgotten and its slot used again, while its thread stays in libc until
 * the name server lets go; those are counted, and beyond ABANDONED_MAX no new
 * ones are started: a dead name server costs us a few stacks, not all memory.
 */
#include "runtime/resolve.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/service.h"
#include "runtime/generation.h"
#include "runtime/lookup.h"
#include "runtime/names.h"

#define SLOTS 4
#define DEADLINE_MS 5000
#define RETRY_MS 5000 /* after a failure, if resolve is longer than that */
#define HURRY_MS 1000 /* least time between look-ups after failed connects */
#define ABANDONED_MAX 32
#define NEVER INT64_MAX

/* One look-up that is still waited for. */
struct slot {
	uint64_t id; /* 0: free */
	int64_t deadline_ms;
};

struct resolver {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	resolve_first_fn *on_first;
	void *arg;
	struct lookups *lookups;

	/* main thread */
	struct generation *generation;
	struct names names;
	struct slot slots[SLOTS];
	unsigned abandoned;
	uint64_t last_id;
	bool first_due; /* on_first is still owed */
	struct ev_io answers;
	struct ev_timer timer;
};

static struct slot *
find_slot(struct resolver *resolver, uint64_t id)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (resolver->slots[i].id == id)
			return &resolver->slots[i];
	return NULL;
}

static int64_t
next_due(const struct name *name, int64_t now_ms, bool failed)
{
	if (failed && (name->every_ms == 0 || name->every_ms > RETRY_MS))
		return now_ms + RETRY_MS;
	if (name->every_ms == 0)
		return NEVER;
	return now_ms + name->every_ms;
}

static void
fail(struct resolver *resolver, struct name *name, const char *why)
{
	name->lookup = 0;
	name->settled = true;
	name->due_ms = next_due(name, clock_mono_ms(), true);
	if (name->failing)
		return;
	name->failing = true;
	log_warning(resolver->log, "resolve",
	    name->last_count ? "name no longer resolves, last answer is kept"
			     : "name does not resolve",
	    LOG_S("host", name->host), LOG_S("reason", why));
}

static void
succeed(struct resolver *resolver, struct name *name,
    const struct lookup_answer *answer)
{
	char text[ADDR_TEXT_MAX];
	bool changed, had = name->last_count > 0;

	if (!name_remember(name, answer->addresses, answer->count, &changed) ||
	    ((changed || !name_is_resolved(name, resolver->generation)) &&
		!name_put(name, resolver->generation))) {
		fail(resolver, name, "out of memory");
		return;
	}
	name->lookup = 0;
	name->settled = true;
	name->due_ms = next_due(name, clock_mono_ms(), false);
	if (name->failing)
		log_notice(resolver->log, "resolve", "name resolves again",
		    LOG_S("host", name->host));
	else if (changed && had)
		log_info(resolver->log, "resolve", "name has new addresses",
		    LOG_S("host", name->host),
		    LOG_N("addresses", answer->count),
		    LOG_S("first", addr_print_host(&answer->addresses[0], text,
				       sizeof(text))));
	name->failing = false;
}

static void
abandon_late(struct resolver *resolver, int64_t now_ms)
{
	struct slot *slot;
	struct name *name;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		slot = &resolver->slots[i];
		if (slot->id == 0 || slot->deadline_ms > now_ms)
			continue;
		name = names_find(&resolver->names, slot->id);
		slot->id = 0;
		resolver->abandoned++;
		if (name)
			fail(resolver, name, "the name server does not answer");
	}
}

static void
start(struct resolver *resolver, struct slot *slot, struct name *name)
{
	struct err err;

	name->lookup = ++resolver->last_id;
	name->asked_ms = clock_mono_ms();
	name_clear_failed(name, resolver->generation);
	if (!lookups_start(resolver->lookups, name->host, name->lookup, &err)) {
		fail(resolver, name, err.text);
		return;
	}
	slot->id = name->lookup;
	slot->deadline_ms = clock_mono_ms() + DEADLINE_MS;
}

static bool
may_start(const struct resolver *resolver)
{
	return resolver->abandoned < ABANDONED_MAX;
}

static void
start_due(struct resolver *resolver, int64_t now_ms)
{
	struct name *name;
	struct slot *slot;
	size_t i;

	for (i = 0; i < resolver->names.count; i++) {
		name = &resolver->names.items[i];
		if (name->lookup != 0 || name->due_ms > now_ms)
			continue;
		slot = find_slot(resolver, 0);
		if (slot == NULL || !may_start(resolver))
			return;
		start(resolver, slot, name);
	}
}

/* The next moment at which something must be done without an answer. */
static int64_t
next_moment(struct resolver *resolver)
{
	const struct name *name;
	int64_t moment = NEVER;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (resolver->slots[i].id != 0 &&
		    resolver->slots[i].deadline_ms < moment)
			moment = resolver->slots[i].deadline_ms;
	/* With no slot free, or too many lost threads, an answer or a deadline
	 * comes first in any case. */
	if (find_slot(resolver, 0) == NULL || !may_start(resolver))
		return moment;
	for (i = 0; i < resolver->names.count; i++) {
		name = &resolver->names.items[i];
		if (name->lookup == 0 && name->due_ms < moment)
			moment = name->due_ms;
	}
	return moment;
}

static void
set_timer(struct resolver *resolver, int64_t now_ms)
{
	int64_t moment = next_moment(resolver);
	double after_s;

	ev_timer_stop(resolver->loop, &resolver->timer);
	if (moment == NEVER)
		return;
	after_s = moment > now_ms ? (double)(moment - now_ms) / 1000.0 : 0.0;
	/* Up by a little: woken early, we would find nothing due and spin. */
	ev_timer_set(&resolver->timer, after_s + 0.001, 0.0);
	ev_now_update(resolver->loop);
	ev_timer_start(resolver->loop, &resolver->timer);
}

static bool
all_settled(const struct resolver *resolver)
{
	size_t i;

	for (i = 0; i < resolver->names.count; i++)
		if (!resolver->names.items[i].settled)
			return false;
	return true;
}

/* What follows every event. */
static void
go_on(struct resolver *resolver)
{
	int64_t now_ms = clock_mono_ms();

	abandon_late(resolver, now_ms);
	if (resolver->generation != NULL)
		names_hurry(&resolver->names, resolver->generation, HURRY_MS);
	start_due(resolver, now_ms);
	set_timer(resolver, now_ms);
	if (!resolver->first_due || !all_settled(resolver))
		return;
	resolver->first_due = false;
	resolver->on_first(resolver->arg); /* last: it may free us */
}

static void
take(struct resolver *resolver, const struct lookup_answer *answer)
{
	struct slot *slot = find_slot(resolver, answer->id);
	struct name *name = names_find(&resolver->names, answer->id);

	if (slot)
		slot->id = 0;
	else
		resolver->abandoned--;
	if (slot == NULL || name == NULL)
		return;
	if (answer->count > 0)
		succeed(resolver, name, answer);
	else
		fail(resolver, name, answer->why);
}

static void
on_answers(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct resolver *resolver = watcher->data;
	struct lookup_answer answer;

	(void)loop;
	(void)events;
	while (lookups_take(resolver->lookups, &answer)) {
		take(resolver, &answer);
		lookup_answer_fini(&answer);
	}
	go_on(resolver);
}

void
resolver_look(struct resolver *resolver)
{
	if (resolver != NULL)
		go_on(resolver);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	go_on(watcher->data);
}

struct resolver *
resolver_new(struct ev_loop *loop, struct log *log, resolve_first_fn *on_first,
    void *arg, struct err *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver == NULL) {
		err_set(err, "out of memory for the resolver");
		return NULL;
	}
	resolver->loop = loop;
	resolver->log = log;
	resolver->on_first = on_first;
	resolver->arg = arg;
	ev_timer_init(&resolver->timer, on_timer, 0.0, 0.0);
	resolver->timer.data = resolver;
	resolver->lookups = lookups_new(err);
	if (resolver->lookups == NULL) {
		free(resolver);
		return NULL;
	}
	ev_io_init(&resolver->answers, on_answers,
	    lookups_fd(resolver->lookups), EV_READ);
	resolver->answers.data = resolver;
	ev_io_start(loop, &resolver->answers);
	return resolver;
}

/* What is known already need not be asked before the generation goes live. */
static void
settle_known(struct resolver *resolver)
{
	struct name *name;
	size_t i;

	for (i = 0; i < resolver->names.count; i++) {
		name = &resolver->names.items[i];
		name->settled = name_put(name, resolver->generation) &&
				name_is_resolved(name, resolver->generation);
		if (!name->settled)
			name->due_ms = 0;
	}
}

bool
resolver_follow(struct resolver *resolver, struct generation *generation)
{
	struct generation *old = resolver->generation;
	struct names fresh;

	if (!names_init(&fresh, generation))
		return false;
	names_inherit(&fresh, &resolver->names);
	names_fini(&resolver->names);
	resolver->names = fresh;
	resolver->generation = generation_ref(generation);
	generation_unref(old);
	settle_known(resolver);
	resolver->first_due = true;

	/* Everything else from the loop: on_first never from in here. */
	ev_timer_stop(resolver->loop, &resolver->timer);
	ev_timer_set(&resolver->timer, 0.0, 0.0);
	ev_timer_start(resolver->loop, &resolver->timer);
	return true;
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	ev_timer_stop(resolver->loop, &resolver->timer);
	ev_io_stop(resolver->loop, &resolver->answers);
	lookups_free(resolver->lookups);
	names_fini(&resolver->names);
	generation_unref(resolver->generation);
	free(resolver);
}

void
resolve_check(struct generation *generation, struct log *log)
{
	struct lookup_answer answer;
	struct names names;
	size_t i;

	if (!names_init(&names, generation)) {
		log_warning(log, "resolve", "out of memory, names unchecked");
		return;
	}
	for (i = 0; i < names.count; i++) {
		lookup_now(names.items[i].host, &answer);
		if (answer.count == 0)
			log_warning(log, "resolve", "name does not resolve",
			    LOG_S("host", names.items[i].host),
			    LOG_S("reason", answer.why));
		lookup_answer_fini(&answer);
	}
	names_fini(&names);
}
