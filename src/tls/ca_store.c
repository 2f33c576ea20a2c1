/*
 * The CA store of client certificates: ca_file and crl_file.  Loaded on the
 * main thread, immutable afterwards.
 *
 * The decision to question is that any certificate of ca_file ends a chain, a
 * root or not (nginx and haproxy require roots).  A ca_file with the CA of one
 * department admits that department; with roots alone it would have to admit
 * everything that the root certifies.  crl_check = chain is the exception:
 * there each certificate is looked up in the CRL of its issuer, so the chain
 * must continue to a self-signed one.
 *
 * A CRL that cannot help (expired, of another CA) is loaded all the same: with
 * it OpenSSL refuses the certificates that it should cover, and the warning
 * here gives the reason.
 */
#include "tls/ca_store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/asn1_time.h"
#include "tls/error.h"
#include "tls/identity.h"
#include "tls/pem.h"

enum {
	CERTIFICATES_MAX_BYTES = 16 * 1024 * 1024,
	/* The largest public CAs have lists of tens of megabytes. */
	CRLS_MAX_BYTES = 128 * 1024 * 1024,
	/* A handshake message has room for 2^16 - 1 bytes of CA names, and
	 * they are only a hint. */
	NAMES_MAX_BYTES = 60 * 1024,
	ISSUER_MAX = 256
};

struct ca_store {
	atomic_uint refs;

	/* fixed at creation */
	X509_STORE *store;
	STACK_OF(X509_NAME) * names;
	STACK_OF(X509_CRL) * crls;
	EVP_PKEY **signers; /* of each CRL; NULL: not in ca_file */
	enum config_crl_check check;
	uint8_t digest[32];
	int64_t crls_start, crls_end;
	bool crls_fit;
	uint8_t (*fingerprints)[32]; /* of the certificates, sorted */
	size_t fingerprint_count;
};

/* The state of one load. */
struct ca_store_load {
	X509_STORE *store;
	STACK_OF(X509) * certificates; /* of ca_file */
	STACK_OF(X509_CRL) * crls;     /* of crl_file, in use */
	EVP_MD_CTX *digest;
	int64_t now_s;
	struct err *warning; /* may be NULL */
	bool one_file;       /* ca_file and crl_file have the same path */

	/* set by load_crls */
	int64_t crls_start, crls_end; /* of the CRL that ends first */
	bool crls_fit;
};

static void add_warning(struct ca_store_load *load, const char *format, ...)
    PRINTF_LIKE(2, 3);

static void
add_warning(struct ca_store_load *load, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	struct err before;
	va_list args;

	if (load->warning == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	before = *load->warning;
	err_set(load->warning, "%s%s%s", before.text,
	    before.text[0] != '\0' ? "; " : "", text);
}

/* The type and the length delimit a block. */
static bool
digest_block(struct ca_store_load *load, const struct pem_block *block)
{
	char front[64];
	int len = snprintf(
	    front, sizeof(front), "%s %ld\n", block->type, block->len);

	return EVP_DigestUpdate(load->digest, front, (size_t)len) == 1 &&
	       EVP_DigestUpdate(
		   load->digest, block->data, (size_t)block->len) == 1;
}

/* ---- Certificates ---- */

/* NULL: another kind of block, or *damaged. */
static X509 *
decode_certificate(const struct pem_block *block, bool *damaged)
{
	const unsigned char *der = block->data;
	X509 *certificate = NULL;

	*damaged = false;
	if (strcmp(block->type, "TRUSTED CERTIFICATE") == 0)
		certificate = d2i_X509_AUX(NULL, &der, block->len);
	else if (pem_is_certificate(block->type))
		certificate = d2i_X509(NULL, &der, block->len);
	else
		return NULL;
	*damaged = certificate == NULL;
	return certificate;
}

/*
 * OpenSSL decodes extensions at the first use and keeps the result: after an
 * allocation failure the certificate would stay invalid for every client.
 * false: no memory.
 */
static bool
decode_extensions(X509 *certificate)
{
	errno = 0;
	return X509_check_purpose(certificate, -1, 0) == 1 || errno != ENOMEM;
}

/* Takes ownership of the certificate. */
static bool
add_certificate(struct ca_store_load *load, X509 *certificate)
{
	if (sk_X509_push(load->certificates, certificate) > 0)
		return decode_extensions(certificate) &&
		       X509_STORE_add_cert(load->store, certificate) == 1;
	X509_free(certificate);
	return false;
}

static bool
add_certificate_block(struct ca_store_load *load, const struct pem_block *block,
    const char *path, struct err *err)
{
	bool damaged;
	X509 *certificate = decode_certificate(block, &damaged);

	if (damaged)
		tls_error_set(err, "%s: certificate %d is damaged", path,
		    sk_X509_num(load->certificates) + 1);
	if (certificate == NULL)
		return !damaged;
	if (add_certificate(load, certificate) && digest_block(load, block))
		return true;
	tls_error_set(err, "cannot use the certificates of %s", path);
	return false;
}

/* ca_file and crl_file may be one file. */
static bool
is_certificate_or_list(const char *type)
{
	return pem_is_certificate(type) || pem_is_crl(type);
}

static void
warn_of_unused(struct ca_store_load *load, const struct pem *pem,
    const char *path, bool (*is_used)(const char *type))
{
	struct err sentence;

	pem_describe_unused(pem, path,
	    load->one_file ? is_certificate_or_list : is_used, &sentence);
	if (sentence.text[0] != '\0')
		add_warning(load, "%s", sentence.text);
}

static bool
load_certificates(struct ca_store_load *load, const char *path, struct err *err)
{
	static const struct pem_kind kind = { CERTIFICATES_MAX_BYTES, "x509",
		"ca.pem" };
	struct pem pem;
	bool fine = pem_read_as(&pem, path, &kind, err);
	size_t i;

	for (i = 0; fine && i < pem.count; i++)
		fine = add_certificate_block(load, &pem.blocks[i], path, err);
	if (fine)
		warn_of_unused(load, &pem, path, pem_is_certificate);
	pem_wipe(&pem);
	if (fine && sk_X509_num(load->certificates) == 0) {
		err_set(err, "%s has no certificate", path);
		fine = false;
	}
	return fine;
}

/* ---- Names ---- */

static bool
has_name(const struct ca_store *ca_store, const X509_NAME *name)
{
	int i;

	for (i = 0; i < sk_X509_NAME_num(ca_store->names); i++)
		if (X509_NAME_cmp(
			sk_X509_NAME_value(ca_store->names, i), name) == 0)
			return true;
	return false;
}

static bool
add_name(struct ca_store *ca_store, const X509_NAME *name)
{
	X509_NAME *copy = X509_NAME_dup(name);

	if (copy && sk_X509_NAME_push(ca_store->names, copy) > 0)
		return true;
	X509_NAME_free(copy);
	return false;
}

static void
drop_names(struct ca_store *ca_store)
{
	while (sk_X509_NAME_num(ca_store->names) > 0)
		X509_NAME_free(sk_X509_NAME_pop(ca_store->names));
}

/* Too many or too long: none, which permits any CA (RFC 5246 section 7.4.4, RFC
 * 8446 section 4.2.4). */
static bool
collect_names(struct ca_store *ca_store, const struct ca_store_load *load)
{
	const X509_NAME *name;
	size_t bytes = 0, len;
	int i;

	for (i = 0; i < sk_X509_num(load->certificates); i++) {
		name = X509_get_subject_name(
		    sk_X509_value(load->certificates, i));
		if (has_name(ca_store, name))
			continue;
		if (X509_NAME_get0_der(name, NULL, &len) != 1 ||
		    !add_name(ca_store, name))
			return false;
		bytes += 2 + len;
		if (bytes > NAMES_MAX_BYTES) {
			drop_names(ca_store);
			return true;
		}
	}
	return true;
}

/* ---- Fingerprints ---- */

static int
compare_fingerprints(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct ca_store *)0)->fingerprints[0]));
}

static bool
fingerprint_of(const X509 *certificate, uint8_t fingerprint[32])
{
	return X509_digest(certificate, EVP_sha256(), fingerprint, NULL) == 1;
}

static bool
collect_fingerprints(
    struct ca_store *ca_store, const struct ca_store_load *load)
{
	int i, count = sk_X509_num(load->certificates);

	ca_store->fingerprints = calloc(
	    (size_t)count + 1, sizeof(ca_store->fingerprints[0]));
	if (ca_store->fingerprints == NULL)
		return false;
	for (i = 0; i < count; i++)
		if (!fingerprint_of(sk_X509_value(load->certificates, i),
			ca_store->fingerprints[i]))
			return false;
	ca_store->fingerprint_count = (size_t)count;
	qsort(ca_store->fingerprints, ca_store->fingerprint_count,
	    sizeof(ca_store->fingerprints[0]), compare_fingerprints);
	return true;
}

bool
ca_store_has(const struct ca_store *ca_store, const struct x509_st *certificate)
{
	uint8_t fingerprint[32];

	return fingerprint_of(certificate, fingerprint) &&
	       bsearch(fingerprint, ca_store->fingerprints,
		   ca_store->fingerprint_count,
		   sizeof(ca_store->fingerprints[0]),
		   compare_fingerprints) != NULL;
}

/* ---- Reading CRLs ---- */

/* OpenSSL sorts a CRL at the first look-up: do it before the first client. */
static void
sort_crl(X509_CRL *crl)
{
	X509_REVOKED *entry = NULL;
	ASN1_INTEGER *any = ASN1_INTEGER_new();

	if (any)
		(void)X509_CRL_get0_by_serial(crl, &entry, any);
	ASN1_INTEGER_free(any);
}

static bool
is_complete(const X509_CRL *crl)
{
	return X509_CRL_get_ext_by_NID(
		   crl, NID_issuing_distribution_point, -1) < 0;
}

/* Critical, and unknown to OpenSSL and to this file (RFC 5280 section 5.2). */
static bool
has_unknown_extension(const X509_CRL *crl)
{
	X509_EXTENSION *extension;
	int i, nid;

	for (i = 0; i < X509_CRL_get_ext_count(crl); i++) {
		extension = X509_CRL_get_ext(crl, i);
		nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
		if (X509_EXTENSION_get_critical(extension) &&
		    nid != NID_issuing_distribution_point &&
		    nid != NID_authority_key_identifier)
			return true;
	}
	return false;
}

/* RFC 5280 section 5.2.5; NULL: OpenSSL can use it. */
static const char *
scope_reason(const X509_CRL *crl)
{
	ISSUING_DIST_POINT *scope = X509_CRL_get_ext_d2i(
	    crl, NID_issuing_distribution_point, NULL, NULL);
	const char *reason = NULL;

	if (scope == NULL)
		return is_complete(crl) ? NULL : "has a damaged scope";
	if (scope->indirectCRL > 0)
		reason = "covers several issuers (indirect)";
	else if (scope->onlysomereasons)
		reason = "covers only some revocation reasons";
	ISSUING_DIST_POINT_free(scope);
	return reason;
}

/* OpenSSL ignores such a CRL beside another one of its issuer, and a
 * certificate that only it revokes would be accepted. */
static const char *
unusable_reason(const X509_CRL *crl)
{
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
		return "is a delta CRL";
	if (has_unknown_extension(crl))
		return "has a critical extension unknown to OpenSSL";
	return scope_reason(crl);
}

/* Takes ownership of the CRL. */
static bool
add_crl(struct ca_store_load *load, X509_CRL *crl)
{
	if (sk_X509_CRL_push(load->crls, crl) <= 0) {
		X509_CRL_free(crl);
		return false;
	}
	sort_crl(crl);
	return true;
}

static bool
add_crl_block(struct ca_store_load *load, const struct pem_block *block,
    const char *path, struct err *err)
{
	const unsigned char *der = block->data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &der, block->len);
	const char *reason = crl ? unusable_reason(crl) : "is damaged";
	int number = sk_X509_CRL_num(load->crls) + 1;

	if (reason) {
		tls_error_set(err, "%s: CRL %d %s", path, number, reason);
		X509_CRL_free(crl);
		return false;
	}
	if (add_crl(load, crl) && digest_block(load, block))
		return true;
	tls_error_set(err, "cannot use the CRLs of %s", path);
	return false;
}

static bool
read_crls(struct ca_store_load *load, const char *path, struct err *err)
{
	static const struct pem_kind kind = { CRLS_MAX_BYTES, "crl",
		"lists.pem" };
	struct pem pem;
	bool fine = pem_read_as(&pem, path, &kind, err);
	size_t i;

	for (i = 0; fine && i < pem.count; i++)
		if (pem_is_crl(pem.blocks[i].type))
			fine = add_crl_block(load, &pem.blocks[i], path, err);
	if (fine && !load->one_file)
		warn_of_unused(load, &pem, path, pem_is_crl);
	pem_wipe(&pem);
	if (fine && sk_X509_CRL_num(load->crls) == 0) {
		err_set(err, "%s has no CRL (X509 CRL block)", path);
		fine = false;
	}
	return fine;
}

/* ---- Dates and signers of CRLs ---- */

/* RFC 5280 section 5.1.2.5 requires a nextUpdate; OpenSSL does not. */
static int64_t
end_of(const X509_CRL *crl)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

	return next ? asn1_time_seconds(next) : INT64_MAX;
}

static int64_t
start_of(const X509_CRL *crl)
{
	return asn1_time_seconds(X509_CRL_get0_lastUpdate(crl));
}

/* By the signature too: two issuers can have one name. */
static const X509 *
find_signer(const struct ca_store_load *load, X509_CRL *crl)
{
	const X509 *certificate, *found = NULL;
	int i;

	for (i = 0; !found && i < sk_X509_num(load->certificates); i++) {
		certificate = sk_X509_value(load->certificates, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl),
			X509_get_subject_name(certificate)) == 0 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(certificate)) == 1)
			found = certificate;
	}
	tls_error_clear();
	return found;
}

static EVP_PKEY *
signer_key(const struct ca_store_load *load, X509_CRL *crl)
{
	const X509 *signer = find_signer(load, crl);

	return signer ? X509_get0_pubkey(signer) : NULL;
}

static bool
is_signed_by_ca_file(const struct ca_store_load *load, X509_CRL *crl)
{
	return find_signer(load, crl) != NULL;
}

static bool
is_same_key(const X509 *a, const X509 *b)
{
	return a == b ||
	       EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

static bool
is_same_scope(const X509_CRL *a, const X509_CRL *b)
{
	int i = X509_CRL_get_ext_by_NID(a, NID_issuing_distribution_point, -1);
	int k = X509_CRL_get_ext_by_NID(b, NID_issuing_distribution_point, -1);

	if (i < 0 || k < 0)
		return i < 0 && k < 0;
	return ASN1_OCTET_STRING_cmp(
		   X509_EXTENSION_get_data(X509_CRL_get_ext(a, i)),
		   X509_EXTENSION_get_data(X509_CRL_get_ext(b, k))) == 0;
}

static ASN1_INTEGER *
crl_number(const X509_CRL *crl)
{
	return X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
}

/* RFC 5280 section 5.2.3: the cRLNumbers of one issuer increase. */
static int
compare_age(const X509_CRL *a, const X509_CRL *b)
{
	ASN1_INTEGER *first = crl_number(a), *second = crl_number(b);
	int64_t from = start_of(a), other = start_of(b);
	int order = first && second ? ASN1_INTEGER_cmp(first, second) : 0;

	ASN1_INTEGER_free(first);
	ASN1_INTEGER_free(second);
	if (order == 0)
		order = (from > other) - (from < other);
	return order;
}

/* "number 26 of 2026-01-31T...", or only the date. */
static void
print_version(const X509_CRL *crl, char *text, size_t max)
{
	ASN1_INTEGER *number = crl_number(crl);
	BIGNUM *value = number ? ASN1_INTEGER_to_BN(number, NULL) : NULL;
	char *digits = value ? BN_bn2dec(value) : NULL, date[32] = "?";
	time_t from = (time_t)start_of(crl);
	struct tm tm;

	if (gmtime_r(&from, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(text, max, "%s%.40s%s%s", digits ? "number " : "",
	    digits ? digits : "", digits ? " of " : "", date);
	OPENSSL_free(digits);
	BN_free(value);
	ASN1_INTEGER_free(number);
}

static void
explain_rollback(const X509_CRL *fresh, const X509_CRL *current,
    const char *path, struct err *err)
{
	char issuer[ISSUER_MAX], now[96], before[96];

	chain_print_name(X509_CRL_get_issuer(fresh), issuer, sizeof(issuer));
	print_version(fresh, now, sizeof(now));
	print_version(current, before, sizeof(before));
	err_set(err,
	    "%s: the CRL of %s (%s) is older than the one in use (%s); restore "
	    "the newer one",
	    path, issuer, now, before);
}

/* Of two of the same age, the one that ends later counts, then the first. */
static bool
is_newer(const struct ca_store_load *load, int k, int i)
{
	X509_CRL *a = sk_X509_CRL_value(load->crls, k);
	X509_CRL *b = sk_X509_CRL_value(load->crls, i);
	int order = compare_age(a, b);
	int64_t end = end_of(a), other = end_of(b);

	if (order == 0)
		order = (end > other) - (end < other);
	return order > 0 || (order == 0 && k < i);
}

/* A newer CRL replaces this one if it is by the same key, or if no certificate
 * of ca_file has signed this one; not if it is another partition (RFC 5280
 * section 5.2.5). */
static bool
is_superseded(const struct ca_store_load *load, int i)
{
	X509_CRL *crl = sk_X509_CRL_value(load->crls, i), *other;
	const X509 *signer, *other_signer;

	for (int k = 0; k < sk_X509_CRL_num(load->crls); k++) {
		other = sk_X509_CRL_value(load->crls, k);
		if (k == i || X509_CRL_cmp(crl, other) != 0 ||
		    !is_newer(load, k, i) ||
		    !(is_complete(other) || is_same_scope(crl, other)))
			continue;
		other_signer = find_signer(load, other);
		if (other_signer == NULL)
			continue;
		signer = find_signer(load, crl);
		if (signer == NULL || is_same_key(signer, other_signer))
			return true;
	}
	return false;
}

static void
warn_of_crl(struct ca_store_load *load, const char *path, X509_CRL *crl,
    const char *sentence)
{
	char issuer[ISSUER_MAX];

	chain_print_name(X509_CRL_get_issuer(crl), issuer, sizeof(issuer));
	add_warning(load, "%s: the CRL of %s %s", path, issuer, sentence);
}

static void
check_dates(struct ca_store_load *load, const char *path, X509_CRL *crl)
{
	int64_t from = start_of(crl), end = end_of(crl);

	if (end == INT64_MAX)
		warn_of_crl(load, path, crl,
		    "has no nextUpdate (RFC 5280 section 5.1.2.5): it never "
		    "expires");
	if (end < load->crls_end) {
		load->crls_start = from;
		load->crls_end = end;
	}
	if (end <= load->now_s)
		warn_of_crl(load, path, crl,
		    "has expired: clients of this issuer are refused until it "
		    "is renewed");
	else if (validity_warning(from, end, load->now_s) != VALIDITY_FINE)
		warn_of_crl(load, path, crl,
		    "expires soon: renew it, or clients of this issuer will be "
		    "refused");
	if (from > load->now_s)
		warn_of_crl(load, path, crl,
		    "is not valid yet: clients of this issuer are refused "
		    "until then");
}

static void
check_crl(struct ca_store_load *load, const char *path, X509_CRL *crl)
{
	check_dates(load, path, crl);
	if (is_signed_by_ca_file(load, crl))
		load->crls_fit = true;
	else
		warn_of_crl(load, path, crl,
		    "is signed by no certificate in ca_file: it applies only "
		    "to clients that send its issuer, and clients of issuers "
		    "without a CRL are refused");
}

/* The superseding CRL stays in any case, so the order does not matter. */
static void
drop_superseded(struct ca_store_load *load)
{
	int i = 0;

	while (i < sk_X509_CRL_num(load->crls)) {
		if (is_superseded(load, i))
			X509_CRL_free(sk_X509_CRL_delete(load->crls, i));
		else
			i++;
	}
}

/* OpenSSL uses every CRL of the store, whatever its number. */
static bool
store_crls(struct ca_store_load *load)
{
	for (int i = 0; i < sk_X509_CRL_num(load->crls); i++)
		if (X509_STORE_add_crl(
			load->store, sk_X509_CRL_value(load->crls, i)) != 1)
			return false;
	return true;
}

static bool
load_crls(struct ca_store_load *load, const char *path, struct err *err)
{
	int i;

	load->crls_fit = false;
	if (!read_crls(load, path, err))
		return false;
	drop_superseded(load);
	if (!store_crls(load)) {
		tls_error_set(err, "cannot use the CRLs of %s", path);
		return false;
	}
	for (i = 0; i < sk_X509_CRL_num(load->crls); i++)
		check_crl(load, path, sk_X509_CRL_value(load->crls, i));
	return true;
}

/* ---- Loading ---- */

static bool
has_root(const struct ca_store_load *load)
{
	int i;

	for (i = 0; i < sk_X509_num(load->certificates); i++)
		if (X509_self_signed(sk_X509_value(load->certificates, i), 0) ==
		    1)
			return true;
	return false;
}

static unsigned long
flags_of(const char *crl_file, enum config_crl_check check)
{
	if (crl_file == NULL)
		return X509_V_FLAG_PARTIAL_CHAIN;
	if (check == CRL_CHECK_CHAIN)
		return X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	return X509_V_FLAG_CRL_CHECK | X509_V_FLAG_PARTIAL_CHAIN;
}

/* The digest begins with the use of the CRLs. */
static bool
set_use(struct ca_store_load *load, enum config_crl_check check,
    unsigned long flags)
{
	const char *use = "none\n";

	if (flags & X509_V_FLAG_CRL_CHECK_ALL)
		use = "chain\n";
	else if (flags & X509_V_FLAG_CRL_CHECK)
		use = check == CRL_CHECK_LEAF ? "leaf\n" : "available\n";

	return EVP_DigestInit_ex(load->digest, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(load->digest, use, strlen(use)) == 1 &&
	       X509_STORE_set_flags(load->store, flags) == 1;
}

static bool
load_files(struct ca_store_load *load, const char *ca_file,
    const char *crl_file, enum config_crl_check check, struct err *err)
{
	load->one_file = crl_file != NULL && strcmp(ca_file, crl_file) == 0;
	if (!set_use(load, check, flags_of(crl_file, check)) ||
	    !load_certificates(load, ca_file, err))
		return false;
	if (crl_file == NULL)
		return true;
	if (check == CRL_CHECK_CHAIN && !has_root(load))
		add_warning(load,
		    "%s has no root certificate, which crl_check = chain "
		    "needs: every client certificate is refused",
		    ca_file);
	return load_crls(load, crl_file, err);
}

/* false: no memory. */
static bool
init(struct ca_store *ca_store, struct ca_store_load *load)
{
	ca_store->store = X509_STORE_new();
	ca_store->names = sk_X509_NAME_new_null();
	ca_store->crls = sk_X509_CRL_new_null();
	load->store = ca_store->store;
	load->crls = ca_store->crls;
	load->certificates = sk_X509_new_null();
	load->digest = EVP_MD_CTX_new();
	return ca_store->store && ca_store->names && ca_store->crls &&
	       load->certificates && load->digest;
}

/* Keep the keys: finding a signer verifies a signature. */
static bool
find_signers(struct ca_store *ca_store, const struct ca_store_load *load)
{
	int count = sk_X509_CRL_num(ca_store->crls);
	EVP_PKEY *signer;

	if (count <= 0)
		return true;
	ca_store->signers = calloc((size_t)count, sizeof(ca_store->signers[0]));
	if (ca_store->signers == NULL)
		return false;
	for (int i = 0; i < count; i++) {
		signer = signer_key(load, sk_X509_CRL_value(ca_store->crls, i));
		if (signer && EVP_PKEY_up_ref(signer) != 1)
			return false;
		ca_store->signers[i] = signer;
	}
	return true;
}

static bool
finish(struct ca_store *ca_store, struct ca_store_load *load)
{
	ca_store->crls_start = load->crls_start;
	ca_store->crls_end = load->crls_end;
	ca_store->crls_fit = load->crls_fit;
	return find_signers(ca_store, load) && collect_names(ca_store, load) &&
	       collect_fingerprints(ca_store, load) &&
	       EVP_DigestFinal_ex(load->digest, ca_store->digest, NULL) == 1;
}

struct ca_store *
ca_store_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err)
{
	struct ca_store *ca_store = calloc(1, sizeof(*ca_store));
	struct ca_store_load load = {
		.now_s = now_s,
		.warning = warning,
		.crls_end = INT64_MAX,
		.crls_fit = true,
	};
	bool fine;

	err_set(warning, "%s", "");
	err_set(err, "out of memory reading %s", ca_file);
	if (ca_store == NULL)
		return NULL;
	atomic_init(&ca_store->refs, 1);
	ca_store->check = check;
	tls_error_clear();
	fine = init(ca_store, &load) &&
	       load_files(&load, ca_file, crl_file, check, err) &&
	       finish(ca_store, &load);
	tls_error_clear();
	EVP_MD_CTX_free(load.digest);
	sk_X509_pop_free(load.certificates, X509_free);
	if (fine)
		return ca_store;
	ca_store_unref(ca_store);
	return NULL;
}

struct ca_store *
ca_store_ref(struct ca_store *ca_store)
{
	atomic_fetch_add_explicit(&ca_store->refs, 1, memory_order_relaxed);
	return ca_store;
}

void
ca_store_unref(struct ca_store *ca_store)
{
	if (ca_store == NULL || atomic_fetch_sub_explicit(&ca_store->refs, 1,
				    memory_order_acq_rel) != 1)
		return;
	X509_STORE_free(ca_store->store);
	for (int i = 0;
	     ca_store->signers && i < sk_X509_CRL_num(ca_store->crls); i++)
		EVP_PKEY_free(ca_store->signers[i]);
	free(ca_store->signers);
	sk_X509_CRL_pop_free(ca_store->crls, X509_CRL_free);
	sk_X509_NAME_pop_free(ca_store->names, X509_NAME_free);
	free(ca_store->fingerprints);
	free(ca_store);
}

const uint8_t *
ca_store_digest(const struct ca_store *ca_store)
{
	return ca_store->digest;
}

int64_t
ca_store_crls_start(const struct ca_store *ca_store)
{
	return ca_store->crls_start;
}

int64_t
ca_store_crls_end(const struct ca_store *ca_store)
{
	return ca_store->crls_end;
}

int64_t
ca_store_crl_end(
    const struct ca_store *ca_store, const struct x509_st *certificate)
{
	const X509_NAME *issuer = X509_get_issuer_name(certificate);
	int64_t first = INT64_MAX, end;
	const X509_CRL *crl;
	int i;

	for (i = 0; i < sk_X509_CRL_num(ca_store->crls); i++) {
		crl = sk_X509_CRL_value(ca_store->crls, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer) != 0)
			continue;
		end = end_of(crl);
		if (end < first)
			first = end;
	}
	return first;
}

bool
ca_store_checks_chain(const struct ca_store *ca_store)
{
	return ca_store->signers != NULL && ca_store->check != CRL_CHECK_LEAF;
}

/* ---- Looking up certificates ---- */

/* Is CRL i of the certificate's issuer?  issuer NULL: the chain ends at the
 * certificate, and only an issuer in ca_file counts. */
static bool
covers(const struct ca_store *ca_store, int i, const X509 *certificate,
    const X509 *issuer)
{
	X509_CRL *crl = sk_X509_CRL_value(ca_store->crls, i);

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl),
		X509_get_issuer_name(certificate)) != 0)
		return false;
	if (issuer == NULL)
		return ca_store->signers[i] != NULL;
	if (ca_store->signers[i])
		return EVP_PKEY_eq(
			   ca_store->signers[i], X509_get0_pubkey(issuer)) == 1;
	return X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1;
}

static int
look_up(X509_CRL *crl, X509 *certificate, int64_t now_s)
{
	X509_REVOKED *entry = NULL;

	if (end_of(crl) <= now_s)
		return X509_V_ERR_CRL_HAS_EXPIRED;
	if (start_of(crl) > now_s)
		return X509_V_ERR_CRL_NOT_YET_VALID;
	/* 2 would be removeFromCRL, which only delta CRLs have. */
	if (X509_CRL_get0_by_cert(crl, &entry, certificate) == 1)
		return X509_V_ERR_CERT_REVOKED;
	return X509_V_OK;
}

static int
check_one(const struct ca_store *ca_store, X509 *certificate,
    const X509 *issuer, int64_t now_s)
{
	int result = X509_V_OK;

	for (int i = 0; i < sk_X509_CRL_num(ca_store->crls); i++) {
		if (!covers(ca_store, i, certificate, issuer))
			continue;
		result = look_up(
		    sk_X509_CRL_value(ca_store->crls, i), certificate, now_s);
		if (result != X509_V_OK)
			break;
	}
	tls_error_clear();
	return result;
}

int
ca_store_check_chain(const struct ca_store *ca_store,
    struct stack_st_X509 *chain, int64_t now_s, int *depth)
{
	int count = ca_store->check == CRL_CHECK_AVAILABLE ? sk_X509_num(chain)
							   : 0;
	int result;

	for (int i = 1; i < count; i++) {
		X509 *certificate = sk_X509_value(chain, i);

		/* A root is trusted because it is in ca_file. */
		if (X509_self_signed(certificate, 0) == 1)
			continue;
		result = check_one(ca_store, certificate,
		    i + 1 < count ? sk_X509_value(chain, i + 1) : NULL, now_s);
		if (result != X509_V_OK) {
			*depth = i;
			return result;
		}
	}
	return X509_V_OK;
}

/* ---- Rollback ---- */

static bool
is_same_authority(
    const struct ca_store *a, int i, const struct ca_store *b, int k)
{
	X509_CRL *first = sk_X509_CRL_value(a->crls, i);
	X509_CRL *second = sk_X509_CRL_value(b->crls, k);

	return a->signers[i] && b->signers[k] &&
	       X509_CRL_cmp(first, second) == 0 &&
	       EVP_PKEY_eq(a->signers[i], b->signers[k]) == 1 &&
	       is_same_scope(first, second);
}

bool
ca_store_is_rollback(const struct ca_store *fresh,
    const struct ca_store *current, const char *path, struct err *err)
{
	for (int i = 0; i < sk_X509_CRL_num(fresh->crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(fresh->crls, i);

		for (int k = 0; k < sk_X509_CRL_num(current->crls); k++) {
			X509_CRL *old = sk_X509_CRL_value(current->crls, k);

			if (!is_same_authority(fresh, i, current, k) ||
			    compare_age(crl, old) >= 0)
				continue;
			explain_rollback(crl, old, path, err);
			return true;
		}
	}
	return false;
}

void
ca_store_each_crl(
    const struct ca_store *ca_store, ca_store_crl_fn *visit, void *arg)
{
	char issuer[ISSUER_MAX];

	for (int i = 0; i < sk_X509_CRL_num(ca_store->crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(ca_store->crls, i);

		chain_print_name(
		    X509_CRL_get_issuer(crl), issuer, sizeof(issuer));
		visit(arg, issuer, end_of(crl));
	}
}

bool
ca_store_crls_fit(const struct ca_store *ca_store)
{
	return ca_store->crls_fit;
}

struct x509_store_st *
ca_store_x509_store(const struct ca_store *ca_store)
{
	return ca_store->store;
}

struct stack_st_X509_NAME *
ca_store_names(const struct ca_store *ca_store)
{
	return ca_store->names;
}

const char *
ca_store_default_path(unsigned index)
{
	switch (index) {
	case 0:
		return X509_get_default_cert_area();
	case 1:
		return OPENSSL_info(OPENSSL_INFO_MODULES_DIR);
	case 2:
		return X509_get_default_cert_file();
	case 3:
		return X509_get_default_cert_dir();
	default:
		return NULL;
	}
}
