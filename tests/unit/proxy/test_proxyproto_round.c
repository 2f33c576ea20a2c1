/* What clinch sends, as clinch takes it. */
#include <criterion/criterion.h>
#include <string.h>

#include "proxy/proxyproto.h"

static uint8_t bytes[PROXYPROTO_OUT_MAX];
static struct proxyproto_header header;

static const struct row {
	const char *what;
	enum config_proxy_out version;
	const char *client, *local;
	bool told; /* are there addresses to tell? */
} rows[] = {
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

/* The header of this row, with all there is to tell; its length. */
static size_t
format(const struct row *row)
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
	return proxyproto_format(row->version, &facts, bytes);
}

static void
expect_address(const struct addr *addr, const char *text)
{
	char printed[ADDR_TEXT_MAX];

	cr_expect_str_eq(addr_print(addr, printed, sizeof(printed)), text);
}

Test(proxyproto_round, comes_back_as_it_was_sent)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		size_t whole = format(row), len;

		cr_expect_eq(proxyproto_parse(bytes, whole, &header, &len),
		    PROXYPROTO_DONE, "%s: %s", row->what, header.why);
		cr_expect_eq(len, whole, "%s", row->what);
		cr_expect_eq(header.local, !row->told, "%s", row->what);
		cr_expect_eq(header.unique_len,
		    row->version == PROXY_OUT_V2 ? 2 : 0, "%s", row->what);
		expect_address(&header.client, row->told ? row->client : "-");
		expect_address(&header.server, row->told ? row->local : "-");
	}
}

/* The type of the sum itself: spoiled, it is that of another TLV. */
static bool
is_type_of_sum(size_t at)
{
	return memcmp(bytes + at, "\3\0\4", 3) == 0;
}

static bool
is_taken(size_t whole)
{
	size_t len;

	return proxyproto_parse(bytes, whole, &header, &len) == PROXYPROTO_DONE;
}

Test(proxyproto_round, spoiled_in_any_bit_is_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t whole = format(&rows[i]);

		/* LOCAL is taken although its TLVs make no sense. */
		if (rows[i].version == PROXY_OUT_V1 || !rows[i].told)
			continue;
		for (size_t bit = 0; bit < 8 * whole; bit++) {
			uint8_t mask = (uint8_t)(1 << bit % 8);

			if (is_type_of_sum(bit / 8))
				continue;
			bytes[bit / 8] ^= mask;
			cr_expect_not(
			    is_taken(whole), "%s: %zu", rows[i].what, bit);
			bytes[bit / 8] ^= mask;
		}
		cr_expect(is_taken(whole), "%s", rows[i].what);
	}
}
