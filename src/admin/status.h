/*
 * The document of /status: JSON (RFC 8259), described in clinch(8).  Pure.
 */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include <stddef.h>

#include "base/attr.h"

struct overview;

/* As metrics_print. */
char *status_print(const struct overview *overview, size_t *len) MUST_CHECK;

#endif
