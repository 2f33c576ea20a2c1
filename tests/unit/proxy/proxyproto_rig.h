/* What the tests of the PROXY protocol's reader share. */
#ifndef TESTS_UNIT_PROXY_PROXYPROTO_RIG_H
#define TESTS_UNIT_PROXY_PROXYPROTO_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxyproto.h"

/* Of exactly its own length on the heap, so that a read behind it is seen. */
static inline enum proxyproto_answer
parse(const uint8_t *bytes, size_t have, struct proxyproto_header *header,
    size_t *len)
{
	uint8_t *exact = malloc(have > 0 ? have : 1);
	enum proxyproto_answer answer;

	cr_assert_not_null(exact);
	memcpy(exact, bytes, have);
	answer = proxyproto_parse(exact, have, header, len);
	free(exact);
	return answer;
}

static inline void
expect_address(const struct addr *addr, const char *text, const char *what)
{
	struct addr expect = { 0 };

	if (text != NULL)
		cr_assert(addr_parse(&expect, NULL, text, NULL), "%s", text);
	cr_expect(addr_equal(addr, &expect), "%s", what);
}

/* Every front of it wants more: at least a byte, and none of what follows. */
static inline void
expect_more(const uint8_t *bytes, size_t whole, const char *what)
{
	for (size_t have = 0; have < whole; have++) {
		struct proxyproto_header header;
		size_t len;

		cr_assert_eq(parse(bytes, have, &header, &len), PROXYPROTO_MORE,
		    "%s: %zu", what, have);
		cr_assert(len > have && len <= whole, "%s: %zu", what, have);
	}
}

#endif
