/*
 * The one place where OpenSSL's error queue becomes a sentence of ours.
 * tls/ only; any thread (the queue is the thread's own).
 */
#ifndef TLS_ERROR_H
#define TLS_ERROR_H

#include "base/attr.h"

struct err;

/*
 * As err_set, and appends ": " and OpenSSL's reason for the earliest failure
 * in the queue, if there is one.  Empties the queue.
 */
void tls_error_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Empty the queue, so that no stale error colours the next decision. */
void tls_error_clear(void);

/* The earliest failure in the queue, 0 if none.  Empties the queue. */
unsigned long tls_error_take(void);

/* OpenSSL's words for it; static. */
const char *tls_error_reason(unsigned long code);

#endif
