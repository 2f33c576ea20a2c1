/*
 * A certificate chain and the private key that belongs to it.  Made on any
 * thread, immutable afterwards.
 *
 * Every error of the two files is found while they are loaded, and its sentence
 * names the file.  A pair that loads but cannot serve would fail in handshakes,
 * where OpenSSL reports no reason to the server.
 */
#include "tls/identity.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/err.h"
#include "tls/asn1_time.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/sni.h"

/* ---- Names ---- */

/*
 * A name of the certificate becomes a pattern only if sni.c accepts it; others
 * are left out, so that "good.example\0.evil" never becomes "good.example".
 */
struct identity_names {
	char label[256]; /* for logs */
	char **patterns; /* sorted, without duplicates */
	size_t count;
	bool out_of_memory; /* a name was lost for lack of memory */
};

/* The text as UTF-8; NULL: there is none.  OPENSSL_free it. */
static char *
text_of(struct identity_names *names, const ASN1_STRING *string, size_t *len)
{
	unsigned char *utf8 = NULL;
	int n;

	errno = 0;
	n = ASN1_STRING_to_UTF8(&utf8, string);
	names->out_of_memory |= n < 0 && errno == ENOMEM;
	tls_error_clear();
	*len = n > 0 ? (size_t)n : 0;
	return n >= 0 ? (char *)utf8 : NULL;
}

static const ASN1_STRING *
first_common_name(const X509 *leaf)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0
		   ? NULL
		   : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
}

static bool
set_label(struct identity_names *names, const ASN1_STRING *string)
{
	size_t len = 0;
	char *text = string ? text_of(names, string, &len) : NULL;

	if (len > 0)
		snprintf(
		    names->label, sizeof(names->label), "%.*s", (int)len, text);
	OPENSSL_free(text);
	return len > 0;
}

static void
find_label(
    struct identity_names *names, const X509 *leaf, const GENERAL_NAMES *sans)
{
	bool found = set_label(names, first_common_name(leaf));

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(sans, i);

		if (name->type == GEN_DNS)
			found = set_label(names, name->d.dNSName);
	}
	if (!found)
		snprintf(names->label, sizeof(names->label), "unnamed");
}

/* false: no memory.  A name that is no pattern adds nothing. */
static bool
add_pattern(struct identity_names *names, const ASN1_STRING *string)
{
	char pattern[SNI_NAME_MAX + 1];
	size_t len;
	char *text = text_of(names, string, &len);
	bool fine = true;

	/* OpenSSL terminates it; another NUL makes it no name. */
	if (text && strlen(text) == len &&
	    sni_normalise_pattern(pattern, text)) {
		names->patterns[names->count] = strdup(pattern);
		fine = names->patterns[names->count] != NULL;
		names->count += fine;
	}
	OPENSSL_free(text);
	return fine;
}

static int
compare_patterns(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
drop_duplicates(struct identity_names *names)
{
	size_t kept = 0, i;

	qsort(names->patterns, names->count, sizeof(names->patterns[0]),
	    compare_patterns);
	for (i = 0; i < names->count; i++)
		if (kept > 0 &&
		    strcmp(names->patterns[i], names->patterns[kept - 1]) == 0)
			free(names->patterns[i]);
		else
			names->patterns[kept++] = names->patterns[i];
	names->count = kept;
}

/* *without_dns becomes false if there is a DNS name, even an invalid one.
 * false: no memory. */
static bool
add_sans(
    struct identity_names *names, const GENERAL_NAMES *sans, bool *without_dns)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(sans, i);

		if (name->type != GEN_DNS)
			continue;
		*without_dns = false;
		if (!add_pattern(names, name->d.dNSName))
			return false;
	}
	return true;
}

static bool
find_patterns(struct identity_names *names, const X509 *leaf,
    const GENERAL_NAMES *sans, bool without_dns)
{
	int room = sans ? sk_GENERAL_NAME_num(sans) : 0;
	const ASN1_STRING *common = first_common_name(leaf);

	names->patterns = calloc((size_t)room + 1, sizeof(names->patterns[0]));
	if (names->patterns == NULL || !add_sans(names, sans, &without_dns))
		return false;
	/* RFC 6125 section 6.4.4: the common name is the last resort. */
	if (without_dns && common && !add_pattern(names, common))
		return false;
	drop_duplicates(names);
	return true;
}

/* false: no memory; drop_names in every case. */
static bool
find_names(struct identity_names *names, const X509 *leaf)
{
	GENERAL_NAMES *sans;
	int found;
	bool fine;

	/* OpenSSL returns NULL for a damaged extension as well. */
	errno = 0;
	sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);
	names->out_of_memory = sans == NULL && found != -1 && errno == ENOMEM;
	tls_error_clear();
	find_label(names, leaf, sans);
	/* -1: there is no such extension.  One that is damaged or present
	 * twice may contain names, so the common name is not used then. */
	fine = find_patterns(names, leaf, sans, found == -1 || sans);
	GENERAL_NAMES_free(sans);
	return fine && !names->out_of_memory;
}

static void
drop_names(struct identity_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->patterns[i]);
	free(names->patterns);
	*names = (struct identity_names){ 0 };
}

/* ---- Kind of key ---- */

/*
 * OpenSSL loads keys that no handshake can use and then refuses every client
 * without a reason: such keys are refused here.
 */
static const struct kind_row {
	int type;
	const char *name;
} kinds[IDENTITY_KINDS] = {
	[IDENTITY_RSA] = { EVP_PKEY_RSA, "RSA" },
	[IDENTITY_RSA_PSS] = { EVP_PKEY_RSA_PSS, "RSA-PSS" },
	[IDENTITY_ECDSA] = { EVP_PKEY_EC, "ECDSA" },
	[IDENTITY_ED25519] = { EVP_PKEY_ED25519, "Ed25519" },
	[IDENTITY_ED448] = { EVP_PKEY_ED448, "Ed448" },
};

/* The NIST curves of RFC 8422 section 5.1.1, and the Brainpool curves of RFC
 * 7027. */
static const char *const curves[] = {
	"prime256v1",
	"secp384r1",
	"secp521r1",
	"brainpoolP256r1",
	"brainpoolP384r1",
	"brainpoolP512r1",
};

static bool
is_curve_of_tls(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(curves[i], name) == 0)
			return true;
	return false;
}

/* RFC 5480 section 2.1.1: only named curves, no explicit parameters. */
static bool
check_curve(const EVP_PKEY *key, const char *path, struct err *err)
{
	char name[80] = "without a name";
	int described = 0;

	if (EVP_PKEY_get_int_param(key,
		OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
		&described) == 1 &&
	    !described &&
	    EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) == 1 &&
	    is_curve_of_tls(name))
		return true;
	tls_error_clear();
	err_set(err,
	    "the key of the certificate in %s is on a curve that TLS cannot "
	    "use (%s); use P-256, P-384 or P-521",
	    path, described ? "explicit parameters, no name" : name);
	return false;
}

static bool
refuse_kind(int type, const char *path, struct err *err)
{
	err_set(err,
	    "the certificate in %s has a key of type %s; TLS needs RSA, ECDSA "
	    "or Ed25519",
	    path, OBJ_nid2sn(type));
	tls_error_clear();
	return false;
}

/* By the public key.  false: *err names the path: no key for TLS. */
static bool
find_kind(enum identity_kind *kind, const X509 *leaf, const char *path,
    struct err *err)
{
	const EVP_PKEY *key = X509_get0_pubkey(leaf);
	int type, i;

	if (key == NULL) {
		tls_error_set(err,
		    "the public key of the certificate in %s cannot be read",
		    path);
		return false;
	}
	type = EVP_PKEY_get_base_id(key);
	for (i = 0; i < IDENTITY_KINDS; i++)
		if (kinds[i].type == type)
			break;
	if (i == IDENTITY_KINDS)
		return refuse_kind(type, path, err);
	*kind = (enum identity_kind)i;
	return *kind != IDENTITY_ECDSA || check_curve(key, path, err);
}

bool
identity_peek(const char *path, enum identity_kind *kind,
    char pattern[IDENTITY_PATTERN_MAX], struct err *err)
{
	struct identity_names names = { 0 };
	struct chain chain;
	bool fine;

	pattern[0] = '\0';
	fine = chain_load(&chain, path, err) &&
	       find_kind(kind, chain.leaf, path, err);
	if (fine && !find_names(&names, chain.leaf)) {
		err_set(err, "out of memory");
		fine = false;
	}
	if (fine && names.count > 0)
		snprintf(
		    pattern, IDENTITY_PATTERN_MAX, "%s", names.patterns[0]);
	drop_names(&names);
	chain_drop(&chain);
	tls_error_clear();
	return fine;
}

const char *
identity_kind_name(enum identity_kind kind)
{
	return kinds[kind].name;
}

/* ---- Loading ---- */

struct identity {
	atomic_uint refs;

	/* fixed at creation */
	struct chain chain;
	EVP_PKEY *key;
	enum identity_kind kind;
	struct identity_names names;
	int64_t not_before, not_after;
};

struct identity_loader {
	struct chain_cache *chains;
	struct key_decoder *keys;
};

/* The state of one load. */
struct identity_load {
	struct identity_loader *loader;
	enum config_key_permissions permissions;
	bool in_folder;
	const char *cert_path;
	const char *key_path; /* may be cert_path itself */
	struct pem cert;
	struct pem key; /* unused when both are in one file */
	struct err *warning;
	struct err *err;
};

static void
warn(struct identity_load *load, const char *sentence)
{
	struct err *warning = load->warning;

	if (warning == NULL)
		return;
	if (warning->text[0] == '\0')
		err_set(warning, "%s", sentence);
	else
		err_prefix(warning, "%s; also", sentence);
}

static bool
check_permissions(struct identity_load *load, unsigned mode)
{
	struct err sentence;

	if (!secret_check_mode("the private key", load->key_path, mode,
		load->permissions, &sentence)) {
		err_set(load->err, "%s", sentence.text);
		return false;
	}
	if (sentence.text[0] != '\0')
		warn(load, sentence.text);
	return true;
}

static bool
check_pair(const struct identity *identity, struct identity_load *load)
{
	int i;

	if (X509_check_private_key(identity->chain.leaf, identity->key) == 1)
		return true;
	tls_error_clear();
	for (i = 0; i < sk_X509_num(identity->chain.rest); i++) {
		if (X509_check_private_key(
			sk_X509_value(identity->chain.rest, i),
			identity->key) != 1)
			continue;
		err_set(load->err,
		    "key does not match certificate: %s belongs to "
		    "certificate %d of %s, which must come first",
		    load->key_path, i + 2, load->cert_path);
		return false;
	}
	tls_error_clear();
	err_set(load->err, "key does not match certificate: %s, %s",
	    load->key_path, load->cert_path);
	return false;
}

static void
warn_of_date(struct identity_load *load, const char *what, int64_t seconds)
{
	struct err sentence;
	time_t when = (time_t)seconds;
	struct tm tm;
	char text[64];

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	err_set(&sentence, "the certificate in %s %s %s", load->cert_path, what,
	    text);
	warn(load, sentence.text);
}

/* A warning only: an expired certificate is better than no service. */
static void
check_dates(struct identity *identity, struct identity_load *load)
{
	int64_t now = clock_wall_ms() / 1000;

	identity->not_before = asn1_time_seconds(
	    X509_get0_notBefore(identity->chain.leaf));
	identity->not_after = asn1_time_seconds(
	    X509_get0_notAfter(identity->chain.leaf));
	if (identity->not_after <= now)
		warn_of_date(load, "expired on", identity->not_after);
	if (identity->not_before > now)
		warn_of_date(load, "is not valid before", identity->not_before);
}

static bool
read_chain(struct identity *identity, struct identity_load *load)
{
	return pem_read(&load->cert, load->cert_path, load->err) &&
	       chain_decode(&identity->chain, load->loader->chains, &load->cert,
		   load->cert_path, load->err) &&
	       find_kind(&identity->kind, identity->chain.leaf, load->cert_path,
		   load->err);
}

static bool
has_key(const struct pem *pem)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		if (pem_is_key(pem->blocks[i].type))
			return true;
	return false;
}

/* The certificate's file has no key: add the place where one is expected. */
static void
advise_key(struct identity_load *load, bool together)
{
	struct err before = *load->err;

	if (load->in_folder)
		err_set(load->err,
		    "%s; put the key into it, or beside it under the name of "
		    "the certificate with .key at the end",
		    before.text);
	else if (together)
		err_set(load->err,
		    "%s; name the file of the key with key = PATH",
		    before.text);
	else
		err_set(load->err, "%s; key = has to name the file of the key",
		    before.text);
}

static bool
read_key(struct identity *identity, struct identity_load *load)
{
	bool together = strcmp(load->key_path, load->cert_path) == 0;
	const struct pem *key = together ? &load->cert : &load->key;

	if (!together && !pem_read(&load->key, load->key_path, load->err))
		return false;
	identity->key = key_decode(
	    load->loader->keys, key, load->key_path, load->err);
	if (identity->key == NULL && !has_key(key))
		advise_key(load, together);
	return identity->key != NULL && check_pair(identity, load) &&
	       check_permissions(load, key->mode);
}

/* "openssl ecparam -genkey" writes the parameters before an EC key. */
static bool
is_used_together(const char *type)
{
	return pem_is_certificate(type) || pem_is_key(type) ||
	       strcmp(type, "EC PARAMETERS") == 0;
}

/* Certificates in a key file are not reported: it is often the combined
 * file. */
static void
warn_of_unused(struct identity_load *load)
{
	bool together = load->key.count == 0;
	struct err sentence;

	pem_describe_unused(&load->cert, load->cert_path,
	    together ? is_used_together : pem_is_certificate, &sentence);
	if (sentence.text[0] == '\0' && !together)
		pem_describe_unused(
		    &load->key, load->key_path, is_used_together, &sentence);
	if (sentence.text[0] != '\0')
		warn(load, sentence.text);
}

static bool
fill(struct identity *identity, struct identity_load *load)
{
	if (!read_chain(identity, load) || !read_key(identity, load))
		return false;
	check_dates(identity, load);
	warn_of_unused(load);
	if (find_names(&identity->names, identity->chain.leaf))
		return true;
	err_set(load->err, "out of memory");
	return false;
}

struct identity *
identity_loader_load(struct identity_loader *loader,
    const struct identity_files *files, struct err *warning, struct err *err)
{
	struct identity *identity = calloc(1, sizeof(*identity));
	struct identity_load load = {
		.loader = loader,
		.permissions = files->permissions,
		.in_folder = files->in_folder,
		.cert_path = files->cert,
		.key_path = files->key ? files->key : files->cert,
		.warning = warning,
		.err = err,
	};

	err_set(warning, "%s", "");
	if (identity == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&identity->refs, 1);
	tls_error_clear();
	if (!fill(identity, &load)) {
		identity_unref(identity);
		identity = NULL;
	}
	pem_wipe(&load.cert);
	pem_wipe(&load.key);
	tls_error_clear(); /* a successful call can leave errors, too */
	return identity;
}

struct identity *
identity_load(const char *cert_path, const char *key_path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err)
{
	struct identity_loader shares_nothing = { NULL, NULL };
	const struct identity_files files = {
		.cert = cert_path,
		.key = key_path,
		.permissions = permissions,
	};

	return identity_loader_load(&shares_nothing, &files, warning, err);
}

struct identity_loader *
identity_loader_new(void)
{
	struct identity_loader *loader = calloc(1, sizeof(*loader));

	if (loader == NULL)
		return NULL;
	loader->chains = chain_cache_new();
	loader->keys = key_decoder_new();
	if (loader->chains && loader->keys)
		return loader;
	identity_loader_free(loader);
	return NULL;
}

void
identity_loader_free(struct identity_loader *loader)
{
	if (loader == NULL)
		return;
	chain_cache_free(loader->chains);
	key_decoder_free(loader->keys);
	free(loader);
}

void
identity_loader_share(
    struct identity_loader *loader, const struct identity *identity)
{
	for (int i = 0; i < sk_X509_num(identity->chain.rest); i++)
		chain_cache_add(
		    loader->chains, sk_X509_value(identity->chain.rest, i));
}

/* ---- Life and fields ---- */

struct identity *
identity_ref(struct identity *identity)
{
	atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
	return identity;
}

void
identity_unref(struct identity *identity)
{
	if (identity == NULL || atomic_fetch_sub_explicit(&identity->refs, 1,
				    memory_order_acq_rel) != 1)
		return;
	chain_drop(&identity->chain);
	drop_names(&identity->names);
	EVP_PKEY_free(identity->key);
	free(identity);
}

X509 *
identity_certificate(const struct identity *identity)
{
	return identity->chain.leaf;
}

struct stack_st_X509 *
identity_chain(const struct identity *identity)
{
	return identity->chain.rest;
}

EVP_PKEY *
identity_key(const struct identity *identity)
{
	return identity->key;
}

const char *
identity_name(const struct identity *identity)
{
	return identity->names.label;
}

int64_t
identity_not_before(const struct identity *identity)
{
	return identity->not_before;
}

int64_t
identity_not_after(const struct identity *identity)
{
	return identity->not_after;
}

void
identity_print_key(EVP_PKEY *key, char *out, size_t max)
{
	const char *name = EVP_PKEY_get0_type_name(key);
	int type = EVP_PKEY_get_base_id(key);

	if (type == EVP_PKEY_EC || type == EVP_PKEY_RSA ||
	    type == EVP_PKEY_RSA_PSS)
		snprintf(out, max, "%s%d", name, EVP_PKEY_get_bits(key));
	else
		snprintf(out, max, "%s", name ? name : "");
}

void
identity_describe(
    const struct identity *identity, struct identity_description *description)
{
	X509 *certificate = identity_certificate(identity);
	unsigned char digest[32];
	unsigned int len;

	memset(description, 0, sizeof(*description));
	if (X509_digest(certificate, EVP_sha256(), digest, &len) == 1)
		for (unsigned i = 0; i < len; i++)
			snprintf(description->id + (size_t)2 * i, 3, "%02x",
			    digest[i]);
	chain_print_serial(
	    certificate, description->serial, sizeof(description->serial));
	chain_print_issuer(
	    certificate, description->issuer, sizeof(description->issuer));
	identity_print_key(X509_get0_pubkey(certificate), description->key,
	    sizeof(description->key));
	tls_error_clear();
}

enum identity_kind
identity_kind(const struct identity *identity)
{
	return identity->kind;
}

size_t
identity_pattern_count(const struct identity *identity)
{
	return identity->names.count;
}

const char *
identity_pattern(const struct identity *identity, size_t i)
{
	return identity->names.patterns[i];
}

int
identity_compare(const struct identity *a, const struct identity *b)
{
	return X509_cmp(a->chain.leaf, b->chain.leaf);
}

/* Each pair was checked, so equal certificates have equal keys. */
bool
identity_equal(const struct identity *a, const struct identity *b)
{
	int i;

	if (X509_cmp(a->chain.leaf, b->chain.leaf) != 0 ||
	    sk_X509_num(a->chain.rest) != sk_X509_num(b->chain.rest))
		return false;
	for (i = 0; i < sk_X509_num(a->chain.rest); i++)
		if (X509_cmp(sk_X509_value(a->chain.rest, i),
			sk_X509_value(b->chain.rest, i)) != 0)
			return false;
	return true;
}

/* ---- Checking the chain ---- */

struct chain_check {
	X509_STORE *system; /* NULL: not read yet */
};

struct chain_check *
chain_check_new(void)
{
	return calloc(1, sizeof(struct chain_check));
}

void
chain_check_free(struct chain_check *check)
{
	if (check == NULL)
		return;
	X509_STORE_free(check->system);
	free(check);
}

static bool
is_issued_by(X509 *certificate, X509 *issuer)
{
	return X509_check_issued(issuer, certificate) == X509_V_OK;
}

/* Is the issuer in the system's store, so that clients have it? */
static bool
has_system_issuer(struct chain_check *check, X509 *certificate)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	bool has;

	if (check->system == NULL) {
		check->system = X509_STORE_new();
		if (check->system != NULL)
			(void)X509_STORE_set_default_paths(check->system);
	}
	has = context != NULL && check->system != NULL &&
	      X509_STORE_CTX_init(context, check->system, certificate, NULL) ==
		  1 &&
	      X509_STORE_CTX_get1_issuer(&issuer, context, certificate) == 1;
	X509_free(issuer);
	X509_STORE_CTX_free(context);
	tls_error_clear();
	return has;
}

/* Did certificate i issue the leaf or another certificate of the chain? */
static bool
has_issued(const struct chain *chain, int i)
{
	X509 *issuer = sk_X509_value(chain->rest, i);
	int k;

	if (is_issued_by(chain->leaf, issuer))
		return true;
	for (k = 0; k < sk_X509_num(chain->rest); k++)
		if (k != i &&
		    is_issued_by(sk_X509_value(chain->rest, k), issuer))
			return true;
	return false;
}

static bool
has_issuer(const struct chain *chain)
{
	int i;

	for (i = 0; i < sk_X509_num(chain->rest); i++)
		if (is_issued_by(chain->leaf, sk_X509_value(chain->rest, i)))
			return true;
	return false;
}

#define UNUSED_ISSUER "issued no other certificate of the chain: remove it"

void
chain_check_run(struct chain_check *check, const struct identity *identity,
    struct err *sentence)
{
	const struct chain *chain = &identity->chain;
	char name[256];
	int i;

	err_set(sentence, "%s", "");
	if (X509_self_signed(chain->leaf, 0) != 1 && !has_issuer(chain) &&
	    !has_system_issuer(check, chain->leaf)) {
		chain_print_issuer(chain->leaf, name, sizeof(name));
		err_set(sentence,
		    "the certificate of its issuer, %s, is missing: append it, "
		    "unless it is a root that clients have, or they refuse %s",
		    name, identity->names.label);
	}
	for (i = 0; i < sk_X509_num(chain->rest); i++) {
		if (has_issued(chain, i))
			continue;
		chain_print_name(
		    X509_get_subject_name(sk_X509_value(chain->rest, i)), name,
		    sizeof(name));
		if (sentence->text[0] != '\0')
			err_prefix(sentence,
			    "certificate %d, %s, " UNUSED_ISSUER "; also",
			    i + 2, name);
		else
			err_set(sentence, "certificate %d, %s, " UNUSED_ISSUER,
			    i + 2, name);
		break;
	}
	tls_error_clear();
}

/* ---- Warning levels of a validity period ---- */

/*
 * The levels are fractions of the period, not days: a certificate of 6 days is
 * renewed with 2 days left, and one of a year with 30.
 */
enum { LONGEST_S = 90 * 86400 };

enum validity_warning
validity_warning(int64_t from_s, int64_t end_s, int64_t now_s)
{
	static const int64_t parts[] = {
		[VALIDITY_THIRD] = 3,
		[VALIDITY_SIXTH] = 6,
		[VALIDITY_THIRTIETH] = 30,
	};
	int64_t period = LONGEST_S;
	int level;

	if (end_s <= now_s)
		return VALIDITY_ENDED;
	if (from_s > end_s - LONGEST_S)
		period = end_s > from_s ? end_s - from_s : 0;
	for (level = VALIDITY_THIRTIETH; level > VALIDITY_FINE; level--)
		if (end_s - now_s <= period / parts[level])
			break;
	return (enum validity_warning)level;
}
