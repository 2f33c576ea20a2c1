/* Sentences: set, prefixed, cut, and harmless when nobody wants them. */
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

Test(err, a_new_sentence_replaces_the_old)
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

Test(err, nobody_need_listen)
{
	struct err err = { "untouched" };

	err_set(NULL, "a");
	err_set_errno(NULL, ENOENT, "b");
	err_prefix(NULL, "c");
	cr_expect_str_eq(err.text, "untouched");
}
