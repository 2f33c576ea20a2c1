/*
 * A listener thread keeps an old generation for as many waits as the last
 * events of its sockets may take: this program defines epoll_wait in place of
 * libc's and counts the waits of the thread.  Contents of the mailbox;
 * tests/race/mailbox.c covers simultaneous access.
 */
#include "runtime/loop.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "runtime/generation.h"
#include "tests/support/site.h"

enum {
	LISTENERS = 200,
	EVENTS_PER_WAIT = 64, /* as in loop.c: what libev fetches at least */
	DEADLINE_MS = 20000
};

static atomic_uint waits;

int
epoll_wait(int fd, struct epoll_event *events, int maxevents, int timeout)
{
	atomic_fetch_add(&waits, 1);
	return (int)syscall(
	    SYS_epoll_pwait, fd, events, maxevents, timeout, NULL, (size_t)8);
}

static atomic_uint adopted_at; /* `waits` at the event */
static int event_fd;

static void
on_event(void *arg, enum loop_event event)
{
	const uint64_t one = 1;

	(void)arg;
	if (event != LOOP_ADOPTED)
		return;
	atomic_store(&adopted_at, atomic_load(&waits));
	cr_assert_eq(write(event_fd, &one, sizeof(one)), sizeof(one));
}

static void
await_news(void)
{
	struct pollfd watched = { .fd = event_fd, .events = POLLIN };
	uint64_t count;

	cr_assert_eq(poll(&watched, 1, DEADLINE_MS), 1);
	cr_assert_eq(read(event_fd, &count, sizeof(count)), sizeof(count));
}

static char *
listeners(const char *prefix)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	for (int i = 0; i < LISTENERS; i++)
		fprintf(out,
		    "[listener %s%d]\naccept = unix:%s%d.sock\n"
		    "connect = unix:none.sock\ncert = cert.pem\n"
		    "key = key.pem\n",
		    prefix, i, prefix, i);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static unsigned
adopt(struct loop *loop, struct generation *generation)
{
	unsigned before = atomic_load(&waits);

	loop_adopt(loop, generation);
	await_news();
	return atomic_load(&adopted_at) - before;
}

Test(loop, keeps_the_old_generation_until_its_last_events_are_seen)
{
	char *first = listeners("a"), *second = listeners("b");
	struct generation *old, *fresh;
	struct loop *loop;
	struct site site;

	event_fd = eventfd(0, EFD_CLOEXEC);
	site_open(&site, 1);
	old = site_build(&site, NULL, first, false);
	fresh = site_build(&site, old, second, false);
	cr_assert(old != NULL && fresh != NULL);
	loop = loop_start(0, NULL, on_event, NULL, NULL);
	cr_assert_not_null(loop);
	(void)adopt(loop, old);
	cr_expect_geq(adopt(loop, fresh), 1 + 2 * LISTENERS / EVENTS_PER_WAIT);
	generation_unref(old);
	generation_unref(fresh);
	loop_stop(loop);
	loop_join(loop);
	site_close(&site);
	close(event_fd);
	free(first);
	free(second);
}

/* ---- Mailbox ---- */

static const char text[] = "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
			   "cert = cert.pem\nkey = key.pem\n";

Test(mailbox, returns_each_message_once)
{
	struct mailbox mailbox;
	struct mail mail;

	mailbox_init(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(!mail.generation && !mail.drain && !mail.stop);
	mailbox_put_drain(&mailbox);
	mailbox_put_drain(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(mail.drain && !mail.stop);
	mailbox_put_stop(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(!mail.drain && mail.stop);
	mailbox_fini(&mailbox);
}

Test(mailbox, keeps_the_newest_generation_and_drops_the_rest)
{
	struct site site;
	struct generation *first, *second;
	struct mailbox mailbox;
	struct mail mail;
	char path[128];

	site_open(&site, 1);
	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	first = site_build(&site, NULL, text, false);
	second = site_build(&site, first, text, true);
	mailbox_init(&mailbox);
	mailbox_put_generation(&mailbox, first);
	generation_unref(first); /* the mailbox has the last reference */
	cr_expect_eq(access(path, F_OK), 0);
	mailbox_put_generation(&mailbox, second);
	cr_expect_neq(access(path, F_OK), 0);
	mail = mailbox_fetch(&mailbox);
	cr_expect_eq(mail.generation, second);
	generation_unref(mail.generation);
	generation_unref(second);
	mailbox_fini(&mailbox);
	site_close(&site);
}

Test(mailbox, frees_unfetched_mail)
{
	struct site site;
	struct generation *generation;
	struct mailbox mailbox;
	char path[128];

	site_open(&site, 1);
	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	generation = site_build(&site, NULL, text, false);
	mailbox_init(&mailbox);
	mailbox_put_generation(&mailbox, generation);
	generation_unref(generation);
	mailbox_fini(&mailbox);
	cr_expect_neq(access(path, F_OK), 0);
	site_close(&site);
}
