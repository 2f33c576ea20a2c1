/*
 * Any text as an address, a host or a range: nothing may crash, and an accepted
 * one must print as text that parses to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512] = "", printed[ADDR_TEXT_MAX], host[256];
	struct addr addr, again;
	struct cidr cidr;
	struct err err;
	bool any_family;
	uint16_t port;

	memcpy(text, data, size < sizeof(text) - 1 ? size : sizeof(text) - 1);
	if (addr_parse(&addr, &any_family, text, &err)) {
		addr_print(&addr, printed, sizeof(printed));
		if (!addr_parse(&again, NULL, printed, &err) ||
		    !addr_equal(&addr, &again))
			abort();
	}
	if (addr_split(text, host, sizeof(host), &port, &err) &&
	    strlen(host) == 0)
		abort();
	if (cidr_parse(&cidr, text, &err) && !cidr_contains(&cidr, &cidr.net))
		abort();
	return 0;
}
