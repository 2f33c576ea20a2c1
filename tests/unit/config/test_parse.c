/*
 * From sections to a configuration: defaults, precedence, errors of keys and
 * sections, and hosts.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/config/reading.h"

Test(parse, has_the_built_in_defaults)
{
	const struct config *config = read_good(LISTENER("web"));
	const struct config_listener *web = &config->listeners[0];

	cr_expect_eq(config->threads, 0);
	cr_expect_eq(config->log.level, LEVEL_NOTICE);
	cr_expect_str_eq(config->log.output, "stderr");
	cr_expect_str_eq(config->log.access, "off");
	cr_expect_not(config_is_set(config->places, KEY_GLOBAL_DRAIN_TIMEOUT));
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

Test(parse, remembers_the_place_of_each_key)
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

Test(parse, prefers_listener_to_tls_to_top_to_built_in)
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

Test(parse, replaces_a_default_list_and_repeats_within_a_section)
{
	const struct config *config = read_good("[tls]\nalpn = a, b\n" LISTENER(
	    "x") LISTENER("y") "alpn = c\nalpn = d, e\n");

	cr_expect_eq(config->listeners[0].alpn.count, 2);
	cr_assert_eq(config->listeners[1].alpn.count, 3);
	cr_expect_str_eq(config->listeners[1].alpn.items[0], "c");
	config_unref(config);
}

Test(parse, takes_any_key_before_the_first_section)
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

Test(parse, names_what_is_wrong_with_a_key)
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
		{ "of [global]", "sandbox = off\n",
		    "t.ini:5: sandbox does not belong here: put it into "
		    "[global]" },
		{ "which time", "timeout = 5s\n",
		    "t.ini:5: timeout: ambiguous: write timeout_handshake" },
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

Test(parse, names_what_is_wrong_with_a_section)
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

Test(parse, lifts_the_floor_for_the_modern_profile)
{
	static const struct {
		const char *what, *given;
		enum config_tls_version expect;
	} rows[] = {
		{ "modern", "profile = modern\n", TLS_VERSION_1_3 },
		{ "a set key goes first",
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

/* The listener's lines are 1 to 4. */
#define HOST(pattern) "[host a " pattern "]\n"

Test(hosts, inherit_all_but_their_own_keys)
{
	const struct config *config = read_good(
	    LISTENER("a") "balance = rr\nalpn = h2\nkey = k\n" HOST(
		"WWW.b.") "alpn = x, y\ntimeout_idle = 1\n");
	const struct config_listener *a = &config->listeners[0];
	const struct config_listener *host = &a->hosts[0];

	cr_assert_eq(a->host_count, 1);
	cr_expect_null(a->pattern);
	cr_expect_str_eq(host->pattern, "www.b");
	cr_expect_str_eq(host->name, "a");
	cr_expect_eq(host->where.line, 8);
	cr_expect_eq(host->host_count, 0);
	cr_expect_eq(host->balance, BALANCE_RR);
	cr_expect_str_eq(host->connect.items[0].text, "8080");
	cr_expect_eq(host->alpn.count, 2);
	cr_expect_eq(a->alpn.count, 1);
	cr_expect_eq(host->timeout_idle_ms, 1000);
	cr_expect_eq(a->timeout_idle_ms, 12 * 3600 * 1000);
	cr_expect_not(host->certs_own);
	cr_expect_str_eq(config_key_of(host, 0)->path, "k");
	config_unref(config);
}

Test(hosts, may_stand_before_their_listener_and_its_defaults)
{
	const struct config *config = read_good(
	    HOST("b") "timeout_connect = 2\n" LISTENER(
		"a") "timeout_idle = 3\n"
		     "[tls]\ntimeout_connect = 4\nresolve = 5\n");
	const struct config_listener *host = &config->listeners[0].hosts[0];

	cr_expect_eq(host->timeout_connect_ms, 2000);
	cr_expect_eq(host->timeout_idle_ms, 3000);
	cr_expect_eq(host->resolve_ms, 5000);
	cr_expect_eq(config->listeners[0].timeout_connect_ms, 4000);
	config_unref(config);
}

Test(hosts, go_to_the_listener_they_name_in_the_order_of_the_file)
{
	const struct config *config = read_good(LISTENER("a") LISTENER("b c")
		HOST("1.x") "[host b c *.x]\n" HOST("2.x") "[HOST b c y]\n");
	const struct config_listener *a = &config->listeners[0];
	const struct config_listener *b = &config->listeners[1];

	cr_assert(a->host_count == 2 && b->host_count == 2);
	cr_expect_str_eq(a->hosts[0].pattern, "1.x");
	cr_expect_str_eq(a->hosts[1].pattern, "2.x");
	cr_expect_str_eq(b->hosts[0].pattern, "*.x");
	cr_expect_str_eq(b->hosts[1].pattern, "y");
	config_unref(config);
}

Test(hosts, leave_key_and_staple_behind_with_the_certificate)
{
	static const struct {
		const char *what, *given;
		const char *cert, *key, *staple; /* of the host */
		bool own;
	} rows[] = {
		{ "nothing set", "", "/dev/null", "k", "s", false },
		{ "a cert", "cert = c\n", "c", "c", NULL, true },
		{ "an empty key", "cert = c\nkey =\n", "c", "c", NULL, true },
		{ "a pair", "cert = c\nkey = l\n", "c", "l", NULL, true },
		{ "all", "staple_file = t\ncert = c\nkey = l\n", "c", "l", "t",
		    true },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config;
		const struct config_listener *host;
		const struct config_path *staple;

		snprintf(text, sizeof(text),
		    LISTENER("a") "key = k\nstaple_file = s\n" HOST("b") "%s",
		    rows[i].given);
		config = read_good(text);
		host = &config->listeners[0].hosts[0];
		staple = config_staple_file_of(host, 0);
		cr_expect_eq(host->certs_own, rows[i].own, "%s", rows[i].what);
		cr_expect_str_eq(host->certs.items[0].path, rows[i].cert, "%s",
		    rows[i].what);
		cr_expect_str_eq(config_key_of(host, 0)->path, rows[i].key,
		    "%s", rows[i].what);
		cr_expect_eq(
		    staple != NULL, rows[i].staple != NULL, "%s", rows[i].what);
		if (staple != NULL && rows[i].staple != NULL)
			cr_expect_str_eq(
			    staple->path, rows[i].staple, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(hosts, are_refused_with_an_error)
{
	static const struct {
		const char *what, *given, *expect;
	} rows[] = {
		{ "no listener", "[host b x]\n",
		    "t.ini:5: there is no listener b for this host" },
		{ "nearly a listener", LISTENER("front") "[host fornt x]\n",
		    "t.ini:9: there is no listener fornt: did you mean front?" },
		{ "one name twice", HOST("x.y") "\n" HOST("X.Y."),
		    "t.ini:7: there is already a host x.y of listener a in "
		    "t.ini:5" },
		{ "no pattern", "[host a]\n",
		    "t.ini:5: a host needs its listener and a name" },
		{ "nothing", "[host]\n",
		    "t.ini:5: a host needs its listener and a name" },
		{ "misspelt", "[hots a b]\nconnect = 1\n",
		    "t.ini:5: [hots a b] is not a known section: did you mean "
		    "[host LISTENER PATTERN]?" },
		{ "a bad name", HOST("1.2.3.4"),
		    "t.ini:5: host 1.2.3.4: an address is not a name" },
		{ "a listener's key", HOST("b") "accept = 1\n",
		    "t.ini:6: accept does not belong here: put it into "
		    "[listener NAME]" },
		{ "a key of [tls]", HOST("b") "tickets = no\n",
		    "t.ini:6: tickets does not belong here: put it into [tls]" },
		{ "a part of the tickets", HOST("b") "options = NO_TICKET\n",
		    "t.ini:6: options = NO_TICKET: tickets are a setting" },
		{ "a typo", HOST("b") "conect = 1\n",
		    "t.ini:6: unknown key \"conect\": did you mean" },
		{ "twice",
		    HOST("b") "cert = c\nkey = k\nverify = none\n"
			      "verify = none\n",
		    "t.ini:9: verify is already set in t.ini:8" },
		{ "versions of its own",
		    HOST("b") "max_version = 1.2\n"
			      "min_version = 1.3\n",
		    "t.ini:6: host b of listener a allows no TLS version" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(hosts, of_no_listener_are_read_for_their_errors_all_the_same)
{
	static const char text[] = LISTENER(
	    "a") "[host b x]\nconect = 1\nverify = 7\n";
	struct config_errors errors;

	cr_assert_null(read_text(text, &errors));
	cr_assert_eq(errors.list.count, 3);
	cr_expect_not_null(
	    strstr(errors.list.items[0], "t.ini:5: there is no listener b"));
	cr_expect_not_null(
	    strstr(errors.list.items[1], "t.ini:6: unknown key \"conect\""));
	cr_expect_not_null(strstr(
	    errors.list.items[2], "t.ini:7: verify: \"7\" is not one of"));
	config_errors_free(&errors);
}

Test(hosts, hold_certificates_with_as_many_keys_and_staples)
{
	static const struct {
		const char *what, *given, *expect; /* NULL: good */
	} rows[] = {
		{ "two kinds",
		    "cert = c, d\nkey = k\nkey = l\n"
		    "staple_file = s, t\n",
		    NULL },
		{ "keys in the files", "cert = c\ncert = d\n", NULL },
		{ "too few keys", "cert = c, d\nkey = k\n",
		    "t.ini:7: host b of listener a has 2 of cert and 1 of key" },
		{ "too many keys", "cert = c\nkey = k, l\n",
		    "t.ini:7: host b of listener a has 1 of cert and 2 of key" },
		{ "too few staples", "cert = c, d\nstaple_file = s\n",
		    "t.ini:7: host b of listener a has 2 of cert and 1 of "
		    "staple_file" },
		{ "a key alone", "key = k\n",
		    "t.ini:6: key of host b of listener a belongs to no cert" },
		{ "a staple alone", "staple_file = s\n",
		    "t.ini:6: staple_file of host b of listener a belongs to" },
		{ "another staple for the same",
		    "cert = c\nstaple_file = s\n" HOST(
			"d") "cert = c\nstaple_file = t\n",
		    "t.ini:10: staple_file of host d of listener a differs "
		    "from the one in t.ini:7 for the same certificate c" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") HOST("b") "%s",
		    rows[i].given);
		if (rows[i].expect != NULL)
			expect_error(rows[i].what, text, rows[i].expect);
		else
			config_unref(read_good(text));
	}
}

Test(hosts, need_a_certificate_somewhere)
{
	static const struct {
		const char *what, *given, *expect; /* NULL: good */
	} rows[] = {
		{ "the folder's", "cert_dir = d\n" HOST("b"), NULL },
		{ "its own, and no one else comes",
		    "sni_unknown = reject\n" HOST("b") "cert = c\n", NULL },
		{ "its own, but others come", HOST("b") "cert = c\n",
		    "t.ini:1: listener a has no cert, which it needs" },
		{ "none",
		    "sni_unknown = reject\n" HOST("b") "cert = c\n" HOST("d"),
		    "t.ini:7: host d has no cert, and listener a has none" },
		{ "no host either", "sni_unknown = reject\n",
		    "t.ini:1: listener a has no cert: name a PEM file" },
		{ "a folder, and a staple of no cert",
		    "cert_dir = d\nstaple_file = s\n",
		    "t.ini:5: staple_file of listener a belongs to no cert" },
		{ "a folder, and a key of no cert", "cert_dir = d\nkey = k\n",
		    "t.ini:5: key of listener a belongs to no cert" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text),
		    "[listener a]\naccept = 1\nconnect = 1\n%s", rows[i].given);
		if (rows[i].expect != NULL)
			expect_error(rows[i].what, text, rows[i].expect);
		else
			config_unref(read_good(text));
	}
}

Test(hosts, may_be_stapled_in_a_way_of_their_own)
{
	static const struct {
		const char *what, *given;
		enum config_ocsp_mode mode;
		enum config_without_staple without;
		enum config_on_revoked revoked;
	} rows[] = {
		{ "as the listener", LISTENER("a") "ocsp = must\n" HOST("b"),
		    OCSP_MODE_MUST, OCSP_WITHOUT_BY_MODE, OCSP_REVOKED_REFUSE },
		{ "as [ocsp]",
		    "[ocsp]\nmode = must\non_revoked = exit\n" LISTENER("a")
			HOST("b"),
		    OCSP_MODE_MUST, OCSP_WITHOUT_BY_MODE, OCSP_REVOKED_EXIT },
		{ "a mode", LISTENER("a") HOST("b") "ocsp = must\n",
		    OCSP_MODE_MUST, OCSP_WITHOUT_BY_MODE, OCSP_REVOKED_REFUSE },
		{ "all of it",
		    LISTENER("a") "without_staple = serve\n" HOST(
			"b") "ocsp = no\nwithout_staple = refuse\n"
			     "on_revoked = staple\n",
		    OCSP_MODE_NEVER, OCSP_WITHOUT_REFUSE, OCSP_REVOKED_STAPLE },
		{ "the listener's where only the mode differs",
		    LISTENER("a") "on_revoked = staple\n" HOST(
			"b") "ocsp = must\n",
		    OCSP_MODE_MUST, OCSP_WITHOUT_BY_MODE, OCSP_REVOKED_STAPLE },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config = read_good(rows[i].given);
		const struct config_listener *b =
		    &config->listeners[0].hosts[0];

		cr_expect_eq(b->ocsp, rows[i].mode, "%s", rows[i].what);
		cr_expect_eq(
		    b->without_staple, rows[i].without, "%s", rows[i].what);
		cr_expect_eq(
		    b->on_revoked, rows[i].revoked, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(hosts, share_a_staple_file_by_certificate)
{
	const struct config *config = read_good(LISTENER("a")
		HOST("b") "cert = c, /dev/null\nstaple_file = s, t\n" HOST(
		    "d") "cert = e, c\n");
	const struct config_listener *a = &config->listeners[0];

	cr_expect_str_eq(config_staple_file_of(a, 0)->path, "t");
	cr_expect_null(config_staple_file_of(&a->hosts[1], 0));
	cr_expect_str_eq(config_staple_file_of(&a->hosts[1], 1)->path, "s");
	config_unref(config);
}

Test(hosts, make_listeners_differ)
{
	static const struct {
		const char *what, *given;
		bool expect;
	} rows[] = {
		{ "the same", HOST("b") "connect = 1\n", true },
		{ "another key", HOST("b") "connect = 2\n", false },
		{ "another name", HOST("c") "connect = 1\n", false },
		{ "one more", HOST("b") "connect = 1\n" HOST("c"), false },
		{ "none", "", false },
		{ "the listener's cert as its own",
		    HOST("b") "connect = 1\ncert = /dev/null\n", false },
	};
	const struct config *base = read_good(
	    LISTENER("a") HOST("b") "connect = 1\n");
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *other;

		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		other = read_good(text);
		cr_expect_eq(config_listener_equal(
				 &base->listeners[0], &other->listeners[0]),
		    rows[i].expect, "%s", rows[i].what);
		config_unref(other);
	}
	config_unref(base);
}

static char *
write_hosts(size_t count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	fputs(LISTENER("a"), out);
	for (size_t i = 0; i < count; i++)
		fprintf(out,
		    "[host a h%zu.example]\ncert = c%zu.pem\n"
		    "connect = 10.0.0.1:%zu\n",
		    i, i, i % 1000 + 1);
	cr_assert_eq(fclose(out), 0);
	return text;
}

Test(hosts, are_read_by_the_thousand, .timeout = 30)
{
	char *text = write_hosts(10000);
	const struct config *config = read_good(text);
	const struct config_listener *a = &config->listeners[0];

	cr_assert_eq(a->host_count, 10000);
	cr_expect_str_eq(a->hosts[9999].pattern, "h9999.example");
	cr_expect_str_eq(a->hosts[9999].certs.items[0].path, "c9999.pem");
	cr_expect_eq(config->notes.count, 0);
	config_unref(config);
	free(text);
}

Test(hosts, have_a_limit, .timeout = 30)
{
	char *text = write_hosts(65537);

	expect_error(
	    "too many", text, "t.ini: there are more than 65536 hosts");
	free(text);
}
