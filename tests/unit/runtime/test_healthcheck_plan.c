/*
 * Which handshakes check a listener.
 */
#include "runtime/healthcheck_plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/support/site.h"

enum { TEXT_MAX = 16 * 1024, PLAN_MAX = 4096 };

static struct site site;

static void
add_pair(const char *file, enum pki_key key, const char *san)
{
	const struct pki_wish wish = { .key = key, .san = san };
	struct pki pair = pki_make(&wish);
	char *cert = pki_certificate_pem(&pair), *key_pem = pki_key_pem(&pair);
	char *both = pki_join(cert, key_pem);

	free(pki_write(&site.folder, file, both));
	free(cert);
	free(key_pem);
	free(both);
	pki_drop(&pair);
}

static void
set_up(void)
{
	site_open(&site, 1);
	add_pair("rsa.pem", PKI_RSA, "DNS:pair.example");
	add_pair("ec.pem", PKI_P256, "DNS:pair.example");
	add_pair("wild.pem", PKI_P256, "DNS:*.wild.example");
	add_pair("address.pem", PKI_P256, "IP:192.0.2.1");
}

static void
tear_down(void)
{
	site_close(&site);
}

TestSuite(healthcheck_plan, .init = set_up, .fini = tear_down);

static const char *
base_of(const char *path)
{
	return path == NULL ? "-" : strrchr(path, '/') + 1;
}

/* "ADDRESS NAME KIND FILE SITE", a line for each handshake; or the sentence. */
static void
show(char out[PLAN_MAX], const struct config_listener *listener)
{
	struct healthcheck_plan plan;
	struct err err;
	size_t used = 0;

	if (!healthcheck_plan_make(&plan, listener, &err)) {
		snprintf(out, PLAN_MAX, "%s", err.text);
		healthcheck_plan_free(&plan);
		return;
	}
	for (size_t i = 0; i < plan.count && used < PLAN_MAX; i++) {
		const struct healthcheck_target *one = &plan.targets[i];
		char address[ADDR_TEXT_MAX];

		used += (size_t)snprintf(out + used, PLAN_MAX - used,
		    "%s%s %s %s %s%s %s", i > 0 ? "\n" : "",
		    addr_print(&one->address, address, sizeof(address)),
		    one->name[0] != '\0' ? one->name : "-",
		    one->kind == IDENTITY_KINDS ? "any"
						: identity_kind_name(one->kind),
		    base_of(one->cert), one->in_folder ? "+folder" : "",
		    one->settings->pattern ? one->settings->pattern : "-");
	}
	healthcheck_plan_free(&plan);
}

static void
expect(const char *more, const char *plan)
{
	char text[TEXT_MAX], out[PLAN_MAX];
	const struct config *config;

	snprintf(text, sizeof(text), "[listener a]\nconnect = 1\n%s\n", more);
	config = site_config(&site, text);
	show(out, &config->listeners[0]);
	cr_expect_str_eq(out, plan, "%s\ngives\n%s", more, out);
	config_unref(config);
}

#define PAIR "cert = cert.pem\nkey = key.pem\n"

Test(healthcheck_plan, reaches_each_address_by_loopback)
{
	expect(PAIR "accept = 443", "127.0.0.1:443 - any cert.pem -");
	expect(PAIR "accept = 0.0.0.0:443", "127.0.0.1:443 - any cert.pem -");
	expect(PAIR "accept = [::]:443", "127.0.0.1:443 - any cert.pem -");
	expect(PAIR "accept = [::]:443\nv6only = yes",
	    "[::1]:443 - any cert.pem -");
	expect(PAIR "accept = 192.0.2.7:443", "192.0.2.7:443 - any cert.pem -");
	expect(PAIR "accept = unix:/s", "unix:/s - any cert.pem -");
	expect(PAIR "accept = 127.0.0.1:1\naccept = 127.0.0.1:2\n"
		    "accept = unix:/s",
	    "127.0.0.1:1 - any cert.pem -\n127.0.0.1:2 - any cert.pem -\n"
	    "unix:/s - any cert.pem -");
}

Test(healthcheck_plan, binds_to_a_specific_address)
{
	static const struct {
		const char *accept;
		bool binds;
	} rows[] = { { "192.0.2.7:443", true }, { "443", false },
		{ "[::]:443", false }, { "unix:/s", false } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct healthcheck_plan plan;
		const struct config *config;
		struct err err;
		char text[256];

		snprintf(text, sizeof(text),
		    "[listener a]\nconnect = 1\n" PAIR "accept = %s\n",
		    rows[i].accept);
		config = site_config(&site, text);
		cr_assert(
		    healthcheck_plan_make(&plan, &config->listeners[0], &err));
		cr_expect_eq(plan.targets[0].source.len > 0, rows[i].binds,
		    "%s", rows[i].accept);
		cr_expect_eq(addr_port(&plan.targets[0].source), 0);
		healthcheck_plan_free(&plan);
		config_unref(config);
	}
}

Test(healthcheck_plan, has_the_reason_why_an_address_cannot_be_reached)
{
	static const struct {
		const char *more, *word;
	} rows[] = {
		{ "accept = 0", "port 0" },
		{ "fd = web", "(fd)" },
		{ "accept = 443\ndevice = eth0", "eth0" },
		{ "accept = 443\nallow = 192.0.2.0/24", "127.0.0.1" },
		{ "accept = 443\ndeny = 127.0.0.1\ndeny = ::1", "127.0.0.1" },
		{ "accept = 443\nproxy_in = yes\nproxy_trust = 192.0.2.1",
		    "proxy_trust" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct healthcheck_plan plan;
		const struct config *config;
		struct err err = { "" };
		char text[256];

		snprintf(text, sizeof(text),
		    "[listener a]\nconnect = 1\n" PAIR "%s\n", rows[i].more);
		config = site_config(&site, text);
		cr_expect(
		    !healthcheck_plan_make(&plan, &config->listeners[0], &err),
		    "%s", rows[i].more);
		cr_expect_not_null(strstr(err.text, rows[i].word), "%s: %s",
		    rows[i].more, err.text);
		healthcheck_plan_free(&plan);
		config_unref(config);
	}
	/* One address that can be reached is enough. */
	expect(PAIR "accept = 0\naccept = unix:/s\nallow = 192.0.2.1",
	    "unix:/s - any cert.pem -");
	expect(PAIR "accept = 443\nallow = ::1", "[::1]:443 - any cert.pem -");
	expect(
	    PAIR "accept = 443\ndevice = lo", "127.0.0.1:443 - any cert.pem -");
}

Test(healthcheck_plan, looks_at_each_certificate_of_several)
{
	expect("accept = 443\naccept = unix:/s\n"
	       "cert = ec.pem\ncert = rsa.pem\ncert = wild.pem",
	    "127.0.0.1:443 - any - -\n"
	    "127.0.0.1:443 pair.example ECDSA ec.pem -\n"
	    "127.0.0.1:443 pair.example RSA rsa.pem -\n"
	    "127.0.0.1:443 healthcheck.wild.example ECDSA wild.pem -\n"
	    "unix:/s - any - -");
	expect("accept = 443\ncert = ec.pem\ncert = gone.pem",
	    "127.0.0.1:443 - any - -\n"
	    "127.0.0.1:443 pair.example ECDSA ec.pem -");
}

Test(healthcheck_plan, uses_a_name_where_one_is_needed)
{
	expect("accept = 443\nsni_unknown = reject\ncert = wild.pem",
	    "127.0.0.1:443 healthcheck.wild.example any wild.pem -");
	expect("accept = 443\nsni_unknown = reject\ncert = gone.pem",
	    "127.0.0.1:443 - any gone.pem -");
	expect("accept = 443\nsni_unknown = reject\ncert = address.pem\n"
	       "[host a own.example]\ncert = ec.pem",
	    "127.0.0.1:443 own.example any ec.pem own.example");
}

Test(healthcheck_plan, looks_at_each_host)
{
	expect("accept = 443\ncert = wild.pem\n"
	       "[host a *.tenant.example]\ncert = ec.pem\ncert = rsa.pem\n"
	       "[host a b.wild.example]\n",
	    "127.0.0.1:443 - any wild.pem -\n"
	    "127.0.0.1:443 healthcheck.tenant.example ECDSA ec.pem "
	    "*.tenant.example\n"
	    "127.0.0.1:443 healthcheck.tenant.example RSA rsa.pem "
	    "*.tenant.example\n"
	    "127.0.0.1:443 b.wild.example any - b.wild.example");
}

Test(healthcheck_plan, goes_by_the_host_that_has_taken_a_name)
{
	/* ec.pem is shown under its own host's policy, wild.pem not at all: its
	 * name belongs to a host with a certificate of its own. */
	expect("accept = 443\ncert = ec.pem\ncert = wild.pem\n"
	       "[host a pair.example]\nconnect = 2\n"
	       "[host a *.wild.example]\ncert = rsa.pem\n",
	    "127.0.0.1:443 - any - -\n"
	    "127.0.0.1:443 pair.example ECDSA ec.pem pair.example\n"
	    "127.0.0.1:443 pair.example any - pair.example\n"
	    "127.0.0.1:443 healthcheck.wild.example any rsa.pem "
	    "*.wild.example");
}

Test(healthcheck_plan, makes_one_handshake_of_a_folder)
{
	char more[256], folder[128];
	struct pki_folder inner;

	expect("accept = 443\ncert_dir = .", "127.0.0.1:443 - any -+folder -");
	pki_folder_make(&inner);
	snprintf(folder, sizeof(folder), "%s", inner.path);
	snprintf(more, sizeof(more),
	    "accept = 443\nsni_unknown = reject\ncert_dir = %s", folder);
	expect(more, "127.0.0.1:443 - any -+folder -");
	pki_folder_remove(&inner);
	expect("accept = 443\nsni_unknown = reject\ncert_dir = .",
	    "127.0.0.1:443 site.example any -+folder -");
	expect("accept = 443\ncert_dir = .\n[host a pair.example]\nconnect = 2",
	    "127.0.0.1:443 - any -+folder -\n"
	    "127.0.0.1:443 pair.example any -+folder pair.example");
}

Test(healthcheck_plan, is_bounded)
{
	char text[TEXT_MAX] = "[listener a]\naccept = 443\nconnect = 1\n" PAIR;
	struct healthcheck_plan plan;
	const struct config *config;
	struct err err;

	for (int i = 0; i < 200; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "[host a h%d.example]\nconnect = 2\n", i);
	config = site_config(&site, text);
	cr_assert(healthcheck_plan_make(&plan, &config->listeners[0], &err));
	cr_expect_eq(plan.count, HEALTHCHECK_TARGETS_MAX);
	healthcheck_plan_free(&plan);
	config_unref(config);
}
