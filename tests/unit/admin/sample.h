/*
 * An overview with one of everything, for the tests of what prints it.
 */
#ifndef TESTS_UNIT_ADMIN_SAMPLE_H
#define TESTS_UNIT_ADMIN_SAMPLE_H

#include "admin/overview.h"

#define SAMPLE_NOW 1700000000

/* With names that need escaping; overview_free. */
struct overview *sample_overview(void);

#endif
