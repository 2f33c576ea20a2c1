/*
 * Names: what is one, and which entry of a table it leads to.
 */
#include "tls/sni.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define L63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghi"
#define NAME253                                   \
	L63 "." L63 "." L63 "." /* and 61 more */ \
	    "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefg"

static const struct name_row {
	const char *what, *given;
	size_t len;         /* 0: up to the terminator */
	const char *expect; /* NULL: no name */
} name_rows[] = {
	{ "a name", "a.example", 0, "a.example" },
	{ "one label", "localhost", 0, "localhost" },
	{ "upper case", "WWW.Example", 0, "www.example" },
	{ "a trailing dot", "a.example.", 0, "a.example" },
	{ "two trailing dots", "a.example..", 0, NULL },
	{ "a leading dot", ".a.example", 0, NULL },
	{ "an empty label", "a..example", 0, NULL },
	{ "nothing but a dot", ".", 0, NULL },
	{ "an underscore", "_dmarc.a", 0, "_dmarc.a" },
	{ "punycode", "xn--bcher-kva.example", 0, "xn--bcher-kva.example" },
	{ "raw UTF-8",
	    "b\xc3\xbc"
	    "cher.example",
	    0, NULL },
	{ "a NUL", "a.example\0.b", 12, NULL },
	{ "a NUL at the end", "a.example\0", 10, NULL },
	{ "a blank", "a b.example", 0, NULL },
	{ "a control", "a\x1f.example", 0, NULL },
	{ "a star", "*.example", 0, NULL },
	{ "IPv4", "192.0.2.1", 0, NULL },
	{ "IPv4 with a dot", "192.0.2.1.", 0, NULL },
	{ "digits that are no address", "192.0.2.1.5", 0, "192.0.2.1.5" },
	{ "IPv6", "2001:db8::1", 0, NULL },
	{ "IPv6 in brackets", "[2001:db8::1]", 0, NULL },
	{ "a label of 63", L63 ".a", 0, L63 ".a" },
	{ "a label of 64", L63 "x.a", 0, NULL },
	{ "a name of 253", NAME253, 0, NAME253 },
	{ "253 and a dot", NAME253 ".", 0, NAME253 },
	{ "a name of 254", NAME253 "h", 0, NULL },
};

Test(sni, normalises_names)
{
	char out[SNI_NAME_MAX + 1];

	cr_assert_eq(strlen(NAME253), SNI_NAME_MAX);
	for (size_t i = 0; i < ARRAY_LEN(name_rows); i++) {
		const struct name_row *row = &name_rows[i];
		size_t len = row->len > 0 ? row->len : strlen(row->given);
		bool ok = sni_normalise(out, (const uint8_t *)row->given, len);

		cr_expect_eq(ok, row->expect != NULL, "%s", row->what);
		if (ok && row->expect != NULL)
			cr_expect_str_eq(out, row->expect, "%s", row->what);
	}
	cr_expect_not(sni_normalise(out, NULL, 0), "no bytes");
}

static const struct {
	const char *given, *expect;
} pattern_rows[] = {
	{ "A.example", "a.example" },
	{ "*.A.example.", "*.a.example" },
	{ "*.example", "*.example" },
	{ "*", NULL },
	{ "*.", NULL },
	{ "*.*.example", NULL },
	{ "a*.example", NULL },
	{ "a.*.example", NULL },
	{ "*.192.0.2.1", NULL },
	{ "", NULL },
	{ "*." NAME253, NULL },
};

Test(sni, normalises_patterns)
{
	char out[SNI_NAME_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(pattern_rows); i++) {
		const char *given = pattern_rows[i].given;
		bool ok = sni_normalise_pattern(out, given);

		cr_expect_eq(ok, pattern_rows[i].expect != NULL, "%s", given);
		if (ok && pattern_rows[i].expect != NULL)
			cr_expect_str_eq(out, pattern_rows[i].expect);
	}
}

static struct sni_table *
table_of(const char *const *patterns, size_t count)
{
	struct sni_table *table = sni_table_new(count);

	cr_assert_not_null(table);
	for (size_t i = 0; i < count; i++)
		cr_assert(sni_table_add(table, patterns[i], i));
	sni_table_seal(table);
	return table;
}

static const char *const zoo[] = { "b.example", "*.example", "a.example",
	"*.a.example", "localhost", "b.example", "*.example", "*.b.b" };

static const struct {
	const char *what, *given;
	size_t expect;
} find_rows[] = {
	{ "itself", "a.example", 2 },
	{ "a twin: the first", "b.example", 0 },
	{ "by wildcard; its twin's is the first", "c.example", 1 },
	{ "the longer wildcard", "x.a.example", 3 },
	{ "two labels for one star", "x.y.example", SNI_NONE },
	{ "no label for a star", "example", SNI_NONE },
	{ "a wildcard of nobody", "a.b.b.b", SNI_NONE },
	{ "one label", "localhost", 4 },
	{ "behind all", "zzz", SNI_NONE },
	{ "before all", "!", SNI_NONE },
	{ "a beginning", "a.exampl", SNI_NONE },
	{ "more than that", "a.examples", SNI_NONE },
};

Test(sni, finds_the_name_then_the_wildcard)
{
	struct sni_table *table = table_of(zoo, ARRAY_LEN(zoo));

	for (size_t i = 0; i < ARRAY_LEN(find_rows); i++)
		cr_expect_eq(sni_table_find(table, find_rows[i].given),
		    find_rows[i].expect, "%s", find_rows[i].what);
	sni_table_free(table);
}

Test(sni, finds_a_wildcard_exactly)
{
	struct sni_table *table = table_of(zoo, ARRAY_LEN(zoo));

	cr_expect_eq(sni_table_exact(table, "*.example"), 1);
	cr_expect_eq(sni_table_exact(table, "*.nowhere"), SNI_NONE);
	cr_expect_eq(sni_table_exact(table, "c.example"), SNI_NONE);
	sni_table_free(table);
}

Test(sni, table_may_be_empty)
{
	struct sni_table *table = table_of(NULL, 0);

	cr_expect_eq(sni_table_find(table, "a.example"), SNI_NONE);
	sni_table_free(table);
	sni_table_free(NULL);
}

Test(sni, finds_every_one_of_ten_thousand)
{
	enum { NAMES = 10000 };
	struct sni_table *table = sni_table_new(NAMES);
	char name[32];

	for (size_t i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%zu.example", i * 7919 % NAMES);
		cr_assert(sni_table_add(table, name, i * 7919 % NAMES));
	}
	sni_table_seal(table);
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "n%zu.example", i);
		cr_assert_eq(sni_table_find(table, name), i);
	}
	cr_assert_eq(sni_table_find(table, "n10000.example"), SNI_NONE);
	sni_table_free(table);
}
