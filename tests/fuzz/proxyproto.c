/*
 * Any bytes as a PROXY header.  PROXYPROTO_MORE never needs more than the
 * header; the result depends neither on the pieces received nor on the bytes
 * behind; and an accepted header that is written again parses to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* Give as many bytes as are needed each time, until there is a result. */
static enum proxyproto_answer
feed(const uint8_t *data, size_t size, struct proxyproto_header *header,
    size_t *len)
{
	enum proxyproto_answer answer = PROXYPROTO_MORE;

	for (*len = 0; answer == PROXYPROTO_MORE && *len <= size;) {
		size_t have = *len;
		uint8_t *exact = malloc(have + 1);

		check(exact != NULL);
		memcpy(exact, data, have);
		answer = proxyproto_parse(exact, have, header, len);
		free(exact);
		check(answer != PROXYPROTO_MORE ||
		      (*len > have && *len <= PROXYPROTO_IN_MAX));
		check(answer != PROXYPROTO_DONE || *len == have);
	}
	return answer;
}

static bool
is_same(const struct proxyproto_header *a, const struct proxyproto_header *b)
{
	return a->local == b->local && addr_equal(&a->client, &b->client) &&
	       addr_equal(&a->server, &b->server) &&
	       a->unique_len == b->unique_len &&
	       memcmp(a->unique, b->unique, a->unique_len) == 0;
}

static void
write_again(const struct proxyproto_header *header)
{
	uint8_t out[PROXYPROTO_OUT_MAX];
	struct proxyproto_header again;
	struct proxyproto_facts facts = { .client = &header->client,
		.local = &header->server,
		.tlvs = ~0u,
		.unique = header->unique,
		.unique_len = header->unique_len };
	size_t size = proxyproto_format(PROXY_OUT_V2, &facts, out), len;

	check(feed(out, size, &again, &len) == PROXYPROTO_DONE);
	check(len == size && is_same(header, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxyproto_header one, all;
	size_t one_len, all_len;
	enum proxyproto_answer answer = feed(data, size, &one, &one_len);

	check(proxyproto_parse(data, size, &all, &all_len) == answer);
	check((answer == PROXYPROTO_BAD) == (all.why != NULL));
	check(one.why == all.why && one_len == all_len);
	if (answer == PROXYPROTO_DONE) {
		check(is_same(&one, &all));
		check(one.local == (one.client.len == 0));
		write_again(&one);
	}
	return 0;
}
