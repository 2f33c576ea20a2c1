/*
 * Resolving backend names.  getaddrinfo() blocks, so each look-up runs on a
 * helper thread (at most 4 at once, each abandoned after its deadline), and its
 * answer is posted back to the main thread's event loop, which puts it into the
 * backends.  The last answer stays when the name server fails.  Main thread.
 */
#ifndef RUNTIME_RESOLVE_H
#define RUNTIME_RESOLVE_H

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct ev_loop;
struct generation;
struct log;
struct resolver;

/* Every name of the generation has been resolved or has failed once.  Called on
 * the main thread, from its loop. */
typedef void resolve_first_fn(void *arg);

/* A backend of the generation has other addresses than before.  Likewise. */
typedef void resolve_change_fn(void *arg);

struct resolver *resolver_new(struct ev_loop *loop, struct log *log,
    resolve_first_fn *on_first, resolve_change_fn *on_change, void *arg,
    struct err *err) MUST_CHECK;

/*
 * Resolve the names of this generation (a reference is kept) from now on.
 * on_first is called once, from a later turn of the loop, even if there is no
 * name.  false: no memory, and the old generation stays.
 */
bool resolver_follow(
    struct resolver *resolver, struct generation *generation) MUST_CHECK;

/* Connects to backends may have failed (backends_failed): look up their names
 * at once, each at most once a second.  NULL ok. */
void resolver_look(struct resolver *resolver);

/* Abandons look-ups under way.  NULL ok. */
void resolver_free(struct resolver *resolver);

/* --test: look up every name now, blocking; warnings go to the log. */
void resolve_check(struct generation *generation, struct log *log);

#endif
