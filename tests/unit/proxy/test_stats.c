/*
 * Counters of a listener: what each event adds, and the sum over threads.
 */
#include "proxy/stats.h"

#include <string.h>

#include <criterion/criterion.h>

#include "tls/stream.h"

static struct stats *stats;
static struct stats_counts sum;

static void
begin(void)
{
	stats = stats_new(3);
	cr_assert_not_null(stats);
}

static void
end(void)
{
	stats_unref(stats);
}

TestSuite(stats, .init = begin, .fini = end);

Test(stats, sums_the_threads)
{
	for (unsigned i = 0; i < 3; i++) {
		stats_add_bytes(stats_of_thread(stats, i), 1, 10 * i);
		stats_add_accepted(stats_of_thread(stats, i));
	}
	stats_sum(stats, &sum);
	cr_expect_eq(sum.bytes_in, 3);
	cr_expect_eq(sum.bytes_out, 30);
	cr_expect_eq(sum.accepted, 3);
}

Test(stats, counts_handshakes_by_version_group_and_resumption)
{
	static const struct {
		const char *version, *group;
		bool resumed;
		enum stats_version expect_version;
		const char *expect_group;
	} rows[] = {
		{ "TLSv1.3", "x25519", false, STATS_TLS_1_3, "x25519" },
		{ "TLSv1.3", "X25519", true, STATS_TLS_1_3, "x25519" },
		{ "TLSv1.3", "X25519MLKEM768", false, STATS_TLS_1_3,
		    "X25519MLKEM768" },
		{ "TLSv1.2", NULL, true, STATS_TLS_1_2, "none" },
		{ "TLSv1.2", "a group of tomorrow", false, STATS_TLS_1_2,
		    "other" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct stream_facts facts = { .version = rows[i].version,
			.group = rows[i].group,
			.resumed = rows[i].resumed };
		uint64_t found = 0;

		stats_add_handshake(stats_of_thread(stats, 0), &facts, 1);
		stats_sum(stats, &sum);
		for (size_t g = 0; g < STATS_GROUPS; g++)
			if (strcmp(stats_group_name(g), rows[i].expect_group) ==
			    0)
				found = sum.handshakes[rows[i].expect_version]
						      [g][rows[i].resumed];
		cr_expect_eq(found, 1, "row %zu", i);
	}
}

Test(stats, counts_what_clients_got_in_full_handshakes)
{
	static const struct {
		bool resumed, requested, stapled;
		int expect; /* -1: none */
	} rows[] = {
		{ false, true, true, STATS_STAPLE_SENT },
		{ false, true, false, STATS_STAPLE_NONE },
		{ false, false, false, STATS_STAPLE_NOT_ASKED },
		{ true, true, false, -1 },
		{ true, false, false, -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct stream_facts facts = { .version = "TLSv1.3",
			.resumed = rows[i].resumed,
			.status_requested = rows[i].requested,
			.stapled = rows[i].stapled };
		struct stats_counts counts = { 0 };

		stats_add_handshake(&counts, &facts, 1);
		for (int k = 0; k < STATS_STAPLES; k++)
			cr_expect_eq(counts.staples[k], k == rows[i].expect,
			    "row %zu, outcome %d", i, k);
	}
}

Test(stats, puts_a_duration_in_its_bucket)
{
	static const struct {
		uint32_t ms;
		size_t bucket;
	} rows[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 2 }, { 10000, 12 },
		{ 10001, 13 } };
	const struct stream_facts facts = { .version = "TLSv1.3" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stats_counts counts = { 0 };

		stats_add_handshake(&counts, &facts, rows[i].ms);
		cr_expect_eq(
		    counts.durations[rows[i].bucket], 1, "%u ms", rows[i].ms);
		cr_expect_eq(counts.duration_ms, rows[i].ms);
	}
}

Test(stats, tells_ends_before_and_after_the_handshake_apart)
{
	struct stats_counts counts = { 0 };

	stats_add_end(&counts, CONN_DONE, true);
	stats_add_end(&counts, CONN_CLIENT_GONE, false);
	cr_expect_eq(counts.ended[CONN_DONE], 1);
	cr_expect_eq(counts.failed[CONN_DONE], 0);
	cr_expect_eq(counts.ended[CONN_CLIENT_GONE], 1);
	cr_expect_eq(counts.failed[CONN_CLIENT_GONE], 1);
	cr_expect_eq(counts.closed, 2);
}
