/*
 * Issuers from the network and from the store.  Staple thread, or the thread
 * of a diagnosis.  The bytes come over plain HTTP: of the certificates in them
 * the one whose key signed the leaf is returned.  Its own dates and issuer are
 * not checked, since a renewed CA keeps its key.
 */
#include "staple/issuers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/err.h"
#include "staple/store.h"
#include "staple/time_text.h"

/* Of one response: bounds the signatures that are checked. */
enum { CANDIDATES_MAX = 16 };

/* ---- Known issuers and recent failures ---- */

void
staple_issuers_fini(struct staple_issuers *issuers)
{
	for (size_t i = 0; i < STAPLE_ISSUERS_MAX; i++)
		X509_free(issuers->known[i].certificate);
	*issuers = (struct staple_issuers){ .next = 0 };
}

void
staple_issuers_add(
    struct staple_issuers *issuers, X509 *issuer, enum staple_origin origin)
{
	struct staple_known_issuer *known = &issuers->known[issuers->next];

	for (size_t i = 0; i < STAPLE_ISSUERS_MAX; i++) {
		X509 *other = issuers->known[i].certificate;

		if (other != NULL && X509_cmp(other, issuer) == 0)
			return;
	}
	if (X509_up_ref(issuer) != 1)
		return;
	X509_free(known->certificate);
	known->certificate = issuer;
	known->origin = origin;
	issuers->next = (issuers->next + 1) % STAPLE_ISSUERS_MAX;
}

X509 *
staple_issuers_find(const struct staple_issuers *issuers,
    const struct staple_cert *cert, enum staple_origin *origin)
{
	X509 *found = NULL;
	bool namesake;

	for (size_t i = 0; found == NULL && i < STAPLE_ISSUERS_MAX; i++) {
		const struct staple_known_issuer *known = &issuers->known[i];

		if (known->certificate == NULL)
			break;
		if (staple_issuer_has_signed(
			known->certificate, cert->leaf, &namesake)) {
			found = known->certificate;
			*origin = known->origin;
		}
	}
	ERR_clear_error();
	return found;
}

/* FNV-1a.  A collision only delays a fetch. */
static uint64_t
hash(const struct staple_cert *cert, size_t url)
{
	uint64_t sum = 14695981039346656037u ^
		       X509_issuer_name_hash(cert->leaf);

	for (const char *at = cert->issuer_urls[url]; *at != '\0'; at++)
		sum = (sum ^ (unsigned char)*at) * 1099511628211u;
	ERR_clear_error();
	return sum;
}

void
staple_issuers_fail(struct staple_issuers *issuers,
    const struct staple_cert *cert, size_t url, const void *owner,
    const char *said, int64_t mono_ms)
{
	struct staple_failed_issuer *failed =
	    &issuers->failed[issuers->next_failed];

	failed->what = hash(cert, url);
	failed->owner = owner;
	failed->until_ms = mono_ms + STAPLE_ISSUER_REST_MS;
	snprintf(failed->said, sizeof(failed->said), "%s", said);
	issuers->next_failed = (issuers->next_failed + 1) % STAPLE_ISSUERS_MAX;
}

const char *
staple_issuers_failed(const struct staple_issuers *issuers,
    const struct staple_cert *cert, size_t url, const void *owner,
    int64_t mono_ms)
{
	uint64_t what = hash(cert, url);

	for (size_t i = 0; i < STAPLE_ISSUERS_MAX; i++) {
		const struct staple_failed_issuer *failed = &issuers->failed[i];

		if (failed->what == what && failed->owner != owner &&
		    mono_ms < failed->until_ms)
			return failed->said;
	}
	return NULL;
}

/* ---- Fetching ---- */

struct staple_fetch *
staple_issuer_fetch(struct staple_fetcher *fetcher,
    const struct staple_cert *cert, size_t url, uint32_t timeout_ms,
    staple_fetch_fn *done, void *arg)
{
	const struct staple_fetch_order order = {
		.url = cert->issuer_urls[url],
		.get = true,
		.issuer = true,
		.timeout_ms = timeout_ms,
	};

	return staple_fetch_start(fetcher, &order, done, arg);
}

/* ---- From bytes to certificates ---- */

/* Takes the reference. */
static void
push(STACK_OF(X509) * certificates, X509 *certificate)
{
	if (sk_X509_num(certificates) >= CANDIDATES_MAX ||
	    sk_X509_push(certificates, certificate) <= 0)
		X509_free(certificate);
}

static void
read_pkcs7(STACK_OF(X509) * certificates, const unsigned char *der, size_t len)
{
	PKCS7 *bag = d2i_PKCS7(NULL, &der, (long)len);
	STACK_OF(X509) *inside = NULL;

	if (bag != NULL && PKCS7_type_is_signed(bag) && bag->d.sign != NULL)
		inside = bag->d.sign->cert;
	for (int i = 0; i < sk_X509_num(inside); i++) {
		X509 *certificate = sk_X509_value(inside, i);

		if (X509_up_ref(certificate) == 1)
			push(certificates, certificate);
	}
	PKCS7_free(bag);
}

/* Without a callback OpenSSL would read a password from the terminal. */
static int
no_password(char *into, int size, int writing, void *arg)
{
	(void)into, (void)size, (void)writing, (void)arg;
	return -1;
}

static void
read_pem(STACK_OF(X509) * certificates, const unsigned char *text, size_t len)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	X509 *certificate;

	while (bio != NULL && sk_X509_num(certificates) < CANDIDATES_MAX &&
	       (certificate = PEM_read_bio_X509(
		    bio, NULL, no_password, NULL)) != NULL)
		push(certificates, certificate);
	BIO_free(bio);
}

/* RFC 5280 4.2.2.1: one certificate in DER, or a "certs-only" CMS message; PEM
 * is not allowed by it, but some servers send it.  NULL: no memory. */
static STACK_OF(X509) *
    read_certificates(const unsigned char *bytes, size_t len)
{
	STACK_OF(X509) *certificates = sk_X509_new_null();
	const unsigned char *at = bytes;
	X509 *single;

	if (certificates == NULL || len > STAPLE_ISSUER_BYTES_MAX)
		return certificates;
	single = d2i_X509(NULL, &at, (long)len);
	if (single != NULL)
		push(certificates, single);
	else
		read_pkcs7(certificates, bytes, len);
	if (sk_X509_num(certificates) == 0)
		read_pem(certificates, bytes, len);
	return certificates;
}

static X509 *
choose(STACK_OF(X509) * certificates, const struct staple_cert *cert,
    struct staple_result *checked)
{
	bool namesake = false;

	for (int i = 0; i < sk_X509_num(certificates); i++) {
		X509 *candidate = sk_X509_value(certificates, i);

		if (staple_issuer_has_signed(
			candidate, cert->leaf, &namesake) &&
		    X509_up_ref(candidate) == 1) {
			checked->outcome = STAPLE_GOOD;
			err_set(&checked->said, "the issuer");
			return candidate;
		}
	}
	checked->outcome = STAPLE_WRONG_CERTIFICATE;
	if (namesake)
		err_set(&checked->said,
		    "a certificate with the issuer's name, but its key did not "
		    "sign this one");
	else
		err_set(&checked->said,
		    "a certificate with another name than the issuer's");
	return NULL;
}

static X509 *
read_issuer(const struct staple_cert *cert, const unsigned char *bytes,
    size_t len, struct staple_result *checked)
{
	STACK_OF(X509) *certificates = read_certificates(bytes, len);
	X509 *found = NULL;

	if (sk_X509_num(certificates) > 0) {
		found = choose(certificates, cert, checked);
	} else {
		checked->outcome = STAPLE_MALFORMED;
		err_set(&checked->said, "no certificate");
	}
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	return found;
}

X509 *
staple_issuer_check(const struct staple_cert *cert,
    const struct staple_fetch_result *result, struct staple_result *checked)
{
	if (result->outcome == STAPLE_GOOD)
		return read_issuer(cert, result->body, result->len, checked);
	checked->outcome = result->outcome;
	if (result->outcome == STAPLE_REDIRECT_REFUSED)
		err_set(&checked->said,
		    "redirected to a URL that is not http (issuers are "
		    "fetched only by http)");
	else
		err_set(&checked->said, "%s", result->said);
	return NULL;
}

/* ---- The store ---- */

bool
staple_issuer_id(X509 *leaf, char id[2 * STAPLE_KEY_SIZE + 1])
{
	const ASN1_OCTET_STRING *key = X509_get0_authority_key_id(leaf);
	unsigned char sums[2 * STAPLE_KEY_SIZE] = { 0 }, sum[STAPLE_KEY_SIZE];
	bool ok;

	ok = X509_NAME_digest(
		 X509_get_issuer_name(leaf), EVP_sha256(), sums, NULL) == 1;
	if (ok && key != NULL)
		ok = EVP_Digest(ASN1_STRING_get0_data(key),
			 (size_t)ASN1_STRING_length(key),
			 sums + STAPLE_KEY_SIZE, NULL, EVP_sha256(), NULL) == 1;
	ok = ok &&
	     EVP_Digest(sums, sizeof(sums), sum, NULL, EVP_sha256(), NULL) == 1;
	staple_text_hex(id, 2 * STAPLE_KEY_SIZE + 1, sum, sizeof(sum));
	ERR_clear_error();
	return ok;
}

X509 *
staple_issuer_load(
    struct staple_store *store, const struct staple_cert *cert, struct err *err)
{
	char id[2 * STAPLE_KEY_SIZE + 1];
	struct staple_result checked;
	struct staple_bytes bytes;
	X509 *found = NULL;

	err_set(err, "%s", "");
	if (!staple_issuer_id(cert->leaf, id) ||
	    !staple_store_read(store, id, STAPLE_ISSUER_BYTES_MAX, &bytes, err))
		return NULL;
	if (bytes.data != NULL) {
		found = read_issuer(cert, bytes.data, bytes.len, &checked);
		if (found == NULL)
			err_set(err, "%s contains %s", id, checked.said.text);
		else
			staple_store_mark(store, id, clock_wall_ms() / 1000);
	}
	free(bytes.data);
	return found;
}
