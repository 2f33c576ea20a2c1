/*
 * Which certificate signed this one.  Staple thread or main: stores may read
 * the disk.  A name proves nothing, and authorities have several certificates
 * of one name: every candidate is tried, until one has really signed.
 */
#include "staple/cert.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert_inner.h"

struct search {
	X509 *leaf;
	bool namesake; /* a candidate has the issuer's name, but did not sign */
	bool starved;  /* a candidate was refused for lack of memory */
};

/*
 * A new reference, to the certificate or to a copy; NULL: no memory.  OpenSSL
 * decodes extensions once and keeps the result in the X509.  After an
 * allocation failure it keeps "invalid", for as long as the X509 lives.
 */
static X509 *
readable(X509 *certificate)
{
	if (X509_check_purpose(certificate, -1, 0) != 1)
		return X509_dup(certificate);
	return X509_up_ref(certificate) == 1 ? certificate : NULL;
}

/*
 * A self-signed certificate has no issuer that could speak for it (RFC 6960
 * 4.2.2.2), and a reference to itself would keep it alive for ever: its
 * equals do not count.
 */
static bool
has_name(const struct search *search, const X509 *candidate)
{
	return X509_NAME_cmp(X509_get_subject_name(candidate),
		   X509_get_issuer_name(search->leaf)) == 0 &&
	       X509_cmp(candidate, search->leaf) != 0;
}

static bool
has_signed(const struct search *search, X509 *candidate)
{
	EVP_PKEY *key = X509_get0_pubkey(candidate);

	return key != NULL &&
	       X509_check_issued(candidate, search->leaf) == X509_V_OK &&
	       X509_verify(search->leaf, key) == 1;
}

bool
staple_issuer_has_signed(X509 *candidate, X509 *leaf, bool *namesake)
{
	const struct search search = { .leaf = leaf };

	if (!has_name(&search, candidate))
		return false;
	if (has_signed(&search, candidate))
		return true;
	*namesake = true;
	return false;
}

/* A new reference; NULL: refused. */
static X509 *
try_candidate(struct search *search, X509 *candidate)
{
	X509 *issuer = NULL;

	errno = 0;
	if (has_name(search, candidate)) {
		issuer = readable(candidate);
		if (issuer != NULL && has_signed(search, issuer))
			return issuer;
		search->namesake = true;
	}
	search->starved |= errno == ENOMEM;
	X509_free(issuer);
	return NULL;
}

/* A new reference. */
static X509 *
find_among(struct search *search, STACK_OF(X509) * candidates)
{
	X509 *issuer = NULL;

	for (int i = 0; issuer == NULL && i < sk_X509_num(candidates); i++)
		issuer = try_candidate(search, sk_X509_value(candidates, i));
	return issuer;
}

static X509 *
find_in_store(struct search *search, X509_STORE *store)
{
	X509_STORE_CTX *context;
	STACK_OF(X509) *namesakes = NULL;
	X509 *found;

	if (store == NULL)
		return NULL;
	errno = 0;
	context = X509_STORE_CTX_new();
	if (context != NULL &&
	    X509_STORE_CTX_init(context, store, NULL, NULL) == 1)
		namesakes = X509_STORE_CTX_get1_certs(
		    context, X509_get_issuer_name(search->leaf));
	search->starved |= namesakes == NULL && errno == ENOMEM;
	found = find_among(search, namesakes);
	sk_X509_pop_free(namesakes, X509_free);
	X509_STORE_CTX_free(context);
	return found;
}

static void
note_failure(struct staple_cert *cert, const struct search *search)
{
	char name[100];

	X509_NAME_oneline(
	    X509_get_issuer_name(search->leaf), name, sizeof(name));
	if (X509_self_signed(search->leaf, 0) == 1)
		staple_cert_note(cert,
		    "it is self-signed, so no authority can speak for it");
	else if (search->namesake)
		staple_cert_note(cert,
		    "a certificate of its issuer's name (%s) is at hand, but "
		    "did not sign it",
		    name);
	else
		staple_cert_note(
		    cert, "its issuer (%s) is nowhere to be found", name);
}

/*
 * A hundred and more certificates, of which nearly every chain needs none: so
 * they are read when the first one does.  Reading twice would be harmless.
 */
static X509_STORE *
read_system(X509_STORE *store)
{
	if (store != NULL &&
	    sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) == 0 &&
	    X509_STORE_set_default_paths(store) != 1)
		ERR_clear_error();
	return store;
}

/* A certificate without responder or with a staple_file makes no requests. */
static bool
may_fetch(const struct staple_cert *cert, X509 *leaf,
    const struct staple_trust *trust)
{
	return trust != NULL && trust->aia_issuer && cert->url_count > 0 &&
	       cert->staple_file == NULL && X509_self_signed(leaf, 0) != 1;
}

static void
find_at_hand(struct staple_cert *cert, struct search *search,
    STACK_OF(X509) * chain, const struct staple_trust *trust)
{
	cert->issuer = find_among(search, chain);
	cert->origin = STAPLE_ORIGIN_CHAIN;
	if (cert->issuer == NULL && trust != NULL) {
		cert->issuer = find_in_store(search, trust->ca_file);
		cert->origin = STAPLE_ORIGIN_CA_FILE;
	}
	if (cert->issuer == NULL && trust != NULL) {
		cert->issuer = find_in_store(
		    search, read_system(trust->system));
		cert->origin = STAPLE_ORIGIN_SYSTEM;
	}
	if (cert->issuer == NULL)
		cert->origin = STAPLE_ORIGIN_NONE;
}

/* Where it may be fetched.  false: no memory. */
static bool
find_elsewhere(struct staple_cert *cert, const struct search *search,
    const struct staple_trust *trust)
{
	if (may_fetch(cert, search->leaf, trust) &&
	    !staple_cert_find_issuer_urls(cert, search->leaf))
		return false;
	if (cert->issuer_url_count > 0) {
		cert->leaf = X509_dup(search->leaf);
		/* Decodes its extensions now: see readable(). */
		return cert->leaf != NULL &&
		       X509_check_purpose(cert->leaf, -1, 0) == 1;
	}
	note_failure(cert, search);
	return true;
}

bool
staple_cert_find_issuer(struct staple_cert *cert, X509 *leaf,
    STACK_OF(X509) * chain, const struct staple_trust *trust)
{
	struct search search = { .leaf = readable(leaf) };
	bool fine;

	if (search.leaf == NULL)
		return false;
	find_at_hand(cert, &search, chain, trust);
	fine = cert->issuer != NULL || find_elsewhere(cert, &search, trust);
	X509_free(search.leaf);
	return fine && !search.starved;
}

bool
staple_cert_fits_chain(const struct staple_cert *cert, STACK_OF(X509) * chain)
{
	const X509_NAME *name;

	if (cert->issuer == NULL)
		return false;
	/* The first of that name would be tried first. */
	name = X509_get_subject_name(cert->issuer);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *candidate = sk_X509_value(chain, i);

		if (X509_NAME_cmp(X509_get_subject_name(candidate), name) == 0)
			return X509_cmp(candidate, cert->issuer) == 0;
	}
	return false;
}

static bool
load_ca_file(X509_STORE *store, const char *ca_file, struct err *err)
{
	unsigned long code;

	ERR_clear_error();
	if (X509_STORE_load_file(store, ca_file) == 1)
		return true;
	/* The earliest entry is the cause, the later ones are its echo. */
	code = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(code))
		err_set_errno(err, ERR_GET_REASON(code), "%s", ca_file);
	else
		err_set(err,
		    "%s: no CA certificate can be read from it; "
		    "PEM is expected",
		    ca_file);
	ERR_clear_error();
	return false;
}

bool
staple_trust_init(
    struct staple_trust *trust, const char *ca_file, struct err *err)
{
	*trust = (struct staple_trust){ .system = X509_STORE_new() };
	if (ca_file != NULL)
		trust->ca_file = X509_STORE_new();
	if (trust->system == NULL ||
	    (ca_file != NULL && trust->ca_file == NULL)) {
		err_set(err, "no memory for the certificates of authorities");
		ERR_clear_error();
		goto fail;
	}
	if (ca_file != NULL && !load_ca_file(trust->ca_file, ca_file, err))
		goto fail;
	return true;
fail:
	staple_trust_fini(trust);
	return false;
}

void
staple_trust_fini(struct staple_trust *trust)
{
	X509_STORE_free(trust->ca_file);
	X509_STORE_free(trust->system);
	*trust = (struct staple_trust){ 0 };
}
