/*
 * Certificates and revocation lists near their end are warned of in time.
 * Main thread.
 */
#ifndef RUNTIME_EXPIRY_H
#define RUNTIME_EXPIRY_H

#include <stdint.h>

struct generation;
struct log;

/* The steps at which a certificate is warned of, in days. */
#define EXPIRY_FIRST_DAYS 30

/* Once for each certificate and step (30, 14, 7, 1 days, the end), and for
 * each file of revocation lists (7 days, the end). */
void expiry_look(
    const struct generation *generation, struct log *log, int64_t now_s);

/* The step of lists that end then: 0 none, 7, or -1: they have ended. */
int expiry_lists_step(int64_t end_s, int64_t now_s);

#endif
