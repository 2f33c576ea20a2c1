/*
 * Renewal: from a generation with certificates that wait for their staple to
 * one in which they serve.  Main thread.
 */
#ifndef RUNTIME_RENEW_H
#define RUNTIME_RENEW_H

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct generation;
struct generation_parts;
struct judge;

/* Does any certificate wait? */
bool renew_is_waited_for(const struct generation *generation);

/*
 * The same generation with every renewal in service whose time has come: it
 * has its staple, or the certificate it replaces is about to end.  Nothing is
 * read again; whatever else there is, is shared.  Each one is logged.
 * NULL: nothing to do, or *err says why it cannot be done.
 */
struct generation *renew_generation(struct generation *from,
    const struct generation_parts *parts, const struct judge *judge,
    struct err *err) MUST_CHECK;

#endif
