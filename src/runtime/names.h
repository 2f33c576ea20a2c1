/*
 * The backend names of one generation, each once however many services use
 * it, with what is known of each.  Main thread; plain data, no clock.
 */
#ifndef RUNTIME_NAMES_H
#define RUNTIME_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"

struct generation;

struct name {
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

struct names {
	struct name *items;
	size_t count;
};

/* Every name of the generation, due at once.  false: no memory. */
bool names_init(struct names *names, struct generation *generation) MUST_CHECK;
void names_fini(struct names *names);

/*
 * Take over what an older table knows of the same names: look-ups under way,
 * answers, complaints already made.
 */
void names_inherit(struct names *fresh, struct names *old);

/* The name whose look-up has this id; NULL: nobody waits for it. */
struct name *names_find(struct names *names, uint64_t lookup);

/* Remember an answer.  *changed: it is another set than the last one (name
 * servers shuffle; order alone is no news).  false: no memory. */
bool name_remember(struct name *name, const struct addr *addresses,
    size_t count, bool *changed) MUST_CHECK;

/* Put the last answer into every backend of that name, each with its own
 * port.  false: no memory, some have kept the old one. */
bool name_put(
    const struct name *name, struct generation *generation) MUST_CHECK;

/*
 * Names with a backend to which a connect has failed are due at once, but not
 * before least_ms after their last look-up began.
 */
void names_hurry(
    struct names *names, struct generation *generation, int64_t least_ms);

/* A look-up begins: connects that failed before it count no more. */
void name_clear_failed(const struct name *name, struct generation *generation);

/* Has every backend of that name an address? */
bool name_is_resolved(const struct name *name, struct generation *generation);

#endif
