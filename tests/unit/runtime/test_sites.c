/*
 * Names, hosts and folders of a generation: which certificate is shown for
 * which name, what is shared, and what a change of files makes of it.
 */
#include "runtime/generation.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/backend.h"
#include "proxy/service.h"
#include "runtime/cert_slot.h"
#include "tests/support/site.h"
#include "tls/identity.h"
#include "tls/server.h"

#define WEB "[listener web]\naccept = unix:a.sock\nconnect = 127.0.0.1:1\n"
#define OWN "cert = cert.pem\nkey = key.pem\n"
#define FOLDER "cert_dir = certs\n"

static struct site site;

static void
set_up(void)
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
tear_down(void)
{
	char path[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		remove_file(files[i]);
	snprintf(path, sizeof(path), "%s/certs", site.folder.path);
	rmdir(path);
	site_close(&site);
}

TestSuite(sites, .init = set_up, .fini = tear_down);

/* A joint file; the common name tells certificates apart. */
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
build(struct generation *old, const char *text)
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

Test(sites, shows_a_host_what_its_pattern_says)
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
	generation = build(NULL,
	    WEB OWN "[host web a.example]\ncert = a.pem\n"
		    "[host web *.w.example]\ncert = w.pem\n"
		    "[host web bare.example]\n");
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, refuses_the_unknown_if_told_to)
{
	static const char *const rows[][2] = {
		{ "site.example", "site.example" },
		{ "", "refused" },
		{ "other.example", "refused" },
		{ "known.example", "site.example" },
	};
	struct generation *generation = build(
	    NULL, WEB OWN "sni_unknown = reject\n[host web known.example]\n");

	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, finds_names_in_the_folder)
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
	generation = build(NULL, WEB FOLDER);
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

Test(sites, prefers_named_certificates_and_those_that_last)
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
	generation = build(NULL, WEB OWN FOLDER);
	expect_shown(generation, rows, sizeof(rows) / sizeof(rows[0]));
	generation_unref(generation);
}

static const struct tls_site *
site_for(const struct generation *generation, const char *name)
{
	const struct service *service = generation_service(generation, 0);

	return tls_server_find(service->tls, name, strlen(name));
}

Test(sites, joins_the_policy_of_a_host_with_a_certificate_of_the_folder)
{
	const struct pki_wish a = { .name = "a", .san = "DNS:a.example" };
	const struct tls_site *shown;
	struct generation *generation;

	issue("certs/a.pem", &a);
	generation = build(NULL,
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

Test(sites, shows_one_certificate_of_each_kind)
{
	const struct pki_wish ecdsa = { .name = "ec" };
	const struct pki_wish rsa = { .name = "rsa", .key = PKI_RSA };
	const struct tls_site *shown;
	struct generation *generation;

	issue("ec.pem", &ecdsa);
	issue("rsa.pem", &rsa);
	generation = build(NULL,
	    WEB "cert = ec.pem\ncert = rsa.pem\n"
		"[host web h.example]\ncert = rsa.pem\ncert = ec.pem\n");
	shown = site_for(generation, "h.example");
	cr_assert_not_null(shown->identities[IDENTITY_RSA]);
	cr_assert_not_null(shown->identities[IDENTITY_ECDSA]);
	cr_expect_str_eq(identity_name(shown->identities[IDENTITY_RSA]), "rsa");
	cr_expect_eq(
	    generation_holding_count(generation), 2u, "each certificate once");
	generation_unref(generation);
}

Test(sites, refuses_two_of_a_kind_for_one_host)
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
	struct generation *generation = build(NULL,
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

Test(sites, are_shared_over_a_reload_that_changes_one_host)
{
	const struct pki_wish a = { .name = "a" }, b = { .name = "b" };
	struct generation *old, *fresh;

	issue("a.pem", &a);
	issue("b.pem", &b);
	old = build(NULL, WEB OWN "[host web a.example]\ncert = a.pem\n"
				  "[host web b.example]\ncert = b.pem\n");
	fresh = build(old, WEB OWN "[host web a.example]\ncert = a.pem\n"
				   "[host web b.example]\ncert = b.pem\n"
				   "min_version = TLSv1.3\n");
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(site_credential(fresh, i)->identity,
		    site_credential(old, i)->identity, "%zu", i);
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
	old = build(NULL, WEB "cert = a.pem\n");
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

Test(sites, follow_a_folder_as_files_come_and_go)
{
	const struct pki_wish a = { .name = "a", .san = "DNS:a.example" };
	const struct pki_wish b = { .name = "b", .san = "DNS:b.example" };
	struct generation *first, *second, *third, *fourth;

	issue("certs/a.pem", &a);
	first = build(NULL, WEB FOLDER "sni_unknown = reject\n");
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
