/*
 * `clinch --version`.
 */
#ifndef RUNTIME_VERSION_H
#define RUNTIME_VERSION_H

#include <stdbool.h>

#include "base/attr.h"

/*
 * Print to standard output the version, the libraries that are loaded, the
 * default groups that OpenSSL has, and the features of this build: one line
 * each.  false: no memory, reported on stderr.
 */
bool version_print(void) MUST_CHECK;

#endif
