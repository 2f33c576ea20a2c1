/* What clinch tells a backend, byte by byte. */
#include "proxy/proxyproto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proxy/crc32c.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"

static uint8_t out[PROXYPROTO_OUT_MAX];

/* Everything there is to tell, so that a mask alone decides. */
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

/* What the header says of its own length. */
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

Test(proxyproto, tells_both_addresses_as_text)
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

Test(proxyproto, tells_both_addresses_as_bytes)
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

Test(proxyproto, of_nobody_is_unknown)
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
	{ "the name asked for", PROXY_TLV_AUTHORITY,
	    "020009612e6578616d706c65" },
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

Test(proxyproto, tells_what_is_wanted_and_no_more)
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

Test(proxyproto, tells_nothing_that_is_not_known)
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
	{ "one of the session", false, true, true, "0500000000" },
};

Test(proxyproto, says_how_the_client_is_known)
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
	right = crc32c(out, len);
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

Test(proxyproto, tells_of_tls_as_far_as_there_is_room)
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
