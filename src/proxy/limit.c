/*
 * Counting connections.  Caps are counted by reservation: add one, compare, and
 * subtract it if that was too many, so that two threads never both take the
 * last slot.  Addresses are counted in a fixed table whose chains are spread
 * over 64 locks; an entry is allocated before its lock is taken and freed
 * after, so that the critical section is the walk over a short chain.  Any
 * listener thread; the main thread sets the cap of the process.
 */
#include "proxy/limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mutex.h"

#define SHARD_BITS 6
#define SHARD_COUNT (1u << SHARD_BITS)
#define CHAIN_BITS 8
#define CHAIN_COUNT (1u << CHAIN_BITS) /* in each shard */

struct limit_process {
	atomic_uint connections;
	atomic_uint cap; /* 0: none */
};

struct limit_address {
	/* fixed at creation */
	uint64_t network; /* IPv4 address, or upper half of an IPv6 one */
	bool v6;
	unsigned shard;
	unsigned chain;

	/* under limit->locks[shard] */
	struct limit_address *next;
	uint32_t count;
};

struct limit {
	atomic_uint references;

	/* fixed at creation */
	struct limit_process *process;
	unsigned __int128 seed[2];

	/* relaxed */
	atomic_uint connections;
	atomic_uint handshakes;

	struct mutex locks[SHARD_COUNT];

	/* row n under locks[n] */
	struct limit_address *chains[SHARD_COUNT][CHAIN_COUNT];
};

static unsigned
load(const atomic_uint *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* Take one of `cap` (0: no cap). */
static bool
take(atomic_uint *count, unsigned cap)
{
	unsigned before;

	before = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	if (cap == 0 || before < cap)
		return true;
	atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
	return false;
}

static void
give(atomic_uint *count)
{
	atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

struct limit_process *
limit_process_new(void)
{
	return calloc(1, sizeof(struct limit_process));
}

void
limit_process_free(struct limit_process *process)
{
	free(process);
}

void
limit_process_set_cap(struct limit_process *process, uint32_t cap)
{
	atomic_store_explicit(&process->cap, cap, memory_order_relaxed);
}

uint32_t
limit_process_connections(const struct limit_process *process)
{
	return load(&process->connections);
}

/* Without a secret, a client could choose addresses that share a chain. */
static bool
fill_seed(struct limit *limit)
{
	ssize_t got;

	do
		got = getrandom(limit->seed, sizeof(limit->seed), 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(limit->seed);
}

struct limit *
limit_new(struct limit_process *process)
{
	struct limit *limit = calloc(1, sizeof(*limit));

	if (limit == NULL)
		return NULL;
	if (!fill_seed(limit)) {
		free(limit);
		return NULL;
	}
	limit->process = process;
	atomic_init(&limit->references, 1);
	for (unsigned i = 0; i < SHARD_COUNT; i++)
		mutex_init(&limit->locks[i]);
	return limit;
}

struct limit *
limit_ref(struct limit *limit)
{
	atomic_fetch_add_explicit(&limit->references, 1, memory_order_relaxed);
	return limit;
}

void
limit_unref(struct limit *limit)
{
	if (limit == NULL || atomic_fetch_sub_explicit(&limit->references, 1,
				 memory_order_acq_rel) != 1)
		return;
	/* Connections reference it through their service: no entry is left. */
	for (unsigned i = 0; i < SHARD_COUNT; i++)
		mutex_fini(&limit->locks[i]);
	free(limit);
}

uint32_t
limit_connections(const struct limit *limit)
{
	return load(&limit->connections);
}

enum limit_answer
limit_reserve(struct limit *limit, const struct config_listener *config)
{
	struct limit_process *process = limit->process;

	if (!take(&process->connections, load(&process->cap)))
		return LIMIT_FULL_PROCESS;
	if (!take(&limit->connections, config->max_connections)) {
		give(&process->connections);
		return LIMIT_FULL_LISTENER;
	}
	if (!take(&limit->handshakes, config->max_handshakes)) {
		limit_release(limit);
		return LIMIT_FULL_HANDSHAKES;
	}
	return LIMIT_OK;
}

void
limit_handshake_done(struct limit *limit)
{
	give(&limit->handshakes);
}

void
limit_release(struct limit *limit)
{
	give(&limit->connections);
	give(&limit->process->connections);
}

static bool
contains(const struct config_cidrs *list, const struct addr *peer)
{
	for (size_t i = 0; i < list->count; i++) {
		if (cidr_contains(&list->items[i], peer))
			return true;
	}
	return false;
}

bool
limit_allows(const struct config_listener *config, const struct addr *peer)
{
	if (addr_is_unix(peer))
		return true;
	if (contains(&config->deny, peer))
		return false;
	return config->allow.count == 0 || contains(&config->allow, peer);
}

/*
 * Strongly universal multiply-shift: addresses chosen without the seed share a
 * chain no more often than random ones.
 */
static unsigned
hash(const struct limit *limit, uint64_t network)
{
	unsigned __int128 mixed = limit->seed[0] * network + limit->seed[1];

	return (unsigned)(mixed >> (128 - SHARD_BITS - CHAIN_BITS));
}

/* A client is one IPv4 address or one IPv6 /64: addresses of a /64 are free. */
static void
identify(struct limit_address *entry, const struct limit *limit,
    const struct addr *peer)
{
	unsigned position;

	if (peer->sa.sa_family == AF_INET6) {
		memcpy(&entry->network, &peer->in6.sin6_addr,
		    sizeof(entry->network));
		entry->v6 = true;
	} else {
		entry->network = peer->in.sin_addr.s_addr;
	}
	position = hash(limit, entry->network);
	entry->shard = position >> CHAIN_BITS;
	entry->chain = position & (CHAIN_COUNT - 1);
}

/* The pointer to the entry of that address, or to the end of the chain. */
static struct limit_address **
find_locked(struct limit *limit, const struct limit_address *wanted)
    REQUIRES(limit->locks[wanted->shard])
{
	struct limit_address **at;

	at = &limit->chains[wanted->shard][wanted->chain];
	while (*at != NULL &&
	       ((*at)->network != wanted->network || (*at)->v6 != wanted->v6))
		at = &(*at)->next;
	return at;
}

/* Returns the entry, which may be `fresh`; NULL: the address is full. */
static struct limit_address *
count_in(struct limit *limit, struct limit_address *fresh, uint32_t cap)
{
	struct limit_address **at, *entry;

	mutex_lock(&limit->locks[fresh->shard]);
	at = find_locked(limit, fresh);
	if (*at == NULL)
		*at = fresh;
	entry = *at;
	if (entry->count < cap)
		entry->count++;
	else
		entry = NULL;
	mutex_unlock(&limit->locks[fresh->shard]);
	return entry;
}

bool
limit_trusts(const struct config_listener *config, const struct addr *peer)
{
	return addr_is_unix(peer) || contains(&config->proxy_trust, peer);
}

enum limit_answer
limit_admit(struct limit *limit, const struct config_listener *config,
    const struct addr *peer, struct limit_address **counted)
{
	struct limit_address *fresh, *entry;

	*counted = NULL;
	if (addr_is_unix(peer))
		return LIMIT_OK;
	if (!limit_allows(config, peer))
		return LIMIT_DENIED;
	if (config->per_ip_max == 0)
		return LIMIT_OK;

	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return LIMIT_FULL_ADDRESS;
	identify(fresh, limit, peer);
	entry = count_in(limit, fresh, config->per_ip_max);
	if (entry != fresh)
		free(fresh);
	*counted = entry;
	return entry != NULL ? LIMIT_OK : LIMIT_FULL_ADDRESS;
}

void
limit_forget(struct limit *limit, struct limit_address *counted)
{
	bool last;

	if (counted == NULL)
		return;
	mutex_lock(&limit->locks[counted->shard]);
	last = --counted->count == 0;
	if (last)
		*find_locked(limit, counted) = counted->next;
	mutex_unlock(&limit->locks[counted->shard]);
	if (last)
		free(counted);
}
