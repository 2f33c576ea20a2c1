/* Strangers' bytes made printable. */
#include "staple/text.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"

static const struct {
	const char *what;
	const char *given;
	size_t len;
	const char *expect;
} rows[] = {
	{ "nothing", "", 0, "" },
	{ "plain text", "a b~", 4, "a b~" },
	{ "a NUL", "a\0b", 3, "a\\x00b" },
	{ "a line and a terminal's escape", "\n\x1b[", 3, "\\x0a\\x1b[" },
	{ "a backslash, or escapes could be forged", "\\x", 2, "\\x5cx" },
	{ "two bytes of UTF-8", "\xc3\xa9", 2, "\\xc3\\xa9" },
	{ "delete", "\x7f", 1, "\\x7f" },
	{ "just what fits", "0123456789abcde", 15, "0123456789abcde" },
	{ "one byte too many", "0123456789abcdef", 16, "0123456789abcde" },
	{ "an escape that fits", "0123456789a\n", 12, "0123456789a\\x0a" },
	{ "an escape that does not", "0123456789ab\n", 13, "0123456789ab" },
};

Test(text, escapes_what_is_not_printable)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[16];

		staple_text_escape(
		    out, sizeof(out), rows[i].given, rows[i].len);
		cr_expect_str_eq(out, rows[i].expect, "%s", rows[i].what);
	}
}

Test(text, prints_bytes_as_hex)
{
	static const unsigned char bytes[] = { 0x00, 0x1f, 0xff };
	char out[7];

	staple_text_hex(out, sizeof(out), bytes, 3);
	cr_expect_str_eq(out, "001fff");
	staple_text_hex(out, sizeof(out), bytes, 0);
	cr_expect_str_eq(out, "");
}

Test(text, cuts_hex_between_bytes)
{
	static const unsigned char bytes[] = { 0x00, 0x1f, 0xff };
	char out[6];

	staple_text_hex(out, sizeof(out), bytes, 3);
	cr_expect_str_eq(out, "001f");
}
