/*
 * A listener thread: its event loop, its mailbox, its connections.  The main
 * thread talks to it only through the mailbox (a leaf lock around a few
 * fields, then ev_async_send); everything else in here belongs to the thread
 * alone.
 */
#ifndef RUNTIME_LOOP_H
#define RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct generation;
struct log;
struct loop;

enum loop_news {
	LOOP_ADOPTED, /* the newest generation is served, older ones let go */
	LOOP_EMPTY,   /* draining, and the last connection has ended; once */
	LOOP_LOOK_UP  /* a connect failed: see backends_failed */
};

/* Called on the listener thread: main turns it into an ev_async_send. */
typedef void loop_tell_fn(void *arg, enum loop_news news);

/* Start thread number `index`. */
struct loop *loop_start(unsigned index, struct log *log, loop_tell_fn *tell,
    void *arg, struct err *err) MUST_CHECK;

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

#endif
