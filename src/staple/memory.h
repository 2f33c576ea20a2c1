/*
 * Allocation failures inside OpenSSL.  Any thread: the error queue and errno
 * belong to the thread.
 *
 * OpenSSL returns the same for "there is none" and for "no memory to look".
 * Versions before 3.2 push ERR_R_MALLOC_FAILURE onto the error queue, later
 * ones in fewer places; malloc sets errno to ENOMEM in each of them (POSIX: no
 * function of the C library sets it back to 0).
 */
#ifndef STAPLE_MEMORY_H
#define STAPLE_MEMORY_H

#include <errno.h>
#include <stdbool.h>

#include <openssl/err.h>

#include "base/attr.h"

/* Empty the error queue and set errno to 0. */
static inline void
staple_memory_watch(void)
{
	ERR_clear_error();
	errno = 0;
}

/*
 * Did an OpenSSL call since staple_memory_watch() fail for lack of memory?
 * Starts to watch again.  malloc may set errno and succeed by other means, and
 * OpenSSL does without a cache that cannot grow: ENOMEM counts if there is an
 * error in the queue, or if the result is negative (refused).
 */
MUST_CHECK static inline bool
staple_memory_failed(bool refused)
{
	bool failed = errno == ENOMEM && (refused || ERR_peek_error() != 0);
	unsigned long code;

	while ((code = ERR_get_error()) != 0)
		failed |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	staple_memory_watch(); /* behind an entry without a code are others */
	return failed;
}

#endif
