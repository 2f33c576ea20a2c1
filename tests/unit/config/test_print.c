/*
 * The printed configuration reads back the same, and the sample in etc/ is
 * valid with every key in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "unit/config/reading.h"

#define HOST(pattern) "[host a " pattern "]\n"
#define SAMPLE TOP_SRCDIR "/etc/clinch.ini"

static char *
print(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	config_print(config, out);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static void
expect_same(const struct config *a, const struct config *b, const char *what)
{
	struct config_strings changes = config_fixed_changes(a, b);

	cr_expect_eq(changes.count, 0, "%s", what);
	config_strings_free(&changes);
	cr_expect_eq(config_is_set(a->places, KEY_GLOBAL_DRAIN_TIMEOUT),
	    config_is_set(b->places, KEY_GLOBAL_DRAIN_TIMEOUT), "%s", what);
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		cr_expect(
		    row->of_listener ||
			value_equal(row->type, schema_field_const(row, a, NULL),
			    schema_field_const(row, b, NULL)),
		    "%s: %s", what, row->name);
	}
	cr_assert_eq(a->listener_count, b->listener_count, "%s", what);
	for (size_t i = 0; i < a->listener_count; i++)
		cr_expect(
		    config_listener_equal(&a->listeners[i], &b->listeners[i]),
		    "%s: listener %s", what, a->listeners[i].name);
}

static void
expect_round_trip(const struct config *config, const char *what)
{
	char *text = print(config);
	struct config_errors errors;
	const struct config *again = read_text(text, &errors);

	cr_assert_not_null(again, "%s: %s", what, errors.list.items[0]);
	expect_same(config, again, what);
	config_unref(again);
	free(text);
}

struct row {
	const char *what, *given;
};

static void
expect_round_trips(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct config *config = read_good(rows[i].given);

		expect_round_trip(config, rows[i].what);
		config_unref(config);
	}
}

Test(print, is_read_back_the_same)
{
	static const struct row rows[] = {
		{ "defaults", LISTENER("a") },
		{ "two listeners", LISTENER("a") LISTENER("b c") },
		{ "a stunnel file", "TIMEOUTclose = 0\n[s]\naccept = :::1\n"
				    "connect = /run/x\ncert = /c\n"
				    "options = NO_TLSv1_3\n" },
		{ "odd texts",
		    LISTENER("a") "ciphers = a$${b}$$$${ x#;y\nfd = =\n" },
		{ "everything global",
		    "threads = 4\nuser = u\ngroup = g\nmax_connections = 1k\n"
		    "drain_timeout = 0\npid = /p\nlevel = crit\n"
		    "format = json\noutput = /log\naccess = same\n"
		    "ticket_rotate = 90s\n" LISTENER("a") },
		{ "modern", LISTENER("a") "profile = modern\n" },
		{ "everything about stapling",
		    "store_dir = /s\n[ocsp]\nmode = prefer\nca_file = /c\n"
		    "urls = http://a/, https://b:1/x;y\nurl = http://[::1]\n"
		    "without_staple = refuse\non_revoked = staple\n"
		    "start_wait = 0\ntimeout = 5\nmethod = get\n"
		    "min_interval = 1\nmax_interval = 1\nproxy = none\n"
		    "default_lifetime = 1h\nmax_response = 1k\n"
		    "max_fetches = 1\naia_issuer = no\n" LISTENER(
			"a") "staple_file = /f\n" },
		{ "ocsp = no for all", "ocsp = no\n" LISTENER("a") },
		{ "a mode of one listener",
		    "[ocsp]\nmode = must\nproxy = http://p:1\n" LISTENER(
			"a") "ocsp = must\n" LISTENER("b") },
		{ "a staple file that two listeners share",
		    LISTENER("a") LISTENER("b") "staple_file = /f\n" },
		{ "a staple file for one certificate of two",
		    LISTENER("a") "cert = /d\n" LISTENER(
			"b") "staple_file = /f\n" },
	};

	expect_round_trips(rows, ARRAY_LEN(rows));
}

Test(print, of_hosts_is_read_back_the_same)
{
	static const struct row rows[] = {
		{ "a host without keys", LISTENER("a") HOST("b") },
		{ "hosts of two listeners",
		    LISTENER("a") HOST("*.b") "connect = 1\n" LISTENER(
			"c") "[host c d]\nalpn = x\n" HOST("e") },
		{ "certificates of its own",
		    LISTENER("a") "key = /k\n" HOST(
			"b") "cert = /c, /d\nkey = /k\nkey = /l\n"
			     "staple_file = /s, /t\n" },
		{ "the listener's certificate as its own",
		    LISTENER("a") "key = /k\nstaple_file = /s\n" HOST(
			"b") "cert = /dev/null\n" },
		{ "a folder",
		    "[listener a]\naccept = 1\nconnect = 1\n"
		    "cert_dir = /d\nsni_unknown = reject\n" HOST("b") },
		{ "lists that a host empties",
		    LISTENER("a") "alpn = h2\nverify = require\n"
				  "ca_file = /c\nallow_san = x\n" HOST(
				      "b") "verify = none\n" },
		{ "everything about clients",
		    "ticket_key_file = /t\n[tls]\nca_file = /c\nwatch = no\n" LISTENER(
			"a") "verify = optional\ncrl_file = /r\n"
			     "crl_check = chain\nallow_cn = A B\n"
			     "allow_san = uri:a:*, ip:::/0\n"
			     "proxy_in = yes\nproxy_trust = ::1\n"
			     "proxy_out = v2\nproxy_tlv = cn, cert\n" HOST(
				 "b") "proxy_tlv = none\n" },
		{ "rules for one listener of two",
		    "allow_cn = x\nca_file = /c\n" LISTENER("a")
			LISTENER("b") "verify = require\n" },
		{ "modes of its own",
		    "[ocsp]\non_revoked = exit\n" LISTENER("a")
			HOST("b") "ocsp = must\non_revoked = refuse\n"
				  "without_staple = serve\n" HOST(
				      "c") "ocsp = no\n" },
		{ "a mode for all hosts",
		    LISTENER("a") "ocsp = must\n" HOST("b") },
		{ "a host of another version",
		    LISTENER("a") "profile = modern\n" HOST(
			"b") "ciphers = HIGH\n" HOST("c") "min_version = 1.2\n" },
		{ "a host by stunnel's words",
		    "[a]\naccept = 1\nconnect = 1\ncert = /c\n"
		    "[h]\nsni = a:b\noptions = NO_TLSv1_3\n" },
	};

	expect_round_trips(rows, ARRAY_LEN(rows));
}

Test(print, makes_relative_paths_absolute)
{
	const struct config *config = read_good(LISTENER("a") "key = k.pem\n");
	char *text = print(config);

	cr_expect_not_null(strstr(text, "\nkey = /"));
	cr_expect_not_null(strstr(text, "/k.pem\n"));
	free(text);
	config_unref(config);
}

Test(print, prints_what_an_unset_drain_timeout_means)
{
	const struct config *config = read_good(LISTENER("a"));
	char *text = print(config);

	cr_expect_not_null(strstr(text, "\n; drain_timeout: 8s"));
	free(text);
	config_unref(config);
}

Test(print, lists_every_key_in_eight_columns)
{
	char *text = NULL, *line, *rest;
	size_t size = 0, lines = 0;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	config_list_keys(out);
	cr_assert_eq(fclose(out), 0);
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		size_t tabs = 0;

		for (const char *at = line; *at != '\0'; at++)
			tabs += *at == '\t';
		cr_expect_eq(tabs, 7, "%s", line);
		lines++;
	}
	cr_expect_eq(lines, KEY_COUNT);
	free(text);
}

static char *
read_sample(void)
{
	FILE *file = fopen(SAMPLE, "r");
	char *text = calloc(1, 65536);

	cr_assert(file != NULL && text != NULL, "%s", SAMPLE);
	cr_assert_lt(fread(text, 1, 65535, file), 65535);
	fclose(file);
	return text;
}

/* Remove the ";" at the start of each line. */
static void
uncomment(char *text)
{
	char *out = text;

	for (char *at = text; *at != '\0'; at++)
		if (*at != ';' || (at > text && at[-1] != '\n'))
			*out++ = *at;
	*out = '\0';
}

Test(sample, is_good_as_it_stands)
{
	char *text = read_sample();

	config_unref(read_good(text));
	free(text);
}

Test(sample, is_good_with_every_key_uncommented)
{
	char *text = read_sample();
	const struct config *config;

	uncomment(text);
	config = read_good(text);
	cr_expect(config_is_set(config->places, KEY_GLOBAL_DRAIN_TIMEOUT));
	cr_expect_not_null(config->user);
	cr_expect_eq(config->listeners[0].deny.count, 1);
	expect_round_trip(config, "the sample");
	config_unref(config);
	free(text);
}

/* true: there is a line "key = ..." or ";key = ...". */
static bool
mentions(const char *text, const char *key)
{
	char line[64];

	snprintf(line, sizeof(line), "\n%s = ", key);
	if (strstr(text, line) != NULL)
		return true;
	snprintf(line, sizeof(line), "\n;%s = ", key);
	return strstr(text, line) != NULL;
}

Test(sample, shows_every_key_at_its_default)
{
	char *text = read_sample();
	const struct config *plain = read_good(LISTENER("web"));
	const struct config *full;

	for (enum config_key i = 0; i < KEY_COUNT; i++)
		cr_expect(mentions(text, schema_row(i)->name), "%s",
		    schema_row(i)->name);
	uncomment(text);
	full = read_good(text);
	for (enum config_key i = 0; i < KEY_COUNT; i++) {
		const struct schema_row *row = schema_row(i);

		/* The sample has another value of max_version than the
		 * default. */
		if (row->initial == NULL ||
		    strcmp(row->name, "max_version") == 0)
			continue;
		cr_expect(
		    value_equal(row->type,
			schema_field_const(row, plain, &plain->listeners[0]),
			schema_field_const(row, full, &full->listeners[0])),
		    "%s", row->name);
	}
	config_unref(plain);
	config_unref(full);
	free(text);
}
