/*
 * Revocation lists.  Main thread.  A list that cannot help (expired, of
 * another CA) is taken all the same: with it OpenSSL refuses those it should
 * have spoken of, and the sentence here is how an operator learns why.
 */
#include <stdio.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/trust_inner.h"
#include "tls/identity.h"

enum {
	/* The largest public CAs have lists of tens of megabytes. */
	MAX_BYTES = 128 * 1024 * 1024,
	ISSUER_MAX = 256
};

/* ---- Reading ---- */

/* Sorts the list now, which else the first client would wait for. */
static void
sort(X509_CRL *list)
{
	X509_REVOKED *entry = NULL;
	ASN1_INTEGER *any = ASN1_INTEGER_new();

	if (any)
		(void)X509_CRL_get0_by_serial(list, &entry, any);
	ASN1_INTEGER_free(any);
}

static bool
is_whole(const X509_CRL *list)
{
	return X509_CRL_get_ext_by_NID(
		   list, NID_issuing_distribution_point, -1) < 0;
}

/* Critical, and neither of OpenSSL's nor of ours (RFC 5280 section 5.2). */
static bool
has_unknown(const X509_CRL *list)
{
	X509_EXTENSION *extension;
	int i, nid;

	for (i = 0; i < X509_CRL_get_ext_count(list); i++) {
		extension = X509_CRL_get_ext(list, i);
		nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
		if (X509_EXTENSION_get_critical(extension) &&
		    nid != NID_issuing_distribution_point &&
		    nid != NID_authority_key_identifier)
			return true;
	}
	return false;
}

/* RFC 5280 section 5.2.5; NULL: a kind that OpenSSL can use. */
static const char *
scope_words(const X509_CRL *list)
{
	ISSUING_DIST_POINT *scope = X509_CRL_get_ext_d2i(
	    list, NID_issuing_distribution_point, NULL, NULL);
	const char *words = NULL;

	if (scope == NULL)
		return is_whole(list) ? NULL : "has a damaged scope";
	if (scope->indirectCRL > 0)
		words = "is for several issuers (indirect)";
	else if (scope->onlysomereasons)
		words = "is of some reasons alone";
	ISSUING_DIST_POINT_free(scope);
	return words;
}

/* OpenSSL passes over such a list beside another of its issuer, and whoever is
 * on it alone would come in. */
static const char *
useless_words(const X509_CRL *list)
{
	if (X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0)
		return "holds changes alone (delta)";
	if (has_unknown(list))
		return "has a critical extension that OpenSSL does not know";
	return scope_words(list);
}

/* Takes the list. */
static bool
add(struct trust_load *load, X509_CRL *list)
{
	if (sk_X509_CRL_push(load->lists, list) <= 0) {
		X509_CRL_free(list);
		return false;
	}
	sort(list);
	return true;
}

static bool
add_block(struct trust_load *load, const struct pem_block *block,
    const char *path, struct err *err)
{
	const unsigned char *der = block->data;
	X509_CRL *list = d2i_X509_CRL(NULL, &der, block->len);
	const char *words = list ? useless_words(list) : "is damaged";
	int number = sk_X509_CRL_num(load->lists) + 1;

	if (words) {
		tls_error_set(
		    err, "%s: revocation list %d %s", path, number, words);
		X509_CRL_free(list);
		return false;
	}
	if (add(load, list) && trust_digest_block(load, block))
		return true;
	tls_error_set(err, "cannot use the lists of %s", path);
	return false;
}

static bool
read_lists(struct trust_load *load, const char *path, struct err *err)
{
	static const struct pem_kind kind = { MAX_BYTES, "crl", "lists.pem" };
	struct pem pem;
	bool fine = pem_read_as(&pem, path, &kind, err);
	size_t i;

	for (i = 0; fine && i < pem.count; i++)
		if (pem_is_list(pem.blocks[i].type))
			fine = add_block(load, &pem.blocks[i], path, err);
	if (fine && !load->one_file)
		trust_warn_unused(load, &pem, path, pem_is_list);
	pem_wipe(&pem);
	if (fine && sk_X509_CRL_num(load->lists) == 0) {
		err_set(err, "%s holds no revocation list (X509 CRL)", path);
		fine = false;
	}
	return fine;
}

/* ---- Judging ---- */

static int64_t
seconds_of(const ASN1_TIME *when)
{
	struct tm tm;

	return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* RFC 5280 section 5.1.2.5 demands a nextUpdate; OpenSSL does without. */
int64_t
trust_end_of(const X509_CRL *list)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);

	return next ? seconds_of(next) : INT64_MAX;
}

int64_t
trust_start_of(const X509_CRL *list)
{
	return seconds_of(X509_CRL_get0_lastUpdate(list));
}

/* Of two issuers with one name, the one whose key has signed. */
static const X509 *
find_signer(const struct trust_load *load, X509_CRL *list)
{
	const X509 *certificate, *found = NULL;
	int i;

	for (i = 0; !found && i < sk_X509_num(load->certificates); i++) {
		certificate = sk_X509_value(load->certificates, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(list),
			X509_get_subject_name(certificate)) == 0 &&
		    X509_CRL_verify(list, X509_get0_pubkey(certificate)) == 1)
			found = certificate;
	}
	tls_error_clear();
	return found;
}

EVP_PKEY *
trust_signer_key(const struct trust_load *load, X509_CRL *list)
{
	const X509 *signer = find_signer(load, list);

	return signer ? X509_get0_pubkey(signer) : NULL;
}

static bool
is_of_ours(const struct trust_load *load, X509_CRL *list)
{
	return find_signer(load, list) != NULL;
}

static bool
is_same_key(const X509 *a, const X509 *b)
{
	return a == b ||
	       EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

bool
trust_is_same_scope(const X509_CRL *a, const X509_CRL *b)
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
number_of(const X509_CRL *list)
{
	return X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
}

/* RFC 5280 section 5.2.3: the numbers of one issuer grow. */
int
trust_compare_age(const X509_CRL *a, const X509_CRL *b)
{
	ASN1_INTEGER *first = number_of(a), *second = number_of(b);
	int64_t from = trust_start_of(a), other = trust_start_of(b);
	int order = first && second ? ASN1_INTEGER_cmp(first, second) : 0;

	ASN1_INTEGER_free(first);
	ASN1_INTEGER_free(second);
	if (order == 0)
		order = (from > other) - (from < other);
	return order;
}

/* "number 26 of 2026-01-31T...", or the date alone. */
static void
print_version(const X509_CRL *list, char *text, size_t max)
{
	ASN1_INTEGER *number = number_of(list);
	BIGNUM *value = number ? ASN1_INTEGER_to_BN(number, NULL) : NULL;
	char *digits = value ? BN_bn2dec(value) : NULL, date[32] = "?";
	time_t from = (time_t)trust_start_of(list);
	struct tm tm;

	if (gmtime_r(&from, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(text, max, "%s%.40s%s%s", digits ? "number " : "",
	    digits ? digits : "", digits ? " of " : "", date);
	OPENSSL_free(digits);
	BN_free(value);
	ASN1_INTEGER_free(number);
}

void
trust_explain_rollback(const X509_CRL *fresh, const X509_CRL *held,
    const char *path, struct err *err)
{
	char issuer[ISSUER_MAX], now[96], before[96];

	chain_print_name(X509_CRL_get_issuer(fresh), issuer, sizeof(issuer));
	print_version(fresh, now, sizeof(now));
	print_version(held, before, sizeof(before));
	err_set(err,
	    "%s: the list of %s (%s) is older than the one in force (%s); put "
	    "the newer one back",
	    path, issuer, now, before);
}

/* Of two that are as old the one that lasts longer counts, then the first. */
static bool
is_newer(const struct trust_load *load, int k, int i)
{
	X509_CRL *a = sk_X509_CRL_value(load->lists, k);
	X509_CRL *b = sk_X509_CRL_value(load->lists, i);
	int order = trust_compare_age(a, b);
	int64_t end = trust_end_of(a), other = trust_end_of(b);

	if (order == 0)
		order = (end > other) - (end < other);
	return order > 0 || (order == 0 && k < i);
}

/* A newer list by the same key stands in for this one (and any of its issuer
 * for one that no certificate of ca_file has signed), unless it is another
 * part of a whole (RFC 5280 section 5.2.5). */
static bool
is_superseded(const struct trust_load *load, int i)
{
	X509_CRL *list = sk_X509_CRL_value(load->lists, i), *other;
	const X509 *signer, *other_signer;

	for (int k = 0; k < sk_X509_CRL_num(load->lists); k++) {
		other = sk_X509_CRL_value(load->lists, k);
		if (k == i || X509_CRL_cmp(list, other) != 0 ||
		    !is_newer(load, k, i) ||
		    !(is_whole(other) || trust_is_same_scope(list, other)))
			continue;
		other_signer = find_signer(load, other);
		if (other_signer == NULL)
			continue;
		signer = find_signer(load, list);
		if (signer == NULL || is_same_key(signer, other_signer))
			return true;
	}
	return false;
}

static void
warn_of(struct trust_load *load, const char *path, X509_CRL *list,
    const char *sentence)
{
	char issuer[ISSUER_MAX];

	chain_print_name(X509_CRL_get_issuer(list), issuer, sizeof(issuer));
	trust_warn(load, "%s: the list of %s %s", path, issuer, sentence);
}

static void
judge_dates(struct trust_load *load, const char *path, X509_CRL *list)
{
	int64_t from = trust_start_of(list), end = trust_end_of(list);

	if (end == INT64_MAX)
		warn_of(load, path, list,
		    "has no nextUpdate (RFC 5280 section 5.1.2.5): it never "
		    "expires, however old it is");
	if (end < load->lists_end) {
		load->lists_from = from;
		load->lists_end = end;
	}
	if (end <= load->now_s)
		warn_of(load, path, list,
		    "has expired: its issuer's clients are refused until "
		    "there is a new one");
	else if (validity_warning(from, end, load->now_s) != VALIDITY_FINE)
		warn_of(load, path, list,
		    "expires soon: its issuer's clients will be refused "
		    "then");
	if (from > load->now_s)
		warn_of(load, path, list,
		    "is not valid yet: its issuer's clients are refused until "
		    "then");
}

static void
judge(struct trust_load *load, const char *path, X509_CRL *list)
{
	judge_dates(load, path, list);
	if (is_of_ours(load, list))
		load->lists_fit = true;
	else
		warn_of(load, path, list,
		    "is signed by nobody in ca_file: it helps only with "
		    "clients who send its issuer along, and clients of "
		    "issuers without a list are refused");
}

/* What supersedes is newer still, so the order does not matter. */
static void
drop_superseded(struct trust_load *load)
{
	int i = 0;

	while (i < sk_X509_CRL_num(load->lists)) {
		if (is_superseded(load, i))
			X509_CRL_free(sk_X509_CRL_delete(load->lists, i));
		else
			i++;
	}
}

/* OpenSSL looks at what is in the store, whatever its number. */
static bool
store_lists(struct trust_load *load)
{
	for (int i = 0; i < sk_X509_CRL_num(load->lists); i++)
		if (X509_STORE_add_crl(
			load->store, sk_X509_CRL_value(load->lists, i)) != 1)
			return false;
	return true;
}

bool
trust_load_lists(struct trust_load *load, const char *path, struct err *err)
{
	int i;

	load->lists_fit = false;
	if (!read_lists(load, path, err))
		return false;
	drop_superseded(load);
	if (!store_lists(load)) {
		tls_error_set(err, "cannot use the lists of %s", path);
		return false;
	}
	for (i = 0; i < sk_X509_CRL_num(load->lists); i++)
		judge(load, path, sk_X509_CRL_value(load->lists, i));
	return true;
}
