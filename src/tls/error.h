/*
 * OpenSSL's error queue as text.  tls/ only; any thread (each has its own
 * queue).
 */
#ifndef TLS_ERROR_H
#define TLS_ERROR_H

#include "base/attr.h"

struct err;

/*
 * err_set, with ": " and OpenSSL's reason for the earliest error of the queue
 * appended, if there is one.  Empties the queue.
 */
void tls_error_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Empty the queue, so that SSL_get_error sees no stale error. */
void tls_error_clear(void);

/* The earliest error of the queue; 0: none.  Empties the queue. */
unsigned long tls_error_take(void);

/* OpenSSL's text for it; static. */
const char *tls_error_reason(unsigned long code);

#endif
