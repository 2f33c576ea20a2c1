/*
 * One certificate, worked out.  Made on whichever thread shows us the
 * certificate; any thread afterwards.  OpenSSL returns the same for "there is
 * none" and "no memory to look", and a certificate is read only once: each
 * step ends with staple_memory_failed(), because a certificate without its
 * issuer or must-staple would stay so for as long as it lives.
 */
#include "staple/cert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/cert_inner.h"
#include "staple/memory.h"
#include "staple/text.h"

enum { FEATURE_STATUS_REQUEST = 5 }; /* RFC 7633 4.1, RFC 6066 8 */

void
staple_cert_note(struct staple_cert *cert, const char *format, ...)
{
	size_t used = strlen(cert->hint);
	va_list args;

	if (used > 0)
		used += (size_t)snprintf(
		    cert->hint + used, sizeof(cert->hint) - used, "; ");
	if (used >= sizeof(cert->hint))
		return;
	va_start(args, format);
	vsnprintf(cert->hint + used, sizeof(cert->hint) - used, format, args);
	va_end(args);
}

bool
staple_cert_key(X509 *leaf, unsigned char key[STAPLE_KEY_SIZE])
{
	bool ok = X509_digest(leaf, EVP_sha256(), key, NULL) == 1;

	ERR_clear_error();
	return ok;
}

static bool
holds_status_request(const TLS_FEATURE *features)
{
	for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
		const ASN1_INTEGER *feature = sk_ASN1_INTEGER_value(
		    features, i);

		/* A longer one may be any number of kilobytes. */
		if (ASN1_STRING_type(feature) == V_ASN1_INTEGER &&
		    ASN1_STRING_length(feature) == 1 &&
		    *ASN1_STRING_get0_data(feature) == FEATURE_STATUS_REQUEST)
			return true;
	}
	return false;
}

/* RFC 5280 4.2 forbids an extension to come twice; should it do so, clients
 * may heed either. */
static bool
carries_must_staple(const X509 *leaf)
{
	bool found = false;
	int at = -1;

	while (!found &&
	       (at = X509_get_ext_by_NID(leaf, NID_tlsfeature, at)) >= 0) {
		TLS_FEATURE *features = X509V3_EXT_d2i(X509_get_ext(leaf, at));

		found = holds_status_request(features);
		TLS_FEATURE_free(features);
	}
	return found;
}

bool
staple_cert_must_staple(X509 *leaf)
{
	bool found = carries_must_staple(leaf);

	ERR_clear_error();
	return found;
}

/* Somebody to ask, or a file in which another tool answers. */
static bool
has_responder(const struct staple_cert *cert)
{
	return cert->url_count > 0 || cert->staple_file != NULL;
}

enum staple_wish
staple_cert_wish(
    const struct staple_cert *cert, const struct staple_policy *policy)
{
	switch (policy->mode) {
	case STAPLE_AUTO:
		return cert->must_staple ? STAPLE_WISH_WANTED
					 : STAPLE_WISH_NONE;
	case STAPLE_MUST:
		return cert->must_staple ? STAPLE_WISH_FATAL : STAPLE_WISH_NONE;
	case STAPLE_ALWAYS:
		return STAPLE_WISH_FATAL;
	case STAPLE_PREFER:
		return has_responder(cert) ? STAPLE_WISH_WANTED
					   : STAPLE_WISH_NONE;
	case STAPLE_NEVER:
		break;
	}
	return STAPLE_WISH_NONE;
}

static int64_t
seconds_of(const ASN1_TIME *when)
{
	struct tm tm;

	return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool
read_leaf(struct staple_cert *cert, X509 *leaf)
{
	staple_text_hex(
	    cert->id, sizeof(cert->id), cert->key, sizeof(cert->key));
	staple_cert_print_name(leaf, cert->name, sizeof(cert->name));
	cert->not_before = seconds_of(X509_get0_notBefore(leaf));
	cert->not_after = seconds_of(X509_get0_notAfter(leaf));
	cert->must_staple = carries_must_staple(leaf);
	return !staple_memory_failed(false);
}

static bool
read_source(
    struct staple_cert *cert, X509 *leaf, const struct staple_source *source)
{
	if (source != NULL && source->staple_file != NULL) {
		cert->staple_file = strdup(source->staple_file);
		if (cert->staple_file == NULL)
			return false;
	}
	if (!staple_cert_find_urls(cert, leaf, source) ||
	    staple_memory_failed(false))
		return false;
	if (has_responder(cert))
		return true;
	cert->hindrance = STAPLE_NO_RESPONDER;
	if (cert->hint[0] == '\0')
		staple_cert_note(
		    cert, "it names no responder, and none is configured");
	return true;
}

/* Without a responder nobody needs the issuer: that is what is said first. */
static bool
read_issuer(struct staple_cert *cert, X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_trust *trust)
{
	if (!staple_cert_find_issuer(cert, leaf, chain, trust) ||
	    staple_memory_failed(false))
		return false;
	cert->complete = true;
	if (cert->issuer == NULL && cert->issuer_url_count == 0 &&
	    has_responder(cert))
		cert->hindrance = STAPLE_NO_ISSUER;
	return cert->issuer == NULL || staple_cert_make_requests(cert, leaf);
}

static struct staple_cert *
make(struct err *err)
{
	struct staple_cert *cert = calloc(1, sizeof(*cert));

	if (cert == NULL)
		err_set(err, "no memory for what is known of a certificate");
	else
		atomic_init(&cert->references, 1);
	/* Whatever others left there would be taken for our own. */
	staple_memory_watch();
	return cert;
}

/* Memory ran out.  NULL. */
static struct staple_cert *
give_up(struct staple_cert *cert, struct err *err)
{
	err_set(err, "%s: memory ran out", cert->name);
	ERR_clear_error();
	staple_cert_unref(cert);
	return NULL;
}

struct staple_cert *
staple_cert_sketch(
    X509 *leaf, const struct staple_source *source, struct err *err)
{
	struct staple_cert *cert = make(err);

	if (cert == NULL)
		return NULL;
	if (!staple_cert_key(leaf, cert->key)) {
		err_set(err,
		    "the certificate cannot be encoded, or memory ran out");
		staple_cert_unref(cert);
		return NULL;
	}
	if (!read_leaf(cert, leaf) || !read_source(cert, leaf, source))
		return give_up(cert, err);
	return cert;
}

/* What a sketch says, without what is its own. */
static bool
copy_sketch(struct staple_cert *cert, const struct staple_cert *sketch)
{
	memcpy(cert->key, sketch->key, sizeof(cert->key));
	memcpy(cert->id, sketch->id, sizeof(cert->id));
	memcpy(cert->name, sketch->name, sizeof(cert->name));
	memcpy(cert->hint, sketch->hint, sizeof(cert->hint));
	cert->must_staple = sketch->must_staple;
	cert->not_before = sketch->not_before;
	cert->not_after = sketch->not_after;
	cert->hindrance = sketch->hindrance;
	if (sketch->staple_file != NULL) {
		cert->staple_file = strdup(sketch->staple_file);
		if (cert->staple_file == NULL)
			return false;
	}
	return staple_cert_copy_urls(cert, sketch);
}

struct staple_cert *
staple_cert_complete(const struct staple_cert *sketch, X509 *leaf,
    STACK_OF(X509) * chain, const struct staple_trust *trust, struct err *err)
{
	struct staple_cert *cert = make(err);

	if (cert == NULL)
		return NULL;
	if (!copy_sketch(cert, sketch) ||
	    !read_issuer(cert, leaf, chain, trust))
		return give_up(cert, err);
	return cert;
}

struct staple_cert *
staple_cert_with_issuer(const struct staple_cert *cert, X509 *leaf,
    X509 *issuer, enum staple_origin origin, struct err *err)
{
	struct staple_cert *made = make(err);

	if (made == NULL)
		return NULL;
	if (!copy_sketch(made, cert) || X509_up_ref(issuer) != 1)
		return give_up(made, err);
	made->complete = true;
	made->issuer = issuer;
	made->origin = origin;
	if (!staple_cert_make_requests(made, leaf))
		return give_up(made, err);
	return made;
}

struct staple_cert *
staple_cert_new(X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_trust *trust,
    struct err *err)
{
	struct staple_cert *cert = staple_cert_sketch(leaf, source, err);

	if (cert != NULL && !read_issuer(cert, leaf, chain, trust))
		return give_up(cert, err);
	return cert;
}

struct staple_cert *
staple_cert_ref(struct staple_cert *cert)
{
	atomic_fetch_add_explicit(&cert->references, 1, memory_order_relaxed);
	return cert;
}

void
staple_cert_unref(struct staple_cert *cert)
{
	if (cert == NULL || atomic_fetch_sub_explicit(&cert->references, 1,
				memory_order_acq_rel) != 1)
		return;
	X509_free(cert->issuer);
	X509_free(cert->leaf);
	for (size_t i = 0; i < cert->issuer_url_count; i++)
		free(cert->issuer_urls[i]);
	for (int i = 0; i < STAPLE_HASHES; i++) {
		OCSP_CERTID_free(cert->ids[i]);
		OPENSSL_free(cert->requests[i].der);
	}
	for (size_t i = 0; i < cert->url_count; i++)
		free(cert->urls[i]);
	free(cert->urls);
	free(cert->staple_file);
	free(cert);
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
is_same_issuer(const X509 *a, const X509 *b)
{
	return a == b || (a != NULL && b != NULL && X509_cmp(a, b) == 0);
}

bool
staple_cert_has_source(
    const struct staple_cert *cert, const struct staple_source *source)
{
	static const struct staple_source none = { 0 };

	if (source == NULL)
		source = &none;
	if (!is_same_text(cert->staple_file, source->staple_file) ||
	    cert->urls_configured != (source->url_count > 0))
		return false;
	if (!cert->urls_configured)
		return true;
	if (cert->url_count != source->url_count)
		return false;
	for (size_t i = 0; i < cert->url_count; i++) {
		if (strcmp(cert->urls[i], source->urls[i]) != 0)
			return false;
	}
	return true;
}

bool
staple_cert_says_same(const struct staple_cert *a, const struct staple_cert *b)
{
	if (a->hindrance != b->hindrance || a->url_count != b->url_count ||
	    !is_same_text(a->staple_file, b->staple_file) ||
	    !is_same_issuer(a->issuer, b->issuer))
		return false;
	for (size_t i = 0; i < a->url_count; i++) {
		if (strcmp(a->urls[i], b->urls[i]) != 0)
			return false;
	}
	return true;
}
