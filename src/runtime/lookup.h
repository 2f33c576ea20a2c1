/*
 * One name, one helper thread: getaddrinfo blocks for as long as the name
 * server pleases, so it runs where nobody waits.  Answers come back through
 * an inbox whose descriptor becomes readable.  A look-up cannot be stopped;
 * whoever lost patience simply does not use its answer.  Main thread, except
 * inside.
 */
#ifndef RUNTIME_LOOKUP_H
#define RUNTIME_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

#define LOOKUP_ADDRESSES_MAX 64

struct err;
struct lookups;

struct lookups *lookups_new(struct err *err) MUST_CHECK;

/* Answers that come later are thrown away by their threads.  NULL ok. */
void lookups_free(struct lookups *lookups);

/* Readable when there may be answers.  Owned by lookups. */
int lookups_fd(const struct lookups *lookups);

/* Start a thread that asks for host; its answer will carry `id`. */
bool lookups_start(struct lookups *lookups, const char *host, uint64_t id,
    struct err *err) MUST_CHECK;

struct lookup_answer {
	uint64_t id;
	struct addr *addresses; /* ports are 0 */
	size_t count;           /* 0: failed, and `why` says why */
	char why[128];
};

/* The next answer; false: no more.  Ends with lookup_answer_fini. */
bool lookups_take(
    struct lookups *lookups, struct lookup_answer *answer) MUST_CHECK;
void lookup_answer_fini(struct lookup_answer *answer);

/* Ask here and now, on the calling thread.  Ends with lookup_answer_fini. */
void lookup_now(const char *host, struct lookup_answer *answer);

#endif
