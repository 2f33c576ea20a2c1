/*
 * Whole TLS handshakes in memory, and what the client saw of them.  Nothing is
 * shared but the contexts: each thread may shake on its own.  Aborts when
 * OpenSSL fails before the handshake begins.
 */
#ifndef SUPPORT_SHAKE_H
#define SUPPORT_SHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

/* Zero means: any version, any certificate, no name, no status_request. */
struct shake_wish {
	int version;
	char ciphers[48];     /* of TLS 1.2 */
	char sigalgs[48];     /* what the client can verify */
	char groups[48];      /* of the server's key exchange */
	char name[48];        /* server_name */
	bool ask;             /* status_request, RFC 6066 section 8 */
	SSL_SESSION *session; /* to resume; borrowed */
};

struct shaken {
	bool done; /* on both sides */
	bool resumed;
	int alert;             /* that the client was sent; 0: none */
	unsigned char *staple; /* owned; NULL: none came */
	size_t len;
	SSL_SESSION *session; /* owned; the last that the client was given */
};

/* A client that trusts anyone and keeps sessions. */
SSL_CTX *shake_client(void);

struct shaken shake(
    SSL_CTX *server, SSL_CTX *client, const struct shake_wish *wish);
void shaken_drop(struct shaken *shaken);

#endif
