/* Error texts: set, prefixed, cut; and NULL is accepted. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

Test(err, grows_to_the_left)
{
	struct err err = { "" };

	err_set(&err, "key does not match");
	err_prefix(&err, "cert %s", "site.pem");
	err_prefix(&err, "clinch.ini:%d", 12);
	cr_expect_str_eq(
	    err.text, "clinch.ini:12: cert site.pem: key does not match");
}

Test(err, a_new_text_replaces_the_old)
{
	struct err err = { "" };

	err_set(&err, "first");
	err_set(&err, "second");
	cr_expect_str_eq(err.text, "second");
}

Test(err, names_the_error_of_the_system)
{
	struct err err = { "" };

	err_set_errno(&err, ENOENT, "cannot open %s", "x");
	cr_expect_str_eq(err.text, "cannot open x: No such file or directory");
}

Test(err, may_quote_itself)
{
	struct err err = { "" };

	err_set(&err, "inner");
	err_set(&err, "outer (%s)", err.text);
	cr_expect_str_eq(err.text, "outer (inner)");
	err_prefix(&err, "%s", err.text);
	cr_expect_str_eq(err.text, "outer (inner): outer (inner)");
}

Test(err, cuts_the_right_end)
{
	char longer[2 * ERR_TEXT_MAX];
	struct err err = { "" };

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&err, "%s", longer);
	cr_expect_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "left");
	cr_expect_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	cr_expect_eq(strncmp(err.text, "left: xxx", 9), 0);
}

Test(err, accepts_null)
{
	struct err err = { "untouched" };

	err_set(NULL, "a");
	err_set_errno(NULL, ENOENT, "b");
	err_prefix(NULL, "c");
	cr_expect_str_eq(err.text, "untouched");
}

Test(err, names_a_whole_path)
{
	static const struct {
		const char *what, *text, *path;
		bool expect;
	} rows[] = {
		{ "at the end", "cannot read /a/b", "/a/b", true },
		{ "before a colon", "/a/b: gone", "/a/b", true },
		{ "before a blank", "/a/b is empty", "/a/b", true },
		{ "one of two", "no match: /a/b.key, /a/b", "/a/b", true },
		{ "a longer one", "cannot read /a/b.key", "/a/b", false },
		{ "another", "cannot read /a/c", "/a/b", false },
		{ "no text", "", "/a/b", false },
		{ "no file", "cannot read /a/b", NULL, false },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err_set(&err, "%s", rows[i].text);
		cr_expect_eq(err_names(&err, rows[i].path), rows[i].expect,
		    "%s", rows[i].what);
	}
}
