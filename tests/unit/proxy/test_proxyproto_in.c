/* What a peer may say before its ClientHello, and what it may not. */
#include "proxyproto_rig.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define PAIR4 "c0000201c6336402040101bb" /* 192.0.2.1:1025, ...100.2:443 */
#define CLIENT4 "192.0.2.1:1025"
#define PAIR6                              \
	"20010db8000000000000000000000001" \
	"20010db8000000000000000000000002ffff01bb"
#define MAPPED                             \
	"00000000000000000000ffffc0000201" \
	"00000000000000000000ffffc6336402040101bb"

static unsigned
digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* From hexadecimal; `zeros` more bytes behind it. */
static size_t
from_hex(uint8_t *out, const char *text, size_t zeros)
{
	size_t len = 0;

	for (; text[0] != '\0'; text += 2)
		out[len++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	memset(out + len, 0, zeros);
	return len + zeros;
}

static const struct block_row {
	const char *what;
	const char *kind;  /* command and family */
	const char *block; /* what follows the length... */
	size_t zeros;      /* ...and more of it */
	const char *client, *unique;
} good_blocks[] = {
	{ "IPv4", "2111", PAIR4, 0, CLIENT4, "" },
	{ "IPv6", "2121", PAIR6, 0, "[2001:db8::1]:65535", "" },
	{ "IPv4 mapped into IPv6", "2121", MAPPED, 0, CLIENT4, "" },
	{ "LOCAL", "2000", "", 0, NULL, "" },
	{ "LOCAL with addresses", "2011", PAIR4, 0, NULL, "" },
	{ "LOCAL too short for its family", "2011", "", 0, NULL, "" },
	{ "LOCAL of no known family", "20ff", "ffffff", 0, NULL, "" },
	{ "LOCAL with what is no TLV", "2000", "ffffff", 0, NULL, "" },
	{ "LOCAL with a right sum", "2000", "030004a9b87e8f", 0, NULL, "" },
	{ "LOCAL with an id", "2000", "0500026869", 0, NULL, "hi" },
	{ "a client that is not known", "2100", "", 0, NULL, "" },
	{ "...but has an id", "2100", "0500026869", 0, NULL, "hi" },
	{ "a Unix client", "2131", "", 216, NULL, "" },
	{ "a Unix client and padding", "2131", "", 219, NULL, "" },
	{ "a right sum", "2111", PAIR4 "030004ad8ac631", 0, CLIENT4, "" },
	{ "an id", "2111", PAIR4 "0500026869", 0, CLIENT4, "hi" },
	{ "an empty id", "2111", PAIR4 "050000", 0, CLIENT4, "" },
	{ "an id among what is not known", "2111",
	    PAIR4 "e00000300001ff0500026869000000", 0, CLIENT4, "hi" },
	{ "padding", "2111", PAIR4 "04000b", 11, CLIENT4, "" },
	{ "a header as long as allowed", "2111", PAIR4 "040fe1",
	    PROXYPROTO_IN_MAX - 31, CLIENT4, "" },
};

/* The header of this row into out; its length. */
static size_t
build(uint8_t *out, const struct block_row *row)
{
	size_t front = from_hex(out, SIGNATURE, 0);
	size_t block;

	front += from_hex(out + front, row->kind, 2);
	block = from_hex(out + front, row->block, row->zeros);
	out[front - 2] = (uint8_t)(block >> 8);
	out[front - 1] = (uint8_t)block;
	return front + block;
}

Test(proxyproto_in, takes_binary_headers)
{
	for (size_t i = 0; i < ARRAY_LEN(good_blocks); i++) {
		const struct block_row *row = &good_blocks[i];
		struct proxyproto_header header;
		uint8_t bytes[PROXYPROTO_IN_MAX + 1];
		size_t whole = build(bytes, row), len;

		bytes[whole] = 0x16; /* of the ClientHello behind it */
		cr_expect_eq(parse(bytes, whole + 1, &header, &len),
		    PROXYPROTO_DONE, "%s: %s", row->what, header.why);
		cr_expect_eq(len, whole, "%s", row->what);
		cr_expect_eq(header.local, row->client == NULL);
		cr_expect_eq(header.unique_len, strlen(row->unique));
		cr_expect(
		    memcmp(header.unique, row->unique, header.unique_len) == 0,
		    "%s", row->what);
		expect_address(&header.client, row->client, row->what);
		if (row->client != NULL)
			cr_expect_eq(addr_port(&header.server), 443);
	}
}

#define OTHER_SUM "0000000f"
#define LONG_ID "050081"

static const struct bad_block {
	struct block_row row;
	const char *why;
} bad_blocks[] = {
	{ { "version 1", "1111", PAIR4, 0, 0, 0 }, "unknown version" },
	{ { "version 3", "3111", PAIR4, 0, 0, 0 }, "unknown version" },
	{ { "an unassigned command", "2211", PAIR4, 0, 0, 0 }, "command" },
	{ { "UDP over IPv4", "2112", PAIR4, 0, 0, 0 }, "no stream" },
	{ { "UDP over IPv6", "2122", PAIR6, 0, 0, 0 }, "no stream" },
	{ { "Unix datagrams", "2132", "", 216, 0, 0 }, "no stream" },
	{ { "an unassigned transport", "2113", PAIR4, 0, 0, 0 }, "no stream" },
	{ { "an unassigned family", "2141", "", 216, 0, 0 }, "no stream" },
	{ { "a family without transport", "2110", PAIR4, 0, 0, 0 },
	    "no stream" },
	{ { "a transport without family", "2101", PAIR4, 0, 0, 0 },
	    "no stream" },
	{ { "IPv4 one byte short", "2111", "", 11, 0, 0 }, "too short" },
	{ { "IPv6 one byte short", "2121", "", 35, 0, 0 }, "too short" },
	{ { "Unix one byte short", "2131", "", 215, 0, 0 }, "too short" },
	{ { "one byte behind the addresses", "2111", PAIR4 "04", 0, 0, 0 },
	    "TLVs" },
	{ { "a TLV without all of its length", "2111", PAIR4 "0400", 0, 0, 0 },
	    "TLVs" },
	{ { "a TLV one byte too long", "2111", PAIR4 "040002ff", 0, 0, 0 },
	    "TLVs" },
	{ { "a TLV far too long", "2111", PAIR4 "04ffff", 20, 0, 0 }, "TLVs" },
	{ { "the second TLV too long", "2111", PAIR4 "0400000400ff", 0, 0, 0 },
	    "TLVs" },
	{ { "what is no TLV, of nobody", "2100", "ffffff", 0, 0, 0 }, "TLVs" },
	{ { "a wrong sum", "2111", PAIR4 "030004" OTHER_SUM, 0, 0, 0 },
	    "checksum" },
	{ { "a wrong sum of LOCAL", "2000", "030004" OTHER_SUM, 0, 0, 0 },
	    "checksum" },
	{ { "a sum of three bytes", "2111", PAIR4 "030003000000", 0, 0, 0 },
	    "checksum" },
	{ { "a sum of five bytes", "2111", PAIR4 "030005", 5, 0, 0 },
	    "checksum" },
	{ { "two sums, the second of them right", "2111",
	      PAIR4 "03000400000000030004fb5b4111", 0, 0, 0 },
	    "checksum" },
	{ { "two ids", "2111", PAIR4 "0500016805000168", 0, 0, 0 },
	    "unique id" },
	{ { "two ids, one empty", "2111", PAIR4 "05000168050000", 0, 0, 0 },
	    "unique id" },
	{ { "an id of 129 bytes", "2111", PAIR4 LONG_ID, 129, 0, 0 },
	    "unique id" },
	{ { "one byte longer than allowed", "2111", PAIR4 "040fe2",
	      PROXYPROTO_IN_MAX - 30, 0, 0 },
	    "longer than 4096" },
};

Test(proxyproto_in, refuses_hostile_binary_headers)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_blocks); i++) {
		const struct bad_block *bad = &bad_blocks[i];
		struct proxyproto_header header = { 0 };
		uint8_t bytes[PROXYPROTO_IN_MAX + 1];
		size_t whole = build(bytes, &bad->row), len;

		cr_expect_eq(parse(bytes, whole, &header, &len), PROXYPROTO_BAD,
		    "%s", bad->row.what);
		cr_expect(
		    header.why != NULL && strstr(header.why, bad->why) != NULL,
		    "%s: %s", bad->row.what, header.why);
	}
}

Test(proxyproto_in, waits_for_the_rest_and_for_no_more)
{
	uint8_t bytes[PROXYPROTO_IN_MAX];

	for (size_t i = 0; i < ARRAY_LEN(good_blocks); i++)
		expect_more(
		    bytes, build(bytes, &good_blocks[i]), good_blocks[i].what);
}

static const struct stranger_row {
	const char *what, *bytes;
	size_t len;
} strangers[] = {
	{ "a TLS client", "\x16", 1 },
	{ "an HTTP client", "G", 1 },
	{ "another word", "PROXX", 5 },
	{ "lower case", "p", 1 },
	{ "no blank", "PROXY\t", 6 },
	{ "a zero byte", "\0", 1 },
	{ "an empty line", "\r\n\r\n\r", 5 },
	{ "the last byte of the signature", "\r\n\r\n\0\r\nQUIT\r", 12 },
};

Test(proxyproto_in, refuses_a_stranger_at_the_first_byte_that_differs)
{
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
		const struct stranger_row *row = &strangers[i];
		const uint8_t *bytes = (const uint8_t *)row->bytes;
		struct proxyproto_header header;
		size_t len;

		expect_more(bytes, row->len, row->what);
		cr_expect_eq(parse(bytes, row->len, &header, &len),
		    PROXYPROTO_BAD, "%s", row->what);
		cr_expect_str_eq(header.why, "the peer sent no PROXY header");
	}
}
