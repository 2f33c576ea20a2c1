/*
 * Common names.  Any thread.  A name with a NUL in it is none at all rather
 * than its first half: whoever issued "root\0.example.net" did not vouch for
 * "root".
 */
#include "tls/common_name.h"

#include <stddef.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

static const ASN1_STRING *
last_of(const X509_NAME *subject)
{
	const X509_NAME_ENTRY *last = NULL;
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	while (at >= 0) {
		last = X509_NAME_get_entry(subject, at);
		at = X509_NAME_get_index_by_NID(subject, NID_commonName, at);
	}
	return last ? X509_NAME_ENTRY_get_data(last) : NULL;
}

char *
common_name_of(const X509 *certificate)
{
	const ASN1_STRING *name = last_of(X509_get_subject_name(certificate));
	unsigned char *text = NULL;
	int len;

	if (name == NULL)
		return NULL;
	ERR_set_mark(); /* we may be inside a handshake */
	len = ASN1_STRING_to_UTF8(&text, name);
	ERR_pop_to_mark();
	if (len > 0 && strlen((char *)text) == (size_t)len)
		return (char *)text;
	OPENSSL_free(text);
	return NULL;
}
