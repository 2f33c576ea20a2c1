/*
 * staple_free during fetches: the responder accepts every connection and sends
 * nothing.  Freeing must not wait for it, and nothing may leak, at any point of
 * the fetches.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "staple/staple.h"
#include "tests/race/staple_rig.h"
#include "tests/support/authority.h"

enum {
	ROUNDS = 8,
	LEAVES = 6,
	PATIENCE_MS = 20000,
	TIMEOUT_MS = 60000, /* of a fetch: staple_free would be noticed */
	FREE_MS = 20000
};

static const struct staple_policy always = { .mode = STAPLE_ALWAYS };

/* Until a connection comes; then hang. */
static int
take_one(int responder)
{
	struct pollfd watched = { .fd = responder, .events = POLLIN };
	int fd;

	need(poll(&watched, 1, PATIENCE_MS) == 1, "nobody is asked");
	fd = accept4(responder, NULL, NULL, SOCK_CLOEXEC);
	need(fd >= 0, "cannot accept");
	return fd;
}

/* Let a few be taken, so that fetches are in every stage, then end it. */
static void
run_round(const struct authority *authority, const struct pki *leaves,
    int responder, const char *url, int taken)
{
	const char *const urls[] = { url };
	const struct staple_source source = { .urls = urls, .url_count = 1 };
	const struct staple_options options = { .timeout_ms = TIMEOUT_MS };
	struct staple *staple = staple_new(&options, NULL, 0);
	int held[LEAVES];
	int64_t begun;

	need(staple != NULL, "staple_new fails");
	for (int i = 0; i < LEAVES; i++)
		need(staple_watch(staple, leaves[i].certificate,
			 authority->chain, &source, &always, NULL, 0),
		    "staple_watch fails");
	need(staple_start(staple, NULL, 0), "staple_start fails");
	for (int i = 0; i < taken; i++)
		held[i] = take_one(responder);
	begun = clock_mono_ms();
	staple_free(staple);
	need(clock_mono_ms() - begun < FREE_MS, "staple_free waits");
	for (int i = 0; i < taken; i++)
		close(held[i]);
}

/* What the round before left in the queue. */
static void
empty_queue(int responder)
{
	struct pollfd watched = { .fd = responder, .events = POLLIN };

	while (poll(&watched, 1, 0) == 1)
		close(accept4(responder, NULL, NULL, SOCK_CLOEXEC));
}

int
main(void)
{
	struct pki leaves[LEAVES];
	struct authority authority;
	char url[64];
	int responder = rig_port(true, url, sizeof(url));

	authority_make(&authority);
	for (int i = 0; i < LEAVES; i++)
		leaves[i] = authority_issue(
		    &authority, &(struct pki_wish){ .name = "a.example" });
	for (int i = 0; i < ROUNDS; i++) {
		run_round(&authority, leaves, responder, url, i % 4);
		empty_queue(responder);
	}
	for (int i = 0; i < LEAVES; i++)
		pki_drop(&leaves[i]);
	authority_drop(&authority);
	close(responder);
	return EXIT_SUCCESS;
}
