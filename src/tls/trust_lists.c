/*
 * Revocation lists.  Main thread.  A list that cannot help (expired, of
 * another CA) is taken all the same: with it OpenSSL refuses those it should
 * have spoken of, and the sentence here is how an operator learns why.
 */
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/chain.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/trust_inner.h"
#include "tls/validity.h"

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
	return X509_STORE_add_crl(load->store, list) == 1;
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

/* A list by the same key that lasts longer stands in for this one (and any of
 * its issuer for one that nobody signed); unless it is part of a whole (RFC
 * 5280 section 5.2.5) and speaks of others. */
static bool
is_superseded(const struct trust_load *load, X509_CRL *list)
{
	const X509 *signer = find_signer(load, list), *other_signer;
	X509_CRL *other;
	int i;

	for (i = 0; i < sk_X509_CRL_num(load->lists); i++) {
		other = sk_X509_CRL_value(load->lists, i);
		if (X509_CRL_cmp(list, other) != 0 ||
		    trust_end_of(other) <= trust_end_of(list) ||
		    !is_whole(other))
			continue;
		other_signer = find_signer(load, other);
		if (other_signer &&
		    (signer == NULL || is_same_key(signer, other_signer)))
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
	int64_t from = seconds_of(X509_CRL_get0_lastUpdate(list));
	int64_t end = trust_end_of(list);

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

/* What supersedes lasts longer still, so the order does not matter. */
static void
drop_superseded(struct trust_load *load)
{
	X509_CRL *list;
	int i = 0;

	while (i < sk_X509_CRL_num(load->lists)) {
		list = sk_X509_CRL_value(load->lists, i);
		if (is_superseded(load, list))
			X509_CRL_free(sk_X509_CRL_delete(load->lists, i));
		else
			i++;
	}
}

bool
trust_load_lists(struct trust_load *load, const char *path, struct err *err)
{
	int i;

	load->lists_fit = false;
	if (!read_lists(load, path, err))
		return false;
	drop_superseded(load);
	for (i = 0; i < sk_X509_CRL_num(load->lists); i++)
		judge(load, path, sk_X509_CRL_value(load->lists, i));
	return true;
}
