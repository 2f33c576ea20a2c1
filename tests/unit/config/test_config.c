/*
 * A configuration from its text: precedence, errors, contradictions, and
 * what a reload asks about two of them.
 */
#include "config/config.h"

#include <stdlib.h>

#include "unit/config/reading.h"

Test(config, holds_the_built_in_defaults)
{
	const struct config *config = read_good(LISTENER("web"));
	const struct config_listener *web = &config->listeners[0];

	cr_expect_eq(config->threads, 0);
	cr_expect_eq(config->log.level, LEVEL_NOTICE);
	cr_expect_str_eq(config->log.output, "stderr");
	cr_expect_str_eq(config->log.access, "off");
	cr_expect_not(config->drain_timeout_set);
	cr_expect_eq(config->ticket_rotate_ms, 12 * 3600 * 1000);
	cr_expect_eq(web->min_version, TLS_VERSION_1_2);
	cr_expect_eq(web->max_version, TLS_VERSION_ANY);
	cr_expect_eq(web->timeout_handshake_ms, 10000);
	cr_expect_eq(web->timeout_idle_ms, 12 * 3600 * 1000);
	cr_expect_eq(web->backlog, 4096);
	cr_expect_eq(web->unix_mode, 0660);
	cr_expect(web->tickets);
	cr_expect_eq(config->notes.count, 0);
	config_unref(config);
}

Test(config, remembers_where_things_were_said)
{
	const struct config *config = read_good(
	    "\n" LISTENER("web") "key = k.pem\n");
	const struct config_listener *web = &config->listeners[0];

	cr_expect_str_eq(web->name, "web");
	cr_expect_str_eq(web->where.file, "t.ini");
	cr_expect_eq(web->where.line, 2);
	cr_expect_eq(web->accept.items[0].where.line, 3);
	cr_expect_eq(web->connect.items[0].where.line, 4);
	cr_expect_eq(web->certs.items[0].where.line, 5);
	cr_expect_eq(web->keys.items[0].where.line, 6);
	config_unref(config);
}

Test(config, prefers_listener_to_tls_to_top_to_built_in)
{
	static const struct {
		const char *what, *given;
		uint32_t expect;
	} rows[] = {
		{ "built in", LISTENER("a"), 12 * 3600000 },
		{ "top", "timeout_idle = 1\n" LISTENER("a"), 1000 },
		{ "tls",
		    "timeout_idle = 1\n[tls]\ntimeout_idle = 2\n" LISTENER("a"),
		    2000 },
		{ "listener",
		    "timeout_idle = 1\n[tls]\ntimeout_idle = 2\n" LISTENER(
			"a") "timeout_idle = 3\n",
		    3000 },
		{ "tls below its listeners",
		    LISTENER("a") "[tls]\ntimeout_idle = 2\n", 2000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *config = read_good(rows[i].given);

		cr_expect_eq(config->listeners[0].timeout_idle_ms,
		    rows[i].expect, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(config, replaces_a_default_list_and_repeats_within_a_section)
{
	const struct config *config = read_good("[tls]\nalpn = a, b\n" LISTENER(
	    "x") LISTENER("y") "alpn = c\nalpn = d, e\n");

	cr_expect_eq(config->listeners[0].alpn.count, 2);
	cr_assert_eq(config->listeners[1].alpn.count, 3);
	cr_expect_str_eq(config->listeners[1].alpn.items[0], "c");
	config_unref(config);
}

Test(config, takes_any_key_before_the_first_section)
{
	const struct config *config = read_good(
	    "threads = 3\nlevel = 7\nticket-rotate = 1h\n"
	    "max_connections = 9\nconnect = 81\n"
	    "[listener a]\naccept = 0\ncert = c\n"
	    "[global]\nmax_connections = 10\n");

	cr_expect_eq(config->threads, 3);
	cr_expect_eq(config->log.level, LEVEL_DEBUG);
	cr_expect_eq(config->ticket_rotate_ms, 3600000);
	cr_expect_eq(config->max_connections, 10);
	cr_expect_eq(config->listeners[0].max_connections, 0);
	cr_expect_str_eq(config->listeners[0].connect.items[0].text, "81");
	config_unref(config);
}

Test(config, names_what_is_wrong_with_a_key)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "typo", "acecpt = 1\n",
		    "t.ini:5: unknown key \"acecpt\": did you mean \"accept\"?" },
		{ "nothing near", "frobnicate = 1\n",
		    "t.ini:5: unknown key \"frobnicate\"" },
		{ "wrong section", "threads = 1\n",
		    "t.ini:5: threads does not belong here: put it into "
		    "[global]" },
		{ "twice", "backlog = 1\nback-log = 2\n",
		    "t.ini:6: back-log is already set in t.ini:5" },
		{ "out of bounds", "backlog = 0\n",
		    "t.ini:5: backlog: \"0\" is not a number from 1 to" },
		{ "empty", "backlog =\n", "t.ini:5: backlog needs a value" },
		{ "an empty path", "ca_file =\n",
		    "t.ini:5: ca_file needs a value" },
		{ "an empty list of paths", "cert =\n",
		    "t.ini:5: cert needs a value" },
		{ "a later version's", "sandbox = yes\n",
		    "t.ini:5: sandbox: not supported by this version" },
		{ "which time", "timeout = 5s\n",
		    "t.ini:5: timeout: say which: timeout_handshake" },
		{ "an old TLS", "min_version = TLSv1.1\n",
		    "t.ini:5: min_version: TLSv1.1 is not offered" },
		{ "no equals sign", "foo\n", "t.ini:5: this is neither" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(config, names_what_is_wrong_with_a_section)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "typo", "[golbal]\nx = 1\n",
		    "t.ini:5: [golbal] is not a known section: did you mean "
		    "[global]?" },
		{ "misspelt listener", "[listner b]\naccept = 1\n",
		    "t.ini:5: [listner b] is not a known section" },
		{ "nothing near", "[frobnicate]\n",
		    "t.ini:5: [frobnicate] is neither" },
		{ "no name", "[listener]\naccept = 1\n",
		    "t.ini:5: a listener needs a name" },
		{ "later: admin", "[admin]\nlisten = 1\n",
		    "t.ini:5: [admin]: " },
		{ "misspelt ocsp", "[oscp]\nmode = must\n",
		    "t.ini:5: [oscp] is not a known section: did you mean "
		    "[ocsp]?" },
		{ "open", "[log\n", "t.ini:5: the heading has no closing" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(config, finds_contradictions)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "nothing at all", "",
		    "t.ini: there is no listener: add a section" },
		{ "no accept", "[listener a]\nconnect = 1\ncert = c\n",
		    "t.ini:1: listener a has no accept" },
		{ "no connect", "[listener a]\naccept = 1\ncert = c\n",
		    "t.ini:1: listener a has no connect" },
		{ "no cert", "[listener a]\naccept = 1\nconnect = 1\n",
		    "t.ini:1: listener a has no cert" },
		{ "two of a name", LISTENER("a") LISTENER("a"),
		    "t.ini:5: there is already a listener a in t.ini:1" },
		{ "no version left",
		    "[tls]\nmin_version = 1.3\n" LISTENER(
			"a") "max_version = 1.2\n",
		    "t.ini:7: listener a allows no TLS version" },
		{ "modern without TLS 1.3",
		    LISTENER("a") "profile = modern\nmax_version = 1.2\n",
		    "t.ini:6: listener a: profile modern" },
		{ "one address twice",
		    "[listener a]\naccept = 1\nconnect = 1\ncert = c\n"
		    "[listener b]\naccept = *:1\nconnect = 1\ncert = c\n",
		    "t.ini:6: accept [::]:1 of listener b is already taken" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_error(rows[i].what, rows[i].given, rows[i].expect);
}

Test(config, accepts_what_only_looks_like_a_contradiction)
{
	static const struct {
		const char *what, *given;
	} rows[] = {
		{ "port 0 twice", LISTENER("a") LISTENER("b") },
		{ "a socket by name", "[listener a]\nfd = web\nconnect = 1\n"
				      "cert = c\n" },
		{ "a group alone", "group = x\n" LISTENER("a") },
		{ "one version",
		    LISTENER("a") "min_version = 1.3\nmax_version = 1.3\n" },
		{ "the same port of another address",
		    LISTENER("a") "accept = 1.1.1.1:5, 1.1.1.2:5\n" },
		{ "a plain section", "[x]\naccept = 1\nconnect = 1\ncert = c" },
		{ "a global section twice",
		    "[log]\nlevel = info\n[log]\nformat = json\n" LISTENER(
			"a") },
		{ "no pid file", "pid =\n" LISTENER("a") },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_errors errors;
		const struct config *config = read_text(rows[i].given, &errors);

		cr_expect_not_null(config, "%s: %s", rows[i].what,
		    errors.list.count > 0 ? errors.list.items[0] : "");
		config_unref(config);
		config_errors_free(&errors);
	}
}

Test(config, reports_all_errors_at_once_in_the_order_of_the_file)
{
	struct config_errors errors;
	const struct config *config = read_text(
	    "[listener a]\ncert = c\nfoo\nbacklog = x\n"
	    "[global]\nthreads = 999\n",
	    &errors);

	cr_assert_null(config);
	cr_assert_eq(errors.list.count, 5);
	cr_expect(strstr(errors.list.items[0], "t.ini:1: ") != NULL);
	cr_expect(strstr(errors.list.items[1], "t.ini:1: ") != NULL);
	cr_expect(strstr(errors.list.items[2], "t.ini:3: ") != NULL);
	cr_expect(strstr(errors.list.items[3], "t.ini:4: ") != NULL);
	cr_expect(strstr(errors.list.items[4], "t.ini:6: ") != NULL);
	config_errors_free(&errors);
	cr_expect_eq(errors.list.count, 0);
}

Test(config, counts_the_errors_it_does_not_show)
{
	struct config_errors errors;
	char text[4 * 150 + 1] = "";

	for (size_t i = 0; i < 150; i++)
		memcpy(text + 4 * i, "foo\n", 5);
	cr_assert_null(read_text(text, &errors));
	cr_assert_eq(errors.list.count, 101);
	cr_expect_str_eq(errors.list.items[100], "and 50 more errors");
	config_errors_free(&errors);
}

Test(config, lifts_the_floor_for_the_modern_profile)
{
	static const struct {
		const char *what, *given;
		enum config_tls_version expect;
	} rows[] = {
		{ "modern", "profile = modern\n", TLS_VERSION_1_3 },
		{ "what is said goes first",
		    "profile = modern\nmin_version = 1.2\n", TLS_VERSION_1_2 },
		{ "ciphers are of TLS 1.2",
		    "profile = modern\nciphers = HIGH\n", TLS_VERSION_1_2 },
		{ "intermediate", "profile = intermediate\n", TLS_VERSION_1_2 },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config *config;

		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		config = read_good(text);
		cr_expect_eq(config->listeners[0].min_version, rows[i].expect,
		    "%s", rows[i].what);
		config_unref(config);
	}
}

Test(config, tells_whether_listeners_behave_alike)
{
	static const struct {
		const char *what, *given;
		bool expect;
	} rows[] = {
		{ "the same, elsewhere", "\n\n" LISTENER("a"), true },
		{ "a default said", LISTENER("a") "backlog = 4096\n", true },
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

Test(config, knows_which_line_an_error_begins_with)
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
