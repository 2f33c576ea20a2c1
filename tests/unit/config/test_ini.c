/*
 * Headings, pairs and errors, each with its line.
 */
#include "config/ini.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sink {
	char text[4096];
	size_t values; /* length of the last value */
};

static void
write_down(void *arg, const struct ini_item *item)
{
	struct sink *sink = arg;
	size_t used = strlen(sink->text);
	char *out = sink->text + used;
	size_t room = sizeof(sink->text) - used;

	if (item->wrong != NULL) {
		snprintf(out, room, "%u!", item->line);
	} else if (item->section != NULL) {
		snprintf(out, room, "%u[%s]", item->line, item->section);
	} else {
		sink->values = strlen(item->value);
		snprintf(out, room, "%u(%s=%.64s)", item->line, item->key,
		    item->value);
	}
}

struct row {
	const char *what, *given, *expect;
};

static void
walk(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sink sink = { "", 0 };

		ini_read(
		    rows[i].given, strlen(rows[i].given), write_down, &sink);
		cr_expect_str_eq(sink.text, rows[i].expect, "%s: %s",
		    rows[i].what, sink.text);
	}
}

Test(ini, finds_headings_and_pairs_with_their_lines)
{
	static const struct row rows[] = {
		{ "nothing", "", "" },
		{ "a pair", "a = b", "1(a=b)" },
		{ "no blanks", "a=b\n", "1(a=b)" },
		{ "an empty value", "a =\n", "1(a=)" },
		{ "a heading", "[s]\na = b\n", "1[s]2(a=b)" },
		{ "empty sections", "[s]\n[t]\n", "1[s]2[t]" },
		{ "blank lines count", "\n\n a = b\n", "3(a=b)" },
		{ "indented", "[s]\n\ta = b\n  c = d\n", "1[s]2(a=b)3(c=d)" },
		{ "indented heading", "  [ s x ]  \n", "1[s x]" },
		{ "CR LF", "[s]\r\na = b\r\n", "1[s]2(a=b)" },
		{ "byte order mark", "\xef\xbb\xbf[s]\n", "1[s]" },
		{ "equals sign in the value", "a = b = c", "1(a=b = c)" },
		{ "brackets in the value", "a = [::]:1", "1(a=[::]:1)" },
	};

	walk(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(ini, leaves_comments_out)
{
	static const struct row rows[] = {
		{ "semicolon", "; a = b\n", "" },
		{ "hash, indented", "  # a = b\n", "" },
		{ "behind a value", "a = b ; c", "1(a=b)" },
		{ "behind a tab", "a = b\t; c", "1(a=b)" },
		{ "behind a heading", "[s] ; c", "1[s]" },
		{ "in place of a value", "a =; c", "1(a=)" },
		{ "no blank: not a comment", "a = b;c", "1(a=b;c)" },
		{ "hash in a value", "a = b #c", "1(a=b #c)" },
	};

	walk(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(ini, names_the_line_of_what_is_wrong_and_goes_on)
{
	static const struct row rows[] = {
		{ "no equals sign", "a\nb = c", "1!2(b=c)" },
		{ "two words for a key", "a b = c\nb = c", "1!2(b=c)" },
		{ "no key", "\n= c\nb = c", "2!3(b=c)" },
		{ "open heading", "[s\nb = c", "1!2(b=c)" },
		{ "empty heading", "[ ]\n", "1!" },
		{ "text behind a heading", "[s] t\n", "1!" },
		{ "escape sequence", "a = \x1b[0m\n", "1!" },
		{ "lone CR", "a = b\rc = d\n", "1!" },
	};

	walk(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(ini, refuses_nul_bytes)
{
	struct sink sink = { "", 0 };

	ini_read("a = b\0c\nd = e", 13, write_down, &sink);
	cr_expect_str_eq(sink.text, "1!2(d=e)");
}

/* A line of exactly `size` bytes, "key = xx x;x#x ..." */
static char *
long_line(size_t size)
{
	static const char pattern[] = "=xy z;#q:[]";
	char *line = malloc(size + 1);

	cr_assert_not_null(line);
	for (size_t i = 0; i < size; i++)
		line[i] = pattern[i % (sizeof(pattern) - 1)];
	memcpy(line, "key = ", 6);
	line[size - 1] = 'e';
	line[size] = '\0';
	return line;
}

Test(ini, takes_long_lines_whole)
{
	static const size_t sizes[] = { 190, 197, 198, 199, 200, 201, 400, 5000,
		INI_LINE_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sink sink = { "", 0 };
		char *line = long_line(sizes[i]);

		ini_read(line, sizes[i], write_down, &sink);
		cr_expect_eq(sink.values, sizes[i] - 6, "%zu bytes: %s",
		    sizes[i], sink.text);
		free(line);
	}
}

static void
compare_value(void *arg, const struct ini_item *item)
{
	const char *line = arg;

	cr_assert_null(item->wrong, "%s", item->wrong);
	cr_expect_str_eq(item->value, line + 6);
}

Test(ini, puts_long_values_together_unchanged)
{
	char *line = long_line(3000);

	ini_read(line, strlen(line), compare_value, line);
	free(line);
}

Test(ini, refuses_longer_lines_and_goes_on)
{
	struct sink sink = { "", 0 };
	size_t size = INI_LINE_MAX + 7;
	char *text = long_line(size);

	memcpy(text + INI_LINE_MAX + 1, "\na = b", 6);
	ini_read(text, size, write_down, &sink);
	cr_expect_str_eq(sink.text, "1!2(a=b)");
	free(text);
}

Test(ini, drops_a_long_comment_behind_a_value)
{
	struct sink sink = { "", 0 };
	char text[1000];

	memset(text, 'c', sizeof(text));
	memcpy(text, "a = b ;", 7);
	ini_read(text, sizeof(text), write_down, &sink);
	cr_expect_str_eq(sink.text, "1(a=b)");
}

Test(ini, does_not_cut_long_section_names)
{
	struct sink sink = { "", 0 };
	char text[302];

	memset(text, 's', sizeof(text));
	text[0] = '[';
	text[301] = ']';
	ini_read(text, sizeof(text), write_down, &sink);
	cr_expect_eq(strlen(sink.text), sizeof(text) + 1);
}
