/*
 * PEM files as published: white space behind boundaries and base64, and what
 * is reported of blocks that no reader uses.
 */
#include "tls/pem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"
#include "tests/support/crl.h"
#include "tests/support/pki.h"
#include "tls/identity.h"
#include "tls/trust.h"

enum { NOW = 1800000000 };

static struct pki_folder folder;
static struct pki root, site;

static void
set_up(void)
{
	pki_folder_make(&folder);
	root = pki_make(&(struct pki_wish){ .name = "Root", .ca = true });
	site = pki_make(
	    &(struct pki_wish){ .name = "site.example", .issuer = &root });
}

static void
tear_down(void)
{
	pki_drop(&site);
	pki_drop(&root);
	pki_folder_remove(&folder);
}

TestSuite(pem, .init = set_up, .fini = tear_down);

/* The ways in which white space follows a line in published files. */
static const struct {
	const char *what;
	const char *boundary; /* appended to each line of a boundary */
	const char *base64;   /* appended to each other line */
} blanks[] = {
	{ "a blank", " ", "" },
	{ "a tab", "\t", "" },
	{ "blanks and CR LF", "  \r", "\r" },
	{ "blanks after base64", "", "  " },
	{ "all of them", " \t \r", " \t\r" },
};

/* A copy of a PEM text with white space at the end of its lines; frees it. */
static char *
spaced(char *pem, size_t row)
{
	size_t size = 4 * strlen(pem) + 16, at = 0;
	char *text = malloc(size), *rest = pem, *line;

	cr_assert_not_null(text);
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
		at += (size_t)snprintf(text + at, size - at, "%s%s\n", line,
		    line[0] == '-' ? blanks[row].boundary : blanks[row].base64);
	free(pem);
	return text;
}

static char *
joined(char *one, char *two)
{
	char *text = NULL;

	cr_assert_geq(asprintf(&text, "%s%s", one, two), 0);
	free(one);
	free(two);
	return text;
}

/* Writes a text and frees it; the path is the caller's. */
static char *
keep(const char *name, char *text)
{
	char *path = pki_write(&folder, name, text);

	free(text);
	return path;
}

Test(pem, reads_a_chain_and_a_key_with_blanks)
{
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		struct err err = { "" }, warning = { "" };
		char *cert = keep(
		    "cert.pem", joined(pki_certificate_pem(&site),
				    spaced(pki_certificate_pem(&root), i)));
		char *key = keep("key.pem", spaced(pki_key_pem(&site), i));
		struct identity *identity = identity_load(
		    cert, key, KEYS_REFUSE, &warning, &err);

		cr_assert_not_null(
		    identity, "%s: %s", blanks[i].what, err.text);
		cr_expect_eq(sk_X509_num(identity_chain(identity)), 1, "%s",
		    blanks[i].what);
		cr_expect_str_empty(warning.text, "%s", blanks[i].what);
		identity_unref(identity);
		free(cert);
		free(key);
	}
}

Test(pem, reads_authorities_and_lists_with_blanks)
{
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		struct err err = { "" }, warning = { "" };
		char *ca = keep(
		    "ca.pem", joined(pki_certificate_pem(&site),
				  spaced(pki_certificate_pem(&root), i)));
		char *lists = keep("list.pem",
		    spaced(crl_pem(&(struct crl_wish){ .issuer = &root }), i));
		struct trust *trust = trust_load(
		    ca, lists, CRL_CHECK_LEAF, NOW, &warning, &err);

		cr_assert_not_null(trust, "%s: %s", blanks[i].what, err.text);
		cr_expect_eq(sk_X509_NAME_num(trust_names(trust)), 2, "%s",
		    blanks[i].what);
		trust_unref(trust);
		free(ca);
		free(lists);
	}
}

static void
expect_mention(struct identity *identity, const struct err *warning,
    const struct err *err, const char *words)
{
	cr_assert_not_null(identity, "%s: %s", words, err->text);
	cr_expect(strstr(warning->text, words) != NULL, "%s", warning->text);
	identity_unref(identity);
}

Test(pem, mentions_blocks_that_are_not_used)
{
	struct err err = { "" }, warning = { "" };
	char *key = keep("key.pem", pki_key_pem(&site));
	char *cert = keep(
	    "cert.pem", joined(pki_certificate_pem(&site),
			    crl_pem(&(struct crl_wish){ .issuer = &root })));

	expect_mention(identity_load(cert, key, KEYS_REFUSE, &warning, &err),
	    &warning, &err, "PEM block 2 (X509 CRL) is not used");
	free(cert);

	cert = keep("cert.pem",
	    joined(pki_certificate_pem(&site),
		joined(strdup("Subject: x "), pki_certificate_pem(&root))));
	expect_mention(identity_load(cert, key, KEYS_REFUSE, &warning, &err),
	    &warning, &err, "text before -----BEGIN");
	free(cert);
	free(key);
}

Test(pem, mentions_nothing_of_usual_files)
{
	struct err err = { "" }, warning = { "" };
	char *together = keep("site.pem",
	    joined(pki_certificate_pem(&site),
		joined(strdup("Bag Attributes\n    localKeyID: 01\n"),
		    pki_key_pem(&site))));
	char *cert = keep("cert.pem", pki_certificate_pem(&site));
	struct identity *identity = identity_load(
	    together, NULL, KEYS_REFUSE, &warning, &err);

	cr_assert_not_null(identity, "%s", err.text);
	cr_expect_str_empty(warning.text);
	identity_unref(identity);

	identity = identity_load(cert, together, KEYS_REFUSE, &warning, &err);
	cr_assert_not_null(identity, "%s", err.text);
	cr_expect_str_empty(warning.text);
	identity_unref(identity);
	free(together);
	free(cert);
}

Test(pem, mentions_what_an_authority_file_holds_besides)
{
	struct err err = { "" }, warning = { "" };
	char *ca = keep(
	    "ca.pem", joined(pki_certificate_pem(&root),
			  joined(strdup(" "), pki_certificate_pem(&site))));
	struct trust *trust = trust_load(
	    ca, NULL, CRL_CHECK_LEAF, NOW, &warning, &err);

	cr_assert_not_null(trust, "%s", err.text);
	cr_expect(strstr(warning.text, "text before -----BEGIN") != NULL, "%s",
	    warning.text);
	trust_unref(trust);
	free(ca);
}
