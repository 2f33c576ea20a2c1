/*
 * Who is believed to vouch for clients.  Loaded on the main thread, immutable
 * afterwards.  The decision to question is that any certificate of ca_file is
 * an end of a chain, a root or not: an operator who names the CA of one
 * department means that department, not whoever its root certifies besides.
 */
#include "tls/trust.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"

enum {
	FILE_MAX = 64 * 1024 * 1024, /* lists of large CAs */
	WARN_S = 7 * 24 * 3600,
	ISSUER_MAX = 256
};

struct trust {
	atomic_uint refs;

	/* fixed at creation */
	X509_STORE *store;
	STACK_OF(X509_NAME) * names;
	uint8_t digest[32];
	int64_t lists_end;
	bool lists_fit;
};

/* What a file is being made into. */
struct load {
	struct trust *trust;
	EVP_MD_CTX *digest;
	STACK_OF(X509) * certificates;
	int64_t now_s;
	struct err *warning;
	struct err *err;
};

static bool
is_type(const struct pem_block *block, const char *types)
{
	const char *found = strstr(types, block->type);
	size_t len = strlen(block->type);

	/* Whole words between bars alone. */
	return found && (found == types || found[-1] == '|') &&
	       (found[len] == '|' || found[len] == '\0');
}

/* Each with its length in front: no two can run into each other. */
static bool
digest_block(struct load *load, const struct pem_block *block)
{
	const uint64_t len = (uint64_t)block->len;
	uint8_t front[8];
	int i;

	for (i = 0; i < 8; i++)
		front[i] = (uint8_t)(len >> (8 * i));
	return EVP_DigestUpdate(load->digest, front, sizeof(front)) == 1 &&
	       EVP_DigestUpdate(load->digest, block->data, len) == 1;
}

/* ---- Certificates ---- */

static bool
has_name(const struct trust *trust, const X509_NAME *name)
{
	int i;

	for (i = 0; i < sk_X509_NAME_num(trust->names); i++)
		if (X509_NAME_cmp(sk_X509_NAME_value(trust->names, i), name) ==
		    0)
			return true;
	return false;
}

static bool
add_name(struct trust *trust, const X509 *certificate)
{
	const X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME *copy;

	if (has_name(trust, name))
		return true;
	copy = X509_NAME_dup(name);
	if (copy && sk_X509_NAME_push(trust->names, copy) > 0)
		return true;
	X509_NAME_free(copy);
	return false;
}

static bool
add_certificate(struct load *load, const struct pem_block *block)
{
	const unsigned char *der = block->data;
	X509 *certificate = is_type(block, "TRUSTED CERTIFICATE")
				? d2i_X509_AUX(NULL, &der, block->len)
				: d2i_X509(NULL, &der, block->len);

	if (certificate && digest_block(load, block) &&
	    X509_STORE_add_cert(load->trust->store, certificate) == 1 &&
	    add_name(load->trust, certificate) &&
	    sk_X509_push(load->certificates, certificate) > 0)
		return true;
	X509_free(certificate);
	return false;
}

static bool
load_certificates(struct load *load, const char *path)
{
	struct pem pem;
	size_t i;
	bool fine = pem_read_up_to(&pem, path, FILE_MAX, load->err);

	for (i = 0; fine && i < pem.count; i++) {
		if (!is_type(&pem.blocks[i],
			"CERTIFICATE|X509 CERTIFICATE|TRUSTED CERTIFICATE"))
			continue;
		fine = add_certificate(load, &pem.blocks[i]);
		if (!fine)
			tls_error_set(load->err,
			    "%s: certificate %zu is damaged", path, i + 1);
	}
	pem_wipe(&pem);
	if (fine && sk_X509_num(load->certificates) == 0) {
		err_set(load->err, "%s holds no certificate", path);
		fine = false;
	}
	return fine;
}

/* ---- Revocation lists ---- */

static int64_t
seconds_of(const ASN1_TIME *when)
{
	struct tm tm;

	if (when == NULL)
		return INT64_MAX; /* no next one was announced */
	return ASN1_TIME_to_tm(when, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool
is_of_ours(const struct load *load, X509_CRL *list)
{
	const X509 *certificate;
	int i;

	for (i = 0; i < sk_X509_num(load->certificates); i++) {
		certificate = sk_X509_value(load->certificates, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(list),
			X509_get_subject_name(certificate)) == 0 &&
		    X509_CRL_verify(list, X509_get0_pubkey(certificate)) == 1)
			return true;
	}
	tls_error_clear();
	return false;
}

static void
warn(const struct load *load, const char *path, X509_CRL *list,
    const char *sentence)
{
	char issuer[ISSUER_MAX] = "";
	struct err one;

	if (load->warning == NULL)
		return;
	X509_NAME_oneline(X509_CRL_get_issuer(list), issuer, sizeof(issuer));
	err_set(&one, "%s: the list of %s %s", path, issuer, sentence);
	if (load->warning->text[0] == '\0')
		*load->warning = one;
	else
		err_prefix(load->warning, "%s; also", one.text);
}

static void
judge_list(struct load *load, const char *path, X509_CRL *list)
{
	int64_t end = seconds_of(X509_CRL_get0_nextUpdate(list));
	int64_t begin = seconds_of(X509_CRL_get0_lastUpdate(list));

	if (!is_of_ours(load, list)) {
		warn(load, path, list,
		    "is of nobody in ca_file: it revokes nothing, and clients "
		    "of an issuer without a list are refused");
		return;
	}
	load->trust->lists_fit = true;
	if (end < load->trust->lists_end)
		load->trust->lists_end = end;
	if (end <= load->now_s)
		warn(load, path, list,
		    "has expired: its issuer's clients are refused until "
		    "there is a new one");
	else if (end - load->now_s <= WARN_S)
		warn(load, path, list, "expires within seven days");
	if (begin > load->now_s)
		warn(load, path, list,
		    "is not valid yet: its issuer's clients are refused");
}

static bool
add_list(struct load *load, const char *path, const struct pem_block *block)
{
	const unsigned char *der = block->data;
	X509_CRL *list = d2i_X509_CRL(NULL, &der, block->len);
	bool fine = list && digest_block(load, block) &&
		    X509_STORE_add_crl(load->trust->store, list) == 1;

	if (fine)
		judge_list(load, path, list);
	X509_CRL_free(list);
	return fine;
}

static bool
load_lists(struct load *load, const char *path)
{
	struct pem pem;
	size_t i, count = 0;
	bool fine = pem_read_up_to(&pem, path, FILE_MAX, load->err);

	for (i = 0; fine && i < pem.count; i++) {
		if (!is_type(&pem.blocks[i], "X509 CRL"))
			continue;
		count++;
		fine = add_list(load, path, &pem.blocks[i]);
		if (!fine)
			tls_error_set(load->err,
			    "%s: revocation list %zu is damaged", path, count);
	}
	pem_wipe(&pem);
	if (fine && count == 0) {
		err_set(load->err,
		    "%s holds no revocation list (X509 CRL); convert DER "
		    "with: openssl crl -inform der -in %s",
		    path, path);
		fine = false;
	}
	return fine;
}

/* ---- The whole ---- */

static bool
use_lists(struct load *load, const char *path, enum config_crl_check check)
{
	unsigned long flags = X509_V_FLAG_CRL_CHECK;
	uint8_t kind = (uint8_t)check;

	if (path == NULL)
		return true;
	if (check == CRL_CHECK_CHAIN)
		flags |= X509_V_FLAG_CRL_CHECK_ALL;
	load->trust->lists_fit = false;
	return EVP_DigestUpdate(load->digest, &kind, 1) == 1 &&
	       X509_STORE_set_flags(load->trust->store, flags) == 1 &&
	       load_lists(load, path);
}

static bool
fill(struct load *load, const char *ca_file, const char *crl_file,
    enum config_crl_check check)
{
	struct trust *trust = load->trust;

	trust->store = X509_STORE_new();
	trust->names = sk_X509_NAME_new_null();
	trust->lists_end = INT64_MAX;
	trust->lists_fit = true;
	load->digest = EVP_MD_CTX_new();
	load->certificates = sk_X509_new_null();
	err_set(load->err, "out of memory reading %s", ca_file);
	return trust->store && trust->names && load->digest &&
	       load->certificates &&
	       EVP_DigestInit_ex(load->digest, EVP_sha256(), NULL) == 1 &&
	       X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN) ==
		   1 &&
	       load_certificates(load, ca_file) &&
	       use_lists(load, crl_file, check) &&
	       EVP_DigestFinal_ex(load->digest, trust->digest, NULL) == 1;
}

struct trust *
trust_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err)
{
	struct load load = {
		.trust = calloc(1, sizeof(*load.trust)),
		.now_s = now_s,
		.warning = warning,
		.err = err,
	};
	bool fine;

	err_set(warning, "%s", "");
	if (load.trust == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&load.trust->refs, 1);
	tls_error_clear();
	fine = fill(&load, ca_file, crl_file, check);
	tls_error_clear();
	EVP_MD_CTX_free(load.digest);
	sk_X509_pop_free(load.certificates, X509_free);
	if (fine)
		return load.trust;
	trust_unref(load.trust);
	return NULL;
}

struct trust *
trust_ref(struct trust *trust)
{
	atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
	return trust;
}

void
trust_unref(struct trust *trust)
{
	if (trust == NULL || atomic_fetch_sub_explicit(
				 &trust->refs, 1, memory_order_acq_rel) != 1)
		return;
	X509_STORE_free(trust->store);
	sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
	free(trust);
}

const uint8_t *
trust_digest(const struct trust *trust)
{
	return trust->digest;
}

int64_t
trust_lists_end(const struct trust *trust)
{
	return trust->lists_end;
}

bool
trust_lists_fit(const struct trust *trust)
{
	return trust->lists_fit;
}

struct x509_store_st *
trust_store(const struct trust *trust)
{
	return trust->store;
}

struct stack_st_X509_NAME *
trust_names(const struct trust *trust)
{
	return trust->names;
}
