/*
 * How many listener threads make sense here: the CPUs we may run on, cut down
 * to what the container's quota pays for.  Any thread.
 */
#ifndef RUNTIME_CPUS_H
#define RUNTIME_CPUS_H

#include <stdbool.h>

#include "base/attr.h"

#define CPUS_MAX 256u

/* min(CPU affinity, cgroup quota rounded up), 1..CPUS_MAX. */
unsigned cpus_count(void);

/*
 * "QUOTA PERIOD" as in cgroup v2's cpu.max, in CPUs rounded up.  false: no
 * quota ("max", or -1 as version 1 says), or not such a text.
 */
bool cpus_parse_quota(const char *text, unsigned *cpus) MUST_CHECK;

#endif
