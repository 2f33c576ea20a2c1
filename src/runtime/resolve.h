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

/* ---- Parts, for unit tests (the names of a generation) ---- */

struct dns_name {
	char *host;
	uint32_t every_ms; /* the most impatient service's resolve */
	int64_t due_ms;    /* monotonic; INT64_MAX: never again */
	int64_t asked_ms;  /* the last look-up began; 0: none yet */
	uint64_t lookup;   /* under way with this id; 0: none */
	bool settled;      /* answered, or failed once, since it is followed */
	bool failing;      /* the last look-up failed, and that was said */
	struct addr *last; /* the last answer */
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
 * Take over what an older table knows of the same names: look-ups under way,
 * answers, complaints already made.
 */
void dns_names_inherit(struct dns_names *fresh, struct dns_names *old);

/* The name whose look-up has this id; NULL: nobody waits for it. */
struct dns_name *dns_names_find(struct dns_names *names, uint64_t lookup);

/* Remember an answer.  *changed: it is another set than the last one (name
 * servers shuffle; order alone is no news).  false: no memory. */
bool dns_name_remember(struct dns_name *name, const struct addr *addresses,
    size_t count, bool *changed) MUST_CHECK;

/* Put the last answer into every backend of that name, each with its own
 * port.  false: no memory, some have kept the old one. */
bool dns_name_put(
    const struct dns_name *name, struct generation *generation) MUST_CHECK;

/*
 * Names with a backend to which a connect has failed are due at once, but not
 * before least_ms after their last look-up began.
 */
void dns_names_expedite(
    struct dns_names *names, struct generation *generation, int64_t least_ms);

/* A look-up begins: connects that failed before it count no more. */
void dns_name_clear_failed(
    const struct dns_name *name, struct generation *generation);

/* Has every backend of that name an address? */
bool dns_name_is_resolved(
    const struct dns_name *name, struct generation *generation);

/* ---- Parts, for unit tests (look-ups) ---- */

#define DNS_ADDRESSES_MAX 64

struct dns_threads *dns_threads_new(struct err *err) MUST_CHECK;

/* Answers that come later are thrown away by their threads.  NULL ok. */
void dns_threads_free(struct dns_threads *threads);

/* Readable when there may be answers.  Owned by lookups. */
int dns_threads_fd(const struct dns_threads *threads);

/* Start a thread that asks for host; its answer will carry `id`. */
bool dns_threads_start(struct dns_threads *threads, const char *host,
    uint64_t id, struct err *err) MUST_CHECK;

struct dns_answer {
	uint64_t id;
	struct addr *addresses; /* ports are 0 */
	size_t count;           /* 0: failed, and `why` says why */
	char why[128];
};

/* The next answer; false: no more.  Ends with dns_answer_fini. */
bool dns_threads_take(
    struct dns_threads *threads, struct dns_answer *answer) MUST_CHECK;
void dns_answer_fini(struct dns_answer *answer);

/* Ask here and now, on the calling thread.  Ends with dns_answer_fini. */
void dns_resolve(const char *host, struct dns_answer *answer);

#endif
