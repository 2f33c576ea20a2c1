/*
 * One certificate: its name, responders, issuer, ids and requests.  Made on
 * the thread that watches the certificate (the search for the issuer may read
 * the disk); immutable afterwards, any thread.  OpenSSL returns the same for
 * "there is none" and "no memory to look", and a certificate is read only once:
 * each step ends with staple_memory_failed(), because a certificate without its
 * issuer or must-staple would stay incomplete until it is freed.
 */
#include "staple/cert.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "staple/memory.h"
#include "staple/time_text.h"
#include "staple/url.h"

enum { FEATURE_STATUS_REQUEST = 5 }; /* RFC 7633 4.1, RFC 6066 8 */

static void note(struct staple_cert *cert, const char *format, ...)
    PRINTF_LIKE(2, 3);

static void
note(struct staple_cert *cert, const char *format, ...)
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

/*
 * ---- The name ----
 *
 * A DNS name comes before the common name: clients no longer look at the common
 * name, and authorities no longer fill it in.
 */

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

/* The first DNS name, else the common name, else "serial 1f..."; escaped, and
 * cut to max (at least 16) bytes. */
static void
print_name(const X509 *certificate, char *name, size_t max)
{
	if (!print_dns_name(certificate, name, max) &&
	    !print_common_name(certificate, name, max))
		print_serial(certificate, name, max);
}

/* ---- URLs ---- */

/* A list of URLs that is being filled, and what was left out of it. */
struct listing {
	struct staple_cert *cert; /* its hint takes the notes */
	char **urls;
	size_t count, max;
	bool of_issuers; /* caIssuers, else responders */
	size_t left_out;
};

static bool
is_listed(const struct listing *listing, const char *url, size_t len)
{
	for (size_t i = 0; i < listing->count; i++)
		if (strlen(listing->urls[i]) == len &&
		    memcmp(listing->urls[i], url, len) == 0)
			return true;
	return false;
}

/* Only the first is noted: the hint is short. */
static void
leave_out(struct listing *listing, const char *url, size_t len, const char *why)
{
	char shown[64];

	if (listing->left_out++ > 0)
		return;
	staple_text_escape(shown, sizeof(shown), url, len);
	note(listing->cert, "the %sURL %s was left out, as %s",
	    listing->of_issuers ? "issuer's " : "", shown, why);
}

static void
leave_out_name(struct listing *listing)
{
	if (listing->left_out++ == 0)
		note(listing->cert, "%s without a URL was left out",
		    listing->of_issuers ? "an issuer" : "a responder");
}

/* NULL: the URL is used.  An issuer is never fetched by https: the certificate
 * of its server might need that issuer in turn (RFC 5280 8). */
static const char *
find_fault(const struct listing *listing, const char *url, size_t len)
{
	const char *why;

	if (!staple_url_check(url, len, &why))
		return why;
	if (listing->of_issuers && strncasecmp(url, "http:", 5) != 0)
		return "issuers are fetched only by http";
	if (listing->count == listing->max && !is_listed(listing, url, len))
		return "the limit of URLs is reached";
	return NULL;
}

/* false: no memory. */
static bool
list(struct listing *listing, const char *url, size_t len)
{
	const char *why = find_fault(listing, url, len);
	char *copy;

	if (why != NULL) {
		leave_out(listing, url, len, why);
		return true;
	}
	if (is_listed(listing, url, len))
		return true;
	copy = strndup(url, len);
	if (copy == NULL)
		return false;
	listing->urls[listing->count++] = copy;
	return true;
}

static bool
list_configured(struct listing *listing, const struct staple_source *source)
{
	bool ok = true;

	for (size_t i = 0; ok && i < source->url_count; i++)
		ok = list(listing, source->urls[i], strlen(source->urls[i]));
	return ok;
}

/* Some CAs write blanks around a URI: they are trimmed. */
static bool
list_uri(struct listing *listing, const ASN1_IA5STRING *uri)
{
	const char *text = (const char *)ASN1_STRING_get0_data(uri);
	size_t len = (size_t)ASN1_STRING_length(uri);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (; len > 0 && isspace((unsigned char)*text); len--)
		text++;
	return list(listing, text, len);
}

/*
 * RFC 5280 4.2.2.1, RFC 6960 3.1: id-ad-ocsp with a URI, or id-ad-caIssuers
 * for the issuer's own certificate, in the order of the certificate, which
 * X509_get1_ocsp does not keep.  The bytes are an IA5String: a NUL in them is
 * part of the URL and is not accepted as its end.
 */
static bool
list_named(struct listing *listing, X509 *leaf)
{
	int method = listing->of_issuers ? NID_ad_ca_issuers : NID_ad_OCSP;
	AUTHORITY_INFO_ACCESS *access;
	bool ok = true;
	int found;

	access = X509_get_ext_d2i(leaf, NID_info_access, &found, NULL);
	if (access == NULL && found != -1)
		note(listing->cert,
		    "its authority information access cannot be read");
	for (int i = 0; ok && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
		ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(
		    access, i);

		if (OBJ_obj2nid(one->method) != method)
			continue;
		if (one->location->type == GEN_URI)
			ok = list_uri(listing, one->location->d.ia5);
		else
			leave_out_name(listing);
	}
	AUTHORITY_INFO_ACCESS_free(access);
	return ok;
}

static void
note_rest(const struct listing *listing)
{
	if (listing->left_out > 1)
		note(listing->cert, "%zu more were left out",
		    listing->left_out - 1);
}

static bool
find_urls(
    struct staple_cert *cert, X509 *leaf, const struct staple_source *source)
{
	struct listing listing = { .cert = cert, .max = STAPLE_URLS_MAX };
	bool ok;

	cert->url_count = 0;
	cert->urls = calloc(STAPLE_URLS_MAX, sizeof(*cert->urls));
	if (cert->urls == NULL)
		return false;
	listing.urls = cert->urls;
	cert->urls_configured = source != NULL && source->url_count > 0;
	if (cert->urls_configured)
		ok = list_configured(&listing, source);
	else
		ok = list_named(&listing, leaf);
	cert->url_count = listing.count;
	note_rest(&listing);
	return ok;
}

static bool
find_issuer_urls(struct staple_cert *cert, X509 *leaf)
{
	struct listing listing = { .cert = cert,
		.urls = cert->issuer_urls,
		.max = STAPLE_ISSUER_URLS_MAX,
		.of_issuers = true };
	bool ok = list_named(&listing, leaf);

	cert->issuer_url_count = listing.count;
	note_rest(&listing);
	return ok;
}

static bool
copy_urls(struct staple_cert *cert, const struct staple_cert *from)
{
	cert->url_count = 0;
	cert->urls = calloc(STAPLE_URLS_MAX, sizeof(*cert->urls));
	if (cert->urls == NULL)
		return false;
	cert->urls_configured = from->urls_configured;
	while (cert->url_count < from->url_count) {
		char *copy = strdup(from->urls[cert->url_count]);

		if (copy == NULL)
			return false;
		cert->urls[cert->url_count++] = copy;
	}
	return true;
}

/*
 * ---- The issuer ----
 *
 * A name proves nothing, and authorities have several certificates of one name:
 * every candidate is tried until one has really signed.  Stores may read the
 * disk.
 */

struct issuer_search {
	X509 *leaf;
	bool namesake; /* a candidate has the issuer's name, but did not sign */
	bool starved;  /* a candidate was refused for lack of memory */
};

/*
 * A new reference, to the certificate or to a copy; NULL: no memory.  OpenSSL
 * decodes extensions once and keeps the result in the X509.  After an
 * allocation failure it keeps "invalid" until the X509 is freed.
 */
static X509 *
readable(X509 *certificate)
{
	if (X509_check_purpose(certificate, -1, 0) != 1)
		return X509_dup(certificate);
	return X509_up_ref(certificate) == 1 ? certificate : NULL;
}

/*
 * A self-signed certificate has no issuer that could sign a response (RFC 6960
 * 4.2.2.2), and a reference to itself would keep it alive for ever: its
 * equals do not count.
 */
static bool
has_name(const struct issuer_search *search, const X509 *candidate)
{
	return X509_NAME_cmp(X509_get_subject_name(candidate),
		   X509_get_issuer_name(search->leaf)) == 0 &&
	       X509_cmp(candidate, search->leaf) != 0;
}

static bool
has_signed(const struct issuer_search *search, X509 *candidate)
{
	EVP_PKEY *key = X509_get0_pubkey(candidate);

	return key != NULL &&
	       X509_check_issued(candidate, search->leaf) == X509_V_OK &&
	       X509_verify(search->leaf, key) == 1;
}

bool
staple_issuer_has_signed(X509 *candidate, X509 *leaf, bool *namesake)
{
	const struct issuer_search search = { .leaf = leaf };

	if (!has_name(&search, candidate))
		return false;
	if (has_signed(&search, candidate))
		return true;
	*namesake = true;
	return false;
}

/* A new reference; NULL: refused. */
static X509 *
try_candidate(struct issuer_search *search, X509 *candidate)
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
find_among(struct issuer_search *search, STACK_OF(X509) * candidates)
{
	X509 *issuer = NULL;

	for (int i = 0; issuer == NULL && i < sk_X509_num(candidates); i++)
		issuer = try_candidate(search, sk_X509_value(candidates, i));
	return issuer;
}

static X509 *
find_in_store(struct issuer_search *search, X509_STORE *store)
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
note_failure(struct staple_cert *cert, const struct issuer_search *search)
{
	char name[100];

	X509_NAME_oneline(
	    X509_get_issuer_name(search->leaf), name, sizeof(name));
	if (X509_self_signed(search->leaf, 0) == 1)
		note(cert, "it is self-signed, and has no issuer");
	else if (search->namesake)
		note(cert,
		    "a certificate with its issuer's name (%s) was found, but "
		    "its key did not sign it",
		    name);
	else
		note(cert, "its issuer (%s) was not found", name);
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
find_at_hand(struct staple_cert *cert, struct issuer_search *search,
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
find_elsewhere(struct staple_cert *cert, const struct issuer_search *search,
    const struct staple_trust *trust)
{
	if (may_fetch(cert, search->leaf, trust) &&
	    !find_issuer_urls(cert, search->leaf))
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

static bool
find_issuer(struct staple_cert *cert, X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_trust *trust)
{
	struct issuer_search search = { .leaf = readable(leaf) };
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
		err_set(err, "out of memory for the CA certificates");
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

/*
 * ---- Ids and requests ----
 *
 * One of each for each hash.  SHA-1 identifies the certificate here, it
 * protects nothing.  It stays the first hash, although RFC 9919 prefers
 * SHA-256: the response carries the id of the request, curl looks for a SHA-1
 * id alone and ignores a staple with another one, and some responders
 * understand nothing else.
 */

/*
 * RFC 5019 2.1.1: one Request in the list, and RFC 6960 4.1.2: requests need
 * not be signed.  There is no nonce (RFC 5019 4): with one, no
 * cache could answer, and no response could be stapled twice.
 */
static bool
encode(const OCSP_CERTID *id, struct staple_request *request)
{
	OCSP_REQUEST *asked = OCSP_REQUEST_new();
	OCSP_CERTID *copy = OCSP_CERTID_dup(id);
	int len = -1;

	if (asked != NULL && copy != NULL &&
	    OCSP_request_add0_id(asked, copy) != NULL) {
		copy = NULL;
		len = i2d_OCSP_REQUEST(asked, &request->der);
	}
	if (len > 0)
		request->len = (size_t)len;
	OCSP_CERTID_free(copy);
	OCSP_REQUEST_free(asked);
	return len > 0;
}

static bool
make_requests(struct staple_cert *cert, X509 *leaf)
{
	const EVP_MD *const digests[STAPLE_HASHES] = {
		[STAPLE_SHA1] = EVP_sha1(),
		[STAPLE_SHA256] = EVP_sha256(),
	};

	for (int i = 0; i < STAPLE_HASHES; i++) {
		cert->ids[i] = OCSP_cert_to_id(digests[i], leaf, cert->issuer);
		if (cert->ids[i] == NULL ||
		    !encode(cert->ids[i], &cert->requests[i]))
			return false;
	}
	return true;
}

/* ---- The whole certificate ---- */

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

/* A responder, or the staple_file of another tool. */
static bool
has_responder(const struct staple_cert *cert)
{
	return cert->url_count > 0 || cert->staple_file != NULL;
}

enum staple_requirement
staple_cert_requirement(
    const struct staple_cert *cert, const struct staple_policy *policy)
{
	switch (policy->mode) {
	case STAPLE_AUTO:
		return cert->must_staple ? STAPLE_REQUIRE_WANTED
					 : STAPLE_REQUIRE_NONE;
	case STAPLE_MUST:
		return cert->must_staple ? STAPLE_REQUIRE_FATAL
					 : STAPLE_REQUIRE_NONE;
	case STAPLE_ALWAYS:
		return STAPLE_REQUIRE_FATAL;
	case STAPLE_PREFER:
		return has_responder(cert) ? STAPLE_REQUIRE_WANTED
					   : STAPLE_REQUIRE_NONE;
	case STAPLE_NEVER:
		break;
	}
	return STAPLE_REQUIRE_NONE;
}

/* 0: not readable. */
static int64_t
read_date(const ASN1_TIME *date)
{
	int64_t seconds;

	return staple_time_read(date, &seconds) ? seconds : 0;
}

static bool
read_leaf(struct staple_cert *cert, X509 *leaf)
{
	staple_text_hex(
	    cert->id, sizeof(cert->id), cert->key, sizeof(cert->key));
	print_name(leaf, cert->name, sizeof(cert->name));
	cert->not_before = read_date(X509_get0_notBefore(leaf));
	cert->not_after = read_date(X509_get0_notAfter(leaf));
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
	if (!find_urls(cert, leaf, source) || staple_memory_failed(false))
		return false;
	if (has_responder(cert))
		return true;
	cert->unavailable_reason = STAPLE_NO_RESPONDER;
	if (cert->hint[0] == '\0')
		note(cert, "it has no responder URL, and none is configured");
	return true;
}

/* A missing responder is reported before a missing issuer. */
static bool
read_issuer(struct staple_cert *cert, X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_trust *trust)
{
	if (!find_issuer(cert, leaf, chain, trust) ||
	    staple_memory_failed(false))
		return false;
	cert->complete = true;
	if (cert->issuer == NULL && cert->issuer_url_count == 0 &&
	    has_responder(cert))
		cert->unavailable_reason = STAPLE_NO_ISSUER;
	return cert->issuer == NULL || make_requests(cert, leaf);
}

static struct staple_cert *
make(struct err *err)
{
	struct staple_cert *cert = calloc(1, sizeof(*cert));

	if (cert == NULL)
		err_set(err, "out of memory for a certificate");
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
	err_set(err, "%s: out of memory", cert->name);
	ERR_clear_error();
	staple_cert_unref(cert);
	return NULL;
}

struct staple_cert *
staple_cert_partial(
    X509 *leaf, const struct staple_source *source, struct err *err)
{
	struct staple_cert *cert = make(err);

	if (cert == NULL)
		return NULL;
	if (!staple_cert_key(leaf, cert->key)) {
		err_set(
		    err, "the certificate cannot be encoded, or out of memory");
		staple_cert_unref(cert);
		return NULL;
	}
	if (!read_leaf(cert, leaf) || !read_source(cert, leaf, source))
		return give_up(cert, err);
	return cert;
}

/* The fields of partial facts; owned fields are copied. */
static bool
copy_partial(struct staple_cert *cert, const struct staple_cert *partial)
{
	memcpy(cert->key, partial->key, sizeof(cert->key));
	memcpy(cert->id, partial->id, sizeof(cert->id));
	memcpy(cert->name, partial->name, sizeof(cert->name));
	memcpy(cert->hint, partial->hint, sizeof(cert->hint));
	cert->must_staple = partial->must_staple;
	cert->not_before = partial->not_before;
	cert->not_after = partial->not_after;
	cert->unavailable_reason = partial->unavailable_reason;
	if (partial->staple_file != NULL) {
		cert->staple_file = strdup(partial->staple_file);
		if (cert->staple_file == NULL)
			return false;
	}
	return copy_urls(cert, partial);
}

struct staple_cert *
staple_cert_complete(const struct staple_cert *partial, X509 *leaf,
    STACK_OF(X509) * chain, const struct staple_trust *trust, struct err *err)
{
	struct staple_cert *cert = make(err);

	if (cert == NULL)
		return NULL;
	if (!copy_partial(cert, partial) ||
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
	if (!copy_partial(made, cert) || X509_up_ref(issuer) != 1)
		return give_up(made, err);
	made->complete = true;
	made->issuer = issuer;
	made->origin = origin;
	if (!make_requests(made, leaf))
		return give_up(made, err);
	return made;
}

struct staple_cert *
staple_cert_new(X509 *leaf, STACK_OF(X509) * chain,
    const struct staple_source *source, const struct staple_trust *trust,
    struct err *err)
{
	struct staple_cert *cert = staple_cert_partial(leaf, source, err);

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
staple_cert_equals(const struct staple_cert *a, const struct staple_cert *b)
{
	if (a->unavailable_reason != b->unavailable_reason ||
	    a->url_count != b->url_count ||
	    !is_same_text(a->staple_file, b->staple_file) ||
	    !is_same_issuer(a->issuer, b->issuer))
		return false;
	for (size_t i = 0; i < a->url_count; i++) {
		if (strcmp(a->urls[i], b->urls[i]) != 0)
			return false;
	}
	return true;
}
