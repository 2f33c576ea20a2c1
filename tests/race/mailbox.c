/*
 * Listener threads against the main thread: generations come and go, some of
 * them faster than they are fetched, while clients connect; then a drain, then
 * the end.  Clients only connect and close, because the race is about
 * references to sockets, services and configurations, not about connections.
 */
#include <ev.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/thread.h"
#include "runtime/generation.h"
#include "runtime/loop.h"
#include "tests/support/site.h"

#define LOOPS 3
#define CLIENTS 2
#define GENERATIONS 120
#define PATIENCE_MS 30000

/*
 * One socket that stays, one that comes and goes (each time another: the last
 * one may not be closed yet), one port of the kernel's choice.
 */
static void
write_text(char *text, size_t max, unsigned i)
{
	static const char rest[] = "connect = unix:none.sock\n"
				   "cert = cert.pem\nkey = key.pem\n"
				   "backlog = 16\n";

	snprintf(text, max,
	    "[listener a]\naccept = unix:a.sock\ntimeout_idle = %us\n%s"
	    "[listener b]\naccept = unix:b%u.sock\n%s"
	    "[listener c]\naccept = 127.0.0.1:0\n%s",
	    5 + i % 3, rest, i / 2, rest, rest);
}

struct knocker {
	struct thread thread;
	const char *folder;
	atomic_bool stop;
};

static void
need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "race/mailbox: %s\n", what);
	exit(1);
}

static void
knock_once(const char *folder, const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", folder, name);
	/* A refused connect is part of the race. */
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		(void)send(fd, "\x16\x03\x01", 3, MSG_NOSIGNAL);
	close(fd);
}

static void
knock(void *arg)
{
	struct knocker *knocker = arg;

	char name[32];
	unsigned i;

	for (i = 0; !atomic_load(&knocker->stop); i++) {
		knock_once(knocker->folder, "a.sock");
		snprintf(name, sizeof(name), "b%u.sock", i % GENERATIONS / 2);
		knock_once(knocker->folder, name);
	}
}

static void
tell(void *arg, enum loop_event event)
{
	const uint64_t one = 1;

	if (event != LOOP_EMPTY)
		return;
	need(write(*(const int *)arg, &one, sizeof(one)) == sizeof(one),
	    "cannot tell that a loop is empty");
}

/* Until every loop has reported that it is empty. */
static void
wait_for_empty(int event)
{
	struct pollfd watched = { .fd = event, .events = POLLIN };
	uint64_t total = 0, count;

	while (total < LOOPS) {
		need(poll(&watched, 1, PATIENCE_MS) == 1, "no loop is empty");
		need(read(event, &count, sizeof(count)) == sizeof(count),
		    "cannot read the event");
		total += count;
	}
}

static struct generation *
post_generations(struct site *site, struct loop **loops)
{
	struct generation *old = NULL, *fresh;
	char text[1024];
	unsigned i, k;

	for (i = 0; i < GENERATIONS; i++) {
		write_text(text, sizeof(text), i);
		fresh = site_build(site, old, text, false);
		need(fresh != NULL, "a generation cannot be built");
		for (k = 0; k < LOOPS; k++)
			loop_adopt(loops[k], fresh);
		generation_unref(old);
		old = fresh;
	}
	return old;
}

int
main(void)
{
	struct knocker knockers[CLIENTS];
	struct loop *loops[LOOPS];
	struct site site;
	int i, event = eventfd(0, EFD_CLOEXEC);

	need(event >= 0, "no event");
	site_open(&site, LOOPS);
	for (i = 0; i < LOOPS; i++) {
		loops[i] = loop_start((unsigned)i, NULL, tell, &event, NULL);
		need(loops[i] != NULL, "a loop does not start");
	}
	for (i = 0; i < CLIENTS; i++) {
		knockers[i].folder = site.folder.path;
		atomic_init(&knockers[i].stop, false);
		need(thread_start(&knockers[i].thread, "knocker", knock,
			 &knockers[i], NULL),
		    "a client does not start");
	}
	generation_unref(post_generations(&site, loops));
	for (i = 0; i < LOOPS; i++)
		loop_drain(loops[i]);
	wait_for_empty(event);
	for (i = 0; i < LOOPS; i++)
		loop_stop(loops[i]);
	for (i = 0; i < LOOPS; i++)
		loop_join(loops[i]);
	for (i = 0; i < CLIENTS; i++)
		atomic_store(&knockers[i].stop, true);
	for (i = 0; i < CLIENTS; i++)
		thread_join(&knockers[i].thread);
	site_close(&site);
	close(event);
	return 0;
}
