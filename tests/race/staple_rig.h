/*
 * What the races of libstaple share.  Every failure ends the program with a
 * sentence.
 */
#ifndef RACE_STAPLE_RIG_H
#define RACE_STAPLE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/authority.h"

static inline void
need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "race: %s\n", what);
	exit(1);
}

/* A good response about this certificate, pushed as a file. */
void rig_push(const char *path, const struct authority *authority,
    const struct pki *leaf);

/* A port of the loopback without a response: it accepts connections and
 * sends nothing, or, not listening, refuses them. */
int rig_port(bool listens, char *url, size_t max);

#endif
