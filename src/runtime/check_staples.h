/*
 * clinch --test about stapling: what would be stapled, and whether the folder
 * of responses could be used.  Nobody is asked.  Main thread.
 */
#ifndef RUNTIME_CHECK_STAPLES_H
#define RUNTIME_CHECK_STAPLES_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct generation;
struct stapling;

/* One line on stdout about each certificate. */
void check_say_staples(
    const struct stapling *stapling, const struct generation *generation);

/* Could a start make or use store_dir?  false: said on stderr. */
bool check_store(const struct config *config) MUST_CHECK;

#endif
