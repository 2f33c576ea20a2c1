/*
 * Memory that runs out at a chosen allocation: OpenSSL's and, in programs
 * linked with -Wl,--wrap=calloc, our own.  One thread.  A program that uses
 * this gives OpenSSL its allocators before main.
 */
#ifndef SUPPORT_SCARCE_H
#define SUPPORT_SCARCE_H

#include <stdbool.h>

/* From now on the n-th allocation fails, counted from 0, and only that. */
void scarce_begin(long n);

/* For an allocator that a test wraps itself: is this the one? */
bool scarce_fails_now(void);

/* No more.  true: there was an n-th. */
bool scarce_end(void);

#endif
