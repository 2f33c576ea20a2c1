/*
 * What the files that make a generation share: generation.c holds it, build.c
 * makes one from files, renew.c one from another.  Main thread.
 */
#ifndef RUNTIME_GENERATION_INNER_H
#define RUNTIME_GENERATION_INNER_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/attr.h"
#include "runtime/generation.h"
#include "runtime/ports.h"

struct identity;
struct service;

struct generation {
	atomic_uint references;

	/* fixed at creation */
	const struct config *config;
	struct service **services;  /* one per listener section */
	struct identity **renewals; /* one per service; NULL: none waits */
	size_t service_count;
	struct ports ports;
};

/* With room for every listener; one reference.  NULL: no memory. */
struct generation *generation_new(const struct config *config) MUST_CHECK;

/* Append; both are taken, `renewal` may be NULL. */
void generation_add(struct generation *generation, struct service *service,
    struct identity *renewal);

#endif
