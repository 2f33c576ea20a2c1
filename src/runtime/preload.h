/*
 * Many certificates read at once, by as many threads as there are processors:
 * a start with a thousand of them spends most of its time in decoding.  The
 * threads are gone when preload_run returns.  Main thread.
 */
#ifndef RUNTIME_PRELOAD_H
#define RUNTIME_PRELOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct credential;
struct credential_key;
struct identity;

struct preload_item {
	struct credential *credential; /* with the stamps of before */
	struct identity *identity;     /* NULL: error says why */
	char *warning;                 /* NULL: none */
	char *error;
};

struct preload {
	struct preload_item *items; /* in the order of the ids */
	size_t count;
	atomic_size_t next;
};

/* Fewer are read one by one, without threads. */
#define PRELOAD_LEAST 64

/* Read the files of all ids.  false: no memory; then nothing was read.  Free
 * in every case. */
bool preload_run(struct preload *preload, const struct credential_key *ids,
    size_t count) MUST_CHECK;
void preload_free(struct preload *preload); /* a zeroed one is fine */

#endif
