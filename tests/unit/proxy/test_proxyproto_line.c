/* Version 1 of the PROXY protocol: one line, and no other spelling of it. */
#include "proxyproto_rig.h"

/* "PROXY " and the line's end come by themselves. */
static size_t
line(uint8_t *out, const char *text)
{
	return (size_t)sprintf((char *)out, "PROXY %s\r\n", text);
}

static const struct line_row {
	const char *what, *line;
	const char *client; /* NULL: none is told */
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
	{ "nothing known, and more said", "UNKNOWN 1.2.3.4 \1 x", NULL, NULL },
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
