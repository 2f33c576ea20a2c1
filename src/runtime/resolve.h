/*
 * Resolving backend names.  getaddrinfo() blocks, so each look-up runs on a
 * helper thread (at most 4 at once, each abandoned after its deadline), and its
 * answer is posted back to the main thread's event loop, which puts it into the
 * backends.  The last answer stays when the name server fails.  Main thread.
 */
#ifndef RUNTIME_RESOLVE_H
#define RUNTIME_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

struct err;
struct ev_loop;
struct generation;
struct log;
struct dns_threads;
struct resolver;

/* ---- The resolver ---- */

/* Every name of the generation has been resolved or has failed once.  Called on
 * the main thread, from its loop. */
typedef void resolve_first_fn(void *arg);

struct resolver *resolver_new(struct ev_loop *loop, struct log *log,
    resolve_first_fn *on_first, void *arg, struct err *err) MUST_CHECK;

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

/* ---- Parts, for unit tests (the names of a generation) ---- */

struct dns_name {
	char *host;
	uint32_t every_ms;  /* the shortest `resolve` of its services */
	int64_t due_ms;     /* monotonic; INT64_MAX: never again */
	int64_t started_ms; /* start of the last look-up; 0: none yet */
	uint64_t lookup;    /* id of the running look-up; 0: none */
	bool ready;         /* resolved or failed once in this generation */
	bool failing;       /* the last look-up failed, and this was logged */
	struct addr *last;  /* the last answer */
	size_t last_count;
};

struct dns_names {
	struct dns_name *items;
	size_t count;
};

/* Every name of the generation, due at once.  false: no memory. */
bool dns_names_init(
    struct dns_names *names, struct generation *generation) MUST_CHECK;
void dns_names_fini(struct dns_names *names);

/*
 * Take over the state of equal names: running look-ups, answers, failures
 * already logged.
 */
void dns_names_inherit(struct dns_names *fresh, struct dns_names *old);

/* The name whose look-up has this id; NULL: none. */
struct dns_name *dns_names_find(struct dns_names *names, uint64_t lookup);

/* Store an answer.  *changed: it is another set than the last one (name servers
 * shuffle; the order does not count).  false: no memory. */
bool dns_name_remember(struct dns_name *name, const struct addr *addresses,
    size_t count, bool *changed) MUST_CHECK;

/* Put the last answer into every backend of that name, each with its own port.
 * false: no memory, and some keep the old one. */
bool dns_name_put(
    const struct dns_name *name, struct generation *generation) MUST_CHECK;

/*
 * Names with a backend whose connect failed become due at once, but not before
 * least_ms after the start of their last look-up.
 */
void dns_names_expedite(
    struct dns_names *names, struct generation *generation, int64_t least_ms);

/* A look-up begins: reset the failures of earlier connects. */
void dns_name_clear_failed(
    const struct dns_name *name, struct generation *generation);

/* Has every backend of that name an address? */
bool dns_name_is_resolved(
    const struct dns_name *name, struct generation *generation);

/* ---- Parts, for unit tests (look-ups) ---- */

#define DNS_ADDRESSES_MAX 64

struct dns_threads *dns_threads_new(struct err *err) MUST_CHECK;

/* Threads discard later answers.  NULL ok. */
void dns_threads_free(struct dns_threads *threads);

/* Readable when there may be answers.  Owned by *threads. */
int dns_threads_fd(const struct dns_threads *threads);

/* Start a thread that resolves host; its answer carries `id`. */
bool dns_threads_start(struct dns_threads *threads, const char *host,
    uint64_t id, struct err *err) MUST_CHECK;

struct dns_answer {
	uint64_t id;
	struct addr *addresses; /* ports are 0 */
	size_t count;           /* 0: failed, see why */
	char why[128];
};

/* The next answer; false: no more.  Ends with dns_answer_fini. */
bool dns_threads_take(
    struct dns_threads *threads, struct dns_answer *answer) MUST_CHECK;
void dns_answer_fini(struct dns_answer *answer);

/* Resolve on the calling thread.  Ends with dns_answer_fini. */
void dns_resolve(const char *host, struct dns_answer *answer);

#endif
