/*
 * A configuration as its readers see it: its lifetime, and comparing two of
 * them on a reload.
 */
#include "config/config.h"

#include <stdlib.h>

#include "unit/config/reading.h"

Test(config, compares_listeners)
{
	static const struct {
		const char *what, *given;
		bool expect;
	} rows[] = {
		{ "the same, elsewhere", "\n\n" LISTENER("a"), true },
		{ "a default set", LISTENER("a") "backlog = 4096\n", true },
		{ "another name", LISTENER("b"), false },
		{ "another number", LISTENER("a") "backlog = 1\n", false },
		{ "one more backend", LISTENER("a") "connect = 1\n", false },
		{ "a key", LISTENER("a") "key = k\n", false },
		{ "a range", LISTENER("a") "allow = ::/0\n", false },
		{ "a protocol", LISTENER("a") "alpn = h2\n", false },
		{ "on_revoked", "[ocsp]\non_revoked = staple\n" LISTENER("a"),
		    false },
		{ "a mode", "[ocsp]\nmode = must\n" LISTENER("a"), false },
		{ "the same mode", "[ocsp]\nmode = auto\n" LISTENER("a"),
		    true },
		{ "without a staple",
		    "[ocsp]\nwithout_staple = refuse\n" LISTENER("a"), false },
		{ "a mode of its own", LISTENER("a") "ocsp = auto\n", false },
		{ "a staple file", LISTENER("a") "staple_file = f\n", false },
		{ "what is fetched", "[ocsp]\nurl = http://a/\n" LISTENER("a"),
		    true },
	};
	const struct config *base = read_good(LISTENER("a"));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *other = read_good(rows[i].given);

		cr_expect_eq(config_listener_equal(
				 &base->listeners[0], &other->listeners[0]),
		    rows[i].expect, "%s", rows[i].what);
		config_unref(other);
	}
	config_unref(base);
}

Test(config, names_the_changes_that_need_a_start)
{
	const struct config *old = read_good("threads = 1\n" LISTENER("a"));
	const struct config *fresh = read_good("threads = 2\nuser = u\n"
					       "store_dir = s\nmode = must\n"
					       "level = info\n" LISTENER("a"));
	struct config_strings changes = config_fixed_changes(old, fresh);

	cr_assert_eq(changes.count, 3);
	cr_expect_str_eq(changes.items[0], "threads");
	cr_expect_str_eq(changes.items[1], "user");
	cr_expect_str_eq(changes.items[2], "store_dir");
	config_strings_free(&changes);
	changes = config_fixed_changes(old, old);
	cr_expect_eq(changes.count, 0);
	config_strings_free(&changes);
	config_unref(old);
	config_unref(fresh);
}

Test(config, lives_until_the_last_reference)
{
	const struct config *config = read_good(LISTENER("a"));

	cr_expect_eq(config_ref(config), config);
	config_unref(config);
	cr_expect_str_eq(config->listeners[0].name, "a");
	config_unref(config);
	config_unref(NULL);
}

Test(config, finds_the_place_an_error_begins_with)
{
	static const struct config_where where = { "t.ini", 12 };
	static const struct {
		const char *given;
		bool expect;
	} rows[] = {
		{ "t.ini:12: ciphers = x", true },
		{ "t.ini:1: ciphers = x", false },
		{ "t.ini:120: ciphers = x", false },
		{ "at.ini:12: ciphers = x", false },
		{ "out of memory", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(config_where_begins(&where, rows[i].given),
		    rows[i].expect, "%s", rows[i].given);
	cr_expect_not(config_where_begins(&(struct config_where){ 0 }, ":0:"),
	    "a built-in default stands nowhere");
}
