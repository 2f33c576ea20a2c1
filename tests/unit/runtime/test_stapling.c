/*
 * What the configuration says, in the library's words; the folder of
 * responses; counters.
 */
#include "runtime/stapling.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/service.h"
#include "runtime/credential.h"
#include "runtime/generation.h"
#include "tests/support/stapled.h"

#define LISTENER                                                   \
	"[listener a]\naccept = 0\nconnect = 1\ncert = cert.pem\n" \
	"key = key.pem\n"

static struct stapled stapled;

static void
set_up(void)
{
	stapled_open(&stapled);
}

static void
tear_down(void)
{
	stapled_close(&stapled);
}

TestSuite(stapling, .init = set_up, .fini = tear_down);

/* What is known of the certificate of the one listener. */
static struct staple_info
look(const struct generation *generation)
{
	struct staple_info info;

	cr_assert(stapling_state(stapled.site.parts.stapling,
	    site_credential(generation, 0)->identity, &info));
	return info;
}

Test(stapling, hands_the_mode_on)
{
	static const struct {
		const char *more;
		bool plain, must_staple;
	} rows[] = {
		{ "ocsp = auto\n", false, true },
		{ "ocsp = must\n", false, true },
		{ "ocsp = always\n", true, true },
		{ "ocsp = never\n", false, false },
		{ "ocsp = prefer\n", true, true },
	};
	const char *const features[] = { NULL, "status_request" };
	struct generation *generation;
	struct pki leaf;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			const struct pki_wish wish = { .name = "leaf",
				.feature = features[k],
				.aia = "OCSP;URI:http://127.0.0.1:1/" };

			leaf = stapled_issue(&stapled, "leaf.pem", &wish);
			generation = stapled_build(
			    &stapled, NULL, "leaf.pem", rows[i].more);
			cr_expect_eq(look(generation).wanted,
			    k ? rows[i].must_staple : rows[i].plain, "%s, %zu",
			    rows[i].more, k);
			generation_unref(generation);
			pki_drop(&leaf);
		}
}

Test(stapling, asks_the_configured_instead_of_the_certificates_own)
{
	static const struct {
		const char *more;
		unsigned expect;
	} rows[] = {
		{ "", 1 },
		{ "[ocsp]\nurl = http://a/, http://b/\n", 2 },
		{ "ocsp = always\nstaple_file = leaf.der\n", 1 },
	};
	const struct pki_wish wish = { .name = "leaf",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct generation *generation;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		generation = stapled_build(
		    &stapled, NULL, "leaf.pem", rows[i].more);
		cr_expect_eq(look(generation).responders, rows[i].expect, "%s",
		    rows[i].more);
		generation_unref(generation);
	}
	pki_drop(&leaf);
}

Test(stapling, restores_what_another_generation_has_changed)
{
	const struct pki_wish wish = { .name = "leaf",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct generation *old, *fresh;

	old = stapled_build(&stapled, NULL, "leaf.pem", "ocsp = always\n");
	fresh = stapled_build(&stapled, old, "leaf.pem",
	    "ocsp = always\n[ocsp]\nurl = http://a/, http://b/\n");
	cr_expect_eq(look(old).responders, 2u, "the same certificate");
	generation_unref(fresh);
	stapling_restore(stapled.site.parts.stapling, old);
	cr_expect_eq(look(old).responders, 1u);
	generation_unref(old);
	pki_drop(&leaf);
}

/* One staple_file for one certificate. */
Test(stapling, refuses_two_sources_for_one_certificate)
{
	static const char text[] =
	    "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
	    "cert = leaf.pem\nstaple_file = a.der\n"
	    "[listener b]\naccept = unix:b.sock\nconnect = 1\n"
	    "cert = copy.pem\nstaple_file = b.der\n";
	const struct pki_wish wish = { .name = "leaf" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	const struct config *config = site_config(&stapled.site, text);
	struct generation_errors errors;
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/leaf.pem", stapled.site.folder.path);
	snprintf(to, sizeof(to), "%s/copy.pem", stapled.site.folder.path);
	cr_assert_eq(link(from, to), 0);
	cr_expect_null(generation_build(
	    NULL, config, &stapled.site.parts, GENERATION_CHECK, &errors));
	cr_expect(errors.bad_config);
	cr_assert_eq(errors.all.list.count, 2u);
	cr_expect_not_null(
	    strstr(errors.all.list.items[0], "clinch.ini:5: listener a: "));
	cr_expect_not_null(strstr(errors.all.list.items[0], "listener b"));
	generation_errors_free(&errors);
	config_unref(config);
	pki_drop(&leaf);
}

static bool
has_folder(const char *name)
{
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
	       (status.st_mode & 0777) == 0700;
}

static void
remove_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	cr_expect_eq(rmdir(path), 0, "%s", path);
}

Test(stapling, makes_the_folder_of_responses)
{
	const struct config *config = site_config(
	    &stapled.site, "store_dir = state\n" LISTENER);
	struct err err = { "" };
	struct stapling *stapling = stapling_new(config, NULL, true, &err);

	cr_assert_not_null(stapling, "%s", err.text);
	stapling_free(stapling);
	cr_expect_not(has_folder("state"), "it was only a check");
	for (int i = 0; i < 2; i++) {
		stapling = stapling_new(config, NULL, false, &err);
		cr_assert_not_null(stapling, "%s", err.text);
		stapling_free(stapling);
		cr_expect(has_folder("state") && has_folder("state/ocsp") &&
			  has_folder("state/issuer"));
	}
	remove_folder("state/issuer");
	remove_folder("state/ocsp");
	remove_folder("state");
	config_unref(config);
}

Test(stapling, says_which_line_is_at_fault)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "store_dir = none/state\n" LISTENER,
		    "clinch.ini:1: store_dir: " },
		{ LISTENER "[ocsp]\nca_file = key.pem\n",
		    "clinch.ini:7: ca_file: " },
	};
	const struct config *config;
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config = site_config(&stapled.site, rows[i].given);
		cr_expect_null(stapling_new(config, NULL, false, &err));
		cr_expect_not_null(
		    strstr(err.text, rows[i].expect), "%s", err.text);
		config_unref(config);
	}
}

/* From now on the library's words go to this file of the folder. */
static struct log *
listen_to(const char *name)
{
	const struct config *config = site_config(&stapled.site, LISTENER);
	struct log *log = log_new();
	char path[128];
	struct log_options options = { LEVEL_INFO, LOG_TEXT, path, "off" };
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	cr_assert(log && log_configure(log, &options, &err));
	stapling_free(stapled.site.parts.stapling);
	stapled.site.parts.stapling = stapling_new(config, log, true, &err);
	cr_assert_not_null(stapled.site.parts.stapling);
	config_unref(config);
	return log;
}

static void
read_line(const char *name, char *line, int max)
{
	char path[128];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", stapled.site.folder.path, name);
	in = fopen(path, "r");
	cr_assert_not_null(in);
	cr_assert_not_null(fgets(line, max, in));
	fclose(in);
}

Test(stapling, tells_counters_of_certificates_that_were_let_go)
{
	const struct pki_wish wish = { .name = "leaf.example",
		.aia = "OCSP;URI:http://127.0.0.1:1/" };
	struct pki leaf = stapled_issue(&stapled, "leaf.pem", &wish);
	struct log *log = listen_to("log");
	struct stapling *stapling = stapled.site.parts.stapling;
	struct generation *generation = stapled_build(
	    &stapled, NULL, "leaf.pem", "ocsp = always\n");
	char line[256];

	stapling_keep(stapling, generation);
	generation_unref(generation);
	stapling_say_counters(stapling);
	stapling_free(stapling);
	stapled.site.parts.stapling = NULL;
	log_free(log);
	read_line("log", line, sizeof(line));
	cr_expect_not_null(
	    strstr(
		line, "info ocsp staples cert=leaf.example asked=0 sent=0\n"),
	    "%s", line);
	pki_drop(&leaf);
}
