/*
 * Building a generation: what one takes over from another, which errors are
 * reported where, which certificate is shown for which name, what changed files
 * do, and how a renewed certificate goes into service.  Sockets are Unix
 * sockets in a scratch folder.
 */
#include "runtime/build.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/backend.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "tests/support/site.h"
#include "tests/support/stapled.h"
#include "tls/identity.h"
#include "tls/tls_server.h"

/* ---- What is taken over ---- */

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
	return generation_socket(generation, i)->listener;
}

static struct identity *
identity_of(const struct generation *generation)
{
	return site_slot(generation, 0)->identity;
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
	cr_expect(generation_socket(old, 0)->fresh);
	cr_expect_not(generation_socket(fresh, 0)->fresh);
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

Test(generation, reads_a_certificate_that_changed_in_place)
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

Test(generation, keeps_the_port_of_each_listener)
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

Test(generation, closes_sockets_with_the_last_reference)
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

Test(generation, opens_no_socket_for_a_check)
{
	struct generation *generation = site_build(
	    &site, NULL, LISTENER("a", ""), true);
	char path[128];

	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	cr_assert_not_null(generation);
	cr_expect_eq(generation_socket_count(generation), 0u);
	cr_expect_eq(generation_service_count(generation), 1u);
	cr_expect_neq(access(path, F_OK), 0);
	generation_unref(generation);
}

/* Builds, which has to fail. */

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

Test(generation, reports_the_line_and_the_kind_of_error)
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

/* ---- Names, hosts and cert_dir ---- */

#define WEB "[listener web]\naccept = unix:a.sock\nconnect = 127.0.0.1:1\n"
#define OWN "cert = cert.pem\nkey = key.pem\n"
#define FOLDER "cert_dir = certs\n"

static void
set_up_sites(void)
{
	char path[128];

	site_open(&site, 1);
	snprintf(path, sizeof(path), "%s/certs", site.folder.path);
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void
remove_file(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", site.folder.path, file);
	unlink(path);
}

static const char *const files[] = { "certs/a.pem", "certs/b.pem",
	"certs/c.pem", "certs/bad.pem" };

static void
tear_down_sites(void)
{
	char path[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		remove_file(files[i]);
	snprintf(path, sizeof(path), "%s/certs", site.folder.path);
	rmdir(path);
	site_close(&site);
}

TestSuite(sites, .init = set_up_sites, .fini = tear_down_sites);

/* Write certificate and key to one file; the common name identifies it. */
static void
issue(const char *file, const struct pki_wish *wish)
{
	struct pki made = pki_make(wish);
	char *cert = pki_certificate_pem(&made), *key = pki_key_pem(&made);
	char *both = pki_join(cert, key);

	free(pki_write(&site.folder, file, both));
	free(cert);
	free(key);
	free(both);
	pki_drop(&made);
}

static struct generation *
build_from(struct generation *old, const char *text)
{
	struct generation *fresh = site_build(&site, old, text, false);

	cr_assert_not_null(fresh, "%s", text);
	return fresh;
}

static void
expect_shown(const struct generation *generation, const char *const (*rows)[2],
    size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_expect_str_eq(site_shown(generation, 0, rows[i][0]),
		    rows[i][1], "%s", rows[i][0]);
}

Test(sites, use_the_closest_pattern_of_a_host)
{
	static const char *const rows[][2] = {
		{ "", "site.example" },
		{ "a.example", "a" },
		{ "A.Example.", "a" },
		{ "b.w.example", "w" },
		{ "w.example", "site.example" },
		{ "c.b.w.example", "site.example" },
		{ "bare.example", "site.example" },
	};
	const struct pki_wish a = { .name = "a" }, w = { .name = "w" };
	struct generation *generation;

	issue("a.pem", &a);
	issue("w.pem", &w);
	generation = build_from(NULL,
	    WEB OWN "[host web a.example]\ncert = a.pem\n"
		    "[host web *.w.example]\ncert = w.pem\n"
		    "[host web bare.example]\n");
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, refuse_unknown_names_if_configured)
{
	static const char *const rows[][2] = {
		{ "site.example", "site.example" },
		{ "", "refused" },
		{ "other.example", "refused" },
		{ "known.example", "site.example" },
	};
	struct generation *generation = build_from(
	    NULL, WEB OWN "sni_unknown = reject\n[host web known.example]\n");

	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, find_names_in_cert_dir)
{
	static const char *const rows[][2] = {
		{ "", "a" },
		{ "one.example", "a" },
		{ "two.example", "a" },
		{ "x.b.example", "b" },
		{ "other.example", "a" },
	};
	const struct pki_wish a = { .name = "a",
		.san = "DNS:one.example,DNS:two.example" };
	const struct pki_wish b = { .name = "b", .san = "DNS:*.b.example" };
	struct generation *generation;

	issue("certs/a.pem", &a);
	issue("certs/b.pem", &b);
	free(pki_write(&site.folder, "certs/bad.pem", "nonsense"));
	generation = build_from(NULL, WEB FOLDER);
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, prefer_configured_certificates_and_later_expiry)
{
	static const char *const rows[][2] = {
		{ "site.example", "site.example" },
		{ "twice.example", "b" },
	};
	const struct pki_wish a = { .name = "a",
		.to = "20500101000000Z",
		.san = "DNS:site.example,DNS:twice.example" };
	const struct pki_wish b = {
		.name = "b", .to = "20600101000000Z", .san = "DNS:twice.example"
	};
	const struct pki_wish c = {
		.name = "c", .to = "20550101000000Z", .san = "DNS:twice.example"
	};
	struct generation *generation;

	issue("certs/a.pem", &a);
	issue("certs/b.pem", &b);
	issue("certs/c.pem", &c);
	generation = build_from(NULL, WEB OWN FOLDER);
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

static const struct tls_site *
site_for(const struct generation *generation, const char *name)
{
	const struct service *service = generation_service(generation, 0);

	return tls_server_find(service->tls, name, strlen(name));
}

Test(sites, join_the_policy_of_a_host_with_a_certificate_of_cert_dir)
{
	const struct pki_wish a = { .name = "a", .san = "DNS:a.example" };
	const struct tls_site *shown;
	struct generation *generation;

	issue("certs/a.pem", &a);
	generation = build_from(NULL,
	    WEB OWN FOLDER "[host web *.example]\nconnect = 127.0.0.1:2\n");
	shown = site_for(generation, "a.example");
	cr_expect_str_eq(site_shown(generation, 0, "a.example"), "a");
	cr_expect_str_eq(shown->settings->pattern, "*.example");
	shown = site_for(generation, "other.example");
	cr_expect_str_eq(
	    site_shown(generation, 0, "o.example"), "site.example");
	cr_expect_str_eq(shown->settings->pattern, "*.example");
	generation_unref(generation);
}

Test(sites, have_one_certificate_of_each_kind)
{
	const struct pki_wish ecdsa = { .name = "ec" };
	const struct pki_wish rsa = { .name = "rsa", .key = PKI_RSA };
	const struct tls_site *shown;
	struct generation *generation;

	issue("ec.pem", &ecdsa);
	issue("rsa.pem", &rsa);
	generation = build_from(NULL,
	    WEB "cert = ec.pem\ncert = rsa.pem\n"
		"[host web h.example]\ncert = rsa.pem\ncert = ec.pem\n");
	shown = site_for(generation, "h.example");
	cr_assert_not_null(shown->identities[IDENTITY_RSA]);
	cr_assert_not_null(shown->identities[IDENTITY_ECDSA]);
	cr_expect_str_eq(identity_name(shown->identities[IDENTITY_RSA]), "rsa");
	cr_expect_eq(
	    generation_cert_count(generation), 2u, "each certificate once");
	generation_unref(generation);
}

Test(sites, refuse_two_of_a_kind_for_one_host)
{
	const struct pki_wish a = { .name = "a" };

	issue("a.pem", &a);
	issue("b.pem", &a);
	cr_expect_null(site_build(&site, NULL,
	    WEB OWN "[host web h.example]\ncert = a.pem\ncert = b.pem\n",
	    true));
}

Test(sites, share_contexts_and_backends_where_settings_are_equal)
{
	struct generation *generation = build_from(NULL,
	    WEB OWN "[host web a.example]\n[host web b.example]\n"
		    "[host web c.example]\nmin_version = TLSv1.3\n"
		    "connect = 127.0.0.1:2\n");
	const struct service *service = generation_service(generation, 0);
	const struct tls_site *a = site_for(generation, "a.example");
	const struct tls_site *b = site_for(generation, "b.example");
	const struct tls_site *c = site_for(generation, "c.example");

	cr_expect_eq(a->context, b->context);
	cr_expect_neq(a->context, c->context);
	cr_expect_eq(service->sites[a->number].backends,
	    service->sites[b->number].backends);
	cr_expect_neq(service->sites[a->number].backends,
	    service->sites[c->number].backends);
	cr_expect_str_eq(service->sites[c->number].settings->pattern,
	    "c.example", "numbers are those of the server");
	generation_unref(generation);
}

static const struct check_row {
	const char *listener, *host;
	bool expect;
} check_rows[] = {
	{ "check = tcp", "check = tcp", true },
	{ "check = tcp", "check = off", false },
	{ "check = tcp", "check_interval = 9s", false },
	{ "check = tcp", "timeout_connect = 9s", false },
	{ "check = off", "check_interval = 9s\ntimeout_connect = 9s", true },
};

Test(sites, share_backends_where_checks_are_equal)
{
	for (size_t i = 0; i < ARRAY_LEN(check_rows); i++) {
		const struct check_row *row = &check_rows[i];
		struct generation *generation;
		const struct service *service;
		const struct tls_site *host;
		char text[512];

		snprintf(text, sizeof(text),
		    WEB OWN "%s\n[host web a.example]\n%s\n", row->listener,
		    row->host);
		generation = build_from(NULL, text);
		service = generation_service(generation, 0);
		host = site_for(generation, "a.example");
		cr_expect_eq(service->sites[0].backends ==
				 service->sites[host->number].backends,
		    row->expect, "%s, %s", row->listener, row->host);
		generation_unref(generation);
	}
}

Test(sites, are_shared_over_a_reload_that_changes_one_host)
{
	const struct pki_wish a = { .name = "a" }, b = { .name = "b" };
	struct generation *old, *fresh;

	issue("a.pem", &a);
	issue("b.pem", &b);
	old = build_from(NULL, WEB OWN "[host web a.example]\ncert = a.pem\n"
				       "[host web b.example]\ncert = b.pem\n");
	fresh = build_from(old, WEB OWN "[host web a.example]\ncert = a.pem\n"
					"[host web b.example]\ncert = b.pem\n"
					"min_version = TLSv1.3\n");
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(site_slot(fresh, i)->identity,
		    site_slot(old, i)->identity, "%zu", i);
	cr_expect_eq(site_for(fresh, "a.example")->context,
	    site_for(old, "a.example")->context);
	cr_expect_neq(site_for(fresh, "b.example")->context,
	    site_for(old, "b.example")->context);
	generation_unref(old);
	generation_unref(fresh);
}

Test(sites, keep_what_a_bad_file_would_replace)
{
	const struct pki_wish a = { .name = "a" }, b = { .name = "b" };
	struct generation *old, *same, *fresh;

	issue("a.pem", &a);
	old = build_from(NULL, WEB "cert = a.pem\n");
	free(pki_write(&site.folder, "a.pem", "nonsense"));
	same = site_look_again(&site, old);
	cr_assert_not_null(same);
	cr_expect_str_eq(site_shown(same, 0, ""), "a");
	cr_expect_not(generation_differs(same, old));
	cr_expect(generation_read_more(same, old), "it knows the bad file");
	cr_expect_null(site_build(&site, old, WEB "cert = a.pem\n", false),
	    "a reload is another matter");
	issue("a.pem", &b);
	fresh = site_look_again(&site, same);
	cr_expect_str_eq(site_shown(fresh, 0, ""), "b");
	cr_expect(generation_differs(fresh, same));
	generation_unref(old);
	generation_unref(same);
	generation_unref(fresh);
}

Test(sites, follow_cert_dir_as_files_appear_and_disappear)
{
	const struct pki_wish a = { .name = "a", .san = "DNS:a.example" };
	const struct pki_wish b = { .name = "b", .san = "DNS:b.example" };
	struct generation *first, *second, *third, *fourth;

	issue("certs/a.pem", &a);
	first = build_from(NULL, WEB FOLDER "sni_unknown = reject\n");
	cr_expect_str_eq(site_shown(first, 0, "b.example"), "refused");
	issue("certs/b.pem", &b);
	second = site_look_again(&site, first);
	cr_expect_str_eq(site_shown(second, 0, "b.example"), "b");
	remove_file("certs/a.pem");
	third = site_look_again(&site, second);
	cr_expect_str_eq(site_shown(third, 0, "a.example"), "refused");
	remove_file("certs/b.pem");
	fourth = site_look_again(&site, third);
	cr_expect_str_eq(site_shown(fourth, 0, "b.example"), "b",
	    "an emptied folder leaves what was there");
	generation_unref(first);
	generation_unref(second);
	generation_unref(third);
	generation_unref(fourth);
}

Test(sites, need_one_good_certificate_at_a_start)
{
	static const struct {
		const char *what, *file;
	} rows[] = {
		{ "an empty folder", NULL },
		{ "a bad file", "certs/bad.pem" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].file)
			free(pki_write(&site.folder, rows[i].file, "x"));
		cr_expect_null(site_build(&site, NULL, WEB FOLDER, true), "%s",
		    rows[i].what);
	}
}

/* ---- Renewal ---- */

#define ASKED "OCSP;URI:http://127.0.0.1:1/"
#define FAR 4070908800 /* the end of certificates: 2099-01-01 */
#define HOUR 3600

static struct stapled stapled;
static struct pki old_leaf, new_leaf;

static const struct pki_wish old_wish = {
	.name = "old", .feature = "status_request", .aia = ASKED
};
static const struct pki_wish new_wish = {
	.name = "renewed", .feature = "status_request", .aia = ASKED
};

static void
set_up_renew(void)
{
	stapled_open(&stapled);
	old_leaf = stapled_issue(&stapled, "old.pem", &old_wish);
	new_leaf = stapled_issue(&stapled, "new.pem", &new_wish);
}

static void
tear_down_renew(void)
{
	pki_drop(&old_leaf);
	pki_drop(&new_leaf);
	stapled_close(&stapled);
}

TestSuite(renew, .init = set_up_renew, .fini = tear_down_renew);

static const char *
served(const struct generation *generation)
{
	return site_shown(generation, 0, "");
}

static const char *
waiting(const struct generation *generation)
{
	struct identity *renewal = site_slot(generation, 0)->renewal;

	return renewal ? identity_name(renewal) : "nobody";
}

/* An old certificate, and what a reload makes of a new one. */
static struct generation *
reload(const char *more)
{
	struct generation *old = stapled_build(&stapled, NULL, "old.pem", more);
	struct generation *fresh = stapled_build(
	    &stapled, old, "new.pem", more);

	generation_unref(old);
	return fresh;
}

Test(renew, waits_in_every_mode_that_requires_a_staple)
{
	static const struct {
		const char *more, *serves, *waits;
	} rows[] = {
		{ "ocsp = auto\n", "old", "renewed" },
		{ "ocsp = must\n", "old", "renewed" },
		{ "ocsp = always\n", "old", "renewed" },
		{ "ocsp = prefer\n", "old", "renewed" },
		{ "ocsp = never\n", "renewed", "nobody" },
	};
	struct generation *fresh;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fresh = reload(rows[i].more);
		cr_expect_str_eq(
		    served(fresh), rows[i].serves, "%s", rows[i].more);
		cr_expect_str_eq(
		    waiting(fresh), rows[i].waits, "%s", rows[i].more);
		generation_unref(fresh);
	}
}

Test(renew, reports_whether_a_renewal_waits)
{
	struct generation *fresh = reload("ocsp = auto\n");
	struct generation *plain = reload("ocsp = never\n");

	cr_expect(generation_waits(fresh));
	cr_expect_not(generation_waits(plain));
	generation_unref(fresh);
	generation_unref(plain);
}

/* The next generation at that time, or NULL; releases `from`. */
static struct generation *
renew_at(struct generation *from, int64_t now_s)
{
	struct policy_eval eval = stapled_eval(&stapled, PHASE_RELOAD);
	struct generation *next;
	struct generation_errors errors;

	eval.now_s = now_s;
	next = generation_renew(from, &stapled.site.parts, &eval, &errors);

	cr_expect_eq(errors.all.list.count, 0u);
	generation_errors_free(&errors);
	generation_unref(from);
	return next;
}

Test(renew, waits_until_the_last_hour_of_the_old_one)
{
	struct generation *next = renew_at(
	    reload("ocsp = must\n"), FAR - HOUR - 1);

	cr_expect_null(next);
	next = renew_at(reload("ocsp = must\n"), FAR - HOUR);
	cr_assert_not_null(next);
	cr_expect_str_eq(served(next), "renewed");
	cr_expect_str_eq(waiting(next), "nobody");
	generation_unref(next);
}

Test(renew, serves_with_its_first_staple)
{
	struct generation *fresh, *next;

	stapled_answer(&stapled, "leaf.der", &new_leaf, OCSP_SAYS_GOOD);
	fresh = reload("ocsp = must\nstaple_file = leaf.der\n");
	cr_expect_str_eq(served(fresh), "old");
	stapled_run(&stapled);
	stapled_settle(&stapled, fresh);
	next = renew_at(fresh, clock_wall_ms() / 1000);
	cr_assert_not_null(next);
	cr_expect_str_eq(served(next), "renewed");
	generation_unref(next);
}

Test(renew, keeps_a_revoked_one_out)
{
	struct generation *fresh;

	stapled_answer(&stapled, "leaf.der", &new_leaf, OCSP_SAYS_REVOKED);
	fresh = reload("staple_file = leaf.der\n[ocsp]\nmode = must\n");
	stapled_run(&stapled);
	cr_expect_eq(
	    stapled_settle(&stapled, fresh).counts[POLICY_REVOKED], 1u);
	cr_expect_null(renew_at(fresh, clock_wall_ms() / 1000));
}

Test(renew, changes_nothing_else)
{
	struct generation *fresh = generation_ref(reload("ocsp = must\n"));
	struct generation *next = renew_at(fresh, FAR);
	struct service *before = generation_service(fresh, 0);
	struct service *after = generation_service(next, 0);

	cr_expect_neq(before, after);
	cr_expect_eq(before->sites[0].backends, after->sites[0].backends);
	cr_expect_eq(before->limit, after->limit);
	cr_expect_eq(before->config, after->config);
	cr_expect_eq(generation_socket(fresh, 0)->listener,
	    generation_socket(next, 0)->listener);
	cr_expect_eq(generation_socket(next, 0)->service, after);
	cr_expect_eq(generation_socket(next, 0)->fresh,
	    generation_socket(fresh, 0)->fresh);
	cr_expect_str_eq(served(fresh), "old", "what it was made of stays");
	generation_unref(fresh);
	generation_unref(next);
}

Test(renew, waits_across_another_reload)
{
	struct generation *fresh = reload("ocsp = must\n");
	struct generation *again = stapled_build(
	    &stapled, fresh, "new.pem", "ocsp = must\n");
	struct generation *back = stapled_build(
	    &stapled, fresh, "old.pem", "ocsp = must\n");

	cr_expect_str_eq(served(again), "old");
	cr_expect_str_eq(waiting(again), "renewed");
	cr_expect_str_eq(served(back), "old");
	cr_expect_str_eq(waiting(back), "nobody");
	generation_unref(fresh);
	generation_unref(again);
	generation_unref(back);
}

/* Hosts of one listener; `hosts` are their sections. */
static struct generation *
build_hosts(struct generation *old, const char *hosts)
{
	struct generation *generation;
	char text[512];

	snprintf(text, sizeof(text),
	    "[listener a]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:1\n"
	    "cert = cert.pem\nkey = key.pem\n%s",
	    hosts);
	generation = site_build(&stapled.site, old, text, false);
	cr_assert_not_null(generation);
	return generation;
}

Test(renew, replaces_the_certificate_of_its_host_in_any_order)
{
	struct pki second = stapled_issue(&stapled, "second.pem",
	    &(struct pki_wish){ .name = "second", .aia = ASKED });
	struct generation *old = build_hosts(NULL,
	    "[host a one.example]\ncert = old.pem\n"
	    "[host a two.example]\ncert = second.pem\n");
	struct generation *fresh = build_hosts(old,
	    "[host a two.example]\ncert = cert.pem\nkey = key.pem\n"
	    "[host a one.example]\ncert = new.pem\n");

	cr_expect_str_eq(site_shown(fresh, 0, "one.example"), "old");
	cr_expect_str_neq(site_shown(fresh, 0, "two.example"), "second");
	generation_unref(old);
	generation_unref(fresh);
	pki_drop(&second);
}

/* One after the other: what a reload makes of `old`, of that, and so on. */
static void
check_places(struct generation *old, const char *text)
{
	struct generation *fresh = build_hosts(old, text);
	struct generation *again = build_hosts(fresh, text);
	struct generation *touched = site_look_again(&stapled.site, again);
	struct generation *all[] = { fresh, again, touched }, *next;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		cr_expect_str_eq(site_shown(all[i], 0, "one.example"), "old");
		cr_expect_str_eq(
		    site_shown(all[i], 0, "two.example"), "second");
		cr_expect_str_eq(
		    site_shown(all[i], 0, "added.example"), "renewed");
	}
	cr_expect_not(generation_differs(again, fresh));
	next = renew_at(touched, FAR - HOUR);
	cr_assert_not_null(next);
	cr_expect_str_eq(site_shown(next, 0, "one.example"), "renewed");
	cr_expect_str_eq(site_shown(next, 0, "two.example"), "renewed");
	cr_expect_eq(generation_cert_count(next), 2u, "one slot for the three");
	generation_unref(fresh);
	generation_unref(again);
	generation_unref(next);
}

/* Hosts that move to one certificate keep what each of them showed. */
Test(renew, shows_no_place_the_old_certificate_of_another)
{
	struct pki second = stapled_issue(&stapled, "second.pem",
	    &(struct pki_wish){ .name = "second", .aia = ASKED });
	struct generation *old = build_hosts(NULL,
	    "[host a one.example]\ncert = old.pem\n"
	    "[host a two.example]\ncert = second.pem\n");

	check_places(old, "[host a one.example]\ncert = new.pem\n"
			  "[host a two.example]\ncert = new.pem\n"
			  "[host a added.example]\ncert = new.pem\n");
	check_places(old, "[host a added.example]\ncert = new.pem\n"
			  "[host a two.example]\ncert = new.pem\n"
			  "[host a one.example]\ncert = new.pem\n");
	generation_unref(old);
	pki_drop(&second);
}

/* The old certificate need not fulfil what is required of the new one. */
Test(renew, replaces_a_certificate_that_no_responder_can_answer_for)
{
	struct pki plain = stapled_issue(
	    &stapled, "plain.pem", &(struct pki_wish){ .name = "plain" });
	struct generation *old = stapled_build(
	    &stapled, NULL, "plain.pem", "ocsp = auto\n");
	struct generation *fresh = stapled_build(
	    &stapled, old, "new.pem", "ocsp = always\n");

	cr_expect_str_eq(served(fresh), "renewed");
	cr_expect_str_eq(waiting(fresh), "nobody");
	generation_unref(old);
	generation_unref(fresh);
	pki_drop(&plain);
}
