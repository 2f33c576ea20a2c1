/*
 * What tells certificates in use apart, and when their files are read again.
 */
#include "runtime/credential.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "tests/support/site.h"
#include "tls/identity.h"

static struct site site;
static char *cert, *key;

static void
set_up(void)
{
	site_open(&site, 1);
	cert = malloc(128);
	key = malloc(128);
	snprintf(cert, 128, "%s/cert.pem", site.folder.path);
	snprintf(key, 128, "%s/key.pem", site.folder.path);
}

static void
tear_down(void)
{
	free(cert);
	free(key);
	site_close(&site);
}

TestSuite(credential, .init = set_up, .fini = tear_down);

static struct credential_key
id_of(void)
{
	return (struct credential_key){ .cert = cert, .key = key };
}

Test(credential, is_told_apart_by_all_that_matters)
{
	const struct credential_key plain = { .cert = "a", .key = "a" };
	const struct credential_key others[] = {
		{ .cert = "b", .key = "a" },
		{ .cert = "a", .key = "b" },
		{ .cert = "a", .key = "a", .staple_file = "s" },
		{ .cert = "a", .key = "a", .permissions = KEYS_ANY },
		{ .cert = "a", .key = "a", .policy.mode = STAPLE_MUST },
		{ .cert = "a",
		    .key = "a",
		    .policy.without_staple = STAPLE_WITHOUT_REFUSE },
		{ .cert = "a",
		    .key = "a",
		    .policy.on_revoked = STAPLE_REVOKED_EXIT },
		{ .cert = "a", .key = "a", .in_folder = true },
	};
	const struct credential_key twin = plain;

	cr_expect_eq(credential_compare(&plain, &twin), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int order = credential_compare(&plain, &others[i]);

		cr_expect_neq(order, 0, "%zu", i);
		cr_expect_eq(credential_compare(&others[i], &plain) > 0,
		    order < 0, "%zu", i);
	}
}

/* As if the files had been there for a while. */
static void
age(const char *path, time_t seconds)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) - seconds },
		{ .tv_sec = time(NULL) - seconds } };

	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(credential, is_not_trusted_to_be_current_when_just_written)
{
	const struct credential_key id = id_of();
	struct credential *credential = credential_new(&id);

	cr_assert_not_null(credential);
	cr_expect_not(credential->settled);
	cr_expect_not(credential_is_current(credential),
	    "a second write in the same tick would look the same");
	credential_unref(credential);
}

Test(credential, notices_a_file_that_changed)
{
	const struct credential_key id = id_of();
	struct credential *credential = credential_new(&id);

	credential->settled = true;
	cr_expect(credential_is_current(credential));
	age(key, 100);
	cr_expect_not(credential_is_current(credential));
	credential_unref(credential);
}

Test(credential, begins_anew_with_warnings_when_its_identity_does)
{
	const struct credential_key id = id_of();
	struct credential *first = credential_new(&id), *same, *other;
	struct identity_loader *loader = identity_loader_new();
	struct err err;

	first->identity = credential_load(first, loader, NULL, &err);
	first->renewal = credential_load(first, loader, NULL, &err);
	cr_assert(first->identity && first->renewal, "%s", err.text);
	first->warned = VALIDITY_SIXTH;
	same = credential_copy(first, first->identity, NULL);
	other = credential_copy(first, first->renewal, NULL);
	cr_expect_eq(same->warned, VALIDITY_SIXTH);
	cr_expect_eq(other->warned, VALIDITY_FINE);
	cr_expect_eq(other->identity, first->renewal);
	cr_expect_null(other->renewal);
	credential_unref(first);
	cr_expect_str_eq(other->id.cert, cert, "texts are its own");
	credential_unref(same);
	credential_unref(other);
	identity_loader_free(loader);
}
