/*
 * The staple thread against handshakes: one thread swaps what is held as fast
 * as it can, among them nothing at all, while others take it, read every byte
 * and let go, and one more looks on as status does.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/thread.h"
#include "staple/cache.h"
#include "staple/response.h"
#include "tests/race/staple_rig.h"
#include "tests/support/authority.h"

enum { TAKERS = 3, FRESH = 800, SWAPS = 20, HOUR = 3600 };

static const struct staple_policy automatic = { .mode = STAPLE_AUTO };

struct taker {
	struct thread thread;
	struct staple_entry *entry;
	int64_t now;
	const atomic_bool *stop;
	unsigned taken, failed;
};

/* Every byte, so that one that is freed too early is noticed. */
static bool
is_whole(const struct staple_response *response)
{
	size_t len;
	const unsigned char *der = staple_response_der(response, &len);
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += der[i];
	return len > 0 && sum > 0;
}

static void
take(void *arg)
{
	struct taker *taker = arg;
	struct staple_response *response;
	enum staple_unsent reason;

	while (!atomic_load(taker->stop)) {
		response = staple_cache_take(
		    taker->entry, &automatic, taker->now, &reason);
		if (response == NULL)
			continue;
		if (!is_whole(response))
			taker->failed++;
		taker->taken++;
		staple_cache_sent(taker->entry);
		staple_response_unref(response);
	}
}

struct looker {
	struct thread thread;
	struct staple_cache *cache;
	const atomic_bool *stop;
};

static void
look(void *arg)
{
	struct looker *looker = arg;
	struct staple_info info;

	while (!atomic_load(looker->stop)) {
		size_t count = 0;
		struct staple_entry **list = staple_cache_list(
		    looker->cache, &count);

		need(list != NULL && count == 1, "the entry is not listed");
		staple_cache_read(list[0], 0, &info);
		staple_entry_unref(list[0]);
		free(list);
	}
}

/* Fresh responses, whose only reference is the cache's; each is published
 * more than once, and at last taken away. */
static void
swap(struct staple_entry *entry, const struct staple_cert *cert,
    const struct ocsp_made *made, int64_t now)
{
	const struct staple_clock clock = { now, HOUR };
	struct staple_progress progress = { .settled = true };
	struct staple_result verdict;
	struct staple_response *fresh;

	for (int i = 0; i < FRESH; i++) {
		fresh = staple_response_verify(
		    cert, made->der, made->len, &clock, &verdict);
		need(fresh != NULL, verdict.said.text);
		staple_cache_publish(entry, fresh);
		staple_response_unref(fresh);
		for (int k = 0; k < SWAPS; k++) {
			fresh = staple_cache_response(entry);
			staple_cache_publish(entry, fresh);
			staple_response_unref(fresh);
			progress.failures++;
			staple_cache_set_progress(entry, &progress);
		}
		if (i % 2 == 0)
			staple_cache_publish(entry, NULL);
	}
}

static unsigned
race(struct staple_cache *cache, struct staple_cert *cert,
    const struct ocsp_made *made, int64_t now)
{
	struct staple_entry *entry = staple_cache_hold(
	    cache, cert, STAPLE_REQUIRE_FATAL);
	struct taker takers[TAKERS];
	atomic_bool stop = false;
	struct looker looker = { .cache = cache, .stop = &stop };
	unsigned taken = 0;

	need(entry != NULL, "no entry");
	for (int i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){
			.entry = entry, .now = now, .stop = &stop
		};
		need(thread_start(
			 &takers[i].thread, "taker", take, &takers[i], NULL),
		    "a thread does not start");
	}
	need(thread_start(&looker.thread, "looker", look, &looker, NULL),
	    "a thread does not start");
	swap(entry, cert, made, now);
	atomic_store(&stop, true);
	thread_join(&looker.thread);
	for (int i = 0; i < TAKERS; i++) {
		thread_join(&takers[i].thread);
		need(takers[i].failed == 0, "a response was not whole");
		taken += takers[i].taken;
	}
	staple_cache_release(entry, STAPLE_REQUIRE_FATAL);
	return taken;
}

int
main(void)
{
	const int64_t now = time(NULL);
	struct staple_cache *cache = staple_cache_new();
	struct authority authority;
	struct ocsp_made made;
	struct staple_cert *cert;
	unsigned taken;
	struct pki leaf;

	need(cache != NULL, "no cache");
	authority_make(&authority);
	leaf = authority_issue(
	    &authority, &(struct pki_wish){ .feature = "status_request" });
	cert = authority_facts(&authority, &leaf, NULL);
	made = authority_answer(&authority, &leaf,
	    &(struct ocsp_wish){
		.this_update = now - HOUR, .next_update = now + HOUR });
	taken = race(cache, cert, &made, now);
	staple_cache_close(cache);
	staple_cache_unref(cache);
	staple_cert_unref(cert);
	ocsp_drop(&made);
	pki_drop(&leaf);
	authority_drop(&authority);
	printf("staple_publish: %u taken\n", taken);
	return taken > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
