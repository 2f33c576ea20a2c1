/*
 * ClientHellos by hand: RFC 5246 section 7.4.1.2, RFC 6066 section 3.  One
 * thread.  Lengths are filled in once what they count is there.
 */
#include "tests/support/hello.h"

#include <assert.h>
#include <string.h>

struct writer {
	uint8_t *bytes;
	size_t len;
};

static void
put(struct writer *to, const void *bytes, size_t len)
{
	assert(to->len + len <= HELLO_MAX);
	if (len > 0)
		memcpy(to->bytes + to->len, bytes, len);
	to->len += len;
}

static void
put_number(struct writer *to, size_t number, int bytes)
{
	while (bytes-- > 0) {
		uint8_t byte = (uint8_t)(number >> (8 * bytes));

		put(to, &byte, 1);
	}
}

/* The length of all that came after its own bytes at `at`. */
static void
fill_length(struct writer *in, size_t at, int bytes)
{
	struct writer there = { in->bytes, at };

	put_number(&there, in->len - at - (size_t)bytes, bytes);
}

size_t
hello_sni(uint8_t out[HELLO_MAX], const void *name, size_t len)
{
	struct writer to = { out, 0 };

	put_number(&to, len + 3, 2);
	put_number(&to, 0, 1); /* host_name */
	put_number(&to, len, 2);
	put(&to, name, len);
	return to.len;
}

static void
put_extensions(struct writer *to, const void *sni, size_t len)
{
	static const uint8_t groups[] = { 0, 10, 0, 4, 0, 2, 0, 23 };
	static const uint8_t signatures[] = { 0, 13, 0, 6, 0, 4, 4, 3, 8, 4 };
	size_t at = to->len;

	put_number(to, 0, 2);
	if (sni != NULL) {
		put_number(to, 0, 2); /* server_name */
		put_number(to, len, 2);
		put(to, sni, len);
	}
	put(to, groups, sizeof(groups));
	put(to, signatures, sizeof(signatures));
	fill_length(to, at, 2);
}

size_t
hello_make(uint8_t out[HELLO_MAX], const void *sni, size_t len)
{
	static const uint8_t random[32] = { 1 };
	/* ECDHE_ECDSA and ECDHE_RSA with AES_128_GCM_SHA256; no compression */
	static const uint8_t offers[] = { 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0 };
	struct writer to = { out, 0 };

	put(&to, "\x16\x03\x01\0\0", 5); /* a record of the handshake */
	put(&to, "\x01\0\0\0", 4);       /* ClientHello */
	put(&to, "\x03\x03", 2);
	put(&to, random, sizeof(random));
	put_number(&to, 0, 1); /* no session */
	put(&to, offers, sizeof(offers));
	put_extensions(&to, sni, len);
	fill_length(&to, 6, 3);
	fill_length(&to, 3, 2);
	return to.len;
}
