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

typedef void loop_idle_fn(void *arg);

/*
 * Start thread number `index`.  `on_empty(arg)` is called on the listener
 * thread when it is draining and its last connection has ended, and again
 * never after (main turns it into an ev_async_send of its own).
 */
struct loop *loop_start(unsigned index, struct log *log, loop_idle_fn *on_empty,
    void *arg, struct err *err) MUST_CHECK;

/* Messages; main thread.  The loop takes a reference to the generation. */
void loop_adopt(struct loop *loop, struct generation *generation);
void loop_drain(struct loop *loop); /* stop accepting, report when empty */
void loop_stop(struct loop *loop);  /* end all connections and the thread */

/* Wait for the thread's end after loop_stop and free.  NULL ok. */
void loop_join(struct loop *loop);

/* Connections open now (relaxed; for logs and tests). */
uint64_t loop_connections(const struct loop *loop);

#endif
