/* See memory.h. */
#include "staple/memory.h"

#include <errno.h>

#include <openssl/err.h>

void
staple_memory_watch(void)
{
	ERR_clear_error();
	errno = 0;
}

bool
staple_memory_failed(bool refused)
{
	bool failed = errno == ENOMEM && (refused || ERR_peek_error() != 0);
	unsigned long code;

	while ((code = ERR_get_error()) != 0)
		failed |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	staple_memory_watch(); /* behind an entry without a code are others */
	return failed;
}
