/* The staple thread itself, with real clocks, sockets and files: that it is
 * woken, that it saves, that it stops at once.  What it decides is tested on
 * the stage. */
#include <criterion/criterion.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/cache.h"
#include "staple/settings.h"
#include "staple/worker.h"
#include "tests/support/authority.h"
#include "tests/support/responder.h"

enum { PATIENCE_MS = 20 * 1000, ANSWER_MAX = 4096 };

#define HEAD                                          \
	"HTTP/1.1 200 OK\r\n"                         \
	"Content-Type: application/ocsp-response\r\n" \
	"Connection: close\r\n\r\n"

struct fixture {
	struct authority authority;
	struct responder *responder;
	struct pki leaf;
	struct staple_cert *cert;
	struct staple_cache *cache;
	struct staple_entry *entry;
	struct staple_worker *worker;
	struct pki_folder folder;
	char file[256], locks[256], subfolder[128];
	char answer[ANSWER_MAX];
	struct responder_act act;
	const char *awaited; /* words; fixed before the thread starts */
	sem_t heard;
};

static struct fixture fixture;

static void
on_log(void *arg, const struct staple_event *event)
{
	struct fixture *listening = arg;

	if (listening->awaited != NULL &&
	    strstr(event->message, listening->awaited) != NULL)
		sem_post(&listening->heard);
}

static bool
hears(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	return sem_timedwait(&fixture.heard, &until) == 0;
}

static void
prepare_answer(void)
{
	int64_t now = clock_wall_ms() / 1000;
	const struct ocsp_wish wish = { .this_update = now - 60,
		.next_update = now + 3600 };
	struct ocsp_made made = authority_answer(
	    &fixture.authority, &fixture.leaf, &wish);
	size_t head = strlen(HEAD);

	cr_assert_leq(head + made.len, sizeof(fixture.answer));
	memcpy(fixture.answer, HEAD, head);
	memcpy(fixture.answer + head, made.der, made.len);
	fixture.act = (struct responder_act){ .bytes = fixture.answer,
		.len = head + made.len };
	ocsp_drop(&made);
}

static void
watch(void)
{
	char *url = responder_url(fixture.responder, "/");
	char aia[128];
	struct pki_wish wish = { .name = "site.example", .aia = aia };

	snprintf(aia, sizeof(aia), "OCSP;URI:%s", url);
	free(url);
	fixture.leaf = authority_issue(&fixture.authority, &wish);
	fixture.cert = authority_facts(&fixture.authority, &fixture.leaf, NULL);
	snprintf(fixture.subfolder, sizeof(fixture.subfolder), "%s/ocsp",
	    fixture.folder.path);
	snprintf(fixture.file, sizeof(fixture.file), "%s/%s", fixture.subfolder,
	    fixture.cert->id);
	snprintf(fixture.locks, sizeof(fixture.locks), "%s/.lock",
	    fixture.subfolder);
}

static void
set_up(void)
{
	struct staple_options options = { .log = on_log, .arg = &fixture };
	struct staple_settings *settings;
	struct err err;

	memset(&fixture, 0, sizeof(fixture));
	sem_init(&fixture.heard, 0, 0);
	pki_folder_make(&fixture.folder);
	options.store_dir = fixture.folder.path;
	authority_make(&fixture.authority);
	fixture.responder = responder_start(NULL);
	watch();
	prepare_answer();
	settings = staple_settings_new(&options);
	fixture.cache = staple_cache_new();
	cr_assert(settings != NULL && fixture.cache != NULL);
	fixture.worker = staple_worker_new(fixture.cache, settings, &err);
	cr_assert_not_null(fixture.worker, "%s", err.text);
	staple_settings_unref(settings);
}

static void
tear_down(void)
{
	staple_worker_free(fixture.worker);
	if (fixture.entry != NULL)
		staple_cache_release(fixture.entry, STAPLE_REQUIRE_WANTED);
	staple_cache_close(fixture.cache);
	staple_cache_unref(fixture.cache);
	responder_stop(fixture.responder);
	staple_cert_unref(fixture.cert);
	pki_drop(&fixture.leaf);
	authority_drop(&fixture.authority);
	(void)unlink(fixture.file);
	(void)unlink(fixture.locks);
	(void)rmdir(fixture.subfolder);
	pki_folder_remove(&fixture.folder);
	sem_destroy(&fixture.heard);
}

TestSuite(worker_thread, .init = set_up, .fini = tear_down, .timeout = 60);

static void
start(void)
{
	struct err err;

	cr_assert(staple_worker_start(fixture.worker, &err), "%s", err.text);
}

static void
enter(void)
{
	responder_play(fixture.responder, &fixture.act, 1);
	fixture.entry = staple_cache_hold(
	    fixture.cache, fixture.cert, STAPLE_REQUIRE_WANTED);
	cr_assert_not_null(fixture.entry);
	staple_worker_wake(fixture.worker);
}

static bool
settles(void)
{
	return staple_cache_wait(fixture.cache, clock_mono_ms() + PATIENCE_MS);
}

/* The limit is that of the suite. */
static void
wait_for_requests(unsigned count)
{
	while (responder_requests(fixture.responder) < count)
		sched_yield();
}

static struct staple_info
look(void)
{
	struct staple_info info;

	staple_cache_read(fixture.entry, clock_wall_ms() / 1000, &info);
	return info;
}

/* The thread sleeps up to a minute; the test is patient for less. */
Test(worker_thread, is_woken_by_a_new_certificate)
{
	start();
	cr_assert(settles(), "nobody to wait for");
	enter();
	cr_assert(settles());
	cr_assert(look().held, "%s", look().said);
}

Test(worker_thread, takes_over_what_was_there_before_it_started)
{
	enter();
	start();
	cr_assert(settles());
	cr_assert(look().held, "%s", look().said);
}

Test(worker_thread, has_saved_what_it_holds_when_it_has_stopped)
{
	enter();
	start();
	cr_assert(settles());
	staple_worker_free(fixture.worker);
	fixture.worker = NULL;
	cr_assert_eq(access(fixture.file, R_OK), 0);
}

Test(worker_thread, staples_what_it_cannot_save_and_logs_it)
{
	fixture.awaited = "saving responses failed";
	cr_assert_eq(rmdir(fixture.subfolder), 0);
	enter();
	start();
	cr_assert(settles());
	cr_assert(look().held);
	cr_assert(hears());
}

Test(worker_thread, fetches_again_on_demand)
{
	enter();
	start();
	cr_assert(settles());
	cr_assert_eq(responder_requests(fixture.responder), 1);
	staple_worker_refresh(fixture.worker);
	wait_for_requests(2);
}

Test(worker_thread, stops_at_once_while_a_responder_hangs)
{
	int64_t began;

	fixture.act = (struct responder_act){ .bytes = "HTTP/1.1 ",
		.end = RESPONDER_HANGS };
	enter();
	start();
	wait_for_requests(1);
	began = clock_mono_ms();
	staple_worker_free(fixture.worker);
	fixture.worker = NULL;
	cr_assert_lt(clock_mono_ms() - began, 1000, "not with the timeout");
}

Test(worker_thread, need_not_be_started)
{
	enter();
	cr_assert_eq(responder_connections(fixture.responder), 0);
}
