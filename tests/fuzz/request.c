/*
 * Requests to the admin endpoint: any bytes, and each beginning of them.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "admin/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum request_result whole, part;
	struct request request;

	whole = request_parse((const char *)data, size, &request);
	if (whole != REQUEST_DONE)
		return 0;
	if (request.path[0] != '/' ||
	    strlen(request.certificate) >= REQUEST_VALUE_MAX)
		__builtin_trap();
	/* No beginning of a good request is refused. */
	for (size_t len = 0; len < size && len < REQUEST_HEAD_MAX; len++) {
		part = request_parse((const char *)data, len, &request);
		if (part != REQUEST_MORE && part != REQUEST_DONE)
			__builtin_trap();
	}
	return 0;
}
