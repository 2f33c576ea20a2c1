/*
 * Included files, and the expansion of ${...}.
 */
#include "config/reader.h"

#include "unit/config/folder.h"
#include "unit/config/reading.h"

/* Load the folder's main file.  The caller frees the errors. */
static const struct config *
load(const struct folder *folder, struct config_errors *errors)
{
	char path[128];

	return config_load(folder_file(folder, "main.ini", path), errors);
}

/* Expect one error that contains both texts. */
static void
expect_load_error(
    const struct folder *folder, const char *first, const char *second)
{
	struct config_errors errors;
	const struct config *config = load(folder, &errors);

	cr_assert_null(config);
	cr_assert_eq(errors.list.count, 1, "%zu", errors.list.count);
	cr_expect_not_null(
	    strstr(errors.list.items[0], first), "%s", errors.list.items[0]);
	cr_expect_not_null(
	    strstr(errors.list.items[0], second), "%s", errors.list.items[0]);
	config_errors_free(&errors);
}

Test(reader, reads_an_included_file_in_its_place)
{
	struct folder folder;
	struct config_errors errors;
	const struct config *config;
	const struct config_path *cert;
	char path[128];

	folder_make(&folder);
	folder_sub(&folder, "sub");
	folder_write(&folder, "main.ini",
	    "[listener a]\ninclude = sub/rest.ini\nbacklog = 7\n");
	folder_write(&folder, "sub/rest.ini",
	    "accept = 0\nconnect = 1\ncert = c.pem\n[log]\nlevel = info\n");
	config = load(&folder, &errors);
	cr_assert_not_null(config, "%s", errors.list.items[0]);
	cr_expect_eq(config->log.level, LEVEL_INFO);
	cr_expect_eq(config->listeners[0].backlog, 7);
	cert = &config->listeners[0].certs.items[0];
	cr_expect_str_eq(cert->path, folder_file(&folder, "sub/c.pem", path));
	cr_expect_str_eq(
	    cert->where.file, folder_file(&folder, "sub/rest.ini", path));
	cr_expect_eq(cert->where.line, 3);
	config_unref(config);
	folder_remove(&folder);
}

Test(reader, reads_the_ini_files_of_a_folder_in_order)
{
	struct folder folder;
	struct config_errors errors;
	const struct config *config;

	folder_make(&folder);
	folder_sub(&folder, "d");
	folder_write(&folder, "main.ini", "include = d\n");
	folder_write(&folder, "d/20.ini", LISTENER("second"));
	folder_write(&folder, "d/10.ini", LISTENER("first"));
	folder_write(&folder, "d/30.conf", LISTENER("no"));
	folder_write(&folder, "d/.40.ini", LISTENER("no"));
	config = load(&folder, &errors);
	cr_assert_not_null(config, "%s", errors.list.items[0]);
	cr_assert_eq(config->listener_count, 2);
	cr_expect_str_eq(config->listeners[0].name, "first");
	cr_expect_str_eq(config->listeners[1].name, "second");
	config_unref(config);
	folder_remove(&folder);
}

Test(reader, notes_a_folder_without_ini_files)
{
	struct folder folder;
	struct config_errors errors;
	const struct config *config;

	folder_make(&folder);
	folder_sub(&folder, "d");
	folder_write(&folder, "main.ini", "include = d\n" LISTENER("a"));
	config = load(&folder, &errors);
	cr_assert_not_null(config, "%s", errors.list.items[0]);
	cr_assert_eq(config->notes.count, 1);
	cr_expect_not_null(strstr(config->notes.items[0], "main.ini:1: "));
	config_unref(config);
	folder_remove(&folder);
}

Test(reader, names_both_files_of_a_circle)
{
	struct folder folder;
	char path[128];

	folder_make(&folder);
	folder_write(&folder, "main.ini", "include = b.ini\n" LISTENER("a"));
	folder_write(&folder, "b.ini", "\ninclude = link.ini\n");
	cr_assert_eq(
	    symlink("main.ini", folder_file(&folder, "link.ini", path)), 0);
	expect_load_error(&folder, "b.ini:2: include ", "main.ini is still");
	folder_remove(&folder);
}

Test(reader, bounds_the_depth_of_includes)
{
	struct folder folder;
	char name[32], text[64];

	folder_make(&folder);
	folder_write(&folder, "main.ini", "include = 0.ini\n" LISTENER("a"));
	for (int i = 0; i < 2 * READER_DEPTH_MAX; i++) {
		snprintf(name, sizeof(name), "%d.ini", i);
		snprintf(text, sizeof(text), "include = %d.ini\n", i + 1);
		folder_write(&folder, name, text);
	}
	expect_load_error(&folder, "14.ini:1: include ", "more than 16");
	folder_remove(&folder);
}

Test(reader, reports_why_a_file_cannot_be_included)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "absent", "include = none.ini\n", "No such file" },
		{ "a device", "include = /dev/null\n", "not a regular file" },
		{ "nothing", "include =\n", "needs a file" },
	};
	struct folder folder;
	char text[256];

	folder_make(&folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(
		    text, sizeof(text), "\n%s" LISTENER("a"), rows[i].given);
		folder_write(&folder, "main.ini", text);
		expect_load_error(&folder, "main.ini:2: ", rows[i].expect);
	}
	folder_remove(&folder);
}

Test(reader, reports_why_the_main_file_cannot_be_read)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "absent", "/none/x.ini", "/none/x.ini: cannot be opened" },
		{ "a folder", "/tmp", "/tmp: is a folder" },
		{ "a device", "/dev/zero", "/dev/zero: is not a regular" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_errors errors;

		cr_assert_null(config_load(rows[i].given, &errors));
		cr_assert_eq(errors.list.count, 1, "%s", rows[i].what);
		cr_expect_not_null(strstr(errors.list.items[0], rows[i].expect),
		    "%s", errors.list.items[0]);
		config_errors_free(&errors);
	}
}

Test(reader, expands_references_in_values)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "a variable", "${T_NAME}", "value" },
		{ "within text", "a${T_NAME}b", "avalueb" },
		{ "two", "${T_NAME}${T_NAME}", "valuevalue" },
		{ "a default not needed", "${T_NAME:-d}", "value" },
		{ "a default for an unset one", "${T_NONE:-d e}", "d e" },
		{ "a default for an empty one", "${T_EMPTY:-d}", "d" },
		{ "advice not needed", "${T_NAME:?why}", "value" },
		{ "a default with signs", "${T_NONE:-a:?b:-c}", "a:?b:-c" },
		{ "literal", "$${T_NAME}", "${T_NAME}" },
		{ "dollars", "$5 $$ $", "$5 $$ $" },
		{ "no second look", "${T_NESTED}", "${T_NAME}" },
	};
	char text[256];

	setenv("T_NAME", "value", 1);
	setenv("T_EMPTY", "", 1);
	setenv("T_NESTED", "${T_NAME}", 1);
	unsetenv("T_NONE");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *config;

		snprintf(text, sizeof(text), LISTENER("a") "ciphers = %s\n",
		    rows[i].given);
		config = read_good(text);
		cr_expect_str_eq(config->listeners[0].ciphers, rows[i].expect,
		    "%s", rows[i].what);
		config_unref(config);
	}
}

Test(reader, refuses_references_that_lead_nowhere)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "unset", "${T_NONE}",
		    "t.ini:5: ciphers: the environment variable T_NONE is not "
		    "set: set it or write ${T_NONE:-default}" },
		{ "unset, with advice", "${T_NONE:?a port: 443}",
		    "t.ini:5: ciphers: the environment variable T_NONE is not "
		    "set: a port: 443" },
		{ "empty, with advice", "${T_EMPTY:?name one}",
		    "t.ini:5: ciphers: the environment variable T_EMPTY is "
		    "empty: name one" },
		{ "unset, with no advice", "${T_NONE:?}",
		    "t.ini:5: ciphers: the environment variable T_NONE is not "
		    "set" },
		{ "an odd sign", "${T_NAME:+x}",
		    "t.ini:5: ciphers: \"${T_NAME:+x}\" is not a" },
		{ "not closed", "${T_NONE:-x",
		    "t.ini:5: ciphers: a \"${\" is not closed" },
		{ "no name", "${}", "t.ini:5: ciphers: \"${}\" is not a" },
		{ "an odd name", "${a b}",
		    "t.ini:5: ciphers: \"${a b}\" is not a" },
		{ "no file", "${file:/none}",
		    "t.ini:5: ciphers: ${file:/none}: cannot be opened" },
		{ "a device", "${file:/dev/zero}",
		    "t.ini:5: ciphers: ${file:/dev/zero}: is not a regular" },
		{ "more than a line", "${T_LINES}",
		    "t.ini:5: ciphers: the environment variable T_LINES" },
		{ "a comment", "${T_COMMENT}",
		    "t.ini:5: ciphers: a value cannot contain" },
	};
	char text[256];

	unsetenv("T_NONE");
	setenv("T_NAME", "value", 1);
	setenv("T_EMPTY", "", 1);
	setenv("T_LINES", "a\nb", 1);
	setenv("T_COMMENT", "a ; b", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "ciphers = %s\n",
		    rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

/* A later version may read a key that is ignored here. */
Test(reader, refuses_an_unset_variable_behind_an_ignored_key)
{
	unsetenv("NO_SUCH_VARIABLE_HERE");
	expect_error("an ignored key",
	    LISTENER("a") "socket = ${NO_SUCH_VARIABLE_HERE}\n",
	    "t.ini:5: socket: the environment variable NO_SUCH");
}

Test(reader, expands_files_beside_the_one_that_names_them)
{
	struct folder folder;
	struct config_errors errors;
	const struct config *config;

	folder_make(&folder);
	folder_write(&folder, "port", "8081\n\n");
	folder_write(&folder, "lines", "a\nb\n");
	folder_write(&folder, "main.ini",
	    LISTENER("a") "connect = [::1]:${file:port}\n");
	config = load(&folder, &errors);
	cr_assert_not_null(config, "%s", errors.list.items[0]);
	cr_expect_str_eq(
	    config->listeners[0].connect.items[1].text, "[::1]:8081");
	config_unref(config);
	folder_write(&folder, "main.ini", LISTENER("a") "fd = ${file:lines}\n");
	expect_load_error(&folder, "main.ini:5: fd: ", "more than one line");
	folder_remove(&folder);
}

Test(reader, names_missing_files_beside_other_errors)
{
	static const char text[] = "[listener a]\naccept = 1\nconnect = 1\n"
				   "cert = main.ini\nkey = none.key\n";
	struct folder folder;
	struct config_errors errors;

	folder_make(&folder);
	folder_write(&folder, "main.ini", text);
	config_unref(load(&folder, &errors));
	cr_expect_eq(errors.list.count, 0, "alone, it is found by its user");

	folder_write(&folder, "more.ini", "nonsense = 1\n");
	folder_write(&folder, "main.ini",
	    "[listener a]\naccept = 1\nconnect = 1\ncert = main.ini\n"
	    "key = none.key\ninclude = more.ini\n");
	cr_expect_null(load(&folder, &errors));
	cr_assert_eq(errors.list.count, 2);
	cr_expect_not_null(strstr(errors.list.items[0], "main.ini:5: key"));
	cr_expect_not_null(strstr(errors.list.items[1], "more.ini:1"));
	config_errors_free(&errors);
	folder_remove(&folder);
}

static const char with_missing_files[] =
    "foo\n[tls]\nca_file = 3\nticket_key_file = 4\n[listener a]\naccept = 0\n"
    "connect = 1\ncert = 8, here\nkey = 9, here\ncert_dir = 10\n"
    "verify = require\n[host a b]\n[host a c]\ncrl_file = 14\n"
    "ca_file = 15\n[ocsp]\nca_file = 17\n";

/* Each missing file is reported at the line that names it. */
Test(reader, names_missing_files_beside_other_errors_once)
{
	static const unsigned lines[] = { 1, 3, 4, 8, 9, 10, 14, 15, 17 };
	struct folder folder;
	struct config_errors errors;
	char expect[32];

	folder_make(&folder);
	folder_write(&folder, "here", "");
	folder_write(&folder, "main.ini", with_missing_files);
	cr_assert_null(load(&folder, &errors));
	cr_expect_eq(errors.list.count, ARRAY_LEN(lines));
	for (size_t i = 0; i < ARRAY_LEN(lines) && i < errors.list.count; i++) {
		snprintf(expect, sizeof(expect), "/main.ini:%u: ", lines[i]);
		cr_expect_not_null(strstr(errors.list.items[i], expect), "%s",
		    errors.list.items[i]);
	}
	config_errors_free(&errors);
	folder_remove(&folder);
}
