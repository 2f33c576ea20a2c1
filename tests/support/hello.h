/*
 * A ClientHello as bytes on the wire, with any server_name extension at all.
 * One thread.
 */
#ifndef SUPPORT_HELLO_H
#define SUPPORT_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum { HELLO_MAX = 2048 };

/*
 * One record with a ClientHello for TLS 1.2, which OpenSSL would accept.  sni
 * is the content of the extension, valid or not; NULL: no such extension.  The
 * length.
 */
size_t hello_make(uint8_t out[HELLO_MAX], const void *sni, size_t len);

/* The content of the extension for a name: a list of one host_name. */
size_t hello_sni(uint8_t out[HELLO_MAX], const void *name, size_t len);

#endif
