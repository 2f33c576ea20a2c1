/*
 * Counters of one listener.  Listener threads add, each to a block of its own;
 * any thread sums.
 *
 * An addition is a relaxed load and store, not an atomic addition: each block
 * has one writer.  Names of groups are looked up once for each handshake, in a
 * table of fourteen, which takes less than a thousandth of it.
 */
#include "proxy/stats.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tls/stream.h"

struct stats {
	atomic_uint references;
	unsigned threads;
	struct stats_block *blocks;
};

/* OpenSSL's names; the first is for handshakes without a key exchange (TLS 1.2
 * resumed, or with RSA), the last for all others. */
static const char *const groups[STATS_GROUPS] = { "none", "x25519", "secp256r1",
	"X25519MLKEM768", "secp384r1", "secp521r1", "x448", "SecP256r1MLKEM768",
	"SecP384r1MLKEM1024", "ffdhe2048", "ffdhe3072", "ffdhe4096",
	"brainpoolP256r1", "other" };

static const uint32_t buckets[STATS_BUCKETS] = { 1, 2, 5, 10, 20, 50, 100, 200,
	500, 1000, 2000, 5000, 10000 };

struct stats *
stats_new(unsigned threads)
{
	struct stats *stats = calloc(1, sizeof(*stats));

	if (stats == NULL)
		return NULL;
	stats->blocks = aligned_alloc(
	    _Alignof(struct stats_block), threads * sizeof(stats->blocks[0]));
	if (stats->blocks == NULL) {
		free(stats);
		return NULL;
	}
	memset(stats->blocks, 0, threads * sizeof(stats->blocks[0]));
	stats->threads = threads;
	atomic_init(&stats->references, 1);
	return stats;
}

struct stats *
stats_ref(struct stats *stats)
{
	atomic_fetch_add_explicit(&stats->references, 1, memory_order_relaxed);
	return stats;
}

void
stats_unref(struct stats *stats)
{
	if (stats == NULL || atomic_fetch_sub_explicit(&stats->references, 1,
				 memory_order_acq_rel) > 1)
		return;
	free(stats->blocks);
	free(stats);
}

struct stats_counts *
stats_of_thread(struct stats *stats, unsigned thread)
{
	return &stats->blocks[thread].counts;
}

void
stats_sum(const struct stats *stats, struct stats_counts *sum)
{
	uint64_t *to = (uint64_t *)sum;

	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < stats->threads; i++) {
		const uint64_t *from =
		    (const uint64_t *)&stats->blocks[i].counts;

		for (size_t k = 0; k < sizeof(*sum) / sizeof(to[0]); k++)
			to[k] += __atomic_load_n(&from[k], __ATOMIC_RELAXED);
	}
}

const char *
stats_version_name(enum stats_version version)
{
	return version == STATS_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}

const char *
stats_group_name(size_t group)
{
	return groups[group];
}

const char *
stats_staple_name(enum stats_staple staple)
{
	static const char *const names[STATS_STAPLES] = {
		[STATS_STAPLE_SENT] = "sent",
		[STATS_STAPLE_NOT_ASKED] = "not_asked",
		[STATS_STAPLE_NONE] = "none",
		[STATS_STAPLE_REFUSED] = "refused",
	};

	return names[staple];
}

uint32_t
stats_bucket_ms(size_t bucket)
{
	return buckets[bucket];
}

static void
add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static size_t
find_group(const char *name)
{
	size_t i;

	if (name == NULL)
		return 0;
	for (i = 1; i < STATS_GROUPS - 1; i++)
		if (strcasecmp(groups[i], name) == 0)
			break;
	return i;
}

static size_t
find_bucket(uint32_t duration_ms)
{
	size_t i;

	for (i = 0; i < STATS_BUCKETS && duration_ms > buckets[i]; i++)
		;
	return i;
}

static enum stats_staple
staple_of(const struct stream_facts *facts)
{
	if (facts->stapled)
		return STATS_STAPLE_SENT;
	return facts->status_requested ? STATS_STAPLE_NONE
				       : STATS_STAPLE_NOT_ASKED;
}

void
stats_add_handshake(struct stats_counts *counts,
    const struct stream_facts *facts, uint32_t duration_ms)
{
	enum stats_version version = strcmp(facts->version, "TLSv1.3") == 0
					 ? STATS_TLS_1_3
					 : STATS_TLS_1_2;

	add(&counts->handshakes[version][find_group(facts->group)]
			       [facts->resumed],
	    1);
	add(&counts->durations[find_bucket(duration_ms)], 1);
	add(&counts->duration_ms, duration_ms);
	if (!facts->resumed)
		add(&counts->staples[staple_of(facts)], 1);
}

void
stats_add_end(
    struct stats_counts *counts, enum conn_reason reason, bool handshake_done)
{
	add(&counts->ended[reason], 1);
	add(&counts->closed, 1);
	if (!handshake_done)
		add(&counts->failed[reason], 1);
}

void
stats_add_refused(struct stats_counts *counts)
{
	add(&counts->staples[STATS_STAPLE_REFUSED], 1);
}

void
stats_add_bytes(struct stats_counts *counts, uint64_t in, uint64_t out)
{
	if (in > 0)
		add(&counts->bytes_in, in);
	if (out > 0)
		add(&counts->bytes_out, out);
}

void
stats_add_accepted(struct stats_counts *counts)
{
	add(&counts->accepted, 1);
}
