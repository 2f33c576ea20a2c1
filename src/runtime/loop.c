/*
 * A listener thread: its event loop, its mailbox, its connections.  The main
 * thread calls loop_start(), loop_join() and the three messages; everything
 * else runs on the thread itself.
 *
 * A new generation is adopted between two events: sockets that stay keep their
 * acceptor (and thereby their queue), the queues of removed sockets are
 * emptied first, and only then the old generation is released.  The mailbox is
 * one lock around three fields; references are released after the lock,
 * because the last one of a generation closes sockets.
 */
#include "runtime/loop.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "proxy/acceptor.h"
#include "proxy/conn.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/generation.h"

/* ---- Mailbox ---- */

void
mailbox_init(struct mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mutex_init(&mailbox->lock);
}

void
mailbox_fini(struct mailbox *mailbox)
{
	generation_unref(mailbox->mail.generation);
	mailbox->mail.generation = NULL;
	mutex_fini(&mailbox->lock);
}

void
mailbox_put_generation(struct mailbox *mailbox, struct generation *generation)
{
	struct generation *skipped;

	generation_ref(generation);
	mutex_lock(&mailbox->lock);
	skipped = mailbox->mail.generation;
	mailbox->mail.generation = generation;
	mutex_unlock(&mailbox->lock);
	generation_unref(skipped);
}

void
mailbox_put_drain(struct mailbox *mailbox)
{
	mutex_lock(&mailbox->lock);
	mailbox->mail.drain = true;
	mutex_unlock(&mailbox->lock);
}

void
mailbox_put_stop(struct mailbox *mailbox)
{
	mutex_lock(&mailbox->lock);
	mailbox->mail.stop = true;
	mutex_unlock(&mailbox->lock);
}

struct mail
mailbox_fetch(struct mailbox *mailbox)
{
	struct mail mail;

	mutex_lock(&mailbox->lock);
	mail = mailbox->mail;
	memset(&mailbox->mail, 0, sizeof(mailbox->mail));
	mutex_unlock(&mailbox->lock);
	return mail;
}

/* ---- Loop ---- */

/* Keeps the connection ids of threads apart; with 256 threads they stay below
 * 2^53, which every reader of JSON gets exactly. */
#define IDS_PER_THREAD_SHIFT 44

#define EVENTS_PER_WAIT 64 /* that libev fetches at least, if there are more */

struct loop {
	/* fixed at creation */
	unsigned index;
	struct log *log;
	loop_event_fn *on_event;
	void *arg;
	struct ev_loop *ev;

	/* main thread only */
	struct thread thread;

	/* any thread; each guards itself */
	struct mailbox mailbox;
	struct ev_async wake;

	/* this thread only */
	struct generation *generation;
	struct generation *retired; /* released after `waits` more waits */
	size_t waits;  /* of the loop, until `retired` is released */
	bool adopting; /* LOOP_ADOPTED is due */
	struct acceptor *
	    *acceptors; /* one per socket; NULL: no memory for it */
	size_t acceptor_count;
	struct conn_set set;
	struct ev_prepare prepare;
	bool draining;
	bool empty_reported;
};

/*
 * Free those that are left.  A socket that is open in another process, too,
 * stays in the kernel's set of this loop after it has been closed here: its
 * events would be taken for those of the next descriptor with that number.  The
 * loop gets a new set before the generation is released, as after a fork.
 */
static void
free_acceptors(struct loop *loop, bool empty)
{
	bool outlives = false;
	struct acceptor *acceptor;
	size_t i;

	for (i = 0; i < loop->acceptor_count; i++) {
		acceptor = loop->acceptors[i];
		if (acceptor == NULL)
			continue;
		outlives |= listener_is_open_elsewhere(
		    acceptor_listener(acceptor));
		acceptor_free(acceptor, empty);
	}
	free(loop->acceptors);
	if (outlives)
		ev_loop_fork(loop->ev);
}

/* Take the acceptor of that socket out of the array; NULL: none. */
static struct acceptor *
take_acceptor(struct loop *loop, const struct listener *listener)
{
	struct acceptor *acceptor;
	size_t i;

	for (i = 0; i < loop->acceptor_count; i++) {
		acceptor = loop->acceptors[i];
		if (acceptor && acceptor_listener(acceptor) == listener) {
			loop->acceptors[i] = NULL;
			return acceptor;
		}
	}
	return NULL;
}

static struct acceptor *
serve_socket(struct loop *loop, const struct listen_socket *socket)
{
	struct acceptor *acceptor = take_acceptor(loop, socket->listener);

	if (acceptor) {
		acceptor_serve(acceptor, socket->service);
		return acceptor;
	}
	acceptor = acceptor_new(
	    socket->listener, loop->index, socket->service, &loop->set);
	if (acceptor == NULL)
		log_error(loop->log, "loop",
		    "out of memory: a thread does not accept",
		    LOG_S("listener", socket->service->listener->name),
		    LOG_N("thread", loop->index));
	return acceptor;
}

/*
 * Release the generation, but only when the loop has waited for the last event
 * of each of its sockets.  libev forgets a descriptor lazily, at the event that
 * a refusing socket raises, and the last holder, perhaps another thread, closes
 * it.  Other events may precede that one in the kernel's queue: of the sockets,
 * old and new, of both ends of every connection, and of the error set.
 */
static void
retire(struct loop *loop, size_t sockets)
{
	size_t descriptors = sockets + 2 * (size_t)loop->set.count + 1;

	loop->waits = 1 + descriptors / EVENTS_PER_WAIT;
	generation_unref(loop->retired);
	loop->retired = loop->generation;
	loop->generation = NULL;
	ev_async_send(loop->ev, &loop->wake);
}

/* Takes the reference. */
static void
adopt(struct loop *loop, struct generation *generation)
{
	size_t i, count = generation_socket_count(generation);
	struct acceptor **acceptors = calloc(count + 1, sizeof(acceptors[0]));

	if (acceptors == NULL) {
		log_error(loop->log, "loop",
		    "out of memory: a thread keeps the old configuration",
		    LOG_N("thread", loop->index));
		generation_unref(generation);
		loop->adopting = true; /* or main would wait for ever */
		return;
	}
	for (i = 0; i < count; i++)
		acceptors[i] = serve_socket(
		    loop, generation_socket(generation, i));
	free_acceptors(loop, true);
	retire(loop, loop->acceptor_count + count);
	loop->acceptors = acceptors;
	loop->acceptor_count = count;
	loop->generation = generation;
	loop->adopting = true;
}

/* The sockets close with the generation, so that another process gets the
 * clients that come from now on, or they are refused. */
static void
stop_accepting(struct loop *loop, bool empty)
{
	free_acceptors(loop, empty);
	retire(loop, loop->acceptor_count);
	loop->acceptors = NULL;
	loop->acceptor_count = 0;
}

static void
let_go(struct loop *loop)
{
	loop->waits = 0;
	generation_unref(loop->retired);
	loop->retired = NULL;
	if (loop->adopting) {
		loop->adopting = false;
		loop->on_event(loop->arg, LOOP_ADOPTED);
	}
}

/* One generation at a time is released: later messages wait. */
static void
put_off(struct loop *loop, const struct mail *mail)
{
	if (mail->drain)
		mailbox_put_drain(&loop->mailbox);
	if (mail->stop)
		mailbox_put_stop(&loop->mailbox);
	ev_async_send(loop->ev, &loop->wake);
}

static void
on_wake(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct loop *loop = watcher->data;
	struct mail mail;

	(void)events;
	/* Leave the mail: another retired generation would replace the one that
	 * still waits. */
	if (loop->waits > 1) {
		loop->waits--;
		ev_async_send(ev, &loop->wake);
		return;
	}
	mail = mailbox_fetch(&loop->mailbox);
	let_go(loop);
	if (mail.generation) {
		adopt(loop, mail.generation);
		put_off(loop, &mail);
		return;
	}
	if (mail.drain) {
		loop->draining = true;
		stop_accepting(loop, true);
	}
	if (mail.stop) {
		stop_accepting(loop, false);
		conn_set_close_all(&loop->set, CONN_DRAINED);
		ev_break(ev, EVBREAK_ALL);
	}
}

/* Before each wait: what the last events made possible. */
static void
on_prepare(struct ev_loop *ev, struct ev_prepare *watcher, int events)
{
	struct loop *loop = watcher->data;
	size_t i;

	(void)ev;
	(void)events;
	if (loop->set.room) {
		loop->set.room = false;
		for (i = 0; i < loop->acceptor_count; i++)
			if (loop->acceptors[i])
				acceptor_resume(loop->acceptors[i]);
	}
	if (loop->set.look_up) {
		loop->set.look_up = false;
		loop->on_event(loop->arg, LOOP_LOOK_UP);
	}
	if (loop->draining && !loop->empty_reported && loop->set.count == 0) {
		loop->empty_reported = true;
		loop->on_event(loop->arg, LOOP_EMPTY);
	}
}

static void
run(void *arg)
{
	struct loop *loop = arg;

	ev_run(loop->ev, 0);
}

static void
free_loop(struct loop *loop)
{
	if (loop->ev) {
		ev_prepare_stop(loop->ev, &loop->prepare);
		ev_async_stop(loop->ev, &loop->wake);
		ev_loop_destroy(loop->ev);
	}
	generation_unref(loop->retired);
	mailbox_fini(&loop->mailbox);
	free(loop);
}

static void
watch(struct loop *loop)
{
	ev_async_init(&loop->wake, on_wake);
	loop->wake.data = loop;
	ev_async_start(loop->ev, &loop->wake);
	ev_prepare_init(&loop->prepare, on_prepare);
	loop->prepare.data = loop;
	ev_prepare_start(loop->ev, &loop->prepare);
}

struct loop *
loop_start(unsigned index, struct log *log, loop_event_fn *on_event, void *arg,
    struct err *err)
{
	const uint64_t first_id = ((uint64_t)index << IDS_PER_THREAD_SHIFT) + 1;
	struct loop *loop = calloc(1, sizeof(*loop));
	char name[16];

	if (loop == NULL)
		goto no_memory;
	loop->index = index;
	loop->log = log;
	loop->on_event = on_event;
	loop->arg = arg;
	mailbox_init(&loop->mailbox);
	/* Signals belong to the main thread: this loop must not touch masks. */
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
	if (loop->ev == NULL ||
	    !conn_set_init(&loop->set, loop->ev, log, first_id)) {
		free_loop(loop);
		goto no_memory;
	}
	loop->set.thread = index;
	watch(loop);
	snprintf(name, sizeof(name), "listener %u", index);
	if (!thread_start(&loop->thread, name, run, loop, err)) {
		conn_set_fini(&loop->set);
		free_loop(loop);
		return NULL;
	}
	return loop;

no_memory:
	err_set(err, "out of memory for listener thread %u", index);
	return NULL;
}

void
loop_adopt(struct loop *loop, struct generation *generation)
{
	mailbox_put_generation(&loop->mailbox, generation);
	ev_async_send(loop->ev, &loop->wake);
}

void
loop_drain(struct loop *loop)
{
	mailbox_put_drain(&loop->mailbox);
	ev_async_send(loop->ev, &loop->wake);
}

void
loop_stop(struct loop *loop)
{
	mailbox_put_stop(&loop->mailbox);
	ev_async_send(loop->ev, &loop->wake);
}

void
loop_join(struct loop *loop)
{
	if (loop == NULL)
		return;
	thread_join(&loop->thread);
	conn_set_fini(&loop->set);
	free_loop(loop);
}

uint64_t
loop_connections(const struct loop *loop)
{
	return conn_set_counter(&loop->set.count);
}
