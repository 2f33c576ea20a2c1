/* CRC-32C against values that others have published. */
#include "proxy/crc32c.h"

#include <criterion/criterion.h>

#include "base/attr.h"

/* RFC 3720 appendix B.4, and the usual check value. */
static const struct row {
	const char *what;
	const char *bytes;
	size_t len;
	uint32_t expect;
} rows[] = {
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
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		uint32_t sum = crc32c((const uint8_t *)row->bytes, row->len);

		cr_expect_eq(sum, row->expect, "%s: %x", row->what, sum);
	}
}
