/*
 * Revocation lists made when a test runs.  One thread; aborts when OpenSSL
 * fails.
 */
#ifndef SUPPORT_CRL_H
#define SUPPORT_CRL_H

#include "tests/support/pki.h"

/* Zero means: no certificate, valid from 2020 to 2099. */
struct crl_wish {
	const struct pki *issuer;
	const struct pki *revoked; /* NULL: none */
	const char *from;          /* "20200101000000Z" */
	const char *to;
	bool endless; /* no nextUpdate */
	long number;  /* cRLNumber; 0: none */
	const char
	    *part;     /* "fullname:URI:http://a.example/1": one of several */
	bool delta;    /* of changes alone */
	int extension; /* a critical one of this NID without content */
};

/* PEM; free() it. */
char *crl_pem(const struct crl_wish *wish);

#endif
