/*
 * Limits on requests, by responder host.  Staple thread only.  State is kept
 * by host because an outage is the host's: with state per certificate, 10,000
 * certificates would send 10,000 requests to detect an outage, and as many to
 * detect its end.
 */
#include "staple/host_limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "staple/schedule.h"

/*
 * ---- Permits ----
 *
 * The permits that are not slow yet are the last ones in the list of a host and
 * at most its limit, so counting them is short.
 */

struct staple_permit {
	struct staple_host *host;
	struct list node; /* of host->permits */
	int64_t since_ms;
};

/* How many of this host's permits count; since when the oldest of them does. */
static unsigned
count_host(const struct staple_host *host, int64_t mono_ms, int64_t *oldest_ms)
{
	unsigned count = 0;

	*oldest_ms = mono_ms;
	for (struct list *node = host->permits.prev; node != &host->permits;
	     node = node->prev) {
		const struct staple_permit *permit = container_of(
		    node, struct staple_permit, node);

		if (mono_ms - permit->since_ms >= STAPLE_SLOW_PERMIT_MS)
			break;
		*oldest_ms = permit->since_ms;
		count++;
	}
	return count;
}

struct staple_permit *
staple_permit_take(struct staple_host *host, int64_t mono_ms)
{
	struct staple_hosts *hosts = host->hosts;
	struct staple_permit *permit;
	int64_t oldest_ms;

	if (hosts->permits >= hosts->max_permits ||
	    count_host(host, mono_ms, &oldest_ms) >= host->limit)
		return NULL;
	permit = malloc(sizeof(*permit));
	if (permit == NULL)
		return NULL;
	permit->host = host;
	permit->since_ms = mono_ms;
	list_append(&host->permits, &permit->node);
	hosts->permits++;
	return permit;
}

void
staple_permit_return(struct staple_permit *permit)
{
	list_remove(&permit->node);
	permit->host->hosts->permits--;
	free(permit);
}

int64_t
staple_permit_until(const struct staple_host *host, int64_t mono_ms)
{
	int64_t oldest_ms;

	if (host->hosts->permits >= host->hosts->max_permits)
		return INT64_MAX;
	if (count_host(host, mono_ms, &oldest_ms) < host->limit)
		return mono_ms;
	return oldest_ms + STAPLE_SLOW_PERMIT_MS;
}

/* ---- Hosts ---- */

enum {
	FORGOTTEN_AFTER_MS = 3600 * 1000,
	UNUSED_MAX = 256,
	PAUSE_MIN_MS = 5000, /* after an attempt that took long */
	SECOND_MS = 1000
};

void
staple_hosts_init(struct staple_hosts *hosts, unsigned max_permits)
{
	*hosts = (struct staple_hosts){ .max_permits = max_permits };
	for (size_t i = 0; i < STAPLE_HOST_BUCKETS; i++)
		list_init(&hosts->buckets[i]);
	list_init(&hosts->queues);
	list_init(&hosts->unused);
}

static void
free_host(struct staple_host *host)
{
	LIST_FOREACH(&host->permits, node)
		staple_permit_return(
		    container_of(node, struct staple_permit, node));
	list_remove(&host->node);
	list_remove(&host->in_queues);
	list_remove(&host->in_unused);
	heap_remove(&host->hosts->probes, &host->probe);
	heap_fini(&host->waiting);
	host->hosts->count--;
	free(host);
}

void
staple_hosts_fini(struct staple_hosts *hosts)
{
	for (size_t i = 0; i < STAPLE_HOST_BUCKETS; i++) {
		if (hosts->buckets[i].next == NULL)
			return; /* never initialised */
		LIST_FOREACH(&hosts->buckets[i], node)
			free_host(container_of(node, struct staple_host, node));
	}
	heap_fini(&hosts->probes);
}

/* ---- The table ---- */

static struct list *
bucket_of(struct staple_hosts *hosts, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return &hosts->buckets[hash % STAPLE_HOST_BUCKETS];
}

static struct staple_host *
find(struct list *bucket, const char *name)
{
	LIST_FOREACH(bucket, node) {
		struct staple_host *host = container_of(
		    node, struct staple_host, node);

		if (strcmp(host->name, name) == 0)
			return host;
	}
	return NULL;
}

static struct staple_host *
make(struct staple_hosts *hosts, struct list *bucket, const char *name)
{
	size_t size = strlen(name) + 1;
	struct staple_host *host;

	/* So that it can always be put there. */
	if (!heap_reserve(&hosts->probes, hosts->count + 1))
		return NULL;
	host = calloc(1, sizeof(*host) + size);
	if (host == NULL)
		return NULL;
	memcpy(host->name, name, size);
	host->hosts = hosts;
	host->limit = STAPLE_HOST_PERMITS;
	list_init(&host->in_queues);
	list_init(&host->in_unused);
	list_init(&host->permits);
	list_append(bucket, &host->node);
	hosts->count++;
	return host;
}

static void
forget_old(struct staple_hosts *hosts, int64_t mono_ms)
{
	LIST_FOREACH(&hosts->unused, node) {
		struct staple_host *host = container_of(
		    node, struct staple_host, in_unused);

		if (hosts->unused_count <= UNUSED_MAX &&
		    mono_ms - host->unused_ms < FORGOTTEN_AFTER_MS)
			return;
		hosts->unused_count--;
		free_host(host);
	}
}

struct staple_host *
staple_hosts_hold(struct staple_hosts *hosts, const char *name, int64_t mono_ms)
{
	struct list *bucket = bucket_of(hosts, name);
	struct staple_host *host;

	forget_old(hosts, mono_ms);
	host = find(bucket, name);
	if (host == NULL)
		host = make(hosts, bucket, name);
	if (host == NULL)
		return NULL;
	if (!list_is_empty(&host->in_unused)) {
		list_remove(&host->in_unused);
		hosts->unused_count--;
	}
	host->certificates++;
	return host;
}

void
staple_host_drop(struct staple_host *host, int64_t mono_ms)
{
	if (host == NULL || --host->certificates > 0)
		return;
	if (host->failures == 0) {
		free_host(host);
		return;
	}
	host->unused_ms = mono_ms;
	list_append(&host->hosts->unused, &host->in_unused);
	host->hosts->unused_count++;
	forget_old(host->hosts, mono_ms);
}

/* ---- Health ---- */

bool
staple_host_is_blamed(enum staple_outcome outcome)
{
	/* The outcomes stand in this order in staple.h. */
	return (outcome >= STAPLE_NAME_NOT_FOUND &&
		   outcome <= STAPLE_TRAILING_BYTES) ||
	       outcome == STAPLE_INTERNAL_ERROR || outcome == STAPLE_TRY_LATER;
}

static void
enqueue_host(struct staple_host *host)
{
	struct staple_hosts *hosts = host->hosts;
	const struct staple_waiter *prober = host->prober;
	bool waits = host->waiting.count > 0;
	bool prober_waits = prober != NULL && prober->host == host;

	if (!waits || host->down)
		list_remove(&host->in_queues);
	else if (list_is_empty(&host->in_queues))
		list_append(&hosts->queues, &host->in_queues);
	if (!waits || !host->down || (prober != NULL && !prober_waits))
		heap_remove(&hosts->probes, &host->probe);
	else
		heap_put(&hosts->probes, &host->probe,
		    prober_waits ? 0 : host->probe_ms);
}

void
staple_host_works(struct staple_host *host, unsigned took_ms)
{
	if (took_ms > STAPLE_HOST_QUICK_MS)
		host->limit = STAPLE_HOST_PERMITS;
	else if (host->limit < STAPLE_HOST_PERMITS_MAX)
		host->limit++;
	host->failures = 0;
	if (!host->down)
		return;
	host->down = false;
	host->untried_waits = false;
	host->prober = NULL;
	host->asked_until_ms = 0;
	host->hosts->changed = true;
	enqueue_host(host);
}

/* Seconds until the expiry of a certificate; 0: it holds nothing valid. */
static int64_t
left_of(const struct staple_waiter *waiter, int64_t wall_s)
{
	return waiter->expires > wall_s ? waiter->expires - wall_s : 0;
}

/* Of the certificate that has least, of all that wait and this one. */
static int64_t
find_least_left(const struct staple_host *host,
    const struct staple_waiter *waiter, int64_t wall_s)
{
	int64_t least = left_of(waiter, wall_s), left;

	for (size_t i = 0; i < host->waiting.count && least > 0; i++) {
		left = left_of(container_of(host->waiting.nodes[i],
				   struct staple_waiter, node),
		    wall_s);
		if (left < least)
			least = left;
	}
	return least;
}

static void
pause_probing(struct staple_host *host, const struct staple_waiter *waiter,
    const struct staple_host_failure *failure)
{
	int64_t left = find_least_left(host, waiter, failure->wall_s);
	int64_t pause = staple_schedule_probe(host->failures, left,
	    failure->retry_after_s, host->certificates, failure->jitter);

	host->probe_ms = failure->began_ms + pause * SECOND_MS;
	if (host->probe_ms < failure->mono_ms + PAUSE_MIN_MS)
		host->probe_ms = failure->mono_ms + PAUSE_MIN_MS;
	if (failure->retry_after_s < pause)
		pause = failure->retry_after_s;
	host->asked_until_ms = failure->mono_ms + pause * SECOND_MS;
	if (host->probe_ms < host->asked_until_ms)
		host->probe_ms = host->asked_until_ms;
	host->prober = NULL;
	/* Certificates without an attempt wait for the outcome of the probe. */
	host->hosts->changed |= host->untried_waits;
	host->untried_waits = false;
	enqueue_host(host);
}

bool
staple_host_failed(struct staple_host *host, const struct staple_waiter *waiter,
    const struct staple_host_failure *failure)
{
	bool was_down = host->down;

	host->limit = STAPLE_HOST_PERMITS;
	host->outcome = failure->outcome;
	host->failed_ms = failure->mono_ms;
	/* One that began before it went down changes nothing. */
	if (was_down && host->prober != waiter)
		return false;
	host->failures++;
	if (!was_down && host->failures < STAPLE_HOST_DOWN_AFTER &&
	    failure->retry_after_s == 0)
		return false;
	host->down = true;
	host->hosts->changed |= !was_down;
	pause_probing(host, waiter, failure);
	return !was_down;
}

void
staple_host_skipped(
    struct staple_host *host, const struct staple_waiter *waiter)
{
	if (host->prober != waiter)
		return;
	host->prober = NULL;
	enqueue_host(host);
}

/* When a certificate without an attempt may be fetched. */
static int64_t
untried_from(const struct staple_host *host)
{
	int64_t from_ms = host->failed_ms + STAPLE_HOST_UNTRIED_MS;

	return from_ms > host->asked_until_ms ? from_ms : host->asked_until_ms;
}

bool
staple_host_is_closed(const struct staple_host *host,
    const struct staple_waiter *waiter, int64_t mono_ms)
{
	if (!host->down || host->prober == waiter)
		return false;
	if (waiter->untried && mono_ms >= untried_from(host))
		return false;
	return host->prober != NULL || mono_ms < host->probe_ms;
}

void
staple_host_joined(struct staple_host *host, const struct staple_waiter *waiter,
    int64_t wall_s)
{
	int64_t pause, latest_ms;

	if (!host->down)
		return;
	pause = staple_schedule_probe(
	    host->failures, left_of(waiter, wall_s), 0, host->certificates, 0);
	latest_ms = host->failed_ms + pause * SECOND_MS;
	if (waiter->untried)
		latest_ms = untried_from(host);
	if (latest_ms < host->asked_until_ms)
		latest_ms = host->asked_until_ms;
	if (latest_ms < host->probe_ms)
		host->probe_ms = latest_ms;
	enqueue_host(host);
}

void
staple_hosts_probe_now(struct staple_hosts *hosts, int64_t mono_ms)
{
	for (size_t i = 0; i < STAPLE_HOST_BUCKETS; i++) {
		LIST_FOREACH(&hosts->buckets[i], node) {
			struct staple_host *host = container_of(
			    node, struct staple_host, node);

			if (!host->down || host->probe_ms <= mono_ms)
				continue;
			host->probe_ms = host->asked_until_ms > mono_ms
					     ? host->asked_until_ms
					     : mono_ms;
			enqueue_host(host);
		}
	}
}

/*
 * ---- Queues ----
 *
 * Each is a heap by due time: in a list the second request of an attempt, which
 * has an old due time, would have to pass all other waiters.  Only hosts that
 * are up are in hosts->queues, so a turn costs nothing for hosts that are down.
 */

static struct staple_waiter *
waiter_of(struct heap_node *node)
{
	return container_of(node, struct staple_waiter, node);
}

bool
staple_queue_join(
    struct staple_host *host, struct staple_waiter *waiter, int64_t due)
{
	if (!heap_reserve(&host->waiting, host->waiting.count + 1))
		return false;
	heap_put(&host->waiting, &waiter->node, due);
	waiter->host = host;
	enqueue_host(host);
	return true;
}

void
staple_queue_leave(struct staple_waiter *waiter)
{
	struct staple_host *host = waiter->host;

	if (host == NULL)
		return;
	heap_remove(&host->waiting, &waiter->node);
	if (host->waiting.count == 0)
		heap_fini(&host->waiting);
	waiter->host = NULL;
	enqueue_host(host);
}

static struct staple_waiter *
next_probe(
    struct staple_hosts *hosts, int64_t mono_ms, struct staple_permit **permit)
{
	struct heap_node *first = heap_first(&hosts->probes);
	struct staple_waiter *waiter;
	struct staple_host *host;

	if (first == NULL || first->key > mono_ms)
		return NULL;
	host = container_of(first, struct staple_host, probe);
	*permit = staple_permit_take(host, mono_ms);
	if (*permit == NULL)
		return NULL;
	waiter = waiter_of(heap_first(&host->waiting));
	/* The second request of a probe goes before all others. */
	if (host->prober != NULL)
		waiter = host->prober;
	host->prober = waiter;
	staple_queue_leave(waiter);
	return waiter;
}

struct staple_waiter *
staple_queue_next(
    struct staple_hosts *hosts, int64_t mono_ms, struct staple_permit **permit)
{
	struct staple_waiter *waiter = next_probe(hosts, mono_ms, permit);

	if (waiter != NULL)
		return waiter;
	LIST_FOREACH(&hosts->queues, node) {
		struct staple_host *host = container_of(
		    node, struct staple_host, in_queues);

		*permit = staple_permit_take(host, mono_ms);
		if (*permit == NULL)
			continue;
		/* The next turn is another host's. */
		list_remove(node);
		list_append(&hosts->queues, node);
		waiter = waiter_of(heap_first(&host->waiting));
		staple_queue_leave(waiter);
		return waiter;
	}
	return NULL;
}

int64_t
staple_queue_until(const struct staple_hosts *hosts, int64_t mono_ms)
{
	struct heap_node *probe = heap_first(&hosts->probes);
	int64_t until, soonest = INT64_MAX;

	LIST_FOREACH(&hosts->queues, node) {
		until = staple_permit_until(
		    container_of(node, struct staple_host, in_queues), mono_ms);
		if (until < soonest)
			soonest = until;
		if (until == INT64_MAX) /* all permits are taken */
			break;
	}
	if (probe == NULL)
		return soonest;
	until = staple_permit_until(
	    container_of(probe, struct staple_host, probe), mono_ms);
	if (until < probe->key)
		until = probe->key;
	return until < soonest ? until : soonest;
}
