/*
 * Counters of one listener, by thread.  A listener thread adds to its own block
 * and to no other, so that no cache line is shared and no addition is a locked
 * one; stats_sum adds the blocks up.  The object outlives reloads, as the limits
 * do (generations pass it on, by the listener's name), because a counter must
 * never fall.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "proxy/conn.h"

struct stream_facts;

enum stats_version { STATS_TLS_1_2, STATS_TLS_1_3, STATS_VERSIONS };

/* What a client got with its certificate; resumed handshakes send none and are
 * not counted. */
enum stats_staple {
	STATS_STAPLE_SENT,
	STATS_STAPLE_NOT_ASKED, /* the client sent no status_request */
	STATS_STAPLE_NONE,      /* it sent one, and no staple was held */
	STATS_STAPLE_REFUSED,   /* ...and policy ended the handshake */
	STATS_STAPLES
};

#define STATS_GROUPS 14
#define STATS_BUCKETS 13

/* Plain sums.  Every member is a uint64_t. */
struct stats_counts {
	uint64_t accepted;
	uint64_t closed;
	uint64_t ended[CONN_REASON_COUNT];
	/* ...of these before the handshake was done */
	uint64_t failed[CONN_REASON_COUNT];
	/* done: by version, group, resumed */
	uint64_t handshakes[STATS_VERSIONS][STATS_GROUPS][2];
	/* done, at most so long (stats_bucket_ms); not cumulative */
	uint64_t durations[STATS_BUCKETS + 1];
	uint64_t duration_ms; /* sum, from accept to the end of the handshake */
	uint64_t bytes_in;    /* payload from clients */
	uint64_t bytes_out;   /* payload to clients */
	uint64_t staples[STATS_STAPLES];
};

/* The block of one thread. */
struct stats_block {
	_Alignas(64) struct stats_counts counts;
};

struct stats; /* counted */

/* For `threads` threads.  NULL: no memory. */
struct stats *stats_new(unsigned threads) MUST_CHECK;
struct stats *stats_ref(struct stats *stats);
void stats_unref(struct stats *stats); /* NULL ok */

/* The counts that this thread alone may add to. */
struct stats_counts *stats_of_thread(struct stats *stats, unsigned thread);

/* Add up all threads.  Any thread; the sums of one call may be of slightly
 * different moments. */
void stats_sum(const struct stats *stats, struct stats_counts *sum);

/* Constant texts: "TLSv1.3", "x25519" ("none", "other"), "sent", ... */
const char *stats_version_name(enum stats_version version);
const char *stats_group_name(size_t group);
const char *stats_staple_name(enum stats_staple staple);

/* The upper end of a bucket, in milliseconds. */
uint32_t stats_bucket_ms(size_t bucket);

/* Events of a connection.  The thread of the counts. */
void stats_add_handshake(struct stats_counts *counts,
    const struct stream_facts *facts, uint32_t duration_ms);
void stats_add_end(
    struct stats_counts *counts, enum conn_reason reason, bool handshake_done);
void stats_add_refused(struct stats_counts *counts);
void stats_add_bytes(struct stats_counts *counts, uint64_t in, uint64_t out);
void stats_add_accepted(struct stats_counts *counts);

#endif
