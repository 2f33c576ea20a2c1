/*
 * The checks that need more than one key: client rules, PROXY headers,
 * backends that hosts with different rules share, stapling, and contradictions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/config/reading.h"

#define HOST(pattern) "[host a " pattern "]\n"
#define TCP(name)                \
	"[listener " name "]\n"  \
	"accept = 127.0.0.1:0\n" \
	"connect = 8080\n"       \
	"cert = /dev/null\n"

struct row {
	const char *what, *given, *expect; /* NULL: good */
};

/* Each row follows a listener of four lines. */
static void
walk(const struct row *rows, size_t count)
{
	char text[512];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		if (rows[i].expect != NULL)
			expect_error(rows[i].what, text, rows[i].expect);
		else
			config_unref(read_good(text));
	}
}

Test(clients, are_not_verified_by_default)
{
	const struct config *config = read_good(LISTENER("a"));
	const struct config_listener *a = &config->listeners[0];

	cr_expect_eq(a->verify, VERIFY_NONE);
	cr_expect_eq(a->crl_check, CRL_CHECK_AVAILABLE);
	cr_expect_null(a->ca_file);
	cr_expect_null(a->crl_file);
	cr_expect_eq(a->sni_unknown, SNI_DEFAULT);
	cr_expect(a->watch);
	cr_expect_not(a->proxy_in);
	cr_expect_eq(a->proxy_out, PROXY_OUT_OFF);
	cr_expect_eq(
	    a->proxy_tlv, PROXY_TLV_AUTHORITY | PROXY_TLV_ALPN | PROXY_TLV_SSL);
	cr_expect_null(config->ticket_key_file);
	config_unref(config);
}

Test(clients, have_settings_with_their_places)
{
	const struct config *config = read_good(
	    "[tls]\nca_file = t\nwatch = no\nticket_key_file = f\n" LISTENER(
		"a") "verify = optional\nCRLfile = r\ncrl_check = chain\n"
		     "allow_cn = Jane Doe, *.x\nallow_san = x\n" HOST(
			 "b") "verify = require\nCAfile = h\n");
	const struct config_listener *a = &config->listeners[0];
	const struct config_listener *b = &a->hosts[0];

	cr_expect_str_eq(config->ticket_key_file, "f");
	cr_expect_eq(line_of(config->places, KEY_TLS_TICKET_KEY_FILE), 4);
	cr_expect_not(a->watch);
	cr_expect_eq(a->verify, VERIFY_OPTIONAL);
	cr_expect_eq(line_of(a->places, KEY_VERIFY), 9);
	cr_expect_str_eq(a->ca_file, "t");
	cr_expect_eq(line_of(a->places, KEY_CA_FILE), 2);
	cr_expect_str_eq(a->crl_file, "r");
	cr_expect_eq(line_of(a->places, KEY_CRL_FILE), 10);
	cr_expect_eq(b->verify, VERIFY_REQUIRE);
	cr_expect_str_eq(b->ca_file, "h");
	cr_expect_eq(line_of(b->places, KEY_CA_FILE), 16);
	cr_expect_str_eq(b->crl_file, "r");
	cr_expect_eq(b->crl_check, CRL_CHECK_CHAIN);
	cr_expect_str_eq(b->allow_cn.items[0], "Jane Doe");
	cr_expect_eq(line_of(b->places, KEY_ALLOW_SAN), 13);
	config_unref(config);
}

Test(clients, need_a_ca_file_to_be_verified)
{
	static const struct row rows[] = {
		{ "no trust", "verify = require\n",
		    "t.ini:5: listener a verifies clients but has no ca_file" },
		{ "optional", "backlog = 1\nverify = optional\n",
		    "t.ini:6: listener a verifies clients but has no ca_file" },
		{ "trust", "verify = require\nca_file = c\n", NULL },
		{ "trust for all", "verify = require\n[tls]\nca_file = c\n",
		    NULL },
		{ "[ocsp]'s trust is another",
		    "verify = require\n[ocsp]\nca_file = c\n",
		    "t.ini:5: listener a verifies clients but has no" },
		{ "a host without", HOST("b") "verify = require\n",
		    "t.ini:6: host b of listener a verifies clients but has "
		    "no ca_file" },
		{ "the same error once",
		    "verify = require\n" HOST("b") HOST("c"),
		    "t.ini:5: listener a verifies" },
		{ "a host's trust", HOST("b") "verify = require\nca_file = c\n",
		    NULL },
		{ "trust alone, for issuers", "ca_file = c\n", NULL },
		{ "pinned", "verify = pinned\nca_file = c\n", NULL },
		{ "by number", "verify = 2\nca_file = c\n", NULL },
		{ "a large number", "verify = 5\n",
		    "t.ini:5: verify: \"5\" is not one of: none, optional, "
		    "require, pinned" },
		{ "nearly a word", "verify = required\n",
		    "t.ini:5: verify: \"required\" is unknown: did you mean "
		    "\"require\"?" },
	};

	walk(rows, ARRAY_LEN(rows));
}

/* The value is inherited, so the place is that of the inherited value. */
Test(clients, have_the_place_of_a_valid_value)
{
	struct config_errors errors;
	const struct config *config = read_text(
	    "verify = require\n" LISTENER("a") "verify = bogus\n", &errors);

	cr_assert_null(config);
	cr_assert_eq(errors.list.count, 2);
	cr_expect_str_eq(errors.list.items[0],
	    "t.ini:1: listener a verifies clients but has no ca_file: name a "
	    "PEM file with the CA certificates for clients");
	cr_expect_eq(strncmp(errors.list.items[1], "t.ini:6: verify: ", 17), 0);
	config_errors_free(&errors);
}

Test(clients, have_no_rules_without_effect)
{
	static const struct row rows[] = {
		{ "a list", "crl_file = r\n",
		    "t.ini:5: crl_file does nothing "
		    "without verify = optional" },
		{ "names", "allow_san = x\n", "t.ini:5: allow_san does" },
		{ "a common name", "allow_cn = x\n", "t.ini:5: allow_cn does" },
		{ "a host's", HOST("b") "allow_cn = x\n",
		    "t.ini:6: allow_cn does nothing" },
		{ "for one host of two",
		    "allow_cn = x\nca_file = c\n" HOST("b")
			HOST("d") "verify = require\n",
		    NULL },
		{ "a host that does not verify",
		    "verify = require\nca_file = c\nallow_cn = x\n" HOST(
			"b") "verify = none\n",
		    NULL },
		{ "how to look into no list",
		    "verify = require\nca_file = c\ncrl_check = chain\n",
		    "t.ini:7: crl_check does nothing without" },
		{ "before all listeners, for none",
		    "[tls]\n[listener b]\naccept = 1\nconnect = 1\ncert = c\n",
		    NULL },
	};

	walk(rows, ARRAY_LEN(rows));
	expect_error("a default without effect", "allow_cn = x\n" LISTENER("a"),
	    "t.ini:1: allow_cn does nothing without");
	config_unref(read_good("allow_cn = x\nca_file = c\n" LISTENER("a")
		TCP("b") "verify = require\n"));
}

Test(clients, that_are_not_verified_have_no_rules_left_over)
{
	const struct config *config = read_good(
	    "allow_cn = x\nca_file = c\n" LISTENER("a")
		TCP("b") "verify = require\n");

	cr_expect_eq(config->listeners[0].allow_cn.count, 0);
	cr_expect_eq(config->listeners[1].allow_cn.count, 1);
	config_unref(config);
}

Test(clients, have_names_that_can_match)
{
	static const char trusted[] = "verify = require\nca_file = c\n";
	static const struct row rows[] = {
		{ "a host", "allow_san = *.b.example\n", NULL },
		{ "all kinds",
		    "allow_san = dns:a, email:*@b, uri:spiffe://c/*, "
		    "ip:10.0.0.0/8\n",
		    NULL },
		{ "an address as a name", "allow_san = 10.0.0.1\n",
		    "t.ini:7: allow_san: \"10.0.0.1\" is not a name: write ip:" },
		{ "half a label", "allow_san = dns:a*.b\n",
		    "t.ini:7: allow_san: \"a*.b\": a * stands for" },
		{ "no range", "allow_san = ip:10.0.0.0/33\n",
		    "t.ini:7: allow_san: " },
		{ "a star within", "allow_cn = a*\n",
		    "t.ini:7: allow_cn: \"a*\": a * stands for" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct row row = rows[i];

		snprintf(text, sizeof(text), "%s%s", trusted, rows[i].given);
		row.given = text;
		walk(&row, 1);
	}
}

Test(clients, send_proxy_headers_from_trusted_addresses_only)
{
	static const struct row rows[] = {
		{ "no proxy_trust", "proxy_in = yes\n",
		    "t.ini:5: listener a would accept PROXY headers from any" },
		{ "a range", "proxy_in = yes\nproxy_trust = 10.0.0.0/8\n",
		    NULL },
		{ "in vain", "proxy_trust = 10.0.0.0/8\n",
		    "t.ini:5: proxy_trust does nothing without proxy_in" },
		{ "Unix sockets",
		    "[listener b]\nproxy_in = yes\naccept = unix:s\n"
		    "connect = 1\ncert = c\n",
		    NULL },
		{ "one that is none",
		    "[listener b]\nproxy_in = yes\naccept = unix:s, 1\n"
		    "connect = 1\ncert = c\n",
		    "t.ini:6: listener b would accept PROXY" },
		{ "not a range", "proxy_in = yes\nproxy_trust = lb\n",
		    "t.ini:6: proxy_trust: " },
		{ "a host's", HOST("b") "proxy_in = yes\n",
		    "t.ini:6: proxy_in does not belong here: put it into "
		    "[listener NAME]" },
	};

	walk(rows, ARRAY_LEN(rows));
}

Test(clients, have_the_tlvs_that_are_named)
{
	static const struct {
		const char *what, *given;
		unsigned expect;
	} rows[] = {
		{ "one", "alpn", PROXY_TLV_ALPN },
		{ "all of them",
		    "authority, alpn, ssl, cn\nproxy_tlv = cert, crc32c, "
		    "unique_id",
		    127 },
		{ "twice", "cn, CN", PROXY_TLV_CN },
		{ "none", "none", 0 },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config;

		snprintf(text, sizeof(text),
		    LISTENER("a") "write-proxy = v2\nproxy_tlv = %s\n",
		    rows[i].given);
		config = read_good(text);
		cr_expect_eq(config->listeners[0].proxy_tlv, rows[i].expect,
		    "%s", rows[i].what);
		config_unref(config);
	}
}

Test(clients, have_no_tlvs_without_effect)
{
	static const struct row rows[] = {
		{ "v1 has no room", "proxy_out = v1\nproxy_tlv = cn\n",
		    "t.ini:6: proxy_tlv does nothing without proxy_out = v2" },
		{ "a host may", "proxy_tlv = cn\n" HOST("b") "proxy_out = v2\n",
		    NULL },
		{ "no version", "proxy_out = yes\n",
		    "t.ini:5: proxy_out: \"yes\" is not one of: off" },
		{ "no such word", "proxy_out = v2\nproxy_tlv = cnn\n",
		    "t.ini:6: proxy_tlv: \"cnn\"" },
	};

	walk(rows, ARRAY_LEN(rows));
}

/* The hosts' lines begin behind the six of a listener that verifies. */
Test(clients, that_reach_one_backend_by_two_rules_are_noted)
{
	static const struct {
		const char *what, *given;
		size_t notes;
	} rows[] = {
		{ "the listener's rules", HOST("b"), 0 },
		{ "other rules", HOST("b") "verify = none\n", 1 },
		{ "other rules, another backend",
		    HOST("b") "verify = none\nconnect = 8081\n", 0 },
		{ "the same backend in other words",
		    HOST("b") "verify = none\nconnect = 127.0.0.1:8080\n", 1 },
		{ "another CA",
		    HOST("b") "connect = x:1\n" HOST(
			"c") "connect = x:1\nca_file = d\n",
		    1 },
		{ "one more list", HOST("b") "crl_file = d\n", 1 },
		{ "one more name", HOST("b") "allow_cn = d\n", 1 },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config;

		snprintf(text, sizeof(text),
		    LISTENER("a") "verify = require\nca_file = c\n%s",
		    rows[i].given);
		config = read_good(text);
		cr_expect_eq(
		    config->notes.count, rows[i].notes, "%s", rows[i].what);
		config_unref(config);
	}
}

/* A client that requests no host is refused, or served by the listener. */
Test(clients, that_cannot_be_in_the_listener_itself_are_not_noted)
{
	static const struct {
		const char *what, *given;
		size_t notes;
	} rows[] = {
		{ "no client", "sni_unknown = reject\n", 0 },
		{ "whom the folder has names for",
		    "sni_unknown = reject\ncert_dir = d\n", 1 },
		{ "everybody", "cert = d\n", 1 },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct config *config;

		snprintf(text, sizeof(text),
		    "[listener a]\naccept = 0\nconnect = 1\n%s" HOST(
			"b") "cert = c\nverify = require\nca_file = c\n",
		    rows[i].given);
		config = read_good(text);
		cr_expect_eq(
		    config->notes.count, rows[i].notes, "%s", rows[i].what);
		config_unref(config);
	}
}

Test(clients, that_share_a_backend_are_named)
{
	const struct config *config = read_good(
	    LISTENER("a") HOST("b") "verify = require\nca_file = c\n");

	cr_assert_eq(config->notes.count, 1);
	cr_expect_not_null(strstr(config->notes.items[0],
	    "t.ini:5: host b of listener a and listener a have different "
	    "rules for clients but share the backend 8080: "));
	cr_expect_not_null(
	    strstr(config->notes.items[0], "SNI is not authorisation"));
	config_unref(config);
}

Test(clients, that_reach_no_host_share_nothing)
{
	const struct config *config = read_good(
	    "[listener a]\naccept = 1\nconnect = 1\nsni_unknown = reject\n" HOST(
		"b") "cert = c\nverify = require\nca_file = c\n");

	cr_expect_eq(config->notes.count, 0);
	config_unref(config);
}

Test(clients, that_share_backends_in_many_hosts_are_counted)
{
	char text[4096] = LISTENER("a");
	const struct config *config;

	for (int i = 0; i < 20; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    HOST("h%d") "verify = require\nca_file = c\n", i);
	config = read_good(text);
	cr_assert_eq(config->notes.count, 9);
	cr_expect_str_eq(config->notes.items[8],
	    "12 more hosts share a backend with others that have different "
	    "rules for clients");
	config_unref(config);
}

Test(clients, make_listeners_differ)
{
	static const char *const others[] = { "verify = optional\n",
		"allow_san = x\n", "allow_cn = x\n", "crl_file = x\n",
		"proxy_out = v1\n", "sni_unknown = reject\n", "watch = no\n",
		"cert_dir = d\n", "cert = d\n",
		"proxy_in = yes\nproxy_trust = ::1\n" };
	static const char base[] = LISTENER("a") "ca_file = c\n";
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const char *verify = strstr(others[i], "verify") == NULL
					 ? "verify = require\n"
					 : "verify = none\n";
		const struct config *one, *other;

		snprintf(text, sizeof(text), "%s%s", base, verify);
		one = read_good(text);
		snprintf(text, sizeof(text), "%s%s%s", base,
		    strstr(others[i], "verify") == NULL ? verify : "",
		    others[i]);
		other = read_good(text);
		cr_expect_not(config_listener_equal(
				  &one->listeners[0], &other->listeners[0]),
		    "%s", others[i]);
		config_unref(one);
		config_unref(other);
	}
}

#define OTHER(name, cert)        \
	"[listener " name "]\n"  \
	"accept = 127.0.0.1:0\n" \
	"connect = 8080\n"       \
	"cert = " cert "\n"

Test(stapling, has_the_built_in_defaults)
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
	cr_expect_eq(ocsp->max_interval_ms, 7 * 24 * 3600000);
	cr_expect_eq(ocsp->default_lifetime_ms, 24 * 3600000);
	cr_expect_eq(ocsp->max_response, 65536);
	cr_expect_eq(ocsp->max_fetches, 32);
	cr_expect_null(ocsp->proxy);
	cr_expect(ocsp->aia_issuer);
	cr_expect_null(config->store_dir);
	cr_expect_eq(config->listeners[0].staple_files.count, 0);
	cr_expect_not(config_is_set(config->listeners[0].places, KEY_OCSP));
	config_unref(config);
}

Test(stapling, takes_the_mode_from_the_listener_then_ocsp_then_global)
{
	static const struct {
		const char *what, *given;
		enum config_ocsp_mode expect;
		unsigned line; /* where it is set */
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
		cr_expect_eq(config_ocsp_where(a)->line, rows[i].line, "%s",
		    rows[i].what);
		cr_expect_eq(config_is_set(a->places, KEY_OCSP), rows[i].set,
		    "%s", rows[i].what);
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
		{ "set", "[ocsp]\non_revoked = exit\n" LISTENER("a"),
		    OCSP_REVOKED_EXIT },
		{ "set, with a mode of its own",
		    "[ocsp]\non_revoked = exit\n" LISTENER("a") "ocsp = must\n",
		    OCSP_REVOKED_EXIT },
		{ "set at the top, with a mode of its own",
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

Test(stapling, takes_without_staple_as_set_or_by_mode)
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

Test(stapling, remembers_the_places_of_its_files)
{
	const struct config *config = read_good(
	    "store_dir = s\n[ocsp]\nca_file = c\n" LISTENER(
		"a") "staple_file = f\n");

	cr_expect_str_eq(config->store_dir, "s");
	cr_expect_eq(line_of(config->places, KEY_GLOBAL_STORE_DIR), 1);
	cr_expect_str_eq(config->ocsp.ca_file, "c");
	cr_expect_eq(line_of(config->places, KEY_OCSP_CA_FILE), 3);
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

	expect_staple_file("set elsewhere", &listeners[0], 0, "f");
	cr_expect_eq(listeners[0].staple_files.items[0].where.line, 13);
	expect_staple_file("another certificate", &listeners[1], 0, NULL);
	expect_staple_file("set elsewhere as well", &listeners[3], 0, "f");
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
		    "t.ini:10: staple_file of listener b differs from the "
		    "one in t.ini:5 for the same certificate /dev/null" },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), LISTENER("a") "%s", rows[i].given);
		expect_error(rows[i].what, text, rows[i].expect);
	}
}

Test(stapling, refuses_ambiguous_keys_before_any_section)
{
	const struct config *config = read_good("CAfile = x\n" LISTENER("a"));

	/* The ca_file of clients, as in stunnel. */
	cr_expect_str_eq(config->listeners[0].ca_file, "x");
	cr_expect_null(config->ocsp.ca_file);
	config_unref(config);
	expect_error("timeout", "timeout = 5s\n" LISTENER("a"),
	    "t.ini:1: timeout: ambiguous: write timeout_handshake, ");
}

Test(stapling, refuses_invalid_responder_urls)
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

Test(check, finds_contradictions)
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

Test(check, accepts_what_only_looks_like_a_contradiction)
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
