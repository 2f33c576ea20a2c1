/*
 * Warnings about certificates and revocation lists that expire soon.  Main
 * thread.
 */
#ifndef RUNTIME_EXPIRY_H
#define RUNTIME_EXPIRY_H

#include <stdint.h>

struct generation;
struct log;

/*
 * Log each certificate and each CRL file once for each level of tls/validity.h
 * (a third, a sixth, a thirtieth of its life left, the end).
 */
void expiry_look(
    const struct generation *generation, struct log *log, int64_t now_s);

#endif
