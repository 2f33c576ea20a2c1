/*
 * The ClientHello: which name it asks for, and the site that is shown for it.
 * tls/ only; the connection's thread.
 */
#ifndef TLS_HELLO_H
#define TLS_HELLO_H

#include <stddef.h>
#include <stdint.h>

struct ssl_st;

enum hello_name {
	HELLO_NO_NAME,
	HELLO_NAME,
	HELLO_MALFORMED /* RFC 6066 section 3 allows no such list */
};

/*
 * The name that the ClientHello being processed asks for: bytes of a stranger,
 * valid as long as that ClientHello is.  Works in the ClientHello callback and
 * in everything that OpenSSL calls while it handles extensions (tickets).
 */
enum hello_name hello_name(
    struct ssl_st *ssl, const uint8_t **name, size_t *len);

/*
 * The ClientHello callback of every context.  A connection goes over to the
 * site of its name, in everything: context, policy, session scope.
 */
int hello_on_client_hello(struct ssl_st *ssl, int *alert, void *arg);

#endif
