/*
 * Revocation lists for tests.  One thread.
 */
#include "tests/support/crl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "crl: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static ASN1_TIME *
time_of(const char *text, const char *otherwise)
{
	ASN1_TIME *time = ASN1_TIME_new();

	must(time != NULL && ASN1_TIME_set_string_X509(
				 time, text != NULL ? text : otherwise) == 1,
	    "a time");
	return time;
}

static void
revoke(X509_CRL *crl, X509 *certificate, ASN1_TIME *when)
{
	X509_REVOKED *entry = X509_REVOKED_new();

	must(entry != NULL &&
		 X509_REVOKED_set_serialNumber(
		     entry, X509_get_serialNumber(certificate)) == 1 &&
		 X509_REVOKED_set_revocationDate(entry, when) == 1 &&
		 X509_CRL_add0_revoked(crl, entry) == 1,
	    "revoking");
}

static void
mark_part(X509_CRL *crl, const char *part)
{
	char value[128];
	X509_EXTENSION *extension;

	snprintf(value, sizeof(value), "critical,%s", part);
	extension = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_issuing_distribution_point, value);
	must(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1,
	    "marking a part");
	X509_EXTENSION_free(extension);
}

/* RFC 5280 sections 5.2.3 and 5.2.4: changes since list 1. */
static void
mark_delta(X509_CRL *crl)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	must(number != NULL && ASN1_INTEGER_set(number, 1) == 1 &&
		 X509_CRL_add1_ext_i2d(crl, NID_delta_crl, number, 1, 0) == 1 &&
		 ASN1_INTEGER_set(number, 2) == 1 &&
		 X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1,
	    "marking changes");
	ASN1_INTEGER_free(number);
}

/* RFC 5280 section 5.2.3. */
static void
set_number(X509_CRL *crl, long value)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	must(number != NULL && ASN1_INTEGER_set(number, value) == 1 &&
		 X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1,
	    "numbering");
	ASN1_INTEGER_free(number);
}

static void
mark(X509_CRL *crl, int nid)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(
	    NULL, nid, 1, value);

	must(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1,
	    "an extension");
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
}

static X509_CRL *
make(const struct crl_wish *wish)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = time_of(wish->from, "20200101000000Z");
	ASN1_TIME *to = time_of(wish->to, "20990101000000Z");

	must(crl != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1,
	    "making a list");
	must(X509_CRL_set_issuer_name(
		 crl, X509_get_subject_name(wish->issuer->certificate)) == 1,
	    "naming its issuer");
	must(X509_CRL_set1_lastUpdate(crl, from) == 1 &&
		 (wish->endless || X509_CRL_set1_nextUpdate(crl, to) == 1),
	    "dating it");
	if (wish->revoked != NULL)
		revoke(crl, wish->revoked->certificate, from);
	if (wish->part != NULL)
		mark_part(crl, wish->part);
	if (wish->number != 0)
		set_number(crl, wish->number);
	if (wish->delta)
		mark_delta(crl);
	if (wish->extension != 0)
		mark(crl, wish->extension);
	must(X509_CRL_sort(crl) == 1 &&
		 X509_CRL_sign(crl, wish->issuer->key, EVP_sha256()) > 0,
	    "signing it");
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return crl;
}

char *
crl_pem(const struct crl_wish *wish)
{
	X509_CRL *crl = make(wish);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	must(
	    bio != NULL && PEM_write_bio_X509_CRL(bio, crl) == 1, "writing it");
	len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	must(text != NULL, "copying it");
	BIO_free(bio);
	X509_CRL_free(crl);
	return text;
}
