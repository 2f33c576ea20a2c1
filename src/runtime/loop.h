/*
 * A listener thread: its event loop, its mailbox, its connections.  The main
 * thread reaches it only through the mailbox; everything else in here belongs
 * to the thread alone.
 */
#ifndef RUNTIME_LOOP_H
#define RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mutex.h"

struct err;
struct generation;
struct log;
struct loop;

enum loop_event {
	/* the newest generation is served, older ones are released */
	LOOP_ADOPTED,
	LOOP_EMPTY,  /* draining, and the last connection has ended; once */
	LOOP_LOOK_UP /* a connect failed: see backends_failed */
};

/* Called on the listener thread; main turns it into an ev_async_send. */
typedef void loop_event_fn(void *arg, enum loop_event event);

/* Start thread number `index`. */
struct loop *loop_start(unsigned index, struct log *log,
    loop_event_fn *on_event, void *arg, struct err *err) MUST_CHECK;

/*
 * Messages; main thread.  The loop takes a reference to the generation; one
 * that is posted before the last was adopted may replace it.
 */
void loop_adopt(struct loop *loop, struct generation *generation);
void loop_drain(struct loop *loop); /* stop accepting, report when empty */
void loop_stop(struct loop *loop);  /* end all connections and the thread */

/* Wait for the thread's end after loop_stop and free.  NULL ok. */
void loop_join(struct loop *loop);

/* Connections open now (relaxed; for logs and tests). */
uint64_t loop_connections(const struct loop *loop);

/*
 * ---- Mailbox ----
 *
 * What the main thread sends to a listener thread: the newest generation, to
 * drain, to stop.  A generation that was not fetched before the next one came
 * is skipped, because only the newest counts; so nothing is allocated, and
 * posting cannot fail.  The owner wakes the reader.
 */

struct mail {
	struct generation *generation; /* a reference; NULL: nothing new */
	bool drain;
	bool stop;
};

/* Embedded in its owner. */
struct mailbox {
	struct mutex lock;

	/* under lock */
	struct mail mail;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_fini(struct mailbox *mailbox); /* drops unfetched mail */

/* Any thread. */
void mailbox_put_generation(
    struct mailbox *mailbox, struct generation *generation);
void mailbox_put_drain(struct mailbox *mailbox);
void mailbox_put_stop(struct mailbox *mailbox);

/* Everything since the last fetch; the caller owns the generation's reference.
 * Any thread. */
struct mail mailbox_fetch(struct mailbox *mailbox) MUST_CHECK;

#endif
