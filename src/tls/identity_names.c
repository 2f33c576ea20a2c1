/*
 * The names in a certificate.  Any thread.  Its bytes may be anybody's: a name
 * is a pattern only if it survives sni.c, and what does not is left out, so
 * that "good.example\0.evil" never becomes "good.example".
 */
#include "tls/identity_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/error.h"
#include "tls/sni.h"

/* Its text in UTF-8; NULL: it has none.  OPENSSL_free it. */
static char *
text_of(struct identity_names *names, const ASN1_STRING *string, size_t *len)
{
	unsigned char *utf8 = NULL;
	int n;

	errno = 0;
	n = ASN1_STRING_to_UTF8(&utf8, string);
	names->starved |= n < 0 && errno == ENOMEM;
	tls_error_clear();
	*len = n > 0 ? (size_t)n : 0;
	return n >= 0 ? (char *)utf8 : NULL;
}

static const ASN1_STRING *
common_name(const X509 *leaf)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0
		   ? NULL
		   : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

static bool
show(struct identity_names *names, const ASN1_STRING *string)
{
	size_t len = 0;
	char *text = string ? text_of(names, string, &len) : NULL;

	if (len > 0)
		snprintf(
		    names->shown, sizeof(names->shown), "%.*s", (int)len, text);
	OPENSSL_free(text);
	return len > 0;
}

static void
find_shown(
    struct identity_names *names, const X509 *leaf, const GENERAL_NAMES *others)
{
	bool found = show(names, common_name(leaf));

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(others); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(others, i);

		if (name->type == GEN_DNS)
			found = show(names, name->d.dNSName);
	}
	if (!found)
		snprintf(names->shown, sizeof(names->shown), "unnamed");
}

/* false: no memory.  A name that is no pattern adds nothing. */
static bool
add(struct identity_names *names, const ASN1_STRING *string)
{
	char pattern[SNI_NAME_MAX + 1];
	size_t len;
	char *text = text_of(names, string, &len);
	bool fine = true;

	/* It ends in a NUL of OpenSSL's; no other may be in it. */
	if (text && strlen(text) == len &&
	    sni_normalise_pattern(pattern, text)) {
		names->patterns[names->count] = strdup(pattern);
		fine = names->patterns[names->count] != NULL;
		names->count += fine;
	}
	OPENSSL_free(text);
	return fine;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
drop_doubles(struct identity_names *names)
{
	size_t kept = 0, i;

	qsort(
	    names->patterns, names->count, sizeof(names->patterns[0]), compare);
	for (i = 0; i < names->count; i++)
		if (kept > 0 &&
		    strcmp(names->patterns[i], names->patterns[kept - 1]) == 0)
			free(names->patterns[i]);
		else
			names->patterns[kept++] = names->patterns[i];
	names->count = kept;
}

/* true with *alone: no DNS name stands among these, not even a bad one. */
static bool
add_others(
    struct identity_names *names, const GENERAL_NAMES *others, bool *alone)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(others, i);

		if (name->type != GEN_DNS)
			continue;
		*alone = false;
		if (!add(names, name->d.dNSName))
			return false;
	}
	return true;
}

static bool
find_patterns(struct identity_names *names, const X509 *leaf,
    const GENERAL_NAMES *others, bool alone)
{
	int room = others ? sk_GENERAL_NAME_num(others) : 0;
	const ASN1_STRING *common = common_name(leaf);

	names->patterns = calloc((size_t)room + 1, sizeof(names->patterns[0]));
	if (names->patterns == NULL || !add_others(names, others, &alone))
		return false;
	/* RFC 6125 section 6.4.4: the common name is the last resort. */
	if (alone && common && !add(names, common))
		return false;
	drop_doubles(names);
	return true;
}

bool
identity_names_find(struct identity_names *names, const X509 *leaf)
{
	GENERAL_NAMES *others;
	int found;
	bool fine;

	/* OpenSSL returns the same for a damaged extension. */
	errno = 0;
	others = X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);
	names->starved = others == NULL && found != -1 && errno == ENOMEM;
	tls_error_clear();
	find_shown(names, leaf, others);
	/* -1: there is no such extension.  One that cannot be read, or is
	 * there twice, may hold names as well. */
	fine = find_patterns(names, leaf, others, found == -1 || others);
	GENERAL_NAMES_free(others);
	return fine && !names->starved;
}

void
identity_names_drop(struct identity_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->patterns[i]);
	free(names->patterns);
	*names = (struct identity_names){ 0 };
}
