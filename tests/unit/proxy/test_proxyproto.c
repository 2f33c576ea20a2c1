/*
 * The PROXY protocol.  What is written, byte by byte; what is read and what is
 * refused, in both versions; and what is written is read back the same.
 */
#include "proxy/proxyproto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "0d0a0d0a000d0a515549540a"

/* ---- the checksum ---- */

/* RFC 3720 appendix B.4, and the usual check value. */
static const struct sum_row {
	const char *what;
	const char *bytes;
	size_t len;
	uint32_t expect;
} sum_rows[] = {
	{ "nothing", "", 0, 0 },
	{ "nine digits", "123456789", 9, 0xe3069283 },
	{ "one digit less", "12345678", 8, 0x6087809a },
	{ "32 zeros",
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
	    32, 0x8a9136aa },
	{ "32 ones",
	    "\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377"
	    "\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377",
	    32, 0x62a8ab43 },
	{ "counting up",
	    "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"
	    "\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37",
	    32, 0x46dd794e },
};

Test(crc32c, is_the_published_sum)
{
	for (size_t i = 0; i < ARRAY_LEN(sum_rows); i++) {
		const struct sum_row *row = &sum_rows[i];
		uint32_t sum = proxyproto_crc32c(
		    (const uint8_t *)row->bytes, row->len);

		cr_expect_eq(sum, row->expect, "%s: %x", row->what, sum);
	}
}

/* ---- writing ---- */

static uint8_t out[PROXYPROTO_OUT_MAX];

/* Every value is present, so that the mask alone decides. */
static struct proxyproto_facts
facts(const struct addr *client, const struct addr *local, unsigned tlvs)
{
	return (struct proxyproto_facts){ .client = client,
		.local = local,
		.tlvs = tlvs,
		.authority = "a.example",
		.alpn = "h2 and more",
		.alpn_len = 2,
		.unique = (const uint8_t *)"\1\2\3",
		.unique_len = 3,
		.tls = true,
		.client_presented = true,
		.client_in_session = true,
		.client_verified = true,
		.version = "TLSv1.3",
		.cipher = "C",
		.key_algorithm = "K",
		.signature_algorithm = "S",
		.common_name = "me",
		.certificate = (const uint8_t *)"\x30\0",
		.certificate_len = 2 };
}

/* NULL: no address at all. */
static struct addr
address(const char *text)
{
	struct addr addr = { 0 };

	if (text != NULL)
		cr_assert(addr_parse(&addr, NULL, text, NULL), "%s", text);
	return addr;
}

/* Hexadecimal, from byte `from` on. */
static const char *
hex(size_t from, size_t len)
{
	static char text[4096];

	cr_assert_lt(2 * (len - from), sizeof(text));
	text[0] = '\0';
	for (size_t i = from; i < len; i++)
		sprintf(text + 2 * (i - from), "%02x", out[i]);
	return text;
}

/* The length in the header. */
static size_t
announced(void)
{
	return (size_t)out[14] << 8 | out[15];
}

#define V4_CLIENT "192.0.2.1:1025"
#define V4_LOCAL "198.51.100.2:443"
#define V6_CLIENT "[2001:db8::1]:65535"
#define V6_LOCAL "[2001:db8::2]:443"

static const struct address_row {
	const char *what, *client, *local;
	const char *v1; /* without PROXY, CR and LF */
	const char *v2; /* from the command on */
} address_rows[] = {
	{ "IPv4", V4_CLIENT, V4_LOCAL, "TCP4 192.0.2.1 198.51.100.2 1025 443",
	    "2111000cc0000201c6336402040101bb" },
	{ "IPv6", V6_CLIENT, V6_LOCAL, "TCP6 2001:db8::1 2001:db8::2 65535 443",
	    "2121002420010db8000000000000000000000001"
	    "20010db8000000000000000000000002ffff01bb" },
	{ "a client mapped into IPv6 is an IPv4 one", "[::ffff:192.0.2.1]:1025",
	    V4_LOCAL, "TCP4 192.0.2.1 198.51.100.2 1025 443",
	    "2111000cc0000201c6336402040101bb" },
	{ "an IPv4 client of an IPv6 address", V4_CLIENT, V6_LOCAL,
	    "TCP6 0:0:0:0:0:ffff:c000:201 2001:db8::2 1025 443",
	    "2121002400000000000000000000ffffc0000201"
	    "20010db8000000000000000000000002040101bb" },
	{ "an IPv6 client of an IPv4 address", V6_CLIENT, V4_LOCAL,
	    "TCP6 2001:db8::1 0:0:0:0:0:ffff:c633:6402 65535 443",
	    "2121002420010db8000000000000000000000001"
	    "00000000000000000000ffffc6336402ffff01bb" },
	{ "a Unix client", "unix:/run/a", V4_LOCAL, "UNKNOWN", "20000000" },
	{ "a Unix listener", V4_CLIENT, "unix:/run/a", "UNKNOWN", "20000000" },
	{ "no client address", NULL, V4_LOCAL, "UNKNOWN", "20000000" },
	{ "no local address", V4_CLIENT, NULL, "UNKNOWN", "20000000" },
};

Test(proxyproto, writes_both_addresses_as_text)
{
	for (size_t i = 0; i < ARRAY_LEN(address_rows); i++) {
		const struct address_row *row = &address_rows[i];
		struct addr client = address(row->client);
		struct addr local = address(row->local);
		struct proxyproto_facts all = facts(&client, &local, ~0u);
		char expect[128];
		size_t len = proxyproto_format(PROXY_OUT_V1, &all, out);

		sprintf(expect, "PROXY %s\r\n", row->v1);
		cr_expect_eq(len, strlen(expect), "%s", row->what);
		cr_expect(memcmp(out, expect, len) == 0, "%s: %.*s", row->what,
		    (int)len, (const char *)out);
	}
}

Test(proxyproto, writes_both_addresses_as_bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(address_rows); i++) {
		const struct address_row *row = &address_rows[i];
		struct addr client = address(row->client);
		struct addr local = address(row->local);
		struct proxyproto_facts all = facts(&client, &local, 0);
		char expect[256];
		size_t len = proxyproto_format(PROXY_OUT_V2, &all, out);

		sprintf(expect, SIGNATURE "%s", row->v2);
		cr_expect_str_eq(hex(0, len), expect, "%s", row->what);
	}
}

Test(proxyproto, without_addresses_is_unknown_or_local)
{
	struct proxyproto_facts none = { 0 };

	cr_expect_eq(proxyproto_format(PROXY_OUT_V1, &none, out), 15);
	cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &none, out), 16);
	cr_expect_eq(proxyproto_format(PROXY_OUT_OFF, &none, out), 0);
}

Test(proxyproto, writes_no_line_longer_than_the_longest)
{
	const char *text = "[2001:1db8:1111:2222:3333:4444:5555:6666]:65535";
	struct addr addr = address(text);
	struct proxyproto_facts all = facts(&addr, &addr, 0);

	/* section 2.1: "TCP/IPv6 => 104 chars" */
	cr_expect_eq(proxyproto_format(PROXY_OUT_V1, &all, out), 104);
}

#define SSL_HEAD "0700000000"
#define SSL_TEXTS "210007544c5376312e3323000143240001532500014b"
#define SSL_CN "2200026d65"
#define SSL_CERT "2800023000"

static const struct tlv_row {
	const char *what;
	unsigned tlvs;
	const char *expect;
} tlv_rows[] = {
	{ "nothing", 0, "" },
	{ "the server name", PROXY_TLV_AUTHORITY, "020009612e6578616d706c65" },
	{ "ALPN", PROXY_TLV_ALPN, "0100026832" },
	{ "the id", PROXY_TLV_UNIQUE_ID, "050003010203" },
	{ "TLS", PROXY_TLV_SSL, "20001b" SSL_HEAD SSL_TEXTS },
	{ "the common name, within TLS", PROXY_TLV_CN,
	    "200020" SSL_HEAD SSL_TEXTS SSL_CN },
	{ "the certificate, within TLS", PROXY_TLV_SSL | PROXY_TLV_CERT,
	    "200020" SSL_HEAD SSL_TEXTS SSL_CERT },
	{ "all but the sum", ~(unsigned)PROXY_TLV_CRC32C,
	    "050003010203"
	    "0100026832"
	    "020009612e6578616d706c65"
	    "200025" SSL_HEAD SSL_TEXTS SSL_CN SSL_CERT },
};

Test(proxyproto, writes_the_tlvs_of_the_mask_and_no_others)
{
	struct addr client = address(V4_CLIENT), local = address(V4_LOCAL);

	for (size_t i = 0; i < ARRAY_LEN(tlv_rows); i++) {
		const struct tlv_row *row = &tlv_rows[i];
		struct proxyproto_facts all = facts(&client, &local, row->tlvs);
		size_t len = proxyproto_format(PROXY_OUT_V2, &all, out);

		cr_expect_str_eq(hex(28, len), row->expect, "%s", row->what);
		cr_expect_eq(announced(), len - 16, "%s", row->what);
	}
}

Test(proxyproto, leaves_out_what_is_absent)
{
	struct addr client = address(V4_CLIENT), local = address(V4_LOCAL);
	struct proxyproto_facts few = { .client = &client,
		.local = &local,
		.tlvs = ~(unsigned)PROXY_TLV_CRC32C };

	cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &few, out), 28);
	few.tls = true;
	cr_expect_str_eq(hex(28, proxyproto_format(PROXY_OUT_V2, &few, out)),
	    "2000050100000001");
}

static const struct client_row {
	const char *what;
	bool presented, in_session, verified;
	const char *expect;
} client_rows[] = {
	{ "no certificate", false, false, false, "0100000001" },
	{ "one that was not verified", true, true, false, "0700000001" },
	{ "one that was", true, true, true, "0700000000" },
	{ "one of the resumed session", false, true, true, "0500000000" },
};

Test(proxyproto, writes_the_bits_of_the_client_certificate)
{
	for (size_t i = 0; i < ARRAY_LEN(client_rows); i++) {
		const struct client_row *row = &client_rows[i];
		struct proxyproto_facts all = facts(NULL, NULL, PROXY_TLV_SSL);
		char front[11];

		all.client_presented = row->presented;
		all.client_in_session = row->in_session;
		all.client_verified = row->verified;
		snprintf(front, sizeof(front), "%s",
		    hex(19, proxyproto_format(PROXY_OUT_V2, &all, out)));
		cr_expect_str_eq(front, row->expect, "%s", row->what);
	}
}

/* Up to where all but the certificate of `all` goes. */
#define BEFORE_CERT (16 + 6 + 5 + 12 + 3 + 27 + 5)

static const struct room_row {
	const char *what;
	size_t cert_len, expect;
} room_rows[] = {
	{ "one that fills the header", PROXYPROTO_OUT_MAX - BEFORE_CERT - 3,
	    PROXYPROTO_OUT_MAX },
	{ "one byte more", PROXYPROTO_OUT_MAX - BEFORE_CERT - 2, BEFORE_CERT },
	{ "far too much", SIZE_MAX, BEFORE_CERT },
};

Test(proxyproto, leaves_out_a_certificate_without_room)
{
	static const uint8_t cert[PROXYPROTO_OUT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(room_rows); i++) {
		const struct room_row *row = &room_rows[i];
		struct proxyproto_facts all = facts(
		    NULL, NULL, ~(unsigned)PROXY_TLV_CRC32C);

		all.certificate = cert;
		all.certificate_len = row->cert_len;
		cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &all, out),
		    row->expect, "%s", row->what);
		cr_expect_eq(announced(), row->expect - 16);
	}
}

Test(proxyproto, leaves_out_what_never_fits)
{
	static char name[2 * PROXYPROTO_OUT_MAX];
	static const uint8_t id[PROXYPROTO_UNIQUE_MAX + 1];
	struct proxyproto_facts all = facts(
	    NULL, NULL, PROXY_TLV_AUTHORITY | PROXY_TLV_UNIQUE_ID);

	memset(name, 'a', sizeof(name) - 1);
	all.authority = name;
	all.unique = id;
	all.unique_len = sizeof(id);
	cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &all, out), 16);
	all.unique_len--;
	cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &all, out), 16 + 3 + 128);
}

Test(proxyproto, sums_the_whole_header_with_zeros_in_place_of_the_sum)
{
	struct addr client = address(V4_CLIENT), local = address(V4_LOCAL);
	struct proxyproto_facts all = facts(&client, &local, ~0u);
	size_t len = proxyproto_format(PROXY_OUT_V2, &all, out);
	uint8_t sum[4];
	uint32_t right;

	cr_assert(memcmp(out + 28, "\3\0\4", 3) == 0);
	memcpy(sum, out + 31, 4);
	memset(out + 31, 0, 4);
	right = proxyproto_crc32c(out, len);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(sum[i], right >> (24 - 8 * i) & 0xff);
}

static const struct rest_row {
	const char *what;
	size_t rest, expect; /* what the name leaves, and what is left */
} rest_rows[] = {
	{ "nothing", 0, 0 },
	{ "a byte too few", 7, 7 },
	{ "just what TLS needs at least", 8, 0 },
	{ "that, and a TLV of one byte", 12, 0 },
};

Test(proxyproto, writes_of_tls_what_fits)
{
	static char name[PROXYPROTO_OUT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rest_rows); i++) {
		const struct rest_row *row = &rest_rows[i];
		struct proxyproto_facts all = facts(
		    NULL, NULL, PROXY_TLV_AUTHORITY | PROXY_TLV_SSL);

		memset(name, 'a', sizeof(name));
		name[PROXYPROTO_OUT_MAX - 16 - 3 - row->rest] = '\0';
		all.authority = name;
		cr_expect_eq(proxyproto_format(PROXY_OUT_V2, &all, out),
		    PROXYPROTO_OUT_MAX - row->expect, "%s", row->what);
	}
}

/* ---- reading ---- */

/* On the heap and of exactly its length, so that sanitizers see an overread. */
static enum proxyproto_answer
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

static void
expect_address(const struct addr *addr, const char *text, const char *what)
{
	struct addr expect = { 0 };

	if (text != NULL)
		cr_assert(addr_parse(&expect, NULL, text, NULL), "%s", text);
	cr_expect(addr_equal(addr, &expect), "%s", what);
}

/* Each shorter part needs more: at least a byte, at most the header. */
static void
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
from_hex(uint8_t *to, const char *text, size_t zeros)
{
	size_t len = 0;

	for (; text[0] != '\0'; text += 2)
		to[len++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	memset(to + len, 0, zeros);
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

/* Write the header of this row; returns its length. */
static size_t
build(uint8_t *to, const struct block_row *row)
{
	size_t front = from_hex(to, SIGNATURE, 0);
	size_t block;

	front += from_hex(to + front, row->kind, 2);
	block = from_hex(to + front, row->block, row->zeros);
	to[front - 2] = (uint8_t)(block >> 8);
	to[front - 1] = (uint8_t)block;
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
	{ { "what is no TLV, without a family", "2100", "ffffff", 0, 0, 0 },
	    "TLVs" },
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

static const struct other_row {
	const char *what, *bytes;
	size_t len;
} others[] = {
	{ "a TLS client", "\x16", 1 },
	{ "an HTTP client", "G", 1 },
	{ "another word", "PROXX", 5 },
	{ "lower case", "p", 1 },
	{ "no blank", "PROXY\t", 6 },
	{ "a zero byte", "\0", 1 },
	{ "an empty line", "\r\n\r\n\r", 5 },
	{ "the last byte of the signature", "\r\n\r\n\0\r\nQUIT\r", 12 },
};

Test(proxyproto_in, refuses_other_bytes_at_the_first_that_differs)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct other_row *row = &others[i];
		const uint8_t *bytes = (const uint8_t *)row->bytes;
		struct proxyproto_header header;
		size_t len;

		expect_more(bytes, row->len, row->what);
		cr_expect_eq(parse(bytes, row->len, &header, &len),
		    PROXYPROTO_BAD, "%s", row->what);
		cr_expect_str_eq(header.why, "the peer sent no PROXY header");
	}
}

/* ---- reading version 1 ---- */

/* "PROXY " and the line's end come by themselves. */
static size_t
line(uint8_t *to, const char *text)
{
	return (size_t)sprintf((char *)to, "PROXY %s\r\n", text);
}

static const struct line_row {
	const char *what, *line;
	const char *client; /* NULL: none */
	const char *server;
} good_lines[] = {
	{ "IPv4", "TCP4 192.0.2.1 198.51.100.2 1025 443", "192.0.2.1:1025",
	    "198.51.100.2:443" },
	{ "the smallest IPv4", "TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0",
	    "0.0.0.0:0" },
	{ "the longest IPv4",
	    "TCP4 255.255.255.255 255.255.255.255 65535 65535",
	    "255.255.255.255:65535", "255.255.255.255:65535" },
	{ "IPv6", "TCP6 2001:db8::1 ::1 1 443", "[2001:db8::1]:1",
	    "[::1]:443" },
	{ "IPv6 in upper case", "TCP6 2001:DB8::A ::1 1 443", "[2001:db8::a]:1",
	    "[::1]:443" },
	{ "the longest IPv6",
	    "TCP6 2001:0db8:1111:2222:3333:4444:5555:6666 "
	    "2001:0db8:1111:2222:3333:4444:5555:7777 65535 65535",
	    "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	    "[2001:db8:1111:2222:3333:4444:5555:7777]:65535" },
	{ "IPv4 mapped into IPv6",
	    "TCP6 ::ffff:c000:201 ::ffff:198.51.100.2 1025 443",
	    "192.0.2.1:1025", "198.51.100.2:443" },
	{ "nothing known", "UNKNOWN", NULL, NULL },
	{ "nothing known, and more bytes", "UNKNOWN 1.2.3.4 \1 x", NULL, NULL },
};

Test(proxyproto_line, is_taken)
{
	for (size_t i = 0; i < ARRAY_LEN(good_lines); i++) {
		const struct line_row *row = &good_lines[i];
		struct proxyproto_header header;
		uint8_t bytes[128];
		size_t whole = line(bytes, row->line), len;

		bytes[whole] = 0x16; /* of the ClientHello behind it */
		cr_expect_eq(parse(bytes, whole + 1, &header, &len),
		    PROXYPROTO_DONE, "%s", row->what);
		cr_expect_eq(len, whole, "%s", row->what);
		cr_expect_eq(header.local, row->client == NULL);
		cr_expect_eq(header.unique_len, 0);
		expect_address(&header.client, row->client, row->what);
		expect_address(&header.server, row->server, row->what);
	}
}

static const struct bad_line {
	const char *what, *line;
} bad_lines[] = {
	{ "nothing at all", "" },
	{ "another protocol", "UDP4 1.2.3.4 1.2.3.4 1 2" },
	{ "a protocol in lower case", "tcp4 1.2.3.4 1.2.3.4 1 2" },
	{ "more than UNKNOWN", "UNKNOWNS" },
	{ "the protocol alone", "TCP4" },
	{ "one field less", "TCP4 1.2.3.4 1.2.3.4 1" },
	{ "one field more", "TCP4 1.2.3.4 1.2.3.4 1 2 3" },
	{ "a blank at the end", "TCP4 1.2.3.4 1.2.3.4 1 2 " },
	{ "a blank in front", " TCP4 1.2.3.4 1.2.3.4 1 2" },
	{ "two blanks", "TCP4 1.2.3.4  1.2.3.4 1 2" },
	{ "a tab", "TCP4 1.2.3.4\t1.2.3.4 1 2" },
	{ "IPv6 in TCP4", "TCP4 ::1 ::1 1 2" },
	{ "IPv4 in TCP6", "TCP6 1.2.3.4 1.2.3.4 1 2" },
	{ "two families", "TCP6 ::1 1.2.3.4 1 2" },
	{ "a zero in front of a number", "TCP4 1.2.3.04 1.2.3.4 1 2" },
	{ "a number over 255", "TCP4 1.2.3.256 1.2.3.4 1 2" },
	{ "three numbers", "TCP4 1.2.3 1.2.3.4 1 2" },
	{ "five numbers", "TCP4 1.2.3.4.5 1.2.3.4 1 2" },
	{ "a name", "TCP4 localhost 1.2.3.4 1 2" },
	{ "two double colons", "TCP6 1::2::3 ::1 1 2" },
	{ "five hexadecimal digits", "TCP6 ::12345 ::1 1 2" },
	{ "nine groups", "TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2" },
	{ "a zone", "TCP6 fe80::1%lo ::1 1 2" },
	{ "brackets", "TCP6 [::1] ::1 1 2" },
	{ "a port over 65535", "TCP4 1.2.3.4 1.2.3.4 65536 2" },
	{ "a port far over", "TCP4 1.2.3.4 1.2.3.4 99999999999 2" },
	{ "a zero in front of a port", "TCP4 1.2.3.4 1.2.3.4 01 2" },
	{ "two zeros as a port", "TCP4 1.2.3.4 1.2.3.4 1 00" },
	{ "a sign", "TCP4 1.2.3.4 1.2.3.4 +1 2" },
	{ "a negative port", "TCP4 1.2.3.4 1.2.3.4 1 -2" },
	{ "a hexadecimal port", "TCP4 1.2.3.4 1.2.3.4 1 0x2" },
	{ "no port", "TCP4 1.2.3.4 1.2.3.4  2" },
	{ "a CR in the line", "TCP4 1.2.3.4 1.2.3.4 1 2\r" },
};

Test(proxyproto_line, is_refused_unless_it_is_exact)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_lines); i++) {
		struct proxyproto_header header;
		uint8_t bytes[128];
		size_t whole = line(bytes, bad_lines[i].line), len;

		cr_expect_eq(parse(bytes, whole, &header, &len), PROXYPROTO_BAD,
		    "%s", bad_lines[i].what);
		cr_expect_str_eq(header.why, "the PROXY line is malformed");
	}
}

Test(proxyproto_line, is_waited_for_and_no_more)
{
	uint8_t bytes[128];

	for (size_t i = 0; i < ARRAY_LEN(good_lines); i++)
		expect_more(
		    bytes, line(bytes, good_lines[i].line), good_lines[i].what);
}

/* "PROXY UNKNOWN " and so many more bytes, then the end. */
static enum proxyproto_answer
unknown(size_t more, const char *end, struct proxyproto_header *header)
{
	uint8_t bytes[256];
	size_t len = (size_t)sprintf((char *)bytes, "PROXY UNKNOWN ");

	memset(bytes + len, 'x', more);
	memcpy(bytes + len + more, end, strlen(end));
	return parse(bytes, len + more + strlen(end), header, &len);
}

static const struct end_row {
	const char *what;
	size_t more;
	const char *end;
	enum proxyproto_answer expect;
	const char *why;
} end_rows[] = {
	{ "107 bytes", 91, "\r\n", PROXYPROTO_DONE, NULL },
	{ "108 bytes", 92, "\r\n", PROXYPROTO_BAD, "within 107 bytes" },
	{ "106 bytes and no end", 92, "", PROXYPROTO_MORE, NULL },
	{ "107 bytes and no end", 93, "", PROXYPROTO_BAD, "107 bytes" },
	{ "107 bytes and CR", 92, "\r", PROXYPROTO_BAD, "107 bytes" },
	{ "CR alone", 9, "\r", PROXYPROTO_MORE, NULL },
	{ "LF alone", 9, "\n", PROXYPROTO_BAD, "CR LF" },
	{ "LF and CR", 9, "\n\r", PROXYPROTO_BAD, "CR LF" },
	{ "CR in the middle", 9, "\rx\r\n", PROXYPROTO_DONE, NULL },
	{ "LF in the middle", 9, "\nx\r\n", PROXYPROTO_BAD, "CR LF" },
};

Test(proxyproto_line, ends_well_and_in_time)
{
	for (size_t i = 0; i < ARRAY_LEN(end_rows); i++) {
		const struct end_row *row = &end_rows[i];
		struct proxyproto_header header;

		cr_expect_eq(unknown(row->more, row->end, &header), row->expect,
		    "%s", row->what);
		cr_expect((header.why == NULL) == (row->why == NULL) &&
			      (row->why == NULL ||
				  strstr(header.why, row->why) != NULL),
		    "%s: %s", row->what, header.why);
	}
}

Test(proxyproto_line, is_not_cut_by_a_zero_byte)
{
	static const char text[] =
	    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0x 1.2.3.4 1 2\r\n";
	struct proxyproto_header header;
	size_t len;

	cr_expect_eq(
	    parse((const uint8_t *)text, sizeof(text) - 1, &header, &len),
	    PROXYPROTO_BAD);
}

/* ---- both ---- */

static const struct round_row {
	const char *what;
	enum config_proxy_out version;
	const char *client, *local;
	bool has_addresses;
} round_rows[] = {
	{ "IPv4 as text", PROXY_OUT_V1, "192.0.2.1:1", "198.51.100.2:443",
	    true },
	{ "IPv6 as text", PROXY_OUT_V1, "[2001:db8::1]:1", "[::2]:443", true },
	{ "both as text", PROXY_OUT_V1, "192.0.2.1:1", "[::2]:443", true },
	{ "neither as text", PROXY_OUT_V1, "unix:/a", "unix:/b", false },
	{ "IPv4", PROXY_OUT_V2, "192.0.2.1:1", "198.51.100.2:443", true },
	{ "IPv6", PROXY_OUT_V2, "[2001:db8::1]:1", "[::2]:443", true },
	{ "both", PROXY_OUT_V2, "192.0.2.1:1", "[::2]:443", true },
	{ "neither", PROXY_OUT_V2, "unix:/a", "unix:/b", false },
};

/* Write the header of this row, with every TLV, to out; returns its length. */
static size_t
format(const struct round_row *row)
{
	struct addr client, local;
	struct proxyproto_facts facts = { .client = &client,
		.local = &local,
		.tlvs = ~0u,
		.tls = true,
		.authority = "a.example",
		.alpn = "h2",
		.alpn_len = 2,
		.unique = (const uint8_t *)"hi",
		.unique_len = 2,
		.version = "TLSv1.3" };

	cr_assert(addr_parse(&client, NULL, row->client, NULL));
	cr_assert(addr_parse(&local, NULL, row->local, NULL));
	return proxyproto_format(row->version, &facts, out);
}

Test(proxyproto_round, comes_back_as_it_was_sent)
{
	for (size_t i = 0; i < ARRAY_LEN(round_rows); i++) {
		const struct round_row *row = &round_rows[i];
		size_t whole = format(row), len;
		struct proxyproto_header header;

		cr_expect_eq(proxyproto_parse(out, whole, &header, &len),
		    PROXYPROTO_DONE, "%s: %s", row->what, header.why);
		cr_expect_eq(len, whole, "%s", row->what);
		cr_expect_eq(
		    header.local, !row->has_addresses, "%s", row->what);
		cr_expect_eq(header.unique_len,
		    row->version == PROXY_OUT_V2 ? 2 : 0, "%s", row->what);
		expect_address(&header.client,
		    row->has_addresses ? row->client : NULL, row->what);
		expect_address(&header.server,
		    row->has_addresses ? row->local : NULL, row->what);
	}
}

/* The type of the sum: with one bit changed it is that of another TLV. */
static bool
is_type_of_sum(size_t at)
{
	return memcmp(out + at, "\3\0\4", 3) == 0;
}

static bool
is_accepted(size_t whole)
{
	struct proxyproto_header header;
	size_t len;

	return proxyproto_parse(out, whole, &header, &len) == PROXYPROTO_DONE;
}

Test(proxyproto_round, is_refused_with_one_bit_changed)
{
	for (size_t i = 0; i < ARRAY_LEN(round_rows); i++) {
		size_t whole = format(&round_rows[i]);

		/* LOCAL is accepted with any contents. */
		if (round_rows[i].version == PROXY_OUT_V1 ||
		    !round_rows[i].has_addresses)
			continue;
		for (size_t bit = 0; bit < 8 * whole; bit++) {
			uint8_t mask = (uint8_t)(1 << bit % 8);

			if (is_type_of_sum(bit / 8))
				continue;
			out[bit / 8] ^= mask;
			cr_expect_not(is_accepted(whole), "%s: %zu",
			    round_rows[i].what, bit);
			out[bit / 8] ^= mask;
		}
		cr_expect(is_accepted(whole), "%s", round_rows[i].what);
	}
}
