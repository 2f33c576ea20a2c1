/*
 * Revocation lists.  Main thread.  A list that cannot help (expired, of
 * another CA) is taken all the same: with it OpenSSL refuses those it should
 * have spoken of, and the sentence here is how an operator learns why.
 */
#include <string.h>
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/trust_inner.h"

enum {
	/* The largest public CAs have lists of tens of megabytes. */
	MAX_BYTES = 128 * 1024 * 1024,
	SOON_S = 7 * 24 * 3600,
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

/* Owned by the stack; NULL and an empty *err: no memory. */
static X509_CRL *
add(struct trust_load *load, STACK_OF(X509_CRL) * lists,
    const struct pem_block *block)
{
	const unsigned char *der = block->data;
	X509_CRL *list = d2i_X509_CRL(NULL, &der, block->len);

	if (list && trust_digest_block(load, block) &&
	    X509_STORE_add_crl(load->store, list) == 1 &&
	    sk_X509_CRL_push(lists, list) > 0)
		return list;
	X509_CRL_free(list);
	return NULL;
}

static bool
read_lists(struct trust_load *load, STACK_OF(X509_CRL) * lists,
    const char *path, struct err *err)
{
	static const struct pem_kind kind = { MAX_BYTES, "crl", "lists.pem" };
	struct pem pem;
	bool fine = pem_read_as(&pem, path, &kind, err);
	X509_CRL *list;
	size_t i;

	for (i = 0; fine && i < pem.count; i++) {
		if (strcmp(pem.blocks[i].type, "X509 CRL") != 0)
			continue;
		list = add(load, lists, &pem.blocks[i]);
		fine = list != NULL;
		if (fine)
			sort(list);
		else
			tls_error_set(err, "%s: revocation list %d is damaged",
			    path, sk_X509_CRL_num(lists) + 1);
	}
	pem_wipe(&pem);
	if (fine && sk_X509_CRL_num(lists) == 0) {
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
static int64_t
end_of(const X509_CRL *list)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);

	return next ? seconds_of(next) : INT64_MAX;
}

static bool
is_of_ours(const struct trust_load *load, X509_CRL *list)
{
	X509 *certificate;
	bool found = false;
	int i;

	for (i = 0; !found && i < sk_X509_num(load->certificates); i++) {
		certificate = sk_X509_value(load->certificates, i);
		found = X509_NAME_cmp(X509_CRL_get_issuer(list),
			    X509_get_subject_name(certificate)) == 0 &&
			X509_CRL_verify(list, X509_get0_pubkey(certificate)) ==
			    1;
	}
	tls_error_clear();
	return found;
}

static bool
is_whole(const X509_CRL *list)
{
	return X509_CRL_get_ext_by_NID(
		   list, NID_issuing_distribution_point, -1) < 0;
}

/* A list of the same issuer that lasts longer stands in for this one; unless
 * it is part of a whole (RFC 5280 section 5.2.5) and speaks of others. */
static bool
is_superseded(
    const struct trust_load *load, STACK_OF(X509_CRL) * lists, X509_CRL *list)
{
	X509_CRL *other;
	int i;

	for (i = 0; i < sk_X509_CRL_num(lists); i++) {
		other = sk_X509_CRL_value(lists, i);
		if (X509_CRL_cmp(list, other) == 0 &&
		    end_of(other) > end_of(list) && is_whole(other) &&
		    is_of_ours(load, other))
			return true;
	}
	return false;
}

static void
warn_of(struct trust_load *load, const char *path, X509_CRL *list,
    const char *sentence)
{
	char issuer[ISSUER_MAX] = "";

	X509_NAME_oneline(X509_CRL_get_issuer(list), issuer, sizeof(issuer));
	trust_warn(load, "%s: the list of %s %s", path, issuer, sentence);
}

static void
judge_dates(struct trust_load *load, const char *path, X509_CRL *list)
{
	int64_t end = end_of(list);

	if (end < load->lists_end)
		load->lists_end = end;
	if (end <= load->now_s)
		warn_of(load, path, list,
		    "has expired: its issuer's clients are refused until "
		    "there is a new one");
	else if (end - load->now_s <= SOON_S)
		warn_of(load, path, list,
		    "expires within seven days: its issuer's clients will be "
		    "refused then");
	if (seconds_of(X509_CRL_get0_lastUpdate(list)) > load->now_s)
		warn_of(load, path, list,
		    "is not valid yet: its issuer's clients are refused until "
		    "then");
}

static void
judge(struct trust_load *load, const char *path, STACK_OF(X509_CRL) * lists)
{
	X509_CRL *list;
	int i;

	for (i = 0; i < sk_X509_CRL_num(lists); i++) {
		list = sk_X509_CRL_value(lists, i);
		if (is_superseded(load, lists, list))
			continue;
		judge_dates(load, path, list);
		if (is_of_ours(load, list))
			load->lists_fit = true;
		else
			warn_of(load, path, list,
			    "is signed by nobody in ca_file: it helps only "
			    "with clients who send its issuer along, and "
			    "clients of issuers without a list are refused");
	}
}

bool
trust_load_lists(struct trust_load *load, const char *path, struct err *err)
{
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	bool fine;

	load->lists_fit = false;
	if (lists == NULL) {
		tls_error_set(err, "out of memory reading %s", path);
		return false;
	}
	fine = read_lists(load, lists, path, err);
	if (fine)
		judge(load, path, lists);
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return fine;
}
