/*
 * The thread that writes responses to the store, so that a slow disk delays
 * nobody.  Its queue holds at most one response per certificate, the newest.
 * All but the thread itself: staple thread.
 */
#ifndef STAPLE_WRITER_H
#define STAPLE_WRITER_H

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct staple_response;
struct staple_store;
struct staple_writer;

/* Called on the writer thread when writing begins to fail or works again. */
typedef void staple_writer_fn(void *arg, const char *id, const char *failure);

/* Borrows the store.  `told`: failure NULL means that it works again; each is
 * said once, not per file. */
struct staple_writer *staple_writer_start(struct staple_store *store,
    staple_writer_fn *told, void *arg, struct err *err) MUST_CHECK;

/* Writes what is queued (bounded: two seconds), ends the thread.  NULL ok. */
void staple_writer_stop(struct staple_writer *writer);

/* Queue; takes a reference.  Replaces what is queued under that id.  Without
 * memory the save is skipped: the staple in memory is what counts. */
void staple_writer_save(struct staple_writer *writer, const char *id,
    struct staple_response *response);

#endif
