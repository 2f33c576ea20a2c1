/*
 * Warnings about certificates and revocation lists near their end.  Main
 * thread.
 */
#ifndef RUNTIME_EXPIRY_H
#define RUNTIME_EXPIRY_H

#include <stdint.h>

struct generation;
struct log;

/*
 * Logs each certificate and each file of revocation lists once for each level
 * of tls/identity.h (a third, a sixth, a thirtieth of its life left, the end).
 */
void expiry_look(
    const struct generation *generation, struct log *log, int64_t now_s);

#endif
