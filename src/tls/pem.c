/*
 * PEM files.  Main thread.  The file is read whole and once, so that the
 * certificate and the key of a shared file come from the same version of it;
 * blocks are unwrapped as bytes, because OpenSSL's own readers of keys try
 * every decoder they know and take four times as long.
 */
#include "tls/pem.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/error.h"
#include "tls/secret.h"

/*
 * White space may follow a boundary or a line of base64 (RFC 7468 section 2
 * asks parsers to accept it).  PEM_FLAG_EAY_COMPATIBLE strips it, as the
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
pem_is_list(const char *type)
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

/* PEM_read_bio_ex passes over a boundary that does not begin its line. */
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

/* ---- What a file without a PEM block is instead ---- */

static bool
is_certificate_der(const unsigned char *der, long len)
{
	X509 *certificate = d2i_X509(NULL, &der, len);

	X509_free(certificate);
	return certificate != NULL;
}

static bool
is_list_der(const unsigned char *der, long len)
{
	X509_CRL *list = d2i_X509_CRL(NULL, &der, len);

	X509_CRL_free(list);
	return list != NULL;
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

/* In the order of trying: the general ones last.  The command takes the file
 * and the result; NULL: there is none. */
static const struct {
	bool (*is)(const unsigned char *der, long len);
	const char *what;
	const char *command;
	const char *options;
} ders[] = {
	{ is_certificate_der, "a certificate as DER", "x509 -inform der", "" },
	{ is_list_der, "a revocation list as DER", "crl -inform der", "" },
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
	for (i = 0; i < ARRAY_LEN(ders); i++)
		if (ders[i].is(data, (long)text->len))
			break;
	tls_error_clear();
	if (i == ARRAY_LEN(ders))
		return false;
	if (ders[i].command == NULL)
		err_set(
		    err, "%s holds no PEM block: it is %s", path, ders[i].what);
	else
		err_set(err,
		    "%s holds no PEM block: it is %s; convert it with: "
		    "openssl %s -in %s -out %s%s",
		    path, ders[i].what, ders[i].command, path,
		    ders[i].is == is_key_der ? "site.key" : kind->result,
		    ders[i].options);
	return true;
}

static void
describe(const struct secret *text, const char *path,
    const struct pem_kind *kind, struct err *err)
{
	const unsigned char *data = (const unsigned char *)text->data;

	if (is_utf16(data, text->len))
		err_set(err,
		    "%s holds no PEM block: it is UTF-16 text; convert it "
		    "with: iconv -f UTF-16 -t UTF-8 %s -o %s",
		    path, path, kind->result);
	else if (is_keystore(data, text->len))
		err_set(err,
		    "%s holds no PEM block: it is a Java keystore; convert it "
		    "with: keytool -importkeystore -srckeystore %s "
		    "-destkeystore site.p12 -deststoretype pkcs12, and then: "
		    "openssl pkcs12 -in site.p12 -nodes -out %s",
		    path, path, kind->result);
	else if (describe_der(text, path, kind, err))
		return;
	else if (is_text(data, text->len))
		err_set(err,
		    "%s holds no PEM block: no line begins with -----BEGIN",
		    path);
	else
		err_set(err,
		    "%s holds no PEM block; if it is DER, convert it with: "
		    "openssl %s -inform der -in %s -out %s",
		    path, kind->command, path, kind->result);
}

static bool
split(struct pem *pem, const struct secret *text, const char *path,
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
		describe(text, path, kind, err);
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
	     split(pem, &text, path, kind, err);
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
