/*
 * Backend names looked up again and again, off the main thread: getaddrinfo
 * blocks, so each look-up runs on a helper thread (at most 4 at once, each
 * abandoned after its own deadline), and the answer is posted back to the
 * main thread's event loop, which puts it into the backends.  The last answer
 * is kept when the name server fails.  Main thread, except inside.
 */
#ifndef RUNTIME_RESOLVE_H
#define RUNTIME_RESOLVE_H

#include <ev.h>
#include <stdbool.h>

#include "base/attr.h"

struct err;
struct generation;
struct log;
struct resolver;

/* on_first(arg): every name of the followed generation has been answered or
 * has failed once.  Called on the main thread, from its loop. */
typedef void resolve_first_fn(void *arg);

struct resolver *resolver_new(struct ev_loop *loop, struct log *log,
    resolve_first_fn *on_first, void *arg, struct err *err) MUST_CHECK;

/*
 * Look after the names of this generation (a reference is kept) from now on;
 * on_first will be called once, from a later turn of the loop, even when there
 * is no name at all.  false: no memory, the old one is still followed.
 */
bool resolver_follow(
    struct resolver *resolver, struct generation *generation) MUST_CHECK;

/* Connects to backends may have failed (backends_failed): their names are
 * looked up at once, but each of them once a second at most.  NULL ok. */
void resolver_look(struct resolver *resolver);

/* Abandons look-ups under way.  NULL ok. */
void resolver_free(struct resolver *resolver);

/* --test: look every name up now, blocking; warnings to the log. */
void resolve_check(struct generation *generation, struct log *log);

#endif
