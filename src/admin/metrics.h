/*
 * The metrics of /metrics: Prometheus text format 0.0.4.  Pure except for the
 * metrics of the process, which are read from /proc/self.
 */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include <stddef.h>

#include "base/attr.h"

struct overview;

/* The text, to be freed by free(); NULL: no memory.  *len: without the
 * terminator. */
char *metrics_print(const struct overview *overview, size_t *len) MUST_CHECK;

#endif
