/*
 * What can be said about users and groups without being root: who does not
 * exist is refused by name, and staying who we are still gives up new rights.
 */
#include "runtime/privilege.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

Test(privilege, refuses_who_does_not_exist)
{
	static const struct {
		const char *what, *user, *group, *expect;
	} rows[] = {
		{ "user", "no-such-user", NULL, "user no-such-user" },
		{ "group", NULL, "no-such-group", "group no-such-group" },
		{ "no number", "12x", NULL, "user 12x" },
		{ "all ones", "4294967295", NULL, "user 4294967295" },
		{ "too large", "99999999999", NULL, "user 99999999999" },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_not(
		    privilege_drop(rows[i].user, rows[i].group, false, &err),
		    "%s", rows[i].what);
		cr_expect_not_null(strstr(err.text, rows[i].expect), "%s: %s",
		    rows[i].what, err.text);
	}
}

Test(privilege, gives_up_new_rights_in_every_case)
{
	struct err err = { "" };

	cr_assert(privilege_drop(NULL, NULL, false, &err), "%s", err.text);
	cr_expect_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

Test(privilege, has_nothing_to_do_when_it_is_that_user_already)
{
	struct err err = { "" };
	char user[16], group[16];

	snprintf(user, sizeof(user), "%u", (unsigned)getuid());
	snprintf(group, sizeof(group), "%u", (unsigned)getgid());
	cr_expect(privilege_drop(user, group, true, &err), "%s", err.text);
}

Test(privilege, gives_a_folder_only_as_root)
{
	char folder[] = "/tmp/clinch-unit-XXXXXX";
	uid_t expect = geteuid() == 0 ? 12345 : geteuid();
	struct err err = { "" };
	struct stat status;

	cr_assert_not_null(mkdtemp(folder));
	cr_expect(privilege_give(folder, "12345", NULL, &err), "%s", err.text);
	cr_assert_eq(stat(folder, &status), 0);
	cr_expect_eq(status.st_uid, expect);
	rmdir(folder);
	cr_expect_eq(
	    privilege_give(folder, "12345", NULL, &err), geteuid() != 0);
}

Test(privilege, gives_nothing_behind_a_link)
{
	char folder[] = "/tmp/clinch-unit-XXXXXX", link[64];
	struct stat status;
	struct err err = { "" };

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(link, sizeof(link), "%s.link", folder);
	cr_assert_eq(symlink(folder, link), 0);
	cr_expect_not(privilege_give(link, "12345", NULL, &err));
	cr_expect_not_null(strstr(err.text, link), "%s", err.text);
	cr_assert_eq(stat(folder, &status), 0);
	cr_expect_eq(status.st_uid, 0);
	unlink(link);
	rmdir(folder);
}
