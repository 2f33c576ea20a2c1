/*
 * PEM files: bytes, blocks, and the certificates and keys in them.  Main thread
 * (blocks on the disk).
 *
 * A file is read whole and once, so that the certificate and the key of a
 * shared file come from the same version of it, and its bytes are wiped from
 * memory afterwards.
 *
 * Blocks are unwrapped as bytes.  OpenSSL's own readers try every decoder for a
 * key and take four times as long; here the block names the type, and one
 * decoder is tried.  OpenSSL 3.0 also collects its decoders anew for each key,
 * which takes longer than decoding one, so they are kept.
 */
#include "tls/pem.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/file.h"
#include "tls/error.h"

/* ---- Files ---- */

static bool
check_stat(const struct stat *st, const char *path,
    const struct secret_kind *kind, struct err *err)
{
	if (S_ISDIR(st->st_mode)) {
		err_set(err, "%s is a directory, not a %s", path, kind->name);
		return false;
	}
	if (!S_ISREG(st->st_mode)) {
		err_set(err, "%s is not a regular file", path);
		return false;
	}
	if (st->st_size == 0) {
		err_set(err, "%s is empty", path);
		return false;
	}
	if ((size_t)st->st_size > kind->max_bytes) {
		err_set(err, "%s is larger than %zu MiB: no %s", path,
		    kind->max_bytes >> 20, kind->name);
		return false;
	}
	return true;
}

/* Reads up to len, the size at fstat; a file that has shrunk ends earlier. */
static bool
read_bytes(struct secret *secret, int fd, const char *path, struct err *err)
{
	size_t max = secret->len;
	ssize_t n = 1;

	secret->len = 0;
	while (n > 0 && secret->len < max) {
		n = read(fd, secret->data + secret->len, max - secret->len);
		if (n > 0)
			secret->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		err_set_errno(err, errno, "cannot read %s", path);
	return n >= 0;
}

bool
secret_read(struct secret *secret, const char *path,
    const struct secret_kind *kind, struct err *err)
{
	int fd = file_open(path);
	struct stat st;
	bool ok = false;

	*secret = (struct secret){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set_errno(err, errno, "cannot read %s", path);
		file_explain(err);
		goto out;
	}
	if (!check_stat(&st, path, kind, err))
		goto out;
	secret->mode = st.st_mode & 07777;
	secret->len = (size_t)st.st_size;
	secret->data = OPENSSL_zalloc(secret->len);
	if (secret->data == NULL) {
		err_set(err, "out of memory reading %s", path);
		goto out;
	}
	ok = read_bytes(secret, fd, path, err);
out:
	if (fd >= 0)
		close(fd);
	return ok;
}

void
secret_wipe(struct secret *secret)
{
	OPENSSL_clear_free(secret->data, secret->len);
	*secret = (struct secret){ 0 };
}

bool
secret_check_mode(const char *what, const char *path, unsigned mode,
    enum config_key_permissions permissions, struct err *sentence)
{
	err_set(sentence, "%s", "");
	if (permissions == KEYS_ANY || (mode & 0007) == 0)
		return true;
	err_set(sentence,
	    "%s in %s can be used by every user (mode %04o); chmod o= %s", what,
	    path, mode, path);
	return permissions != KEYS_REFUSE;
}

/* ---- Blocks ---- */

/*
 * White space may follow a boundary or a line of base64 (RFC 7468 section 2:
 * parsers should accept it).  PEM_FLAG_EAY_COMPATIBLE strips it, as the
 * ordinary readers of OpenSSL do.
 */
enum { READ_FLAGS = PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE };

bool
pem_is_certificate(const char *type)
{
	return strcmp(type, "CERTIFICATE") == 0 ||
	       strcmp(type, "X509 CERTIFICATE") == 0 ||
	       strcmp(type, "TRUSTED CERTIFICATE") == 0;
}

bool
pem_is_key(const char *type)
{
	static const char tail[] = "PRIVATE KEY";
	size_t len = strlen(type), tail_len = sizeof(tail) - 1;

	return len >= tail_len && strcmp(type + len - tail_len, tail) == 0;
}

bool
pem_is_crl(const char *type)
{
	return strcmp(type, "X509 CRL") == 0;
}

static bool
add_block(struct pem *pem, const struct pem_block *block)
{
	struct pem_block *grown = realloc(
	    pem->blocks, (pem->count + 1) * sizeof(pem->blocks[0]));

	if (grown == NULL)
		return false;
	pem->blocks = grown;
	pem->blocks[pem->count++] = *block;
	return true;
}

static void
free_block(struct pem_block *block)
{
	OPENSSL_secure_free(block->type);
	OPENSSL_secure_free(block->header);
	OPENSSL_secure_clear_free(block->data, (size_t)block->len);
}

/* true: a block, or the end of the file (then *more is false). */
static bool
next_block(struct pem *pem, BIO *bio, bool *more)
{
	struct pem_block block = { 0 };
	unsigned long code;

	*more = PEM_read_bio_ex(bio, &block.type, &block.header, &block.data,
		    &block.len, READ_FLAGS) == 1;
	if (*more) {
		if (add_block(pem, &block))
			return true;
		free_block(&block);
		return false;
	}
	code = ERR_peek_last_error();
	if (ERR_GET_LIB(code) != ERR_LIB_PEM ||
	    ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
		return false;
	tls_error_clear();
	return true;
}

/* PEM_read_bio_ex skips a boundary that does not begin its line. */
static void
find_stray(struct pem *pem, const struct secret *text)
{
	static const char boundary[] = "-----BEGIN ";
	const char *at = text->data, *end = at + text->len, *line = at, *found;
	unsigned number = 1;

	while ((found = memmem(at, (size_t)(end - at), boundary,
		    sizeof(boundary) - 1)) != NULL) {
		for (; at < found; at++) {
			if (*at != '\n')
				continue;
			line = at + 1;
			number++;
		}
		if (found != line) {
			pem->stray_line = number;
			return;
		}
		at = found + 1;
	}
}

/* ---- The format of a file without a PEM block ---- */

static bool
is_certificate_der(const unsigned char *der, long len)
{
	X509 *certificate = d2i_X509(NULL, &der, len);

	X509_free(certificate);
	return certificate != NULL;
}

static bool
is_crl_der(const unsigned char *der, long len)
{
	X509_CRL *crl = d2i_X509_CRL(NULL, &der, len);

	X509_CRL_free(crl);
	return crl != NULL;
}

static bool
is_request_der(const unsigned char *der, long len)
{
	X509_REQ *request = d2i_X509_REQ(NULL, &der, len);

	X509_REQ_free(request);
	return request != NULL;
}

static bool
is_pkcs12(const unsigned char *der, long len)
{
	PKCS12 *bag = d2i_PKCS12(NULL, &der, len);

	PKCS12_free(bag);
	return bag != NULL;
}

static bool
is_pkcs7(const unsigned char *der, long len)
{
	PKCS7 *bundle = d2i_PKCS7(NULL, &der, len);

	PKCS7_free(bundle);
	return bundle != NULL;
}

static bool
is_response_der(const unsigned char *der, long len)
{
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, len);

	OCSP_RESPONSE_free(response);
	return response != NULL;
}

static bool
is_key_der(const unsigned char *der, long len)
{
	const unsigned char *again = der;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, len);
	X509_SIG *locked = key == NULL ? d2i_X509_SIG(NULL, &again, len) : NULL;
	bool is = key != NULL || locked != NULL;

	EVP_PKEY_free(key);
	X509_SIG_free(locked);
	return is;
}

/* Tried in this order, the general ones last.  command: of openssl, to convert
 * the file; NULL: there is none. */
static const struct {
	bool (*is)(const unsigned char *der, long len);
	const char *what;
	const char *command;
	const char *options;
} der_formats[] = {
	{ is_certificate_der, "a certificate as DER", "x509 -inform der", "" },
	{ is_crl_der, "a CRL as DER", "crl -inform der", "" },
	{ is_pkcs12, "PKCS#12 (.p12, .pfx)", "pkcs12",
	    " -nodes (and -legacy for an old one)" },
	{ is_pkcs7, "PKCS#7 (.p7b)", "pkcs7 -inform der", " -print_certs" },
	{ is_request_der,
	    "a certificate request, which a CA makes a "
	    "certificate of",
	    NULL, NULL },
	{ is_response_der, "an OCSP response, which belongs into staple_file",
	    NULL, NULL },
	{ is_key_der, "a private key as DER", "pkey -inform der", "" },
};

static bool
is_utf16(const unsigned char *data, size_t len)
{
	return len >= 2 && ((data[0] == 0xff && data[1] == 0xfe) ||
			       (data[0] == 0xfe && data[1] == 0xff) ||
			       (data[0] == '-' && data[1] == '\0') ||
			       (data[0] == '\0' && data[1] == '-'));
}

/* JKS and JCEKS. */
static bool
is_keystore(const unsigned char *data, size_t len)
{
	return len >= 4 && (memcmp(data, "\xfe\xed\xfe\xed", 4) == 0 ||
			       memcmp(data, "\xce\xce\xce\xce", 4) == 0);
}

static bool
is_text(const unsigned char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] == '\0' || data[i] == 0x7f || data[i] >= 0x80)
			return false;
	return true;
}

static bool
describe_der(const struct secret *text, const char *path,
    const struct pem_kind *kind, struct err *err)
{
	const unsigned char *data = (const unsigned char *)text->data;
	size_t i;

	if (text->len == 0 || data[0] != 0x30)
		return false;
	for (i = 0; i < ARRAY_LEN(der_formats); i++)
		if (der_formats[i].is(data, (long)text->len))
			break;
	tls_error_clear();
	if (i == ARRAY_LEN(der_formats))
		return false;
	if (der_formats[i].command == NULL)
		err_set(err, "%s has no PEM block: it is %s", path,
		    der_formats[i].what);
	else
		err_set(err,
		    "%s has no PEM block: it is %s; convert it with: "
		    "openssl %s -in %s -out %s%s",
		    path, der_formats[i].what, der_formats[i].command, path,
		    der_formats[i].is == is_key_der ? "site.key" : kind->result,
		    der_formats[i].options);
	return true;
}

static void
describe_file(const struct secret *text, const char *path,
    const struct pem_kind *kind, struct err *err)
{
	const unsigned char *data = (const unsigned char *)text->data;

	if (is_utf16(data, text->len))
		err_set(err,
		    "%s has no PEM block: it is UTF-16 text; convert it "
		    "with: iconv -f UTF-16 -t UTF-8 %s -o %s",
		    path, path, kind->result);
	else if (is_keystore(data, text->len))
		err_set(err,
		    "%s has no PEM block: it is a Java keystore; convert it "
		    "with: keytool -importkeystore -srckeystore %s "
		    "-destkeystore site.p12 -deststoretype pkcs12, and then: "
		    "openssl pkcs12 -in site.p12 -nodes -out %s",
		    path, path, kind->result);
	else if (describe_der(text, path, kind, err))
		return;
	else if (is_text(data, text->len))
		err_set(err,
		    "%s has no PEM block: no line begins with -----BEGIN",
		    path);
	else
		err_set(err,
		    "%s has no PEM block; if it is DER, convert it with: "
		    "openssl %s -inform der -in %s -out %s",
		    path, kind->command, path, kind->result);
}

static bool
split_blocks(struct pem *pem, const struct secret *text, const char *path,
    const struct pem_kind *kind, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
	bool more = bio != NULL, ok = more;

	tls_error_clear();
	while (ok && more)
		ok = next_block(pem, bio, &more);
	BIO_free(bio);
	if (!ok) {
		tls_error_set(
		    err, "%s: PEM block %zu is damaged", path, pem->count + 1);
		return false;
	}
	if (pem->count == 0) {
		describe_file(text, path, kind, err);
		return false;
	}
	return true;
}

bool
pem_read_as(struct pem *pem, const char *path, const struct pem_kind *kind,
    struct err *err)
{
	const struct secret_kind file = { "PEM file", kind->max_bytes };
	struct secret text;
	bool ok;

	*pem = (struct pem){ 0 };
	ok = secret_read(&text, path, &file, err) &&
	     split_blocks(pem, &text, path, kind, err);
	if (ok)
		find_stray(pem, &text);
	pem->mode = text.mode;
	secret_wipe(&text);
	return ok;
}

bool
pem_read(struct pem *pem, const char *path, struct err *err)
{
	static const struct pem_kind kind = { 1024 * 1024, "x509", "site.pem" };

	return pem_read_as(pem, path, &kind, err);
}

void
pem_describe_unused(const struct pem *pem, const char *path,
    bool (*is_used)(const char *type), struct err *sentence)
{
	size_t i;

	err_set(sentence, "%s", "");
	if (pem->stray_line > 0) {
		err_set(sentence,
		    "%s:%u: text before -----BEGIN on the same line: the block "
		    "is not read; put the boundary on a line of its own",
		    path, pem->stray_line);
		return;
	}
	for (i = 0; i < pem->count; i++) {
		if (is_used(pem->blocks[i].type))
			continue;
		err_set(sentence, "%s: PEM block %zu (%s) is not used", path,
		    i + 1, pem->blocks[i].type);
		return;
	}
}

void
pem_wipe(struct pem *pem)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		free_block(&pem->blocks[i]);
	free(pem->blocks);
	*pem = (struct pem){ 0 };
}

/* ---- Shared certificates ---- */

struct chain_cache {
	void *tree; /* of struct cached_cert */
};

struct cached_cert {
	X509 *certificate;
	const unsigned char *bytes; /* behind the struct, or the caller's */
	size_t len;
};

struct chain_cache *
chain_cache_new(void)
{
	return calloc(1, sizeof(struct chain_cache));
}

static void
free_cached(void *node)
{
	struct cached_cert *cached = node;

	X509_free(cached->certificate);
	free(cached);
}

void
chain_cache_free(struct chain_cache *cache)
{
	if (cache == NULL)
		return;
	tdestroy(cache->tree, free_cached);
	free(cache);
}

static int
compare_cached(const void *a, const void *b)
{
	const struct cached_cert *first = a, *second = b;

	if (first->len != second->len)
		return first->len < second->len ? -1 : 1;
	return memcmp(first->bytes, second->bytes, first->len);
}

/* Without memory the certificate is decoded again the next time. */
static void
add_cached(
    struct chain_cache *cache, X509 *certificate, const struct cached_cert *of)
{
	struct cached_cert *cached = malloc(sizeof(*cached) + of->len);

	if (cached == NULL)
		return;
	cached->bytes = memcpy(cached + 1, of->bytes, of->len);
	cached->len = of->len;
	cached->certificate = certificate;
	if (tsearch(cached, &cache->tree, compare_cached) == NULL)
		free(cached);
	else
		X509_up_ref(certificate);
}

X509 *
chain_cache_decode(
    struct chain_cache *cache, const unsigned char *bytes, size_t len)
{
	const struct cached_cert wanted = { .bytes = bytes, .len = len };
	struct cached_cert **found = cache ? tfind(&wanted, &cache->tree,
						 compare_cached)
					   : NULL;
	X509 *certificate;

	if (found) {
		X509_up_ref((*found)->certificate);
		return (*found)->certificate;
	}
	certificate = d2i_X509_AUX(NULL, &bytes, (long)len);
	if (certificate && cache)
		add_cached(cache, certificate, &wanted);
	return certificate;
}

void
chain_cache_add(struct chain_cache *cache, X509 *certificate)
{
	unsigned char *bytes = NULL;
	int len = i2d_X509_AUX(certificate, &bytes);
	const struct cached_cert of = { .bytes = bytes, .len = (size_t)len };

	if (len > 0 && tfind(&of, &cache->tree, compare_cached) == NULL)
		add_cached(cache, certificate, &of);
	OPENSSL_free(bytes);
	tls_error_clear();
}

/* ---- Chains ---- */

/* Leaves differ, so only the certificates behind them are cached. */
static X509 *
decode_certificate(const struct chain *chain, struct chain_cache *cache,
    const struct pem_block *block)
{
	return chain_cache_decode(chain->leaf == NULL ? NULL : cache,
	    block->data, (size_t)block->len);
}

static bool
add_certificate(
    struct chain *chain, X509 *certificate, const char *path, struct err *err)
{
	int position = 1 + (chain->leaf != NULL) + sk_X509_num(chain->rest);

	if (certificate == NULL) {
		tls_error_set(
		    err, "certificate %d in %s is damaged", position, path);
		return false;
	}
	if (chain->leaf == NULL) {
		chain->leaf = certificate;
	} else if (sk_X509_push(chain->rest, certificate) <= 0) {
		X509_free(certificate);
		err_set(err, "out of memory");
		return false;
	}
	return true;
}

/* The remedy for blocks that are related to certificates. */
static const char *
advice_for(const char *type)
{
	if (strcmp(type, "PKCS7") == 0 || strcmp(type, "CMS") == 0)
		return "; take the certificates out of it with: openssl pkcs7 "
		       "-print_certs";
	if (strstr(type, "CERTIFICATE REQUEST") != NULL)
		return "; a CA makes a certificate of it";
	return "";
}

bool
chain_decode(struct chain *chain, struct chain_cache *cache,
    const struct pem *pem, const char *path, struct err *err)
{
	*chain = (struct chain){ NULL, sk_X509_new_null() };
	if (chain->rest == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	for (size_t i = 0; i < pem->count; i++)
		if (pem_is_certificate(pem->blocks[i].type) &&
		    !add_certificate(chain,
			decode_certificate(chain, cache, &pem->blocks[i]), path,
			err))
			return false;
	if (chain->leaf == NULL)
		err_set(err, "%s has no certificate, only: %s%s", path,
		    pem->blocks[0].type, advice_for(pem->blocks[0].type));
	return chain->leaf != NULL;
}

bool
chain_load(struct chain *chain, const char *path, struct err *err)
{
	struct pem pem;
	bool loaded;

	*chain = (struct chain){ NULL, NULL };
	tls_error_clear();
	loaded = pem_read(&pem, path, err) &&
		 chain_decode(chain, NULL, &pem, path, err);
	/* The file may contain a key. */
	pem_wipe(&pem);
	return loaded;
}

void
chain_drop(struct chain *chain)
{
	X509_free(chain->leaf);
	sk_X509_pop_free(chain->rest, X509_free);
	*chain = (struct chain){ NULL, NULL };
}

void
chain_print_serial(const X509 *certificate, char *text, size_t max)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(
	    X509_get0_serialNumber(certificate), NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;

	snprintf(text, max, "%s", hex != NULL ? hex : "?");
	OPENSSL_free(hex);
	BN_free(number);
	tls_error_clear();
}

void
chain_print_name(const X509_NAME *name, char *text, size_t max)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len = 0;

	/* XN_FLAG_RFC2253 escapes control characters. */
	if (bio != NULL &&
	    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_get_mem_data(bio, &data);
	snprintf(text, max, "%.*s", (int)len, data != NULL ? data : "");
	BIO_free(bio);
	tls_error_clear();
}

void
chain_print_issuer(const X509 *certificate, char *text, size_t max)
{
	chain_print_name(X509_get_issuer_name(certificate), text, max);
}

/* ---- Keys ---- */

static const struct key_kind {
	int type;
	const char *name;
} key_kinds[] = {
	{ EVP_PKEY_EC, "EC" },
	{ EVP_PKEY_RSA, "RSA" },
	{ EVP_PKEY_RSA_PSS, "RSA-PSS" },
	{ EVP_PKEY_ED25519, "ED25519" },
	{ EVP_PKEY_ED448, "ED448" },
};

struct key_decoder {
	OSSL_DECODER_CTX *contexts[ARRAY_LEN(key_kinds)]; /* NULL: not yet */
	EVP_PKEY *key; /* the result of each context */
};

struct key_decoder *
key_decoder_new(void)
{
	return calloc(1, sizeof(struct key_decoder));
}

void
key_decoder_free(struct key_decoder *decoder)
{
	if (decoder == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(key_kinds); i++)
		OSSL_DECODER_CTX_free(decoder->contexts[i]);
	free(decoder);
}

static const struct key_kind *
find_key_kind(int type)
{
	for (size_t i = 0; i < ARRAY_LEN(key_kinds); i++)
		if (key_kinds[i].type == type)
			return &key_kinds[i];
	return NULL;
}

/* The type of an unencrypted key block; EVP_PKEY_NONE: unknown. */
static int
key_type(const struct pem_block *block)
{
	const unsigned char *der = block->data;
	const ASN1_OBJECT *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	int type = EVP_PKEY_NONE;

	if (strcmp(block->type, "RSA PRIVATE KEY") == 0)
		return EVP_PKEY_RSA;
	if (strcmp(block->type, "EC PRIVATE KEY") == 0)
		return EVP_PKEY_EC;
	if (strcmp(block->type, "DSA PRIVATE KEY") == 0)
		return EVP_PKEY_DSA;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, block->len);
	if (info != NULL &&
	    PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) == 1)
		type = OBJ_obj2nid(algorithm);
	PKCS8_PRIV_KEY_INFO_free(info);
	return type;
}

static bool
is_encrypted(const struct pem_block *block)
{
	return strncmp(block->type, "ENCRYPTED", strlen("ENCRYPTED")) == 0 ||
	       strstr(block->header, "ENCRYPTED") != NULL;
}

/* NULL: not possible. */
static EVP_PKEY *
decode_fast(struct key_decoder *decoder, const struct key_kind *kind,
    const struct pem_block *block)
{
	OSSL_DECODER_CTX **context = &decoder->contexts[kind - key_kinds];
	const unsigned char *der = block->data;
	size_t len = (size_t)block->len;

	decoder->key = NULL;
	if (*context == NULL)
		*context = OSSL_DECODER_CTX_new_for_pkey(&decoder->key, "DER",
		    NULL, kind->name, EVP_PKEY_KEYPAIR, NULL, NULL);
	if (*context && OSSL_DECODER_from_data(*context, &der, &len) == 1)
		return decoder->key;
	/* The context may be in any state: do not use it for another key. */
	OSSL_DECODER_CTX_free(*context);
	*context = NULL;
	EVP_PKEY_free(decoder->key);
	return NULL;
}

static EVP_PKEY *
decode_as(struct key_decoder *decoder, const struct key_kind *kind,
    const struct pem_block *block)
{
	const unsigned char *der = block->data;
	EVP_PKEY *key = decoder ? decode_fast(decoder, kind, block) : NULL;

	if (key == NULL) {
		tls_error_clear();
		key = d2i_PrivateKey(kind->type, NULL, &der, block->len);
	}
	return key;
}

static EVP_PKEY *
decode_key(struct key_decoder *decoder, const struct pem_block *block,
    const char *path, struct err *err)
{
	int type = key_type(block);
	const struct key_kind *kind = find_key_kind(type);
	EVP_PKEY *key;

	if (strcmp(block->type, "OPENSSH PRIVATE KEY") == 0) {
		err_set(err,
		    "the private key in %s has the format of OpenSSH; convert "
		    "a copy of it with: ssh-keygen -p -N '' -m PKCS8 -f %s",
		    path, path);
		return NULL;
	}
	key = kind ? decode_as(decoder, kind, block) : NULL;

	if (kind == NULL && type != EVP_PKEY_NONE) {
		err_set(err,
		    "the private key in %s is %s; TLS needs RSA, ECDSA or "
		    "Ed25519",
		    path, OBJ_nid2sn(type));
		return NULL;
	}
	if (key == NULL)
		tls_error_set(err, "the private key in %s is damaged", path);
	return key;
}

static EVP_PKEY *
decode_plain(struct key_decoder *decoder, const struct pem_block *block,
    const char *path, struct err *err)
{
	if (!is_encrypted(block))
		return decode_key(decoder, block, path, err);
	err_set(err,
	    "the private key in %s is encrypted; decrypt it with: openssl pkey "
	    "-in %s -out decrypted.key, and use decrypted.key as the file of "
	    "the key",
	    path, path);
	return NULL;
}

EVP_PKEY *
key_decode(struct key_decoder *decoder, const struct pem *pem, const char *path,
    struct err *err)
{
	size_t i;

	for (i = 0; i < pem->count; i++)
		if (pem_is_key(pem->blocks[i].type))
			return decode_plain(
			    decoder, &pem->blocks[i], path, err);
	err_set(
	    err, "%s has no private key, only: %s", path, pem->blocks[0].type);
	return NULL;
}
