/*
 * An identity loaded with the n-th allocation failing, for every n: an error,
 * or the whole identity with all of its names.
 */
#include "tls/identity.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "tests/support/pki.h"
#include "tests/support/scarce.h"

enum { ENOUGH = 100000 };

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

char *
__wrap_strdup(const char *text)
{
	return scarce_fails_now() ? NULL : __real_strdup(text);
}

static struct pki_folder folder;
static char *path;

static void
set_up(void)
{
	struct pki ca = pki_make(
	    &(struct pki_wish){ .name = "ca", .ca = true });
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a.example",
	    .san = "DNS:a.example,DNS:*.b.example,DNS:c.example",
	    .issuer = &ca });
	char *parts[] = { pki_certificate_pem(&leaf), pki_certificate_pem(&ca),
		pki_key_pem(&leaf) };
	char text[16384] = "";

	for (size_t i = 0; i < 3; i++) {
		strcat(text, parts[i]);
		free(parts[i]);
	}
	pki_folder_make(&folder);
	path = pki_write(&folder, "site.pem", text);
	pki_drop(&leaf);
	pki_drop(&ca);
}

static void
tear_down(void)
{
	free(path);
	pki_folder_remove(&folder);
}

TestSuite(identity_memory, .init = set_up, .fini = tear_down);

static void
expect_whole(const struct identity *identity, long n)
{
	static const char *const names[] = { "*.b.example", "a.example",
		"c.example" };

	cr_assert_eq(identity_pattern_count(identity), 3, "allocation %ld", n);
	for (size_t i = 0; i < 3; i++)
		cr_expect_str_eq(identity_pattern(identity, i), names[i],
		    "allocation %ld", n);
	cr_expect_str_eq(
	    identity_name(identity), "a.example", "allocation %ld", n);
	cr_expect_eq(sk_X509_num(identity_chain(identity)), 1, "%ld", n);
	cr_expect_eq(identity_kind(identity), IDENTITY_ECDSA, "%ld", n);
	cr_expect_gt(identity_not_after(identity), 0, "allocation %ld", n);
}

/* Was there an n-th allocation? */
static bool
load(long n)
{
	struct err warning, err = { "" };
	struct identity *identity;
	bool failed;

	scarce_begin(n);
	identity = identity_load(path, NULL, KEYS_ANY, &warning, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (identity != NULL)
		expect_whole(identity, n);
	else
		cr_expect(failed && err.text[0] != '\0', "allocation %ld", n);
	identity_unref(identity);
	return failed;
}

Test(identity_memory, running_out_is_an_error_or_changes_nothing)
{
	long n = 0;

	cr_assert_not(load(1000000));
	while (n < ENOUGH && load(n))
		n++;
	cr_expect(n > 50 && n < ENOUGH, "%ld", n);
}
