/*
 * Certificates made when a test runs, so that nothing checked in can expire.
 * One thread.  Every function aborts the test program when OpenSSL fails:
 * without a certificate there is nothing to test.
 */
#ifndef SUPPORT_PKI_H
#define SUPPORT_PKI_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum pki_key { PKI_P256, PKI_RSA };

struct pki {
	X509 *certificate;
	EVP_PKEY *key;
};

/* Zero means: P-256, self-signed, no CA, valid from 2020 to 2099, no SAN. */
struct pki_wish {
	enum pki_key key;
	unsigned bits;            /* of an RSA key; 0: 2048 */
	const struct pki *twin;   /* whose key it has; NULL: a new one */
	const EVP_MD *digest;     /* of the signature; NULL: SHA-256 */
	const char *name;         /* subject CN; NULL: an empty subject */
	const char *san;          /* "DNS:a.example,IP:192.0.2.1" */
	const struct pki *issuer; /* NULL: itself */
	bool ca;
	const char *from; /* "20200101000000Z" */
	const char *to;
	const char *aia;     /* "OCSP;URI:http://a/,OCSP;URI:http://b/" */
	const char *feature; /* tlsfeature: "status_request", "5,17", ... */
	const char *usage;   /* extendedKeyUsage: "OCSPSigning" */
};

struct pki pki_make(const struct pki_wish *wish);
void pki_drop(struct pki *made);

/* PEM texts; free() them. */
char *pki_certificate_pem(const struct pki *made);
char *pki_key_pem(const struct pki *made);             /* PRIVATE KEY */
char *pki_legacy_key_pem(const struct pki *made);      /* RSA/EC PRIVATE KEY */
char *pki_locked_key_pem(const struct pki *made);      /* ENCRYPTED ... */
char *pki_join(const char *first, const char *second); /* frees neither */

/* A scratch folder for files. */
struct pki_folder {
	char path[64];
};
void pki_folder_make(struct pki_folder *folder);
void pki_folder_remove(struct pki_folder *folder); /* and what is in it */

/* Write text (mode 0600) and return its full path; free() it. */
char *pki_write(
    const struct pki_folder *folder, const char *name, const char *text);

#endif
