/*
 * Resolving backend names: the table of names, helper threads for
 * getaddrinfo(), and when to look up which name.  Main thread, except for the
 * helpers.
 *
 * At most SLOTS look-ups are waited for at once.  One that misses its deadline
 * is abandoned and its slot is reused, while its thread stays in libc until the
 * name server replies.  Abandoned threads are counted, and at ABANDONED_MAX no
 * more are started: a dead name server costs a few stacks, not all memory.
 * The inbox of answers is counted, because an abandoned thread may outlive the
 * resolver.
 */
#include "runtime/resolve.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "proxy/backend.h"
#include "proxy/service.h"
#include "runtime/generation.h"

/* ---- Look-ups ---- */

struct dns_answer {
	uint64_t id;
	struct addr *addresses; /* ports are 0 */
	size_t count;           /* 0: failed, see why */
	char why[128];
};

struct dns_threads {
	atomic_uint references; /* the owner and every thread */

	/* fixed at creation */
	int event;

	struct mutex lock;

	/* under lock */
	struct list answers;
	bool closed;
};

struct dns_lookup {
	struct list node;
	struct dns_threads *threads; /* a reference */
	char *host;
	struct dns_answer answer;
};

static void
dns_answer_fini(struct dns_answer *answer)
{
	free(answer->addresses);
	answer->addresses = NULL;
	answer->count = 0;
}

static struct dns_threads *
dns_threads_new(struct err *err)
{
	struct dns_threads *threads = calloc(1, sizeof(*threads));

	if (threads == NULL) {
		err_set(err, "out of memory for name look-ups");
		return NULL;
	}
	threads->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (threads->event < 0) {
		err_set_errno(err, errno, "no descriptor for name look-ups");
		free(threads);
		return NULL;
	}
	atomic_init(&threads->references, 1);
	mutex_init(&threads->lock);
	list_init(&threads->answers);
	return threads;
}

static void
unref_threads(struct dns_threads *threads)
{
	if (atomic_fetch_sub_explicit(
		&threads->references, 1, memory_order_acq_rel) != 1)
		return;
	close(threads->event);
	mutex_fini(&threads->lock);
	free(threads);
}

static void
free_lookup(struct dns_lookup *lookup)
{
	dns_answer_fini(&lookup->answer);
	free(lookup->host);
	free(lookup);
}

/* Threads discard later answers. */
static void
dns_threads_free(struct dns_threads *threads)
{
	struct list unread;

	list_init(&unread);
	mutex_lock(&threads->lock);
	threads->closed = true;
	list_splice(&unread, &threads->answers);
	mutex_unlock(&threads->lock);

	LIST_FOREACH(&unread, node)
		free_lookup(container_of(node, struct dns_lookup, node));
	unref_threads(threads);
}

/* Readable when there may be answers. */
static int
dns_threads_fd(const struct dns_threads *threads)
{
	return threads->event;
}

static void
post_answer(struct dns_lookup *lookup)
{
	const uint64_t one = 1;
	struct dns_threads *threads = lookup->threads;
	bool closed;

	mutex_lock(&threads->lock);
	closed = threads->closed;
	if (!closed)
		list_append(&threads->answers, &lookup->node);
	mutex_unlock(&threads->lock);

	if (closed)
		free_lookup(lookup);
	else if (write(threads->event, &one, sizeof(one)) < 0)
		errno = 0; /* EAGAIN: readable already */
	unref_threads(threads);
}

static bool
has_address(const struct dns_answer *answer, const struct addr *addr)
{
	size_t i;

	for (i = 0; i < answer->count; i++)
		if (addr_equal(&answer->addresses[i], addr))
			return true;
	return false;
}

static void
copy_addresses(struct dns_answer *answer, const struct addrinfo *info)
{
	struct addr addr;

	answer->addresses = calloc(
	    BACKEND_ADDRESSES_MAX, sizeof(answer->addresses[0]));
	if (answer->addresses == NULL) {
		snprintf(answer->why, sizeof(answer->why), "out of memory");
		return;
	}
	for (; info && answer->count < BACKEND_ADDRESSES_MAX;
	     info = info->ai_next) {
		if (info->ai_family != AF_INET && info->ai_family != AF_INET6)
			continue;
		addr_from_sockaddr(&addr, info->ai_addr, info->ai_addrlen);
		if (!has_address(answer, &addr))
			answer->addresses[answer->count++] = addr;
	}
	if (answer->count == 0)
		snprintf(answer->why, sizeof(answer->why),
		    "the name has no address");
}

/* Resolve on the calling thread.  Ends with dns_answer_fini. */
static void
dns_resolve(const char *host, struct dns_answer *answer)
{
	/* No AI_ADDRCONFIG: it ignores loopback, which a container without a
	 * network still has. */
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info = NULL;
	int error;

	answer->addresses = NULL;
	answer->count = 0;
	answer->why[0] = '\0';
	error = getaddrinfo(host, NULL, &hints, &info);
	if (error == EAI_SYSTEM)
		snprintf(
		    answer->why, sizeof(answer->why), "%s", strerror(errno));
	else if (error != 0)
		snprintf(answer->why, sizeof(answer->why), "%s",
		    gai_strerror(error));
	else
		copy_addresses(answer, info);
	if (info)
		freeaddrinfo(info);
}

static void
run_lookup(void *arg)
{
	struct dns_lookup *lookup = arg;

	dns_resolve(lookup->host, &lookup->answer);
	post_answer(lookup);
}

/* Start a thread that resolves host; its answer carries `id`. */
static bool
dns_threads_start(
    struct dns_threads *threads, const char *host, uint64_t id, struct err *err)
{
	struct dns_lookup *lookup = calloc(1, sizeof(*lookup));
	struct thread thread;

	if (lookup == NULL)
		goto no_memory;
	list_init(&lookup->node);
	lookup->answer.id = id;
	lookup->threads = threads;
	lookup->host = strdup(host);
	if (lookup->host == NULL)
		goto no_memory;
	atomic_fetch_add_explicit(
	    &threads->references, 1, memory_order_relaxed);
	if (!thread_start(&thread, "resolve", run_lookup, lookup, err)) {
		unref_threads(threads);
		free_lookup(lookup);
		return false;
	}
	thread_detach(&thread);
	return true;

no_memory:
	err_set(err, "out of memory for a name look-up");
	free(lookup);
	return false;
}

/* The next answer; false: no more.  Ends with dns_answer_fini. */
static bool
dns_threads_take(struct dns_threads *threads, struct dns_answer *answer)
{
	struct dns_lookup *lookup = NULL;
	uint64_t count;

	/* Clear first: an answer posted after this wakes the loop again. */
	if (read(threads->event, &count, sizeof(count)) < 0)
		errno = 0; /* EAGAIN: cleared already */
	mutex_lock(&threads->lock);
	if (!list_is_empty(&threads->answers)) {
		lookup = container_of(
		    threads->answers.next, struct dns_lookup, node);
		list_remove(&lookup->node);
	}
	mutex_unlock(&threads->lock);

	if (lookup == NULL)
		return false;
	*answer = lookup->answer;
	lookup->answer.addresses = NULL;
	free_lookup(lookup);
	return true;
}

/* ---- Names ---- */

struct dns_name {
	char *host;
	uint32_t every_ms;  /* the shortest `resolve` of its services */
	int64_t due_ms;     /* monotonic; INT64_MAX: never again */
	int64_t started_ms; /* start of the last look-up; 0: none yet */
	uint64_t lookup;    /* id of the running look-up; 0: none */
	bool ready;         /* resolved or failed once in this generation */
	bool failing;       /* the last look-up failed, and this was logged */
	struct addr *last;  /* the last answer */
	size_t last_count;
};

/* The names of a generation. */
struct dns_names {
	struct dns_name *items;
	size_t count;
};

/* A walk over all backends of a generation.  Sites that share theirs are
 * adjacent and are visited once. */
struct backend_cursor {
	struct generation *generation;
	size_t service;
	size_t site;
	const struct service_site *met; /* the last one */
	size_t next;                    /* of its backends */
};

static const struct service_site *
next_site(struct backend_cursor *walk)
{
	const struct service_site *site;
	struct service *service;

	while (walk->service < generation_service_count(walk->generation)) {
		service = generation_service(walk->generation, walk->service);
		while (walk->site < service->site_count) {
			site = &service->sites[walk->site++];
			if (walk->met && walk->met->backends == site->backends)
				continue;
			walk->met = site;
			walk->next = 0;
			return site;
		}
		walk->service++;
		walk->site = 0;
	}
	return NULL;
}

/* The next backend is number *i of walk->met. */
static bool
next_backend(struct backend_cursor *walk, size_t *i)
{
	while (!walk->met || walk->next == backends_count(walk->met->backends))
		if (next_site(walk) == NULL)
			return false;
	*i = walk->next++;
	return true;
}

static size_t
count_backends(struct generation *generation)
{
	struct backend_cursor walk = { .generation = generation };
	const struct service_site *site;
	size_t total = 0;

	while ((site = next_site(&walk)) != NULL)
		total += backends_count(site->backends);
	return total;
}

static struct dns_name *
find_host(struct dns_names *names, const char *host)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (strcmp(names->items[i].host, host) == 0)
			return &names->items[i];
	return NULL;
}

static bool
add_name(struct dns_names *names, const char *host, uint32_t every_ms)
{
	struct dns_name *name = find_host(names, host);

	if (name) {
		if (every_ms < name->every_ms)
			name->every_ms = every_ms;
		return true;
	}
	name = &names->items[names->count];
	name->host = strdup(host);
	if (name->host == NULL)
		return false;
	name->every_ms = every_ms;
	names->count++;
	return true;
}

static void
dns_names_fini(struct dns_names *names)
{
	size_t i;

	for (i = 0; i < names->count; i++) {
		free(names->items[i].host);
		free(names->items[i].last);
	}
	free(names->items);
	names->items = NULL;
	names->count = 0;
}

/* Every name of the generation, due at once.  false: no memory. */
static bool
dns_names_init(struct dns_names *names, struct generation *generation)
{
	struct backend_cursor walk = { .generation = generation };
	const char *host;
	uint16_t port;
	size_t i;

	names->count = 0;
	names->items = calloc(
	    count_backends(generation) + 1, sizeof(names->items[0]));
	if (names->items == NULL)
		return false;
	while (next_backend(&walk, &i)) {
		host = backends_host(walk.met->backends, i, &port);
		if (host &&
		    !add_name(names, host, walk.met->settings->resolve_ms)) {
			dns_names_fini(names);
			return false;
		}
	}
	return true;
}

/* Take over the state of equal names: running look-ups, answers, failures
 * already logged. */
static void
dns_names_inherit(struct dns_names *fresh, struct dns_names *old)
{
	struct dns_name *name, *known;
	size_t i;

	for (i = 0; i < fresh->count; i++) {
		name = &fresh->items[i];
		known = find_host(old, name->host);
		if (known == NULL)
			continue;
		name->lookup = known->lookup;
		name->due_ms = known->due_ms;
		name->started_ms = known->started_ms;
		name->failing = known->failing;
		name->last = known->last;
		name->last_count = known->last_count;
		known->last = NULL;
		known->last_count = 0;
	}
}

/* The name whose look-up has this id; NULL: none. */
static struct dns_name *
dns_names_find(struct dns_names *names, uint64_t lookup)
{
	size_t i;

	for (i = 0; lookup != 0 && i < names->count; i++)
		if (names->items[i].lookup == lookup)
			return &names->items[i];
	return NULL;
}

static bool
is_known(const struct dns_name *name, const struct addr *addr)
{
	size_t i;

	for (i = 0; i < name->last_count; i++)
		if (addr_equal(&name->last[i], addr))
			return true;
	return false;
}

/* Store an answer.  *changed: it is another set than the last one (name servers
 * shuffle; the order does not count).  false: no memory. */
static bool
dns_name_remember(struct dns_name *name, const struct addr *addresses,
    size_t count, bool *changed)
{
	struct addr *copy;
	size_t i;

	/* An answer has no address twice, so equal counts and only known
	 * addresses mean an equal set. */
	*changed = count != name->last_count;
	for (i = 0; i < count && !*changed; i++)
		*changed = !is_known(name, &addresses[i]);
	if (!*changed)
		return true;
	copy = calloc(count, sizeof(copy[0]));
	if (copy == NULL)
		return false;
	memcpy(copy, addresses, count * sizeof(copy[0]));
	free(name->last);
	name->last = copy;
	name->last_count = count;
	return true;
}

/* The next backend of that name; NULL: none. */
static struct backends *
next_of(struct backend_cursor *walk, const struct dns_name *name, size_t *i)
{
	const char *host;
	uint16_t port;

	while (next_backend(walk, i)) {
		host = backends_host(walk->met->backends, *i, &port);
		if (host && strcmp(host, name->host) == 0)
			return walk->met->backends;
	}
	return NULL;
}

/* Put the last answer into every backend of that name, each with its own port.
 * false: no memory, and some keep the old one. */
static bool
dns_name_put(const struct dns_name *name, struct generation *generation)
{
	struct backend_cursor walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	if (name->last_count == 0)
		return true;
	while ((backends = next_of(&walk, name, &i)) != NULL)
		if (!backends_put(backends, i, name->last, name->last_count))
			return false;
	return true;
}

static void
expedite_name(struct dns_names *names, const struct backends *backends,
    size_t i, int64_t least_ms)
{
	uint16_t port;
	const char *host = backends_host(backends, i, &port);
	struct dns_name *name = host ? find_host(names, host) : NULL;

	if (name != NULL && name->started_ms + least_ms < name->due_ms)
		name->due_ms = name->started_ms + least_ms;
}

/* Names with a backend whose connect failed become due at once, but not before
 * least_ms after the start of their last look-up. */
static void
dns_names_expedite(
    struct dns_names *names, struct generation *generation, int64_t least_ms)
{
	struct backend_cursor walk = { .generation = generation };
	size_t i;

	while (next_backend(&walk, &i))
		if (backends_failed(walk.met->backends, i))
			expedite_name(names, walk.met->backends, i, least_ms);
}

/* A look-up begins: reset the failures of earlier connects. */
static void
dns_name_clear_failed(
    const struct dns_name *name, struct generation *generation)
{
	struct backend_cursor walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	while ((backends = next_of(&walk, name, &i)) != NULL)
		backends_clear_failed(backends, i);
}

/* Has every backend of that name an address? */
static bool
dns_name_is_resolved(const struct dns_name *name, struct generation *generation)
{
	struct backend_cursor walk = { .generation = generation };
	struct backends *backends;
	size_t i;

	while ((backends = next_of(&walk, name, &i)) != NULL)
		if (!backends_resolved(backends, i))
			return false;
	return true;
}

/* ---- The resolver ---- */

#define SLOTS 4
#define DEADLINE_MS 5000
#define RETRY_MS 5000    /* after a failure, if resolve is longer than that */
#define EXPEDITE_MS 1000 /* minimum between look-ups after failed connects */
#define ABANDONED_MAX 32
#define NEVER INT64_MAX

/* A look-up that is waited for. */
struct dns_slot {
	uint64_t id; /* 0: free */
	int64_t deadline_ms;
};

struct resolver {
	/* fixed at creation */
	struct ev_loop *loop;
	struct log *log;
	resolve_first_fn *on_first;
	resolve_change_fn *on_change;
	void *arg;
	struct dns_threads *threads;

	/* main thread */
	struct generation *generation;
	struct dns_names names;
	struct dns_slot slots[SLOTS];
	unsigned abandoned;
	uint64_t last_id;
	bool first_due; /* on_first is to be called */
	bool changed;   /* on_change is to be called */
	struct ev_io answers;
	struct ev_timer timer;
};

static struct dns_slot *
find_slot(struct resolver *resolver, uint64_t id)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (resolver->slots[i].id == id)
			return &resolver->slots[i];
	return NULL;
}

static int64_t
next_due(const struct dns_name *name, int64_t now_ms, bool failed)
{
	if (failed && (name->every_ms == 0 || name->every_ms > RETRY_MS))
		return now_ms + RETRY_MS;
	if (name->every_ms == 0)
		return NEVER;
	return now_ms + name->every_ms;
}

static void
fail(struct resolver *resolver, struct dns_name *name, const char *why)
{
	name->lookup = 0;
	name->ready = true;
	name->due_ms = next_due(name, clock_mono_ms(), true);
	if (name->failing)
		return;
	name->failing = true;
	log_warning(resolver->log, "resolve",
	    name->last_count
		? "name no longer resolves; its last addresses stay in use"
		: "name does not resolve",
	    LOG_S("host", name->host), LOG_S("reason", why));
}

static void
succeed(struct resolver *resolver, struct dns_name *name,
    const struct dns_answer *answer)
{
	char text[ADDR_TEXT_MAX];
	bool changed, had = name->last_count > 0;

	if (!dns_name_remember(
		name, answer->addresses, answer->count, &changed) ||
	    ((changed || !dns_name_is_resolved(name, resolver->generation)) &&
		!dns_name_put(name, resolver->generation))) {
		fail(resolver, name, "out of memory");
		return;
	}
	resolver->changed |= changed;
	name->lookup = 0;
	name->ready = true;
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
	struct dns_slot *slot;
	struct dns_name *name;
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		slot = &resolver->slots[i];
		if (slot->id == 0 || slot->deadline_ms > now_ms)
			continue;
		name = dns_names_find(&resolver->names, slot->id);
		slot->id = 0;
		resolver->abandoned++;
		if (name)
			fail(
			    resolver, name, "no response from the name server");
	}
}

static void
start_lookup(
    struct resolver *resolver, struct dns_slot *slot, struct dns_name *name)
{
	struct err err;

	name->lookup = ++resolver->last_id;
	name->started_ms = clock_mono_ms();
	dns_name_clear_failed(name, resolver->generation);
	if (!dns_threads_start(
		resolver->threads, name->host, name->lookup, &err)) {
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
	struct dns_name *name;
	struct dns_slot *slot;
	size_t i;

	for (i = 0; i < resolver->names.count; i++) {
		name = &resolver->names.items[i];
		if (name->lookup != 0 || name->due_ms > now_ms)
			continue;
		slot = find_slot(resolver, 0);
		if (slot == NULL || !may_start(resolver))
			return;
		start_lookup(resolver, slot, name);
	}
}

/* The next time at which the timer must fire. */
static int64_t
next_moment(struct resolver *resolver)
{
	const struct dns_name *name;
	int64_t moment = NEVER;
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (resolver->slots[i].id != 0 &&
		    resolver->slots[i].deadline_ms < moment)
			moment = resolver->slots[i].deadline_ms;
	/* Without a free slot, or with too many abandoned threads, an answer or
	 * a deadline comes first. */
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
	/* Round up: too early, nothing would be due and the loop would spin. */
	ev_timer_set(&resolver->timer, after_s + 0.001, 0.0);
	ev_now_update(resolver->loop);
	ev_timer_start(resolver->loop, &resolver->timer);
}

static bool
all_ready(const struct resolver *resolver)
{
	size_t i;

	for (i = 0; i < resolver->names.count; i++)
		if (!resolver->names.items[i].ready)
			return false;
	return true;
}

/* After every event. */
static void
go_on(struct resolver *resolver)
{
	int64_t now_ms = clock_mono_ms();

	abandon_late(resolver, now_ms);
	if (resolver->generation != NULL)
		dns_names_expedite(
		    &resolver->names, resolver->generation, EXPEDITE_MS);
	start_due(resolver, now_ms);
	set_timer(resolver, now_ms);
	if (resolver->changed) {
		resolver->changed = false;
		resolver->on_change(resolver->arg);
	}
	if (!resolver->first_due || !all_ready(resolver))
		return;
	resolver->first_due = false;
	resolver->on_first(resolver->arg); /* last: it may free the resolver */
}

static void
take(struct resolver *resolver, const struct dns_answer *answer)
{
	struct dns_slot *slot = find_slot(resolver, answer->id);
	struct dns_name *name = dns_names_find(&resolver->names, answer->id);

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
	struct dns_answer answer;

	(void)loop;
	(void)events;
	while (dns_threads_take(resolver->threads, &answer)) {
		take(resolver, &answer);
		dns_answer_fini(&answer);
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
    resolve_change_fn *on_change, void *arg, struct err *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver == NULL) {
		err_set(err, "out of memory for the resolver");
		return NULL;
	}
	resolver->loop = loop;
	resolver->log = log;
	resolver->on_first = on_first;
	resolver->on_change = on_change;
	resolver->arg = arg;
	ev_timer_init(&resolver->timer, on_timer, 0.0, 0.0);
	resolver->timer.data = resolver;
	resolver->threads = dns_threads_new(err);
	if (resolver->threads == NULL) {
		free(resolver);
		return NULL;
	}
	ev_io_init(&resolver->answers, on_answers,
	    dns_threads_fd(resolver->threads), EV_READ);
	resolver->answers.data = resolver;
	ev_io_start(loop, &resolver->answers);
	return resolver;
}

/* Names with a known answer need no look-up before publication. */
static void
apply_known(struct resolver *resolver)
{
	struct dns_name *name;
	size_t i;

	for (i = 0; i < resolver->names.count; i++) {
		name = &resolver->names.items[i];
		name->ready = dns_name_put(name, resolver->generation) &&
			      dns_name_is_resolved(name, resolver->generation);
		if (!name->ready)
			name->due_ms = 0;
	}
}

bool
resolver_follow(struct resolver *resolver, struct generation *generation)
{
	struct generation *old = resolver->generation;
	struct dns_names fresh;

	if (!dns_names_init(&fresh, generation))
		return false;
	dns_names_inherit(&fresh, &resolver->names);
	dns_names_fini(&resolver->names);
	resolver->names = fresh;
	resolver->generation = generation_ref(generation);
	generation_unref(old);
	apply_known(resolver);
	resolver->first_due = true;

	/* Continue from the loop: on_first is never called in here. */
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
	dns_threads_free(resolver->threads);
	dns_names_fini(&resolver->names);
	generation_unref(resolver->generation);
	free(resolver);
}

void
resolve_check(struct generation *generation, struct log *log)
{
	struct dns_answer answer;
	struct dns_names names;
	size_t i;

	if (!dns_names_init(&names, generation)) {
		log_warning(log, "resolve", "out of memory; names not checked");
		return;
	}
	for (i = 0; i < names.count; i++) {
		dns_resolve(names.items[i].host, &answer);
		if (answer.count == 0)
			log_warning(log, "resolve", "name does not resolve",
			    LOG_S("host", names.items[i].host),
			    LOG_S("reason", answer.why));
		dns_answer_fini(&answer);
	}
	dns_names_fini(&names);
}
