/*
 * Certificates for tests.  One thread.  Every step is checked by `must`,
 * which ends the program: a test that went on with half a certificate would
 * fail somewhere else.
 */
#include "tests/support/pki.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *
make_key(const struct pki_wish *wish)
{
	unsigned bits = wish->bits != 0 ? wish->bits : 2048;
	EVP_PKEY *key;

	if (wish->twin != NULL) {
		EVP_PKEY_up_ref(wish->twin->key);
		return wish->twin->key;
	}
	key = wish->key == PKI_RSA ? EVP_RSA_gen(bits) : EVP_EC_gen("P-256");
	must(key != NULL, "making a key");
	return key;
}

static void
add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1,
	    "adding an extension");
	X509_EXTENSION_free(extension);
}

static void
set_serial(X509 *certificate)
{
	unsigned char bytes[8];

	must(RAND_bytes(bytes, sizeof(bytes)) == 1, "a serial number");
	bytes[0] = (bytes[0] & 0x3f) | 0x40; /* positive, no leading zero */
	must(ASN1_STRING_set(
		 X509_get_serialNumber(certificate), bytes, sizeof(bytes)) == 1,
	    "setting the serial number");
}

static void
set_dates(X509 *certificate, const struct pki_wish *wish)
{
	const char *from = wish->from != NULL ? wish->from : "20200101000000Z";
	const char *to = wish->to != NULL ? wish->to : "20990101000000Z";

	must(ASN1_TIME_set_string_X509(
		 X509_getm_notBefore(certificate), from) == 1 &&
		 ASN1_TIME_set_string_X509(
		     X509_getm_notAfter(certificate), to) == 1,
	    "setting the dates");
}

static void
set_names(X509 *certificate, const struct pki_wish *wish)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	const X509_NAME *issuer = wish->issuer != NULL
				      ? X509_get_subject_name(
					    wish->issuer->certificate)
				      : subject;

	must(wish->name == NULL ||
		 X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
		     (const unsigned char *)wish->name, -1, -1, 0) == 1,
	    "setting the subject");
	must(X509_set_issuer_name(certificate, issuer) == 1,
	    "setting the issuer");
}

struct pki
pki_make(const struct pki_wish *wish)
{
	struct pki made = { X509_new(), make_key(wish) };
	EVP_PKEY *signer = wish->issuer != NULL ? wish->issuer->key : made.key;

	must(made.certificate != NULL, "making a certificate");
	must(X509_set_version(made.certificate, X509_VERSION_3) == 1,
	    "setting the version");
	set_serial(made.certificate);
	set_dates(made.certificate, wish);
	set_names(made.certificate, wish);
	must(X509_set_pubkey(made.certificate, made.key) == 1,
	    "setting the public key");
	if (wish->ca)
		add_extension(made.certificate, NID_basic_constraints,
		    "critical,CA:TRUE");
	if (wish->aia != NULL)
		add_extension(made.certificate, NID_info_access, wish->aia);
	if (wish->feature != NULL)
		add_extension(made.certificate, NID_tlsfeature, wish->feature);
	if (wish->usage != NULL)
		add_extension(made.certificate, NID_ext_key_usage, wish->usage);
	if (wish->san != NULL)
		add_extension(
		    made.certificate, NID_subject_alt_name, wish->san);
	must(X509_sign(made.certificate, signer,
		 wish->digest != NULL ? wish->digest : EVP_sha256()) > 0,
	    "signing");
	return made;
}

void
pki_drop(struct pki *made)
{
	X509_free(made->certificate);
	EVP_PKEY_free(made->key);
	*made = (struct pki){ 0 };
}

/* The text a memory BIO has collected; frees the BIO. */
static char *
text_of(BIO *bio)
{
	char *data, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)len);
	must(text != NULL, "copying a PEM text");
	BIO_free(bio);
	return text;
}

char *
pki_certificate_pem(const struct pki *made)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509(bio, made->certificate) == 1, "writing PEM");
	return text_of(bio);
}

char *
pki_key_pem(const struct pki *made)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey(
		 bio, made->key, NULL, NULL, 0, NULL, NULL) == 1,
	    "writing PEM");
	return text_of(bio);
}

char *
pki_legacy_key_pem(const struct pki *made)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey_traditional(
		 bio, made->key, NULL, NULL, 0, NULL, NULL) == 1,
	    "writing PEM");
	return text_of(bio);
}

char *
pki_locked_key_pem(const struct pki *made)
{
	unsigned char password[] = "secret";
	BIO *bio = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey(bio, made->key, EVP_aes_128_cbc(),
		 password, sizeof(password) - 1, NULL, NULL) == 1,
	    "writing PEM");
	return text_of(bio);
}

char *
pki_join(const char *first, const char *second)
{
	size_t max = strlen(first) + strlen(second) + 1;
	char *text = malloc(max);

	must(text != NULL, "joining texts");
	snprintf(text, max, "%s%s", first, second);
	return text;
}

void
pki_folder_make(struct pki_folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/clinch-pki-XXXXXX");
	must(mkdtemp(folder->path) != NULL, "making a folder");
}

void
pki_folder_remove(struct pki_folder *folder)
{
	DIR *dir = opendir(folder->path);
	struct dirent *entry;
	char path[512];

	must(dir != NULL, "opening a folder");
	while ((entry = readdir(dir)) != NULL) {
		snprintf(
		    path, sizeof(path), "%s/%s", folder->path, entry->d_name);
		/* Of "." and ".." it fails. */
		(void)remove(path);
	}
	closedir(dir);
	must(rmdir(folder->path) == 0, "removing a folder");
}

char *
pki_write(const struct pki_folder *folder, const char *name, const char *text)
{
	char path[512];
	size_t len = strlen(text);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, text, len) == (ssize_t)len, "writing a file");
	close(fd);
	return strdup(path);
}
