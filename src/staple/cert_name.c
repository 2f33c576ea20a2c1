/*
 * What to call a certificate.  Any thread.  A name that clients would look for
 * comes before the common name, which they have stopped to look at, and
 * authorities to fill in.
 */
#include "staple/cert.h"

#include <stdio.h>

#include <openssl/x509v3.h>

#include "staple/text.h"

static bool
print_string(const ASN1_STRING *string, char *name, size_t max)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, string);

	if (len > 0)
		staple_text_escape(name, max, (char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return len > 0;
}

static bool
print_dns_name(const X509 *certificate, char *name, size_t max)
{
	GENERAL_NAMES *names;
	bool found = false;

	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);

		if (one->type == GEN_DNS)
			found = print_string(one->d.dNSName, name, max);
	}
	GENERAL_NAMES_free(names);
	return found;
}

static bool
print_common_name(const X509 *certificate, char *name, size_t max)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at >= 0 && print_string(X509_NAME_ENTRY_get_data(
					   X509_NAME_get_entry(subject, at)),
			      name, max);
}

static void
print_serial(const X509 *certificate, char *name, size_t max)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	int used = snprintf(name, max, "serial ");

	staple_text_hex(name + used, max - (size_t)used,
	    ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

void
staple_cert_print_name(const X509 *certificate, char *name, size_t max)
{
	if (!print_dns_name(certificate, name, max) &&
	    !print_common_name(certificate, name, max))
		print_serial(certificate, name, max);
}
