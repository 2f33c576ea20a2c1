/*
 * What one generation takes over from another, and whose fault it is when one
 * cannot be built.  Sockets are Unix sockets in a scratch folder.
 */
#include "runtime/generation.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "tests/support/site.h"
#include "tls/server.h"

#define LISTENER(name, more)                                 \
	"[listener " name "]\naccept = unix:" name ".sock\n" \
	"connect = 127.0.0.1:1\ncert = cert.pem\nkey = key.pem\n" more

static struct site site;

static void
set_up(void)
{
	site_open(&site, 2);
	site_add_other(&site);
}

static void
tear_down(void)
{
	site_close(&site);
}

TestSuite(generation, .init = set_up, .fini = tear_down);

static struct generation *
build(struct generation *old, const char *text)
{
	struct generation *fresh = site_build(&site, old, text, false);

	cr_assert_not_null(fresh);
	return fresh;
}

static struct listener *
socket_of(const struct generation *generation, size_t i)
{
	return generation_port(generation, i).listener;
}

static struct identity *
identity_of(const struct generation *generation)
{
	return site_credential(generation, 0)->identity;
}

static struct tls_context *
context_of(const struct generation *generation)
{
	return tls_server_site(generation_service(generation, 0)->tls, 0)
	    ->context;
}

Test(generation, shares_all_that_did_not_change)
{
	struct generation *old = build(NULL, LISTENER("a", ""));
	struct generation *fresh = build(old, "\n\n" LISTENER("a", ""));

	cr_expect_eq(identity_of(fresh), identity_of(old));
	cr_expect_eq(context_of(fresh), context_of(old));
	cr_expect_eq(socket_of(fresh, 0), socket_of(old, 0));
	cr_expect(generation_port(old, 0).fresh);
	cr_expect_not(generation_port(fresh, 0).fresh);
	generation_unref(old);
	generation_unref(fresh);
}

Test(generation, keeps_socket_and_counts_of_a_service_that_changed)
{
	struct generation *old = build(NULL, LISTENER("a", ""));
	struct generation *fresh = build(
	    old, LISTENER("a", "timeout_idle = 5s\n"));
	struct service *before = generation_service(old, 0);
	struct service *after = generation_service(fresh, 0);

	cr_expect_neq(after, before);
	cr_expect_eq(after->limit, before->limit);
	cr_expect_eq(socket_of(fresh, 0), socket_of(old, 0));
	generation_unref(old);
	generation_unref(fresh);
}

Test(generation, notices_a_certificate_that_changed_in_place)
{
	struct generation *old = build(NULL, LISTENER("a", ""));
	struct generation *fresh;
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/other.pem", site.folder.path);
	snprintf(to, sizeof(to), "%s/cert.pem", site.folder.path);
	cr_assert_eq(rename(from, to), 0);
	snprintf(from, sizeof(from), "%s/other-key.pem", site.folder.path);
	snprintf(to, sizeof(to), "%s/key.pem", site.folder.path);
	cr_assert_eq(rename(from, to), 0);
	fresh = build(old, LISTENER("a", ""));
	cr_expect_neq(identity_of(fresh), identity_of(old));
	cr_expect_eq(socket_of(fresh, 0), socket_of(old, 0));
	generation_unref(old);
	generation_unref(fresh);
}

Test(generation, keeps_the_port_that_each_listener_got)
{
	static const char one_way[] =
	    "[listener a]\naccept = 127.0.0.1:0\nconnect = 1\n"
	    "cert = cert.pem\nkey = key.pem\n"
	    "[listener b]\naccept = 127.0.0.1:0\nconnect = 1\n"
	    "cert = cert.pem\nkey = key.pem\n";
	static const char other_way[] =
	    "[listener b]\naccept = 127.0.0.1:0\nconnect = 1\n"
	    "cert = cert.pem\nkey = key.pem\n"
	    "[listener a]\naccept = 127.0.0.1:0\nconnect = 1\n"
	    "cert = cert.pem\nkey = key.pem\n";
	struct generation *old = build(NULL, one_way);
	struct generation *fresh = build(old, other_way);

	cr_expect_eq(socket_of(fresh, 0), socket_of(old, 1));
	cr_expect_eq(socket_of(fresh, 1), socket_of(old, 0));
	generation_unref(old);
	generation_unref(fresh);
}

Test(generation, closes_what_the_last_holder_lets_go)
{
	struct generation *generation = build(NULL, LISTENER("a", ""));
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	cr_expect_eq(stat(path, &status), 0);
	generation_unref(generation_ref(generation));
	cr_expect_eq(stat(path, &status), 0);
	generation_unref(generation);
	cr_expect_neq(stat(path, &status), 0);
}

Test(generation, opens_nothing_when_it_only_checks)
{
	struct generation *generation = site_build(
	    &site, NULL, LISTENER("a", ""), true);
	char path[128];

	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	cr_assert_not_null(generation);
	cr_expect_eq(generation_port_count(generation), 0u);
	cr_expect_eq(generation_service_count(generation), 1u);
	cr_expect_neq(access(path, F_OK), 0);
	generation_unref(generation);
}

/* Everything below fails to build. */

static struct generation_errors
refuse(const char *text)
{
	const struct config *config = site_config(&site, text);
	struct generation_errors errors;
	struct generation *generation;

	generation = generation_build(
	    NULL, config, &site.parts, GENERATION_FULL, &errors);
	cr_assert_null(generation);
	cr_assert_gt(errors.all.list.count, 0u);
	config_unref(config);
	return errors;
}

Test(generation, says_where_and_whose_fault_it_is)
{
	static const struct {
		const char *what, *given, *expect;
		bool bad_config;
	} rows[] = {
		{ "no key file",
		    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
		    "cert = cert.pem\nkey = none.pem\n",
		    "clinch.ini:5: listener a: ", true },
		{ "no certificate file",
		    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
		    "cert = none.pem\nkey = key.pem\n",
		    "clinch.ini:4: listener a: ", true },
		{ "not a pair",
		    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
		    "cert = cert.pem\nkey = other-key.pem\n",
		    "clinch.ini:4: listener a: ", true },
		{ "no such ciphers", LISTENER("a", "ciphers = NONE-SUCH\n"),
		    "clinch.ini:6: ciphers", true },
		{ "no folder for a socket",
		    "[listener a]\naccept = unix:none/a.sock\nconnect = 1\n"
		    "cert = cert.pem\nkey = key.pem\n",
		    "clinch.ini:2: listener a: ", false },
		{ "nothing inherited",
		    "[listener a]\nfd = web\nconnect = 1\n"
		    "cert = cert.pem\nkey = key.pem\n",
		    "clinch.ini:1: listener a: fd web: ", false },
	};
	struct generation_errors errors;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errors = refuse(rows[i].given);
		cr_expect_not_null(
		    strstr(errors.all.list.items[0], rows[i].expect), "%s: %s",
		    rows[i].what, errors.all.list.items[0]);
		cr_expect_eq(
		    errors.bad_config, rows[i].bad_config, "%s", rows[i].what);
		generation_errors_free(&errors);
	}
}

Test(generation, collects_the_errors_of_all_listeners)
{
	struct generation_errors errors = refuse(
	    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
	    "cert = none.pem\nkey = key.pem\n" LISTENER(
		"b", "") "[listener c]\naccept = unix:c.sock\nconnect = 1\n"
			 "cert = cert.pem\nkey = other-key.pem\n");
	char path[128];

	cr_expect_eq(errors.all.list.count, 2u);
	snprintf(path, sizeof(path), "%s/b.sock", site.folder.path);
	cr_expect_neq(access(path, F_OK), 0, "nothing is started half");
	generation_errors_free(&errors);
}

Test(generation, collects_the_errors_of_one_listener)
{
	static const struct {
		const char *what, *given, *expect[3];
	} rows[] = {
		{ "cert and key",
		    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
		    "cert = none.crt\nkey = none.key\n",
		    { "clinch.ini:4: listener a: ",
			"clinch.ini:5: listener a: " } },
		{ "three keys of TLS",
		    LISTENER(
			"a", "ciphers = NO\nciphersuites = NO\ngroups = NO\n"),
		    { "clinch.ini:6: ciphers", "clinch.ini:7: ciphersuites",
			"clinch.ini:8: groups" } },
		{ "one key of TLS", LISTENER("a", "alpn = h2\ngroups = NO\n"),
		    { "clinch.ini:7: groups" } },
	};
	struct generation_errors errors;
	size_t expected, k;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errors = refuse(rows[i].given);
		for (expected = 0; expected < 3; expected++)
			if (rows[i].expect[expected] == NULL)
				break;
		cr_assert_eq(errors.all.list.count, expected, "%s: %zu",
		    rows[i].what, errors.all.list.count);
		for (k = 0; k < expected; k++)
			cr_expect_not_null(
			    strstr(errors.all.list.items[k], rows[i].expect[k]),
			    "%s: %s", rows[i].what, errors.all.list.items[k]);
		generation_errors_free(&errors);
	}
}
