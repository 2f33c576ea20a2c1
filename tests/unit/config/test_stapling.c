/*
 * The keys of stapling: what holds for a listener, and what contradicts.
 */
#include <stdio.h>

#include "unit/config/reading.h"

#define OTHER(name, cert)        \
	"[listener " name "]\n"  \
	"accept = 127.0.0.1:0\n" \
	"connect = 8080\n"       \
	"cert = " cert "\n"

Test(stapling, holds_the_built_in_defaults)
{
	const struct config *config = read_good(LISTENER("a"));
	const struct config_ocsp *ocsp = &config->ocsp;

	cr_expect_eq(ocsp->mode, OCSP_MODE_AUTO);
	cr_expect_eq(ocsp->without_staple, OCSP_WITHOUT_BY_MODE);
	cr_expect_eq(ocsp->on_revoked, OCSP_REVOKED_BY_MODE);
	cr_expect_eq(ocsp->urls.count, 0);
	cr_expect_null(ocsp->ca_file);
	cr_expect_eq(ocsp->start_wait_ms, 20000);
	cr_expect_eq(ocsp->timeout_ms, 10000);
	cr_expect_eq(ocsp->method, OCSP_METHOD_AUTO);
	cr_expect_eq(ocsp->min_interval_ms, 300000);
	cr_expect_eq(ocsp->max_interval_ms, 12 * 3600000);
	cr_expect_eq(ocsp->default_lifetime_ms, 24 * 3600000);
	cr_expect_eq(ocsp->max_response, 65536);
	cr_expect_eq(ocsp->max_fetches, 32);
	cr_expect_null(ocsp->proxy);
	cr_expect_null(config->store_dir);
	cr_expect_eq(config->listeners[0].staple_files.count, 0);
	cr_expect_not(config->listeners[0].ocsp_set);
	config_unref(config);
}

Test(stapling, takes_the_mode_from_the_listener_then_ocsp_then_global)
{
	static const struct {
		const char *what, *given;
		enum config_ocsp_mode expect;
		unsigned line; /* where it was said */
		bool set;
	} rows[] = {
		{ "built in", LISTENER("a"), OCSP_MODE_AUTO, 0, false },
		{ "[ocsp]", "[ocsp]\nmode = must\n" LISTENER("a"),
		    OCSP_MODE_MUST, 2, false },
		{ "[ocsp] below", LISTENER("a") "[OCSP]\nMode = Prefer\n",
		    OCSP_MODE_PREFER, 6, false },
		{ "mode by a boolean", "[ocsp]\nmode = off\n" LISTENER("a"),
		    OCSP_MODE_NEVER, 2, false },
		{ "before any section", "mode = always\n" LISTENER("a"),
		    OCSP_MODE_ALWAYS, 1, false },
		{ "[ocsp] over what is before",
		    "mode = always\n[ocsp]\nmode = must\n" LISTENER("a"),
		    OCSP_MODE_MUST, 3, false },
		{ "switched off", "[global]\nocsp = false\n" LISTENER("a"),
		    OCSP_MODE_NEVER, 2, false },
		{ "switched on", "ocsp = true\n" LISTENER("a"), OCSP_MODE_AUTO,
		    1, false },
		{ "the listener", LISTENER("a") "ocsp = always\n",
		    OCSP_MODE_ALWAYS, 5, true },
		{ "the listener by a boolean", LISTENER("a") "ocsp = no\n",
		    OCSP_MODE_NEVER, 5, true },
		{ "the listener over [ocsp]",
		    "[ocsp]\nmode = must\n" LISTENER("a") "ocsp = prefer\n",
		    OCSP_MODE_PREFER, 7, true },
		{ "the listener over the switch",
		    "ocsp = no\n" LISTENER("a") "ocsp = yes\n", OCSP_MODE_AUTO,
		    6, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config = read_good(rows[i].given);
		const struct config_listener *a = &config->listeners[0];

		cr_expect_eq(a->ocsp, rows[i].expect, "%s", rows[i].what);
		cr_expect_eq(
		    a->ocsp_where.line, rows[i].line, "%s", rows[i].what);
		cr_expect_eq(a->ocsp_set, rows[i].set, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(stapling, lets_no_listener_with_a_mode_of_its_own_stop_the_others)
{
	static const struct {
		const char *what, *given;
		enum config_on_revoked expect;
	} rows[] = {
		{ "by mode", "[ocsp]\nmode = must\n" LISTENER("a"),
		    OCSP_REVOKED_BY_MODE },
		{ "a mode of its own", LISTENER("a") "ocsp = must\n",
		    OCSP_REVOKED_REFUSE },
		{ "the same as [ocsp]'s",
		    "[ocsp]\nmode = must\n" LISTENER("a") "ocsp = must\n",
		    OCSP_REVOKED_REFUSE },
		{ "said", "[ocsp]\non_revoked = exit\n" LISTENER("a"),
		    OCSP_REVOKED_EXIT },
		{ "said, with a mode of its own",
		    "[ocsp]\non_revoked = exit\n" LISTENER("a") "ocsp = must\n",
		    OCSP_REVOKED_EXIT },
		{ "said at the top, with a mode of its own",
		    "on_revoked = staple\n" LISTENER("a") "ocsp = must\n",
		    OCSP_REVOKED_STAPLE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config = read_good(rows[i].given);

		cr_expect_eq(config->listeners[0].on_revoked, rows[i].expect,
		    "%s", rows[i].what);
		config_unref(config);
	}
}

Test(stapling, takes_without_staple_as_said_or_by_mode)
{
	static const struct {
		const char *what, *given;
		enum config_without_staple expect;
	} rows[] = {
		{ "by mode", LISTENER("a") "ocsp = must\n",
		    OCSP_WITHOUT_BY_MODE },
		{ "serve",
		    "[ocsp]\nwithout_staple = serve\n" LISTENER(
			"a") "ocsp = must\n",
		    OCSP_WITHOUT_SERVE },
		{ "refuse", "[ocsp]\nwithout-staple = REFUSE\n" LISTENER("a"),
		    OCSP_WITHOUT_REFUSE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config = read_good(rows[i].given);

		cr_expect_eq(config->listeners[0].without_staple,
		    rows[i].expect, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(stapling, remembers_where_its_files_were_said)
{
	const struct config *config = read_good(
	    "store_dir = s\n[ocsp]\nca_file = c\n" LISTENER(
		"a") "staple_file = f\n");

	cr_expect_str_eq(config->store_dir, "s");
	cr_expect_eq(config->store_dir_where.line, 1);
	cr_expect_str_eq(config->ocsp.ca_file, "c");
	cr_expect_eq(config->ocsp.ca_file_where.line, 3);
	cr_expect_str_eq(config->listeners[0].staple_files.items[0].path, "f");
	cr_expect_eq(config->listeners[0].staple_files.items[0].where.line, 8);
	config_unref(config);
}

Test(stapling, reads_a_list_of_responders_in_either_word)
{
	const struct config *config = read_good(
	    "url = http://top/\n[ocsp]\nurls = http://a/, http://b/\n"
	    "url = https://c/\n" LISTENER("x"));

	cr_assert_eq(config->ocsp.urls.count, 3);
	cr_expect_str_eq(config->ocsp.urls.items[0], "http://a/");
	cr_expect_str_eq(config->ocsp.urls.items[2], "https://c/");
	config_unref(config);
}

static void
expect_staple_file(const char *what, const struct config_listener *settings,
    size_t i, const char *expect)
{
	const struct config_path *file = config_staple_file_of(settings, i);

	cr_expect_eq(file != NULL, expect != NULL, "%s", what);
	if (file != NULL && expect != NULL)
		cr_expect_str_eq(file->path, expect, "%s", what);
}

Test(stapling, gives_a_staple_file_to_all_listeners_of_the_certificate)
{
	const struct config *config = read_good(LISTENER("a") OTHER("b", "x")
		LISTENER("c") "staple_file = f\n" LISTENER("d"));
	const struct config_listener *listeners = config->listeners;

	expect_staple_file("said elsewhere", &listeners[0], 0, "f");
	cr_expect_eq(listeners[0].staple_files.items[0].where.line, 13);
	expect_staple_file("another certificate", &listeners[1], 0, NULL);
	expect_staple_file("said elsewhere as well", &listeners[3], 0, "f");
	config_unref(config);
}

Test(stapling, finds_what_is_wrong)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "no mode", "[ocsp]\nmode = sometimes\n",
		    "t.ini:6: mode: \"sometimes\" is not one of: auto, must, "
		    "always, never, prefer" },
		{ "nearly a mode", "ocsp = alway\n",
		    "t.ini:5: ocsp: \"alway\" is unknown: did you mean "
		    "\"always\"?" },
		{ "a mode in the wrong place", "mode = must\n",
		    "t.ini:5: mode does not belong here: put it into [ocsp]" },
		{ "a typo", "[ocsp]\nmin_intervall = 1m\n",
		    "t.ini:6: unknown key \"min_intervall\": did you mean "
		    "\"min_interval\"?" },
		{ "a switch that is a mode", "[global]\nocsp = must\n",
		    "t.ini:6: ocsp: \"must\" is neither yes nor no: use mode" },
		{ "a switch and a mode",
		    "[ocsp]\nmode = auto\n[global]\nocsp = yes\n",
		    "t.ini:6: mode contradicts ocsp in t.ini:8" },
		{ "intervals", "[ocsp]\nmin_interval = 2h\nmax_interval = 1h\n",
		    "t.ini:6: min_interval is 2h, which is more than "
		    "max_interval, 1h" },
		{ "an interval under the default",
		    "[ocsp]\nmax_interval = 1m\n",
		    "t.ini:6: min_interval is 5m, which is more than "
		    "max_interval, 1m" },
		{ "without_staple", "[ocsp]\nwithout_staple = exit\n",
		    "t.ini:6: without_staple: \"exit\" is not one of: serve, "
		    "refuse" },
		{ "on_revoked", "[ocsp]\non_revoked = serve\n",
		    "t.ini:6: on_revoked: \"serve\" is not one of: exit, "
		    "refuse, staple" },
		{ "a listener's key", "[ocsp]\nstaple_file = x\n",
		    "t.ini:6: staple_file does not belong here: put it into "
		    "[listener NAME]" },
		{ "two files for one certificate",
		    "staple_file = x\n" LISTENER("b") "staple_file = y\n",
		    "t.ini:10: staple_file of listener b is another one than "
		    "in t.ini:5, but both are for the certificate /dev/null" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(stapling, takes_no_word_before_any_section_that_has_two_meanings)
{
	const struct config *config = read_good("CAfile = x\n" LISTENER("a"));

	/* The one of clients, as stunnel has it. */
	cr_expect_str_eq(config->listeners[0].ca_file, "x");
	cr_expect_null(config->ocsp.ca_file);
	config_unref(config);
	expect_error("timeout", "timeout = 5s\n" LISTENER("a"),
	    "t.ini:1: timeout: say which: timeout_handshake, ");
}

Test(stapling, finds_what_can_never_be_asked)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "no URL", "[ocsp]\nurl =\n", "t.ini:6: url needs a value" },
		{ "a bad URL", "[ocsp]\nurl = http://a/, ftp://b/\n",
		    "t.ini:6: url: \"ftp://b/\" does not begin with http" },
		{ "a bad URL by another name", "[ocsp]\nurls = x\n",
		    "t.ini:6: urls: \"x\" does not begin with http" },
		{ "a bad proxy", "[ocsp]\nproxy = proxy:3128\n",
		    "t.ini:6: proxy: \"proxy:3128\" does not begin with" },
		{ "no method", "[ocsp]\nmethod = put\n",
		    "t.ini:6: method: \"put\" is not one of: auto, post, get" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(stapling, keeps_numbers_in_their_bounds)
{
	static const struct {
		const char *good, *bad;
	} rows[] = {
		{ "start_wait = 0", "start_wait = 61m" },
		{ "timeout = 100ms", "timeout = 99ms" },
		{ "timeout = 5m", "timeout = 301s" },
		{ "min_interval = 1s", "min_interval = 999ms" },
		{ "max_interval = 7d", "max_interval = 8d" },
		{ "default_lifetime = 7d", "default_lifetime = 0" },
		{ "max_response = 1m", "max_response = 2m" },
		{ "max_response = 1k", "max_response = 1023" },
		{ "max_fetches = 1024", "max_fetches = 1025" },
		{ "max_fetches = 1", "max_fetches = 0" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "[ocsp]\n%s\n",
		    rows[i].good);
		config_unref(read_good(text));
		snprintf(text, sizeof(text), LISTENER("a") "[ocsp]\n%s\n",
		    rows[i].bad);
		expect_error(rows[i].bad, text, "t.ini:6: ");
	}
}

Test(stapling, accepts_what_only_looks_like_a_contradiction)
{
	static const struct {
		const char *what, *given;
	} rows[] = {
		{ "one interval", "[ocsp]\nmin_interval = 1h\n"
				  "max_interval = 1h\n" LISTENER("a") },
		{ "a switch and a listener's mode",
		    "ocsp = no\n" LISTENER("a") "ocsp = must\n" },
		{ "a file where nothing is stapled",
		    "ocsp = no\n" LISTENER("a") "staple_file = f\n" },
		{ "the same file twice",
		    LISTENER("a") "staple_file = f\n" LISTENER(
			"b") "staple_file = f\n[ocsp]\n" },
		{ "two files for two certificates",
		    LISTENER("a") "staple_file = f\n" OTHER(
			"b", "x") "staple_file = g\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		config_unref(read_good(rows[i].given));
}
