/*
 * `clinch healthcheck`: does a running clinch answer on each listener of a
 * configuration, with the staple that its policy demands?  One line on standard
 * output and the exit status; for HEALTHCHECK of Docker and exec probes of
 * Kubernetes.  Main thread, the only one; bounded by --timeout.
 */
#ifndef RUNTIME_HEALTHCHECK_H
#define RUNTIME_HEALTHCHECK_H

#include "base/attr.h"

/* Docker reserves 2, so everything that is not healthy is 1. */
enum healthcheck_exit { HEALTHCHECK_HEALTHY = 0, HEALTHCHECK_UNHEALTHY = 1 };

/* argv[0] is the word "healthcheck"; file: the default of -c. */
enum healthcheck_exit healthcheck_run(
    int argc, char **argv, const char *file) MUST_CHECK;

#endif
