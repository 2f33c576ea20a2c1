/*
 * Who is believed to vouch for clients.  Loaded on the main thread, immutable
 * afterwards.
 *
 * The decision to question is that any certificate of ca_file is an end of a
 * chain, a root or not (nginx and haproxy insist on roots): an operator who
 * names the CA of one department means that department, and would have to
 * admit whomever its root certifies besides.  Except with crl_check = chain:
 * there each certificate is looked up in the list of its issuer, so the chain
 * must go on to one that is its own.
 */
#include "tls/trust.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/trust_inner.h"

enum {
	MAX_BYTES = 16 * 1024 * 1024,
	/* A handshake has room for 2^16 - 1 bytes of names, and must not fail
	 * for want of a hint. */
	NAMES_MAX_BYTES = 60 * 1024
};

struct trust {
	atomic_uint refs;

	/* fixed at creation */
	X509_STORE *store;
	STACK_OF(X509_NAME) * names;
	STACK_OF(X509_CRL) * lists;
	EVP_PKEY **signers; /* of each list; NULL: none in ca_file */
	enum config_crl_check check;
	uint8_t digest[32];
	int64_t lists_from, lists_end;
	bool lists_fit;
	uint8_t (*prints)[32]; /* of the certificates, sorted */
	size_t print_count;
};

void
trust_warn(struct trust_load *load, const char *format, ...)
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

/* Type and length in front: no two blocks can run into each other. */
bool
trust_digest_block(struct trust_load *load, const struct pem_block *block)
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
decode(const struct pem_block *block, bool *damaged)
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

/* Takes the certificate. */
static bool
add(struct trust_load *load, X509 *certificate)
{
	if (sk_X509_push(load->certificates, certificate) > 0)
		return decode_extensions(certificate) &&
		       X509_STORE_add_cert(load->store, certificate) == 1;
	X509_free(certificate);
	return false;
}

static bool
add_block(struct trust_load *load, const struct pem_block *block,
    const char *path, struct err *err)
{
	bool damaged;
	X509 *certificate = decode(block, &damaged);

	if (damaged)
		tls_error_set(err, "%s: certificate %d is damaged", path,
		    sk_X509_num(load->certificates) + 1);
	if (certificate == NULL)
		return !damaged;
	if (add(load, certificate) && trust_digest_block(load, block))
		return true;
	tls_error_set(err, "cannot use the certificates of %s", path);
	return false;
}

/* ca_file and crl_file may be one file. */
static bool
is_certificate_or_list(const char *type)
{
	return pem_is_certificate(type) || pem_is_list(type);
}

void
trust_warn_unused(struct trust_load *load, const struct pem *pem,
    const char *path, bool (*is_used)(const char *type))
{
	struct err sentence;

	pem_describe_unused(pem, path,
	    load->one_file ? is_certificate_or_list : is_used, &sentence);
	if (sentence.text[0] != '\0')
		trust_warn(load, "%s", sentence.text);
}

static bool
load_certificates(struct trust_load *load, const char *path, struct err *err)
{
	static const struct pem_kind kind = { MAX_BYTES, "x509", "ca.pem" };
	struct pem pem;
	bool fine = pem_read_as(&pem, path, &kind, err);
	size_t i;

	for (i = 0; fine && i < pem.count; i++)
		fine = add_block(load, &pem.blocks[i], path, err);
	if (fine)
		trust_warn_unused(load, &pem, path, pem_is_certificate);
	pem_wipe(&pem);
	if (fine && sk_X509_num(load->certificates) == 0) {
		err_set(err, "%s holds no certificate", path);
		fine = false;
	}
	return fine;
}

/* ---- Names ---- */

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
add_name(struct trust *trust, const X509_NAME *name)
{
	X509_NAME *copy = X509_NAME_dup(name);

	if (copy && sk_X509_NAME_push(trust->names, copy) > 0)
		return true;
	X509_NAME_free(copy);
	return false;
}

static void
drop_names(struct trust *trust)
{
	while (sk_X509_NAME_num(trust->names) > 0)
		X509_NAME_free(sk_X509_NAME_pop(trust->names));
}

/* Too many, or too long: none, which asks for any (RFC 5246 section 7.4.4, RFC
 * 8446 section 4.2.4). */
static bool
collect_names(struct trust *trust, const struct trust_load *load)
{
	const X509_NAME *name;
	size_t bytes = 0, len;
	int i;

	for (i = 0; i < sk_X509_num(load->certificates); i++) {
		name = X509_get_subject_name(
		    sk_X509_value(load->certificates, i));
		if (has_name(trust, name))
			continue;
		if (X509_NAME_get0_der(name, NULL, &len) != 1 ||
		    !add_name(trust, name))
			return false;
		bytes += 2 + len;
		if (bytes > NAMES_MAX_BYTES) {
			drop_names(trust);
			return true;
		}
	}
	return true;
}

/* ---- Fingerprints ---- */

static int
compare_prints(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct trust *)0)->prints[0]));
}

static bool
print_of(const X509 *certificate, uint8_t print[32])
{
	return X509_digest(certificate, EVP_sha256(), print, NULL) == 1;
}

static bool
collect_prints(struct trust *trust, const struct trust_load *load)
{
	int i, count = sk_X509_num(load->certificates);

	trust->prints = calloc((size_t)count + 1, sizeof(trust->prints[0]));
	if (trust->prints == NULL)
		return false;
	for (i = 0; i < count; i++)
		if (!print_of(
			sk_X509_value(load->certificates, i), trust->prints[i]))
			return false;
	trust->print_count = (size_t)count;
	qsort(trust->prints, trust->print_count, sizeof(trust->prints[0]),
	    compare_prints);
	return true;
}

bool
trust_holds(const struct trust *trust, const struct x509_st *certificate)
{
	uint8_t print[32];

	return print_of(certificate, print) &&
	       bsearch(print, trust->prints, trust->print_count,
		   sizeof(trust->prints[0]), compare_prints) != NULL;
}

/* ---- The whole ---- */

static bool
has_root(const struct trust_load *load)
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

/* The digest begins with how the rest is used. */
static bool
set_use(
    struct trust_load *load, enum config_crl_check check, unsigned long flags)
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
load_files(struct trust_load *load, const char *ca_file, const char *crl_file,
    enum config_crl_check check, struct err *err)
{
	load->one_file = crl_file != NULL && strcmp(ca_file, crl_file) == 0;
	if (!set_use(load, check, flags_of(crl_file, check)) ||
	    !load_certificates(load, ca_file, err))
		return false;
	if (crl_file == NULL)
		return true;
	if (check == CRL_CHECK_CHAIN && !has_root(load))
		trust_warn(load,
		    "%s holds no root, which crl_check = chain needs: every "
		    "client certificate is refused",
		    ca_file);
	return trust_load_lists(load, crl_file, err);
}

/* false: no memory. */
static bool
begin(struct trust *trust, struct trust_load *load)
{
	trust->store = X509_STORE_new();
	trust->names = sk_X509_NAME_new_null();
	trust->lists = sk_X509_CRL_new_null();
	load->store = trust->store;
	load->lists = trust->lists;
	load->certificates = sk_X509_new_null();
	load->digest = EVP_MD_CTX_new();
	return trust->store && trust->names && trust->lists &&
	       load->certificates && load->digest;
}

/* The keys are remembered: looking for a signer verifies a signature. */
static bool
find_signers(struct trust *trust, const struct trust_load *load)
{
	int count = sk_X509_CRL_num(trust->lists);
	EVP_PKEY *signer;

	if (count <= 0)
		return true;
	trust->signers = calloc((size_t)count, sizeof(trust->signers[0]));
	if (trust->signers == NULL)
		return false;
	for (int i = 0; i < count; i++) {
		signer = trust_signer_key(
		    load, sk_X509_CRL_value(trust->lists, i));
		if (signer && EVP_PKEY_up_ref(signer) != 1)
			return false;
		trust->signers[i] = signer;
	}
	return true;
}

static bool
finish(struct trust *trust, struct trust_load *load)
{
	trust->lists_from = load->lists_from;
	trust->lists_end = load->lists_end;
	trust->lists_fit = load->lists_fit;
	return find_signers(trust, load) && collect_names(trust, load) &&
	       collect_prints(trust, load) &&
	       EVP_DigestFinal_ex(load->digest, trust->digest, NULL) == 1;
}

struct trust *
trust_load(const char *ca_file, const char *crl_file,
    enum config_crl_check check, int64_t now_s, struct err *warning,
    struct err *err)
{
	struct trust *trust = calloc(1, sizeof(*trust));
	struct trust_load load = {
		.now_s = now_s,
		.warning = warning,
		.lists_end = INT64_MAX,
		.lists_fit = true,
	};
	bool fine;

	err_set(warning, "%s", "");
	err_set(err, "out of memory reading %s", ca_file);
	if (trust == NULL)
		return NULL;
	atomic_init(&trust->refs, 1);
	trust->check = check;
	tls_error_clear();
	fine = begin(trust, &load) &&
	       load_files(&load, ca_file, crl_file, check, err) &&
	       finish(trust, &load);
	tls_error_clear();
	EVP_MD_CTX_free(load.digest);
	sk_X509_pop_free(load.certificates, X509_free);
	if (fine)
		return trust;
	trust_unref(trust);
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
	for (int i = 0; trust->signers && i < sk_X509_CRL_num(trust->lists);
	     i++)
		EVP_PKEY_free(trust->signers[i]);
	free(trust->signers);
	sk_X509_CRL_pop_free(trust->lists, X509_CRL_free);
	sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
	free(trust->prints);
	free(trust);
}

const uint8_t *
trust_digest(const struct trust *trust)
{
	return trust->digest;
}

int64_t
trust_lists_from(const struct trust *trust)
{
	return trust->lists_from;
}

int64_t
trust_lists_end(const struct trust *trust)
{
	return trust->lists_end;
}

int64_t
trust_list_end(const struct trust *trust, const struct x509_st *certificate)
{
	const X509_NAME *issuer = X509_get_issuer_name(certificate);
	int64_t first = INT64_MAX, end;
	const X509_CRL *list;
	int i;

	for (i = 0; i < sk_X509_CRL_num(trust->lists); i++) {
		list = sk_X509_CRL_value(trust->lists, i);
		if (X509_NAME_cmp(X509_CRL_get_issuer(list), issuer) != 0)
			continue;
		end = trust_end_of(list);
		if (end < first)
			first = end;
	}
	return first;
}

bool
trust_checks_chain(const struct trust *trust)
{
	return trust->signers != NULL && trust->check != CRL_CHECK_LEAF;
}

/* ---- Looking certificates up ---- */

/* Is the list that of the certificate's issuer?  issuer NULL: the chain ends
 * below it, and only an issuer in ca_file counts. */
static bool
speaks_of(const struct trust *trust, int i, const X509 *certificate,
    const X509 *issuer)
{
	X509_CRL *list = sk_X509_CRL_value(trust->lists, i);

	if (X509_NAME_cmp(X509_CRL_get_issuer(list),
		X509_get_issuer_name(certificate)) != 0)
		return false;
	if (issuer == NULL)
		return trust->signers[i] != NULL;
	if (trust->signers[i])
		return EVP_PKEY_eq(
			   trust->signers[i], X509_get0_pubkey(issuer)) == 1;
	return X509_CRL_verify(list, X509_get0_pubkey(issuer)) == 1;
}

static int
look_up(X509_CRL *list, X509 *certificate, int64_t now_s)
{
	X509_REVOKED *entry = NULL;

	if (trust_end_of(list) <= now_s)
		return X509_V_ERR_CRL_HAS_EXPIRED;
	if (trust_start_of(list) > now_s)
		return X509_V_ERR_CRL_NOT_YET_VALID;
	/* 2 would be removeFromCRL, which only delta lists have. */
	if (X509_CRL_get0_by_cert(list, &entry, certificate) == 1)
		return X509_V_ERR_CERT_REVOKED;
	return X509_V_OK;
}

static int
check_one(const struct trust *trust, X509 *certificate, const X509 *issuer,
    int64_t now_s)
{
	int result = X509_V_OK;

	for (int i = 0; i < sk_X509_CRL_num(trust->lists); i++) {
		if (!speaks_of(trust, i, certificate, issuer))
			continue;
		result = look_up(
		    sk_X509_CRL_value(trust->lists, i), certificate, now_s);
		if (result != X509_V_OK)
			break;
	}
	tls_error_clear();
	return result;
}

int
trust_check_chain(const struct trust *trust, struct stack_st_X509 *chain,
    int64_t now_s, int *depth)
{
	int count = trust->check == CRL_CHECK_AVAILABLE ? sk_X509_num(chain)
							: 0;
	int result;

	for (int i = 1; i < count; i++) {
		X509 *certificate = sk_X509_value(chain, i);

		/* A root is trusted because it is in ca_file. */
		if (X509_self_signed(certificate, 0) == 1)
			continue;
		result = check_one(trust, certificate,
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
is_same_authority(const struct trust *a, int i, const struct trust *b, int k)
{
	X509_CRL *first = sk_X509_CRL_value(a->lists, i);
	X509_CRL *second = sk_X509_CRL_value(b->lists, k);

	return a->signers[i] && b->signers[k] &&
	       X509_CRL_cmp(first, second) == 0 &&
	       EVP_PKEY_eq(a->signers[i], b->signers[k]) == 1 &&
	       trust_is_same_scope(first, second);
}

bool
trust_is_rollback(const struct trust *fresh, const struct trust *held,
    const char *path, struct err *err)
{
	for (int i = 0; i < sk_X509_CRL_num(fresh->lists); i++) {
		X509_CRL *list = sk_X509_CRL_value(fresh->lists, i);

		for (int k = 0; k < sk_X509_CRL_num(held->lists); k++) {
			X509_CRL *old = sk_X509_CRL_value(held->lists, k);

			if (!is_same_authority(fresh, i, held, k) ||
			    trust_compare_age(list, old) >= 0)
				continue;
			trust_explain_rollback(list, old, path, err);
			return true;
		}
	}
	return false;
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
